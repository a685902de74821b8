"""``longdance prepare`` and ``longdance train``."""

from pathlib import Path
from typing import Annotated

import typer

from longdance.cli.terminal import SOME_FAILED, app, progress_bar, say, told_of
from longdance.registry import DATASETS, RECIPES


@app.command()
def prepare(
    dataset: Annotated[str, typer.Argument(help=f"{DATASETS.names()}.")],
    source: Annotated[Path, typer.Option(help="Folder of the data set as published, or of your own BVH files.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the prepared store.")],
    settings: Annotated[list[str] | None, typer.Argument(help="key=value, such as fps=30 layout=smpl22.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one per core if not given.")] = None,
    ray: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Share the work on Ray: local, or a cluster's address.")
    ] = None,
) -> None:
    """Read a data set into a prepared store for training."""
    from longdance.train.overrides import override

    if dataset not in DATASETS:
        raise typer.BadParameter(f"expected a data set among {', '.join(DATASETS)}, got {dataset!r}")
    known = DATASETS[dataset]
    chosen = override(known.settings(), settings or [])
    with progress_bar(f"prepare {dataset}") as progress:
        outcome = known.prepare(source, out, settings=chosen, workers=workers, ray=ray, progress=progress)
    if outcome.unchanged:
        say(f"{out} is up to date: {outcome.clips} clips")
        return
    say(f"{out}: {outcome.clips} clips")
    for note in outcome.notes:
        say(f"note: {note}")
    if outcome.failed:
        say("failed:\n  " + "\n  ".join(outcome.failed))
        raise typer.Exit(SOME_FAILED)


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="tiny, edmg-open, lodge-open, ...; an unknown name lists all.")],
    data: Annotated[Path, typer.Option(help="A prepared store.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run.")],
    settings: Annotated[list[str] | None, typer.Argument(help="key=value, such as steps=500 batch.size=8.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in that folder.")] = False,
    devices: Annotated[
        int | None, typer.Option(min=1, help="Processes on each node, one per GPU; all GPUs if not given.")
    ] = None,
    nodes: Annotated[int, typer.Option(min=1, help="Machines; see docs/scale.md.")] = 1,
    accumulate: Annotated[int, typer.Option(min=1, help="Batches per step and process.")] = 1,
) -> None:
    """Train a recipe; the folder can then be given to `generate --model`."""
    from longdance.data.store import Store
    from longdance.train.overrides import override

    if recipe not in RECIPES:
        raise typer.BadParameter(f"expected a recipe among {', '.join(RECIPES)}, got {recipe!r}")
    config = override(RECIPES[recipe](), settings or [])
    store = Store.open(data)
    from longdance.train.loop import is_first_process
    from longdance.train.stages import train_recipe

    sharing = {"devices": devices, "nodes": nodes, "accumulate": accumulate}
    with progress_bar(f"train {recipe}", quiet=not is_first_process()) as progress, told_of("longdance.train"):
        train_recipe(config, store, out, resume=resume, progress=progress, **sharing)
    if is_first_process():
        say(next_step(out))
        typer.echo(out)


def next_step(run: Path) -> str:
    """What to do with a trained folder, in a line that can be typed where there is one."""
    from longdance.choreography.capabilities import DANCERS
    from longdance.choreography.pretrained import ALONE, REFINER
    from longdance.models.folders import kind_of, parts_of, record_of

    kind = kind_of(run) if parts_of(run) else ""
    if kind in DANCERS:
        return f"next: longdance generate SONG --model {run}"
    if kind in ALONE:
        return f"next: {ALONE[kind]}"
    if parts_of(run) and "refiner" in record_of(run):
        model = run.parent if run.name == REFINER else None
        if model is not None:
            return f"next: longdance generate SONG --model {model}"
        return f"next: put it as {REFINER} into its model's folder, then longdance generate SONG --model THAT_FOLDER"
    return f"next: see docs/reproduce.md for what {run} is for"
