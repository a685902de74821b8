"""Legs and arms of two bones set so that their ends are where they should be."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import ndimage

from longdance.motion.directions import apply, turn_about, turn_between, unit
from longdance.motion.kinematics import local_rotations
from longdance.motion.motion import Motion
from longdance.motion.skeleton import Skeleton

FULL_EXTENSION = 0.998
"""Fraction of the leg's length beyond which a leg is not stretched."""


@dataclass(frozen=True)
class Leg:
    """Indices of one leg's joints."""

    hip: int
    knee: int
    ankle: int
    foot: int


def legs(skeleton: Skeleton) -> tuple[Leg, Leg]:
    left, right = (
        Leg(*(skeleton.index(f"{side}_{joint}") for joint in ("hip", "knee", "ankle", "foot")))
        for side in ("left", "right")
    )
    return left, right


def reach_ankles(
    motion: Motion,
    ankles: np.ndarray,
    *,
    foot_rotations: np.ndarray | None = None,
    shift_pelvis: bool = True,
    pelvis: np.ndarray | None = None,
) -> Motion:
    """The motion with its legs set so that the ankles are at (frames, 2, 3) metres, left then right.

    The knee keeps its plane and the leg its twist, so nothing flips. ``foot_rotations`` (frames, 2, 3, 3)
    are the world rotations of the ankle joints, by default those that the motion has. Where a leg is too
    short the pelvis moves towards the ankle, smoothly in time, or by ``pelvis`` (frames, 3) metres where that
    is given; what is then still out of reach is left stretched towards the target.
    """
    skeleton, both = motion.skeleton, legs(motion.skeleton)
    positions, turns = (array.copy() for array in motion.forward_kinematics())
    root = motion.root_position
    if foot_rotations is None:
        foot_rotations = turns[:, [leg.ankle for leg in both]]
    reach = FULL_EXTENSION * skeleton.leg_length
    if pelvis is not None:
        root = root + pelvis
    elif shift_pelvis:
        root = root + pelvis_shift(positions[:, [leg.hip for leg in both]], ankles, reach, motion.fps)
    shift = root - motion.root_position
    for side, leg in enumerate(both):
        hip, knee, ankle = (positions[:, j] + shift for j in (leg.hip, leg.knee, leg.ankle))
        wanted = ankles[:, side] - hip
        thigh_length = np.linalg.norm(skeleton.offsets[leg.knee])
        shin_length = np.linalg.norm(skeleton.offsets[leg.ankle])
        distance = np.clip(np.linalg.norm(wanted, axis=-1), 0.12 * reach, reach)
        lengths = (thigh_length, shin_length)
        own = turns[:, leg.hip] @ np.array([1.0, 0.0, 0.0])
        swing, bending = _bent_to(knee - hip, ankle - knee, lengths, unit(wanted) * distance[:, None], own)
        turns[:, leg.hip] = swing @ turns[:, leg.hip]
        turns[:, leg.knee] = swing @ bending @ turns[:, leg.knee]
        toes = np.swapaxes(turns[:, leg.ankle], -1, -2) @ turns[:, leg.foot]
        turns[:, leg.ankle] = foot_rotations[:, side]
        turns[:, leg.foot] = foot_rotations[:, side] @ toes
    rotations = local_rotations(torch.from_numpy(turns), skeleton).numpy()
    return replace(motion, root_position=root, rotations=rotations)


