"""The evaluation itself: models dance, dances are read and measured, real dances beside them.

Everything goes into one folder: ``dances`` (each saved once made, so that an interrupted run goes on), ``cache``
(measures), and the report. A broken dance is named and left out.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from longdance.choreography.dancer import Dancer
from longdance.choreography.pretrained import load
from longdance.choreography.request import DanceRequest
from longdance.data.store import Store
from longdance.errors import InputError
from longdance.evaluate.dances import Dance, dances_in, read_dance
from longdance.evaluate.intervals import Estimate
from longdance.evaluate.measure import Judges, Measures, Protocol, Row, measured, row
from longdance.evaluate.songs import (
    BARS,
    BUNDLED,
    TestSong,
    bundled,
    continued,
    dealt,
    real_dances,
    songs_of,
    songs_of_store,
)
from longdance.evaluate.systems import dance_rows, exchanges, heard_apart, identity, versions
from longdance.models.folders import parts_of, shipped
from longdance.progress import Progress

TRUTH, CLEANED_TRUTH, OTHER = "ground truth", "ground truth cleaned", "other song"
"""The rows of real dances: as captured, after the default cleanup, and to the beats of another dance."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How models are to dance."""

    seeds: tuple[int, ...] = (0, 1, 2)
    seconds: float | None = None
    """Length of every dance; None for the song's, or that of the held-out dance."""
    request: DanceRequest = field(default_factory=DanceRequest)
    """How every dance is drawn; its song, words and seed are set for each. Its energies are those of the rows guided
    and cleaned; rows with TRM or cleanup are left out if it wants none."""
    words: bool = True
    """Whether models are told genre and movements of the held-out dance."""
    songs: int | None = None
    """At most so many songs, evenly chosen; None for all."""
    exchange: bool = True
    """Whether models make dances more to exchange songs and words; ``systems.exchanges`` says how many."""


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

    A system is a shipped model's name, a folder with a model, a folder with dances, or one file with a dance. A model
    has a row for what its networks do, for energies in its sampler, and for cleanup; a folder has one. Models dance to
    ``songs``, by default to the data set's own music, or to the bundled song where it has none. ``fps`` and ``up`` say
    what arrays of joints by other systems mean. ``InputError`` where there is nothing at all to measure.
    """
    real = real_dances(store, split)
    if not real:
        raise InputError(f"{store.folder}: expected dances in the split {split}, found none")
    asked, tell = asked or Asked(), progress or (lambda done, total, what: None)
    table = _Table(store, protocol or Protocol(fps=store.fps), out, tell)
    table.add_real(real, real_dances(store, split, cleaned=True), to_other_songs(real, asked.seeds))
    tests: list[TestSong] | None = None
    about: dict = {"split": split, "systems": {}, "store": store.fingerprint, "licence": store.licence}
    for name, system in named(systems).items():
        model = _model(system)
        if model is None:
            dances, broken = _read(Path(system), real, fps=fps, up=up)
            about["systems"][name] = {"kind": "dances", "files": len(dances)}
            table.add(name, dances, system, broken)
            continue
        if tests is None:
            tests = _songs(store, split, real, songs, asked, table.failed, table.notes)
        about["systems"][name] = _about_model(model) | table.add_model(name, system, model, tests, asked)
    about["songs"] = {test.name: round(test.song.seconds, 2) for test in tests or ()}
    about["beats"] = dict(Counter(test.source.beats for test in tests or ()))
    return Evaluation(
        rows=table.rows, reference=table.reference, protocol=table.protocol, asked=asked, about=about,
        failed=table.failed, notes=table.notes,
    )  # fmt: skip


class _Table:
    """Rows as they come in, all measured alike and compared with the real training dances."""

    def __init__(self, store: Store, protocol: Protocol, out: Path, tell: Progress):
        self.store, self.protocol, self.out, self.tell = store, protocol, out, tell
        self.judges = Judges(store)
        self.rows: list[Row] = []
        self.failed: dict[str, str] = {}
        self.notes: list[str] = []
        self.reference = self.measures(real_dances(store, "train"), "training dances", judged=False)

    def measures(self, dances: Sequence[Dance], what: str, *, judged: bool = True) -> list[Measures]:
        """Those of the dances that can be measured; the others are named."""
        found, how = [], self.protocol if judged else replace(self.protocol, judged=False)
        judges, context = self.judges if judged else None, self.store.fingerprint
        for number, dance in enumerate(dances):
            self.tell(number, len(dances), f"measuring {what}")
            try:
                found.append(measured(dance, how, judges, self.out / "cache", context=context))
            except InputError as error:
                self.failed[str(dance.path or dance.name)] = str(error)
        self.tell(len(dances), len(dances), f"measuring {what}")
        return found

    def add_real(self, plain: Sequence[Dance], cleaned: Sequence[Dance], other: Sequence[Dance]) -> None:
        """The rows of real dances."""
        for name, dances in ((TRUTH, plain), (CLEANED_TRUTH, cleaned), (OTHER, other)):
            self.rows.append(row(name, self.measures(dances, name), self.reference))

    def add(
        self,
        name: str,
        dances: Sequence[Dance],
        system: str | Path,
        broken: Mapping[str, str],
        extra: Mapping[str, float] | None = None,
    ) -> None:
        """A row of a system's dances, with ``extra`` values of songs; ``broken`` are dances that came to nothing."""
        self.failed |= broken
        measures = self.measures(dances, name)
        if not measures:
            raise InputError(
                f"{system}: expected a dance to measure, every one failed: {next(iter(broken.values()), '')}"
            )
        if self.reference and _widths(measures) != _widths(self.reference):
            self.notes.append(
                f"{name} has other joints than the real dances: set measures are left out; --joints 22 counts those "
                "that all have"
            )
        found = row(name, measures, self.reference)
        more = {key: Estimate(value, float("nan"), "songs") for key, value in (extra or {}).items()}
        self.rows.append(replace(found, estimates=found.estimates | more))

    def add_model(self, name: str, system: str | Path, model: Dancer, tests: list[TestSong], asked: Asked) -> dict:
        """A row for each version of a model, danced as ``asked``; what is to be told of them."""
        every, key, folder = versions(model, name, asked.request), identity(system), self.out / "dances" / name
        how = {"words": asked.words, "report": self.tell}
        own = heard_apart(tests, model.capabilities.hears if asked.words else "music")
        made, broken = dance_rows(model, key, every, own, seeds=asked.seeds, folder=folder, **how)
        changed: dict[str, dict[str, float]] = {}
        if asked.exchange:
            where = {"seconds": asked.seconds, "folder": folder / "exchange"}
            changed, failed = exchanges(model, key, every, tests, **where, **how)
            self.failed |= failed
        for title, dances in made.items():
            self.add(title, dances, system, broken, changed.get(title))
        return {"rows": {title: each.about for title, each in every.items()}}


