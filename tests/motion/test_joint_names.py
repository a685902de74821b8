"""Which joint is which: names of many programs, trees without names, tables."""

import numpy as np
import pytest

from longdance.errors import InputError
from longdance.motion.bone_table import read_bone_table, write_bone_table
from longdance.motion.bvh import load_bvh_motion, read_bvh
from longdance.motion.joint_names import REQUIRED, guess_names, match_names
from longdance.motion.joint_tree import joints_by_tree
from longdance.motion.skeleton import SMPL24
from sample_motions import foreign_bvh, rig_name, standing

SIDED = ("collar", "shoulder", "elbow", "wrist", "hip", "knee", "ankle", "foot")
"""Joints of a side as the tables below have them, in that order."""
USUAL = "{Left}Shoulder {Left}Arm {Left}ForeArm {Left}Hand {Left}UpLeg {Left}Leg {Left}Foot {Left}ToeBase"
CONVENTIONS = {  # prefix; middle: pelvis, neck, head; sided as above, "{...}" being the side, "-" for none
    "VRChat": ("", "Hips Neck Head", "{Left}_shoulder {Left}_arm {Left}_elbow {Left}_wrist {Left}_leg {Left}_knee"
               " {Left}_ankle {Left}_toe"),
    "Valve": ("ValveBiped.Bip01_", "Pelvis Neck1 Head1", "{L}_Clavicle {L}_UpperArm {L}_Forearm {L}_Hand {L}_Thigh"
              " {L}_Calf {L}_Foot {L}_Toe0"),
    "Roblox": ("", "LowerTorso Neck Head", "- {Left}UpperArm {Left}LowerArm {Left}Hand {Left}UpperLeg {Left}LowerLeg"
               " {Left}Foot -"),
    "MMD": ("", "センター 首 頭", "{左}肩 {左}腕 {左}ひじ {左}手首 {左}足 {左}ひざ {左}足首 {左}つま先"),
    "MMD in Blender": ("", "センター 首 頭", "肩.{L} 腕.{L} ひじ.{L} 手首.{L} 足.{L} ひざ.{L} 足首.{L} つま先.{L}"),
    "MMD translated": ("", "center neck head", "shoulder_{L} arm_{L} elbow_{L} wrist_{L} leg_{L} knee_{L} ankle_{L}"
                       " toe_{L}"),
    "Unreal": ("", "pelvis neck_01 head", "clavicle_{l} upperarm_{l} lowerarm_{l} hand_{l} thigh_{l} calf_{l} foot_{l}"
               " ball_{l}"),
    "Rokoko": ("", "Hips Neck Head", "{Left}Shoulder {Left}Arm {Left}ForeArm {Left}Hand {Left}Thigh {Left}Shin"
               " {Left}Foot {Left}Toe"),
    "Xsens": ("", "Pelvis Neck Head", "{Left}Shoulder {Left}UpperArm {Left}ForeArm {Left}Hand {Left}UpperLeg"
              " {Left}LowerLeg {Left}Foot {Left}Toe"),
    "Perception Neuron": ("Robot_", "Hips Neck Head", USUAL),
    "studio prefix": ("ACME:chr_07:", "Hips Neck Head", USUAL),
    "own prefix": ("hero_", "Hips Neck Head", USUAL),
    "glued prefix": ("Bob", "Hips Neck Head", USUAL),
    "Daz 9": ("", "hip neck1 head", "{l}_shoulder {l}_upperarm {l}_forearm {l}_hand {l}_thigh {l}_shin {l}_foot"
              " {l}_toes"),
    "numbers": ("", "node_0 node_1 node_2", "a{L}0 a{L}1 a{L}2 a{L}3 b{L}0 b{L}1 b{L}2 b{L}3"),
}  # fmt: skip


