"""Losses of small motions worked out by hand, and what must not change them."""

import math

import pytest
import torch

from longdance.diffusion.losses import EDMGLossWeights, edmg_losses, masked_mean
from longdance.motion.layout import LAYOUTS, Normaliser
from longdance.motion.skeleton import SMPL24

LAYOUT = LAYOUTS["smpl24"]
PLAIN = Normaliser(torch.zeros(151), torch.ones(151))
TERMS = {"reconstruction", "joints", "velocity", "contact", "joint_velocity", "joint_acceleration"}


def rest(frames: int, *, batch: int = 1, contact: float = 0.0) -> torch.Tensor:
    """(batch, frames, 151) features of a body in rest pose at the origin."""
    features = torch.zeros(batch, frames, 151)
    features[..., LAYOUT["contact"]] = contact
    features[..., LAYOUT["rotations"]] = torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(24)
    return features


def travelling(frames: int, velocity, fps: float, **options) -> torch.Tensor:
    features = rest(frames, **options)
    time = torch.arange(frames)[:, None] / fps
    features[..., LAYOUT["root_position"]] = time * torch.tensor(velocity)
    return features


def losses(predicted, target, *, valid=None, fps=30.0, normaliser=PLAIN, importance=None, **weights):
    if valid is None:
        valid = torch.ones(predicted.shape[:2], dtype=torch.bool)
    return edmg_losses(
        predicted,
        target,
        valid,
        layout=LAYOUT,
        normaliser=normaliser,
        fps=fps,
        weights=EDMGLossWeights(**weights),
        importance=importance,
    )


def random_motion(generator, *, batch=2, frames=6) -> torch.Tensor:
    return rest(frames, batch=batch) + 0.3 * torch.randn(batch, frames, 151, generator=generator)


def test_equal_motions_without_contact_cost_nothing(generator):
    motion = random_motion(generator)
    motion[..., LAYOUT["contact"]] = 0
    found = losses(motion, motion)
    assert set(found) == TERMS | {"total"}
    assert all(value == 0 for value in found.values())


def test_a_body_beside_the_target(generator):
    target = rest(5)
    predicted = target.clone()
    predicted[..., 4] += 0.2  # every joint 20 cm aside
    found = losses(predicted, target)
    assert found["reconstruction"].item() == pytest.approx(0.04 / 151)
    assert found["joints"].item() == pytest.approx(0.04 / 3)
    for term in ("velocity", "contact", "joint_velocity", "joint_acceleration"):
        assert found[term].item() == pytest.approx(0, abs=1e-9)


def test_one_turned_elbow_moves_the_forearm_alone():
    target, predicted = rest(4), rest(4)
    begin = LAYOUT["rotations"].start + 6 * SMPL24.index("left_elbow")
    predicted[..., begin : begin + 6] = torch.tensor([0.0, -1, 0, 1, 0, 0])  # a quarter turn about z
    # Wrist and hand swing from 25 and 33 cm along x to as much along y.
    expected = 2 * (0.25**2 + 0.33**2) / (24 * 3)
    assert losses(predicted, target)["joints"].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("fps", [30.0, 60.0])
def test_a_body_moving_away_from_a_still_target(fps):
    predicted, target = travelling(7, (0.9, 0.0, 0.0), fps), rest(7)
    found = losses(predicted, target, fps=fps)
    assert found["joint_velocity"].item() == pytest.approx(0.81 / 3, rel=1e-4)  # (m/s)^2 at any frame rate
    assert found["joint_acceleration"].item() == pytest.approx(0, abs=1e-3)
    # Eq. 9 is a difference of neighbouring frames of the features.
    assert found["velocity"].item() == pytest.approx((0.9 / fps) ** 2 / 151, rel=1e-4)


def test_constant_acceleration():
    fps, predicted, target = 30.0, rest(8), rest(8)
    time = torch.arange(8) / fps
    predicted[..., 5] = 0.5 * 2.0 * time**2
    found = losses(predicted, target, fps=fps)
    assert found["joint_acceleration"].item() == pytest.approx(4.0 / 3, rel=1e-3)


