"""The command line. Thin on purpose: whatever it does, a few lines of Python can do.

Heavy modules are imported inside the commands, so that ``--help`` answers at once.
"""

import json
import logging
import os
import sys
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from longdance import __version__
from longdance.errors import InputError, LongdanceError

if TYPE_CHECKING:
    from rich.table import Table

    from longdance.data.catalogue import Genre, Movement

app = typer.Typer(
    name="longdance",
    help="A song, and words about how to dance to it, into minutes of 3D dance.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

AUDIO_ENDINGS = {
    ".wav", ".mp3", ".ogg", ".oga", ".opus", ".flac", ".m4a", ".aac", ".wma", ".aif", ".aiff",
    ".mp4", ".mkv", ".mov", ".webm", ".avi",
}  # fmt: skip

LONGEST_NAME = 200
"""Bytes; file systems allow 255."""

SUCCESS, SOME_FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130


def main() -> None:
    """Entry point: 0 when all was done, 1 when some input failed, 2 for wrong usage."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    # Threads that wait by spinning take the cores from each other as soon as the machine does anything else. So let
    # them sleep after some microseconds; GNU's OpenMP asks once, when torch is imported, which commands do.
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    try:
        app()
    except LongdanceError as error:
        say(f"error: {one_line(error)}")
        sys.exit(SOME_FAILED)
    except MemoryError as error:
        say(f"error: expected less to hold at once, no memory left ({one_line(error)}); try shorter or smaller files")
        sys.exit(SOME_FAILED)
    except OSError as error:  # a full disk, a name too long, a folder that is not ours
        say(f"error: {reason(error)}")
        sys.exit(SOME_FAILED)
    except KeyboardInterrupt:
        say("stopped; nothing half-written was left behind")
        sys.exit(INTERRUPTED)


def say(text: str) -> None:
    """A line to standard error, where everything but results goes."""
    typer.echo(text, err=True)


def one_line(message: object) -> str:
    """What a file's name or content says, as one line that cannot command the terminal it is printed on."""
    text = "; ".join(line.strip() for line in str(message).splitlines() if line.strip())
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)


def reason(error: Exception) -> str:
    """What went wrong, in one line."""
    if isinstance(error, OSError) and error.filename:
        return one_line(f"{error.filename}: {error.strerror}; try another place or name")
    return one_line(error)


