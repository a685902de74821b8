"""The refinement losses of small tracks worked out by hand."""

import math

import pytest
import torch

from longdance.diffusion.refinement_losses import RefinementLossWeights, refinement_losses

ALL = RefinementLossWeights()


def valid_of(positions: torch.Tensor) -> torch.Tensor:
    return torch.ones(positions.shape[:2], dtype=torch.bool)


def test_a_constant_error_is_its_length_and_no_acceleration():
    target = torch.zeros(2, 6, 4, 3)
    terms = refinement_losses(target + torch.tensor([0.3, 0.0, 0.4]), target, valid_of(target), fps=60, weights=ALL)
    assert terms["position"].item() == pytest.approx(0.5, abs=1e-4)
    assert terms["acceleration"].item() == pytest.approx(0, abs=1e-4)


def test_one_jump_counts_in_three_accelerations():
    target = torch.zeros(1, 7, 1, 3)
    jumping = target.clone()
    jumping[0, 3, 0, 1] = 0.1
    terms = refinement_losses(jumping, target, valid_of(target), fps=60, weights=ALL)
    assert terms["position"].item() == pytest.approx(0.1 / 7, abs=1e-4)
    assert terms["acceleration"].item() == pytest.approx((0.1 + 0.2 + 0.1) / 5, abs=1e-4)


@pytest.mark.parametrize("fps", [30, 60, 120])
def test_accelerations_do_not_depend_on_the_frame_rate(fps):
    time = torch.arange(fps + 1) / fps
    target = torch.zeros(1, len(time), 2, 3)
    falling = target.clone()
    falling[..., 1] = (-0.5 * 9.81 * time**2)[None, :, None]
    terms = refinement_losses(falling, target, valid_of(target), fps=fps, weights=ALL)
    assert terms["acceleration"].item() == pytest.approx(9.81 / 60**2, rel=0.02)


def test_padding_does_not_count_and_weights_do(generator):
    target = torch.randn(2, 8, 3, 3, generator=generator)
    predicted = target + 0.1 * torch.randn(2, 8, 3, 3, generator=generator)
    valid = valid_of(target)
    valid[1, 5:] = False
    spoilt = predicted.clone()
    spoilt[1, 5:] = 100.0
    weights = RefinementLossWeights(position=2.0, acceleration=3.0)
    first, second = (refinement_losses(p, target, valid, fps=30, weights=weights) for p in (predicted, spoilt))
    for name, value in first.items():
        torch.testing.assert_close(value, second[name])
    torch.testing.assert_close(first["total"], 2 * first["position"] + 3 * first["acceleration"])


def test_turning_the_dance_changes_nothing_and_perfection_has_a_gradient(generator):
    target = torch.randn(1, 6, 2, 3, generator=generator)
    predicted = target + 0.1 * torch.randn(1, 6, 2, 3, generator=generator)
    angle = 0.8
    turn = torch.tensor([[math.cos(angle), 0, math.sin(angle)], [0, 1, 0], [-math.sin(angle), 0, math.cos(angle)]])
    plain = refinement_losses(predicted, target, valid_of(target), fps=30, weights=ALL)
    turned = refinement_losses(predicted @ turn.T, target @ turn.T, valid_of(target), fps=30, weights=ALL)
    torch.testing.assert_close(plain["total"], turned["total"])
    perfect = target.clone().requires_grad_()
    refinement_losses(perfect, target, valid_of(target), fps=30, weights=ALL)["total"].backward()
    assert torch.isfinite(perfect.grad).all()
