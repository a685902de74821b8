"""A dance on somebody's own character: bones found by name, legs of its own length, feet on its own floor.

What belongs here: the movement that the character's bones get. What does not: its body at rest (``rig_rest``), reading
and writing its file (``rig_glb``, ``rig_fbx``, ``rig_bvh``).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch

from longdance.export.hands import JOINTS, before, finger_rotations
from longdance.export.rig_fingers import finger_bones, palm_roll
from longdance.export.rig_rest import Anatomy, Rig, anatomy
from longdance.export.takes import require_smpl
from longdance.motion import rotations as rot
from longdance.motion.contacts import speeds
from longdance.motion.directions import apply, turn_about, turn_between, unit
from longdance.motion.filters import low_pass, nearest_rotation
from longdance.motion.ik import detect_contacts, lock_feet, reach_ankles
from longdance.motion.joint_names import guess_names, missing_joints, require_joints
from longdance.motion.motion import Motion
from longdance.motion.skeleton import BALL_HEIGHT, Skeleton
from longdance.motion.support import stance_for_hips


@dataclass(frozen=True, eq=False)
class RigDance:
    """What to write: ``rotations`` maps bones to (frames, 3, 3) relative to the parent, ``place`` (frames, 3) is
    where the bone ``pelvis`` is in its parent's space; all other bones stay as they are at rest."""

    rotations: dict[int, np.ndarray]
    pelvis: int
    place: np.ndarray
    fps: float


def guess_bones(
    names: tuple[str, ...],
    parents: tuple[int, ...],
    places: np.ndarray,
    table: Mapping[str, str] | None = None,
) -> dict[str, int]:
    """Our joint names to bones by table, names and tree, as many as are found.

    ``places`` (bones, 3) are those at rest. Numbers that programs add to all names are looked through.
    """
    bare = tuple(re.sub(r"[_.]\d+$", "", name) for name in names)
    if not table and missing_joints(guess_names(names)) and not missing_joints(guess_names(bare)):
        return guess_names(bare)
    return guess_names(names, parents, places, table)


def find_bones(
    names: tuple[str, ...], parents: tuple[int, ...], places: np.ndarray, table: Mapping[str, str] | None = None
) -> dict[str, int]:
    """All that a dance needs of ``guess_bones``, by ``places`` (bones, 3) too; ``InputError`` lists what is missing."""
    return require_joints(names, guess_bones(names, parents, places, table))


def dance_on_rig(motion: Motion, rig: Rig, *, hands: bool = True) -> RigDance:
    """The dance as the rig's bones do it.

    Bones of limbs point where ours point, whatever the rest pose; spine and neck share the turns of ours among as many
    bones as there are. The legs are then set so that the feet land where ours do, scaled by the length of the leg,
    on the rig's own floor, and what stands does not slide. Fingers, where the rig has some, are bent by rule unless
    there are to be no ``hands``. ``InputError`` for a rig whose bones coincide.
    """
    require_smpl(motion)
    body = anatomy(rig, motion.skeleton)
    own = _on_own_legs(motion, rig, body)
    return _as_bones(own, rig, body, finger_rotations(motion) if hands else {})


# --- our skeleton with the rig's legs -----------------------------------------------------------------------


def _on_own_legs(motion: Motion, rig: Rig, body: Anatomy) -> Motion:
    """The motion on a skeleton with the rig's hips, thighs, shins and feet, which stand where ours stand."""
    source, index, found = motion.skeleton, motion.skeleton.index, rig.found
    offsets = source.offsets.copy()
    for side in ("left", "right"):
        hip, knee, ankle = (body.places[found[f"{side}_{joint}"]] for joint in ("hip", "knee", "ankle"))
        offsets[index(f"{side}_hip")] = hip - body.places[body.pelvis]
        for joint, length in (("knee", np.linalg.norm(knee - hip)), ("ankle", np.linalg.norm(ankle - knee))):
            offsets[index(f"{side}_{joint}")] = unit(source.offsets[index(f"{side}_{joint}")]) * length
        foot = source.offsets[index(f"{side}_foot")].copy()
        if f"{side}_foot" in found:
            ahead = body.places[found[f"{side}_foot"]] - ankle
            foot[2] = max(float(np.hypot(ahead[0], ahead[2])), 0.04)
        foot[1] = BALL_HEIGHT - body.ankle_height
        offsets[index(f"{side}_foot")] = foot
    skeleton = Skeleton(source.names, source.parents, offsets)
    joints, turns = motion.forward_kinematics()

    # 1. The hips move as ours, as much higher as the rig's ankles are.
    flat = BALL_HEIGHT - source.offsets[index("left_foot")][1]
    lift = np.array([0.0, body.ankle_height - flat, 0.0])
    ours = [index("left_hip"), index("right_hip")]
    root = joints[:, ours].mean(1) + lift - turns[:, 0] @ offsets[ours].mean(0)
    own = replace(motion, root_position=root, skeleton=skeleton)

    # 2. A foot hangs on whichever of its ankle and its ball moves less, since feet differ in length.
    tracks = {joint: [index(f"{side}_{joint}") for side in ("left", "right")] for joint in ("ankle", "foot")}
    feet = turns[:, tracks["ankle"]]
    ankles, balls = joints[:, tracks["ankle"]] + lift, joints[:, tracks["foot"]]
    by_ball = balls - apply(feet, np.broadcast_to(offsets[tracks["foot"]], balls.shape))
    still, still_ball = (1 / (speeds(track, motion.fps) ** 2 + 0.1**2) for track in (ankles, balls))
    share = low_pass(still_ball / (still + still_ball), motion.fps, cutoff=min(3.0, motion.fps / 4))
    ankles = ankles + np.clip(share, 0, 1)[..., None] * (by_ball - ankles)
    widths = [abs(table[ours[0]][0] - table[ours[1]][0]) for table in (source.offsets, offsets)]
    if motion.frames > 1:
        ankles = stance_for_hips(
            ankles,
            turns[:, 0],
            np.maximum(still, still_ball),
            source_width=widths[0],
            width=widths[1],
            fps=motion.fps,
        )
    own = reach_ankles(own, ankles, foot_rotations=feet)
    # 3. What stood still stands.
    return lock_feet(own, detect_contacts(joints, motion.fps, skeleton=source))


