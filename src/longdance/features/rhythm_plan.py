"""The rhythm plan: what music asks of a body, measured from a song in use and from the movement in training.

Both sources give the same channels, with the same smoothing and range, so that a network trained on dances without
music follows songs. From a song come its beats, how hard the onset on each beat hits, how loud, bright and busy it is;
from a dance its beats, how hard the movement stops on each, how fast it is, whether arms or legs lead, how often it
stops. Curves are standardised, a song's within the song, a dance's within its genre: whatever is loud for this song is
danced as what is fast for this genre.

Counts of four and eight are settled: a song's begin on its downbeats, a dance's where the weight goes to the left, so
that which side moves is in the plan too. A mirrored dance therefore begins two beats later.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d

from longdance.features.beats import NOVELTY_RATE, MotionBeats, movement_novelty
from longdance.features.song import Song
from longdance.features.spectrum import MFCC_BANDS, ONSET_RATE, TIMBRE_RATE
from longdance.motion.motion import Motion

CHANNELS = (
    "beat_sin", "beat_cos", "pulse", "accent", "tempo", "four_sin", "four_cos", "eight_sin", "eight_cos",
    "energy", "balance", "busyness",
)  # fmt: skip
"""Names of the columns of a plan, in order. What is not known is zero."""

PARTS = {
    "beat": slice(0, 3),
    "accent": slice(3, 4),
    "tempo": slice(4, 5),
    "four": slice(5, 7),
    "eight": slice(7, 9),
    "energy": slice(9, 10),
    "balance": slice(10, 11),
    "busyness": slice(11, 12),
}
"""Columns that are known, or left out in training, together."""
PULSE = CHANNELS.index("pulse")
CURVES = slice(9, 12)

PULSE_SECONDS = 0.05
"""Standard deviation of the pulse on each beat."""
ENERGY_SECONDS = 0.35
"""Of the window that energy and balance are averaged over: about a second in all."""
BUSY_SECONDS = 0.8
"""Of the window that stops and onsets are counted in."""
ACCENT_SECONDS = 0.06
"""How far from a beat its onset may lie."""
SPEED_FLOOR = 0.05
"""Metres per second that are added to speeds before their logarithm: trembling is no energy."""
LEAST_DECIBEL = 2.0
"""Scale of a song's loudness at least: a song that never changes is not danced as if it did."""
LEAST_TILT, LEAST_BUSYNESS = 10.0, 0.15
"""The same for its brightness (MFCC 1), and for the logarithm of its onsets' strength."""
LIMIT = 2.5
"""Largest size of a standardised curve."""
COMMON_BPM = 110.0
ARMS = tuple(f"{side}_{joint}" for side in ("left", "right") for joint in ("elbow", "wrist", "hand"))
LEGS = tuple(f"{side}_{joint}" for side in ("left", "right") for joint in ("knee", "ankle", "foot"))


@dataclass(frozen=True, eq=False)
class Counts:
    """Beats that are counted. Times are seconds from the first frame."""

    beat_times: Float[np.ndarray, " beats"]
    accents: Float[np.ndarray, " beats"]
    """Standardised: how hard each beat is hit."""
    first: int
    """The count, from 0 to 7, of the first beat; 0 is "one"."""
    in_four: bool = True
    """Whether bars have four beats; counts of others are not known to the plan."""


class Curves(NamedTuple):
    """(frames,) each, at the plan's rate: raw of a dance (logarithms), standardised of a song."""

    energy: np.ndarray
    balance: np.ndarray
    busyness: np.ndarray


