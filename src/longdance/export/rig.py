"""A dance on somebody's own character: bones found by name, directions of limbs kept, feet on its own floor.

What belongs here: the movement that the character's bones get. What does not: its body at rest (``rig_rest``), where
it goes (``rig_path``), reading and writing its file (``rig_glb``, ``rig_fbx``, ``rig_bvh``).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from longdance.errors import InputError
from longdance.export.hands import JOINTS, before, finger_rotations
from longdance.export.rig_fingers import finger_bones, palm_roll
from longdance.export.rig_path import SIDES, Placed, bent_toes, last_steps, on_floor, path
from longdance.export.rig_rest import Anatomy, Rig, anatomy, foot_heading, inverse, upwards
from longdance.export.takes import require_smpl
from longdance.motion import rotations as rot
from longdance.motion.directions import turn_between
from longdance.motion.filters import nearest_rotation
from longdance.motion.joint_names import guess_names, missing_joints, require_joints
from longdance.motion.motion import Motion
from longdance.motion.skeleton import Skeleton


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

    Bones of limbs point where ours point, whatever the rest pose, legs within a degree; spine and neck share the turns
    of ours among as many bones as there are. The whole is led over the rig's own floor by what stands
    (``longdance.export.rig_path``). Toes bend rather than go into the floor. Fingers, where the rig has some, are bent
    by rule unless there are to be no ``hands``. ``InputError`` for a rig whose bones coincide.
    """
    require_smpl(motion)
    try:
        body = anatomy(rig, motion.skeleton)
    except np.linalg.LinAlgError as error:
        raise InputError(f"expected bones that can be computed with in the rig, got others ({error})") from error
    world = _turned(motion, rig, body, finger_rotations(motion) if hands else {})
    feet = motion.global_rotations()[:, [motion.skeleton.index(f"{side}_ankle") for side in SIDES]]
    placed = Placed(_followed(rig, body, world)[1], feet, body.soles)
    root = path(motion, placed)
    for name, turn in last_steps(motion, placed, root).items():
        world[rig.found[name]] = turn @ world[rig.found[name]]
    placed = Placed(_followed(rig, body, world)[1], feet, body.soles)
    root = on_floor(motion, placed, root)
    for name, turned in bent_toes(motion, placed, body, root).items():
        heading = foot_heading(rig.found, name.partition("_")[0], body.places)
        for bone in _toes(rig, body, name, heading):
            world[bone] = turned @ heading @ body.rotations[bone]
    dance = RigDance(_relative(rig, body, world), body.pelvis, _in_file(rig, body, root), motion.fps)
    if not all(np.isfinite(track).all() for track in (dance.place, *dance.rotations.values())):
        raise InputError("expected bones of some size in the rig, got some scaled to nothing or beyond measure")
    return dance


def _turned(motion: Motion, rig: Rig, body: Anatomy, fingers: Mapping[str, np.ndarray]) -> dict[int, np.ndarray]:
    """World rotations (frames, 3, 3) of the bones that dance."""
    turns = motion.global_rotations()
    aligned = _alignment(rig, body, motion.skeleton)
    world: dict[int, np.ndarray] = {}

    def put(bone: int, turned: np.ndarray, name: str | None = None) -> None:
        world[bone] = turned @ aligned.get(name, np.eye(3)) @ body.rotations[bone]

    index = motion.skeleton.index
    put(body.pelvis, turns[:, 0])
    ladder = [turns[:, index(name)] for name in ("pelvis", "spine1", "spine2", "spine3")]
    for step, bone in enumerate(body.spine, start=1):
        put(bone, _between(ladder, 3 * step / len(body.spine)))
    ladder = [turns[:, index(name)] for name in ("spine3", "neck", "head")]
    for step, bone in enumerate(body.neck, start=1):
        put(bone, _between(ladder, 2 * step / len(body.neck)))
    for side in SIDES:
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
    return world