@pytest.mark.parametrize("fps", [30.0, 60.0, 120.0])
@pytest.mark.parametrize("label", [0.0, 0.5, 1.0])
def test_sliding_feet_cost_their_speed_and_not_their_frame_rate(fps, label):
    predicted = travelling(9, (0.3, 0.0, 0.4), fps, contact=label)
    found = losses(predicted, predicted, fps=fps)
    assert found["contact"].item() == pytest.approx(label**2 * 0.25 / 3, rel=1e-3, abs=1e-9)


def test_contact_labels_are_cut_to_zero_and_one():
    fps = 30.0
    slide = lambda label: travelling(5, (0.5, 0.0, 0.0), fps, contact=label)  # noqa: E731
    assert losses(slide(7.0), slide(7.0))["contact"] == losses(slide(1.0), slide(1.0))["contact"]
    assert losses(slide(-3.0), slide(-3.0))["contact"] == 0


def test_only_the_feet_in_contact_count():
    predicted = rest(5)
    # The left knee swings; with the right foot's labels set nothing slides, with the left foot's all does.
    begin = LAYOUT["rotations"].start + 6 * SMPL24.index("left_knee")
    for frame in range(5):
        c, s = math.cos(0.2 * frame), math.sin(0.2 * frame)
        predicted[0, frame, begin : begin + 6] = torch.tensor([1.0, 0, 0, 0, c, -s])
    for columns, slides in (((2, 3), False), ((0, 1), True)):
        labelled = predicted.clone()
        labelled[..., list(columns)] = 1.0
        assert (losses(labelled, labelled)["contact"] > 1e-3) == slides


def test_the_predicted_label_is_the_one_that_counts():
    fps = 30.0
    predicted, target = (travelling(5, (0.5, 0.0, 0.0), fps, contact=label) for label in (0.0, 1.0))
    assert losses(predicted, target)["contact"] == 0
    assert losses(target, predicted)["contact"] > 0


def test_the_total_is_the_weighted_sum(generator):
    predicted, target = random_motion(generator), random_motion(generator)
    weights = dict.fromkeys(TERMS, 0.0) | {"velocity": 2.0, "contact": 3.0, "joint_velocity": 0.5}
    found = losses(predicted, target, **weights)
    expected = 2 * found["velocity"] + 3 * found["contact"] + 0.5 * found["joint_velocity"]
    torch.testing.assert_close(found["total"], expected)


def test_default_weights_are_those_of_edge():
    weights = EDMGLossWeights()
    assert (weights.reconstruction, weights.velocity, weights.joints, weights.contact) == (
        0.636, 2.964, 0.646, 10.942
    )  # fmt: skip
    assert weights.joint_velocity == weights.joint_acceleration == 0


def test_joint_losses_are_taken_in_metres_whatever_the_normaliser(generator):
    predicted, target = random_motion(generator), random_motion(generator)
    normaliser = Normaliser(torch.randn(151, generator=generator), torch.rand(151, generator=generator) + 0.5)
    plain = losses(predicted, target)
    normal = losses(normaliser.normalise(predicted), normaliser.normalise(target), normaliser=normaliser)
    for term in ("joints", "contact", "joint_velocity"):
        torch.testing.assert_close(normal[term], plain[term], rtol=1e-3, atol=1e-5)
    assert not torch.allclose(normal["reconstruction"], plain["reconstruction"])


@pytest.mark.parametrize("keep", [1, 2, 3, 5])
def test_padding_does_not_count_and_gets_no_gradient(keep, generator):
    predicted, target = random_motion(generator), random_motion(generator)
    valid = torch.ones(2, 6, dtype=torch.bool)
    valid[1, keep:] = False
    changed = predicted.clone()
    changed[1, keep:] += 3.0
    for name, value in losses(changed, target, valid=valid).items():
        torch.testing.assert_close(
            value, losses(predicted, target, valid=valid)[name], msg=lambda m, n=name: f"{n}: {m}"
        )
    predicted.requires_grad_()
    everything = dict.fromkeys(TERMS, 1.0)
    losses(predicted, target, valid=valid, **everything)["total"].backward()
    assert (predicted.grad[1, keep:] == 0).all()
    assert predicted.grad[1, :keep].abs().sum() > 0


