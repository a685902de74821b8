"""What touches the floor at y = 0, and what stands on it: from height and speed, in metres and metres per second."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from longdance.motion.skeleton import BALL_HEIGHT, SMPL24, Skeleton

REST_HEIGHTS = {
    "pelvis": 0.10,
    "spine3": 0.10,
    "head": 0.08,
    **{
        f"{side}_{joint}": height
        for side in ("left", "right")
        for joint, height in (
            ("foot", BALL_HEIGHT),
            ("ankle", float(SMPL24.rest_positions[SMPL24.index("left_ankle"), 1])),
            ("knee", 0.05),
            ("elbow", 0.04),
            ("wrist", 0.03),
            ("hand", 0.02),
        )
    },
}
"""Metres of joints above the floor that the body rests on with them: half the body's thickness there."""
HEEL_LIMIT = 0.045
"""Metres above the floor below which no ankle can be, however the foot lies."""
CONTACT_MARGIN = 0.04
"""Metres above its rest height below which a joint can stand."""
STANDING_SPEED = 0.25
"""Metres per second below which a joint counts as standing still."""


def speeds(positions: np.ndarray, fps: float) -> np.ndarray:
    """Speed (frames, ...) in m/s of (frames, ..., 3) positions by central differences; zero for a single frame."""
    if len(positions) < 2:
        return np.zeros(positions.shape[:-1])
    return np.linalg.norm(np.gradient(positions, axis=0), axis=-1) * fps


def contact_height(joint: str) -> float:
    """Metres below which a joint can stand on the floor; ``KeyError`` for one that no body rests on."""
    return REST_HEIGHTS[joint] + CONTACT_MARGIN


def foot_contacts(
    positions: np.ndarray, fps: float, *, skeleton: Skeleton, joint_names: tuple[str, ...]
) -> np.ndarray:
    """(frames, len(joint_names)) booleans: low and slow enough to stand on the floor; hands and knees alike.

    ``positions`` (frames, joints, 3) metres; names are those of ``REST_HEIGHTS``.
    """
    tracks = positions[:, [skeleton.index(name) for name in joint_names]]
    low = tracks[..., 1] < np.array([contact_height(name) for name in joint_names])
    return low & (speeds(tracks, fps) < STANDING_SPEED)


def clearances(positions: Float[Tensor, "*axes joints 3"], skeleton: Skeleton) -> Float[Tensor, "*axes parts"]:
    """Metres between each part of the body that it can rest on and the floor, negative below it; differentiable.

    The parts are the joints of ``REST_HEIGHTS``, as thick as it says: feet, hands, knees, elbows, seat, back, head.
    """
    known = [name for name in REST_HEIGHTS if name in skeleton.names]
    rest = torch.tensor([REST_HEIGHTS[name] for name in known], dtype=positions.dtype, device=positions.device)
    return positions[..., [skeleton.index(name) for name in known], 1] - rest


def clearance(positions: Float[Tensor, "*axes joints 3"], skeleton: Skeleton) -> Float[Tensor, "*axes"]:
    """Metres between the body's lowest part and the floor, negative below it; differentiable."""
    return clearances(positions, skeleton).amin(-1)


def clearance_of(joints: Float[np.ndarray, "frames joints 3"], skeleton: Skeleton) -> Float[np.ndarray, " frames"]:
    """``clearance`` of an array."""
    return clearance(torch.from_numpy(joints), skeleton).numpy()
