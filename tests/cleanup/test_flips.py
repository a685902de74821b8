"""Turns that take no time, and those that do."""

from dataclasses import replace

import numpy as np
import torch
from tests.conftest import swaying

from longdance.cleanup.flips import FLIP_SPEED, without_flips
from longdance.motion.rotations import axis_angle_from_matrix, matrix_from_axis_angle

FPS = 30.0


def test_a_flip_becomes_a_turn():
    motion = swaying(90, FPS)
    flipped = motion.rotations.copy()
    about = matrix_from_axis_angle(torch.tensor([0.0, 2.9, 0.0], dtype=torch.float64)).numpy()
    flipped[45:, 0] = about @ flipped[45:, 0]
    flipping = replace(motion, rotations=flipped)
    spread = without_flips(flipping)
    steps = torch.from_numpy(spread.rotations[1:, 0]) @ torch.from_numpy(spread.rotations[:-1, 0]).transpose(-1, -2)
    assert axis_angle_from_matrix(steps).norm(dim=-1).max() * FPS < FLIP_SPEED
    changed = np.abs(spread.rotations - flipped).max((1, 2, 3)) > 1e-9
    assert changed.any()
    assert set(np.flatnonzero(changed)) <= set(range(40, 50))
    assert np.array_equal(spread.rotations[:, 1:], flipped[:, 1:])


def test_fast_turns_are_no_flips():
    motion = swaying(90, FPS)
    spin = torch.zeros(90, 3, dtype=torch.float64)
    spin[:, 1] = torch.arange(90) * (0.8 * FLIP_SPEED / FPS)
    spinning = replace(motion, rotations=motion.rotations.copy())
    spinning.rotations[:, 0] = matrix_from_axis_angle(spin).numpy() @ spinning.rotations[:, 0]
    assert without_flips(spinning) is spinning
