"""The mechanism: what moves, how far, when, and that the denoiser and constraints have their say."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.conftest import swaying

from longdance.diffusion.constraints import Constraint
from longdance.diffusion.energies import (
    ENERGIES,
    Body,
    Cues,
    Energies,
    Energy,
    certainty,
    energies,
    root_push,
    unit_gradient,
)
from longdance.diffusion.noise import NoiseSchedule
from longdance.diffusion.sampler import STEP_RULES, sample
from longdance.features.cues import rests
from longdance.metrics import foot_skating, loudness_response, movement_beat_test, self_penetration
from longdance.motion.contacts import clearance
from longdance.motion.layout import LAYOUTS, Layout, Normaliser
from longdance.motion.motion import Motion
from longdance.motion.skeleton import SMPL24

FPS, FRAMES = 30.0, 150
SCHEDULE = NoiseSchedule.cosine(1000)
SPREAD = 0.3
"""Of the dances that the denoiser below knows, in normalised features."""
BEATS = np.arange(0.21, FRAMES / FPS, 0.55)
LAYOUT = LAYOUTS["smpl24"]

rules = pytest.mark.parametrize("rule", STEP_RULES.values(), ids=STEP_RULES.keys())
layouts = pytest.mark.parametrize("layout", [LAYOUTS["smpl24"], LAYOUTS["floor24"]], ids=["smpl24", "floor24"])


def normaliser(layout: Layout) -> Normaliser:
    return Normaliser(torch.zeros(layout.width), torch.full((layout.width,), 0.2))


def denoiser(target: torch.Tensor):
    """The best prediction where every dance is ``target`` and a deviation of ``SPREAD``, and deviations are slow."""
    away = torch.arange(target.shape[1])[:, None] - torch.arange(target.shape[1])
    slow = torch.softmax(-0.5 * (away / 5.0) ** 2, 1)

    def predict(noisy, step):
        signal, noise = SCHEDULE.signal_and_noise(step)
        return target + slow @ (SPREAD**2 * signal * (noisy - signal * target)) / (noise**2 + SPREAD**2 * signal**2)

    return predict


def cues(rows: int = 1) -> Cues:
    rest = rests(BEATS, BEATS[::4], (np.arange(FRAMES) + 0.5) / FPS)
    energy = np.where(np.arange(FRAMES) < FRAMES / 2, 1.5, -1.5)
    return Cues(*(torch.from_numpy(track).float().expand(rows, -1) for track in (rest, energy)))


def drawn(motion: Motion, *, layout: Layout = LAYOUT, rule=STEP_RULES["dpm2m"], seed=0, constraints=(), **strengths):
    """What is sampled around a dance with energies of the given strengths."""
    norm = normaliser(layout)
    target = norm.normalise(torch.from_numpy(layout.encode(motion)))[None]
    generator = torch.Generator().manual_seed(seed)
    everywhere = {name: torch.full((1, FRAMES), float(value)) for name, value in strengths.items()}
    found = sample(
        denoiser(target),
        torch.randn(target.shape, generator=generator),
        schedule=SCHEDULE, rule=rule(), steps=20, generator=generator, constraints=constraints,
        energies=energies(everywhere, cues(), layout=layout, normaliser=norm, fps=FPS),
    )  # fmt: skip
    return layout.decode(norm.denormalise(found)[0].numpy(), FPS)


def raised(motion: Motion, metres: float) -> Motion:
    return replace(motion, root_position=motion.root_position + np.array([0.0, metres, 0.0]))


@rules
def test_the_beat_is_met(rule):
    dance = swaying(FRAMES, FPS, tempo_hz=0.8)
    before = movement_beat_test(drawn(dance, rule=rule).joints(), BEATS, FPS)
    after = movement_beat_test(drawn(dance, rule=rule, beats=2.0).joints(), BEATS, FPS)
    assert after.score > before.score + 0.1
    assert after.p_value < 0.1


@rules
@layouts
def test_a_dance_that_hovers_comes_down(rule, layout):
    hovering = raised(swaying(FRAMES, FPS), 0.12)
    height = lambda motion: float(clearance(torch.from_numpy(motion.joints()), SMPL24).mean())  # noqa: E731
    before = height(drawn(hovering, rule=rule, layout=layout))
    after = height(drawn(hovering, rule=rule, layout=layout, floor=1.0))
    assert before == pytest.approx(0.12, abs=0.05)
    assert abs(after) < 0.55 * before


def test_loud_parts_are_faster():
    dance = swaying(FRAMES, FPS)
    loudness = np.where(np.arange(FRAMES) < FRAMES / 2, -10.0, -22.0)
    before = loudness_response(drawn(dance).joints(), loudness, FPS)
    after = loudness_response(drawn(dance, loudness=5.0).joints(), loudness, FPS)
    assert after > 1.15 * before


@pytest.mark.parametrize("layout", ["smpl24", "floor24"])
def test_standing_feet_are_led_to_rest(layout):
    dance = swaying(FRAMES, FPS, tempo_hz=0.5)
    gliding = replace(dance, root_position=dance.root_position + np.linspace(0, 2.5, FRAMES)[:, None] * [1.0, 0, 0])
    # Their labels say that the feet stand, whatever they do.
    norm = normaliser(LAYOUTS[layout])
    features = torch.from_numpy(LAYOUTS[layout].encode(gliding))
    features[:, :4] = 1
    target = norm.normalise(features)[None]
    results = []
    for strength in (0.0, 1.0):
        found = sample(
            denoiser(target), torch.randn(target.shape, generator=torch.Generator().manual_seed(2)),
            schedule=SCHEDULE, rule=STEP_RULES["dpm2m"](), steps=20, generator=torch.Generator(),
            energies=energies(
                {"feet": torch.full((1, FRAMES), strength)}, cues(), layout=LAYOUTS[layout], normaliser=norm, fps=FPS
            ),
        )  # fmt: skip
        motion = LAYOUTS[layout].decode(norm.denormalise(found)[0].numpy(), FPS)
        results.append(foot_skating(motion.low_pass(5.0).joints(), FPS).speed_cm_per_second)
    assert results[1] < 0.75 * results[0]


def test_limbs_leave_the_body(generator):
    joints = torch.from_numpy(np.tile(SMPL24.rest_positions, (1, 5, 1, 1))).clone()
    middle = joints[:, :, SMPL24.index("spine2")]
    joints[:, :, SMPL24.index("left_elbow")] = middle + torch.tensor([0.3, 0.0, 0.02])
    joints[:, :, SMPL24.index("left_wrist")] = middle + torch.tensor([0.0, 0.0, 0.06])
    kind = ENERGIES["self"]
    body = Body(joints.requires_grad_(), torch.zeros(1, 5, 4))
    energy = Energy(value=kind.make(cues(), LAYOUT, FPS), strength=torch.ones(1, 5), least=kind.least)
    moved = joints.detach() - 0.02 * unit_gradient(energy, body)
    assert self_penetration(moved[0].numpy(), FPS).mean < self_penetration(joints[0].detach().numpy(), FPS).mean


def test_the_push_is_the_gradient_of_the_features(generator):
    """But for the root, and for its size: against a plain derivative through forward kinematics."""
    norm = normaliser(LAYOUT)
    clean = norm.normalise(torch.from_numpy(LAYOUT.encode(swaying(FRAMES, FPS))))[None]
    weight = torch.randn(1, FRAMES, 24, 3, generator=generator)
    value = lambda body: (weight * body.joints.square()).sum((1, 2, 3))  # noqa: E731
    one = Energies([Energy(value=value, strength=torch.full((1, FRAMES), 2.0), least=0.0)], LAYOUT, norm)
    moved = one.apply(clean, level=0.5, noise=0.5)
    leaf = clean.clone().requires_grad_()
    joints = LAYOUT.joints(norm.denormalise(leaf))
    [gradient] = torch.autograd.grad((weight * joints.square()).sum(), leaf)
    size = (2 * weight * joints).square().mean().sqrt()
    turns = LAYOUT["rotations"]
    torch.testing.assert_close(moved[..., turns], (clean - gradient / size)[..., turns], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(moved[..., :4], clean[..., :4])


def test_strength_noise_and_level_say_how_far():
    norm = normaliser(LAYOUT)
    clean = norm.normalise(torch.from_numpy(LAYOUT.encode(swaying(FRAMES, FPS))))[None].repeat(2, 1, 1)
    value = lambda body: body.joints.square().sum((1, 2, 3))  # noqa: E731
    strength = torch.ones(2, FRAMES)
    strength[1, 50:] = 0

    def moved(factor: float = 1.0, noise: float = 0.5, level: float = 0.5, **options):
        energy = Energy(value=value, strength=factor * strength, least=0.0, **options)
        return Energies([energy], LAYOUT, norm).apply(clean, level=level, noise=noise) - clean

    plain, turns = moved(), LAYOUT["rotations"]
    torch.testing.assert_close(moved(factor=2.0), 2 * plain, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(moved(noise=0.25), plain / 2, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(plain[0, :50, turns], plain[1, :50, turns])
    assert not plain[1, 50:, turns].any()
    assert not moved(above=0.5).any()
    assert not moved(below=0.4).any()
    assert moved(above=0.4, below=0.5).any()


def test_what_is_nearly_reached_hardly_moves():
    body = Body(torch.randn(1, 10, 24, 3).requires_grad_(), torch.zeros(1, 10, 4))
    small = Energy(value=lambda b: 1e-6 * b.joints.sum((1, 2, 3)), strength=torch.ones(1, 10), least=1e-3)
    torch.testing.assert_close(unit_gradient(small, body), torch.full((1, 10, 24, 3), 1e-3))
    large = replace(small, value=lambda b: 7 * b.joints.sum((1, 2, 3)))
    torch.testing.assert_close(unit_gradient(large, body), torch.ones(1, 10, 24, 3))


def test_rows_do_not_depend_on_each_other(generator):
    norm = normaliser(LAYOUT)
    clean = torch.randn(3, FRAMES, LAYOUT.width, generator=generator)
    strengths = {name: torch.ones(3, FRAMES) for name in ENERGIES}
    together = energies(strengths, cues(3), layout=LAYOUT, normaliser=norm, fps=FPS).apply(clean, level=0.5, noise=0.5)
    alone = {name: torch.ones(1, FRAMES) for name in ENERGIES}
    for row in range(3):
        single = energies(alone, cues(), layout=LAYOUT, normaliser=norm, fps=FPS)
        found = single.apply(clean[row : row + 1], level=0.5, noise=0.5)
        torch.testing.assert_close(found[0], together[row], atol=1e-4, rtol=1e-4)


def test_a_mirrored_dance_is_drawn_to_the_mirror_image():
    dance = swaying(FRAMES, FPS)
    norm = normaliser(LAYOUT)
    every = energies(
        {name: torch.ones(1, FRAMES) for name in ("beats", "floor", "self")},
        cues(), layout=LAYOUT, normaliser=norm, fps=FPS,
    )  # fmt: skip

    def joints(motion):
        clean = norm.normalise(torch.from_numpy(LAYOUT.encode(motion)))[None]
        moved = norm.denormalise(every.apply(clean, level=0.5, noise=0.5))
        return LAYOUT.joints(moved)[0].numpy()

    flipped = joints(dance.mirror())[:, SMPL24.mirror_index] * np.array([-1.0, 1.0, 1.0])
    np.testing.assert_allclose(flipped, joints(dance), atol=1e-4)


@rules
def test_constraints_hold_exactly_whatever_is_wished(rule):
    dance = swaying(FRAMES, FPS)
    held = normaliser(LAYOUT).normalise(torch.from_numpy(LAYOUT.encode(dance)))[None]
    mask = torch.zeros(1, FRAMES, 1)
    mask[:, 40:60] = 1
    made = drawn(dance, rule=rule, constraints=[Constraint(mask, held)], **dict.fromkeys(ENERGIES, 1.0))
    expected = LAYOUT.decode(normaliser(LAYOUT).denormalise(held)[0].numpy(), FPS)
    np.testing.assert_array_equal(made.slice(40, 60).rotations, expected.slice(40, 60).rotations)


def test_nothing_wished_changes_nothing():
    dance = swaying(FRAMES, FPS)
    plain, wished = drawn(dance), drawn(dance, **dict.fromkeys(ENERGIES, 0.0))
    np.testing.assert_array_equal(plain.rotations, wished.rotations)


def test_music_without_beats_asks_for_none():
    silent = Cues(torch.zeros(1, FRAMES), torch.zeros(1, FRAMES))
    norm = normaliser(LAYOUT)
    clean = torch.randn(1, FRAMES, LAYOUT.width)
    strengths = {name: torch.ones(1, FRAMES) for name in ("beats", "loudness")}
    moved = energies(strengths, silent, layout=LAYOUT, normaliser=norm, fps=FPS).apply(clean, level=0.5, noise=0.5)
    torch.testing.assert_close(moved, clean)


def test_the_root_goes_by_velocity_over_the_floor():
    pull = torch.zeros(1, 20, 3)
    pull[0, 12] = torch.tensor([1.0, 1.0, 0.0])
    moved = root_push(pull)[0]
    assert moved[12, 1] > 0
    assert not moved[[11, 13], 1].any()
    steps = moved[:, 0].diff()
    assert (steps[:11] > 0).all()  # every step before the pulled frame helps
    torch.testing.assert_close(steps[12:], torch.zeros(7), atol=1e-6, rtol=0)
    assert float(moved[:, 0].mean()) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("steps", "pushes"), [(20, 1), (8, 1), (4, 2), (1, 8)])
def test_long_steps_are_taken_in_several_pushes(steps, pushes):
    calls = []
    value = lambda body: calls.append(1) or body.joints.sum((1, 2, 3))  # noqa: E731
    norm = normaliser(LAYOUT)
    one = Energies([Energy(value=value, strength=torch.ones(1, 10), least=1.0)], LAYOUT, norm)
    timesteps = [*SCHEDULE.timesteps(steps), -1]
    one.step(torch.randn(1, 10, LAYOUT.width), schedule=SCHEDULE, step=timesteps[-2], next_step=-1)
    assert len(calls) == pushes


def test_rotations_that_are_hardly_told_are_pushed_little():
    turns = torch.tensor([[1.0, 0, 0, 0, 1, 0], [0.1, 0, 0, 0, 1, 0], [1.0, 0, 0, 0.99, 0.1, 0], [3.0, 0, 0, 0, 2, 0]])
    expected = torch.tensor([1.0, 0.1, 0.1, 1.0])
    found = certainty(turns.reshape(1, 1, 24))
    torch.testing.assert_close(found, expected.repeat_interleave(6)[None, None])
