"""When a foot stands on the floor: from its height and its speed, in metres and metres per second."""

import numpy as np

from longdance.motion.skeleton import BALL_HEIGHT, Skeleton

ANKLE_HEIGHT = 0.12
"""Metres below which an ankle can belong to a standing heel (0.08 at rest)."""
BALL_LIMIT = BALL_HEIGHT + 0.04
"""Metres below which the ball of the foot can stand."""
STANDING_SPEED = 0.25
"""Metres per second below which a foot joint counts as standing still."""


def speeds(positions: np.ndarray, fps: float) -> np.ndarray:
    """Speed (frames, ...) in m/s of (frames, ..., 3) positions by central differences; zero for a single frame."""
    if len(positions) < 2:
        return np.zeros(positions.shape[:-1])
    return np.linalg.norm(np.gradient(positions, axis=0), axis=-1) * fps


def foot_contacts(
    positions: np.ndarray, fps: float, *, skeleton: Skeleton, joint_names: tuple[str, ...]
) -> np.ndarray:
    """(frames, len(joint_names)) booleans: low and slow enough to stand on the floor at y = 0.

    ``positions`` (frames, joints, 3) metres. Names with "ankle" use the heel's height limit, others the ball's.
    """
    columns = []
    for name in joint_names:
        track = positions[:, skeleton.index(name)]
        limit = ANKLE_HEIGHT if "ankle" in name else BALL_LIMIT
        columns.append((track[:, 1] < limit) & (speeds(track, fps) < STANDING_SPEED))
    return np.stack(columns, axis=1)
