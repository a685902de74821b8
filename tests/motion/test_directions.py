"""Rotations from directions against cases worked out by hand."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from longdance.motion.directions import (
    align,
    frame,
    hinges,
    limb_rotations,
    smooth_track,
    turn_angle,
    turn_between,
    unit,
)

DOWN, AHEAD, LEFT = np.array([0.0, -1, 0]), np.array([0.0, 0, 1]), np.array([1.0, 0, 0])


def test_frames_have_the_asked_columns():
    for first, second in ("xy", "yx", "zx", "yz"):
        matrix = frame(first, np.array([0.0, 2, 0]), second, np.array([1.0, 1, 0]))
        np.testing.assert_allclose(matrix[:, "xyz".index(first)], [0, 1, 0], atol=1e-12)
        np.testing.assert_allclose(matrix[:, "xyz".index(second)], [1, 0, 0], atol=1e-12)
        assert np.linalg.det(matrix) == pytest.approx(1)


def test_align_carries_one_pair_to_another(rng):
    turn = Rotation.random(random_state=5).as_matrix()
    one, two = rng.normal(size=(2, 3))
    np.testing.assert_allclose(align(one, two, turn @ one, turn @ two), turn, atol=1e-12)


def test_zero_vectors_stay_zero_and_turns_stay_finite():
    np.testing.assert_array_equal(unit(np.zeros((2, 3))), np.zeros((2, 3)))
    assert np.isfinite(turn_between(LEFT, -LEFT)).all()


def test_turn_angle_is_scipys_magnitude(rng):
    first, second = Rotation.random(20, rng=rng), Rotation.random(1, rng=rng)
    angles = turn_angle(first.as_matrix(), second.as_matrix())
    np.testing.assert_allclose(angles, (first.inv() * second).magnitude(), atol=1e-9)


def test_a_smooth_track_equals_the_dense_solution(rng):
    values, weights, stiffness = rng.normal(size=(6, 2)), rng.uniform(0.1, 2, 6), rng.uniform(0, 5, 5)
    steps = np.diff(np.eye(6), axis=0)
    normal = np.diag(weights) + steps.T @ np.diag(stiffness) @ steps
    np.testing.assert_allclose(
        smooth_track(values, weights, stiffness), np.linalg.solve(normal, weights[:, None] * values), atol=1e-12
    )


def test_the_axis_of_a_knee_passes_through_straight():
    """A leg that hangs, bends backward and stretches again: the axis stays on the left."""
    bend = np.deg2rad(60) * np.maximum(np.sin(np.linspace(0, 12, 200)), 0)
    lower = np.stack((np.zeros(200), -np.cos(bend), -np.sin(bend)), -1)
    axes = hinges(np.tile(DOWN, (200, 1)), lower, np.tile(LEFT * 0.5, (200, 1)), None, 60.0)
    np.testing.assert_allclose(axes, np.tile(LEFT, (200, 1)), atol=1e-3)


def test_a_slight_overstretch_does_not_turn_the_axis():
    bend = np.deg2rad(12) * np.sin(np.linspace(0, 12, 200))
    lower = np.stack((np.zeros(200), -np.cos(bend), -np.sin(bend)), -1)
    axes = hinges(np.tile(DOWN, (200, 1)), lower, np.tile(LEFT, (200, 1)), None, 60.0)
    assert (axes @ LEFT > 0.99).all()


def test_the_axis_follows_a_rig_while_the_limb_is_straight():
    """The upper bone spins about itself; only its own rotation can tell."""
    angles = np.linspace(0, np.pi / 2, 240)
    spin = Rotation.from_euler("y", angles[:, None]).as_matrix()
    bend = np.where(np.arange(240) < 20, 0.6, 0.0)
    lower = (spin @ np.stack((np.zeros(240), -np.cos(bend), -np.sin(bend)), -1)[..., None])[..., 0]
    axes = hinges(np.tile(DOWN, (240, 1)), lower, np.tile(LEFT, (240, 1)), spin, 60.0)
    np.testing.assert_allclose(axes[180], spin[180] @ LEFT, atol=0.1)


def test_limbs_do_not_bend_backward():
    frames = 30
    forward = np.tile(unit(np.array([0.0, -1, 0.15])), (frames, 1))  # a shin ahead of the thigh
    thigh, shin = limb_rotations(
        np.tile(DOWN, (frames, 1)),
        forward,
        rest_upper=0.4 * DOWN,
        rest_lower=0.4 * DOWN,
        rest_hinge=LEFT,
        parent=np.tile(np.eye(3), (frames, 1, 1)),
        fps=60.0,
    )
    np.testing.assert_allclose(thigh, np.tile(np.eye(3), (frames, 1, 1)), atol=1e-3)
    angle = Rotation.from_matrix(shin).as_rotvec()[:, 0]
    assert (angle > 0).all()
    assert np.degrees(angle).max() < 1
