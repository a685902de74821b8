"""Published contact metrics: physical foot contact (EDGE) and body contact (POPDG), foot skating (Lodge).

They are reproduced to compare with papers, with their per-frame units: each was published for 30 fps and
changes several-fold with the frame rate. ``longdance.metrics.physical`` measures feet in metres and seconds.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from longdance.errors import InputError
from longdance.metrics.joints import HORIZONTAL, ROOT, UP, checked_joints
from longdance.motion.filters import interpolate, sample_times
from longdance.motion.skeleton import SMPL24

PUBLISHED_SCALE = 10_000.0
"""Factor of the published PFC and PBC numbers; the papers do not mention it."""
ANKLES = [SMPL24.index("left_ankle"), SMPL24.index("right_ankle")]
BALLS = [SMPL24.index("left_foot"), SMPL24.index("right_foot")]
GROUND_AGREEMENT = 0.02
"""Metres within which the toes of the first frame count as standing on the same ground."""
ANKLE_CONTACT, BALL_CONTACT = 0.08, 0.05
"""Metres above the ground up to which a foot is in contact."""
SLIDE = 0.01
"""Metres per frame above which a foot in contact counts as skating."""


def physical_foot_contact(
    joints: Float[np.ndarray, "frames joints 3"], fps: float | int, *, at_fps: float | int | None = None
) -> float:
    """EDGE's PFC: how much the hips accelerate while both feet move; lower is better, 0 for a still pelvis.

    ``joints`` (frames, joints, 3) metres, y up, at least three frames. The mean over frames of the left and
    right foot's displacement per frame (the slower of ankle and toe, horizontally) times the pelvis'
    acceleration (upward and horizontal only, over its maximum in the clip), times 10,000. Displacements are
    per frame, as published: ``at_fps=30`` resamples first and gives numbers comparable with the papers;
    ``fps`` is unused otherwise. The value for many dances is the mean of theirs.

    Source: EDGE (Tseng, Castellon and Liu, CVPR 2023). Differs: a still pelvis gives 0, not NaN.
    """
    joints = _at_rate(checked_joints(joints, fps, least_frames=3), fps, at_fps)
    return PUBLISHED_SCALE * float(_foot_terms(joints).mean())


def physical_body_contact(
    joints: Float[np.ndarray, "frames joints 3"], fps: float | int, *, at_fps: float | int | None = None
) -> float:
    """POPDG's PBC: how collars and neck accelerate while hands and head move, minus PFC; higher is better.

    As ``physical_foot_contact``, with displacements in three dimensions for wrist or hand (the slower) and
    head, and accelerations in every direction. ``joints`` must have the 24 SMPL joints, hands included.

    Source: POPDG (Luo et al., CVPR 2024).
    """
    joints = checked_joints(joints, fps, least_frames=3)
    if joints.shape[1] != len(SMPL24):
        raise InputError(f"expected 24 joints, got {joints.shape[1]}; try a dance with hands")
    joints = _at_rate(joints, fps, at_fps)
    step = {name: _steps(joints, SMPL24.index(name)) for name in _BODY_NAMES}
    effort = {
        name: _effort(_acceleration(joints, SMPL24.index(name)))
        for name in ("left_collar", "right_collar", "neck")
    }
    left, right = (np.minimum(step[f"{side}_wrist"], step[f"{side}_hand"]) for side in ("left", "right"))
    arms = 0.01 * left * effort["left_collar"] + 0.01 * right * effort["right_collar"]
    return PUBLISHED_SCALE * float((arms + 0.1 * step["head"] * effort["neck"] - _foot_terms(joints)).mean())


class FootSkatingRatios(NamedTuple):
    """Share of each foot's contact frames that skate; NaN for a foot that never touches the ground."""

    left: float
    right: float


