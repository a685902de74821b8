"""The evaluation itself: models dance, dances are read and measured, real dances beside them.

Everything goes into one folder: ``dances`` (each saved once made, so that an interrupted run goes on), ``songs``,
``cache`` (measures), and the report. A broken dance is named and left out.
"""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from longdance.choreography.dancer import Dancer
from longdance.choreography.devices import device_of
from longdance.choreography.pretrained import load
from longdance.choreography.request import DanceRequest
from longdance.data.store import Store
from longdance.errors import InputError
from longdance.evaluate.dances import Dance, dances_in, of_motion, read_dance
from longdance.evaluate.measure import Judges, Measures, Protocol, Row, measured, row
from longdance.evaluate.songs import TestSong, composed_songs, continued, real_dances, songs_of
from longdance.models.folders import parts_of, shipped
from longdance.motion.motion import Motion
from longdance.progress import Progress

TRUTH, OTHER = "ground truth", "other song"
"""The rows of real dances: to their own music, and to that of another dance."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How models are to dance."""

    seeds: tuple[int, ...] = (0, 1, 2)
    seconds: float | None = None
    """Length of every dance; None for the song's, or that of the held-out dance."""
    request: DanceRequest = field(default_factory=DanceRequest)
    """How every dance is drawn; its song, words and seed are set for each. Energies are off unless it names some: what
    is measured is the network."""
    words: bool = True
    """Whether models are told genre and movements of the held-out dance."""
    songs: int | None = None
    """At most so many songs, evenly chosen; None for all."""

    def __post_init__(self):
        if self.request.energy is None:
            object.__setattr__(self, "request", self.request.changed(energy="off"))


@dataclass(frozen=True, eq=False, kw_only=True)
class Evaluation:
    """Everything that a report tells."""

    rows: list[Row]
    reference: list[Measures]
    """Of the real training dances."""
    protocol: Protocol
    asked: Asked
    about: dict
    """Data, songs and models."""
    failed: dict[str, str] = field(default_factory=dict)
    """Name of a dance or song to what is wrong with it."""
    notes: list[str] = field(default_factory=list)


def evaluate(
    systems: Sequence[str | Path],
    store: Store,
    out: Path,
    *,
    songs: Path | None = None,
    protocol: Protocol | None = None,
    asked: Asked | None = None,
    split: str = "test",
    fps: float | None = None,
    up: str = "y",
    progress: Progress | None = None,
) -> Evaluation:
    """Measure models and folders of dances beside the real dances of a split.

    A system is a shipped model's name, a folder with a model, a folder with dances, or one file with a dance. Models
    dance to ``songs``, by default to songs composed on the beats of the held-out dances. ``fps`` and ``up`` say what
    arrays of joints by other systems mean. ``InputError`` where there is nothing at all to measure.
    """
    protocol, asked = protocol or Protocol(fps=store.fps), asked or Asked()
    report = progress or (lambda done, total, what: None)
    judges, cache, failed, notes = Judges(store), out / "cache", {}, []
    real = real_dances(store, split)
    if not real:
        raise InputError(f"{store.folder}: expected dances in the split {split}, found none")

    def take_in(dances: Sequence[Dance], what: str) -> list[Measures]:
        found = []
        for number, dance in enumerate(dances):
            report(number, len(dances), f"measuring {what}")
            try:
                found.append(measured(dance, protocol, judges, cache, context=store.fingerprint))
            except InputError as error:
                failed[str(dance.path or dance.name)] = str(error)
        report(len(dances), len(dances), f"measuring {what}")
        return found

    plain = replace(protocol, judged=False)
    train = real_dances(store, "train")
    reference = []
    for number, dance in enumerate(train):
        report(number, len(train), "measuring training dances")
        reference.append(measured(dance, plain, None, cache, context=store.fingerprint))
    widths = {key: rows.shape[1] for key, rows in reference[0].rows.items()} if reference else {}
    rows = [
        row(TRUTH, take_in(real, TRUTH), reference),
        row(OTHER, take_in(to_other_songs(real, asked.seeds), OTHER), reference),
    ]
    tests: list[TestSong] | None = None
    about: dict = {"split": split, "songs": {}, "systems": {}, "store": store.fingerprint, "licence": store.licence}
    for name, system in named(systems).items():
        model = _model(system)
        if model is None:
            dances, broken = _read(Path(system), real, fps=fps, up=up)
            about["systems"][name] = {"kind": "dances", "files": len(dances)}
        else:
            if tests is None:
                tests = _songs(real, songs, asked, out, failed, notes)
            about["systems"][name] = _about_model(model)
            dances, broken = _danced(model, identity(system), tests, asked, out / "dances" / name, report)
        failed |= broken
        measures = take_in(dances, name)
        if not measures:
            raise InputError(
                f"{system}: expected a dance to measure, every one failed: {next(iter(broken.values()), '')}"
            )
        if {key: rows.shape[1] for key, rows in measures[0].rows.items()} != widths:
            notes.append(
                f"{name} has other joints than the real dances: set measures are left out; --joints 22 counts those "
                "that all have"
            )
        rows.append(row(name, measures, reference))
    about["songs"] = {test.name: round(test.song.seconds, 2) for test in tests or ()}
    return Evaluation(
        rows=rows, reference=reference, protocol=protocol, asked=asked, about=about, failed=failed, notes=notes
    )


def named(systems: Sequence[str | Path]) -> dict[str, str | Path]:
    """A name of its own for every system."""
    found: dict[str, str | Path] = {}
    for system in systems:
        plain = Path(system).stem if Path(system).is_file() else Path(system).name or str(system)
        number, name = 1, plain
        while name in (*found, TRUTH, OTHER):
            number += 1
            name = f"{plain}-{number}"
        found[name] = system
    if not found:
        raise InputError("expected a model or a folder of dances to evaluate, got none")
    return found


