"""Which joint of a foreign skeleton is which of ours: by a table, by its name, by its place in the tree."""

import re
from collections import Counter
from collections.abc import Mapping

import numpy as np

from longdance.errors import InputError, by_likeness
from longdance.motion.joint_tree import joints_by_tree, lies_below

_PREFIXES = re.compile(
    r"^(?:.*[:|])?"
    r"(?:mixamorig\d*|cc_?base|neo|j_bip_(?:c_)?|bip0*1?|b_|character1?|armature|skeleton|def|jnt|[mf]_avg)?"
    r"[ _.\-]*"
)
_MIDDLE = {
    "pelvis": ("pelvis", "hips", "hip", "lowertorso", "lowerbody", "center", "centre", "root"),
    "neck": ("neck", "neck1", "necktwist01", "lowerneck", "neck01", "uppperneck", "necklower", "spine004"),
    "head": ("head", "head1", "spine006"),
}
_SIDED = {
    "hip": ("upleg", "thigh", "hip", "upperleg", "femur", "upperlegs", "thighbend", "hipjoint", "uleg"),
    "knee": ("leg", "calf", "shin", "knee", "lowerleg", "lowleg", "tibia", "lleg"),
    "ankle": ("ankle", "foot"),
    "foot": ("toebase", "toe0", "toe", "toes", "ball", "foot", "toe21", "toe31"),
    "shoulder": ("arm", "upperarm", "uparm", "shldr", "humerus", "shldrbend", "uarm", "shoulder"),
    "collar": ("collar", "clavicle", "collarbone", "clav", "scapula", "shoulder"),
    "elbow": ("forearm", "elbow", "lowerarm", "lowarm", "radius", "forearmbend", "larm"),
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
    "pelvis": ("腰", "下半身", "センター", "全ての親"), "neck": ("首",), "head": ("頭",), "hip": ("足", "もも"),
    "knee": ("ひざ", "膝"), "ankle": ("足首",), "foot": ("つま先", "足先EX"), "shoulder": ("腕",), "collar": ("肩",),
    "elbow": ("ひじ", "肘"), "wrist": ("手首",), "hand": ("中指1", "中指１"),
}  # fmt: skip
REQUIRED = tuple(
    f"{side}_{joint}" for joint in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist") for side in ("left", "right")
)
"""Joints that a source must have; the others help, or are found by their place in the tree."""


def match_names(
    names: tuple[str, ...],
    parents: tuple[int, ...] | None = None,
    places: np.ndarray | None = None,
    table: Mapping[str, str] | None = None,
) -> dict[str, int]:
    """Our joint (and the knuckles index and pinky) to the place in ``names`` of the joint in its part.

    Understands Mixamo, CMU, iClone (CC_Base), Neo, Poser and Daz, SMPL, 3ds Max Biped, Valve, Unreal, Rigify, VRM,
    VRChat, Roblox, Rokoko, Xsens, Perception Neuron and MikuMikuDance names, any case, prefix and separator. Where
    they are none of these or contradict the tree, ``parents`` (-1 for roots) and ``places`` (joints, 3) at rest decide:
    two chains down, two sideways, one up. A ``table`` of our joint names to the file's has the first word.
    ``InputError`` lists what is missing and what the file has.
    """
    return require_joints(names, guess_names(names, parents, places, table))


def require_joints(names: tuple[str, ...], found: dict[str, int]) -> dict[str, int]:
    """What was found, if it is enough to dance; ``InputError`` lists what is missing and what the file has."""
    missing = missing_joints(found)
    if missing:
        shown = ", ".join(names[:60]) + (", ..." if len(names) > 60 else "")
        raise InputError(
            f"expected joint names of a known human skeleton, found none for {', '.join(missing)}; "
            f"the file has {shown}; try --bones with a table of our joint names to the file's, begun by --write-bones"
        )
    return found


def missing_joints(found: Mapping[str, int]) -> list[str]:
    """The joints without which nobody can dance that are not found."""
    missing = [joint for joint in REQUIRED if joint not in found]
    return missing if "neck" in found or "head" in found else [*missing, "head"]


def guess_names(
    names: tuple[str, ...],
    parents: tuple[int, ...] | None = None,
    places: np.ndarray | None = None,
    table: Mapping[str, str] | None = None,
) -> dict[str, int]:
    """As ``match_names``, but as much as can be found."""
    told = _of_table(names, table or {})
    found = _by_names(names)
    if parents is not None and places is not None and (missing_joints(found) or not _fits(found, parents)):
        by_tree = joints_by_tree(parents, places, [side_of(name) for name in names])
        if not missing_joints(by_tree) and not _crossed(found, by_tree):
            found = by_tree
    if not told:
        return found
    used = set(told.values())
    return {joint: index for joint, index in found.items() if index not in used and joint not in told} | told


