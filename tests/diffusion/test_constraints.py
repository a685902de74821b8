"""Constraints mean the same on every sampler."""

from itertools import pairwise

import pytest
import torch

from longdance.diffusion.constraints import Constraint, apply_constraints
from longdance.diffusion.noise import NoiseSchedule
from longdance.diffusion.sampler import STEP_RULES, sample

SCHEDULE = NoiseSchedule.cosine(1000)
rules = pytest.mark.parametrize("rule", STEP_RULES.values(), ids=STEP_RULES.keys())

MASK = torch.zeros(1, 10, 4)
MASK[:, :3, :2] = 1
VALUE = torch.linspace(-3, 5, 40).reshape(1, 10, 4)


def pulling(noisy: torch.Tensor, step: int) -> torch.Tensor:
    """The best prediction for data of N(0, 1/4): it follows what the trajectory already holds."""
    signal, noise = SCHEDULE.signal_and_noise(step)
    return 0.25 * signal * noisy / (noise**2 + 0.25 * signal**2)


def run(rule, constraints=(), *, steps=25, seed=0, predict=pulling, shape=(2, 10, 4)):
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(shape, generator=generator)
    return sample(
        predict,
        start,
        schedule=SCHEDULE,
        rule=rule(),
        steps=steps,
        generator=generator,
        constraints=constraints,
    )


@rules
@pytest.mark.parametrize("steps", [1, 2, 25, 100])
def test_constrained_values_are_exact_at_the_end(rule, steps):
    found = run(rule, [Constraint(MASK, VALUE)], steps=steps)
    held = MASK.bool().expand_as(found)
    assert torch.equal(found[held], VALUE.expand_as(found)[held])
    assert not torch.equal(found[~held], VALUE.expand_as(found)[~held])


@rules
def test_a_constraint_that_is_never_active_changes_nothing(rule):
    assert torch.equal(run(rule, [Constraint(MASK, VALUE, until_noise_level=1.0)]), run(rule))


@rules
def test_an_empty_mask_changes_nothing(rule):
    assert torch.equal(run(rule, [Constraint(torch.zeros_like(MASK), VALUE)]), run(rule))


@rules
def test_elements_beside_the_mask_are_untouched_by_a_predictor_without_context(rule):
    held = MASK.bool().expand(2, 10, 4)
    assert torch.equal(run(rule, [Constraint(MASK, VALUE)])[~held], run(rule)[~held])


@rules
def test_the_longer_a_cue_holds_the_nearer_the_result(rule):
    """Lodge's strength s: 0 is none, 1 is a hard cue, the same for every sampler."""
    held = MASK.bool().expand(2, 10, 4)
    distance = []
    for strength in (0.0, 0.25, 0.5, 0.75, 1.0):
        found = run(rule, [Constraint(MASK, VALUE, until_noise_level=1 - strength)], steps=100)
        distance.append((found - VALUE).expand(2, 10, 4)[held].abs().mean().item())
    assert all(later < earlier for earlier, later in pairwise(distance)), distance
    assert distance[-1] == pytest.approx(0, abs=1e-6)


@rules
@pytest.mark.parametrize("steps", [20, 50])
def test_strength_is_a_noise_level_and_not_a_number_of_steps(rule, steps):
    active = []

    def value(clean):
        active.append(True)
        return VALUE

    run(rule, [Constraint(MASK, value, until_noise_level=0.4)], steps=steps)
    assert len(active) == pytest.approx(0.6 * steps, abs=1)


@rules
def test_along_the_way_the_masked_part_is_the_value_noised_to_the_level(rule):
    """Not clean, and not with the wrong amount of noise: otherwise the denoiser sees what it never saw."""
    seen = []

    def predict(noisy, step):
        seen.append((noisy, step))
        return pulling(noisy, step)

    whole, value = torch.ones(1, 1, 1), torch.full((1, 1, 1), 2.0)
    run(rule, [Constraint(whole, value)], steps=20, predict=predict, shape=(1, 200, 50))
    for noisy, step in seen:
        signal, noise = SCHEDULE.signal_and_noise(step)
        residual = (noisy - signal * 2.0) / noise
        assert residual.mean().item() == pytest.approx(0, abs=0.05)
        assert residual.std().item() == pytest.approx(1, abs=0.03)


@rules
def test_values_may_depend_on_the_prediction(rule):
    mean = Constraint(torch.ones(1, 10, 4), lambda clean: clean.mean(1, keepdim=True).expand_as(clean))
    found = run(rule, [mean])
    torch.testing.assert_close(found, found.mean(1, keepdim=True).expand_as(found), atol=1e-5, rtol=0)
    assert found.std(0).max() > 0  # rows stay different


def test_constraints_apply_in_order_and_fractions_blend():
    clean = torch.zeros(1, 2, 3)
    first = Constraint(torch.ones(1, 2, 1), torch.tensor(4.0))
    second = Constraint(torch.tensor([[[0.25], [0.0]]]), torch.tensor(8.0))
    found = apply_constraints(clean, [first, second], 0.5)
    torch.testing.assert_close(found, torch.tensor([[[5.0] * 3, [4.0] * 3]]))
    assert torch.equal(clean, torch.zeros(1, 2, 3))


def test_masks_may_be_booleans():
    found = apply_constraints(torch.zeros(1, 10, 4), [Constraint(MASK.bool(), VALUE)], 1.0)
    torch.testing.assert_close(found, MASK * VALUE)


def test_the_level_itself_is_no_longer_active():
    cue = Constraint(MASK, VALUE, until_noise_level=0.5)
    clean = torch.zeros(1, 10, 4)
    assert torch.equal(apply_constraints(clean, [cue], 0.5), clean)
    assert not torch.equal(apply_constraints(clean, [cue], 0.501), clean)


@pytest.mark.parametrize("level", [-0.1, 1.1, float("nan")])
def test_impossible_levels_are_refused(level):
    with pytest.raises(ValueError, match="until_noise_level"):
        Constraint(MASK, VALUE, until_noise_level=level)