def to_other_songs(dances: Sequence[Dance], seeds: Sequence[int]) -> list[Dance]:
    """Every dance with the beats and the words of another one; another one for every seed, as far as there are."""
    known = [dance for dance in dances if dance.beat_times is not None and len(dance.beat_times) > 1]
    found = []
    for place, seed in enumerate(seeds):
        shift = 1 + place * 5 % max(1, len(known) - 1)
        for number, dance in enumerate(known):
            other = known[(number + shift) % len(known)]
            beats = continued(np.array(other.beat_times), dance.seconds)
            words = {"genre": other.genre, "movements": other.movements}
            found.append(replace(dance, beat_times=tuple(map(float, beats)), seed=seed, song=other.name, **words))
    return found


def identity(system: str | Path) -> str:
    """A digest of a model's files: two trainings of one recipe are two models."""
    from longdance.models.folders import WEIGHTS

    folder = WEIGHTS / str(system) if str(system) in shipped() else Path(system)
    digest = hashlib.sha256()
    for part in parts_of(folder):
        for path in sorted(part.iterdir()):
            if path.name == "config.json" or path.suffix == ".safetensors":
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _model(system: str | Path) -> Dancer | None:
    return load(system) if str(system) in shipped() or (Path(system).is_dir() and parts_of(Path(system))) else None


def _about_model(model: Dancer) -> dict:
    config = model.checkpoint.config
    return {"kind": "model", "recipe": config.recipe, "trained_steps": config.trained_steps, "fps": model.fps}


def _songs(
    real: list[Dance], folder: Path | None, asked: Asked, out: Path, failed: dict[str, str], notes: list[str]
) -> list[TestSong]:
    if folder is not None:
        tests, broken = songs_of(folder, real, seconds=asked.seconds)
        failed |= broken
    else:
        tests, left_out = composed_songs(real, seconds=asked.seconds, folder=out / "songs")
        if left_out:
            notes.append(f"no beats are known of {', '.join(left_out)}: no songs could be composed on them")
    if not tests:
        raise InputError("expected songs to dance to, found none; name a folder with --songs")
    if asked.songs is not None and asked.songs < len(tests):
        tests = [tests[round(k)] for k in np.linspace(0, len(tests) - 1, asked.songs)]
    return tests


def _read(source: Path, real: list[Dance], *, fps: float | None, up: str) -> tuple[list[Dance], dict[str, str]]:
    """The dances of a folder or file; one named after a held-out dance gets its beats and words if it has none."""
    paths = dances_in(source) if source.is_dir() else [source]
    if not paths:
        raise InputError(f"{source}: expected a model or dances (.npz, .bvh, .pkl, .npy), found none")
    dances, failed = [], {}
    for path in paths:
        try:
            dance = read_dance(path, fps=fps, up=up)
        except InputError as error:
            failed[str(path)] = str(error)
            continue
        same = [known for known in real if known.name in path.stem]
        if same and dance.beat_times is None:
            own = max(same, key=lambda known: len(known.name))
            dance = replace(dance, beat_times=own.beat_times, song=own.name)
            if dance.genre is None:
                dance = replace(dance, genre=own.genre, movements=own.movements)
        dances.append(dance)
    return dances, failed


def _danced(
    model: Dancer, key: str, tests: list[TestSong], asked: Asked, folder: Path, report: Progress
) -> tuple[list[Dance], dict[str, str]]:
    """Every song danced with every seed, from the folder where it was done before."""
    dances, failed = [], {}
    total, done = len(tests) * len(asked.seeds), 0
    for seed in asked.seeds:
        for test in tests:
            report(done, total, f"{model.name} dancing")
            done += 1
            path = folder / f"{test.name}-{seed}.npz"
            wanted = {
                "model": key, "song": test.name, "song_seconds": round(test.song.seconds, 4), "words": asked.words,
                "genre": test.genre, "request": _json(asked.request.record()),
            }  # fmt: skip
            try:
                motion = _kept(path, wanted)
                if motion is None:
                    motion = _dance(model, test, seed, asked, wanted)
                    motion.save(path)
            except InputError as error:
                failed[f"{model.name}: {test.name}, seed {seed}"] = str(error)
                continue
            # Whatever was said to the model, it is judged by what the held-out dance shows.
            dances.append(
                replace(of_motion(motion, name=path.stem, path=path), genre=test.genre, movements=test.movements)
            )
    report(total, total, f"{model.name} dancing")
    return dances, failed


def _kept(path: Path, wanted: dict) -> Motion | None:
    """The dance that an earlier run made so, if there is one."""
    if not path.is_file():
        return None
    try:
        motion = Motion.load(path)
    except InputError:
        return None  # damaged: made anew
    made = motion.meta.get("evaluation")
    return motion if isinstance(made, dict) and {k: v for k, v in made.items() if k != "cost"} == wanted else None


def _dance(model: Dancer, test: TestSong, seed: int, asked: Asked, wanted: dict) -> Motion:
    words = {"genre": test.genre, "movement": test.movements} if asked.words else {}
    request = asked.request.changed(song=test.song, seed=seed, **words)
    # On a CPU other programs' work must not count; a GPU's work is not in the process's own time.
    clock = time.process_time if device_of(request.device) == "cpu" else time.perf_counter
    began = clock()
    motion = model.generate(request)
    cost = (clock() - began) / motion.seconds
    return replace(motion, meta={**motion.meta, "evaluation": {**wanted, "cost": cost}})


def _json(record: dict) -> dict:
    """The record as it comes back from a file."""
    return json.loads(json.dumps(record))
