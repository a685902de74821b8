"""Kinetic and geometric features of one dance, the inputs of the Fréchet distances and diversities.

The published metrics share two feature definitions but feed them with differently prepared joints, so a
variant is named after the code it agrees with: ``aistpp`` (AIST++ and mint), ``bailando``, ``lodge``,
``popdg``, and ``fact`` (the first release, behind the published FID_g of AI Choreographer's FACT). They
keep the originals' oddities, among them a frame rate that is fixed instead of read: numbers are comparable
only at the rate of the paper in question (60 fps for AIST++ and Bailando, 30 fps for Lodge and POPDG).
``corrected`` measures what the originals mean to measure, in SI units, at any frame rate.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from longdance.metrics.joints import (
    HORIZONTAL,
    ROOT,
    UP,
    checked_joints,
    checked_variant,
)
from longdance.motion.skeleton import SMPL22, SMPL24

FEATURE_VARIANTS = ("aistpp", "bailando", "lodge", "popdg", "fact", "corrected")
OFFICIAL_FPS = 60.0
"""Frame rate that the published kinetic features assume for every dance."""
OFFICIAL_GEOMETRIC_FPS = 120.0
"""Frame rate that the published geometric features assume, twice that of AIST++."""
BAILANDO_FRAMES = 1200
LODGE_FRAMES = 1024
HALF_WINDOW = 2
"""Frames on either side over which velocities and accelerations are averaged."""
HALF_WINDOW_SECONDS = HALF_WINDOW / OFFICIAL_FPS


class BodyLengths(NamedTuple):
    """Metres of the body that the geometric thresholds are multiples of, the same for every dancer."""

    humerus: float
    shoulders: float
    hips: float


PUBLISHED_LENGTHS = BodyLengths(0.256838109, 0.390848358, 0.119247066)
FACT_LENGTHS = BodyLengths(0.249323488, 0.485713464, 0.424139781)
"""Taken between the wrong joints, as in the first release, on which the FACT paper's FID_g rests."""


def kinetic_features(
    joints: Float[np.ndarray, "frames joints 3"], fps: float | int, *, variant: str = "aistpp"
) -> Float[np.ndarray, " features"]:
    """How energetically every joint moves: (3 * joints,) float32, joint by joint.

    For each joint the mean over frames of (1) the squared horizontal speed, m²/s², (2) the squared vertical
    speed, m²/s², (3) the magnitude of the acceleration, m/s², each from a five-frame average. ``joints``
    are metres, y up.
    Raises ``InputError`` for other shapes, fewer than three frames or an unknown variant.

    The variants differ in the preparation: ``aistpp`` and ``fact`` none; ``bailando`` subtracts the first
    frame's pelvis and keeps 1200 frames; ``lodge`` keeps 22 joints and 1024 frames and takes every joint
    but the pelvis relative to the pelvis, 66 numbers; ``popdg`` measures in a z-up frame whose vertical is
    still called y, so its horizontal speed is sideways and up. All these assume 60 fps whatever ``fps``
    says, and their third number is about 3540 times the distance from the origin, because the published
    code divides only one of two terms by the frame time. ``corrected`` has no preparation, the given frame
    rate, the averaging time in seconds, and a true acceleration.

    Source: Onuma, Faloutsos and Hodgins, FMDistance (Eurographics 2008); fairmotion; AI Choreographer (ICCV
    2021).
    """
    joints = checked_joints(joints, fps, least_frames=3)
    prepared = _prepare(joints, checked_variant(variant, FEATURE_VARIANTS))
    rate = fps if variant == "corrected" else OFFICIAL_FPS
    half = max(round(HALF_WINDOW_SECONDS * fps), 1) if variant == "corrected" else HALF_WINDOW
    velocity = _average_velocity(prepared, half=half) * rate
    squared = velocity**2
    acceleration = _average_acceleration(prepared, rate, half=half, as_published=variant != "corrected")
    parts = (
        squared[..., HORIZONTAL].sum(axis=-1),
        squared[..., UP],
        np.linalg.norm(acceleration, axis=-1),
    )
    return np.stack([part.mean(axis=0) for part in parts], axis=1).ravel().astype(np.float32)


