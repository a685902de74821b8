"""Beats of a dance, estimated from its movement alone.

Here belongs the way from joint positions to the times a dancer marks: for dances that come without music.
The tempo and beat tracker itself is in `tracking`.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from longdance.errors import InputError
from longdance.features import tracking

NOVELTY_RATE = 60.0
"""Hertz. Movement is brought to this rate first, so that results hardly depend on the frame rate."""
_SPEED_SMOOTHING = 0.05  # seconds, standard deviation: capture noise and tremor go, a quick hit stays
_ARCH_SMOOTHING = 0.25  # seconds: the speed of the gesture that a dip interrupts
_WHOLE_BODY_WEIGHT = 0.5
_STEADY_CLARITY = 0.25
_STEADY_DEVIATION = 0.12
_FALLBACK_BPM = 110.0


@dataclass(frozen=True, eq=False)
class MotionBeats:
    """When a dancer marks beats. Times are seconds from the first frame."""

    tempo_bpm: float
    """60 over the median time between beats."""
    beat_times: np.ndarray
    """(beats,) seconds, increasing, inside the motion."""
    strength: np.ndarray
    """(beats,) from 0 to 1: how clearly the movement pauses or turns at each beat, 1 for the clearest."""
    is_steady: bool
    """True where the movement repeats with a clear period and the beats keep it: a dance to steady music."""
    clarity: float = 0.0
    """How clearly the movement repeats with the period of the beats, 0 to 1."""


def beats_of_motion(
    joints: np.ndarray, fps: float, *, tempo_range: tuple[float, float] = (70.0, 180.0)
) -> MotionBeats:
    """Estimate tempo and beats from joint positions `(frames, joints, 3)`, metres, at `fps` hertz.

    Dancers reach poses on the beat: there the speed of the body and of its limbs dips. The dips form a
    novelty curve, its periodicity gives a tempo that may drift within `tempo_range` (beats per minute), and
    a chain of beats is laid so that it keeps the tempo and lands on the dips. A body that does not move
    gets an even grid of 110 BPM, or the nearest tempo allowed, with zero strength. Raises InputError for
    fewer than two frames, positions that are not finite, or an empty tempo range.

    Source: beats at local minima of the mean joint speed as in AI Choreographer (Li et al. 2021), section
    6.2; beat chain by Ellis (2007). Differs: dips weigh by their depth, per joint as well as for the whole
    body.
    """
    joints = np.asarray(joints, dtype=np.float64)
    if joints.ndim != 3 or joints.shape[-1] != 3 or len(joints) < 2:
        raise InputError(
            f"expected joints of shape (frames >= 2, joints, 3), got {joints.shape}; try a longer clip"
        )
    if not np.isfinite(joints).all():
        raise InputError(
            "expected finite joint positions, got NaN or infinity; try cutting the damaged frames"
        )
    slowest, fastest = tempo_range
    if not 0 < slowest < fastest:
        raise InputError(
            f"expected a tempo range (slowest, fastest) in BPM, got {tempo_range}; try (70, 180)"
        )
    seconds = (len(joints) - 1) / fps
    novelty = movement_novelty(joints, fps)
    likely = float(np.sqrt(slowest * fastest))
    tempo = tracking.follow_tempo(
        novelty, NOVELTY_RATE, tempo_range=tempo_range, likely_bpm=likely, likely_octaves=0.6
    )
    frames = tracking.follow_beats(novelty, NOVELTY_RATE, tempo.tempo_bpm, tightness=60.0)
    times = np.clip(frames / NOVELTY_RATE, 0.0, seconds)
    if len(times) < 2:
        bpm = float(np.clip(_FALLBACK_BPM, slowest, fastest))
        grid = np.arange(0.0, seconds + 1e-9, 60.0 / bpm)
        return MotionBeats(bpm, grid, np.zeros(len(grid)), is_steady=False)
    height = np.interp(times, np.arange(len(novelty)) / NOVELTY_RATE, novelty)
    intervals = np.diff(times)
    deviation = float(np.abs(intervals / np.median(intervals) - 1.0).mean())
    return MotionBeats(
        tempo_bpm=float(60.0 / np.median(intervals)),
        beat_times=times,
        strength=height / max(float(height.max()), 1e-12),
        is_steady=tempo.clarity > _STEADY_CLARITY and deviation < _STEADY_DEVIATION,
        clarity=float(tempo.clarity),
    )


def movement_novelty(joints: np.ndarray, fps: float) -> np.ndarray:
    """Curve at 60 Hz that peaks where movement pauses: `(round((frames - 1) / fps * 60) + 1,)`, at least 0.

    For each joint, the amount by which its speed falls below its own course over a quarter of a second, in
    metres per second: fast limbs weigh more than still ones. The same dip of the mean speed of all joints
    is added with the same total weight.
    """
    source = np.arange(len(joints)) / fps
    times = np.arange(round((len(joints) - 1) / fps * NOVELTY_RATE) + 1) / NOVELTY_RATE
    flat = joints.reshape(len(joints), -1)
    low = np.clip(np.searchsorted(source, times, side="right") - 1, 0, len(source) - 2)
    part = np.clip((times - source[low]) * fps, 0.0, 1.0)[:, None]
    resampled = (flat[low] * (1 - part) + flat[low + 1] * part).reshape(len(times), -1, 3)
    if len(times) < 3:
        return np.zeros(len(times))
    smooth = gaussian_filter1d(resampled, _SPEED_SMOOTHING / 2 * NOVELTY_RATE, axis=0, mode="nearest")
    speed = np.linalg.norm(np.gradient(smooth, axis=0), axis=-1) * NOVELTY_RATE
    speed = gaussian_filter1d(speed, _SPEED_SMOOTHING / 2 * NOVELTY_RATE, axis=0, mode="nearest")
    limbs = _dip(speed).mean(axis=1)
    body = _dip(speed.mean(axis=1, keepdims=True))[:, 0]
    novelty = limbs / max(float(limbs.mean()), 1e-12) * (1 - _WHOLE_BODY_WEIGHT)
    novelty += body / max(float(body.mean()), 1e-12) * _WHOLE_BODY_WEIGHT
    # Below a millimetre per second there is noise, no dance.
    return novelty if speed.mean() > 1e-3 else np.zeros(len(times))


def _dip(speed: np.ndarray) -> np.ndarray:
    around = gaussian_filter1d(speed, _ARCH_SMOOTHING * NOVELTY_RATE, axis=0, mode="nearest")
    return np.maximum(around - speed, 0.0)
