"""Measuring dances one by one, and rows of the report from them.

What is measured of one dance depends on that dance and the protocol alone, so it is cached by their fingerprint.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from longdance import __version__
from longdance.data.store import Store
from longdance.errors import InputError
from longdance.evaluate.dances import Dance
from longdance.evaluate.intervals import Estimate, over_dances, over_seeds
from longdance.evaluate.songs import real_dances
from longdance.features.text import resolve_prompt
from longdance.files import atomic_write
from longdance.metrics.distribution import diversity, frechet_distance
from longdance.metrics.features import FEATURE_VARIANTS, geometric_features, kinetic_features
from longdance.metrics.genre import GenreClassifier, windows_of
from longdance.metrics.joints import relative_to_root
from longdance.metrics.report import describe
from longdance.metrics.response import music_response
from longdance.metrics.retrieval import RetrievalEvaluator, multimodal_distance, r_precision
from longdance.metrics.rhythm import motion_beats

VARIANT_FPS = {"aistpp": 60.0, "bailando": 60.0, "fact": 60.0, "lodge": 30.0, "popdg": 30.0}
"""Frame rate at which each variant was published; ``corrected`` measures at any."""
FAMILIES = {"k": kinetic_features, "g": geometric_features}
JUDGED_SECONDS = 4.0
"""Length of the windows that the judges of genre and words see."""
SPECTRUM = np.arange(0.0, 12.01, 0.25)
"""Hertz at which the spectrum of speed is sampled."""
OFFSETS = np.linspace(-0.25, 0.25, 26)
"""Edges in seconds of the histogram of where pauses fall around beats."""
LEAST_SPREAD = 1e-3
"""Columns of features that vary less among the real training dances are left out of Fréchet distance and diversity."""
FORMAT = 3
"""Counts changes of what is measured: others than these are no use in a cache."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What must agree for two rows to be comparable."""

    fps: float
    """Hertz to which every dance is brought first."""
    window: float | None = None
    """Seconds of the windows that give rows of features for Fréchet distances and diversity; None for whole dances, as
    in the papers."""
    variants: tuple[str, ...] = ("bailando", "corrected")
    judged: bool = True
    """Whether genres and words are recognised."""
    joints: int | None = None
    """Only so many joints count, the first ones: 22 make dances with and without SMPL's hands comparable."""

    def __post_init__(self):
        unknown = [name for name in self.variants if name not in FEATURE_VARIANTS]
        if unknown or not self.variants:
            raise InputError(
                f"expected variants among {', '.join(FEATURE_VARIANTS)}, got {', '.join(unknown) or 'none'}"
            )
        if not ((self.window is None or self.window > 0) and self.fps > 0):
            raise InputError(f"expected positive window and fps, got {self.window}, {self.fps}")

    def stretches(self, joints: np.ndarray, fps: float) -> list[np.ndarray]:
        """What gives a row of features each: the dance (frames, joints, 3), or its windows, every half a window."""
        if self.window is None:
            return [joints]
        return windows_of(joints, fps, seconds=self.window, hop=self.window / 2)

    def fingerprint(self) -> str:
        """Changes with every setting and with the version of the measures."""
        return hashlib.sha256(json.dumps([asdict(self), FORMAT, __version__], sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, eq=False, kw_only=True)
class Measures:
    """What was measured of one dance."""

    name: str
    seed: int
    values: dict[str, float]
    rows: dict[str, np.ndarray]
    """``k_bailando`` and the like to features (windows, features)."""
    spectrum: np.ndarray
    offsets: np.ndarray


@dataclass(frozen=True, eq=False)
class Judges:
    """Recognisers of genre and movement, fitted on the real training dances when first needed."""

    store: Store

    @cached_property
    def _train(self) -> list[tuple[str, tuple[str, ...], list[np.ndarray]]]:
        """Genre, movements and windows of every dance."""
        return [
            (dance.genre, dance.movements, judged_windows(dance))
            for dance in real_dances(self.store, "train")
            if dance.genre is not None
        ]

    @cached_property
    def classifier(self) -> GenreClassifier | None:
        """None where training shows fewer than two genres."""
        pairs = [(window, genre) for genre, _, windows in self._train for window in windows]
        if len({genre for _, genre in pairs}) < 2:
            return None
        return GenreClassifier.fit([window for window, _ in pairs], [genre for _, genre in pairs], self.store.fps)

    @cached_property
    def texts(self) -> dict[tuple[str, str], np.ndarray]:
        """Embedding of every movement that training shows."""
        names = sorted({(genre, name) for genre, movements, _ in self._train for name in movements})
        return {name: resolve_prompt(name[0], (name[1],), include_hidden=True).embeddings[-1] for name in names}

    @cached_property
    def retrieval(self) -> tuple[RetrievalEvaluator, np.ndarray] | None:
        """The evaluator and its embedding of every text; None where training shows fewer than two movements."""
        if len(self.texts) < 2:
            return None
        labelled = [
            ((genre, name), window)
            for genre, movements, windows in self._train
            for name in movements
            for window in windows
        ]
        evaluator = RetrievalEvaluator.fit(
            [window for _, window in labelled],
            np.stack([self.texts[name] for name, _ in labelled]),
            [str(name) for name, _ in labelled],
            self.store.fps,
        )
        return evaluator, evaluator.embed_text(np.stack(list(self.texts.values())))

    def judge(self, dance: Dance) -> dict[str, float]:
        """Whether the genre asked for is recognised, and how near the movements asked for are; what can be told."""
        found: dict[str, float] = {}
        if dance.genre is None:
            return found
        classifier = self.classifier
        if classifier is not None and dance.genre in classifier.genres:
            likely = classifier.predict_dance(dance.joints, dance.fps, seconds=JUDGED_SECONDS)
            found["genre_recognised"] = float(max(likely, key=lambda genre: likely[genre]) == dance.genre)
        own = [
            list(self.texts).index(name) for name in ((dance.genre, m) for m in dance.movements) if name in self.texts
        ]
        if own and self.retrieval is not None:
            evaluator, every = self.retrieval
            windows = judged_windows(dance)
            motion = np.repeat(evaluator.embed_motion(windows, dance.fps), len(own), axis=0)
            label = np.tile(own, len(windows))
            found["multimodal_distance"] = multimodal_distance(every[label], motion)
            found["r_precision"] = r_precision(motion, every, label, rng=np.random.default_rng(0))
        return found


def judged_windows(dance: Dance) -> list[np.ndarray]:
    """The windows (frames, joints, 3) of a dance that judges see."""
    return windows_of(dance.joints, dance.fps, seconds=JUDGED_SECONDS, hop=JUDGED_SECONDS / 2)


def measure(dance: Dance, protocol: Protocol, judges: Judges | None = None) -> Measures:
    """Every measure of a dance; ``InputError`` for one too short to measure."""
    dance = dance.at_rate(protocol.fps)
    if len(dance.joints) < 8:
        raise InputError(
            f"{dance.name}: expected at least eight frames at {protocol.fps:g} fps, got {len(dance.joints)}"
        )
    beats = None
    if dance.beat_times is not None:
        beats = [time for time in dance.beat_times if 0 <= time <= (len(dance.joints) - 1) / dance.fps] or None
    counted = replace(dance, joints=dance.joints[:, : protocol.joints])
    values = describe(counted.joints, dance.fps, beats)
    if beats is not None and len(beats) > 1:
        values |= music_response(counted.joints, np.array(beats), dance.fps, dance.loudness)
    if dance.cost is not None:
        values["cost"] = dance.cost
    if judges is not None and protocol.judged:
        values |= judges.judge(dance)
    rows = {}
    for variant in protocol.variants:
        rated = counted.at_rate(VARIANT_FPS.get(variant, dance.fps))
        windows = protocol.stretches(rated.joints, rated.fps)
        for family, features in FAMILIES.items():
            rows[f"{family}_{variant}"] = np.stack([features(w, rated.fps, variant=variant) for w in windows])
    return Measures(
        name=dance.name,
        seed=dance.seed,
        values=values,
        rows=rows,
        spectrum=speed_spectrum(counted.joints, dance.fps),
        offsets=beat_offsets(counted.joints, beats, dance.fps),
    )


def speed_spectrum(joints: np.ndarray, fps: float) -> np.ndarray:
    """Amplitude of the mean joint speed around the pelvis, in m/s per root hertz, at the frequencies ``SPECTRUM``."""
    from scipy.signal import welch

    speed = np.linalg.norm(np.diff(relative_to_root(joints), axis=0), axis=-1).mean(axis=1) * fps
    frequency, power = welch(speed, fps, nperseg=min(len(speed), round(4 * fps)))
    return np.interp(SPECTRUM, frequency, np.sqrt(power), right=np.nan)


def beat_offsets(joints: np.ndarray, beats: Sequence[float] | None, fps: float) -> np.ndarray:
    """Share of the music's beats by how much later (seconds, bins of ``OFFSETS``) the nearest pause of the dance is."""
    paused = motion_beats(joints, fps, variant="corrected")
    if not beats or not len(paused):
        return np.zeros(len(OFFSETS) - 1)
    late = paused[None] - np.asarray(beats)[:, None]
    nearest = late[np.arange(len(late)), np.abs(late).argmin(axis=1)]
    return np.histogram(nearest, OFFSETS)[0] / len(nearest)


def measured(dance: Dance, protocol: Protocol, judges: Judges | None, cache: Path, *, context: str) -> Measures:
    """As ``measure``, from the cache where it holds this dance measured so; ``context`` names the training data."""
    key = hashlib.sha256(f"{dance.fingerprint()} {protocol.fingerprint()} {context}".encode()).hexdigest()
    path = cache / f"{key[:24]}.npz"
    try:
        with open(path, "rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as archive:
            rows = {name[5:]: np.asarray(archive[name]) for name in archive if name.startswith("rows_")}
            values = json.loads(str(archive["values"]))
            spectrum, offsets = np.asarray(archive["spectrum"]), np.asarray(archive["offsets"])
            known = {name: float(value) for name, value in values.items() if name != "cost"}
            if dance.cost is not None:
                known["cost"] = dance.cost
            return Measures(
                name=dance.name, seed=dance.seed, values=known, rows=rows, spectrum=spectrum, offsets=offsets
            )
    except (OSError, ValueError, KeyError, EOFError):
        found = measure(dance, protocol, judges)  # not there, or cut short by a full disk
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        arrays = {f"rows_{name}": rows for name, rows in found.rows.items()}
        np.savez(
            file, values=json.dumps(found.values), spectrum=found.spectrum, offsets=found.offsets,
            allow_pickle=False, **arrays,
        )  # fmt: skip
    return found


@dataclass(frozen=True, eq=False, kw_only=True)
class Row:
    """One row of the report: a system, or real dances."""

    name: str
    measures: list[Measures]
    estimates: dict[str, Estimate]

    @property
    def dances(self) -> int:
        """How many dances it rests on."""
        return len(self.measures)


def row(name: str, measures: list[Measures], reference: list[Measures]) -> Row:
    """Every number of a row, set metrics against ``reference``.

    Where every seed made equally many dances, at least two, numbers are means over seeds; otherwise over dances.
    """
    counts = Counter(m.seed for m in measures)
    seeds = sorted(counts) if len(set(counts.values())) == 1 and min(counts.values()) > 1 else []
    names = list(dict.fromkeys(key for m in measures for key in m.values if key != "seconds"))
    statistics: dict[str, Callable[[list[Measures]], float]] = {key: _mean_of(key) for key in names}
    real = {key: np.concatenate([m.rows[key] for m in reference]) for key in (reference[0].rows if reference else ())}
    for key, rows in real.items():
        # Divided by a spread of nothing, a column that is constant among real dances would drown all others.
        statistics[f"fid_{key}"] = _against(key, rows, frechet_distance)
        statistics[f"div_{key}"] = _against(key, rows, lambda real, own: diversity(own, reference=real))
    estimates = {}
    for key, statistic in statistics.items():
        if len(seeds) > 1:
            estimates[key] = over_seeds([statistic([m for m in measures if m.seed == seed]) for seed in seeds])
        else:
            estimates[key] = over_dances(
                lambda chosen, statistic=statistic: statistic([measures[i] for i in chosen]), len(measures)
            )
    return Row(name=name, measures=measures, estimates=estimates)


def _mean_of(key: str) -> Callable[[list[Measures]], float]:
    def mean(measures: list[Measures]) -> float:
        known = [m.values[key] for m in measures if np.isfinite(m.values.get(key, float("nan")))]
        return float(np.mean(known)) if known else float("nan")

    return mean


def _against(
    key: str, real: np.ndarray, compare: Callable[[np.ndarray, np.ndarray], float]
) -> Callable[[list[Measures]], float]:
    varied = real.std(axis=0) > LEAST_SPREAD

    def statistic(measures: list[Measures]) -> float:
        own = np.concatenate([m.rows[key] for m in measures]) if measures else np.zeros((0, real.shape[1]))
        if own.shape[1] != real.shape[1]:
            return float("nan")  # of other joints: see Protocol.joints
        return compare(real[:, varied], own[:, varied]) if len(own) > 1 and len(real) > 1 else float("nan")

    return statistic
