"""The BVH reader and writer against files worked out by hand, other readers, and broken files."""

import re
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longdance.errors import InputError
from longdance.motion.bvh import load_bvh_motion, read_bvh, save_bvh
from longdance.motion.motion import Motion
from longdance.motion.skeleton import SMPL22, SMPL24
from sample_motions import wandering

SMALL = """HIERARCHY
ROOT Hips
{
  OFFSET 1 2 3
  CHANNELS 6 Xposition Yposition Zposition Zrotation Yrotation Xrotation
  JOINT left arm
  {
    OFFSET 0 10 0
    CHANNELS 6 Xposition Yposition Zposition Xrotation Yrotation Zrotation
    End Site
    {
      OFFSET 0 5.0e0 0
    }
  }
  JOINT fixed
  {
    OFFSET 1 0 0
    CHANNELS 1 Zrotation
  }
}
MOTION
Frames: 2
Frame Time: 0.033333
100 200 300 90 0 0 7 8 9 0 0 0 0
1e2 200 300 0 0 0 7 8 9 90 0 0 90
"""


def written(path, text: str):
    path.write_text(text, newline="")
    return path


def test_channels_of_any_kind_and_order(tmp_path):
    bvh = read_bvh(written(tmp_path / "a.bvh", SMALL))
    assert bvh.names == ("Hips", "left arm", "fixed")
    assert bvh.parents == (-1, 0, 0)
    assert bvh.fps == 30
    places, _, ends = bvh.forward_kinematics()
    # Frame 0: the root turned by a quarter about z; position channels replace the OFFSET.
    np.testing.assert_allclose(places[0], [[100, 200, 300], [92, 207, 309], [100, 201, 300]], atol=1e-9)
    np.testing.assert_allclose(ends[0], [[87, 207, 309]], atol=1e-9)
    # Frame 1: the arm turned by a quarter about x takes its end from y to z.
    np.testing.assert_allclose(ends[1], [[107, 208, 314]], atol=1e-9)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("ROOT Hips\n{", "ROOT Hips {").replace(
            "  {\n    OFFSET 1 0 0", "  { OFFSET 1 0 0"
        ),
        lambda text: text.replace("Frames: 2", "frames:2").replace("Frame Time: ", "FRAME TIME:\t"),
        lambda text: text.replace("7 8 9", "7 8\n9"),
        lambda text: "\ufeff" + text.replace("\n", "\n\n").replace("  ", "\t") + "\n \n",
    ],
    ids=["crlf", "braces", "case", "broken rows", "blank lines"],
)
def test_odd_formatting_reads_the_same(tmp_path, change):
    plain = read_bvh(written(tmp_path / "a.bvh", SMALL)).forward_kinematics()
    odd = read_bvh(written(tmp_path / "b.bvh", change(SMALL))).forward_kinematics()
    for one, other in zip(plain, odd, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: "", "expected a BVH file that starts with HIERARCHY"),
        (lambda t: "\x00\xff binary", "line 1: expected a BVH file that starts with HIERARCHY"),
        (lambda t: t.replace("OFFSET 0 10 0", "OFFSET 0 ten 0"), "line 8: expected OFFSET and three numbers"),
        (lambda t: t.replace("CHANNELS 1 Z", "CHANNELS 2 Z"), "line 18: expected CHANNELS"),
        (lambda t: t.replace("CHANNELS 1 Zrotation", "CHANNELS 1 Wrotation"), "line 18: expected CHANNELS"),
        (lambda t: t.rstrip().rpartition(" ")[0], "expected rows of 13 numbers, got 25"),
        (lambda t: t[: t.index("Frame Time")] + "Frame Time: 0.1\n", "expected rows of 13 numbers, got 0"),
        (lambda t: t.replace("1e2", "nan"), "line 25: expected numbers below 1e+09, got 'nan'"),
        (lambda t: t.replace("1e2", "1,5,0"), "line 25: expected numbers below 1e+09, got '1,5,0'"),
        (lambda t: t.replace("0.033333", "0"), "frame time"),
        (lambda t: t[: t.index("MOTION")], "MOTION section"),
        (lambda t: t.replace("JOINT fixed", "ROOT fixed"), "line 15: expected one ROOT"),
        (lambda t: t.replace("  JOINT fixed", "}\n  JOINT fixed"), "line 16: expected one ROOT"),
    ],
)
def test_a_broken_file_is_named_with_the_line(tmp_path, change, message):
    path = written(tmp_path / "broken.bvh", change(SMALL))
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        read_bvh(path)
    assert "broken.bvh" in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.bvh"):
        read_bvh(tmp_path / "none.bvh")


