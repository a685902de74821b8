"""``longdance models`` and ``longdance catalogue``: what there is to choose from."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from longdance.cli.terminal import app, say
from longdance.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from longdance.data.catalogue import Genre, Movement


@app.command()
def models() -> None:
    """List what can be loaded."""
    from longdance.models.folders import WEIGHTS, parts_of, shipped

    for name in shipped():
        stages = [json.loads((part / "config.json").read_text(encoding="utf-8")) for part in parts_of(WEIGHTS / name)]
        steps = " + ".join(str(stage["trained_steps"]) for stage in stages)
        genres = ", ".join(stages[-1]["genres"])
        typer.echo(f"{name}: {stages[-1]['fps']:g} fps, {steps} training steps; genres: {genres}")


@app.command()
def catalogue(
    genre: Annotated[str | None, typer.Argument(help="A genre; all of them if not given.")] = None,
    search: Annotated[str | None, typer.Option(help="Words to find movements by.")] = None,
) -> None:
    """Genres and fundamental movements, and which of them the shipped weights were trained on."""
    from rich.console import Console

    from longdance.data.catalogue import find_genre, genre_names, load_catalogue
    from longdance.data.search import search as search_movements

    console = Console(highlight=False, markup=False, emoji=False)
    trained = trained_genres()
    if genre is None and search is None:
        console.print(genre_table([load_catalogue()[name] for name in genre_names()], trained))
        console.print("longdance catalogue GENRE shows its movements, --search WORDS finds movements of all genres")
        return
    entry = None
    if genre is not None:
        entry, corrected = find_genre(genre)
        if corrected:
            say(f"note: genre {genre!r} was read as {entry.name!r}")
    if search is not None:
        movements = [hit.movement for hit in search_movements(search, genre=entry and entry.name)]
        if not movements:
            raise InputError(f"expected words of the catalogue, got {search!r}; try a part of the body or of a name")
        console.print(movement_table(movements, trained, genres=True))
        return
    assert entry is not None  # there is a genre where there are no words to search for
    console.print(f"{entry.title}: {entry.description}")
    models = trained.get(entry.name)
    console.print(f"trained: {', '.join(models)}" if models else "not trained: no shipped weights know this genre")
    console.print(movement_table(entry.fundamentals, trained, title=f"{len(entry.fundamentals)} fundamental movements"))
    if others := [movement for movement in entry.movements if not movement.fundamental]:
        console.print(movement_table(others, trained, title="also labelled in the open data"))


def trained_genres() -> dict[str, list[str]]:
    """Names of the shipped models that were trained on each genre."""
    trained: dict[str, list[str]] = {}
    weights = Path(__file__).parents[1] / "weights"
    for path in sorted((*weights.glob("*/config.json"), *weights.glob("*/local/config.json"))):
        for genre in json.loads(path.read_text(encoding="utf-8"))["genres"]:
            trained.setdefault(genre, []).append(path.relative_to(weights).parts[0])
    return trained


def genre_table(genres: "list[Genre]", trained: dict[str, list[str]]) -> "Table":
    """One line per genre."""
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table("genre", "movements", "trained", "also called", box=SIMPLE)
    for genre in genres:
        labelled = len(genre.movements) - len(genre.fundamentals)
        table.add_row(
            genre.name,
            f"{len(genre.fundamentals):2}" + (f" + {labelled} labelled" if labelled else ""),
            ", ".join(trained.get(genre.name, ())) or "not trained",
            ", ".join(genre.aliases[:3]),
        )
    return table


def movement_table(
    movements: "Sequence[Movement]", trained: dict[str, list[str]], *, genres: bool = False, title: str | None = None
) -> "Table":
    """One row per movement: names, counts, training clips that show it, description."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE, title=title, title_justify="left")
    table.add_column("movement", min_width=16, max_width=32)
    table.add_column("counts", justify="right")
    table.add_column("clips", justify="right")
    table.add_column("what the body does")
    for movement in movements:
        names = Text(movement.name, style="bold")
        if movement.aliases:
            names.append(f"\n{', '.join(movement.aliases)}", style="not bold dim")
        if genres:
            names.append(f"\n{movement.genre}", style="not bold italic")
        clips = movement.clips.train if movement.genre in trained else 0
        table.add_row(names, str(movement.counts or ""), str(clips or "-"), movement.description)
    return table
