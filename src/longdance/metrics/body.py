"""Measures that need a body around the joints, or its trembling apart from its dancing.

Limbs are capsules, thinner than a person's so that skin on skin is no fault. Metres, seconds and hertz; no measure
depends on the frame rate beyond what sampling loses.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from longdance.metrics.joints import checked_joints
from longdance.motion.body import penetration_depths

TREMBLING = (6.0, 12.0)
"""Hertz: above what dancers do on purpose, below what 30 frames per second can hold."""
SHAKING = 8.0
"""Hertz above which every movement counts as shaking."""
TOUCHING = 0.02
"""Metres of penetration up to which capsules count as touching."""
FRAMES_AT_ONCE = 10_000
"""Bounds memory."""


class SelfPenetration(NamedTuple):
    """How far limbs are inside of one another."""

    mean: float
    """Metres, mean over frames of the deepest pair; 0 where nothing touches."""
    deepest: float
    """Metres, of the whole dance."""
    share: float
    """Share of frames in which a pair is deeper than 2 cm."""


def self_penetration(joints: Float[np.ndarray, "frames joints 3"], fps: float | int) -> SelfPenetration:
    """Depth to which capsules around limbs, trunk and head overlap, neighbours apart.

    ``joints`` (frames, joints, 3) metres. Two capsules overlap by the sum of their radii minus the distance of their
    segments.
    """
    joints = checked_joints(joints, fps, least_frames=1)
    parts = np.array_split(joints, len(joints) // FRAMES_AT_ONCE + 1)
    deepest = np.concatenate([penetration_depths(torch.from_numpy(part)).amax(-1).clamp_min(0) for part in parts])
    return SelfPenetration(float(deepest.mean()), float(deepest.max()), float((deepest > TOUCHING).mean()))


def trembling(
    joints: Float[np.ndarray, "frames joints 3"], fps: float | int, *, band: tuple[float, float] = TREMBLING
) -> float:
    """Root mean square over joints and frames of the jerk's part within ``band`` (hertz), in m/s³.

    Each coordinate, its straight trend removed and its ends faded by a Hann window, is taken to frequencies, where the
    third derivative is a factor (2 pi f)³. Unlike ``mean_jerk`` it is the same at every frame rate above twice the
    band, and blind to how fast the dance is on purpose. ``joints`` (frames, joints, 3) metres, at least four frames.
    """
    return _within(joints, fps, band, derivative=3)


def shaking(joints: Float[np.ndarray, "frames joints 3"], fps: float | int) -> float:
    """Root mean square over joints and frames of the speed's part above 8 Hz, in cm/s.

    Nobody dances that fast; what is left there is noise. Above ``fps`` / 2 nothing is known, so compare dances at one
    frame rate. ``joints`` (frames, joints, 3) metres, at least four frames.
    """
    return 100 * _within(joints, fps, (SHAKING, np.inf), derivative=1)


def _within(joints: np.ndarray, fps: float | int, band: tuple[float, float], *, derivative: int) -> float:
    """Root mean square, in metres and seconds, of the part of a derivative that lies within a band of hertz."""
    joints = checked_joints(joints, fps, least_frames=4)
    ramp = np.linspace(-1, 1, len(joints))[:, None, None]
    level = joints - joints.mean(axis=0)
    level = level - ramp * (ramp * level).sum(axis=0) / (ramp**2).sum()
    window = np.hanning(len(joints) + 2)[1:-1]
    power = np.abs(np.fft.rfft(level * window[:, None, None], axis=0)) ** 2
    frequency = np.fft.rfftfreq(len(joints), 1 / fps)
    inside = (frequency >= band[0]) & (frequency <= band[1])
    moved = (2 * np.pi * frequency[inside, None, None]) ** (2 * derivative) * power[inside]
    # Parseval: both halves of the spectrum, over the window's own energy.
    return float(np.sqrt(2 * moved.sum(axis=(0, 2)) / (len(joints) * (window**2).sum())).mean())
