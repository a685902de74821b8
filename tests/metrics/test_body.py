"""Bodies around joints, and trembling: cases that can be worked out, and the frame rate that must not matter."""

import numpy as np
import pytest

from longdance.metrics.body import self_penetration, shaking, trembling
from longdance.motion.body import CAPSULES, PAIRS
from longdance.motion.skeleton import SMPL24


def test_the_rest_pose_is_free_of_penetration(standing):
    assert self_penetration(standing(), 30) == (0, 0, 0)


def test_a_forearm_in_the_head_counts_as_deep_as_it_is(standing):
    joints = standing(1.0)
    head = joints[:, SMPL24.index("head")]
    reach = np.array([0.3, 0.0, 0.0])
    height = np.array([0.0, 0.06, 0.0])
    joints[:, SMPL24.index("left_elbow")] = head + reach + height
    joints[:, SMPL24.index("left_wrist")] = head - reach + height
    found = self_penetration(joints, 30)
    depth = CAPSULES["head"].radius + CAPSULES["left_forearm"].radius - 0.06
    assert found.deepest == pytest.approx(depth, abs=1e-9)
    assert found.share == 1


def test_sides_are_treated_alike(wandering):
    joints = wandering()
    flipped = joints[:, SMPL24.mirror_index] * np.array([-1.0, 1.0, 1.0])
    np.testing.assert_allclose(self_penetration(joints, 60), self_penetration(flipped, 60))
    assert all(first != second for first, second in PAIRS)


@pytest.mark.parametrize("fps", [30, 60])
def test_trembling_of_a_sine_is_its_jerk(hopping, fps):
    joints = hopping(amplitude=0.002, frequency=8.0, seconds=4.0, fps=fps)
    assert trembling(joints, fps) == pytest.approx(0.002 * (2 * np.pi * 8) ** 3 / np.sqrt(2), rel=0.01)


def test_trembling_is_blind_to_dancing_and_travel(hopping, sliding):
    assert trembling(hopping(amplitude=0.1, frequency=2.0, seconds=4.0), 30) < 1
    assert trembling(sliding((1.0, 0.0, 0.5)), 30) == pytest.approx(0, abs=1e-6)


def test_trembling_is_nothing_for_the_shortest_clips(standing):
    assert trembling(standing(0.1), 30) == 0


@pytest.mark.parametrize(("frequency", "seen"), [(10.0, True), (4.0, False)])
def test_shaking_is_the_speed_above_eight_hertz(hopping, frequency, seen):
    joints = hopping(amplitude=0.002, frequency=frequency, seconds=4.0, fps=30)
    speed = 100 * 0.002 * 2 * np.pi * frequency / np.sqrt(2)
    assert shaking(joints, 30) == pytest.approx(speed if seen else 0, rel=0.01, abs=0.02)
