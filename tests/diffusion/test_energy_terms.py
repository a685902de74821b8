"""Energies by cases that can be worked out, and their gradients by finite differences."""

import numpy as np
import pytest
import torch

from longdance.diffusion import energy_terms as terms
from longdance.motion.contacts import REST_HEIGHTS
from longdance.motion.skeleton import SMPL22, SMPL24

FPS = 30.0


def rest_pose(frames: int) -> torch.Tensor:
    """(1, frames, 24, 3) metres, feet flat on the floor."""
    return torch.from_numpy(np.tile(SMPL24.rest_positions, (1, frames, 1, 1)))


def swinging(frames: int, stops: float) -> torch.Tensor:
    """Arms and body that go to and fro, and stop every ``stops`` seconds from 0 on."""
    time = torch.arange(frames, dtype=torch.float64) / FPS
    joints = rest_pose(frames).clone()
    place = torch.cos(torch.pi * time / stops)
    joints[..., 0] += 0.05 * place[:, None]
    for name in ("left_wrist", "right_wrist", "left_hand", "right_hand"):
        joints[:, :, SMPL24.index(name), 1] += 0.3 * place
    return joints


def gradient_by_differences(function, joints: torch.Tensor, direction: torch.Tensor, step=1e-5) -> float:
    return float((function(joints + step * direction) - function(joints - step * direction)).sum() / (2 * step))


