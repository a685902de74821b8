"""Forward kinematics on poses worked out by hand, on random poses by a slow twin, and its derivatives."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from longdance.motion.kinematics import forward_kinematics, local_rotations
from longdance.motion.skeleton import SMPL22, SMPL24


def pose(**turns) -> torch.Tensor:
    """(joints, 3, 3) local rotations: Euler angles in degrees about x, y, z per joint, identity elsewhere."""
    matrices = np.tile(np.eye(3), (24, 1, 1))
    for name, angles in turns.items():
        matrices[SMPL24.index(name)] = Rotation.from_euler("XYZ", angles, degrees=True).as_matrix()
    return torch.from_numpy(matrices)


def place(joints: torch.Tensor, name: str) -> np.ndarray:
    return joints[SMPL24.index(name)].numpy()


def test_identity_rotations_give_the_rest_pose():
    root = torch.from_numpy(SMPL24.rest_positions[0])
    joints, turns = forward_kinematics(root, pose(), SMPL24)
    np.testing.assert_allclose(joints.numpy(), SMPL24.rest_positions, atol=1e-15)
    np.testing.assert_array_equal(turns.numpy(), np.tile(np.eye(3), (24, 1, 1)))


def test_left_arm_lowered_hangs_below_the_shoulder():
    joints, _ = forward_kinematics(torch.zeros(3).double(), pose(left_shoulder=(0, 0, -90)), SMPL24)
    shoulder = place(joints, "left_shoulder")
    np.testing.assert_allclose(place(joints, "left_wrist") - shoulder, [0, -0.515, 0], atol=1e-12)
    np.testing.assert_allclose(place(joints, "left_hand") - shoulder, [0, -0.595, 0], atol=1e-12)


def test_bent_knee_brings_the_ankle_behind():
    joints, _ = forward_kinematics(torch.zeros(3).double(), pose(right_knee=(90, 0, 0)), SMPL24)
    # A quarter turn about +x takes down to backward and backward to up.
    shin = place(joints, "right_ankle") - place(joints, "right_knee")
    np.testing.assert_allclose(shin, [0, 0.010, -0.410], atol=1e-12)


def test_rotations_add_up_along_the_chain():
    joints, turns = forward_kinematics(
        torch.zeros(3).double(), pose(left_shoulder=(0, 0, 90), left_elbow=(0, 0, 90)), SMPL24
    )
    upper = place(joints, "left_elbow") - place(joints, "left_shoulder")
    lower = place(joints, "left_wrist") - place(joints, "left_elbow")
    np.testing.assert_allclose(upper, [0, 0.265, 0], atol=1e-12)
    np.testing.assert_allclose(lower, [-0.250, 0, 0], atol=1e-12)
    np.testing.assert_allclose(turns[SMPL24.index("left_hand")], np.diag([-1.0, -1.0, 1.0]), atol=1e-12)


def test_left_turn_of_the_root_brings_the_left_hand_to_the_back():
    joints, _ = forward_kinematics(torch.tensor([1.0, 2.0, 3.0]).double(), pose(pelvis=(0, 90, 0)), SMPL24)
    hand = SMPL24.rest_positions[SMPL24.index("left_hand")] - SMPL24.rest_positions[0]
    np.testing.assert_allclose(
        place(joints, "left_hand"), np.array([1.0 + hand[2], 2.0 + hand[1], 3.0 - hand[0]]), atol=1e-12
    )


def random_pose(rng, *axes, joints=24) -> tuple[torch.Tensor, torch.Tensor]:
    count = int(np.prod(axes)) * joints
    matrices = Rotation.random(count, rng=rng).as_matrix().reshape(*axes, joints, 3, 3)
    return torch.from_numpy(rng.normal(size=(*axes, 3))), torch.from_numpy(matrices)


@pytest.mark.parametrize("skeleton", [SMPL24, SMPL22], ids=["smpl24", "smpl22"])
def test_random_poses_equal_a_walk_up_the_tree(skeleton, rng):
    root, rotations = random_pose(rng, 5, joints=len(skeleton))
    joints, turns = forward_kinematics(root, rotations, skeleton)
    for frame in range(5):
        for joint in range(len(skeleton)):
            point, turn, node = np.zeros(3), np.eye(3), joint
            while node >= 0:  # from the joint outwards to the root
                matrix = rotations[frame, node].numpy()
                point, turn = matrix @ point, matrix @ turn
                if skeleton.parents[node] >= 0:
                    point = point + skeleton.offsets[node]
                node = skeleton.parents[node]
            np.testing.assert_allclose(joints[frame, joint], point + root[frame].numpy(), atol=1e-12)
            np.testing.assert_allclose(turns[frame, joint], turn, atol=1e-12)


def test_bones_keep_their_lengths(rng):
    joints, _ = forward_kinematics(*random_pose(rng, 2, 7), SMPL24)
    bones = (joints[..., 1:, :] - joints[..., SMPL24.parents[1:], :]).norm(dim=-1)
    expected = torch.from_numpy(np.linalg.norm(SMPL24.offsets[1:], axis=-1)).expand(bones.shape)
    torch.testing.assert_close(bones, expected)


def test_a_turn_of_the_root_turns_the_whole_body(rng):
    root, rotations = random_pose(rng, 4)
    turn = torch.from_numpy(Rotation.random(rng=rng).as_matrix())
    turned = rotations.clone()
    turned[:, 0] = turn @ rotations[:, 0]
    before, _ = forward_kinematics(root, rotations, SMPL24)
    after, _ = forward_kinematics(root @ turn.T, turned, SMPL24)
    torch.testing.assert_close(after, before @ turn.T)


def test_reflected_rotations_give_the_reflected_body(rng):
    root, rotations = random_pose(rng, 4)
    flip = torch.tensor([-1.0, 1.0, 1.0]).double()
    mirrored = rotations[:, SMPL24.mirror_index] * torch.outer(flip, flip)
    before, _ = forward_kinematics(root, rotations, SMPL24)
    after, _ = forward_kinematics(root * flip, mirrored, SMPL24)
    torch.testing.assert_close(after, before[:, SMPL24.mirror_index] * flip)


def test_local_rotations_undo_the_chain(rng):
    root, rotations = random_pose(rng, 3, 2)
    _, turns = forward_kinematics(root, rotations, SMPL24)
    torch.testing.assert_close(local_rotations(turns, SMPL24), rotations)


def test_derivatives_equal_finite_differences(rng):
    root, rotations = random_pose(rng, 2)
    weight = torch.from_numpy(rng.normal(size=(2, 24, 3)))
    loss = lambda root, rotations: (forward_kinematics(root, rotations, SMPL24)[0] * weight).sum()  # noqa: E731
    root.requires_grad_()
    rotations.requires_grad_()
    assert torch.autograd.gradcheck(loss, (root, rotations), fast_mode=True)


def test_a_wrong_number_of_joints_is_named():
    with pytest.raises(ValueError, match="22 joints"):
        forward_kinematics(torch.zeros(3), torch.eye(3).expand(24, 3, 3), SMPL22)