def geometric_features(
    joints: Float[np.ndarray, "frames joints 3"], fps: float | int, *, variant: str = "aistpp"
) -> Float[np.ndarray, "32"]:
    """Share of frames in which each of 32 relations between body parts holds: (32,) float32 in [0, 1].

    ``joints`` are metres, y up; at least two frames, since the first serves only as a predecessor.
    Preparation by variant is that of ``kinetic_features``, except that ``popdg`` treats the second
    coordinate of its z-up frame as the height, and that ``fact`` has its own thresholds. The published
    variants assume 120 fps, so speeds count double at 60 fps and fourfold at 30; ``corrected`` agrees with
    ``aistpp`` at 60 fps and measures the same at every other rate. Columns 0, 1 and 14, 15 look in opposite
    directions for the right and the left side, as published, and so tell a dance from its mirror image.

    Source: Müller, Röder and Clausen, Efficient content-based retrieval of motion capture data (SIGGRAPH
    2005); fairmotion; AI Choreographer (ICCV 2021).
    """
    joints = checked_joints(joints, fps)
    prepared = _prepare(joints, checked_variant(variant, FEATURE_VARIANTS))
    rate = fps * OFFICIAL_GEOMETRIC_FPS / OFFICIAL_FPS if variant == "corrected" else OFFICIAL_GEOMETRIC_FPS
    lengths = FACT_LENGTHS if variant == "fact" else PUBLISHED_LENGTHS
    return _relations(prepared, rate, lengths).mean(axis=0, dtype=np.float32)


def _prepare(joints: np.ndarray, variant: str) -> np.ndarray:
    if variant == "bailando":
        return joints[:BAILANDO_FRAMES] - joints[0, ROOT]
    if variant == "lodge":
        joints = joints[:LODGE_FRAMES, : len(SMPL22)] - joints[0, ROOT]
        root = joints[:, ROOT : ROOT + 1]
        return np.concatenate([root, joints[:, 1:] - root], axis=1)
    if variant == "popdg":
        return np.stack([joints[..., 0], -joints[..., 2], joints[..., 1]], axis=-1)
    return joints


def _average_velocity(positions: np.ndarray, *, half: int) -> np.ndarray:
    """(frames - 1, joints, 3) metres per frame, the mean of up to 2 * half + 1 steps around each frame."""
    last = len(positions) - 1
    frames = np.arange(1, last + 1)
    # A sum of consecutive steps is the difference of its two ends.
    start, end = np.maximum(frames - half - 1, 0), np.minimum(frames + half, last)
    return (positions[end] - positions[start]) / (end - start)[:, None, None]


def _average_acceleration(
    positions: np.ndarray, rate: float | int, *, half: int, as_published: bool
) -> np.ndarray:
    """(frames - 1, joints, 3) mean acceleration around each frame but the first."""
    before, here, after = positions[:-2], positions[1:-1], positions[2:]
    # The published code leaves `here` undivided in the earlier of the two velocities.
    earlier = here - before * rate if as_published else (here - before) * rate
    accelerations = ((after - here) * rate - earlier) * rate
    total = np.concatenate([np.zeros_like(positions[:1]), np.cumsum(accelerations, axis=0)])
    frames = np.arange(1, len(positions))
    start, end = np.maximum(frames - half - 1, 0), np.minimum(frames + half, len(accelerations))
    return (total[end] - total[start]) / (end - start)[:, None, None]


UPRIGHT = np.array([0.0, 1.0, 0.0])


class _Moment:
    """Where the joints of every frame but the first are and how they move, and what can be asked of them."""

    def __init__(self, positions: np.ndarray, rate: float | int):
        names = SMPL24.names[: positions.shape[1]]
        self.now = {name: positions[1:, i] for i, name in enumerate(names)}
        self.velocity = {name: (positions[1:, i] - positions[:-1, i]) * rate for i, name in enumerate(names)}
        self.lowest = positions[1:, :, UP].min(axis=1)

    def __getitem__(self, joint: str) -> np.ndarray:
        return self.now[joint]

    def moves_along(self, joint: str, origin: str, target: str, limit: float) -> np.ndarray:
        """Whether a joint leaves another in the direction from there to a third."""
        return _along(self.velocity[joint] - self.velocity[origin], self[target] - self[origin], limit)

    def crosses_plane(self, joint: str, origin: str, first: str, second: str, limit: float) -> np.ndarray:
        """Whether a joint moves out of the plane of three others."""
        normal = np.cross(self[second] - self[origin], self[first] - self[origin])
        return _along(self.velocity[joint] - self.velocity[origin], normal, limit)

    def in_front_of_plane(self, joint: str, origin: str, first: str, second: str, limit: float) -> np.ndarray:
        """Whether a joint lies before the plane of three others."""
        normal = np.cross(self[second] - self[origin], self[first] - self[origin])
        return _along(self[joint] - self[origin], normal, limit)

    def beyond(self, joint: str, anchor: str, start: str, end: str, limit: float) -> np.ndarray:
        """Whether a joint lies from an anchor in the direction from one joint to another."""
        return _along(self[joint] - self[anchor], self[end] - self[start], limit)

    def bent(self, joint: str, inner: str, outer: str) -> np.ndarray:
        """Whether a limb is bent at a joint."""
        return _angle_within(self[inner] - self[joint], self[outer] - self[joint], 0, 110)

    def raised_from_trunk(self, start: str, end: str, least: float) -> np.ndarray:
        """Whether a limb points away from the trunk's downward direction."""
        return _angle_within(self["pelvis"] - self["neck"], self[end] - self[start], least, 180)

    def fast(self, joint: str, limit: float) -> np.ndarray:
        """Whether a joint is faster than a limit."""
        return np.linalg.norm(self.velocity[joint], axis=-1) > limit

    def height(self, joint: str) -> np.ndarray:
        """Of a joint above the lowest one."""
        return self[joint][:, UP] - self.lowest