def _widths(measures: list[Measures]) -> dict[str, int]:
    """Numbers of features by their kind."""
    return {key: rows.shape[1] for key, rows in measures[0].rows.items()}


def named(systems: Sequence[str | Path]) -> dict[str, str | Path]:
    """A name of its own for every system."""
    found: dict[str, str | Path] = {}
    for system in systems:
        plain = Path(system).stem if Path(system).is_file() else Path(system).name or str(system)
        number, name = 1, plain
        while name in (*found, TRUTH, CLEANED_TRUTH, OTHER):
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


def _model(system: str | Path) -> Dancer | None:
    return load(system) if str(system) in shipped() or (Path(system).is_dir() and parts_of(Path(system))) else None


def _about_model(model: Dancer) -> dict:
    config = model.checkpoint.config
    return {"kind": "model", "recipe": config.recipe, "trained_steps": config.trained_steps, "fps": model.fps}


def _songs(
    store: Store,
    split: str,
    real: list[Dance],
    folder: Path | None,
    asked: Asked,
    failed: dict[str, str],
    notes: list[str],
) -> list[TestSong]:
    """What models dance to: a folder's songs, else the data set's own music, else the bundled song."""
    if folder is not None:
        sources, broken = songs_of(folder)
        failed |= broken
    else:
        sources = list(songs_of_store(store, split).values())
    if folder is None and not sources:
        sources = [bundled(bar=bar) for bar in BARS]
        notes.append(
            f"the store has no music: models danced to the bundled song ({BUNDLED}) from different bars on, whose "
            "beats are known because it was composed on them; --songs names a folder of others"
        )
    tests, broken = dealt(sources, real, seconds=asked.seconds, most=asked.songs)
    failed |= broken
    if not tests:
        raise InputError("expected songs to dance to, found none; name a folder with --songs")
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
