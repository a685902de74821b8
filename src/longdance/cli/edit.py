"""``longdance edit``: changes of a dance."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from longdance.choreography.request import MORE, DanceRequest
from longdance.cli.generate import chosen_formats, folder_stem
from longdance.cli.options import PanelCommand, takes_request
from longdance.cli.terminal import app, progress_bar, report
from longdance.errors import InputError
from longdance.export.endings import file_ending, is_format

if TYPE_CHECKING:
    from longdance.motion.motion import Motion


NOT_EDITED = (
    "score", "start", "seconds", "bpm", "beat_offset", "meter", "beats", "guidance_until", "soft_level",
    "mirror", "beat_align", "parabola", "phrases", "library",
)  # fmt: skip
"""Fields of a request that a dance settles by itself, or that its plan does."""


@app.command(cls=PanelCommand)
@takes_request(
    without=NOT_EDITED, helps={"genre": "For what is made anew; the dance's own if not given.", "seed": "Another try."}
)
def edit(
    *,
    dance: Annotated[Path, typer.Argument(metavar="DANCE", help="A dance (.npz).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write, or a folder for the formats.")],
    model: Annotated[
        str | None, typer.Option(help="The model that made the dance if not given; or another, or a folder with one.")
    ] = None,
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
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Exchange left and right; with --phrase, of that alone.")
    ] = False,
    phrase: Annotated[int | None, typer.Option(min=1, metavar="K", help="A phrase of its plan, from 1.")] = None,
    swap: Annotated[
        str | None, typer.Option(metavar="NAME", help="Dance this phrase in place of --phrase; see longdance library.")
    ] = None,
    repeat: Annotated[bool, typer.Option("--repeat", help="Dance --phrase again in place of the next one.")] = False,
    tempo: Annotated[float | None, typer.Option(min=20, max=400, help="BPM to bring the dance to.")] = None,
    request: DanceRequest,
    formats: Annotated[str, typer.Option("--format", help="Formats for a folder.", rich_help_panel=MORE)] = "npz",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of results for machines.", rich_help_panel=MORE)
    ] = False,
) -> None:
    """Change a dance: redo a stretch, in-between key frames, go on, blend two, change a phrase, mirror, another tempo.

    What is not asked to change stays as it is. One of --redo/--keep, --from, --extend, --blend and --phrase at a time.
    """
    endings = chosen_formats(formats)
    targets = [out] if is_format(out) else [out / f"{folder_stem(dance)}.{file_ending(ending)}" for ending in endings]
    asked = {
        "redo": bool(redo or keep or joints != "all" or keep_feet), "from_here_on": from_here is not None,
        "go_on": extend is not None, "blend": blend is not None, "phrase": phrase is not None,
    }  # fmt: skip
    expect_one(asked, otherwise=mirror or tempo is not None)
    if (phrase is not None) != (swap is not None or repeat or (mirror and phrase is not None)):
        raise typer.BadParameter("expected --phrase K together with one of --swap NAME, --mirror and --repeat")
    if (blend is None) != (at is None):
        raise typer.BadParameter("expected --blend DANCE together with --at SECONDS")
    redone, kept = parse_ranges(redo, "--redo"), parse_ranges(keep, "--keep")

    from longdance.choreography.edit import edited, song_of
    from longdance.choreography.pretrained import load, maker_of
    from longdance.export.formats import export as write
    from longdance.export.sound import find_song
    from longdance.motion.motion import Motion

    motion = Motion.load(dance)
    with progress_bar(dance.name, quiet=as_json) as progress:
        heard = song or find_song(motion, [dance.parent, Path()])
        for what in (name for name, wanted in asked.items() if wanted):
            if heard is None:
                raise InputError(f"{dance}: expected its song beside it; name it with --song")
            progress(0, 1, "listening")
            motion = edited(
                motion, what, dancer=maker_of(motion) if model is None else load(model),
                request=request.changed(song=song_of(motion, heard)), progress=progress,
                stretches=closed(redone, motion) or [(0.0, motion.seconds)], keep=closed(kept, motion), joints=joints,
                keep_feet=keep_feet, at=from_here if at is None else at, seconds=extend,
                other=None if blend is None else Motion.load(blend), phrase=phrase, swap=swap, mirrored=mirror,
                repeat=repeat,
            )  # fmt: skip
        if mirror and phrase is None:
            motion = edited(motion, "mirror")
        if tempo is not None:
            motion, heard = edited(motion, "tempo", bpm=tempo), None
        written: list[Path] = []
        for target in targets:
            written += write(motion, target, song_path=heard, progress=progress)
    tell(dance, motion, written, as_json=as_json)


def tell(source: Path, dance: "Motion", written: list[Path], *, as_json: bool) -> None:
    """Say what came of an edit, to people or to machines."""
    from longdance.metrics.report import facts

    result = {"dance": str(source), "files": [str(file) for file in dict.fromkeys(written)], **facts(dance)}
    if as_json:
        typer.echo(json.dumps(result))
    else:
        report(result, dance.meta.get("notes", ()), dance.meta.get("tempo_bpm"))


def expect_one(asked: dict[str, bool], *, otherwise: bool) -> None:
    """``BadParameter`` unless one edit is asked for, or none and something ``otherwise``."""
    if sum(asked.values()) > 1 or not (any(asked.values()) or otherwise):
        some = "--redo/--keep, --from, --extend, --blend, --phrase"
        raise typer.BadParameter(f"expected one of {some}; or --mirror, --tempo")


def closed(ranges: list[tuple[float, float | None]], dance: "Motion") -> list[tuple[float, float]]:
    """The ranges with open ends at the dance's end."""
    return [(begin, dance.seconds if end is None else end) for begin, end in ranges]


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
