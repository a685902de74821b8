"""What other programs call our joints.

What belongs here: tables of names to write. What does not: guessing what a foreign file's names mean
(``longdance.motion.retarget.match_names``).
"""

from longdance.errors import InputError

_SIDED_JOINTS = ("hip", "knee", "ankle", "foot", "collar", "shoulder", "elbow", "wrist", "hand")
_MIDLINE_JOINTS = ("pelvis", "spine1", "spine2", "spine3", "neck", "head")

_MIXAMO = {
    "pelvis": "Hips", "spine1": "Spine", "spine2": "Spine1", "spine3": "Spine2", "neck": "Neck", "head": "Head",
    "hip": "UpLeg", "knee": "Leg", "ankle": "Foot", "foot": "ToeBase", "collar": "Shoulder", "shoulder": "Arm",
    "elbow": "ForeArm", "wrist": "Hand", "hand": "HandMiddle1",
}  # fmt: skip
_VRM = {
    "pelvis": "hips", "spine1": "spine", "spine2": "chest", "spine3": "upperChest", "neck": "neck", "head": "head",
    "hip": "UpperLeg", "knee": "LowerLeg", "ankle": "Foot", "foot": "Toes", "collar": "Shoulder",
    "shoulder": "UpperArm", "elbow": "LowerArm", "wrist": "Hand", "hand": "MiddleProximal",
}  # fmt: skip

GROUND_BONE = "root"
"""Name of the bone on the floor that carries the travel, where one is asked for."""


def _table(names: dict[str, str], prefix: str, left: str, right: str) -> dict[str, str]:
    sided = {
        f"{side}_{joint}": f"{prefix}{word}{names[joint]}"
        for side, word in (("left", left), ("right", right))
        for joint in _SIDED_JOINTS
    }
    return {joint: prefix + names[joint] for joint in _MIDLINE_JOINTS} | sided


NAMINGS: dict[str, dict[str, str]] = {
    "smpl": {},
    "mixamo": _table(_MIXAMO, "mixamorig:", "Left", "Right"),
    "vrm": _table(_VRM, "", "left", "right"),
}
"""Names by convention: SMPL's (ours), Mixamo's, and those of VRM's humanoid bones."""


def joint_names(names: tuple[str, ...], naming: str) -> tuple[str, ...]:
    """The names of our joints in a convention; ``InputError`` for a convention that is none of ``NAMINGS``."""
    if naming not in NAMINGS:
        raise InputError(f"expected a naming among {', '.join(NAMINGS)}, got {naming!r}")
    return tuple(NAMINGS[naming].get(name, name) for name in names)


def vrm_finger(joint: str) -> str:
    """VRM's name of a finger joint as ``hands.JOINTS`` has it; it calls the smallest finger little."""
    side, _, word = joint.partition("_")
    finger, part = ("Little" if word.startswith("pinky") else word[:-1].title()), int(word[-1])
    parts = ("Metacarpal", "Proximal", "Distal") if finger == "Thumb" else ("Proximal", "Intermediate", "Distal")
    return f"{side}{finger}{parts[part - 1]}"