def plan_of_song(song: Song, fps: float) -> Float[np.ndarray, "frames channels"]:
    """The plan that a song asks for, one row per motion frame."""
    frames = song.frames(fps)
    beats = song.beat_times
    level = np.array([_peak(song.spectra.onset, ONSET_RATE, time, ACCENT_SECONDS) for time in beats])
    one = int(np.argmin(np.abs(beats - song.downbeat_times[0]))) if len(song.downbeat_times) and len(beats) else 0
    accents = standardised(level, least=0.1 * float(level.max(initial=0.0)) + 1e-9)
    counts = Counts(beats, accents, -one % 8, in_four=song.meter % 4 == 0)
    # Not `Song.loudness`: the networks learnt the mean of the mel bands in decibel, which the MFCC give anyway and
    # which weighs bass and treble otherwise; the other curve would be another plan.
    loudness, tilt = song.spectra.mfcc[:, 0] / np.sqrt(MFCC_BANDS), -song.spectra.mfcc[:, 1]
    onset = gaussian_filter1d(song.spectra.onset.astype(float), BUSY_SECONDS * ONSET_RATE, mode="nearest")
    smooth = lambda curve: gaussian_filter1d(curve.astype(float), ENERGY_SECONDS * TIMBRE_RATE, mode="nearest")  # noqa: E731
    curves = Curves(
        _sampled(standardised(smooth(loudness), least=LEAST_DECIBEL), TIMBRE_RATE, fps, frames),
        _sampled(standardised(smooth(tilt), least=LEAST_TILT), TIMBRE_RATE, fps, frames),
        _sampled(standardised(np.log(onset + 1e-3), least=LEAST_BUSYNESS), ONSET_RATE, fps, frames),
    )
    return plan(frames, fps, None if song.tempo_is_guess else counts, curves)


def plan_of_motion(motion: Motion, beats: MotionBeats | None) -> Float[np.ndarray, "frames channels"]:
    """The plan that a dance follows, one row per frame, its curves not yet standardised (``standardise_by``).

    ``beats`` are the dance's own; movement without any has the curves alone.
    """
    counts = None
    if beats is not None and len(beats.beat_times) > 1:
        accents = standardised(beats.strength, least=0.05)
        counts = Counts(beats.beat_times, accents, settled_count(motion, beats.beat_times, accents))
    return plan(motion.frames, motion.fps, counts, curves_of_motion(motion))


def curves_of_motion(motion: Motion) -> Curves:
    """Energy, balance of arms and legs, and frequency of stops, as logarithms."""
    joints = motion.joints()
    relative = np.gradient(joints - joints[:, :1], axis=0) * motion.fps if motion.frames > 1 else np.zeros_like(joints)
    speed = np.linalg.norm(relative, axis=-1)
    smooth = lambda curve: gaussian_filter1d(curve, ENERGY_SECONDS * motion.fps, axis=0, mode="nearest")  # noqa: E731
    part = lambda names: smooth(  # noqa: E731
        speed[:, [motion.skeleton.index(name) for name in names if name in motion.skeleton.names]].mean(1)
    )
    novelty = movement_novelty(joints, motion.fps) if motion.frames > 1 else np.zeros(1)
    stops = gaussian_filter1d(novelty, BUSY_SECONDS * NOVELTY_RATE, mode="nearest")
    return Curves(
        np.log(smooth(speed.mean(1)) + SPEED_FLOOR),
        np.log(part(ARMS) + SPEED_FLOOR) - np.log(part(LEGS) + SPEED_FLOOR),
        _sampled(np.log(stops + 0.1), NOVELTY_RATE, motion.fps, motion.frames),
    )


def settled_count(
    motion: Motion, beat_times: Float[np.ndarray, " beats"], accents: Float[np.ndarray, " beats"]
) -> int:
    """The count (0 to 7) of a dance's first beat, such that the left side moves towards "one" of every four.

    Steps alternate sides, over two, four or eight beats. Into each beat the feet move unequally and the pelvis goes to
    a side; of the eight ways to count, the one is taken in which that goes most with the cosine of the count, and in
    which "one" is accented. Exact mirror images count two beats apart where four beats alternate.
    """
    joints, index = motion.joints(), motion.skeleton.index
    if motion.frames < 2 or len(beat_times) < 2:
        return 0
    speed = np.linalg.norm(np.gradient(joints, axis=0), axis=-1) * motion.fps
    feet = [[index(f"{side}_ankle"), index(f"{side}_foot")] for side in ("left", "right")]
    left = speed[:, feet[0]].mean(1) - speed[:, feet[1]].mean(1)
    leftward = motion.rotations[:, 0, :, 0] * np.array([1.0, 0.0, 1.0])
    sway = (np.gradient(joints[:, 0], axis=0) * leftward).sum(1) * motion.fps
    times, half = np.arange(motion.frames) / motion.fps, float(np.median(np.diff(beat_times))) / 2
    into = [(times > beat - half) & (times <= beat + 1e-6) for beat in beat_times]
    side = np.zeros(len(beat_times))
    for curve in (left, sway):
        before = np.array([curve[now].mean() if now.any() else 0.0 for now in into])
        side += before / max(float(before.std()), 1e-6)
    number = np.arange(len(beat_times))

    def fit(first: int) -> float:
        count = number + first
        cycles = sum(float((side * np.cos(2 * np.pi * count / period)).mean()) for period in (4, 8))
        accented = [float((accents * (count % period == 0)).mean()) for period in (4, 8)]
        return cycles + 0.5 * accented[0] + 0.25 * accented[1]

    return max(range(8), key=fit)


