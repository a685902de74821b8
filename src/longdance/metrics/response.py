"""How movement answers the music it is danced to: stops on its beats, speed with its loudness.

A dance that is drawn to beats while it is made meets them whatever the network heard; what a network hears of music
is measured in `exchange`.
"""

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d

from longdance.metrics.joints import checked_joints
from longdance.metrics.rhythm import BeatAlignmentTest, beat_alignment_test
from longdance.motion.filters import low_pass

MOVEMENT_CUTOFF = 8.0
"""Hertz: what is faster is trembling, and no stop on a beat."""
BY_CHANCE = 0.05
"""Share of shifted beats that may be met as well by a dance that counts as being on the beat."""
APART_DECIBEL = 6.0
"""How far apart loud and soft moments are."""


def movement_beat_test(
    joints: Float[np.ndarray, "frames joints 3"], beat_times: np.ndarray, fps: float | int, *, seed: int = 0
) -> BeatAlignmentTest:
    """``beat_alignment_test`` of movement below 8 Hz, against 200 shifts of the beats.

    ``joints`` (frames, joints, 3) metres; ``beat_times`` (beats,) seconds from the first frame.
    """
    moved = low_pass(checked_joints(joints, fps), fps, cutoff=MOVEMENT_CUTOFF)
    # A micrometre is no movement: what a filter leaves of a statue would have pauses everywhere.
    return beat_alignment_test(np.round(moved, 6), beat_times, fps, shifts=200, seed=seed)


def loudness_response(
    joints: Float[np.ndarray, "frames joints 3"], loudness: Float[np.ndarray, " frames"], fps: float | int
) -> float:
    """How many times faster the joints move in loud parts of the music than in soft ones, 1 for no difference.

    ``loudness`` (frames,) decibel is averaged over about a second (Gaussian of 0.35 s). Soft is what is at most as
    loud as a fifth of the time, loud what is 6 dB or more above the loudest of that. NaN for music with no such part
    of a second at least.
    """
    joints = checked_joints(joints, fps)
    level = gaussian_filter1d(np.asarray(loudness, dtype=np.float64), 0.35 * fps, mode="nearest")[1:]
    threshold = np.percentile(level, 20)
    soft, loud = level <= threshold, level >= threshold + APART_DECIBEL
    if min(soft.sum(), loud.sum()) < fps:
        return float("nan")
    still = low_pass(joints, fps, cutoff=MOVEMENT_CUTOFF)
    speed = np.linalg.norm(np.diff(still, axis=0), axis=-1).mean(axis=1)
    return float(speed[loud].mean() / max(speed[soft].mean(), 1e-12))


def music_response(
    joints: Float[np.ndarray, "frames joints 3"],
    beat_times: np.ndarray,
    fps: float | int,
    loudness: Float[np.ndarray, " frames"] | None = None,
) -> dict[str, float]:
    """How one dance answers its music, by name; what needs several dances is in ``exchange``.

    ``joints`` (frames, joints, 3) metres, ``beat_times`` (beats,) seconds, ``loudness`` (frames,) decibel if known.
    """
    test = movement_beat_test(joints, beat_times, fps)
    found = {
        "movement_beat_alignment": test.score,
        "movement_beat_alignment_by_chance": test.chance_mean,
        "on_the_beat": float(test.p_value < BY_CHANCE),
    }
    if loudness is not None:
        found["loud_over_soft"] = loudness_response(joints, loudness, fps)
    return found
