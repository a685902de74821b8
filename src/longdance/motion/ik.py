"""Inverse kinematics: legs that reach given ankles, feet that stand still, and whole bodies that meet joint targets."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from scipy import linalg, ndimage

from longdance.motion import filters
from longdance.motion import rotations as rot
from longdance.motion.contacts import foot_contacts
from longdance.motion.kinematics import local_rotations
from longdance.motion.motion import Motion
from longdance.motion.skeleton import BALL_HEIGHT, SMPL24, Skeleton

FULL_EXTENSION = 0.998
"""Fraction of the leg's length beyond which a leg is not stretched."""


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) scaled to length one; zero vectors stay zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def turn_between(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Smallest rotations (..., 3, 3) that turn one direction into the other."""
    source, target = np.broadcast_arrays(source, target)
    pair = (torch.from_numpy(np.ascontiguousarray(v, dtype=np.float64)) for v in (source, target))
    return rot.rotation_between(*pair).numpy()


def turn_about(axes: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Rotations (..., 3, 3) by ``angles`` (...) radians about unit ``axes`` (..., 3)."""
    return rot.matrix_from_axis_angle(torch.from_numpy(axes * angles[..., None])).numpy()


def apply(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Rotated vectors (..., 3)."""
    return (matrices @ np.asarray(vectors)[..., None])[..., 0]


def smooth_track(values: np.ndarray, weights: np.ndarray, stiffness: np.ndarray) -> np.ndarray:
    """The track (frames, ...) near ``values`` that changes little where it is stiff.

    Minimises the sum of ``weights`` (frames,) times squared distances from the values and ``stiffness``
    (frames - 1,) times squared steps between neighbours: a tridiagonal system.
    """
    bands = np.zeros((2, len(values)))
    bands[1] = weights
    bands[1, :-1] += stiffness
    bands[1, 1:] += stiffness
    bands[0, 1:] = -stiffness
    flat = values.reshape(len(values), -1)
    return linalg.solveh_banded(bands, weights[:, None] * flat).reshape(values.shape)


@dataclass(frozen=True)
class _Leg:
    """Indices of one leg's joints."""

    hip: int
    knee: int
    ankle: int
    foot: int


def _legs(skeleton: Skeleton) -> tuple[_Leg, _Leg]:
    left, right = (
        _Leg(*(skeleton.index(f"{side}_{joint}") for joint in ("hip", "knee", "ankle", "foot")))
        for side in ("left", "right")
    )
    return left, right


def reach_ankles(
    motion: Motion, ankles: np.ndarray, *, foot_rotations: np.ndarray | None = None, shift_pelvis: bool = True
) -> Motion:
    """The motion with its legs bent and swung so that the ankles are at (frames, 2, 3) metres, left then right.

    The knee keeps its plane and the leg its twist, so nothing flips. ``foot_rotations`` (frames, 2, 3, 3) are the
    world rotations of the ankle joints, by default those that the motion has. Where a leg is too short the pelvis
    moves towards the ankle, smoothly in time; what is then still out of reach is left stretched towards the target.
    """
    skeleton, legs = motion.skeleton, _legs(motion.skeleton)
    positions, turns = (array.copy() for array in motion.forward_kinematics())
    root = motion.root_position
    if foot_rotations is None:
        foot_rotations = turns[:, [leg.ankle for leg in legs]]
    reach = FULL_EXTENSION * skeleton.leg_length
    if shift_pelvis:
        root = root + _pelvis_shift(positions[:, [leg.hip for leg in legs]], ankles, reach, motion.fps)
    shift = root - motion.root_position
    for side, leg in enumerate(legs):
        hip, knee, ankle = (positions[:, j] + shift for j in (leg.hip, leg.knee, leg.ankle))
        wanted = ankles[:, side] - hip
        thigh_length = np.linalg.norm(skeleton.offsets[leg.knee])
        shin_length = np.linalg.norm(skeleton.offsets[leg.ankle])
        distance = np.clip(np.linalg.norm(wanted, axis=-1), 0.3 * reach, reach)
        # 1. Bend the knee to the distance. The hinge is the axis of the present bend; a straight leg has none, and
        #    takes the thigh's own.
        thigh, shin = unit(knee - hip), unit(ankle - knee)
        hinge = np.cross(thigh, shin) + 0.05 * turns[:, leg.hip] @ np.array([1.0, 0.0, 0.0])
        hinge = unit(hinge - (hinge * thigh).sum(-1, keepdims=True) * thigh)
        inner = (thigh_length**2 + shin_length**2 - distance**2) / (2 * thigh_length * shin_length)
        bend = np.pi - np.arccos(np.clip(inner, -1, 1))
        present = np.arctan2((np.cross(thigh, shin) * hinge).sum(-1), (thigh * shin).sum(-1))
        bending = turn_about(hinge, bend - present)
        bent = thigh_length * thigh + shin_length * apply(bending, shin)
        # 2. Swing the whole leg onto the line from hip to target.
        swing = turn_between(bent, wanted)
        turns[:, leg.hip] = swing @ turns[:, leg.hip]
        turns[:, leg.knee] = swing @ bending @ turns[:, leg.knee]
        toes = np.swapaxes(turns[:, leg.ankle], -1, -2) @ turns[:, leg.foot]
        turns[:, leg.ankle] = foot_rotations[:, side]
        turns[:, leg.foot] = foot_rotations[:, side] @ toes
    rotations = local_rotations(torch.from_numpy(turns), skeleton).numpy()
    return replace(motion, root_position=root, rotations=rotations)


def _pelvis_shift(hips: np.ndarray, ankles: np.ndarray, reach: float, fps: float) -> np.ndarray:
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