def noisy_pose(generator, frames=24) -> torch.Tensor:
    return rest_pose(frames) + 0.1 * torch.randn(1, frames, 24, 3, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("name", ["rest", "floor", "sliding", "penetration"])
def test_gradients_are_those_of_finite_differences(name, generator):
    joints = noisy_pose(generator)
    steps = joints.shape[1] - 1
    weight = torch.randn(1, steps, dtype=torch.float64, generator=generator)
    flight = (torch.rand(1, steps + 1, dtype=torch.float64, generator=generator) > 0.5).double()
    stands = torch.rand(1, steps, 3, dtype=torch.float64, generator=generator)
    function = {
        "rest": lambda j: terms.rest_energy(j, weight, FPS),
        "floor": lambda j: terms.floor_energy(j, flight, SMPL24),
        "sliding": lambda j: terms.sliding_energy(j, stands, [7, 10, 11], FPS),
        "penetration": terms.penetration_energy,
    }[name]
    leaf = joints.clone().requires_grad_()
    [gradient] = torch.autograd.grad(function(leaf).sum(), leaf)
    assert gradient.abs().max() > 0
    for _ in range(5):
        direction = torch.randn(joints.shape, dtype=torch.float64, generator=generator)
        expected = gradient_by_differences(function, joints, direction)
        assert float((gradient * direction).sum()) == pytest.approx(expected, rel=1e-4, abs=1e-7)


def test_resting_on_the_beat_is_lowest_where_the_stops_are():
    joints, beat = swinging(150, 0.5), 0.5
    time = (torch.arange(149, dtype=torch.float64) + 0.5) / FPS
    values = [
        float(terms.rest_energy(joints, torch.cos(2 * torch.pi * (time - shift) / beat)[None], FPS))
        for shift in np.linspace(0, 0.45, 10)
    ]
    assert int(np.argmin(values)) == 0
    assert values[0] < 0 < values[5]


def test_a_faster_dance_meets_the_beat_no_better():
    joints = swinging(150, 0.5)
    larger = joints.mean(1, keepdim=True) + 3 * (joints - joints.mean(1, keepdim=True))
    weight = torch.cos(2 * torch.pi * torch.arange(149) / 15).double()
    weight = (weight - weight.mean())[None]
    # Not exactly the same: what does not move at all stays as it is.
    assert float(terms.rest_energy(larger, weight, FPS)) == pytest.approx(
        float(terms.rest_energy(joints, weight, FPS)), rel=0.35
    )


def test_speed_is_metres_per_second_and_blind_to_trembling():
    joints = rest_pose(60) + torch.arange(60).double()[None, :, None, None] / FPS * torch.tensor([0.8, 0.0, 0.6])
    speed = terms.smoothed_speed(joints, FPS)
    np.testing.assert_allclose(speed[0, 10:-10], np.hypot(1.0, terms.REST_SPEED), rtol=1e-6)
    trembling = rest_pose(60).clone()
    trembling[:, ::2, :, 0] += 0.01
    assert float(terms.smoothed_speed(trembling, FPS)[0, 10:-10].max()) < 0.06


def test_standing_costs_nothing_and_the_floor_is_dearer_from_below():
    joints, ground = rest_pose(10), torch.zeros(1, 10).double()
    height = torch.tensor([0.0, 0.1, 0.0]).double()
    assert float(terms.floor_energy(joints, ground, SMPL24)) == pytest.approx(0, abs=1e-6)
    above = float(terms.floor_energy(joints + height, ground, SMPL24))
    assert above == pytest.approx(10 * 0.01, rel=0.02)
    feet = 4  # both ankles and both balls are 10 cm under the floor
    below = float(terms.floor_energy(joints - height, ground, SMPL24))
    assert below == pytest.approx(10 * terms.BELOW_FLOOR * feet * 0.01, rel=0.02)
    assert float(terms.floor_energy(joints + height, 1 - ground, SMPL24)) == pytest.approx(0, abs=1e-6)


def test_a_hand_on_the_floor_carries_the_body():
    joints = rest_pose(4) + torch.tensor([0.0, 0.4, 0.0])
    joints[:, :, SMPL24.index("left_hand"), 1] = REST_HEIGHTS["left_hand"]
    assert float(terms.floor_energy(joints, torch.zeros(1, 4).double(), SMPL24)) < 1e-4


def leap(frames: int, take_off: int, height: float) -> torch.Tensor:
    """A ballistic leap of the whole body that begins at frame ``take_off``."""
    time = (torch.arange(frames, dtype=torch.float64) - take_off) / FPS
    speed = (2 * terms.GRAVITY * height) ** 0.5
    lift = (speed * time - terms.GRAVITY * time**2 / 2).clamp_min(0) * (time > 0)
    joints = rest_pose(frames).clone()
    joints[..., 1] += lift[:, None]
    return joints


def test_a_leap_is_free_and_hovering_is_not():
    leaping = leap(60, 20, 0.4)
    flight = terms.in_flight(leaping, FPS)[0]
    airborne = leaping[0, :, 0, 1] > leaping[0, 0, 0, 1] + 0.05
    assert flight[airborne].all()
    assert flight.sum() < airborne.sum() + 10
    hovering = rest_pose(60).clone()
    hovering[:, 15:50, :, 1] += 0.3
    middle = slice(25, 40)
    assert not terms.in_flight(hovering, FPS)[0, middle].any()
    swaying = rest_pose(60).clone()
    swaying[..., 1] += 0.1 * torch.sin(2 * torch.pi * torch.arange(60).double() / FPS)[:, None]
    assert not terms.in_flight(swaying, FPS).any()


def test_flight_is_told_at_other_frame_rates_and_of_short_rows():
    assert terms.in_flight(leap(60, 20, 0.4)[:, ::2], FPS / 2).any()
    assert not terms.in_flight(rest_pose(4), FPS).any()


def test_sliding_is_the_squared_speed_of_what_stands():
    velocity = torch.tensor([0.06, 0.0, 0.08]).double()
    joints = rest_pose(60) + torch.arange(60).double()[None, :, None, None] / FPS * velocity
    both = torch.ones(1, 59, 2).double()
    index = [SMPL24.index("left_foot"), SMPL24.index("right_foot")]
    found = float(terms.sliding_energy(joints, both, index, FPS))
    assert found == pytest.approx(59 / FPS * 0.01, rel=0.1)
    half = both.clone()
    half[..., 1] = 0
    assert float(terms.sliding_energy(joints, half, index, FPS)) == pytest.approx(found / 2)


@pytest.mark.parametrize("skeleton", [SMPL22, SMPL24], ids=["22", "24"])
def test_what_is_low_and_labelled_stands(skeleton):
    joints = rest_pose(3)[:, :, : len(skeleton)].clone()
    names = ("left_foot", "right_foot", "left_wrist")
    joints[:, :, skeleton.index("right_foot"), 1] += 0.3
    labels = torch.ones(1, 3, 3).double()
    stands = terms.standing(joints, labels, names, skeleton)
    assert stands.shape == (1, 2, 3)
    np.testing.assert_allclose(stands[0, 0], [1, 0, 0], atol=0.02)
    labels[:, 1, 0] = 0
    np.testing.assert_allclose(terms.standing(joints, labels, names, skeleton)[0, :, 0], terms.UNLABELLED, atol=0.01)


def test_limbs_apart_cost_nothing():
    assert float(terms.penetration_energy(rest_pose(3))) == 0
