"""``longdance beats``: what is heard of a song's beats, bars and form."""

import json
from pathlib import Path
from typing import Annotated

import typer

from longdance.choreography.request import OPTIONS, DanceRequest
from longdance.cli.terminal import app
from longdance.errors import InputError

HELPS = {name: OPTIONS[name].help for name in ("start", "seconds", "bpm", "beat_offset", "meter", "beats")}


@app.command()
def beats(
    song: Annotated[Path, typer.Argument(metavar="SONG", help="An audio or video file.")],
    start: Annotated[float, typer.Option(min=0, help=HELPS["start"])] = 0.0,
    seconds: Annotated[float | None, typer.Option(min=0.1, help=HELPS["seconds"])] = None,
    bpm: Annotated[str | None, typer.Option(help=HELPS["bpm"])] = None,
    beat_offset: Annotated[float | None, typer.Option(help=HELPS["beat_offset"])] = None,
    meter: Annotated[int | None, typer.Option(min=3, max=4, help=HELPS["meter"])] = None,
    own: Annotated[Path | None, typer.Option("--beats", metavar="FILE", help=HELPS["beats"])] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of results for machines.")] = False,
) -> None:
    """Hear a song: tempo, bars, how sure they are, other tempi that might be counted, and its form."""
    try:
        request = DanceRequest(
            song=song, start=start, seconds=seconds, bpm=bpm, beat_offset=beat_offset, meter=meter, beats=own
        )
    except InputError as error:
        raise typer.BadParameter(str(error)) from error

    from longdance.features.sections import find_sections

    heard = request.load_song()
    sections = find_sections(heard)
    if as_json:
        result = {
            "song": str(song),
            "seconds": round(heard.seconds, 3),
            "tempo_bpm": round(heard.tempo_bpm, 3),
            "meter": heard.meter,
            "kind": heard.kind,
            "confidence": round(heard.confidence, 3),
            "alternatives": [
                {"tempo_bpm": round(other.tempo_bpm, 3), "fit": round(other.fit, 3)} for other in heard.alternatives
            ],
            "beat_times": [round(float(time), 4) for time in heard.beat_times],
            "downbeat_times": [round(float(time), 4) for time in heard.downbeat_times],
            "sections": [
                {"begin": round(part.begin, 3), "end": round(part.end, 3), "label": part.label} for part in sections
            ],
        }
        typer.echo(json.dumps(result))
        return
    others = " and ".join(f"{other.tempo_bpm:.0f}" for other in heard.alternatives[:2])
    typer.echo(f"{heard.tempo_bpm:.1f} BPM" + (f"; {others} fit less well" if others else ""))
    counted = f"{len(heard.beat_times)} beats ({heard.kind}), {heard.meter} in a bar"
    typer.echo(f"{counted}, confidence {heard.confidence:.2f}")
    typer.echo("form: " + ", ".join(f"{part.label} from {part.begin:.0f} s" for part in sections))
    for doubt in heard.doubts:
        typer.echo(f"note: {doubt}")
