"""Dances to many songs, each once, with a manifest that knows what is done whatever was killed in between.

What belongs here: what is asked of every song, the manifest, which songs are still to do. What does not: who does the
work (``workers``), the dancing (``choreography``), the files (``export``).
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from longdance import __version__
from longdance.choreography.dancer import Dancer
from longdance.choreography.phrases.plan_file import write_plan
from longdance.choreography.phrases.shelf import library_file
from longdance.choreography.pretrained import load
from longdance.choreography.request import DanceRequest
from longdance.errors import Cancelled, InputError
from longdance.export.formats import export
from longdance.export.takes import ExportOptions
from longdance.features.audio import expect_file
from longdance.files import atomic_write, checksum, remove_leftovers
from longdance.metrics.report import facts
from longdance.models.folders import folder_of
from longdance.progress import Progress
from longdance.workers import sole_writer, work

MANIFEST = "manifest.jsonl"


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is made of every song."""

    request: DanceRequest = field(default_factory=DanceRequest)
    """Asked of every song; each takes its place in it."""
    model: str = "edmg"
    files: ExportOptions = field(default_factory=ExportOptions)
    """How files are written."""
    plan_out: Path | None = None
    """Where the plan of a dance of phrases goes, of one song."""

    def fingerprint(self) -> str:
        """Checksum of all that a dance depends on but the song: settings, score, the model's files, the version."""
        told = self.request.record() | {"files": asdict(self.files)}
        score, beats = told.pop("score"), told.pop("beats")
        del told["device"]
        digest = hashlib.sha256(f"{__version__} {json.dumps(told, sort_keys=True)}".encode())
        folder = folder_of(self.model)
        patterns = ("*.json", "*.safetensors", "*/config.json", "*/model.safetensors")
        files = sorted(path for pattern in patterns for path in folder.glob(pattern))
        if self.request.phrases > 0:
            files.append(library_file(self.request.library))
        for path in (*files, *(Path(read) for read in (score, beats) if read)):
            digest.update(f"{path.name} {checksum(path)}".encode())
        return digest.hexdigest()

    def dance(
        self, dancer: Dancer, song: Path, targets: Sequence[Path], *, progress: Progress | None = None
    ) -> "Danced":
        """Dance to one song and write the files."""
        dance = dancer.generate(self.request.changed(song=song), progress=progress)
        written: list[Path] = []
        if self.plan_out is not None:
            write_plan(dance, self.plan_out)
            written.append(self.plan_out)
        for target in targets:
            remove_leftovers(target)
            written += export(dance, target, options=self.files, song_path=song, progress=progress)
        tempo = dance.meta.get("tempo_bpm")
        return Danced(list(dict.fromkeys(written)), facts(dance), list(dance.meta.get("notes", ())), tempo)


class Danced(NamedTuple):
    """What came of one song: the files, measured facts, what the user should know, beats per minute."""

    files: list[Path]
    facts: dict[str, float]
    notes: list[str]
    tempo_bpm: float | None


class Task(NamedTuple):
    """A song and the files that are to be made for it."""

    song: Path
    targets: tuple[Path, ...]


class Record(BaseModel):
    """A line of the manifest: one song, the last thing that is known of it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    song: str
    """Absolute path."""
    sha256: str | None
    """Of the song's file; None if it could not be read."""
    settings: str
    """``Order.fingerprint``."""
    state: str
    """``done`` or ``failed``."""
    outputs: tuple[str, ...] = ()
    """Relative to the manifest's folder; those asked for first, then those that go with them."""
    seconds: float
    """Spent on it."""
    error: str | None = None
    facts: dict[str, float] = {}
    notes: tuple[str, ...] = ()
    tempo_bpm: float | None = None


class Manifest:
    """The file of records, one JSON object a line; every moment at which a process may be killed leaves it readable.

    A record is appended when its files have their names. A song's last line counts. A line cut short by a kill is
    taken for missing, and its song is done again.
    """

    def __init__(self, path: Path):
        self.path = path
        self.records: dict[str, Record] = {}
        stored = path.read_bytes() if path.is_file() else b""
        for line in stored.splitlines():
            try:
                record = Record.model_validate_json(line)
            except ValueError:
                continue
            # Songs are written where the manifest says: nowhere but below it.
            if not any(".." in Path(name).parts or Path(name).is_absolute() for name in record.outputs):
                self.records[record.song] = record
        self.torn = bool(stored) and not stored.endswith(b"\n")

    def append(self, record: Record) -> None:
        """Add a line, safely on disk when this returns."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = record.model_dump_json().encode() + b"\n"
        with open(self.path, "ab") as file:
            file.write(b"\n" + line if self.torn else line)
            file.flush()
            os.fsync(file.fileno())
        self.torn = False
        self.records[record.song] = record

    def tidy(self) -> None:
        """Write the file anew with one line for each song, in order of the songs' paths."""
        remove_leftovers(self.path)
        with atomic_write(self.path) as temporary:
            lines = [self.records[song].model_dump_json() + "\n" for song in sorted(self.records)]
            temporary.write_text("".join(lines), encoding="utf-8")

    def folders(self) -> dict[str, str]:
        """Absolute path of every song to the name of the folder that its dances are in."""
        return {song: Path(record.outputs[0]).parts[0] for song, record in self.records.items() if record.outputs}

    def is_done(self, task: Task, settings: str) -> bool:
        """Whether a song's files are there, made from the same song with the same settings."""
        record = self.records.get(absolute(task.song))
        if record is None or record.state != "done" or record.settings != settings:
            return False
        here = {self.path.parent / name for name in record.outputs}
        if not here.issuperset(task.targets) or not all(path.is_file() for path in here):
            return False
        return task.song.is_file() and checksum(task.song) == record.sha256


