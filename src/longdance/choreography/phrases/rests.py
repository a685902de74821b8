"""Where a body comes to rest for a moment: the beats that are seen in a dance."""

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

SMOOTHING = 5 / 60
"""Seconds, standard deviation, of the mean joint speed whose lowest points are rests; as the measures of rhythm have
it."""


def rests_of(joints: Float[np.ndarray, "frames joints 3"], fps: float) -> Float[np.ndarray, " rests"]:
    """Fractional frames at which the mean joint speed is lowest, in order."""
    if len(joints) < 4:
        return np.zeros(0)
    speed = gaussian_filter1d(np.linalg.norm(np.diff(joints, axis=0), axis=-1).mean(1), SMOOTHING * fps)
    lowest = find_peaks(-speed)[0]
    before, here, after = speed[lowest - 1], speed[lowest], speed[lowest + 1]
    return lowest + 0.5 + 0.5 * (before - after) / np.maximum(before - 2 * here + after, 1e-12)


def nearest_rests(
    marks: Float[np.ndarray, " marks"], rests: Float[np.ndarray, " rests"], within: float
) -> Float[np.ndarray, " marks"]:
    """Each mark where the nearest rest is, if that is ``within`` so many frames; else as it was."""
    if not len(rests):
        return marks
    nearest = rests[np.abs(marks[:, None] - rests).argmin(1)]
    return np.where(np.abs(nearest - marks) <= within, nearest, marks)
