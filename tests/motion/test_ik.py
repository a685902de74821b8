"""Inverse kinematics and the foot clean-up on movements made up for the purpose."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from longdance.motion import rotations as rot
from longdance.motion.ik import detect_contacts, lock_feet, reach_ankles, solve_ik
from longdance.motion.motion import Motion
from longdance.motion.skeleton import SMPL22, SMPL24
from sample_motions import standing, wandering

FEET = [SMPL24.index(name) for name in ("left_ankle", "left_foot", "right_ankle", "right_foot")]
ANKLES = [FEET[0], FEET[2]]


def disturbed(motion: Motion, rng: np.random.Generator, size: float) -> Motion:
    """The motion with every joint turned by smooth noise of about ``size`` radians."""
    noise = gaussian_filter1d(rng.normal(size=(motion.frames, len(motion.skeleton), 3)), 10, axis=0) * 6 * size
    turns = rot.matrix_from_axis_angle(torch.from_numpy(noise)).numpy()
    return replace(motion, rotations=motion.rotations @ turns, root_position=motion.root_position + 0.02)


def mean_jerk(motion: Motion) -> float:
    return float(np.linalg.norm(np.diff(motion.joints(), 3, axis=0), axis=-1).mean() * motion.fps**3)


def largest_turn(motion: Motion) -> float:
    steps = np.swapaxes(motion.rotations[:-1], -1, -2) @ motion.rotations[1:]
    cosines = (np.trace(steps, axis1=-2, axis2=-1) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosines, -1, 1))).max())


def test_reach_ankles_reaches_and_keeps_the_feet(rng):
    motion = wandering(rng)
    places, turns = motion.forward_kinematics()
    aims = places[:, ANKLES] + np.array([0.02, 0.03, -0.02])
    reached = reach_ankles(motion, aims)
    np.testing.assert_allclose(reached.joints()[:, ANKLES], aims, atol=1e-5)
    np.testing.assert_allclose(reached.global_rotations()[:, ANKLES], turns[:, ANKLES], atol=1e-9)


def test_reach_ankles_moves_the_pelvis_where_legs_are_too_short():
    motion = standing()
    aims = motion.joints()[:, ANKLES].copy()
    aims[:, :, 1] -= 0.1 * np.hanning(60)[:, None]
    reached = reach_ankles(motion, aims)
    np.testing.assert_allclose(reached.joints()[:, ANKLES], aims, atol=1e-6)
    assert reached.root_position[30, 1] < motion.root_position[30, 1] - 0.02
    assert largest_turn(reached) < 10


def test_knees_keep_their_side(rng):
    motion = wandering(rng)
    lifted = motion.joints()[:, ANKLES] + np.array([0.0, 0.05, 0.0])
    knees = rot.axis_angle_from_matrix(
        torch.from_numpy(reach_ankles(motion, lifted).rotations[:, SMPL24.index("left_knee")])
    )
    assert (knees[:, 0] > 0).all()


def test_a_sliding_stance_stands_still():
    frames, fps = 120, 60.0
    slide = np.zeros((frames, 3))
    slide[:, 0] = 0.15 * np.arange(frames) / fps
    slide[:, 2] = 0.02 * np.sin(np.arange(frames) / 5)
    motion = standing(frames, fps, root=slide)
    locked = lock_feet(motion)
    joints = locked.joints()[:, FEET]
    speed = np.linalg.norm(np.diff(joints[..., [0, 2]], axis=0), axis=-1) * fps
    before = np.linalg.norm(np.diff(motion.joints()[:, FEET][..., [0, 2]], axis=0), axis=-1) * fps
    assert before.mean() > 0.14
    assert speed.mean() < 0.005
    np.testing.assert_allclose(joints[..., 1], np.broadcast_to([0.08, 0.02, 0.08, 0.02], joints.shape[:2]), atol=2e-3)
    assert mean_jerk(locked) < mean_jerk(motion) + 10


def test_feet_in_the_air_are_left_alone():
    root = np.zeros((60, 3))
    root[:, 0] = np.linspace(0, 2, 60)
    root[:, 1] = 0.3
    motion = standing(root=root)
    np.testing.assert_allclose(lock_feet(motion).joints(), motion.joints(), atol=1e-6)


def test_nothing_sinks_below_the_floor():
    root = np.zeros((60, 3))
    root[:, 1] = -0.06
    root[:, 0] = np.linspace(0, 3, 60)  # too fast to be a stance
    joints = lock_feet(standing(root=root)).joints()[:, FEET]
    assert joints[..., 1].min() > 0.019


def test_given_contacts_decide(rng):
    motion = standing(frames=90, root=np.linspace([0, 0, 0], [0.3, 0, 0], 90))
    contacts = np.zeros((90, 4), dtype=bool)
    contacts[20:70, 1] = True  # only the ball of the left foot
    joints = lock_feet(motion, contacts).joints()
    ball = joints[25:65, SMPL24.index("left_foot")][:, [0, 2]]
    assert np.linalg.norm(np.diff(ball, axis=0), axis=-1).max() * 60 < 0.005
    other = motion.joints()[:, SMPL24.index("right_ankle")]
    np.testing.assert_allclose(joints[:, SMPL24.index("right_ankle")], other, atol=1e-3)


def test_corrections_fade_without_a_pop(rng):
    motion = standing(frames=180, root=np.linspace([0, 0, 0], [0.5, 0, 0], 180))
    contacts = np.zeros((180, 4), dtype=bool)
    contacts[40:80] = contacts[110:150] = True
    foot = lock_feet(motion, contacts).joints()[:, SMPL24.index("left_foot")]
    # m/s^2; a quick step has 30 and more.
    assert np.abs(np.diff(foot, 2, axis=0)).max() * 60**2 < 12


def test_contacts_of_a_wrong_shape_are_refused():
    with pytest.raises(ValueError, match="contacts"):
        lock_feet(standing(), np.zeros((60, 2), dtype=bool))


def test_detected_contacts_are_low_and_slow():
    root = np.zeros((60, 3))
    root[30:, 1] = 0.2
    contacts = detect_contacts(standing(root=root).joints(), 60.0, skeleton=SMPL24)
    assert contacts[:25].all()
    assert not contacts[35:].any()


@pytest.mark.parametrize("skeleton", [SMPL24, SMPL22], ids=["24", "22"])
def test_solve_ik_recovers_a_pose_from_its_joints(rng, skeleton):
    motion = wandering(rng)
    motion = Motion(motion.root_position, motion.rotations[:, : len(skeleton)], fps=60, skeleton=skeleton)
    joints = motion.joints()
    solved = solve_ik(joints, disturbed(motion, rng, 0.3))
    error = np.linalg.norm(solved.joints() - joints, axis=-1)
    assert error.mean() < 0.001
    assert error.max() < 0.02
    assert largest_turn(solved) < largest_turn(motion) + 10


def test_solve_ik_of_a_solution_is_that_solution(rng):
    motion = wandering(rng)
    solved = solve_ik(motion.joints(), motion, smoothness=0.0)
    np.testing.assert_allclose(solved.rotations, motion.rotations, atol=1e-6)


def test_joints_without_weight_are_free(rng):
    motion = wandering(rng)
    joints = motion.joints()
    wild = joints.copy()
    wild[:, SMPL24.index("left_hand")] += 5.0
    weights = np.ones(24)
    weights[SMPL24.index("left_hand")] = 0
    solved = solve_ik(wild, motion, weights=weights)
    body = np.delete(np.arange(24), SMPL24.index("left_hand"))
    assert np.linalg.norm(solved.joints() - joints, axis=-1)[:, body].mean() < 0.001


def test_targets_out_of_reach_are_approached_smoothly(rng):
    motion = wandering(rng)
    wanted = motion.joints()
    wanted[:, SMPL24.index("right_wrist")] += rng.normal(size=(120, 3)) * 0.05
    rough = solve_ik(wanted, motion, smoothness=0.0)
    smooth = solve_ik(wanted, motion, smoothness=0.05)
    assert mean_jerk(smooth) < 0.6 * mean_jerk(rough)
    assert np.isfinite(smooth.rotations).all()


def test_targets_of_another_skeleton_are_refused():
    with pytest.raises(ValueError, match="targets"):
        solve_ik(np.zeros((4, 22, 3)), standing(4))