def foot_skating_ratios(
    joints: Float[np.ndarray, "frames joints 3"], fps: float | int, *, at_fps: float | int | None = None
) -> FootSkatingRatios:
    """Lodge's foot skating ratio of either foot, in [0, 1].

    ``joints`` (frames, joints, 3) metres, y up. The ground is the toes' height in the first frame (the
    lower one if they differ by more than 2 cm); a foot is in contact while its ankle is at most 8 cm and
    its toe at most 5 cm above it; it skates where ankle or toe moves more than 1 cm per frame, as |mean(dx,
    dz)|. As published, that means 30 fps (``at_fps=30`` resamples first, ``fps`` is unused otherwise), and
    motion along x = -z never skates; ``physical.foot_skating`` is free of both faults.

    Source: Lodge (Li et al., CVPR 2024), section 4.2.
    """
    joints = _at_rate(checked_joints(joints, fps), fps, at_fps)
    heights = joints[..., UP] - _first_ground(joints)
    contact = (heights[:, ANKLES] <= ANKLE_CONTACT) & (heights[:, BALLS] <= BALL_CONTACT)
    skates = contact & (_signed_slide(joints, ANKLES) | _signed_slide(joints, BALLS))
    ratios = [
        float(skates[:, foot].sum() / contact[:, foot].sum()) if contact[:, foot].any() else float("nan")
        for foot in range(2)
    ]
    return FootSkatingRatios(*ratios)


def foot_skating_ratio(
    joints: Float[np.ndarray, "frames joints 3"], fps: float | int, *, at_fps: float | int | None = None
) -> float:
    """Mean of Lodge's foot skating ratio over the feet that touch the ground; NaN if neither does."""
    ratios = [ratio for ratio in foot_skating_ratios(joints, fps, at_fps=at_fps) if not np.isnan(ratio)]
    return float(np.mean(ratios)) if ratios else float("nan")


_BODY_NAMES = ("left_wrist", "left_hand", "right_wrist", "right_hand", "head")


def _at_rate(joints: np.ndarray, fps: float | int, at_fps: float | int | None) -> np.ndarray:
    if at_fps is None or at_fps == fps:
        return joints
    at = sample_times(len(joints), float(fps), float(at_fps))
    if len(at) < 3:
        raise InputError(f"expected three frames at {at_fps} fps, got {len(at)}; try a longer dance")
    return interpolate(joints, at)


def _steps(joints: np.ndarray, joint: int, axes: list[int] | slice = slice(None)) -> np.ndarray:
    """(frames - 2,) metres that a joint moves into each frame but the first two."""
    return np.linalg.norm(np.diff(joints[1:, joint][:, axes], axis=0), axis=-1)


def _acceleration(joints: np.ndarray, joint: int) -> np.ndarray:
    """(frames - 2, 3) second difference of a joint; its unit does not matter, see ``_effort``."""
    return np.diff(joints[:, joint], n=2, axis=0)


def _effort(acceleration: np.ndarray) -> np.ndarray:
    """(frames - 2,) magnitude of an acceleration over its maximum in the clip; 0 for no acceleration."""
    size = np.linalg.norm(acceleration, axis=-1)
    return size / size.max() if size.max() > 0 else size


def _foot_terms(joints: np.ndarray) -> np.ndarray:
    slower = [
        np.minimum(_steps(joints, ankle, HORIZONTAL), _steps(joints, ball, HORIZONTAL))
        for ankle, ball in zip(ANKLES, BALLS, strict=True)
    ]
    acceleration = _acceleration(joints, ROOT)
    # Falling needs no foot on the floor, pushing up does.
    acceleration[:, UP] = np.maximum(acceleration[:, UP], 0)
    return slower[0] * slower[1] * _effort(acceleration)


def _first_ground(joints: np.ndarray) -> float:
    toes = joints[0, BALLS, UP]
    return float(toes.mean() if abs(toes[0] - toes[1]) < GROUND_AGREEMENT else toes.min())


def _signed_slide(joints: np.ndarray, feet: list[int]) -> Bool[np.ndarray, "frames 2"]:
    """Whether each foot joint moves far enough towards +x+z or -x-z before the next frame."""
    moved = np.diff(joints[:, feet][..., HORIZONTAL].mean(axis=-1), axis=0)
    return np.concatenate([np.abs(moved) > SLIDE, np.zeros((1, len(feet)), dtype=bool)])