def _toes(rig: Rig, body: Anatomy, name: str, heading: np.ndarray) -> list[int]:
    """The bone of a foot's ball, and others beside it where every toe has one."""
    ball, ankle = rig.found[name], rig.found[name.replace("foot", "ankle")]
    ahead = ((body.places - body.places[ankle]) @ heading.T)[:, 2]
    beside = [bone for bone, parent in enumerate(rig.parents) if parent == rig.parents[ball] == ankle]
    return [ball, *(bone for bone in beside if bone != ball and ahead[bone] > 0.6 * ahead[ball] > 0)]


def _followed(
    rig: Rig, body: Anatomy, world: dict[int, np.ndarray]
) -> tuple[dict[int, np.ndarray], dict[str, np.ndarray]]:
    """World rotations of all bones from the pelvis to our joints and fingers, and places (frames, 3) of our joints.

    What lies between goes along with its parent. Places are against the pelvis.
    """
    needed = {above for bone in (*world, *rig.found.values()) for above in upwards(rig.parents, bone)}
    turned = {body.pelvis: world[body.pelvis]}
    places = {body.pelvis: np.zeros((len(world[body.pelvis]), 3))}
    for bone, parent in enumerate(rig.parents):
        if bone in needed and parent in turned:
            step = body.rotations[parent].T @ (body.places[bone] - body.places[parent])
            places[bone] = places[parent] + turned[parent] @ step
            turned[bone] = world[bone] if bone in world else turned[parent] @ body.own_turns[bone]
    return turned, {name: places[bone] for name, bone in rig.found.items() if bone in places}


def _relative(rig: Rig, body: Anatomy, world: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
    """Rotations (frames, 3, 3) of the bones that dance against their parents.

    What lies above the pelvis stays as it was saved.
    """
    turned, _ = _followed(rig, body, world)
    parent = rig.parents[body.pelvis]
    above = body.turn.T @ nearest_rotation(rig.nodes[parent, :3, :3]) if parent >= 0 else body.turn.T
    local = {body.pelvis: above.T @ world[body.pelvis]}
    for bone in turned.keys() & body.between:
        local[bone] = np.broadcast_to(body.own_turns[bone], turned[bone].shape)
    for bone in world:
        if bone in turned and bone != body.pelvis:
            local[bone] = np.swapaxes(turned[rig.parents[bone]], -1, -2) @ world[bone]
    return local


def _in_file(rig: Rig, body: Anatomy, root: np.ndarray) -> np.ndarray:
    """The places (frames, 3) of the pelvis in the space of its parent."""
    places = root / body.size @ body.turn.T + body.stage * body.turn[:, 1]
    parent = rig.parents[body.pelvis]
    if parent >= 0:
        back = inverse(rig.nodes[parent])
        places = places @ back[:3, :3].T + back[:3, 3]
    return places


def _between(ladder: list[np.ndarray], step: float) -> np.ndarray:
    """The rotations (frames, 3, 3) at a fractional step of a list."""
    low = min(int(step), len(ladder) - 2)
    fraction = torch.full((len(ladder[0]),), step - low, dtype=torch.float64)
    start, end = (torch.from_numpy(np.ascontiguousarray(each)) for each in ladder[low : low + 2])
    return rot.slerp(start, end, fraction).numpy()


def _alignment(rig: Rig, body: Anatomy, skeleton: Skeleton) -> dict[str | None, np.ndarray]:
    """World rotations (3, 3) that carry limbs from the rig's rest pose into ours, by our joint names."""
    turns: dict[str | None, np.ndarray] = {}
    for side in SIDES:
        for chain in (("shoulder", "elbow", "wrist", "hand"), ("hip", "knee", "ankle")):
            turn = np.eye(3)
            for joint, child in pairwise(chain):
                start, end = rig.found.get(f"{side}_{joint}"), rig.found.get(f"{side}_{child}")
                if start is not None and end is not None and f"{side}_{child}" in skeleton.names:
                    bone = turn @ (body.places[end] - body.places[start])
                    if np.linalg.norm(bone) > 1e-6:
                        turn = turn_between(bone, skeleton.offsets[skeleton.index(f"{side}_{child}")]) @ turn
                turns[f"{side}_{joint}"] = turn
        turns[f"{side}_ankle"] = turns[f"{side}_foot"] = foot_heading(rig.found, side, body.places)
    return turns
