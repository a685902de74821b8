"""The skeletons are symmetric trees that stand on the floor in the promised pose."""

import numpy as np
import pytest

from longdance.motion.skeleton import BALL_HEIGHT, SMPL22, SMPL24, Skeleton

skeletons = pytest.mark.parametrize("skeleton", [SMPL24, SMPL22], ids=["smpl24", "smpl22"])


def test_joint_order_is_smpls():
    assert SMPL24.names == (
        "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle",
        "right_ankle", "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head",
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
        "left_hand", "right_hand",
    )  # fmt: skip
    # The published kinematic tree of SMPL.
    assert SMPL24.parents == (
        -1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21
    )  # fmt: skip


def test_smpl22_is_smpl24_without_hands():
    assert len(SMPL22) == 22
    assert SMPL22.names == SMPL24.names[:22]
    assert SMPL22.parents == SMPL24.parents[:22]
    np.testing.assert_array_equal(SMPL22.offsets, SMPL24.offsets[:22])


@skeletons
def test_mirroring_swaps_sides_and_is_its_own_inverse(skeleton):
    twin = skeleton.mirror_index
    np.testing.assert_array_equal(twin[twin], np.arange(len(skeleton)))
    for joint, other in enumerate(twin):
        name, mirrored = skeleton.names[joint], skeleton.names[other]
        assert name.replace("left", "x").replace("right", "left").replace("x", "right") == mirrored
    np.testing.assert_array_equal(skeleton.offsets[twin], skeleton.offsets * [-1, 1, 1])


@skeletons
def test_rest_pose_is_a_t_pose_facing_forward_on_the_floor(skeleton):
    at = dict(zip(skeleton.names, skeleton.rest_positions, strict=True))
    assert at["pelvis"][0] == at["pelvis"][2] == 0
    assert at["left_foot"][1] == pytest.approx(BALL_HEIGHT)
    assert min(position[1] for position in at.values()) == pytest.approx(BALL_HEIGHT)
    assert at["left_wrist"][0] > at["left_shoulder"][0] > 0 > at["right_wrist"][0]
    assert at["left_wrist"][1] == pytest.approx(at["left_shoulder"][1])
    assert at["left_foot"][2] > at["left_ankle"][2]  # toes point to +z
    assert at["head"][1] == max(position[1] for position in at.values())
    assert 1.4 < at["head"][1] < 1.8


@skeletons
def test_lengths_follow_from_the_rest_pose(skeleton):
    at = skeleton.rest_positions
    thigh = np.linalg.norm(at[skeleton.index("left_knee")] - at[skeleton.index("left_hip")])
    shin = np.linalg.norm(at[skeleton.index("left_ankle")] - at[skeleton.index("left_knee")])
    assert skeleton.leg_length == pytest.approx(thigh + shin)
    assert skeleton.rest_root_height == pytest.approx(at[0, 1])


@skeletons
def test_children_are_the_parents_turned_round(skeleton):
    pairs = {(parent, child) for parent, row in enumerate(skeleton.children) for child in row}
    assert pairs == {(parent, child) for child, parent in enumerate(skeleton.parents) if parent >= 0}


def test_unknown_joints_are_refused():
    with pytest.raises(KeyError):
        SMPL22.index("left_hand")


def test_a_child_before_its_parent_is_refused():
    with pytest.raises(AssertionError):
        Skeleton(("a", "b", "c"), (-1, 2, 0), np.zeros((3, 3)))
