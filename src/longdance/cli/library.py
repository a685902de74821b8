"""``longdance library``: phrases to dance, the shipped ones and a user's own."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from longdance.cli.terminal import SOME_FAILED, app, one_line, progress_bar, say
from longdance.errors import InputError

if TYPE_CHECKING:
    from longdance.choreography.phrases.library import Library, Phrase

SHOWN = 12
"""Phrases of a library in a sheet or video."""
SHEET = ".png"

library = typer.Typer(
    help="Libraries of phrases: make one of your own dances, list, look, remove.", no_args_is_help=True,
    add_completion=False, rich_markup_mode=None,
)  # fmt: skip
app.add_typer(library, name="library")


@library.command()
def add(
    name: Annotated[str, typer.Argument(help="What to call it; one of that name is replaced.")],
    folder: Annotated[Path, typer.Argument(help="Folder of dances: BVH, FBX, GLB, npz, pkl, npy.")],
    genre: Annotated[
        str | None, typer.Option(help="Of all of them; else by folders named as genres; else they go with any.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Columns file, genre, movement, for each file.")
    ] = None,
) -> None:
    """Cut dances of your own into phrases, to dance them to any song."""
    from longdance.choreography.phrases.shelf import add_library
    from longdance.choreography.phrases.sources import sources_in
    from longdance.clips import TAKE_ENDINGS, read_take

    sources = sources_in(folder, genre=genre, labels=labels, endings=TAKE_ENDINGS)
    with progress_bar(f"library {name}") as progress:
        made = add_library(name, sources, read=read_take, progress=progress)
    say(f"{made.path}: {described(made.library)}")
    say(f"longdance generate SONG --phrases 1 --library {name} dances them")
    if made.failed:
        say("left out:\n  " + "\n  ".join(one_line(text) for text in made.failed))
        raise typer.Exit(SOME_FAILED)


@library.command("list")
def list_libraries(
    as_json: Annotated[bool, typer.Option("--json", help="One line for machines.")] = False,
) -> None:
    """What libraries there are."""
    from longdance.choreography.phrases.shelf import library_names, open_library

    found = [open_library(name) for name in library_names()]
    if as_json:
        typer.echo(json.dumps([{"name": each.name, "takes": len(each.takes), "genres": each.genres} for each in found]))
        return
    for each in found:
        typer.echo(f"{each.name}: {described(each)}")


@library.command()
def show(
    name: Annotated[str, typer.Argument(help="The library.")],
    phrase: Annotated[str | None, typer.Option(help="One phrase of it; some of all if not given.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="A sheet (.png) or a small video (.mp4).")] = None,
) -> None:
    """The phrases of a library: their names, or pictures of them."""
    from longdance.choreography.phrases.preview import spread
    from longdance.choreography.phrases.shelf import open_library

    opened = open_library(name)
    if out is None:
        for each in opened.phrases if phrase is None else [opened.phrase(phrase)]:
            facts = opened.facts(each)
            what = f"{facts.genre or 'any genre'}  {', '.join(facts.movements)}"
            typer.echo(f"{each.name}  {each.counts} counts at {each.tempo_bpm:.0f} BPM  {what}")
        return
    chosen = spread(opened, SHOWN) if phrase is None else [opened.phrase(phrase)]
    draw(opened, chosen, out)
    typer.echo(out)


@library.command()
def remove(name: Annotated[str, typer.Argument(help="One of your own libraries.")]) -> None:
    """Remove a library of your own; dances that were made with it stay."""
    from longdance.choreography.phrases.shelf import remove_library

    say(f"removed {remove_library(name)}")


def described(library: "Library") -> str:
    """How much a library holds, in words."""
    genres = ", ".join(f"{genre or 'any genre'} {count}" for genre, count in library.genres.items())
    return f"{len(library.phrases)} phrases of {len(library.takes)} takes ({genres})"


def draw(library: "Library", phrases: "list[Phrase]", out: Path) -> None:
    """A sheet of four poses a phrase, or a video of them one after the other."""
    import tempfile

    from longdance.choreography.phrases.preview import previews
    from longdance.export.video import contact_sheet, render_video

    if out.suffix.lower() not in (SHEET, ".mp4"):
        raise InputError(f"{out}: expected a file that ends in .png or .mp4")
    motion = previews(library, phrases)
    with progress_bar(out.name) as progress:
        if out.suffix.lower() == ".mp4":
            render_video(motion, out, width=480, height=360, progress=progress)
            return
        with tempfile.TemporaryDirectory() as folder:
            film = Path(folder) / "phrases.mp4"
            render_video(motion, film, width=240, height=240, fps=6, progress=progress)
            contact_sheet(film, out, count=4 * len(phrases), tile_width=240)