def _of_table(names: tuple[str, ...], table: Mapping[str, str]) -> dict[str, int]:
    wrong = [name for name in table.values() if name not in names]
    if wrong:
        shown = ", ".join(by_likeness(wrong[0], names[:MOST_SHOWN])[:60]) + (", ..." if len(names) > 60 else "")
        raise InputError(f"expected bones of the file in the table, got {', '.join(wrong)}; the file has {shown}")
    return {joint: names.index(name) for joint, name in table.items()}


def _crossed(named: dict[str, int], by_tree: dict[str, int]) -> bool:
    """Whether what is an arm by its name is a leg by the tree, or a leg an arm: then the tree was misread."""
    arms, legs = ({joint for pair in CHAINS[part] for joint in pair} for part in (slice(2, None), slice(2)))

    def bones(found: dict[str, int], joints: set[str]) -> set[int]:
        return {bone for joint, bone in found.items() if joint.partition("_")[2] in joints}

    return bool(bones(named, arms) & bones(by_tree, legs) or bones(named, legs) & bones(by_tree, arms))


def _fits(found: dict[str, int], parents: tuple[int, ...]) -> bool:
    """Whether every limb's joints hang on each other in their order."""
    chains = [(f"{side}_{a}", f"{side}_{b}") for side in ("left", "right") for a, b in CHAINS]
    return all(lies_below(parents, found[b], found[a]) for a, b in chains if a in found and b in found)


MOST_SHOWN = 1000
"""Names of a file among which one is looked for that is like another."""
CHAINS = (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))
_SIDES = re.compile(r"(?:^|[^a-z])(left|right|lft|rgt|l|r)(?=$|[^a-z])|^(l|r)(?=[A-Z])|(左|右)|(Left|Right)(?=[A-Z]|$)")


def side_of(name: str) -> str | None:
    """``left`` or ``right`` as a name says, else None."""
    for text in (name.rpartition(":")[2], name.lower()):
        match = _SIDES.search(text)
        if match:
            word = next(part for part in match.groups() if part).lower()
            return "left" if word[0] in "l左" else "right"
    return None


def _by_names(names: tuple[str, ...]) -> dict[str, int]:
    plain: dict[str, int] = {}
    for stripper in (_known_prefix, _common_prefix(names)):
        for index, name in enumerate(names):
            plain.setdefault(re.sub(r"[^a-z0-9]", "", stripper(name)), index)
    found: dict[str, int] = {}
    written = {name.strip(): index for index, name in enumerate(names)}
    for joint, words in _JAPANESE.items():
        for side, sign in (("", ""),) if joint in _MIDDLE else (("left_", "左"), ("right_", "右")):
            latin = {"": "", "左": "L", "右": "R"}[sign]
            forms = [form for word in words for form in (sign + word, f"{word}.{latin}", f"{word}_{latin}")]
            found.update(_first(written, side + joint, forms, found))
    for joint, aliases in _MIDDLE.items():
        if joint not in found:
            found.update(_first(plain, joint, aliases, found))
    for side, letter in (("left", "l"), ("right", "r")):

        def forms(aliases: tuple[str, ...], side: str = side, letter: str = letter) -> list[str]:
            words = (*aliases, *(f"{word}01" for word in aliases))  # the first of several bones of a limb
            return [form for word in words for form in (side + word, word + side, letter + word, word + letter)]

        for joint, aliases in _SIDED.items():
            if f"{side}_{joint}" not in found:
                found.update(_first(plain, f"{side}_{joint}", forms(aliases), found))
        # "Leg" is the shin, unless there is a knee beside it and no other thigh.
        leg = next((plain[form] for form in forms(("leg",)) if form in plain), None)
        knee = next((plain[form] for form in forms(("knee", "shin", "calf", "lowerleg")) if form in plain), None)
        if f"{side}_hip" not in found and leg is not None and knee is not None:
            found |= {f"{side}_hip": leg, f"{side}_knee": knee}
    return found


def _known_prefix(name: str) -> str:
    return _PREFIXES.sub("", name.lower(), count=1) or name.lower()


def _common_prefix(names: tuple[str, ...]):
    """What takes off the words that most of the names begin with."""
    words = [re.findall(r"[A-Za-z]+(?=[^A-Za-z])|[A-Z]?[a-z]+|\d+|[^\w]+|_|.", name) for name in names]
    prefix: list[str] = []
    while True:
        nexts = Counter(
            row[len(prefix)] for row in words if row[: len(prefix)] == prefix and len(row) > len(prefix) + 1
        )
        most = nexts.most_common(1)
        if not most or most[0][1] < 0.7 * len(names):
            break
        prefix.append(most[0][0])
    start = "".join(prefix)
    return lambda name: _known_prefix(name.removeprefix(start))


def _first(plain: dict[str, int], joint: str, forms, found: dict[str, int]) -> dict[str, int]:
    used = () if joint.endswith(("index", "pinky")) else set(found.values())
    for form in forms:
        if form in plain and plain[form] not in used:
            return {joint: plain[form]}
    return {}
