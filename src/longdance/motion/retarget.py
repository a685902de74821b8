"""From other skeletons to ours: joint names, units, axes, proportions.

Everything is reduced to landmarks, the world positions of named joints with whatever orientations the
source knows. The fit follows directions of bones, not positions, so it depends on neither the proportions
nor the rest pose of the source; the legs are then set so that the feet land where the scaled source's feet
are.
"""

import re
from dataclasses import dataclass, field

import numpy as np
import torch

from longdance.errors import InputError
from longdance.motion import rotations as rot
from longdance.motion.bvh import BvhFile
from longdance.motion.contacts import speeds
from longdance.motion.directions import (
    align,
    apply,
    frame,
    limb_rotations,
    smooth_track,
    turn_about,
    turn_angle,
    turn_between,
    unit,
)
from longdance.motion.filters import low_pass, nearest_rotation
from longdance.motion.ik import reach_ankles
from longdance.motion.kinematics import local_rotations
from longdance.motion.motion import Motion
from longdance.motion.skeleton import BALL_HEIGHT, SMPL24, Skeleton

# --- names --------------------------------------------------------------------------------------------------

_PREFIXES = re.compile(
    r"^(?:.*[:|])?"
    r"(?:mixamorig\d*|cc_?base|neo|j_bip_(?:c_)?|bip0*1?|b_|character1?|armature|skeleton|def|jnt|[mf]_avg)?"
    r"[ _.\-]*"
)
_MIDDLE = {
    "pelvis": ("pelvis", "hips", "hip", "root"),
    "neck": ("neck", "neck1", "necktwist01", "lowerneck", "neck01", "uppperneck", "necklower", "spine004"),
    "head": ("head", "spine006"),
}
_SIDED = {
    "hip": ("upleg", "thigh", "hip", "upperleg", "femur", "upperlegs", "thighbend"),
    "knee": ("leg", "calf", "shin", "knee", "lowerleg", "lowleg", "tibia"),
    "ankle": ("ankle", "foot"),
    "foot": ("toebase", "toe0", "toe", "toes", "ball", "foot"),
    "shoulder": ("arm", "upperarm", "uparm", "shldr", "humerus", "shldrbend", "shoulder"),
    "collar": ("collar", "clavicle", "collarbone", "clav", "scapula", "shoulder"),
    "elbow": ("forearm", "elbow", "lowerarm", "lowarm", "radius", "forearmbend"),
    "wrist": ("wrist", "hand"),
    "hand": (
        "handmiddle1",
        "mid1",
        "middle1",
        "middle01",
        "middleproximal",
        "fmiddle01",
        "fingerbase",
        "finger2",
        "hand",
        "handindex1",
        "index1",
    ),
    "index": ("handindex1", "index1", "index01", "finger1"),
    "pinky": ("handpinky1", "pinky1", "pinky01", "finger4"),
}
_JAPANESE = {
    "pelvis": ("腰", "下半身", "センター"), "neck": ("首",), "head": ("頭",), "hip": ("足",), "knee": ("ひざ",),
    "ankle": ("足首",), "foot": ("つま先", "足先EX"), "shoulder": ("腕",), "collar": ("肩",), "elbow": ("ひじ",),
    "wrist": ("手首",), "hand": ("中指1", "中指１"),
}  # fmt: skip
REQUIRED = tuple(
    f"{side}_{joint}" for joint in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist") for side in ("left", "right")
)
"""Joints that a source must have; the others help, or are found by their place in the tree."""


def match_names(names: tuple[str, ...]) -> dict[str, int]:
    """Our joint (and the knuckles index and pinky) to the place in ``names`` of the joint in its part.

    Understands Mixamo, CMU, iClone (CC_Base), Neo, Poser and Daz (lShldr, rThighBend), SMPL, 3ds Max Biped, Unreal,
    Rigify, VRM (also VRoid's J_Bip) and MikuMikuDance names, any case, prefix and separator. ``InputError`` lists
    what is missing and what the file has.
    """
    plain: dict[str, int] = {}
    for index, name in enumerate(names):
        stripped = _PREFIXES.sub("", name.lower(), count=1) or name.lower()
        plain.setdefault(re.sub(r"[^a-z0-9]", "", stripped), index)
    found: dict[str, int] = {}
    written = {name: index for index, name in enumerate(names)}
    for joint, words in _JAPANESE.items():
        for side, sign in (("", ""),) if joint in _MIDDLE else (("left_", "左"), ("right_", "右")):
            found.update(_first(written, side + joint, [sign + word for word in words], found))
    for joint, aliases in _MIDDLE.items():
        found.update(_first(plain, joint, aliases, found))
    for side, letter in (("left", "l"), ("right", "r")):
        for joint, aliases in _SIDED.items():
            forms = [form for alias in aliases for form in (side + alias, alias + side, letter + alias, alias + letter)]
            found.update(_first(plain, f"{side}_{joint}", forms, found))
    missing = [joint for joint in REQUIRED if joint not in found]
    if "neck" not in found and "head" not in found:
        missing.append("head")
    if missing:
        shown = ", ".join(names[:60]) + (", ..." if len(names) > 60 else "")
        raise InputError(
            f"expected joint names of a known human skeleton, found none for {', '.join(missing)}; the file has {shown}"
        )
    return found


