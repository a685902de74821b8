"""What messages suggest comes in the order of likeness."""

import pytest

from longdance.errors import InputError, by_likeness
from longdance.motion.bone_table import read_bone_table
from longdance.motion.joint_names import match_names


def test_the_most_like_comes_first():
    assert by_likeness("waltz", ["salsa", "walz", "Waltzer"])[0] in ("walz", "Waltzer")
    assert by_likeness("B", ["a", "b"]) == ["b", "a"]
    assert by_likeness("x", []) == []


def test_joints_of_a_table_and_bones_of_a_file_are_suggested_by_likeness(tmp_path):
    (tmp_path / "t.yaml").write_text("left_nee: a")
    with pytest.raises(InputError, match="try left_knee"):
        read_bone_table(tmp_path / "t.yaml")
    with pytest.raises(InputError, match="the file has LeftLeg"):
        match_names(("Hips", "Spine", "LeftLeg"), table={"left_knee": "LeftLegg"})
