"""From other skeletons to ours: joint names, units, axes, proportions.

Everything is reduced to landmarks, the world positions of named joints with whatever orientations the
source knows. The fit follows directions of bones, not positions, so it depends on neither the proportions
nor the rest pose of the source; the legs are then set so that the feet land where the scaled source's feet
are.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch

from longdance.errors import InputError
from longdance.motion import rotations as rot
from longdance.motion import support
from longdance.motion.bvh import BvhFile
from longdance.motion.directions import align, apply, calibrated, frame, limb_rotations, turn_about, turn_between, unit
from longdance.motion.kinematics import local_rotations
from longdance.motion.landmarks import Landmarks, bvh_landmarks, keypoint_landmarks, middle
from longdance.motion.limbs import reach_ankles, reach_wrists
from longdance.motion.motion import Motion
from longdance.motion.skeleton import SMPL24, Skeleton
from longdance.motion.swivel import unswivel

SLOWEST_SWIVEL = 25.0
"""Frames per second from which on a swivelled leg can be told from a quick one."""


def retarget_bvh(
    bvh: BvhFile, skeleton: Skeleton = SMPL24, *, up: str | None = None, bones: Mapping[str, str] | None = None
) -> Motion:
    """A BVH file's movement on our skeleton: metres, y up, on the floor at y = 0.

    ``up`` and ``bones`` as for ``bvh_landmarks``. ``InputError`` when neither names nor tree are those of a human.
    """
    return fit_landmarks(bvh_landmarks(bvh, up=up, bones=bones), skeleton)


def fit_keypoints(
    positions: np.ndarray,
    names: tuple[str, ...],
    fps: float,
    *,
    pelvis_forward: np.ndarray,
    torso_forward: np.ndarray,
    skeleton: Skeleton = SMPL24,
) -> Motion:
    """Our skeleton's movement from named keypoints (frames, joints, 3) of any size; the neck rests."""
    landmarks = keypoint_landmarks(positions, names, fps, pelvis_forward=pelvis_forward, torso_forward=torso_forward)
    return fit_landmarks(landmarks, skeleton)


def fit_landmarks(landmarks: Landmarks, skeleton: Skeleton = SMPL24) -> Motion:
    """The movement of our skeleton that follows the landmarks; on the floor, horizontal place kept.

    Pelvis and chest are oriented by the source's rotations where they agree with hips and shoulders, limbs
    by the directions of their bones and the plane of their bend; the spine shares the turn between pelvis
    and chest. The size is that of our leg; feet, and hands near the floor, land where the source's do, scaled.
    """
    landmarks = _at_our_size(landmarks, skeleton)
    points, fps = landmarks.positions, landmarks.fps
    turns = np.tile(np.eye(3), (len(points["left_hip"]), len(skeleton), 1, 1))
    index, offsets = skeleton.index, skeleton.offsets
    # 1. Pelvis, chest, head.
    pelvis, chest = _fit_trunk(turns, landmarks, skeleton)

    # 2. Arms.
    _fit_collars(turns, points, chest, skeleton)
    for side in support.SIDES:
        names = [f"{side}_{joint}" for joint in ("shoulder", "elbow", "wrist")]
        outward = np.sign(offsets[index(f"{side}_elbow")][0])
        _fit_limb(turns, landmarks, names, chest, (0.0, -outward, 0.0), skeleton)
        _fit_hand(turns, points, landmarks, side, skeleton)

    # 3. Legs, then feet on the floor.
    for side in support.SIDES:
        names = [f"{side}_{joint}" for joint in ("hip", "knee", "ankle")]
        _fit_limb(turns, landmarks, names, pelvis, (1.0, 0.0, 0.0), skeleton)
    stood = support.Feet(points, fps)
    shins = turns[:, [index(f"{side}_knee") for side in support.SIDES]]
    feet = support.foot_turns(landmarks, stood, shins, skeleton)
    for at, side in enumerate(support.SIDES):
        turns[:, index(f"{side}_ankle")] = turns[:, index(f"{side}_foot")] = feet[:, at]
    ankles, floor = support.place_feet(points, stood, feet, pelvis, skeleton)
    root = middle(points, "hip") - pelvis @ offsets[[index(f"{side}_hip") for side in support.SIDES]].mean(0)
    down = np.array([0.0, floor, 0.0])
    motion = Motion(
        root - down,
        local_rotations(torch.from_numpy(turns), skeleton).numpy(),
        fps=fps,
        skeleton=skeleton,
        meta=landmarks.meta,
    )
    above = {name: track - down for name, track in points.items()}
    lift = support.body_lift(above, stood, motion)[:, None] * np.array([0.0, 1.0, 0.0])
    motion = replace(motion, root_position=motion.root_position + lift)
    motion = reach_ankles(motion, ankles + lift[:, None], foot_rotations=feet)
    return reach_wrists(motion, support.wrist_targets(above, motion))


def _at_our_size(landmarks: Landmarks, skeleton: Skeleton) -> Landmarks:
    """Landmarks for legs of our length, which do not swivel; ``InputError`` for legs without length."""
    raw = landmarks.positions
    leg = np.linalg.norm(raw["left_knee"] - raw["left_hip"], axis=-1)
    leg = leg + np.linalg.norm(raw["left_ankle"] - raw["left_knee"], axis=-1)
    size = np.median(leg)
    if not size > 0:
        raise InputError("expected legs of some length, got joints that coincide")
    points = {name: track * (skeleton.leg_length / size) for name, track in raw.items()}
    scaled = replace(landmarks, positions=points, rotations=dict(landmarks.rotations))
    if landmarks.fps >= SLOWEST_SWIVEL:
        for side in support.SIDES:
            unswivel(scaled, side)
    return scaled


