"""``longdance evaluate``: models and dances measured."""

from pathlib import Path
from typing import Annotated

import typer

from longdance.choreography.request import OPTIONS, DanceRequest
from longdance.cli.options import PanelCommand, takes_request
from longdance.cli.terminal import SOME_FAILED, app, progress_bar, say

DRAWN = (
    "phrases", "library", "steps", "sampler", "music_guidance", "text_guidance", "energy", "trm", "cleanup", "device",
)  # fmt: skip
"""Fields of a request that say how dances are drawn; the others are set for each dance."""

HELPS = {
    "energy": "Of the rows guided and cleaned: NAME=STRENGTH,..., off or usual; the model's own if not given.",
    "trm": "Rows with EDMG's second stage, the Temporal Refinement Module; without, its first stage alone.",
    "cleanup": "A row of what generate makes by default.",
    "phrases": "A row beside the others, led so strictly by recorded phrases.",
}


@app.command(cls=PanelCommand)
@takes_request(without=[name for name in OPTIONS if name not in DRAWN], helps=HELPS)
def evaluate(
    *,
    what: Annotated[
        list[str], typer.Argument(metavar="WHAT...", help="Models, dances or folders of dances; with --tally, answers.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the report; or the page or video to write.")],
    data: Annotated[Path | None, typer.Option(help="A prepared store: its held-out dances are the truth.")] = None,
    songs: Annotated[Path | None, typer.Option(help="Folder of songs, NAME.beats beside; see docs.")] = None,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Dances per song.")] = 3,
    seconds: Annotated[float | None, typer.Option(min=0.5, help="Length of dances; the song's if not given.")] = None,
    words: Annotated[bool, typer.Option(help="Tell models genre and movements of the held-out dance.")] = True,
    split: Annotated[str, typer.Option(help="Split that is held out.")] = "test",
    variant: Annotated[list[str] | None, typer.Option(help="Feature variant, may be repeated; see docs.")] = None,
    window: Annotated[
        float | None, typer.Option(min=0.5, help="Seconds of windows of features; whole dances if not given.")
    ] = None,
    exchange: Annotated[
        bool, typer.Option("--exchange/--no-exchange", help="Dance ten short dances more: does the song matter?")
    ] = True,
    joints: Annotated[int | None, typer.Option(min=22, max=24, help="Joints that count; 22 leaves out hands.")] = None,
    fps: Annotated[float | None, typer.Option(min=1, max=240, help="Frame rate of bare joints by others.")] = None,
    up: Annotated[str, typer.Option(help="Upward axis of bare joints by others: y or z.")] = "y",
    request: DanceRequest,
    side_by_side: Annotated[
        bool, typer.Option("--side-by-side", help="Write a video (.mp4) of dances to one song instead.")
    ] = False,
    song: Annotated[Path | None, typer.Option(help="The song for --side-by-side and --blind.")] = None,
    blind: Annotated[
        bool, typer.Option("--blind", help="Write a page (.html) that asks people to compare pairs instead.")
    ] = False,
    tally: Annotated[bool, typer.Option("--tally", help="Count the answers of such pages (.json) instead.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Order of pairs and sides with --blind.")] = 0,
) -> None:
    """Measure models or dances against held-out real dances, or let people compare them."""
    if sum((side_by_side, blind, tally)) > 1:
        raise typer.BadParameter("expected one of --side-by-side, --blind and --tally")
    if tally:
        from longdance.evaluate.blind import write_tally

        typer.echo(write_tally([Path(path) for path in what], out))
        return
    if blind or side_by_side:
        from longdance.evaluate.blind import write_page
        from longdance.evaluate.side_by_side import write_video

        with progress_bar(out.name) as progress:
            if blind:
                write_page([Path(path) for path in what], out, song=song, seed=seed, progress=progress)
            else:
                write_video([Path(path) for path in what], out, song=song, progress=progress)
        typer.echo(out)
        return
    if data is None:
        raise typer.BadParameter("expected --data STORE")
    from longdance.data.store import Store
    from longdance.evaluate.measure import Protocol
    from longdance.evaluate.report import write_report
    from longdance.evaluate.run import Asked
    from longdance.evaluate.run import evaluate as run

    store = Store.open(data)
    variants = tuple(variant) if variant else Protocol.variants
    protocol = Protocol(fps=store.fps, window=window, joints=joints, variants=variants)
    asked = Asked(seeds=tuple(range(seeds)), seconds=seconds, words=words, request=request, exchange=exchange)
    with progress_bar("evaluate") as bar:
        how = {"protocol": protocol, "asked": asked, "split": split, "fps": fps, "up": up}
        found = run(what, store, out, songs=songs, progress=bar, **how)
        written = write_report(found, out)
    for note in found.notes:
        say(f"note: {note}")
    for path in written:
        typer.echo(path)
    if found.failed:
        say("failed:\n  " + "\n  ".join(f"{name}: {reason}" for name, reason in found.failed.items()))
        raise typer.Exit(SOME_FAILED)
