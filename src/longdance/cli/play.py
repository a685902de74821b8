"""``longdance play``: a dance live in another program, or in the browser."""

import tempfile
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from longdance.cli.generate import folder_stem
from longdance.cli.terminal import app, progress_bar, say
from longdance.files import AUDIO_ENDINGS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from longdance.motion.motion import Motion


@app.command()
def play(
    what: Annotated[Path, typer.Argument(metavar="DANCE|SONG", help="A dance, or a song that is danced to meanwhile.")],
    vmc: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Send it live by the VMC protocol; a PORT alone is on this computer."),
    ] = None,
    song: Annotated[Path | None, typer.Option(help="The dance's song, for the page; found if not given.")] = None,
    model: Annotated[str, typer.Option(help="Who dances to a song: a shipped model, or a folder.")] = "edmg",
    genre: Annotated[str | None, typer.Option(help="How to dance to a song; see `longdance catalogue`.")] = None,
    start: Annotated[float, typer.Option(min=0, help="Second of the song to begin at.")] = 0.0,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Length; the rest if not given.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another dance.")] = 0,
    phrases: Annotated[
        float, typer.Option(min=0, max=1, help="1: dance recorded phrases to a song, 0: the network alone.")
    ] = 0.0,
    library: Annotated[str | None, typer.Option(help="Whose phrases; see `longdance library list`.")] = None,
    hands: Annotated[bool, typer.Option(help="Fingers made by rule.")] = True,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Where the page is kept.")] = None,
) -> None:
    """Play a dance: in the browser with its song, or live in a program that listens to VMC."""
    from longdance.export.vmc import address_of

    where = None if vmc is None else address_of(vmc)
    is_song = what.suffix.lower() in AUDIO_ENDINGS
    asked = {"genre": genre, "start": start, "seconds": seconds, "seed": seed, "phrases": phrases, "library": library}
    pieces = _danced(what, model, asked) if is_song else [_read(what, start, seconds)]
    if where is None:
        _show(pieces, what, song or (what if is_song else None), out, hands)
        return
    from longdance.export import vmc as live

    host, port = where
    with live.sender(host, port) as send:
        played = live.play(pieces, send, begun=lambda: say(f"dancing for {host}:{port}; ctrl-C ends it"), fingers=hands)
    late = f", stood {played.waited:.1f} s waiting for the model" if played.waited > 0.05 else ""
    say(f"{played.frames} frames in {played.seconds:.1f} s{late}")


def _danced(song: Path, model: str, asked: dict) -> "Iterable[Motion]":
    from longdance.choreography.pretrained import load

    return load(model).stream(song, **asked)


def _read(dance: Path, start: float, seconds: float | None) -> "Motion":
    from longdance.export.cuts import stretch_of
    from longdance.motion.motion import Motion

    return stretch_of(Motion.load(dance), start=start, seconds=seconds)


def _show(pieces: "Iterable[Motion]", what: Path, song: Path | None, out: Path | None, hands: bool) -> None:
    """Write a page of the dance and open it."""
    from longdance.export.formats import export
    from longdance.export.sound import find_song
    from longdance.export.takes import ExportOptions
    from longdance.motion.motion import Motion

    page = out or Path(tempfile.mkdtemp(prefix="longdance-")) / f"{folder_stem(what)}.html"
    with progress_bar(what.name) as progress:
        made = list(pieces)
        dance = made[0] if len(made) == 1 else Motion.joined(made)
        notes: list[str] = []
        song = song or find_song(dance, [what.parent, Path()], notes)
        export(dance, page, options=ExportOptions(hands=hands), song_path=song, progress=progress)
    for note in notes:
        say(f"note: {note}")
    typer.echo(page)
    webbrowser.open(page.resolve().as_uri())
