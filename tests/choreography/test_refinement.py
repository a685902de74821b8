"""Refinement with modules that do something known, on dances that are known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.conftest import swaying

from longdance.choreography.refinement import Refinement, lifted, refined_positions, smoothed
from longdance.cleanup.flips import FLIP_SPEED
from longdance.cleanup.passage import Passage
from longdance.cleanup.pipeline import Cleanup
from longdance.metrics.physical import mean_jerk
from longdance.models.trm import Refiner, RefinerConfig, TemporalRefinementModule, TRMConfig
from longdance.motion import filters
from longdance.motion.contacts import clearance
from longdance.motion.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from longdance.motion.skeleton import SMPL24

FPS, WINDOW = 30.0, 40


class LowPassing(TemporalRefinementModule):
    """A module that has learnt a low-pass of its window."""

    def forward(self, positions):
        smooth = filters.low_pass(positions.transpose(0, 1).numpy(), FPS, cutoff=4.0)
        return torch.from_numpy(smooth.copy()).transpose(0, 1)


class Endings(TemporalRefinementModule):
    """A module that is wrong by the number of the frame in its window."""

    def forward(self, positions):
        return positions + torch.arange(WINDOW)[None, :, None, None]


def refiner(kind: type[TemporalRefinementModule] = LowPassing, *, fps: float = FPS) -> Refiner:
    config = TRMConfig(fps=fps, window=WINDOW, width=8)
    return Refiner(RefinerConfig(network=config), kind(config).eval())


def jittering(frames: int, rng: np.random.Generator, *, size: float = 0.05):
    motion = swaying(frames, FPS)
    noise = matrix_from_axis_angle(torch.from_numpy(size * rng.standard_normal((frames, 24, 3)))).numpy()
    return motion, replace(motion, rotations=motion.rotations @ noise)


@pytest.mark.parametrize("frames", [1, 2, 7, WINDOW - 1, WINDOW, WINDOW + 1, 75, 200])
def test_a_new_module_leaves_positions_of_any_length(rng, frames):
    positions = rng.standard_normal((frames, 24, 3)) + 3000.0
    np.testing.assert_allclose(refined_positions(positions, refiner(TemporalRefinementModule)), positions, atol=1e-5)


def test_windows_are_blended_and_count_least_at_their_ends():
    refined = refined_positions(np.zeros((200, 24, 3)), refiner(Endings))[:, 0, 0]
    assert np.ptp(refined[WINDOW // 2 : -WINDOW // 2]) < 0.5 * WINDOW  # without blending it would be all of it
    assert np.abs(np.diff(refined)).max() <= 1.5  # no jump where windows begin and end
    assert refined[0] < 1
    assert refined[-1] > WINDOW - 2


def test_a_module_s_positions_come_back_as_rotations_within_a_centimetre(rng):
    _, noisy = jittering(90, rng)
    wanted = refined_positions(noisy.joints(), refiner())
    solved = smoothed(noisy, refiner())
    error = np.linalg.norm(solved.joints() - wanted, axis=-1)
    assert error.mean() < 0.005
    assert mean_jerk(solved.joints(), FPS) < 0.2 * mean_jerk(noisy.joints(), FPS)
    turns = torch.from_numpy(solved.rotations)
    steps = axis_angle_from_matrix(turns[1:] @ turns[:-1].transpose(-1, -2)).norm(dim=-1) * FPS
    assert steps.max() < 0.5 * FLIP_SPEED  # nothing flips, twists included


def test_long_dances_are_solved_in_stretches_that_fit(rng, monkeypatch):
    _, noisy = jittering(150, rng)
    whole = smoothed(noisy, refiner()).joints()
    monkeypatch.setattr("longdance.choreography.refinement.STRETCH", 60)
    parts = smoothed(noisy, refiner()).joints()
    assert np.abs(parts - whole).max() < 0.003
    assert mean_jerk(parts, FPS) < 1.1 * mean_jerk(whole, FPS)


def test_another_frame_rate_is_refused(rng):
    with pytest.raises(ValueError, match="60"):
        smoothed(jittering(50, rng)[1], refiner(fps=60.0))


def test_a_still_body_stays_still():
    still = swaying(50, FPS).slice(10, 11)
    still = replace(
        still, root_position=np.repeat(still.root_position, 50, 0), rotations=np.repeat(still.rotations, 50, 0)
    )
    passage = Refinement(refiner()).whole(Passage(still))
    refined = Cleanup().whole(passage).motion
    assert np.abs(refined.joints() - refined.joints()[:1]).max() < 1e-4
    assert len(SMPL24) == refined.joints().shape[1]


def test_a_body_that_sinks_when_its_flips_go_is_lifted(monkeypatch):
    before = swaying(90, FPS)
    sunk = before.root_position - np.where((np.arange(90) // 10 == 4)[:, None], (0.0, 0.08, 0.0), 0.0)
    monkeypatch.setattr("longdance.choreography.refinement.without_flips", lambda m: replace(m, root_position=sunk))
    kept, low = (
        clearance(torch.from_numpy(each.joints()), each.skeleton).numpy()
        for each in (smoothed(before, refiner()), replace(before, root_position=sunk))
    )
    assert low.min() < -0.05
    assert kept.min() > -0.005


def test_what_sinks_on_the_way_back_is_lifted_and_what_does_not_is_left():
    before = swaying(90, 30.0)
    sunk = before.root_position.copy()
    sunk[40:50, 1] -= 0.08
    found = lifted(replace(before, root_position=sunk), before)
    floor = clearance(torch.from_numpy(before.joints()), before.skeleton).numpy()
    now = clearance(torch.from_numpy(found.joints()), found.skeleton).numpy()
    assert (now >= np.minimum(floor, 0) - 0.004).all()
    np.testing.assert_array_equal(found.root_position[:25], sunk[:25])
    np.testing.assert_array_equal(found.root_position[65:], sunk[65:])
    np.testing.assert_array_equal(found.rotations, before.rotations)
    np.testing.assert_array_equal(lifted(before, before).root_position, before.root_position)
