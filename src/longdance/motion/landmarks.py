"""Landmarks: world positions of named joints, with whatever orientations the source knows, y up."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from longdance.errors import InputError
from longdance.motion.bvh import BvhFile
from longdance.motion.directions import frame, unit
from longdance.motion.joint_names import REQUIRED, match_names

FLAT = (-10.0, 55.0)
"""Degrees by which the ball of a foot that may be standing flat is below its ankle, seen from the ankle."""


@dataclass(frozen=True, eq=False)
class Landmarks:
    """What is known of a body: y up, right-handed, any unit, any floor.

    ``positions`` maps our joint names (and ``spine_base``, ``chest``, ``left_index``, ``left_pinky``, ...) to
    (frames, 3). ``rotations`` maps joint names to (frames, 3, 3) world rotations of the source's own local
    frames, which may differ from ours by any constant rotation. ``foot_pitch`` holds, for ``left`` and ``right`` where
    that is known, by how many radians the ball of a flat foot is below its ankle.
    """

    positions: dict[str, np.ndarray]
    rotations: dict[str, np.ndarray]
    fps: float
    meta: dict = field(default_factory=dict)
    foot_pitch: dict[str, float] = field(default_factory=dict)


def bvh_landmarks(bvh: BvhFile, *, up: str | None = None, bones: Mapping[str, str] | None = None) -> Landmarks:
    """The matched joints of a BVH file, turned y up.

    ``up`` ("x", "y" or "z") is the upward axis where that is known, ``bones`` our joint names to the file's.
    """
    rest_places = bvh.rest_places()
    found = match_names(bvh.names, bvh.parents, rest_places, bones)
    places, turns, ends = bvh.forward_kinematics()
    positions = {name: places[:, index] for name, index in found.items()}
    rotations = {name: turns[:, index] for name, index in found.items()}
    for side in ("left", "right"):
        # A foot or a hand without a joint further out ends in an End Site.
        for inner, outer in (("ankle", "foot"), ("wrist", "hand")):
            at = found[f"{side}_{inner}"]
            if f"{side}_{outer}" not in positions and at in bvh.end_parents:
                tip = ends[:, bvh.end_parents.index(at)]
                if np.linalg.norm(tip - places[:, at], axis=-1).max() > 0:
                    positions[f"{side}_{outer}"] = tip
    shoulders = [_ancestors(bvh.parents, found[f"{side}_shoulder"]) for side in ("left", "right")]
    chest = next(j for j in shoulders[0] if j in shoulders[1])
    hips = [_ancestors(bvh.parents, found[f"{side}_hip"]) for side in ("left", "right")]
    pelvis = next(j for j in hips[0] if j in hips[1])
    up_chain = _ancestors(bvh.parents, chest)
    base = up_chain[up_chain.index(pelvis) - 1] if pelvis in up_chain[1:] else chest
    rotations["pelvis"], rotations["chest"] = turns[:, pelvis], turns[:, chest]
    positions["spine_base"], positions["chest"] = places[:, base], places[:, chest]
    rest = {name: rest_places[index] for name, index in found.items()}
    landmarks = Landmarks(positions, rotations, bvh.fps, foot_pitch=_foot_pitches(rest))
    return _turned_up(landmarks, up_axis(positions, rest) if up is None else "xyz".index(up))


def _foot_pitches(rest: dict[str, np.ndarray]) -> dict[str, float]:
    """By how many radians each foot's ball is below its ankle in a rest pose that stands on flat feet."""
    axis, pitches = _rest_axis(rest), {}
    for side in ("left", "right") if axis is not None else ():
        along = rest.get(f"{side}_foot", rest[f"{side}_ankle"]) - rest[f"{side}_ankle"]
        pitch = float(np.arctan2(-along[axis], np.linalg.norm(np.delete(along, axis))))
        if along.any() and FLAT[0] < np.degrees(pitch) < FLAT[1]:
            pitches[side] = pitch
    return pitches


def _ancestors(parents: tuple[int, ...], joint: int) -> list[int]:
    """The joint, its parent, and so on to the root."""
    chain = [joint]
    while parents[chain[-1]] >= 0:
        chain.append(parents[chain[-1]])
    return chain


