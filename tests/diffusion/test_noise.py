"""The noise schedule by its formula, its statistics and its spacing."""

import math
from itertools import pairwise

import pytest
import torch

from longdance.diffusion.noise import NoiseSchedule


def test_the_cosine_schedule_is_the_published_formula():
    schedule = NoiseSchedule.cosine(1000)
    f = lambda t: math.cos((t / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2  # noqa: E731
    assert schedule.steps == 1000
    for step in (0, 10, 500, 900, 990):
        assert float(schedule.alpha_bar[step]) == pytest.approx(f(step + 1) / f(0), rel=1e-9)
    # The last step would have beta 1; it is cut at 0.999.
    ratio = float(schedule.alpha_bar[999] / schedule.alpha_bar[998])
    assert ratio == pytest.approx(0.001)


@pytest.mark.parametrize("steps", [1, 2, 50, 1000])
def test_the_signal_only_falls(steps):
    alpha_bar = NoiseSchedule.cosine(steps).alpha_bar
    assert alpha_bar.dtype == torch.float64
    assert ((alpha_bar > 0) & (alpha_bar < 1)).all()
    assert (alpha_bar.diff() < 0).all()
    assert alpha_bar[-1] < 2e-3


def test_signal_and_noise_keep_the_variance():
    schedule = NoiseSchedule.cosine()
    for step in (0, 1, 400, 999):
        signal, noise = schedule.signal_and_noise(step)
        assert signal**2 + noise**2 == pytest.approx(1)
    assert schedule.signal_and_noise(-1) == (1.0, 0.0)


def test_levels_run_from_clean_to_noise():
    schedule = NoiseSchedule.cosine(50)
    assert schedule.level(-1) == 0
    assert schedule.level(49) == 1
    assert schedule.level(24) == 0.5


def test_noised_motion_has_the_scheduled_mean_and_variance(generator):
    schedule = NoiseSchedule.cosine()
    steps = torch.tensor([0, 300, 700, 999])
    clean = torch.full((4, 200, 100), 3.0)
    noise = torch.randn(clean.shape, generator=generator)
    noisy = schedule.add_noise(clean, steps, noise)
    for row, step in enumerate(steps.tolist()):
        signal, deviation = schedule.signal_and_noise(step)
        assert noisy[row].mean().item() == pytest.approx(3 * signal, abs=0.04)
        assert noisy[row].std().item() == pytest.approx(deviation, rel=0.02)
        torch.testing.assert_close(
            noisy[row], signal * clean[row] + deviation * noise[row], atol=1e-6, rtol=1e-5
        )
    assert noisy.dtype == clean.dtype


def test_many_small_steps_equal_the_single_one(generator):
    """Eq. 3 is the chain of single steps x_t = sqrt(1 - beta_t) x_{t-1} + sqrt(beta_t) noise, in one."""
    schedule = NoiseSchedule.cosine(20)
    alpha = schedule.alpha_bar / torch.cat((torch.ones(1).double(), schedule.alpha_bar[:-1]))
    mean, variance = 1.0, 0.0
    for step in range(20):
        mean, variance = mean * math.sqrt(alpha[step]), variance * alpha[step].item() + 1 - alpha[step].item()
        assert (mean, math.sqrt(variance)) == pytest.approx(schedule.signal_and_noise(step), rel=1e-9)


@pytest.mark.parametrize("steps", [1, 7, 50, 1000])
def test_sampling_steps_are_trailing_decreasing_and_even(steps):
    schedule = NoiseSchedule.cosine(steps)
    for count in {1, 2, 3, steps // 3, steps // 2, steps * 2 // 3, steps - 1, steps}:
        if count < 1 or count > steps:
            continue
        found = schedule.timesteps(count)
        assert len(found) == count
        assert found[0] == steps - 1
        assert all(earlier > later >= 0 for earlier, later in pairwise(found))
        gaps = [earlier - later for earlier, later in zip(found, [*found[1:], -1], strict=True)]
        assert max(gaps) - min(gaps) <= 1  # the last gap, to clean motion, is like the others
    assert schedule.timesteps(steps) == list(range(steps - 1, -1, -1))


def test_trailing_steps_by_hand():
    assert NoiseSchedule.cosine(1000).timesteps(4) == [999, 749, 499, 249]


@pytest.mark.parametrize("count", [0, -1, 11])
def test_impossible_numbers_of_steps_are_refused(count):
    with pytest.raises(ValueError, match="sampling steps"):
        NoiseSchedule.cosine(10).timesteps(count)
