"""Which joint of a foreign skeleton is which of ours, by its name."""

import re

from longdance.errors import InputError

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
