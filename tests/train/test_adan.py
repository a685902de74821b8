"""Adan does what its paper's algorithm says."""

import pytest
import torch

from longdance.train.adan import Adan


def test_three_updates_worked_by_hand():
    # b1 = 1/2, b2 = 1/4, b3 = 1/2; gradients 2, 4, 1; no decay.
    weight = torch.nn.Parameter(torch.tensor([10.0], dtype=torch.float64))
    optimiser = Adan([weight], lr=0.1, betas=(0.5, 0.25, 0.5), eps=0.0, weight_decay=0.0)
    found = []
    for gradient in (2.0, 4.0, 1.0):
        weight.grad = torch.tensor([gradient], dtype=torch.float64)
        optimiser.step()
        found.append(weight.item())
    first = 10 - 0.1 * 2 / 2  # m = 2, v = 0, n = 4
    # d = 2: m = 3, v = 1/2, n = (4 + (4 + 3/2)^2) / 2 = 17.125
    second = first - 0.1 * (3 + 0.75 * 0.5) / 17.125**0.5
    # d = -3: m = 2, v = 3/8 - 3/4 = -3/8, n = (17.125 + (1 - 9/4)^2) / 2 = 9.34375
    third = second - 0.1 * (2 - 0.75 * 0.375) / 9.34375**0.5
    assert found == pytest.approx([first, second, third], rel=1e-12)


def test_bias_correction_worked_by_hand():
    weight = torch.nn.Parameter(torch.tensor([10.0], dtype=torch.float64))
    optimiser = Adan([weight], lr=0.1, betas=(0.5, 0.25, 0.5), eps=0.0, weight_decay=0.0, bias_correction=True)
    found = []
    for gradient in (2.0, 4.0):
        weight.grad = torch.tensor([gradient], dtype=torch.float64)
        optimiser.step()
        found.append(weight.item())
    first = 10 - 0.1 * 1 / 0.5 / (2 / 0.5) ** 0.5  # m = 1, v = 0, n = 2, weights so far 1/2, 1/4, 1/2
    # d = 2: m = 5/2 of 3/4, v = 1/2 of 7/16, n = 1 + (4 + 3/2)^2 / 2 = 16.125 of 3/4
    second = first - 0.1 * (2.5 / 0.75 + 0.75 * 0.5 / 0.4375) / (16.125 / 0.75) ** 0.5
    assert found == pytest.approx([first, second], rel=1e-12)


def test_weight_decay_shrinks_after_the_step():
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    optimiser = Adan([weight], lr=0.1, weight_decay=0.5)
    weight.grad = torch.tensor([3.0])
    optimiser.step()
    assert weight.item() == pytest.approx((1 - 0.1) / (1 + 0.05))


def test_a_constant_gradient_moves_by_the_learning_rate():
    weight = torch.nn.Parameter(torch.zeros(3))
    optimiser = Adan([weight], lr=0.01, weight_decay=0.0)
    for _ in range(20):
        weight.grad = torch.tensor([1e-3, -2.0, 50.0])
        optimiser.step()
    torch.testing.assert_close(weight.detach(), torch.tensor([-0.2, 0.2, -0.2]), rtol=1e-3, atol=0)


def test_parameters_without_gradient_stay():
    moved, still = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    optimiser = Adan([moved, still], lr=0.1)
    moved.grad = torch.ones(2)
    optimiser.step()
    assert torch.equal(still.detach(), torch.ones(2))
    assert not torch.equal(moved.detach(), torch.ones(2))


def test_it_finds_the_bottom_of_a_badly_scaled_bowl():
    scale = torch.tensor([1.0, 100.0])
    weight = torch.nn.Parameter(torch.tensor([3.0, -2.0]))
    optimiser = Adan([weight], lr=0.05, weight_decay=0.0)
    for step in range(600):
        for group in optimiser.param_groups:
            group["lr"] = 0.05 * (1 - step / 600)
        optimiser.zero_grad()
        (scale * weight**2).sum().backward()
        optimiser.step()
    assert weight.abs().max() < 1e-2


def test_its_state_can_be_taken_up_again():
    def run(resume_after: int | None) -> torch.Tensor:
        weight = torch.nn.Parameter(torch.tensor([1.0, -1.0]))
        optimiser = Adan([weight], lr=0.1)
        for step in range(6):
            if step == resume_after:
                record = optimiser.state_dict()
                optimiser = Adan([weight], lr=0.1)
                optimiser.load_state_dict(record)
            weight.grad = torch.tensor([float(step + 1), 2.0 - step])
            optimiser.step()
        return weight.detach()

    assert torch.equal(run(None), run(3))
