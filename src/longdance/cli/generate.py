"""``longdance generate``: dances to songs."""

import json
import os
from collections.abc import Container, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from longdance.choreography.request import MORE, DanceRequest
from longdance.cli.options import PanelCommand, takes_request
from longdance.cli.terminal import SOME_FAILED, app, one_line, progress_bar, reason, report, say
from longdance.errors import InputError
from longdance.export.endings import FORMATS, file_ending, is_format
from longdance.files import AUDIO_ENDINGS

if TYPE_CHECKING:
    from longdance.batch import Order

MANY = "Several songs"
LONGEST_NAME = 200


@app.command(cls=PanelCommand)
@takes_request()
def generate(
    *,
    songs: Annotated[list[Path], typer.Argument(metavar="SONG...", help="Audio or video files, or folders.")],
    model: Annotated[str, typer.Option(help="A shipped model, or a folder with a trained one.")] = "edmg",
    request: DanceRequest,
    formats: Annotated[str, typer.Option("--format", help=f"Any of {','.join(FORMATS)}.")] = "npz,bvh,mp4",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="A folder, or a file of one format.")] = None,
    takes: Annotated[
        int, typer.Option("-n", "--takes", min=1, max=1000, help="Dances to one song, each of the next seed.")
    ] = 1,
    fps: Annotated[
        float | None, typer.Option(min=1, max=240, help="Frame rate; the model's if not given.", rich_help_panel=MORE)
    ] = None,
    plan_out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the plan of phrases, as a score.", rich_help_panel=MORE)
    ] = None,
    quality: Annotated[
        str, typer.Option(help="Of mp4: preview (854 x 480), or full (1280 x 720).", rich_help_panel=MORE)
    ] = "preview",
    wav: Annotated[
        bool, typer.Option("--wav", help="Put the stretch of the song beside, as WAV.", rich_help_panel=MORE)
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Pass over songs that are done.", rich_help_panel=MANY)
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that share them; one if not given.", rich_help_panel=MANY)
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Share them on Ray; local, or a cluster's.", rich_help_panel=MANY),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of results for machines.", rich_help_panel=MORE)
    ] = False,
) -> None:
    """Dance to songs: one dance each, the whole song unless told otherwise."""
    single = out if out is not None and is_format(out) else None
    endings = ("npz",) if single is not None else chosen_formats(formats)
    if out is not None and single is None and os.path.exists(out) and not os.path.isdir(out):
        raise typer.BadParameter(f"{out}: expected a folder, or a file that ends in one of {', '.join(FORMATS)}")
    files = find_songs(songs)
    many = len(files) > 1 or resume or workers is not None or ray is not None
    if single is not None and many:
        raise typer.BadParameter(f"{out} is one file, but there are several songs; give a folder")
    if takes > 1 and many:
        raise typer.BadParameter("several takes are made of one song; leave out --takes, or name one song")

    if plan_out is not None and (many or takes > 1):
        raise typer.BadParameter("--plan-out writes the plan of one dance; leave out --takes, or name one song")
    if plan_out is not None and not request.phrases:
        raise typer.BadParameter("--plan-out writes the plan of a dance of phrases; add --phrases 1")

    from longdance.batch import Order
    from longdance.export.takes import ExportOptions

    files_as = ExportOptions(fps=fps, wav=wav, quality=quality)
    order, told = Order(model=model, request=request, files=files_as, plan_out=plan_out), Told(quiet=as_json)
    if many:
        how = {"resume": resume, "workers": workers, "ray": ray}
        dance_to_all(order, files, out or Path("dances"), endings, told, **how)
    else:
        folder = single.parent if single else song_folder(out, files[0], many=False, taken=set())
        dance_to_one(order, files[0], [single] if single else files_for(files[0], folder, endings), told, takes=takes)
    if as_json:
        typer.echo(json.dumps({"dances": told.results, "failed": told.failed}))
    if told.failed:
        count = len(told.results)
        say(f"{count} of {count + len(told.failed)} songs danced; failed:\n  " + "\n  ".join(told.failed))
        raise typer.Exit(SOME_FAILED)


class Told:
    """What came of the songs so far; people hear of each at once."""

    def __init__(self, *, quiet: bool):
        self.quiet = quiet
        self.results: list[dict] = []
        self.failed: list[str] = []

    def done(
        self, song: Path, files: Sequence[Path], measured: dict, notes: Sequence[str], tempo: float | None
    ) -> None:
        """A song was danced to."""
        self.results.append({"song": str(song), "files": [str(file) for file in files], **measured})
        if not self.quiet:
            report(self.results[-1], notes, tempo)

    def failure(self, song: Path, why: str) -> None:
        """A song could not be danced to."""
        self.failed.append(one_line(why))
        known = one_line(song) in self.failed[-1]
        say(f"skipped: {self.failed[-1]}" if known else f"{one_line(song)}: skipped: {self.failed[-1]}")


