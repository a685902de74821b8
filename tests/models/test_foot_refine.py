"""The feet of hand-made clips: standing, sliding diagonally by 7 cm, hopping."""

import numpy as np
import pytest
import torch

from longdance.models.foot_refine import FootRefineBlock, Legs
from longdance.motion.contacts import foot_contacts
from longdance.motion.layout import LAYOUTS, Normaliser
from longdance.motion.skeleton import BALL_HEIGHT, SMPL22

LAYOUT, FPS = LAYOUTS["smpl22"], 30.0
TOES, HEELS = [0, 2], [1, 3]


def clip(path) -> torch.Tensor:
    """(1, frames, 139): the body at rest, its root moved by ``path`` (frames, 3) metres."""
    path = torch.as_tensor(path, dtype=torch.float32)
    features = torch.zeros(1, len(path), 139)
    features[..., LAYOUT["rotations"]] = torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(22)
    features[..., LAYOUT["root_position"]] = path + torch.tensor([0.0, SMPL22.rest_root_height, 0.0])
    return features


def slide(seconds: float) -> np.ndarray:
    """7 cm along the diagonal of x and -z, whose signed sum is zero, with 10 frames of standing before and after."""
    share = np.concatenate((np.zeros(10), np.linspace(0, 1, round(seconds * FPS) + 1), np.ones(10)))
    return share[:, None] * np.array([0.07, 0.0, -0.07]) / np.sqrt(2)


def hop() -> np.ndarray:
    """Half a second in the air, 30 cm high at most, on the spot."""
    time = np.arange(45) / FPS
    height = np.where((time > 0.5) & (time < 1.0), 0.3 - 4.8 * (time - 0.75) ** 2, 0)
    return np.stack((0 * height, height, 0 * height), 1)


def test_a_standing_body_stands():
    state = Legs(LAYOUT).state(clip(np.zeros((12, 3))), FPS)
    assert state.contact.min() > 0.95
    assert state.velocities.abs().max() < 1e-5
    assert state.positions[0, 0, TOES, 1].tolist() == pytest.approx([BALL_HEIGHT] * 2, abs=1e-6)
    assert state.positions[0, 0, HEELS, 1].tolist() == pytest.approx([BALL_HEIGHT + 0.06] * 2, abs=1e-6)
    # Left toe and heel on the left (+x), the toe in front.
    assert state.positions[0, 0, :2, 0].min() > 0 > state.positions[0, 0, 2:, 0].max()
    assert state.positions[0, 0, 0, 2] > state.positions[0, 0, 1, 2]


def test_a_diagonal_slide_has_its_speed_and_no_contact():
    state = Legs(LAYOUT).state(clip(slide(0.1)), FPS)
    assert state.velocities[0, 12].norm(dim=-1).tolist() == pytest.approx([0.7] * 4, rel=1e-3)
    assert state.contact[0, 12].max() < 1e-3
    assert state.contact[0, [3, -3]].min() > 0.95


def test_a_creeping_slide_is_less_of_a_contact_the_faster_it_is():
    scores = [Legs(LAYOUT).state(clip(slide(seconds)), FPS).contact[0, 12].mean().item() for seconds in (0.5, 0.3, 0.2)]
    assert scores[0] > 0.8  # 14 cm/s
    assert 0.3 < scores[1] < 0.8  # 23 cm/s, near the limit
    assert scores[2] < 0.15  # 35 cm/s


def test_a_hop_loses_the_floor_and_finds_it_again():
    state = Legs(LAYOUT).state(clip(hop()), FPS)
    assert state.contact[0, 22].max() < 1e-6  # at the top the speed vanishes, the height does not
    assert state.positions[0, 22, TOES, 1].max().item() == pytest.approx(0.3 + BALL_HEIGHT, abs=0.01)
    assert state.contact[0, [5, 40]].min() > 0.95


def test_higher_is_less_of_a_contact():
    scores = [Legs(LAYOUT).state(clip([[0, height, 0]] * 3), FPS).contact[0, 1].mean() for height in (0.0, 0.04, 0.4)]
    assert scores[0] > 0.95 > scores[1] > scores[2]
    assert scores[2] < 1e-9