def plan(frames: int, fps: float, counts: Counts | None, curves: Curves) -> Float[np.ndarray, "frames channels"]:
    """The channels of counted beats and curves; without beats the curves alone."""
    rows = np.zeros((frames, len(CHANNELS)), np.float32)
    rows[:, CURVES] = np.stack([curve[:frames] for curve in curves], axis=1)
    if counts is None or len(counts.beat_times) < 2:
        return rows
    times = np.arange(frames) / fps
    beats = counts.beat_times
    position = _position(beats, times)
    turns = lambda cycle: 2 * np.pi * (position + counts.first) / cycle  # noqa: E731
    rows[:, 0], rows[:, 1] = np.sin(2 * np.pi * position), np.cos(2 * np.pi * position)
    nearest = np.round(position)
    interval = np.interp(position, np.arange(len(beats) - 1) + 0.5, np.diff(beats))
    pulse = np.exp(-0.5 * ((position - nearest) * interval / PULSE_SECONDS) ** 2)
    rows[:, 2] = pulse
    inside = (nearest >= 0) & (nearest < len(beats))
    accents = counts.accents[np.clip(nearest, 0, len(beats) - 1).astype(int)]
    rows[:, 3] = pulse * np.where(inside, accents, 0.0)
    rows[:, 4] = np.log2(60.0 / interval / COMMON_BPM)
    if counts.in_four:
        rows[:, 5], rows[:, 6] = np.sin(turns(4)), np.cos(turns(4))
        rows[:, 7], rows[:, 8] = np.sin(turns(8)), np.cos(turns(8))
    return rows


def standardised(values: np.ndarray, *, least: float) -> np.ndarray:
    """Zero median; the middle four fifths as wide as a normal distribution's, of a scale of at least ``least``."""
    if not len(values):
        return np.zeros(0)
    low, middle, high = np.percentile(values, (10, 50, 90))
    return np.clip((values - middle) / max((high - low) / 2.563, least), -LIMIT, LIMIT)


class CurveScale(NamedTuple):
    """Middle and scale (3,) of a genre's curves."""

    middle: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, plans: Iterable[np.ndarray]) -> "CurveScale":
        """That of all frames of plans (frames, channels) together, measured as of songs."""
        rows = np.concatenate([plan[:, CURVES] for plan in plans])
        low, middle, high = np.percentile(rows, (10, 50, 90), axis=0)
        return cls(middle, np.maximum((high - low) / 2.563, 0.1))

    def applied(self, plan: Float[np.ndarray, "frames channels"]) -> Float[np.ndarray, "frames channels"]:
        """A copy with standardised curves."""
        scaled = plan.copy()
        scaled[:, CURVES] = np.clip((plan[:, CURVES] - self.middle) / self.scale, -LIMIT, LIMIT)
        return scaled


def _position(beats: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Beats passed at each time, fractional; before the first and after the last their neighbours' interval goes on."""
    number = np.arange(len(beats))
    inside = np.interp(times, beats, number)
    before, after = beats[1] - beats[0], beats[-1] - beats[-2]
    inside = np.where(times < beats[0], (times - beats[0]) / before, inside)
    return np.where(times > beats[-1], len(beats) - 1 + (times - beats[-1]) / after, inside)


def _peak(curve: np.ndarray, rate: float, time: float, reach: float) -> float:
    begin, end = max(0, round((time - reach) * rate)), round((time + reach) * rate) + 1
    part = curve[begin:end] if end > 0 else curve[:0]
    return float(part.max()) if len(part) else 0.0


def _sampled(curve: np.ndarray, rate: float, fps: float, frames: int) -> np.ndarray:
    """The curve at the motion's frames."""
    if not len(curve):
        return np.zeros(frames)
    return np.interp(np.arange(frames) / fps, np.arange(len(curve)) / rate, curve)