def _along(vectors: np.ndarray, direction: np.ndarray, limit: float) -> np.ndarray:
    # Not divided by the length, so that a direction of length zero is False, not an error.
    return _dot(vectors, direction) > limit * np.linalg.norm(direction, axis=-1)


def _angle_within(first: np.ndarray, second: np.ndarray, least: float, most: float) -> np.ndarray:
    lengths = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    cosine = _dot(first, second) / np.where(lengths > 0, lengths, np.nan)
    degrees = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    return (degrees > least) & (degrees < most)


def _relations(positions: np.ndarray, rate: float | int, body: BodyLengths) -> Bool[np.ndarray, "frames 32"]:
    """The 32 relations of every frame but the first, in the published order."""
    pose = _Moment(positions, rate)
    # Relations 5 and 6 were meant to follow a wrist each; the published code watches the chest in both.
    trunk_stretches = pose.moves_along("spine3", "spine1", "spine3", 1.8 * body.humerus)
    return np.stack(
        [
            pose.crosses_plane("right_wrist", "neck", "right_hip", "left_hip", 1.8 * body.humerus),
            pose.crosses_plane("left_wrist", "neck", "left_hip", "right_hip", 1.8 * body.humerus),
            pose.beyond("right_wrist", "neck", "spine3", "neck", 0.2 * body.humerus),
            pose.beyond("left_wrist", "neck", "spine3", "neck", 0.2 * body.humerus),
            trunk_stretches,
            trunk_stretches,
            pose.bent("right_elbow", "right_shoulder", "right_wrist"),
            pose.bent("left_elbow", "left_shoulder", "left_wrist"),
            pose.beyond("right_wrist", "left_wrist", "left_shoulder", "right_shoulder", 2.5 * body.shoulders),
            pose.moves_along("right_wrist", "left_wrist", "right_wrist", 1.4 * body.humerus),
            pose.moves_along("left_wrist", "right_wrist", "pelvis", 1.4 * body.humerus),
            pose.moves_along("right_wrist", "left_wrist", "pelvis", 1.4 * body.humerus),
            pose.fast("right_wrist", 2.5 * body.humerus),
            pose.fast("left_wrist", 2.5 * body.humerus),
            pose.in_front_of_plane("right_ankle", "pelvis", "left_hip", "left_foot", 0.38 * body.humerus),
            pose.in_front_of_plane("left_ankle", "pelvis", "right_hip", "right_foot", 0.38 * body.humerus),
            pose.height("right_ankle") > 1.2 * body.humerus,
            pose.height("left_ankle") > 1.2 * body.humerus,
            pose.beyond("right_ankle", "left_ankle", "left_hip", "right_hip", 2.1 * body.hips),
            pose.bent("right_knee", "right_hip", "right_ankle"),
            pose.bent("left_knee", "left_hip", "left_ankle"),
            pose.fast("right_ankle", 2.5 * body.humerus),
            pose.fast("left_ankle", 2.5 * body.humerus),
            pose.raised_from_trunk("right_shoulder", "right_elbow", 25),
            pose.raised_from_trunk("left_shoulder", "left_elbow", 25),
            pose.raised_from_trunk("right_hip", "right_knee", 50),
            pose.raised_from_trunk("left_hip", "left_knee", 50),
            pose.in_front_of_plane("pelvis", "right_ankle", "neck", "left_ankle", 0.5 * body.humerus),
            _angle_within(pose["pelvis"] - pose["neck"], np.broadcast_to(UPRIGHT, pose["neck"].shape), 70, 110),
            pose.height("right_wrist") < 1.2 * body.humerus,
            pose.height("left_wrist") < 1.2 * body.humerus,
            pose.fast("pelvis", 2.3 * body.humerus),
        ],
        axis=1,
    )


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("...i,...i->...", a, b)
