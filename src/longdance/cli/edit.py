"""``longdance edit``: changes of a dance."""

import json
from pathlib import Path
from typing import Annotated

import typer

from longdance.cli.generate import folder_stem
from longdance.cli.terminal import app, progress_bar, report
from longdance.errors import InputError


@app.command()
def edit(
    dance: Annotated[Path, typer.Argument(metavar="DANCE", help="A dance (.npz).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write, or a folder for the formats.")],
    model: Annotated[str, typer.Option(help="A shipped model, or a folder with a trained one.")] = "edmg",
    song: Annotated[Path | None, typer.Option(help="The song; found beside the dance if not given.")] = None,
    redo: Annotated[list[str] | None, typer.Option(metavar="A:B", help="Seconds to redo; may be repeated.")] = None,
    keep: Annotated[
        list[str] | None, typer.Option(metavar="A:B", help="Seconds to keep, or one key frame; the rest is made anew.")
    ] = None,
    joints: Annotated[str, typer.Option(help="What to make anew: all, upper, lower, or joints by name.")] = "all",
    keep_feet: Annotated[bool, typer.Option("--keep-feet", help="Leave the feet where they are.")] = False,
    from_here: Annotated[float | None, typer.Option("--from", min=0, help="Something else from this beat on.")] = None,
    extend: Annotated[float | None, typer.Option(min=0.1, help="Seconds to go on after the end.")] = None,
    blend: Annotated[Path | None, typer.Option(metavar="DANCE", help="Another dance to change to at --at.")] = None,
    at: Annotated[float | None, typer.Option(min=0, help="Second of the beat for --blend.")] = None,
    mirror: Annotated[bool, typer.Option("--mirror", help="Exchange left and right.")] = False,
    tempo: Annotated[float | None, typer.Option(min=20, max=400, help="BPM to bring the dance to.")] = None,
    genre: Annotated[str | None, typer.Option(help="For what is made anew; the dance's own if not given.")] = None,
    movement: Annotated[list[str] | None, typer.Option(help="A movement of the genre; may be repeated.")] = None,
    prompt: Annotated[str | None, typer.Option(help="Free words about the dance.")] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Denoising steps; the model's own if not given.")
    ] = None,
    sampler: Annotated[str | None, typer.Option(help="dpm2m, ddim or ddpm; the model's own if not given.")] = None,
    music_guidance: Annotated[float, typer.Option(help="How strongly the music leads; 1 is plain.")] = 1.0,
    text_guidance: Annotated[float, typer.Option(help="How strongly the words lead; 1 is plain.")] = 6.0,
    refine: Annotated[bool, typer.Option(help="Meet the beats, smooth, let standing feet stand.")] = True,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another try.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:N, or auto: cuda where there is one.")] = "auto",
    formats: Annotated[str, typer.Option("--format", help="Formats for a folder.")] = "npz",
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of results for machines.")] = False,
) -> None:
    """Change a dance: redo a stretch, in-between key frames, go on, blend two, mirror, another tempo.

    What is not asked to change stays as it is. One of --redo/--keep, --from, --extend and --blend at a time.
    """
    from longdance.export.endings import FORMATS, file_ending, is_format

    endings = tuple(part.strip().lower() for part in formats.split(",") if part.strip())
    wrong = [ending for ending in endings if ending not in FORMATS]
    if wrong or not endings:
        raise typer.BadParameter(f"expected formats among {', '.join(FORMATS)}, got {formats!r}")
    targets = [out] if is_format(out) else [out / f"{folder_stem(dance)}.{file_ending(ending)}" for ending in endings]
    some = joints != "all" or keep_feet
    asked = [bool(redo or keep or some), from_here is not None, extend is not None, blend is not None]
    if sum(asked) > 1 or not (any(asked) or mirror or tempo):
        raise typer.BadParameter("expected one of --redo/--keep, --from, --extend, --blend; or --mirror, --tempo")
    if (blend is None) != (at is None):
        raise typer.BadParameter("expected --blend DANCE together with --at SECONDS")
    redone, kept = parse_ranges(redo, "--redo"), parse_ranges(keep, "--keep")

    from longdance.choreography import edit as editing
    from longdance.choreography.edmg import DEFAULT_REFINEMENT, Guidance
    from longdance.choreography.pretrained import load
    from longdance.export.formats import export as write
    from longdance.export.sound import find_song
    from longdance.metrics.report import facts
    from longdance.motion.motion import Motion

    motion = Motion.load(dance)
    with progress_bar(dance.name, quiet=as_json) as progress:
        heard = song or find_song(motion, [dance.parent, Path()])
        if any(asked):
            if heard is None:
                raise InputError(f"{dance}: expected its song beside it; name it with --song")
            progress(0, 1, "listening")
            dancer, music = load(model), editing.song_of(motion, heard)
            wish = editing.Wish(
                genre=genre,
                movement=movement or None,
                prompt=prompt,
                guidance=Guidance(music_guidance, text_guidance),
                seed=seed,
                steps=steps,
                sampler=sampler,
                refinement=DEFAULT_REFINEMENT if refine else None,
                device=device,
            )
            if blend is not None and at is not None:
                other = Motion.load(blend)
                motion = editing.blend(motion, other, dancer, song=music, at=at, wish=wish, progress=progress)
            elif extend is not None:
                motion = editing.go_on(motion, dancer, song=music, seconds=extend, wish=wish, progress=progress)
            elif from_here is not None:
                motion = editing.from_here_on(motion, dancer, song=music, at=from_here, wish=wish, progress=progress)
            else:
                motion = editing.redo(
                    motion,
                    dancer,
                    song=music,
                    stretches_of=[(begin, motion.seconds if end is None else end) for begin, end in redone]
                    or [(0.0, motion.seconds)],
                    keep=[(begin, motion.seconds if end is None else end) for begin, end in kept],
                    joints=joints,
                    keep_feet=keep_feet,
                    wish=wish,
                    progress=progress,
                )
        if mirror:
            motion = editing.mirror(motion)
        if tempo is not None:
            motion, heard = editing.at_tempo(motion, tempo), None
        written: list[Path] = []
        for target in targets:
            written += write(motion, target, song_path=heard, progress=progress)
    result = {"dance": str(dance), "files": [str(file) for file in dict.fromkeys(written)], **facts(motion)}
    if as_json:
        typer.echo(json.dumps(result))
    else:
        report(result, motion.meta.get("notes", ()), motion.meta.get("tempo_bpm"))


def parse_ranges(written: list[str] | None, option: str) -> list[tuple[float, float | None]]:
    """``A:B``, ``A:``, ``:B`` in seconds, or ``A`` for one frame of --keep; None for an open end."""
    ranges: list[tuple[float, float | None]] = []
    for text in written or ():
        begin, colon, end = text.partition(":")
        try:
            first = float(begin) if begin.strip() or not colon else 0.0
            last = (float(end) if end.strip() else None) if colon else first
        except ValueError as error:
            raise typer.BadParameter(f"{option}: expected seconds as from:to, got {text!r}") from error
        if not colon and option != "--keep":
            raise typer.BadParameter(f"{option}: expected seconds as from:to, got {text!r}")
        ranges.append((first, last))
    return ranges