def dance_to_one(order: "Order", song: Path, targets: list[Path], told: Told, *, takes: int) -> None:
    """Dance to a song and write the targets; of several takes each its own, numbered from 1."""
    from longdance.choreography.pretrained import load

    dancer = load(order.model)
    dancer.expect_possible(order.request)
    for take in range(takes):
        mine = replace(order, request=order.request.changed(seed=order.request.seed + take))
        files = targets if takes == 1 else [numbered(path, take + 1) for path in targets]
        try:
            with progress_bar(song.name, quiet=told.quiet) as progress:
                progress(0, 1, "listening")
                danced = mine.dance(dancer, song, files, progress=progress)
            told.done(song, *danced)
        except (InputError, OSError) as error:
            told.failure(song, reason(error))
            return  # another seed changes nothing about it


def dance_to_all(
    order: "Order", files: list[Path], folder: Path, endings: Sequence[str], told: Told, **how: Any
) -> None:
    """Dance to every song, in a folder of its own below ``folder``."""
    from longdance.batch import MANIFEST, Manifest, Record, Task, absolute, dance_all

    called = {absolute(path): path for path in reversed(files)}
    known = Manifest(folder / MANIFEST).folders()
    taken, tasks = set(known.values()), []
    for path in (called[name] for name in dict.fromkeys(map(absolute, files))):
        place = folder / known[absolute(path)] if absolute(path) in known else None
        place = place or song_folder(folder, path, many=True, taken=taken)
        tasks.append(Task(path, tuple(files_for(path, place, endings))))

    def tell(record: Record) -> None:
        if record.state != "done":
            told.failure(called[record.song], record.error or "")

    with progress_bar(f"{len(tasks)} songs", quiet=told.quiet) as bar:
        records = dance_all(order, tasks, folder, **how, progress=bar, told=tell)
    for record in records:
        if record.state == "done":
            written = [folder / name for name in record.outputs]
            told.done(called[record.song], written, record.facts, record.notes, record.tempo_bpm)


def chosen_formats(written: str) -> tuple[str, ...]:
    """Formats by their names, separated by commas; ``BadParameter`` for unknown ones."""
    endings = tuple(part.strip().lower() for part in written.split(",") if part.strip())
    if not endings or any(ending not in FORMATS for ending in endings):
        raise typer.BadParameter(f"expected formats among {', '.join(FORMATS)}, got {written!r}")
    return endings


def files_for(song: Path, folder: Path, endings: Sequence[str]) -> list[Path]:
    """The files of a song's dance."""
    return [folder / f"{folder_stem(song)}.{file_ending(ending)}" for ending in endings]


def numbered(path: Path, take: int) -> Path:
    """A file's name with the number of a take before its ending."""
    endings = [f".{file_ending(name)}" for name in FORMATS]
    longest = max((ending for ending in endings if path.name.lower().endswith(ending)), key=len, default="")
    stem = path.name.removesuffix(path.name[len(path.name) - len(longest) :])
    return path.with_name(f"{stem}-{take}{path.name[len(stem) :]}")


def find_songs(paths: list[Path]) -> list[Path]:
    """The files named, and every song in the folders named, in order; ``BadParameter`` where there is none."""
    files: list[Path] = []
    for path in paths:
        if os.path.isdir(path):  # unlike the method of Path, false for a name that is too long
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in AUDIO_ENDINGS and p.is_file())
            if not inside:
                raise typer.BadParameter(f"{path}: expected songs in this folder, found none")
            files += inside
        else:
            files.append(path)
    return files


def song_folder(out: Path | None, song: Path, *, many: bool, taken: set[str]) -> Path:
    """Where a song's dances go; songs of the same name get numbered folders."""
    if out is not None and not many:
        return out
    name = unused(folder_stem(song), taken)
    taken.add(name)
    return (out or Path("dances")) / name


def unused(name: str, taken: Container[str]) -> str:
    """The name, with a number behind it if it is taken."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free


def folder_stem(song: Path) -> str:
    """The song's file name without its ending, fit to be a folder: printable, and short enough to add endings to."""
    name = "".join(letter if letter.isprintable() else "_" for letter in song.stem)
    return name.encode()[:LONGEST_NAME].decode(errors="ignore").strip(". ") or "dance"
