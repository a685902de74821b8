"""Lodge's losses on cases with known answers."""

import pytest
import torch

from longdance.diffusion.lodge_losses import (
    LodgeLossWeights,
    discriminator_loss,
    generator_loss,
    horizontal_and_downward,
    lodge_losses,
)
from longdance.motion.layout import LAYOUTS, Normaliser
from longdance.motion.skeleton import SMPL22

LAYOUT = LAYOUTS["smpl22"]
PLAIN = Normaliser(torch.zeros(139), torch.ones(139))
TERMS = {"reconstruction", "joints", "joint_velocity", "joint_acceleration", "contact"}


def rest(frames: int, *, batch: int = 1) -> torch.Tensor:
    features = torch.zeros(batch, frames, 139)
    features[..., LAYOUT["rotations"]] = torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(22)
    return features


def moving(path, *, contact: float = 0.0) -> torch.Tensor:
    """A body at rest whose root is at ``path`` (frames, 3)."""
    features = rest(len(path))
    features[..., LAYOUT["root_position"]] = torch.as_tensor(path)
    features[..., LAYOUT["contact"]] = contact
    return features


def losses(predicted, target, *, valid=None, fps=30.0, normaliser=PLAIN, importance=None, **weights):
    valid = torch.ones(predicted.shape[:2], dtype=torch.bool) if valid is None else valid
    return lodge_losses(
        predicted, target, valid, layout=LAYOUT, normaliser=normaliser, fps=fps, weights=LodgeLossWeights(**weights),
        importance=importance,
    )  # fmt: skip


def straight(velocity, frames: int = 8, fps: float = 30.0) -> torch.Tensor:
    return torch.arange(frames)[:, None] / fps * torch.tensor(velocity)


def test_equal_motions_without_contact_cost_nothing(generator):
    motion = rest(6, batch=2) + 0.3 * torch.randn(2, 6, 139, generator=generator)
    motion[..., LAYOUT["contact"]] = 0
    found = losses(motion, motion)
    assert set(found) == TERMS | {"total"}
    assert all(value == 0 for value in found.values())


def test_eq_2_and_4_of_a_body_beside_the_target():
    target = rest(5)
    beside = target.clone()
    beside[..., LAYOUT["root_position"].start] += 0.2
    found = losses(beside, target)
    assert found["reconstruction"].item() == pytest.approx(0.04 / 139)
    assert found["joints"].item() == pytest.approx(0.04 / 3)
    assert found["joint_velocity"] < 1e-9


@pytest.mark.parametrize("fps", [30.0, 60.0])
def test_eq_5_is_in_metres_per_second(fps):
    found = losses(moving(straight((0.9, 0.0, 0.0), fps=fps)), rest(8), fps=fps)
    assert found["joint_velocity"].item() == pytest.approx(0.81 / 3, rel=1e-4)
    assert found["joint_acceleration"].item() == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("fps", [30.0, 60.0])
def test_eq_6_is_of_the_acceleration_and_in_metres_per_second_squared(fps):
    time = torch.arange(8)[:, None] / fps
    found = losses(moving(0.5 * time**2 * torch.tensor([0.0, 2.0, 0.0])), rest(8), fps=fps)
    assert found["joint_acceleration"].item() == pytest.approx(4.0 / 3, rel=1e-2)


@pytest.mark.parametrize(
    ("velocity", "expected"),
    [
        ((0.3, 0.0, 0.4), 0.25),  # along both axes of the floor
        ((-0.3, 0.0, 0.4), 0.25),  # opposite signs do not cancel
        ((0.0, -0.5, 0.0), 0.25),  # into the floor
        ((0.0, 0.5, 0.0), 0.0),  # lifting off
        ((0.3, 0.7, 0.0), 0.09),
    ],
)
def test_eq_7_counts_what_a_standing_foot_must_not_do(velocity, expected):
    motion = moving(straight(velocity), contact=1.0)
    assert losses(motion, motion)["contact"].item() == pytest.approx(expected / 3, rel=1e-3, abs=1e-7)