def middle(positions: dict[str, np.ndarray], joint: str) -> np.ndarray:
    """Halfway between a joint's left and right (..., 3)."""
    return (positions[f"left_{joint}"] + positions[f"right_{joint}"]) / 2


def up_axis(positions: dict[str, np.ndarray], rest: dict[str, np.ndarray] | None = None) -> int:
    """The axis, 0 to 2 for x to z, that points up where a body moves, from its tracks and its rest pose.

    A body may lie, or stand on its hands, for a whole clip, but its rest pose stands: legs and trunk point opposite
    ways along the axis that is up. Where a rig's rest pose has no such direction the clip decides by where the body
    is on average; and it has the last word where the body stands upright on zero along another axis, in rigs whose
    root turns all of them from one axis to another.
    """
    leg = np.linalg.norm(positions["left_knee"] - positions["left_hip"], axis=-1)
    leg = np.median(leg + np.linalg.norm(positions["left_ankle"] - positions["left_knee"], axis=-1))
    line = (middle(positions, "shoulder") - middle(positions, "ankle")).mean(0)
    steepest = 2 if abs(line[2]) > 1.5 * abs(line[1]) else 1
    told = None if rest is None else _rest_axis(rest)
    if told is None or told == steepest:
        return steepest
    if told == 0:
        return 0 if line[0] > 1.5 * np.abs(line[1:]).max() else steepest
    lowest = np.percentile(np.min([track[:, steepest] for track in positions.values()], axis=0), 5)
    stands = line[steepest] > 1.2 * leg and abs(lowest) < 0.2 * leg
    return steepest if stands else told


def _rest_axis(rest: dict[str, np.ndarray]) -> int | None:
    """The axis along which a rest pose stands, head up; None for a rig that is bound in no such pose."""
    trunk = unit(middle(rest, "shoulder") - middle(rest, "hip"))
    legs = unit(middle(rest, "ankle") - middle(rest, "hip"))
    up = unit(trunk - legs)
    axis = int(np.abs(up).argmax())
    return axis if trunk @ legs < -0.7 and up[axis] > 0.9 else None


def upright(landmarks: Landmarks, up: str | None = None) -> Landmarks:
    """Landmarks of an unknown upward axis, or of ``up`` ("x", "y" or "z"), turned y up."""
    return _turned_up(landmarks, up_axis(landmarks.positions) if up is None else "xyz".index(up))


def _turned_up(landmarks: Landmarks, axis: int) -> Landmarks:
    """The landmarks with an axis that was up turned to y."""
    if axis == 1:
        return landmarks
    turn = np.array(([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]], None, [[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])[axis])
    return Landmarks(
        {name: track @ turn.T for name, track in landmarks.positions.items()},
        {name: turn @ matrices for name, matrices in landmarks.rotations.items()},
        landmarks.fps,
        landmarks.meta,
        landmarks.foot_pitch,
    )


def keypoint_landmarks(
    positions: np.ndarray,
    names: tuple[str, ...],
    fps: float,
    *,
    pelvis_forward: np.ndarray,
    torso_forward: np.ndarray,
) -> Landmarks:
    """Landmarks of keypoints (frames, joints, 3), y up, with unit vectors (frames, 3) of the facing.

    The names are ours, with ``left_heel`` and ``right_heel`` beside. ``InputError`` names missing ones.
    """
    missing = [name for name in (*REQUIRED, "left_foot", "right_foot") if name not in names]
    if missing:
        raise InputError(f"expected the keypoints {', '.join(missing)}, got {', '.join(names)}")
    points = {name: np.asarray(positions[:, i], dtype=np.float64) for i, name in enumerate(names)}
    rotations = {
        "pelvis": frame("z", pelvis_forward, "x", points["left_hip"] - points["right_hip"]),
        "chest": frame("z", torso_forward, "x", points["left_shoulder"] - points["right_shoulder"]),
    }
    for side in ("left", "right"):
        if f"{side}_heel" in points:
            heel = points[f"{side}_heel"]
            rotations[f"{side}_ankle"] = frame("z", points[f"{side}_foot"] - heel, "y", points[f"{side}_ankle"] - heel)
    points["spine_base"] = points.pop("spine1", points["left_hip"])
    points["chest"] = points.pop("spine3", points["left_shoulder"])
    return Landmarks(points, rotations, fps)