@settings(max_examples=60, deadline=1000, derandomize=True)
@given(
    at=st.integers(0, len(SMALL) - 1), size=st.integers(0, 40), put=st.text("{}0-. \nJOINTROEnd", max_size=12)
)
def test_a_damaged_file_is_read_or_refused(tmp_path_factory, at, size, put):
    path = tmp_path_factory.mktemp("damage") / "a.bvh"
    path.write_text(SMALL[:at] + put + SMALL[at + size :])
    try:
        bvh = read_bvh(path)
    except InputError:
        return
    assert np.isfinite(bvh.forward_kinematics()[0]).all()


def test_deep_hierarchy_is_no_recursion(tmp_path):
    depth = 5000
    nest = "".join(f"JOINT j{i}\n{{\nOFFSET 0 1 0\nCHANNELS 0\n" for i in range(depth))
    text = "HIERARCHY\nROOT r\n{\nOFFSET 0 0 0\nCHANNELS 1 Xrotation\n" + nest + "}\n" * (depth + 1)
    bvh = read_bvh(written(tmp_path / "deep.bvh", text + "MOTION\nFrames: 1\nFrame Time: 0.1\n0\n"))
    assert len(bvh.names) == depth + 1


@pytest.mark.parametrize("scale", [1.0, 100.0])
@pytest.mark.parametrize("skeleton", [SMPL24, SMPL22], ids=["24", "22"])
def test_our_own_files_come_back_exactly(tmp_path, rng, scale, skeleton):
    motion = wandering(rng, frames=20)
    motion = Motion(motion.root_position, motion.rotations[:, : len(skeleton)], fps=59.94, skeleton=skeleton)
    save_bvh(motion, tmp_path / "own.bvh", scale=scale)
    back = load_bvh_motion(tmp_path / "own.bvh")
    assert back.skeleton is skeleton
    assert back.fps == pytest.approx(59.94, rel=1e-6)
    np.testing.assert_allclose(back.joints(), motion.joints(), atol=1e-4)
    np.testing.assert_allclose(back.rotations, motion.rotations, atol=1e-5)


def test_our_names_on_another_body_keep_that_body(tmp_path, rng):
    motion = wandering(rng, frames=5)
    child = type(SMPL24)(SMPL24.names, SMPL24.parents, SMPL24.offsets * 0.7)
    motion = Motion(motion.root_position, motion.rotations, fps=60, skeleton=child)
    save_bvh(motion, tmp_path / "child.bvh", scale=100)
    np.testing.assert_allclose(load_bvh_motion(tmp_path / "child.bvh").joints(), motion.joints(), atol=1e-4)


def test_other_readers_see_the_same_joints(tmp_path, rng):
    bvhio, pybvh = pytest.importorskip("bvhio"), pytest.importorskip("pybvh")
    motion = wandering(rng, frames=4)
    save_bvh(motion, tmp_path / "own.bvh", scale=100)
    ours = motion.joints()
    tree = bvhio.readAsHierarchy(str(tmp_path / "own.bvh"))
    for frame in range(motion.frames):
        tree.loadPose(frame)
        for joint, _, _ in tree.layout():
            if joint.Name in SMPL24.names:
                place = np.array(joint.PositionWorld.to_tuple()) / 100
                np.testing.assert_allclose(place, ours[frame, SMPL24.index(joint.Name)], atol=1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the other library's own
        other = pybvh.read_bvh_file(tmp_path / "own.bvh")
    names, places = list(other.joint_names), np.asarray(other.joint_positions())
    for name in SMPL24.names:
        np.testing.assert_allclose(places[:, names.index(name)] / 100, ours[:, SMPL24.index(name)], atol=1e-4)


def test_real_files_agree_with_another_reader(shared_data):
    bvhio = pytest.importorskip("bvhio")
    path = shared_data / "cmu" / "85_14.bvh"
    bvh = read_bvh(path)
    places = bvh.forward_kinematics()[0]
    tree = bvhio.readAsHierarchy(str(path))
    for frame in (0, 300, bvh.frames - 1):
        tree.loadPose(frame)
        for joint, _, _ in tree.layout():
            if joint.Name in bvh.names:
                np.testing.assert_allclose(
                    np.array(joint.PositionWorld.to_tuple()),
                    places[frame, bvh.names.index(joint.Name)],
                    atol=2e-2,
                )


def test_no_joint_lies_where_blender_would_join_it_to_its_parent_s_tail(tmp_path, rng):
    save_bvh(wandering(rng, frames=1), tmp_path / "own.bvh")
    bvh = read_bvh(tmp_path / "own.bvh")
    for joint, parent in enumerate(bvh.parents):
        siblings = [child for child, above in enumerate(bvh.parents) if above == parent]
        if parent >= 0 and len(siblings) > 1:
            tail = bvh.offsets[parent] + bvh.offsets[siblings].mean(0)
            assert np.abs(tail - bvh.offsets[joint]).max() > 1e-6