def joint_names(convention: str) -> dict[str, str]:
    """Our joints to the convention's names, of those that it has."""
    prefix, middle, sided = CONVENTIONS[convention]
    names = {joint: prefix + name for joint, name in zip(("pelvis", "neck", "head"), middle.split(), strict=True)}
    for side in ("left", "right"):
        words = {"Left": side.title(), "L": side[0].upper(), "l": side[0], "左": {"left": "左", "right": "右"}[side]}
        for joint, form in zip(SIDED, sided.split(), strict=True):
            if form != "-":
                name = form.format_map(words)
                names[f"{side}_{joint}"] = prefix + (name.replace("_", " ") if convention == "VRChat" else name)
    return names


def as_file(tmp_path, names: dict[str, str]):
    """A BVH file of a standing body in which our joints are called so; joints that are none are left as they are."""
    text = foreign_bvh(standing(3), "smpl")
    for joint in SMPL24.names:
        old = rig_name("smpl", joint)
        new = names.get(joint, f"extra {SMPL24.index(joint)}")
        text = text.replace(f"JOINT {old}\n", f"JOINT {new}\n").replace(f"ROOT {old}\n", f"ROOT {new}\n")
    path = tmp_path / "a.bvh"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("convention", [name for name in CONVENTIONS if name != "numbers"])
def test_names_alone_tell(convention):
    names = joint_names(convention)
    found = match_names(tuple(names.values()))
    for joint, name in names.items():
        assert list(names.values())[found[joint]] == name, joint


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_a_body_is_read_whatever_its_joints_are_called(tmp_path, convention):
    path = as_file(tmp_path, joint_names(convention))
    back = load_bvh_motion(path).joints()[0]
    for joint in ("left_wrist", "right_ankle", "head"):
        assert np.linalg.norm(back[SMPL24.index(joint)] - standing(1).joints()[0, SMPL24.index(joint)]) < 0.08, joint


def test_a_tree_without_names_is_a_body(rng):
    parents, places = SMPL24.parents, SMPL24.rest_positions
    found = joints_by_tree(parents, places, [None] * len(parents))
    for joint in (*REQUIRED, "pelvis", "left_foot", "right_hand", "left_collar", "head"):
        assert SMPL24.names[found[joint]] == joint
    # In any axes, and with joints in another order of siblings.
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    again = joints_by_tree(parents, places @ turn.T * 7, [None] * len(parents))
    assert again == found


def test_a_tree_that_is_no_human_is_none():
    assert joints_by_tree([-1, 0, 1, 2, 3], np.eye(5, 3), [None] * 5) == {}
    spider = [-1] + [0, 1, 2, 3] * 2
    assert joints_by_tree([*spider[:5], 0, 5, 6, 7], np.random.default_rng(0).normal(size=(9, 3)), [None] * 9) == {}
    assert joints_by_tree([*range(-1, 4000)], np.zeros((4001, 3)), [None] * 4001) == {}


def test_names_that_contradict_the_tree_give_way(tmp_path):
    """Shins called thighs and thighs shins."""
    names = {joint: rig_name("cmu", joint) for joint in SMPL24.names}
    for side in ("left", "right"):
        names[f"{side}_hip"], names[f"{side}_knee"] = names[f"{side}_knee"], names[f"{side}_hip"]
    bvh = read_bvh(as_file(tmp_path, names))
    found = match_names(bvh.names, bvh.parents, bvh.rest_places())
    assert bvh.names[found["left_hip"]] == "LeftLeg"
    assert bvh.names[found["left_knee"]] == "LeftUpLeg"


def test_a_table_has_the_first_word_and_can_be_begun(tmp_path):
    names = tuple(f"b{index}" for index in range(len(SMPL24)))
    found = guess_names(names)
    assert not found
    write_bone_table(tmp_path / "t.yaml", names, {"left_knee": 3, "head": 5})
    text = (tmp_path / "t.yaml").read_text()
    assert "left_knee: b3" in text
    assert "right_knee:  # needed" in text
    assert read_bone_table(tmp_path / "t.yaml") == {"left_knee": "b3", "head": "b5"}
    table = {joint: names[index] for index, joint in enumerate(SMPL24.names) if not joint.startswith("spine")}
    (tmp_path / "t.yaml").write_text("".join(f"{joint}: {name}\n" for joint, name in table.items()))
    assert match_names(names, table=read_bone_table(tmp_path / "t.yaml"))["left_knee"] == SMPL24.index("left_knee")