def _first(plain: dict[str, int], joint: str, forms, found: dict[str, int]) -> dict[str, int]:
    used = () if joint.endswith(("index", "pinky")) else set(found.values())
    for form in forms:
        if form in plain and plain[form] not in used:
            return {joint: plain[form]}
    return {}


# --- landmarks ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Landmarks:
    """What is known of a body: y up, right-handed, any unit, any floor.

    ``positions`` maps our joint names (and ``spine_base``, ``chest``, ``left_index``, ``left_pinky``, ...) to
    (frames, 3). ``rotations`` maps joint names to (frames, 3, 3) world rotations of the source's own local
    frames, which may differ from ours by any constant rotation.
    """

    positions: dict[str, np.ndarray]
    rotations: dict[str, np.ndarray]
    fps: float
    meta: dict = field(default_factory=dict)


def retarget_bvh(bvh: BvhFile, skeleton: Skeleton = SMPL24) -> Motion:
    """A BVH file's movement on our skeleton: metres, y up, feet on the floor at y = 0.

    ``InputError`` when the joint names are not those of a known human skeleton.
    """
    return fit_landmarks(bvh_landmarks(bvh), skeleton)


def bvh_landmarks(bvh: BvhFile) -> Landmarks:
    """The matched joints of a BVH file, turned y up."""
    found = match_names(bvh.names)
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
    landmarks = Landmarks(positions, rotations, bvh.fps)
    return _z_to_y(landmarks) if _z_is_up(positions) else landmarks


def _ancestors(parents: tuple[int, ...], joint: int) -> list[int]:
    """The joint, its parent, and so on to the root."""
    chain = [joint]
    while parents[chain[-1]] >= 0:
        chain.append(parents[chain[-1]])
    return chain


def _middle(positions: dict[str, np.ndarray], joint: str) -> np.ndarray:
    return (positions[f"left_{joint}"] + positions[f"right_{joint}"]) / 2


def _z_is_up(positions: dict[str, np.ndarray]) -> bool:
    """Whether the body stands along z rather than y, over the clip as a whole."""
    line = (_middle(positions, "shoulder") - _middle(positions, "ankle")).mean(0)
    return bool(abs(line[2]) > 1.5 * abs(line[1]))