def test_a_padded_row_counts_like_the_short_motion_alone(generator):
    predicted, target = random_motion(generator, batch=1), random_motion(generator, batch=1)
    valid = torch.tensor([[True] * 4 + [False] * 2])
    padded, alone = losses(predicted, target, valid=valid), losses(predicted[:, :4], target[:, :4])
    for name in alone:
        torch.testing.assert_close(padded[name], alone[name])


def test_nothing_valid_and_single_frames_cost_nothing_and_stay_finite(generator):
    motion, other = random_motion(generator), random_motion(generator)
    nothing = losses(motion, other, valid=torch.zeros(2, 6, dtype=torch.bool))
    assert all(value == 0 for value in nothing.values())
    single = losses(motion[:, :1], other[:, :1])
    assert all(torch.isfinite(value) for value in single.values())
    assert single["velocity"] == single["contact"] == single["joint_acceleration"] == 0


@pytest.mark.parametrize("term", ["joints", "contact", "joint_velocity", "joint_acceleration"])
def test_gradients_flow_through_the_kinematics(term, generator):
    predicted, target = random_motion(generator), random_motion(generator)
    predicted[..., LAYOUT["contact"]] = 0.5
    predicted.requires_grad_()
    (gradient,) = torch.autograd.grad(losses(predicted, target)[term], predicted)
    assert torch.isfinite(gradient).all()
    hip = LAYOUT["rotations"].start + 6 * SMPL24.index("left_hip")
    assert gradient[..., hip : hip + 6].abs().sum() > 0
    assert gradient[..., LAYOUT["root_position"]].abs().sum() > 0


def test_gradients_equal_finite_differences(generator):
    predicted, target = (random_motion(generator, batch=1, frames=4).double() for _ in range(2))
    predicted[..., LAYOUT["contact"]] = 0.5  # away from the ends, where clipping has a corner
    normaliser = Normaliser(torch.zeros(151).double(), torch.ones(151).double())
    everything = dict.fromkeys(TERMS, 1.0)
    label, rest = predicted[..., :4], predicted[..., 4:].clone().requires_grad_()

    def total(moving):
        whole = torch.cat((label, moving), -1)
        return losses(whole, target, normaliser=normaliser, fps=3.0, **everything)["total"]

    assert torch.autograd.gradcheck(total, rest, fast_mode=True)


def test_the_contact_loss_does_not_teach_the_label(generator):
    predicted = random_motion(generator, batch=1, frames=4)
    predicted[..., LAYOUT["contact"]] = 0.5
    predicted.requires_grad_()
    losses(predicted, predicted.detach(), contact=1.0)["total"].backward()
    assert predicted.grad[..., LAYOUT["contact"]].abs().max() == 0
    assert predicted.grad[..., 4:].abs().max() > 0


def test_importance_weighs_whole_windows(generator):
    predicted, target = (random_motion(generator, batch=2, frames=5) for _ in range(2))
    each = [losses(predicted[i : i + 1], target[i : i + 1], **dict.fromkeys(TERMS, 1.0)) for i in range(2)]
    weighed = losses(predicted, target, importance=torch.tensor([3.0, 0.5]), **dict.fromkeys(TERMS, 1.0))
    for term in (*TERMS, "total"):
        assert weighed[term].item() == pytest.approx(1.5 * each[0][term].item() + 0.25 * each[1][term].item(), rel=1e-4)


def test_masked_means_by_hand():
    values = torch.tensor([[[1.0, 3.0], [5.0, 7.0]], [[100.0, 100.0], [2.0, 2.0]]])
    valid = torch.tensor([[True, True], [False, True]])
    assert masked_mean(values, valid.float()).item() == pytest.approx((1 + 3 + 5 + 7 + 2 + 2) / 6)
    assert masked_mean(values, torch.zeros(2, 2)).item() == 0
