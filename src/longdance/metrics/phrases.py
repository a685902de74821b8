"""Dances by plan: how much of a dance is recorded movement, and how smooth phrases become each other."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from longdance.choreography.phrases.library import FPS, Library
from longdance.metrics.joints import checked_joints
from longdance.metrics.physical import FEET, airborne, sliding
from longdance.motion.filters import interpolate
from longdance.motion.skeleton import SMPL24

RECORDED = 0.05
"""Metres between joints, on average, within which a pose is a recorded one."""
ROWS = 512
COMPARED = 22
"""Joints that count: hands are no part of every dance."""


def recorded_share(joints: Float[np.ndarray, "frames joints 3"], fps: float | int, library: Library) -> float:
    """Share of frames within 5 cm, on average over the joints, of a frame of a recorded phrase or its mirror image.

    ``joints`` (frames, joints, 3) metres, SMPL's 22 or 24. Poses are compared above one place and at one heading. A
    dance without a plan comes near some recorded poses as well, standing ones above all: measure one beside.
    """
    joints = checked_joints(joints, fps)
    times = np.arange(0, len(joints) - 1 + 1e-6, fps / FPS)
    seen = _seen(interpolate(joints, times))
    known = []
    for take in sorted({phrase.take for phrase in library.phrases}):
        motion = library.motion(take)
        inside = _inside(library, take, motion.frames)
        known += [_seen(each.joints())[inside] for each in (motion, motion.mirror())]
    recorded = np.concatenate(known).reshape(-1, COMPARED * 3)
    near = [_nearest(part, recorded) for part in np.array_split(seen.reshape(len(seen), -1), len(seen) // ROWS + 1)]
    return float((np.concatenate(near) < RECORDED).mean())


def _inside(library: Library, take: int, frames: int) -> Bool[np.ndarray, " frames"]:
    """Frames of a take that belong to a phrase."""
    inside = np.zeros(frames, bool)
    for phrase in library.phrases:
        if phrase.take == take:
            inside[int(phrase.marks[0]) : int(np.ceil(phrase.marks[-1])) + 1] = True
    return inside


def _seen(joints: np.ndarray) -> np.ndarray:
    """(frames, joints, 3) seen from the dancer: the pelvis above the origin, hips across x."""
    joints = joints[:, :COMPARED]
    across = joints[:, SMPL24.index("left_hip")] - joints[:, SMPL24.index("right_hip")]
    turn = np.exp(-1j * np.arctan2(across[:, 2], across[:, 0]))
    plane = (joints[..., 0] - joints[:, :1, 0] + 1j * (joints[..., 2] - joints[:, :1, 2])) * turn[:, None]
    return np.stack((plane.real, joints[..., 1], plane.imag), -1).astype(np.float32)


def _nearest(poses: np.ndarray, recorded: np.ndarray) -> np.ndarray:
    """(poses,) metres to the nearest recorded pose by the mean over the joints, among the nearest few by squares."""
    squares = (recorded**2).sum(1)[None] - 2 * poses @ recorded.T
    few = min(8, len(recorded))
    chosen = np.argpartition(squares, few - 1, axis=1)[:, :few]
    apart = poses[:, None] - recorded[chosen]
    return np.linalg.norm(apart.reshape(*apart.shape[:2], COMPARED, 3), axis=-1).mean(-1).min(1)


class Joins(NamedTuple):
    """How joins compare with what is inside of phrases."""

    joins: int
    acceleration: float
    """Highest mean joint acceleration in a join, over the 99th percentile inside phrases; mean over joins."""
    within: float
    """Share of joins that stay below that percentile."""
    sliding: float
    """Sliding of the feet in joins over that elsewhere."""
    sliding_in_joins: float
    """cm/s."""
    sliding_elsewhere: float
    air_share: float


def join_measures(
    joints: Float[np.ndarray, "frames joints 3"], fps: float | int, joins: Sequence[tuple[int, int]]
) -> Joins:
    """Measures of joins, frames from and to (exclusive) of each; NaN where there is none.

    ``joints`` (frames, joints, 3) metres.
    """
    joints = checked_joints(joints, fps)
    inside = np.ones(len(joints), bool)
    for begin, end in joins:
        inside[begin:end] = False
    size = np.linalg.norm(np.gradient(np.gradient(joints, axis=0), axis=0), axis=-1).mean(1) * fps**2
    limit = np.percentile(size[inside], 99)
    peaks = np.array([size[max(0, begin - 1) : end + 1].max() for begin, end in joins]) / limit
    speed = sliding(joints, fps, FEET)
    down = np.isfinite(speed)
    slides = [_mean_of(100 * speed[down & where[:, None]]) for where in (~inside[1:], inside[1:])]
    return Joins(
        len(peaks),
        _mean_of(peaks),
        _mean_of(peaks <= 1),
        slides[0] / slides[1] if slides[1] else float("nan"),
        slides[0],
        slides[1],
        airborne(joints, fps).share,
    )


def _mean_of(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
