"""Distances of segments by search, and their derivatives by finite differences."""

import numpy as np
import pytest
import torch

from longdance.motion.body import PAIRS, penetration_depths, segment_distance
from longdance.motion.skeleton import SMPL24


def nearest_by_search(start, end, other_start, other_end):
    places = np.linspace(0, 1, 301)
    one = start[None] + places[:, None] * (end - start)[None]
    other = other_start[None] + places[:, None] * (other_end - other_start)[None]
    return np.linalg.norm(one[:, None] - other[None], axis=-1).min()


def test_segment_distance_agrees_with_a_search(rng):
    ends = rng.normal(size=(4, 50, 3))
    ends[1, :10] = ends[0, :10] + 0.7 * (ends[3, :10] - ends[2, :10])  # parallel
    ends[1, 10:15] = ends[0, 10:15]  # a point
    ends[2:, 15:20] = ends[:2, 15:20].mean(0) + np.array([[[0.0, 0.0, 0.1]], [[0.0, 0.0, 1.0]]])  # close
    found = segment_distance(*torch.from_numpy(ends)).numpy()
    searched = [nearest_by_search(*(end[i] for end in ends)) for i in range(50)]
    np.testing.assert_allclose(found, searched, atol=0.02)
    assert np.all(found <= np.array(searched) + 1e-9)


def test_crossing_segments_touch():
    point = torch.tensor([[1.0, 0.0, 0.0]]).double()
    assert float(segment_distance(-point, point, point[:, [1, 0, 2]], -point[:, [1, 0, 2]])) == pytest.approx(0)


def test_the_derivative_of_a_distance_is_exact(generator):
    ends = torch.randn(4, 40, 3, dtype=torch.float64, generator=generator).requires_grad_()
    assert torch.autograd.gradcheck(lambda ends: segment_distance(*ends), ends, eps=1e-6, atol=1e-5)


def test_depth_is_told_pair_by_pair():
    joints = torch.from_numpy(SMPL24.rest_positions.copy())
    depths = penetration_depths(joints)
    assert depths.shape == (len(PAIRS),)
    assert (depths < 0).all()
    # The forearms cross: their axes are the thickness of one apart.
    for side, sign in (("left", 1), ("right", -1)):
        joints[SMPL24.index(f"{side}_elbow")] = torch.tensor([sign * 0.1, 1.0 + 0.03 * (sign > 0), 0.5])
        joints[SMPL24.index(f"{side}_wrist")] = torch.tensor([-sign * 0.1, 1.0 + 0.03 * (sign > 0), 0.6])
    assert float(penetration_depths(joints)[PAIRS.index(("left_forearm", "right_forearm"))]) == pytest.approx(0.03)
