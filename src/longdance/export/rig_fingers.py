"""Which bones of a character are its fingers, and how its hand lies at rest."""

import re

import numpy as np

from longdance.export.hands import FINGERS
from longdance.export.rig_rest import Anatomy, Rig
from longdance.motion.directions import turn_about, unit
from longdance.motion.joint_tree import lies_below

_WORDS = {
    "thumb": ("thumb", "親指"), "index": ("index", "pointer", "人指", "人差"), "middle": ("middle", "mid", "中指"),
    "ring": ("ring", "薬指"), "pinky": ("pinky", "little", "小指"),
}  # fmt: skip
_NO_JOINT = re.compile(r"end|tip|nub|twist|先")
_IN_PALM = re.compile(r"metacarp|carpal|inhand|palm")


def finger_bones(rig: Rig, side: str) -> dict[str, int]:
    """Finger joints, as ``hands.JOINTS`` names them, to bones below the wrist, by the fingers' names.

    Fingers of Biped, which have numbers for names, are counted from the thumb. The first three bones of a finger count.
    """
    wrist = rig.found[f"{side}_wrist"]
    below: dict[str, list[int]] = {}
    for bone, name in enumerate(rig.names):
        if bone != wrist and lies_below(rig.parents, bone, wrist) and (finger := _finger_of(name)):
            below.setdefault(finger, []).append(bone)
    found = {}
    for finger, bones in below.items():
        kept = [bone for bone in bones if not _NO_JOINT.search(rig.names[bone].lower())]
        if finger != "thumb":
            kept = [bone for bone in kept if not _IN_PALM.search(rig.names[bone].lower())]
        chain = [bone for bone in kept if bone == kept[0] or lies_below(rig.parents, bone, kept[0])]
        found |= {f"{side}_{finger}{part}": bone for part, bone in enumerate(chain[:3], 1)}
    return found


def _finger_of(name: str) -> str | None:
    lower = name.lower().rpartition(":")[2]
    for finger, words in _WORDS.items():
        if any(word in lower for word in words):
            return finger
    numbered = re.search(r"finger[ _]?(\d)", lower)
    return FINGERS[int(numbered[1])] if numbered and int(numbered[1]) < 5 else None


def palm_roll(body: Anatomy, found: dict[str, int], side: str, alignment: np.ndarray) -> np.ndarray:
    """The rotation (3, 3) about the arm that carries the rig's palm at rest into ours: down, the thumb forward.

    ``alignment`` carries the hand's direction there before; the line of the knuckles tells how far it is rolled.
    """
    first, last = found.get(f"{side}_index1"), found.get(f"{side}_pinky1")
    if first is None or last is None:
        return np.eye(3)
    knuckles = alignment @ (body.places[first] - body.places[last])
    outward = np.array([1.0 if side == "left" else -1.0, 0.0, 0.0])
    across = unit(knuckles - outward * (knuckles @ outward))
    ours = np.array([0.0, 0.0, 1.0])
    angle = np.arctan2(np.cross(across, ours) @ outward, across @ ours)
    return turn_about(outward[None], np.array([angle]))[0]
