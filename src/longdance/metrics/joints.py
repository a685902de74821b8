"""The joint array every metric takes: its axes, its joint numbers, and the one place where it is checked.

Nothing here measures anything.
"""

import numpy as np

from longdance.errors import InputError
from longdance.motion.skeleton import SMPL22, SMPL24

ROOT = SMPL24.index("pelvis")
UP = 1
"""The vertical coordinate, y."""
HORIZONTAL = [0, 2]
"""The floor's coordinates, x and z."""
JOINT_COUNTS = (len(SMPL22), len(SMPL24))


def checked_joints(joints: np.ndarray, fps: float | int, *, least_frames: int = 2) -> np.ndarray:
    """(frames, joints, 3) positions as float64, or ``InputError`` saying what is wrong with them."""
    joints = np.asarray(joints)
    if joints.ndim != 3 or joints.shape[1] not in JOINT_COUNTS or joints.shape[2] != 3:
        raise InputError(
            f"expected joints (frames, 22 or 24, 3), got {joints.shape}; "
            "try Motion.joints(), one dance at a time"
        )
    if len(joints) < least_frames:
        raise InputError(f"expected at least {least_frames} frames, got {len(joints)}; try a longer dance")
    if not fps > 0:
        raise InputError(f"expected a positive frame rate, got {fps}; try the fps stored with the dance")
    joints = joints.astype(np.float64)
    if not np.isfinite(joints).all():
        raise InputError("expected finite joint positions, got NaN or infinity; try another dance")
    return joints


def checked_variant(variant: str, known: tuple[str, ...]) -> str:
    """The variant itself, or ``InputError`` listing the known ones."""
    if variant not in known:
        raise InputError(f"expected one of {', '.join(known)}, got {variant!r}; try {known[0]!r}")
    return variant


def relative_to_root(joints: np.ndarray) -> np.ndarray:
    """Every joint minus the pelvis of its own frame, the pelvis itself left out: (frames, joints - 1, 3)."""
    return joints[:, 1:] - joints[:, ROOT : ROOT + 1]