def _bent_to(
    upper: np.ndarray, lower: np.ndarray, lengths: tuple[float, float], wanted: np.ndarray, own: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Turns (frames, 3, 3) of a whole limb, and before it of its lower bone, that bring its end to ``wanted``.

    ``upper`` and ``lower`` (frames, 3) are the bones as they are, of the ``lengths``, ``wanted`` the end as seen from
    the limb's beginning, within its reach, ``own`` the unit axes about which the limb bends by nature.
    """
    # 1. Bend the limb to the distance. The hinge is the axis of the present bend; a straight or slightly
    #    overstretched limb takes its own.
    first, second = unit(upper), unit(lower)
    cross = np.cross(first, second)
    bent = np.clip(np.linalg.norm(cross, axis=-1, keepdims=True) / 0.5 - 0.3, 0, 1)
    hinge = np.where((cross * own).sum(-1, keepdims=True) < 0, 2 * bent - 1, 1.0) * cross + 0.05 * own
    hinge = unit(hinge - (hinge * first).sum(-1, keepdims=True) * first)
    distance = np.linalg.norm(wanted, axis=-1)
    inner = (lengths[0] ** 2 + lengths[1] ** 2 - distance**2) / (2 * lengths[0] * lengths[1])
    bend = np.pi - np.arccos(np.clip(inner, -1, 1))
    present = np.arctan2((cross * hinge).sum(-1), (first * second).sum(-1))
    bending = turn_about(hinge, bend - present)
    # 2. Swing the whole limb onto the line from its beginning to the target.
    line = lengths[0] * first + lengths[1] * apply(bending, second)
    return turn_between(line, wanted), bending


def reach_wrists(motion: Motion, wrists: np.ndarray) -> Motion:
    """The motion with its arms set so that the wrists are at (frames, 2, 3) metres, left then right.

    The elbow keeps its plane, the hand its direction. What is out of reach is reached for with a straight arm.
    """
    skeleton = motion.skeleton
    positions, turns = (array.copy() for array in motion.forward_kinematics())
    for at, side in enumerate(("left", "right")):
        shoulder, elbow, wrist = (skeleton.index(f"{side}_{joint}") for joint in ("shoulder", "elbow", "wrist"))
        if np.abs(wrists[:, at] - positions[:, wrist]).max() < 1e-9:
            continue
        lengths = (np.linalg.norm(skeleton.offsets[elbow]), np.linalg.norm(skeleton.offsets[wrist]))
        wanted = wrists[:, at] - positions[:, shoulder]
        distance = np.linalg.norm(wanted, axis=-1, keepdims=True)
        reach = FULL_EXTENSION * sum(lengths)
        wanted = unit(wanted) * np.clip(distance, 0.12 * reach, reach)
        own = turns[:, shoulder] @ np.array([0.0, -np.sign(skeleton.offsets[elbow][0]), 0.0])
        upper, lower = positions[:, elbow] - positions[:, shoulder], positions[:, wrist] - positions[:, elbow]
        swing, bending = _bent_to(upper, lower, lengths, wanted, own)
        turns[:, shoulder] = swing @ turns[:, shoulder]
        turns[:, elbow] = swing @ bending @ turns[:, elbow]
    rotations = local_rotations(torch.from_numpy(turns), skeleton).numpy()
    return replace(motion, rotations=rotations)


def pelvis_shift(hips: np.ndarray, ankles: np.ndarray, reach: float, fps: float) -> np.ndarray:
    """(frames, 3) metres by which the pelvis moves so that both legs reach; smooth in time."""
    shift = np.zeros((len(hips), 3))
    for _ in range(4):
        for side in (0, 1):
            line = hips[:, side] + shift - ankles[:, side]
            length = np.linalg.norm(line, axis=-1, keepdims=True)
            shift -= line / np.maximum(length, 1e-9) * np.maximum(length - reach, 0)
    if not shift.any():
        return shift
    # The maximum over a neighbourhood, then an average over the same: never less than the need at its peak.
    width = max(1, round(0.1 * fps))
    size = np.linalg.norm(shift, axis=-1)
    bound = ndimage.maximum_filter1d(size, 2 * width + 1, mode="nearest")
    smooth = ndimage.uniform_filter1d(bound, 2 * width + 1, mode="nearest")
    direction = unit(ndimage.gaussian_filter1d(shift, width, axis=0, mode="nearest"))
    return direction * smooth[:, None]