# --- the rig's bones ----------------------------------------------------------------------------------------


def _as_bones(own: Motion, rig: Rig, body: Anatomy, fingers: Mapping[str, np.ndarray]) -> RigDance:
    turns = own.global_rotations()
    aligned = _alignment(rig, body, own.skeleton)
    world: dict[int, np.ndarray] = {}

    def put(bone: int, turned: np.ndarray, name: str | None = None) -> None:
        world[bone] = turned @ aligned.get(name, np.eye(3)) @ body.rotations[bone]

    index = own.skeleton.index
    put(body.pelvis, turns[:, 0])
    ladder = [turns[:, index(name)] for name in ("pelvis", "spine1", "spine2", "spine3")]
    for step, bone in enumerate(body.spine, start=1):
        put(bone, _between(ladder, 3 * step / len(body.spine)))
    ladder = [turns[:, index(name)] for name in ("spine3", "neck", "head")]
    for step, bone in enumerate(body.neck, start=1):
        put(bone, _between(ladder, 2 * step / len(body.neck)))
    for side in ("left", "right"):
        for joint in ("collar", "shoulder", "elbow", "wrist", "hip", "knee", "ankle", "foot"):
            name = f"{side}_{joint}"
            if name in rig.found and rig.found[name] not in world:
                put(rig.found[name], turns[:, index(name)], name)
        bent, found = {f"{side}_wrist": turns[:, index(f"{side}_wrist")]}, finger_bones(rig, side) if fingers else {}
        hand = aligned.get(f"{side}_wrist", np.eye(3))
        roll = palm_roll(body, found, side, hand)
        for joint in (joint for joint in JOINTS if joint in found):
            bent[joint] = bent.get(before(joint), bent[f"{side}_wrist"]) @ roll.T @ fingers[joint] @ roll
            world[found[joint]] = bent[joint] @ hand @ body.rotations[found[joint]]

    # Whatever lies between those bones goes along with its parent; what lies above the pelvis stays as it was saved.
    local: dict[int, np.ndarray] = {}
    below: set[int] = {body.pelvis}
    for bone, parent in enumerate(rig.parents):
        if bone != body.pelvis and parent not in below:
            continue
        below.add(bone)
        if bone == body.pelvis:
            above = body.turn.T @ nearest_rotation(rig.nodes[parent, :3, :3]) if parent >= 0 else body.turn.T
        else:
            above = world[parent]
        if bone in world:
            local[bone] = np.swapaxes(above, -1, -2) @ world[bone]
        else:
            world[bone] = above @ body.own_turns[bone]
    places = own.root_position / body.size @ body.turn.T + body.stage * body.turn[:, 1]
    parent = rig.parents[body.pelvis]
    if parent >= 0:
        inverse = np.linalg.inv(rig.nodes[parent])
        places = places @ inverse[:3, :3].T + inverse[:3, 3]
    return RigDance(local, body.pelvis, places, own.fps)


def _between(ladder: list[np.ndarray], step: float) -> np.ndarray:
    """The rotations (frames, 3, 3) at a fractional step of a list."""
    low = min(int(step), len(ladder) - 2)
    fraction = torch.full((len(ladder[0]),), step - low, dtype=torch.float64)
    start, end = (torch.from_numpy(np.ascontiguousarray(each)) for each in ladder[low : low + 2])
    return rot.slerp(start, end, fraction).numpy()


def _alignment(rig: Rig, body: Anatomy, skeleton: Skeleton) -> dict[str | None, np.ndarray]:
    """World rotations (3, 3) that carry limbs from the rig's rest pose into ours, by our joint names."""
    turns: dict[str | None, np.ndarray] = {}
    for side in ("left", "right"):
        for chain in (("shoulder", "elbow", "wrist", "hand"), ("hip", "knee", "ankle")):
            turn = np.eye(3)
            for joint, child in pairwise(chain):
                start, end = rig.found.get(f"{side}_{joint}"), rig.found.get(f"{side}_{child}")
                if start is not None and end is not None and f"{side}_{child}" in skeleton.names:
                    bone = turn @ (body.places[end] - body.places[start])
                    if np.linalg.norm(bone) > 1e-6:
                        turn = turn_between(bone, skeleton.offsets[skeleton.index(f"{side}_{child}")]) @ turn
                turns[f"{side}_{joint}"] = turn
        heading = np.eye(3)
        if f"{side}_foot" in rig.found:
            ahead = body.places[rig.found[f"{side}_foot"]] - body.places[rig.found[f"{side}_ankle"]]
            if np.hypot(ahead[0], ahead[2]) > 0.02:
                heading = turn_about(np.array([[0.0, 1.0, 0.0]]), np.array([-np.arctan2(ahead[0], ahead[2])]))[0]
        turns[f"{side}_ankle"] = turns[f"{side}_foot"] = heading
    return turns