def dance_all(
    order: Order,
    tasks: Sequence[Task],
    folder: Path,
    *,
    resume: bool = False,
    workers: int | None = None,
    ray: str | None = None,
    progress: Progress | None = None,
    told: Callable[[Record], None] = lambda record: None,
) -> list[Record]:
    """Dance to every song, and keep the manifest of ``folder``; the songs' records in their order.

    With ``resume`` songs whose dances are there are passed over. Targets lie below ``folder``. A song that cannot be
    danced to is recorded with the reason, and the others go on. ``workers`` share the songs, on the Ray at an address
    if ``ray`` is one (see ``workers.work``): one, this process, if not given; on Ray as many as it has GPUs, or cores.
    ``told`` hears of each song as it gets done, ``progress`` of songs done.
    """
    settings = order.fingerprint()
    with sole_writer(folder):
        manifest = Manifest(folder / MANIFEST)
        waiting = [each for each in tasks if not (resume and manifest.is_done(each, settings))]
        done = len(tasks) - len(waiting)

        def on_the_way(part: int, parts: int, what: str) -> None:
            if progress is not None:
                progress(done, len(tasks), what)

        hands = workers or 1
        alone = hands == 1 and ray is None
        threads = None if alone else 1 if ray is not None else max(1, (os.cpu_count() or 1) // hands)
        make = Dancing(order, threads, on_the_way if alone else None)
        gpus = order.request.device != "cpu"
        for task, found, error in work(make, waiting, workers=workers if ray else hands, ray=ray, gpus=gpus):
            if error is not None and not isinstance(error, InputError):
                raise error
            if found is None:
                found = Found(None, 0.0, None, str(error))
            danced = found.danced or Danced([], {}, [], None)
            record = Record(
                song=absolute(task.song),
                sha256=found.sha256,
                settings=settings,
                state="failed" if found.danced is None else "done",
                outputs=tuple(path.relative_to(folder).as_posix() for path in danced.files),
                seconds=round(found.seconds, 3),
                error=found.error,
                facts=danced.facts,
                notes=tuple(danced.notes),
                tempo_bpm=danced.tempo_bpm,
            )
            manifest.append(record)
            done += 1
            told(record)
            on_the_way(1, 1, task.song.name)
        manifest.tidy()
    return [manifest.records[absolute(each.song)] for each in tasks]


class Found(NamedTuple):
    """What a worker tells of a song: its checksum, seconds spent, and the dance or why there is none."""

    sha256: str | None
    seconds: float
    danced: Danced | None
    error: str | None


@dataclass(frozen=True)
class Dancing:
    """What every worker begins with: the model is loaded once."""

    order: Order
    threads: int | None
    """Of a worker that shares the machine."""
    progress: Progress | None

    def __call__(self) -> Callable[[Task], Found]:
        if self.threads is not None:
            import torch

            torch.set_num_threads(self.threads)
        dancer = load(self.order.model)
        dancer.expect_possible(self.order.request)  # what this model cannot do fails all songs at once
        return lambda task: self.dance(dancer, task)

    def dance(self, dancer: Dancer, task: Task) -> Found:
        """One song's dance; an error that is the song's alone is told, not raised."""
        clock, sha256 = time.perf_counter(), None
        song, targets = task
        told = None if self.progress is None else partial(_named, self.progress, song.name)
        try:
            expect_file(song)
            sha256 = checksum(song)
            danced, error = self.order.dance(dancer, song, targets, progress=told), None
        except Cancelled:
            raise
        except OSError as problem:
            place, why = problem.filename or song, problem.strerror or problem
            danced, error = None, f"{place}: {why}; try another place or name"
        except (InputError, MemoryError) as problem:
            danced, error = None, str(problem)
        except Exception as problem:  # a defect that one song brings out must not cost the others theirs
            danced, error = None, f"{song}: {type(problem).__name__}: {problem}"
        return Found(sha256, time.perf_counter() - clock, danced, error)


def _named(progress: Progress, name: str, done: int, total: int, what: str) -> None:
    progress(done, total, f"{name}: {what}")


def absolute(song: Path) -> str:
    """What a song is called in the manifest, wherever a command is started from."""
    return Path(os.path.abspath(song)).as_posix()