@contextmanager
def progress_bar(label: str, *, quiet: bool = False) -> Iterator[Callable[[int, int, str], None]]:
    """A progress callback that draws a bar on standard error, one line per kind of work."""
    if quiet:
        yield lambda done, total, what: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        label = one_line(label)
        task = bars.add_task(label)

        def update(done: int, total: int, what: str) -> None:
            bars.update(task, completed=done, total=total, description=f"{label}: {what}" if what else label)

        yield update


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Options that stand before the command."""
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def generate(
    songs: Annotated[list[Path], typer.Argument(metavar="SONG...", help="Audio or video files, or folders.")],
    model: Annotated[str, typer.Option(help="A shipped model, or a folder with a trained one.")] = "edmg",
    genre: Annotated[str | None, typer.Option(help="See `longdance catalogue`.")] = None,
    movement: Annotated[list[str] | None, typer.Option(help="A movement of the genre; may be repeated.")] = None,
    prompt: Annotated[str | None, typer.Option(help="Free words about the dance.")] = None,
    score: Annotated[Path | None, typer.Option(help="A timeline of what to dance when; see docs/score.md.")] = None,
    start: Annotated[float, typer.Option(min=0, help="Second of the song to begin at.")] = 0.0,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Length; the rest of the song if not given.")] = None,
    bpm: Annotated[float | None, typer.Option(min=20, max=400, help="Tempo, if the tracker gets it wrong.")] = None,
    beat_offset: Annotated[float | None, typer.Option(help="Second of a first beat, with --bpm.")] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Denoising steps; the model's own if not given.")
    ] = None,
    sampler: Annotated[str | None, typer.Option(help="dpm2m, ddim or ddpm; the model's own if not given.")] = None,
    music_guidance: Annotated[float, typer.Option(help="How strongly the music leads; 1 is plain.")] = 1.0,
    text_guidance: Annotated[float, typer.Option(help="How strongly the words lead; 1 is plain.")] = 6.0,
    refine: Annotated[bool, typer.Option(help="Meet the beats, smooth, let standing feet stand.")] = True,
    soft_level: Annotated[
        float | None, typer.Option(min=0, max=1, help="lodge: how long its soft primitives lead; 0 not at all.")
    ] = None,
    mirror: Annotated[bool | None, typer.Option(help="lodge: dance soft primitives to both sides.")] = None,
    beat_align: Annotated[bool | None, typer.Option(help="lodge: put soft primitives on beats.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another dance.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:N, or auto: cuda where there is one.")] = "auto",
    fps: Annotated[float | None, typer.Option(min=1, max=240, help="Frame rate; the model's if not given.")] = None,
    formats: Annotated[
        str, typer.Option("--format", help="Any of npz,bvh,mp4,glb,vrma,fbx,usd,amass,html.")
    ] = "npz,bvh,mp4",
    wav: Annotated[bool, typer.Option("--wav", help="Put the stretch of the song beside, as WAV.")] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="A folder, or a file of one format.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Several songs: pass over those that are done.")] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Several songs: processes that share them; one if not given.")
    ] = None,
    ray: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Several songs: share them on Ray; local, or a cluster's.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of results for machines.")] = False,
) -> None:
    """Dance to songs: one dance each, the whole song unless told otherwise."""
    from longdance.export.endings import FORMATS, file_ending, is_format

    endings = tuple(part.strip().lower() for part in formats.split(",") if part.strip())
    single = out if out is not None and is_format(out) else None
    if single is not None:
        endings = FORMATS[:1]
    wrong = [ending for ending in endings if ending not in FORMATS]
    if wrong or not endings:
        raise typer.BadParameter(f"expected formats among {', '.join(FORMATS)}, got {formats!r}")
    if out is not None and single is None and os.path.exists(out) and not os.path.isdir(out):
        raise typer.BadParameter(f"{out}: expected a folder, or a file that ends in one of {', '.join(FORMATS)}")
    files = find_songs(songs)
    many = len(files) > 1 or resume or workers is not None or ray is not None
    if single is not None and many:
        raise typer.BadParameter(f"{out} is one file, but there are several songs; give a folder")

    from longdance.batch import MANIFEST, Commission, Manifest, Order, Record, absolute, dance_all
    from longdance.choreography.score import Score

    cues = {"soft_level": soft_level, "mirror": mirror, "beat_align": beat_align}
    order = Order(
        model=model,
        genre=genre,
        movement=tuple(movement or ()),
        prompt=prompt,
        score=score,
        start=start,
        seconds=seconds,
        bpm=bpm,
        beat_offset=beat_offset,
        steps=steps,
        sampler=sampler,
        music_guidance=music_guidance,
        text_guidance=text_guidance,
        refine=refine,
        cues={name: value for name, value in cues.items() if value is not None},
        seed=seed,
        fps=fps,
        wav=wav,
        device=device,
    )
    if score is not None:
        Score.load(score)  # before any song is listened to
    if order.cues:
        check_led(order.cues, model)
    file_names = lambda path: [f"{folder_stem(path)}.{file_ending(ending)}" for ending in endings]  # noqa: E731
    results, failed = [], []

    def tell_done(song: Path, files: list[Path], measured: dict, notes: Sequence[str], tempo: float | None) -> None:
        results.append({"song": str(song), "files": [str(file) for file in files], **measured})
        if not as_json:
            report(results[-1], notes, tempo)

    def tell_failed(song: Path, why: str) -> None:
        failed.append(one_line(why))
        say(f"skipped: {failed[-1]}" if one_line(song) in failed[-1] else f"{one_line(song)}: skipped: {failed[-1]}")

    if not many:
        path = files[0]
        folder = single.parent if single else song_folder(out, path, many=False, taken=set())
        dancer = order.dancer()
        try:
            with progress_bar(path.name, quiet=as_json) as progress:
                progress(0, 1, "listening")
                targets = [single] if single else [folder / name for name in file_names(path)]
                danced = order.dance(dancer, path, targets, progress=progress)
            tell_done(path, *danced)
        except (InputError, OSError) as error:
            tell_failed(path, reason(error))
    else:
        folder, called = out or Path("dances"), {absolute(path): path for path in reversed(files)}
        known = Manifest(folder / MANIFEST).folders()
        taken = set(known.values())
        commissions = []
        for path in (called[name] for name in dict.fromkeys(map(absolute, files))):
            place = folder / known[absolute(path)] if absolute(path) in known else None
            place = place or song_folder(folder, path, many=True, taken=taken)
            commissions.append(Commission(path, tuple(place / name for name in file_names(path))))

        def tell(record: Record) -> None:
            if record.state != "done":
                tell_failed(called[record.song], record.error or "")

        with progress_bar(f"{len(commissions)} songs", quiet=as_json) as bar:
            how = {"resume": resume, "workers": workers, "ray": ray}
            records = dance_all(order, commissions, folder, **how, progress=bar, told=tell)
        for record in records:
            if record.state == "done":
                written = [folder / name for name in record.outputs]
                tell_done(called[record.song], written, record.facts, record.notes, record.tempo_bpm)
    if as_json:
        typer.echo(json.dumps({"dances": results, "failed": failed}))
    if failed:
        say(f"{len(results)} of {len(results) + len(failed)} songs danced; failed:\n  " + "\n  ".join(failed))
        raise typer.Exit(SOME_FAILED)


def check_led(cues: dict[str, float], name: str) -> None:
    """``BadParameter`` for a model without soft primitives that could be led by these settings."""
    from longdance.choreography.lodge import Lodge
    from longdance.choreography.pretrained import load

    if not isinstance(load(name), Lodge):
        options = ", ".join("--" + option.replace("_", "-") for option in cues)
        raise typer.BadParameter(f"{name} has no soft primitives for {options} to lead; use a lodge")


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


FACTS = (
    ("mean_joint_speed", "mean joint speed {:.2f} m/s"),
    ("foot_skating_cm_per_second", "feet on the floor slide {:.1f} cm/s"),
    ("mean_jerk", "jerk {:.0f} m/s^3"),
    ("beat_alignment", "beat alignment {:.2f}"),
    ("beat_alignment_by_chance", "by chance {:.2f}"),
)


def report(result: dict, notes: Sequence[str], tempo_bpm: float | None) -> None:
    """What was made, and a few measured facts, for people."""
    for note in notes:
        say(f"note: {one_line(note)}")
    measured = [text.format(result[key]) for key, text in FACTS if key in result]
    music = f", music at {tempo_bpm:.1f} BPM" if tempo_bpm else ""
    say(f"{result['seconds']:.1f} s at {result['fps']:g} fps{music}")
    if measured:
        say(", ".join(measured))
    for file in result["files"]:
        typer.echo(file)


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


@app.command()
def prepare(
    dataset: Annotated[str, typer.Argument(help="open, aistpp, finedance or bvh.")],
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
    from longdance.train.prepare import DATASETS

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
    from longdance.train.recipes import RECIPES

    if recipe not in RECIPES:
        raise typer.BadParameter(f"expected a recipe among {', '.join(RECIPES)}, got {recipe!r}")
    config = override(RECIPES[recipe](), settings or [])
    store = Store.open(data)
    from longdance.train.loop import is_first_process
    from longdance.train.stages import train_recipe

    sharing = {"devices": devices, "nodes": nodes, "accumulate": accumulate}
    with progress_bar(f"train {recipe}", quiet=not is_first_process()) as progress:
        train_recipe(config, store, out, resume=resume, progress=progress, **sharing)
    if is_first_process():
        typer.echo(out)


@app.command()
def export(
    dances: Annotated[list[Path], typer.Argument(metavar="DANCE...", help="A dance (.npz or .bvh); several as takes.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write; its ending names the format.")],
    song: Annotated[Path | None, typer.Option(help="The song; found beside the dance if not given.")] = None,
    fps: Annotated[float | None, typer.Option(min=1, max=240, help="Frame rate; the dance's if not given.")] = None,
    naming: Annotated[str, typer.Option(help="What joints are called: smpl, mixamo or vrm.")] = "smpl",
    up: Annotated[str | None, typer.Option(help="Upward axis, y or z; the format's own if not given.")] = None,
    unit: Annotated[str | None, typer.Option(help="m or cm; the format's own if not given.")] = None,
    in_place: Annotated[bool, typer.Option("--in-place", help="No travel: the pelvis stays above a spot.")] = False,
    root_bone: Annotated[bool, typer.Option("--root-bone", help="A bone on the floor carries the travel.")] = False,
    loop: Annotated[bool, typer.Option("--loop", help="The end runs into the beginning.")] = False,
    rig: Annotated[Path | None, typer.Option(help="Your own character (.glb, .vrm, .fbx, .bvh) dances.")] = None,
    mesh: Annotated[bool, typer.Option(help="With the mannequin, where the format can hold one.")] = True,
    wav: Annotated[bool, typer.Option("--wav", help="Put the stretch of the song beside, as WAV.")] = False,
) -> None:
    """Write a dance in another format."""
    from longdance.export.formats import export as write
    from longdance.export.sound import find_song
    from longdance.export.takes import ExportOptions
    from longdance.motion.motion import Motion

    options = ExportOptions(
        naming=naming,
        up=up,
        fps=fps,
        in_place=in_place,
        root_bone=root_bone,
        loop=loop,
        mesh=mesh,
        unit=unit,
        wav=wav,
        rig=rig,
    )
    motions: dict[str, Motion] = {}
    for path in dances:
        name = unused(path.stem if len(dances) > 1 else out.stem, motions)
        motions[name] = Motion.load(path)
    song = song or find_song(next(iter(motions.values())), [dances[0].parent, Path()])
    with progress_bar(out.name) as progress:
        try:
            written = write(motions, out, options=options, song_path=song, progress=progress)
        except InputError as error:
            if any(str(path) in str(error) for path in (*dances, out)):
                raise
            # A dance that reads well may still not be what the format needs.
            raise InputError(f"{', '.join(map(str, dances))}: {error}") from error
    for path in written:
        typer.echo(path)


@app.command()
def evaluate(
    what: Annotated[
        list[str], typer.Argument(metavar="WHAT...", help="Models, dances or folders of dances; with --tally, answers.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the report; or the page or video to write.")],
    data: Annotated[Path | None, typer.Option(help="A prepared store: its held-out dances are the truth.")] = None,
    songs: Annotated[Path | None, typer.Option(help="Folder of songs; composed for held-out dances if none.")] = None,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Dances per song.")] = 3,
    seconds: Annotated[float | None, typer.Option(min=0.5, help="Length of dances; the song's if not given.")] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Denoising steps; the model's own if not given.")
    ] = None,
    sampler: Annotated[str | None, typer.Option(help="dpm2m, ddim or ddpm; the model's own if not given.")] = None,
    words: Annotated[bool, typer.Option(help="Tell models genre and movements of the held-out dance.")] = True,
    split: Annotated[str, typer.Option(help="Split that is held out.")] = "test",
    variant: Annotated[list[str] | None, typer.Option(help="Feature variant, may be repeated; see docs.")] = None,
    window: Annotated[float, typer.Option(min=0.5, help="Seconds of the windows of features.")] = 5.0,
    joints: Annotated[int | None, typer.Option(min=22, max=24, help="Joints that count; 22 leaves out hands.")] = None,
    fps: Annotated[float | None, typer.Option(min=1, max=240, help="Frame rate of bare joints by others.")] = None,
    up: Annotated[str, typer.Option(help="Upward axis of bare joints by others: y or z.")] = "y",
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:N, or auto: cuda where there is one.")] = "auto",
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
    protocol = Protocol(fps=store.fps, window=window, hop=window / 2, joints=joints, variants=variants)
    asked = Asked(
        seeds=tuple(range(seeds)), seconds=seconds, steps=steps, sampler=sampler, words=words, device=device
    )
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


@app.command()
def studio(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any that is free.")] = 8700,
    host: Annotated[str, typer.Option(help="Address to listen at; beyond this computer with a token.")] = "127.0.0.1",
    projects: Annotated[Path | None, typer.Option(help="Folder that projects are kept in.")] = None,
    token: Annotated[str | None, typer.Option(help="What a browser must know to come in; made up if needed.")] = None,
    model: Annotated[list[Path] | None, typer.Option(help="A folder with a trained model; may be repeated.")] = None,
) -> None:
    """Make, try and change dances in a browser."""
    from longdance.studio.server import serve

    serve(host=host, port=port, projects=projects, token=token, models=model or [], say=say)


@app.command()
def models() -> None:
    """List what can be loaded."""
    from longdance.choreography.pretrained import WEIGHTS, parts_of, shipped

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
    weights = Path(__file__).parent / "weights"
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


if __name__ == "__main__":
    main()