def test_eq_7_goes_by_the_predicted_label_and_does_not_teach_it():
    path = straight((0.5, 0.0, 0.0))
    lifted, standing = moving(path, contact=-1.0), moving(path, contact=3.0)
    assert losses(lifted, standing)["contact"] == 0
    assert losses(standing, lifted)["contact"].item() == pytest.approx(0.25 / 3, rel=1e-3)  # labels cut at 1
    predicted = moving(path, contact=0.5).requires_grad_()
    losses(predicted, predicted.detach())["contact"].backward()
    assert predicted.grad[..., LAYOUT["contact"]].abs().max() == 0
    assert predicted.grad[..., LAYOUT["root_position"]].abs().max() > 0


def test_only_feet_are_held_by_contact():
    motion = rest(5)
    motion[..., LAYOUT["contact"]] = 1.0
    wrist = LAYOUT["rotations"].start + 6 * SMPL22.index("left_elbow")
    for frame in range(5):
        angle = torch.tensor(0.3 * frame)
        motion[0, frame, wrist : wrist + 6] = torch.stack(
            (angle.cos(), -angle.sin(), torch.tensor(0.0), angle.sin(), angle.cos(), torch.tensor(0.0))
        )
    assert losses(motion, motion)["contact"] < 1e-9


def test_eq_8_is_the_weighted_sum(generator):
    predicted, target = (rest(6) + 0.3 * torch.randn(1, 6, 139, generator=generator) for _ in range(2))
    weights = dict.fromkeys(TERMS, 0.0) | {"joints": 2.0, "contact": 3.0}
    found = losses(predicted, target, **weights)
    torch.testing.assert_close(found["total"], 2 * found["joints"] + 3 * found["contact"])


def test_rows_may_have_frame_rates_of_their_own():
    path = straight((0.9, 0.0, 0.0))
    both = torch.cat((moving(path), moving(path)))
    found = losses(both, rest(8, batch=2), fps=torch.tensor([30.0, 7.5]))
    assert found["joint_velocity"].item() == pytest.approx((0.81 + 0.81 / 16) / 6, rel=1e-4)


def test_padding_does_not_count(generator):
    predicted, target = (rest(6, batch=2) + 0.3 * torch.randn(2, 6, 139, generator=generator) for _ in range(2))
    valid = torch.ones(2, 6, dtype=torch.bool)
    valid[1, 3:] = False
    changed = predicted.clone()
    changed[1, 3:] += 2.0
    first, second = losses(predicted, target, valid=valid), losses(changed, target, valid=valid)
    for name in first:
        torch.testing.assert_close(first[name], second[name])


def test_a_normaliser_changes_nothing_in_metres(generator):
    predicted, target = (rest(6) + 0.3 * torch.randn(1, 6, 139, generator=generator) for _ in range(2))
    normaliser = Normaliser(torch.randn(139, generator=generator), torch.rand(139, generator=generator) + 0.5)
    plain = losses(predicted, target)
    other = losses(normaliser.normalise(predicted), normaliser.normalise(target), normaliser=normaliser)
    for term in TERMS - {"reconstruction"}:
        torch.testing.assert_close(other[term], plain[term], rtol=1e-3, atol=1e-5)


def test_upward_motion_is_free():
    velocity = torch.tensor([[1.0, 2.0, 3.0], [1.0, -2.0, 3.0]])
    assert torch.equal(horizontal_and_downward(velocity), torch.tensor([[1.0, 0.0, 3.0], [1.0, -2.0, 3.0]]))


def test_hinge_by_hand():
    real, made = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-2.0, 0.0, 1.5])
    # Real ones lack 0, 1/2 and 2 to a score of 1; made ones exceed -1 by 0, 1 and 5/2.
    assert discriminator_loss(real, made, form="hinge").item() == pytest.approx(2.5 / 3 + 3.5 / 3)
    assert generator_loss(made, form="hinge").item() == pytest.approx(0.5 / 3)
    assert discriminator_loss(torch.full((2,), 1.0), torch.full((2,), -1.0), form="hinge") == 0


def test_the_papers_game_is_of_logarithms_of_probabilities(generator):
    real, made = torch.randn(2, 6, generator=generator, dtype=torch.float64)
    likely, false = torch.sigmoid(real), torch.sigmoid(made)
    value = torch.log(likely).mean() + torch.log(1 - false).mean()  # eq. 9, which the discriminator raises
    torch.testing.assert_close(discriminator_loss(real, made, form="log"), -value)
    torch.testing.assert_close(generator_loss(made, form="log"), torch.log(1 - false).mean())