def _z_to_y(landmarks: Landmarks) -> Landmarks:
    turn = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    return Landmarks(
        {name: track @ turn.T for name, track in landmarks.positions.items()},
        {name: turn @ matrices for name, matrices in landmarks.rotations.items()},
        landmarks.fps,
        landmarks.meta,
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


# --- the fit ------------------------------------------------------------------------------------------------


def _cube_rotations() -> np.ndarray:
    """The 24 rotations that map axes to axes."""
    found = []
    for a in "xyz":
        for b in "xyz".replace(a, ""):
            for signs in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
                found.append(frame(a, signs[0] * np.eye(3)[0], b, signs[1] * np.eye(3)[1]))
    return np.array(found)


def _calibrated_or(
    fallback: np.ndarray,
    rotations: np.ndarray,
    reference: np.ndarray,
    *,
    weights: np.ndarray | None = None,
    snap: float = 0.0,
) -> np.ndarray:
    """``rotations`` with their unknown constant local frame replaced by ours, to match ``reference``.

    A constant within ``snap`` radians of a change of axes is taken to be that change. ``fallback`` when the two
    do not move together at all.
    """
    relative = np.swapaxes(rotations, -1, -2) @ reference
    mean = np.average(relative, axis=0, weights=weights)
    if np.linalg.svd(mean, compute_uv=False)[-1] < 0.6:
        return fallback
    constant = nearest_rotation(mean)
    if snap:
        cube = _cube_rotations()
        distance = turn_angle(cube, constant)
        if distance.min() < snap:
            constant = cube[distance.argmin()]
    return rotations @ constant


def fit_landmarks(landmarks: Landmarks, skeleton: Skeleton = SMPL24) -> Motion:
    """The movement of our skeleton that follows the landmarks; feet on the floor, horizontal place kept.

    Pelvis and chest are oriented by the source's rotations where they agree with hips and shoulders, limbs
    by the directions of their bones and the plane of their bend; the spine shares the turn between pelvis
    and chest. The size is that of our leg; the feet land where the source's do, scaled.
    """
    raw, fps = landmarks.positions, landmarks.fps
    leg = np.linalg.norm(raw["left_knee"] - raw["left_hip"], axis=-1)
    leg = leg + np.linalg.norm(raw["left_ankle"] - raw["left_knee"], axis=-1)
    size = np.median(leg)
    if not size > 0:
        raise InputError("expected legs of some length, got joints that coincide")
    points = {name: track * (skeleton.leg_length / size) for name, track in raw.items()}
    landmarks = Landmarks(points, dict(landmarks.rotations), fps, landmarks.meta)
    if fps >= 50:  # at a lower rate a quick leg cannot be told from a leap
        for side in ("left", "right"):
            _unswivel(landmarks, side)
    turns = np.tile(np.eye(3), (len(leg), len(skeleton), 1, 1))
    index, offsets = skeleton.index, skeleton.offsets

    def offset(name: str) -> np.ndarray:
        return offsets[index(name)]

    # 1. Pelvis, chest, head.
    hips, shoulders = _middle(points, "hip"), _middle(points, "shoulder")
    spine = shoulders - hips
    pelvis_up = points["spine_base"] - hips
    close = np.linalg.norm(pelvis_up, axis=-1).min() < 0.02
    pelvis = frame("x", points["left_hip"] - points["right_hip"], "y", spine if close else pelvis_up)
    chest = frame("x", points["left_shoulder"] - points["right_shoulder"], "y", spine)
    snap = np.deg2rad(15)
    for name, place in (("pelvis", pelvis), ("chest", chest)):
        if name in landmarks.rotations:
            place[:] = _calibrated_or(place, landmarks.rotations[name], place, snap=snap)
    pelvis = _ease_sway(pelvis, chest)
    head = chest
    if "head" in landmarks.rotations:
        head = _calibrated_or(chest, landmarks.rotations["head"], chest, snap=np.deg2rad(30))
    start, end = torch.from_numpy(pelvis), torch.from_numpy(chest)
    for joint, share in (("spine1", 1 / 3), ("spine2", 2 / 3)):
        turns[:, index(joint)] = rot.slerp(start, end, torch.full((len(pelvis),), share)).numpy()
    turns[:, index("pelvis")], turns[:, index("spine3")], turns[:, index("head")] = pelvis, chest, head
    half = torch.full((len(pelvis),), 0.5)
    turns[:, index("neck")] = rot.slerp(torch.from_numpy(chest), torch.from_numpy(head), half).numpy()

    # 2. Arms.
    _fit_collars(turns, points, chest, skeleton)
    for side in ("left", "right"):
        names = [f"{side}_{joint}" for joint in ("shoulder", "elbow", "wrist")]
        outward = np.sign(offset(f"{side}_elbow")[0])
        _fit_limb(turns, landmarks, names, chest, (0.0, -outward, 0.0), skeleton)
        _fit_hand(turns, points, landmarks, side, skeleton)

    # 3. Legs, then feet on the floor.
    for side in ("left", "right"):
        names = [f"{side}_{joint}" for joint in ("hip", "knee", "ankle")]
        _fit_limb(turns, landmarks, names, pelvis, (1.0, 0.0, 0.0), skeleton)
    feet = np.stack([_fit_foot(turns, points, landmarks, side, skeleton) for side in ("left", "right")], 1)
    ankles, floor = _ankle_targets(points, feet, pelvis, skeleton, fps)
    for side, name in enumerate(("left", "right")):
        turns[:, index(f"{name}_ankle")] = turns[:, index(f"{name}_foot")] = feet[:, side]
    hip_middle = (offset("left_hip") + offset("right_hip")) / 2
    root = hips - pelvis @ hip_middle
    root[:, 1] -= floor
    motion = Motion(
        root,
        local_rotations(torch.from_numpy(turns), skeleton).numpy(),
        fps=fps,
        skeleton=skeleton,
        meta=landmarks.meta,
    )
    return reach_ankles(motion, ankles, foot_rotations=feet)


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


def _across(vectors: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """The part of each vector that is perpendicular to a unit axis."""
    return vectors - (vectors * axis).sum(-1, keepdims=True) * axis


def _unswivel(landmarks: Landmarks, side: str) -> None:
    """Turn back, in place, the frames in which a leg is swivelled half round its line from hip to ankle.

    Captures of raised or straight legs have stretches of frames where the knee is on the wrong side. The
    cheapest sequence of kept and turned frames is found, where leaps of the knee cost most and knees that
    point backwards cost a little.
    """
    points = landmarks.positions
    hip, knee, ankle = (points[f"{side}_{joint}"] for joint in ("hip", "knee", "ankle"))
    axis = unit(ankle - hip)
    out = _across(knee - hip, axis)
    hips = points["left_hip"] - points["right_hip"]
    forward = (np.cross(axis, unit(out)) * unit(hips)).sum(-1)  # below zero for a knee that points ahead
    # How far knee and toes leap from frame to frame if neither or both, or just one of the two frames is
    # turned.
    size = np.linalg.norm(knee - hip, axis=-1).mean()
    spokes = [out]
    if f"{side}_foot" in points:
        spokes.append(_across(points[f"{side}_foot"] - ankle, axis))
    carry = turn_between(axis[:-1], axis[1:])
    usual = 0.25 * 60 / landmarks.fps
    same, other = (
        np.sum(
            [
                40 * np.maximum(np.linalg.norm(s[1:] - sign * apply(carry, s[:-1]), axis=-1) / size - usual, 0) ** 2
                for s in spokes
            ],
            axis=0,
        )
        for sign in (1, -1)
    )
    unary = np.stack((np.maximum(forward, 0), np.maximum(-forward, 0) + 0.05), -1)
    unary *= 2 * (np.linalg.norm(out, axis=-1) / size)[:, None]
    cost, came = unary[0], np.zeros((len(axis), 2), dtype=int)
    for t in range(1, len(axis)):
        step = cost[:, None] + np.array([[same[t - 1], other[t - 1]], [other[t - 1], same[t - 1]]])
        came[t] = step.argmin(0)
        cost = step.min(0) + unary[t]
    turned = np.zeros(len(axis), dtype=int)
    turned[-1] = cost.argmin()
    for t in range(len(axis) - 1, 0, -1):
        turned[t - 1] = came[t, turned[t]]
    where = turned.astype(bool)
    if not where.any():
        return
    half = turn_about(axis[where], np.full(int(where.sum()), np.pi))
    for joint in ("knee", "foot", "heel"):
        name = f"{side}_{joint}"
        if name in points:
            points[name][where] = hip[where] + apply(half, points[name][where] - hip[where])
    for joint in ("hip", "knee", "ankle", "foot"):
        name = f"{side}_{joint}"
        if name in landmarks.rotations:
            landmarks.rotations[name] = landmarks.rotations[name].copy()
            landmarks.rotations[name][where] = half @ landmarks.rotations[name][where]


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
    for side in ("left", "right"):
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
        turns[:, wrist] = _calibrated_or(forearm, landmarks.rotations[f"{side}_wrist"], forearm)
    elif tip is not None:
        along = forearm @ np.array([outward, 0.0, 0.0])
        turns[:, wrist] = turn_between(along, tip - at) @ forearm
    for joint in range(wrist + 1, len(skeleton)):
        if skeleton.parents[joint] == wrist:
            turns[:, joint] = turns[:, wrist]


def _fit_foot(turns, points, landmarks, side: str, skeleton: Skeleton) -> np.ndarray:
    """World rotations (frames, 3, 3) of a foot, level on average while it stands."""
    ankle, shin = points[f"{side}_ankle"], turns[:, skeleton.index(f"{side}_knee")]
    toe = points.get(f"{side}_foot")
    rotation = landmarks.rotations.get(f"{side}_ankle")
    if toe is None:
        return shin if rotation is None else _calibrated_or(shin, rotation, shin)
    if rotation is None:
        rotation = frame("z", toe - ankle, "x", shin[..., 0])
    ahead = toe - ankle
    ahead = ahead * np.array([1.0, 0.0, 1.0])
    level = frame("y", np.broadcast_to([0.0, 1.0, 0.0], ahead.shape), "z", ahead)
    weights = _standing(ankle, landmarks.fps) * _standing(toe, landmarks.fps)
    return _calibrated_or(shin, rotation, level, weights=weights)


def _standing(track: np.ndarray, fps: float) -> np.ndarray:
    """(frames,) how likely a foot point stands: near its lowest still height, and slow. Never all zero."""
    slow = np.exp(-((speeds(track, fps) / 0.3) ** 2))
    low = _still_height(track, fps)
    near = np.exp(-((np.maximum(track[:, 1] - low, 0) / 0.02) ** 2))
    return slow * near + 1e-6


def _still_height(track: np.ndarray, fps: float) -> float:
    """A low percentile of the heights at which a point (frames, 3) is slow: jumps and dips do not count."""
    quick = speeds(track, fps)
    return float(np.percentile(track[quick <= max(0.25, np.percentile(quick, 20)), 1], 5))


def _floors(tracks: np.ndarray, fps: float) -> np.ndarray:
    """(2,) heights at which the left and the right foot's (frames, 2, 3) point stands.

    Captures often have one foot a little higher than the other; a larger difference means that the foot never
    stands flat, and it gets the other one's floor.
    """
    own = np.array([_still_height(tracks[:, side], fps) for side in (0, 1)])
    return np.where(own - own.min() < 0.025, own, own.min())


def _ankle_targets(
    points, feet: np.ndarray, pelvis: np.ndarray, skeleton: Skeleton, fps: float
) -> tuple[np.ndarray, float]:
    """Ankles (frames, 2, 3) on our floor, and the height to take off the source to get there.

    Each foot hangs on whichever of its ankle and its ball moves less, since a foot of another length cannot
    keep both. A stance is as much narrower or wider as our hips are, but by an amount that rests while the
    foot stands.
    """
    sides = ("left", "right")
    ankles = np.stack([points[f"{side}_ankle"] for side in sides], 1)
    flat_ankle = -skeleton.offsets[skeleton.index("left_foot")][1] + BALL_HEIGHT
    floors = _floors(ankles, fps) - flat_ankle
    ankles[..., 1] -= floors
    stillness = 1 / (speeds(ankles, fps) ** 2 + 0.1**2)
    if all(f"{side}_foot" in points for side in sides):
        balls = np.stack([points[f"{side}_foot"] for side in sides], 1)
        balls[..., 1] -= _floors(balls, fps) - BALL_HEIGHT
        hung = np.stack([skeleton.offsets[skeleton.index(f"{side}_foot")] for side in sides])
        by_ball = balls - apply(feet, np.broadcast_to(hung, balls.shape))
        ball_stillness = 1 / (speeds(balls, fps) ** 2 + 0.1**2)
        share = low_pass(ball_stillness / (stillness + ball_stillness), fps, cutoff=min(3.0, fps / 4))
        ankles = ankles + np.clip(share, 0, 1)[..., None] * (by_ball - ankles)
        stillness = np.maximum(stillness, ball_stillness)
    wide = np.linalg.norm(points["left_hip"] - points["right_hip"], axis=-1).mean()
    ours = skeleton.offsets[skeleton.index("left_hip")][0] - skeleton.offsets[skeleton.index("right_hip")][0]
    ankles = stance_for_hips(ankles, pelvis, stillness, source_width=wide, width=ours, fps=fps)
    return ankles, float(floors.mean())


def stance_for_hips(
    ankles: np.ndarray, pelvis: np.ndarray, stillness: np.ndarray, *, source_width: float, width: float, fps: float
) -> np.ndarray:
    """Ankles (frames, 2, 3) moved apart as much as the hips are wider than the source's, or nearer.

    By an amount that rests while a foot does: ``stillness`` (frames, 2) is large then. ``pelvis`` (frames, 3, 3).
    """
    # Feet that stand closer than the source's hips, or crossed, are moved by less, so that they never change sides.
    apart = ((ankles[:, 0] - ankles[:, 1]) * pelvis[..., 0]).sum(-1)
    share = np.clip(apart / source_width, 0, 1)[:, None] * pelvis[..., 0] * np.array([1.0, 0.0, 1.0])
    moved = ankles.copy()
    for side, sign in enumerate((1, -1)):
        stiffness = (0.1 * stillness[1:, side] + 0.01) * (0.1 * fps) ** 2
        moved[:, side] += smooth_track(sign * (width - source_width) / 2 * share, np.ones(len(share)), stiffness)
    return moved