def _fit_trunk(turns: np.ndarray, landmarks: Landmarks, skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    """World rotations (frames, 3, 3) of pelvis and chest; those of the spine, the neck and the head are set as well."""
    points = landmarks.positions
    hips, shoulders = middle(points, "hip"), middle(points, "shoulder")
    spine = shoulders - hips
    pelvis_up = points["spine_base"] - hips
    close = np.linalg.norm(pelvis_up, axis=-1).min() < 0.02
    pelvis = frame("x", points["left_hip"] - points["right_hip"], "y", spine if close else pelvis_up)
    chest = frame("x", points["left_shoulder"] - points["right_shoulder"], "y", spine)
    snap = np.deg2rad(15)
    for name, place in (("pelvis", pelvis), ("chest", chest)):
        if name in landmarks.rotations:
            known = calibrated(landmarks.rotations[name], place, snap=snap)
            place[:] = place if known is None else known
    pelvis = _ease_sway(pelvis, chest)
    head = None
    if "head" in landmarks.rotations:
        head = calibrated(landmarks.rotations["head"], chest, snap=np.deg2rad(30))
    head = chest if head is None else head
    start, end = torch.from_numpy(pelvis), torch.from_numpy(chest)
    for joint, share in (("spine1", 1 / 3), ("spine2", 2 / 3)):
        turns[:, skeleton.index(joint)] = rot.slerp(start, end, torch.full((len(pelvis),), share)).numpy()
    for joint, turned in (("pelvis", pelvis), ("spine3", chest), ("head", head)):
        turns[:, skeleton.index(joint)] = turned
    half = torch.full((len(pelvis),), 0.5)
    turns[:, skeleton.index("neck")] = rot.slerp(torch.from_numpy(chest), torch.from_numpy(head), half).numpy()
    return pelvis, chest


SWAY = np.deg2rad(12.0)
"""How far the pelvis may be pitched forward under an upright chest on average over a clip."""


def _ease_sway(pelvis: np.ndarray, chest: np.ndarray) -> np.ndarray:
    """The pelvis rotations pitched back by a constant if the rig, not the dancer, has a hollow back.

    Some rigs tilt the bone of the pelvis forward against that of the chest, more than a body can all the
    time.
    """
    upright = chest[:, 1, 1] > 0.8
    if upright.mean() < 0.3:
        return pelvis
    relative = np.swapaxes(chest[upright], -1, -2) @ pelvis[upright]
    excess = float(np.clip(np.median(np.arctan2(relative[:, 2, 1], relative[:, 1, 1])) - SWAY, 0, 0.3))
    return pelvis @ turn_about(np.array([[-1.0, 0.0, 0.0]]), np.array([excess]))


def _fit_limb(turns, landmarks, names, parent: np.ndarray, hinge, skeleton: Skeleton) -> None:
    """Rotations of the bones from ``names[0]`` by ``names[1]`` to ``names[2]``; ``hinge`` at rest."""
    points = landmarks.positions
    rest_upper, rest_lower = (skeleton.offsets[skeleton.index(name)] for name in names[1:])
    pair = limb_rotations(
        unit(points[names[1]] - points[names[0]]),
        unit(points[names[2]] - points[names[1]]),
        rest_upper=rest_upper,
        rest_lower=rest_lower,
        rest_hinge=np.asarray(hinge),
        parent=parent,
        fps=landmarks.fps,
        source=landmarks.rotations.get(names[0]),
    )
    turns[:, skeleton.index(names[0])], turns[:, skeleton.index(names[1])] = pair


def _fit_collars(turns, points, chest: np.ndarray, skeleton: Skeleton) -> None:
    """Collars follow the shoulder away from where it is while the arm hangs, which is our rest pose."""
    inverse = np.swapaxes(chest, -1, -2)
    for side in support.SIDES:
        collar, shoulder = skeleton.index(f"{side}_collar"), skeleton.index(f"{side}_shoulder")
        turns[:, collar] = chest
        base = points.get(f"{side}_collar")
        if base is None:
            continue
        direction = unit(apply(inverse, points[f"{side}_shoulder"] - base))
        arm = unit(apply(inverse, points[f"{side}_elbow"] - points[f"{side}_shoulder"]))
        hanging = np.maximum(-arm[:, 1], 0) ** 2 + 0.02
        rest = unit((direction * hanging[:, None]).sum(0))
        aim = apply(turn_between(rest, direction), unit(skeleton.offsets[shoulder]))
        turns[:, collar] = chest @ turn_between(unit(skeleton.offsets[shoulder]), aim)


def _fit_hand(turns, points, landmarks, side: str, skeleton: Skeleton) -> None:
    """The wrist: by knuckles where the source has them, else by the hand's own rotation about its mean."""
    wrist = skeleton.index(f"{side}_wrist")
    forearm = turns[:, skeleton.index(f"{side}_elbow")]
    turns[:, wrist] = forearm
    outward = np.sign(skeleton.offsets[wrist][0])
    at, tip = points[f"{side}_wrist"], points.get(f"{side}_hand")
    index, pinky = points.get(f"{side}_index"), points.get(f"{side}_pinky")
    if tip is not None and index is not None and pinky is not None:
        turns[:, wrist] = align((outward, 0, 0), (0, 0, 1), tip - at, index - pinky)
    elif f"{side}_wrist" in landmarks.rotations:
        known = calibrated(landmarks.rotations[f"{side}_wrist"], forearm)
        turns[:, wrist] = forearm if known is None else known
    elif tip is not None:
        along = forearm @ np.array([outward, 0.0, 0.0])
        turns[:, wrist] = turn_between(along, tip - at) @ forearm
    for joint in range(wrist + 1, len(skeleton)):
        if skeleton.parents[joint] == wrist:
            turns[:, joint] = turns[:, wrist]
