"""Measures that need a body around the joints, or its trembling apart from its dancing.

Limbs are capsules, thinner than a person's so that skin on skin is no fault. Metres, seconds and hertz; no measure
depends on the frame rate beyond what sampling loses.
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from longdance.metrics.joints import checked_joints
from longdance.motion.skeleton import SMPL24

TREMBLING = (6.0, 12.0)
"""Hertz: above what dancers do on purpose, below what 30 frames per second can hold."""
TOUCHING = 0.02
"""Metres of penetration up to which capsules count as touching."""


class Capsule(NamedTuple):
    """A limb: all points within ``radius`` metres of the segment between two joints."""

    start: str
    end: str
    radius: float


CAPSULES = {
    "torso": Capsule("spine1", "spine3", 0.09),
    "head": Capsule("neck", "head", 0.07),
    **{
        f"{side}_{name}": Capsule(f"{side}_{start}", f"{side}_{end}", radius)
        for side in ("left", "right")
        for name, start, end, radius in (
            ("upper_arm", "shoulder", "elbow", 0.035),
            ("forearm", "elbow", "wrist", 0.03),
            ("thigh", "hip", "knee", 0.05),
            ("shin", "knee", "ankle", 0.04),
            ("foot", "ankle", "foot", 0.03),
        )
    },
}
NEIGHBOURS = {
    frozenset(pair)
    for side, other in (("left", "right"), ("right", "left"))
    for pair in (
        ("torso", f"{side}_upper_arm"),
        ("head", f"{side}_upper_arm"),
        ("torso", f"{side}_thigh"),
        (f"{side}_upper_arm", f"{side}_forearm"),
        (f"{side}_thigh", f"{side}_shin"),
        (f"{side}_shin", f"{side}_foot"),
        (f"{side}_thigh", f"{other}_thigh"),
        (f"{side}_upper_arm", f"{other}_upper_arm"),
    )
} | {frozenset(("torso", "head"))}
"""Capsules that grow from one another, or out of the trunk beside each other: their overlap is anatomy."""
PAIRS = tuple(pair for pair in combinations(CAPSULES, 2) if frozenset(pair) not in NEIGHBOURS)


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
    deepest = np.zeros(len(joints))
    for first, second in PAIRS:
        one, other = CAPSULES[first], CAPSULES[second]
        ends = [joints[:, SMPL24.index(name)] for name in (one.start, one.end, other.start, other.end)]
        deepest = np.maximum(deepest, one.radius + other.radius - segment_distance(*ends))
    return SelfPenetration(float(deepest.mean()), float(deepest.max()), float((deepest > TOUCHING).mean()))


def segment_distance(
    start: Float[np.ndarray, "frames 3"],
    end: Float[np.ndarray, "frames 3"],
    other_start: Float[np.ndarray, "frames 3"],
    other_end: Float[np.ndarray, "frames 3"],
) -> Float[np.ndarray, " frames"]:
    """Shortest distance between two segments, frame by frame; segments may be points.

    The distance is convex in the two places on the segments, so the least one is at the foot of the common
    perpendicular if that lies on both segments, and otherwise between an end of one and the other segment.
    """
    ends = np.stack(
        [
            _to_segment(start, other_start, other_end),
            _to_segment(end, other_start, other_end),
            _to_segment(other_start, start, end),
            _to_segment(other_end, start, end),
        ]
    ).min(axis=0)
    along, other_along, between = end - start, other_end - other_start, start - other_start
    aa, bb, ab = _dot(along, along), _dot(other_along, other_along), _dot(along, other_along)
    determinant = aa * bb - ab**2
    skew = determinant > 1e-9 * np.maximum(aa * bb, 1e-12)
    safe = np.where(skew, determinant, 1.0)
    place = (ab * _dot(other_along, between) - bb * _dot(along, between)) / safe
    other_place = (aa * _dot(other_along, between) - ab * _dot(along, between)) / safe
    inside = skew & (place >= 0) & (place <= 1) & (other_place >= 0) & (other_place <= 1)
    crossing = np.linalg.norm(between + place[:, None] * along - other_place[:, None] * other_along, axis=-1)
    return np.where(inside, np.minimum(crossing, ends), ends)


def trembling(
    joints: Float[np.ndarray, "frames joints 3"], fps: float | int, *, band: tuple[float, float] = TREMBLING
) -> float:
    """Root mean square over joints and frames of the jerk's part within ``band`` (hertz), in m/s³.

    Each coordinate, its straight trend removed and its ends faded by a Hann window, is taken to frequencies, where the
    third derivative is a factor (2 pi f)³. Unlike ``mean_jerk`` it is the same at every frame rate above twice the
    band, and blind to how fast the dance is on purpose. ``joints`` (frames, joints, 3) metres, at least four frames.
    """
    joints = checked_joints(joints, fps, least_frames=4)
    ramp = np.linspace(-1, 1, len(joints))[:, None, None]
    level = joints - joints.mean(axis=0)
    level = level - ramp * (ramp * level).sum(axis=0) / (ramp**2).sum()
    window = np.hanning(len(joints) + 2)[1:-1]
    power = np.abs(np.fft.rfft(level * window[:, None, None], axis=0)) ** 2
    frequency = np.fft.rfftfreq(len(joints), 1 / fps)
    inside = (frequency >= band[0]) & (frequency <= band[1])
    jerk = (2 * np.pi * frequency[inside, None, None]) ** 6 * power[inside]
    # Parseval: both halves of the spectrum, over the window's own energy.
    return float(np.sqrt(2 * jerk.sum(axis=(0, 2)) / (len(joints) * (window**2).sum())).mean())


def _to_segment(point: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    along = end - start
    place = np.clip(_dot(point - start, along) / np.maximum(_dot(along, along), 1e-12), 0, 1)
    return np.linalg.norm(point - start - place[:, None] * along, axis=-1)


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("...i,...i->...", a, b)