def test_the_score_agrees_with_the_labels_of_the_data(rng):
    features = clip(np.cumsum(rng.normal(size=(300, 3)) * 0.006, axis=0) * np.array([1.0, 0.6, 1.0]))
    score = Legs(LAYOUT).state(features, FPS).contact[0]
    labels = foot_contacts(
        LAYOUT.joints(features)[0].numpy(), FPS, skeleton=SMPL22, joint_names=LAYOUT.contact_joints
    )
    assert ((score > 0.5).numpy() == labels).mean() > 0.95


def test_legs_are_where_the_whole_body_has_them(generator):
    features = clip(np.zeros((4, 3))) + 0.3 * torch.randn(1, 4, 139, generator=generator)
    expected = LAYOUT.joints(features)[:, :, [SMPL22.index(name) for name in LAYOUT.contact_joints]]
    torch.testing.assert_close(Legs(LAYOUT).state(features, FPS).positions, expected, atol=1e-5, rtol=1e-5)


def test_a_single_frame_has_no_velocity():
    state = Legs(LAYOUT).state(clip(np.zeros((1, 3))), FPS)
    assert state.velocities.abs().max() == 0


def block(**changes) -> FootRefineBlock:
    torch.manual_seed(0)
    sizes = {"depth": 1, "heads": 2, "feedforward": 16, "dropout": 0.0} | changes
    return FootRefineBlock(LAYOUT, sizes.pop("width", 8), **sizes)


def test_the_block_begins_by_correcting_nothing_and_sends_gradients(generator):
    refine, motion = block(), torch.randn(2, 6, 139, generator=generator)
    seconds, condition = torch.arange(6) / FPS, torch.randn(2, 8, generator=generator)
    correction = refine(motion, seconds, condition, fps=FPS)
    assert correction.abs().max() == 0
    (correction - 1).pow(2).sum().backward()
    assert refine.output.weight.grad.abs().sum() > 0


def test_the_block_sees_metres_and_not_where_on_the_floor_it_happens(generator):
    refine, motion = block(), clip(slide(0.3))
    normaliser = Normaliser(torch.randn(139, generator=generator), torch.rand(139, generator=generator) + 0.5)
    plain = refine.feet_of(motion, FPS)
    moved = motion.clone()
    moved[..., LAYOUT["root_position"]] += torch.tensor([3.0, 0.0, -2.0])
    torch.testing.assert_close(refine.feet_of(moved, FPS), plain, atol=1e-4, rtol=1e-4)
    refine.use(normaliser)
    torch.testing.assert_close(refine.feet_of(normaliser.normalise(motion), FPS), plain, atol=1e-3, rtol=1e-3)
    assert {"mean", "scale"} < set(refine.state_dict())


@pytest.mark.parametrize("folded", [1, 2, 3])
def test_frames_may_share_tokens(folded, generator):
    refine, motion = block(frames_per_token=folded), torch.randn(1, 7, 139, generator=generator)
    tokens = -(-7 // folded)
    correction = refine(motion, torch.arange(tokens) / 10, torch.randn(1, 8, generator=generator), fps=FPS)
    assert correction.shape == motion.shape


def test_it_learns_to_hold_a_sliding_foot():
    """One window: feet that slide with the body become feet that stand, through the rotations of the legs."""
    refine, moving = block(width=32), clip(slide(0.5))
    moving[..., LAYOUT["root_position"].start + 1] -= 0.02  # knees need room to bend
    seconds, condition = torch.arange(moving.shape[1]) / FPS, torch.zeros(1, 32)
    legs, target = Legs(LAYOUT), Legs(LAYOUT).state(clip(np.zeros((1, 3))), FPS).positions
    optimiser = torch.optim.Adam(refine.parameters(), lr=3e-3)
    errors = []
    for _ in range(120):
        optimiser.zero_grad()
        feet = legs.state(moving + refine(moving, seconds, condition, fps=FPS), FPS).positions
        error = (feet - target).square().mean()
        error.backward()
        optimiser.step()
        errors.append(error.item())
    assert errors[-1] < 0.1 * errors[0], errors[::20]