@pytest.mark.parametrize("name", ["mixamorig:Hips", "左足", "yes", "1", "a: b", "# hash", "it's"])
def test_any_name_survives_a_table(tmp_path, name):
    write_bone_table(tmp_path / "t.yaml", (name,), {"pelvis": 0})
    assert read_bone_table(tmp_path / "t.yaml") == {"pelvis": name}


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("left_nee: a", "left_nee"),
        ("- a", "table"),
        ("left_knee: a\nright_knee: a", "more often"),
        ("left_knee: [", "table"),
        ("\x00", "table"),
    ],
)
def test_tables_that_are_wrong_are_refused_by_name(tmp_path, content, match):
    (tmp_path / "t.yaml").write_text(content)
    with pytest.raises(InputError, match=match) as caught:
        read_bone_table(tmp_path / "t.yaml")
    assert "t.yaml" in str(caught.value)


def test_bones_that_the_file_lacks_are_named(tmp_path):
    path = as_file(tmp_path, {joint: rig_name("cmu", joint) for joint in SMPL24.names})
    with pytest.raises(InputError, match=r"a\.bvh.*no_such_bone"):
        load_bvh_motion(path, bones={"left_knee": "no_such_bone"})


def test_limbs_of_two_bones_each_as_makehuman_has_them():
    sides = ("L", "R")
    limbs = ("upperleg01", "upperleg02", "lowerleg01", "lowerleg02", "foot", "clavicle", "shoulder01", "upperarm01",
             "upperarm02", "lowerarm01", "lowerarm02", "wrist", "toe2-1", "finger3-1")  # fmt: skip
    names = ("root", "spine05", "spine01", "neck01", "head", *(f"{limb}.{side}" for side in sides for limb in limbs))
    found = match_names(names)
    wanted = {"hip": "upperleg01", "knee": "lowerleg01", "ankle": "foot", "foot": "toe2-1", "collar": "clavicle",
              "shoulder": "upperarm01", "elbow": "lowerarm01", "wrist": "wrist"}  # fmt: skip
    for side in ("left", "right"):
        for joint, name in wanted.items():
            assert names[found[f"{side}_{joint}"]] == f"{name}.{side[0].upper()}"


def test_a_tree_that_makes_legs_of_what_is_called_an_arm_is_not_believed():
    """Long arms that hang and short legs: by lengths alone the arms would be taken for legs."""
    parents, names, places = [-1], ["middle"], [np.array([0.0, 1.0, 0.0])]

    def chain(start: int, labels: list[str], step: np.ndarray, first: np.ndarray) -> int:
        above = start
        for number, label in enumerate(labels):
            parents.append(above)
            names.append(label)
            places.append(places[above] + (first if number == 0 else step))
            above = len(names) - 1
        return above

    top = chain(0, ["trunk", "top"], np.array([0, 0.2, 0.0]), np.array([0, 0.2, 0.0]))
    chain(top, ["skull", "crown"], np.array([0, 0.2, 0.0]), np.array([0, 0.1, 0.0]))
    for side, sign in (("L", 1.0), ("R", -1.0)):
        leg = [f"{part}.{side}" for part in ("piece a", "piece b", "foot")]
        arm = [f"{part}.{side}" for part in ("section a", "section b", "wrist")]
        chain(0, leg, np.array([0, -0.4, 0.0]), np.array([0.1 * sign, 0, 0.0]))
        chain(top, arm, np.array([0.25 * sign, 0, 0.0]), np.array([0.15 * sign, 0, 0.0]))
    found = guess_names(tuple(names), tuple(parents), np.array(places))
    assert names[found["left_wrist"]] == "wrist.L"
    # The same bones, the labels of arms and legs exchanged.
    swapped = tuple({"foot": "wrist", "wrist": "foot"}.get(name[:-2], name[:-2]) + name[-2:] for name in names)
    with pytest.raises(InputError, match="--bones"):
        match_names(swapped, tuple(parents), np.array(places))
