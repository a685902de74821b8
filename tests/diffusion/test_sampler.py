"""Samplers against exact solutions, their own formulas, and the schedulers of a trusted library."""

import math

import numpy as np
import pytest
import torch

from longdance.diffusion.noise import NoiseSchedule
from longdance.diffusion.sampler import DDIM, DDPM, STEP_RULES, DPMSolver2M, randn_like, sample

SCHEDULE = NoiseSchedule.cosine(1000)
MEAN, DEVIATION = 1.5, 0.4

rules = pytest.mark.parametrize("rule", STEP_RULES.values(), ids=STEP_RULES.keys())


def gaussian(noisy: torch.Tensor, step: int) -> torch.Tensor:
    """The best prediction of data drawn from N(MEAN, DEVIATION^2): linear in the noisy value."""
    signal, noise = SCHEDULE.signal_and_noise(step)
    variance = DEVIATION**2
    return (MEAN * noise**2 + variance * signal * noisy) / (noise**2 + variance * signal**2)


def exact(start: torch.Tensor) -> torch.Tensor:
    """Where the probability flow of that data takes x_T: the same quantile, from the noisiest to clean."""
    signal, noise = SCHEDULE.signal_and_noise(SCHEDULE.steps - 1)
    return MEAN + DEVIATION * (start - signal * MEAN) / math.sqrt(noise**2 + (DEVIATION * signal) ** 2)


def run(predict, rule, steps, *, shape=(1, 50, 100), seed=0, dtype=torch.float64, start=None, **options):
    generator = torch.Generator().manual_seed(seed)
    if start is None:
        start = torch.randn(shape, generator=generator, dtype=dtype)
    return sample(predict, start, schedule=SCHEDULE, rule=rule, steps=steps, generator=generator, **options)


def test_names_of_rules():
    assert set(STEP_RULES) == {"ddim", "ddpm", "dpm2m"}


@rules
@pytest.mark.parametrize("steps", [1, 2, 10, 100])
def test_a_constant_prediction_is_returned(rule, steps):
    target = torch.linspace(-2, 2, 60, dtype=torch.float64).reshape(1, 12, 5)
    found = run(lambda noisy, step: target, rule(), steps, shape=(1, 12, 5))
    torch.testing.assert_close(found, target, atol=1e-10, rtol=0)


@rules
def test_gaussian_data_comes_out_with_its_mean_and_deviation(rule):
    found = run(gaussian, rule(), 200)
    assert found.mean().item() == pytest.approx(MEAN, abs=0.02)
    assert found.std().item() == pytest.approx(DEVIATION, rel=0.04)


@pytest.mark.parametrize("rule", [DDIM, DPMSolver2M])
def test_deterministic_rules_follow_the_probability_flow(rule):
    start = torch.linspace(-3, 3, 31, dtype=torch.float64).reshape(1, 31, 1)
    error = (run(gaussian, rule(), 500, start=start) - exact(start)).abs().max()
    assert error < 0.01


def test_the_second_order_rule_gains_more_from_more_steps():
    start = torch.linspace(-3, 3, 31, dtype=torch.float64).reshape(1, 31, 1)
    error = {}
    for rule in (DDIM, DPMSolver2M):
        for steps in (20, 40, 80):
            error[rule, steps] = (run(gaussian, rule(), steps, start=start) - exact(start)).abs().max().item()
    assert error[DPMSolver2M, 20] < error[DDIM, 20] / 2
    assert error[DPMSolver2M, 40] < error[DDIM, 40] / 2
    gain = {rule: error[rule, 20] / error[rule, 80] for rule in (DDIM, DPMSolver2M)}
    assert gain[DDIM] > 2.5
    assert gain[DPMSolver2M] > 1.5 * gain[DDIM]


@pytest.mark.parametrize(("step", "next_step"), [(999, 998), (500, 499), (400, 300), (1, 0), (0, -1)])
def test_ddim_with_eta_one_is_ddpm(step, next_step, rng):
    noisy, clean = (torch.from_numpy(rng.normal(size=(1, 6, 4))) for _ in range(2))
    results = [
        rule.step(
            noisy, clean, schedule=SCHEDULE, step=step, next_step=next_step,
            generator=torch.Generator().manual_seed(5),
        )
        for rule in (DDIM(eta=1.0), DDPM())
    ]  # fmt: skip
    torch.testing.assert_close(*results, atol=1e-9, rtol=0)


def test_the_ddpm_step_is_the_posterior_by_bayes(rng):
    """q(x_t | x_s, x_0) is the product of two Gaussians, worked out here by precision weighting."""
    step, next_step, count = 600, 550, 200_000
    signal, _ = SCHEDULE.signal_and_noise(step)
    next_signal, next_noise = SCHEDULE.signal_and_noise(next_step)
    noisy, clean = 0.8, -0.3
    ratio = signal / next_signal
    likelihood, prior = ratio**2 / (1 - ratio**2), 1 / next_noise**2
    mean = (noisy / ratio * likelihood + next_signal * clean * prior) / (likelihood + prior)
    found = DDPM().step(
        torch.full((1, count, 1), noisy).double(), torch.full((1, count, 1), clean).double(),
        schedule=SCHEDULE, step=step, next_step=next_step, generator=torch.Generator().manual_seed(1),
    )  # fmt: skip
    assert found.mean().item() == pytest.approx(mean, abs=0.003)
    assert found.var().item() == pytest.approx(1 / (likelihood + prior), rel=0.02)


def test_ddim_moves_along_the_line_through_the_predicted_noise():
    schedule, generator = SCHEDULE, torch.Generator()
    clean, epsilon = torch.full((1, 1, 1), 0.7).double(), torch.full((1, 1, 1), -1.1).double()

    def at(step):
        return sum(f * v for f, v in zip(schedule.signal_and_noise(step), (clean, epsilon), strict=True))

    for step, next_step in ((999, 700), (700, 3), (3, 0), (0, -1)):
        found = DDIM().step(
            at(step), clean, schedule=schedule, step=step, next_step=next_step, generator=generator
        )
        torch.testing.assert_close(found, at(next_step) if next_step >= 0 else clean)


@pytest.mark.parametrize("rule", [DDIM, DPMSolver2M])
def test_deterministic_rules_draw_nothing(rule):
    generator = torch.Generator().manual_seed(3)
    before = generator.get_state()
    sample(
        gaussian, torch.zeros(1, 2, 3, dtype=torch.float64), schedule=SCHEDULE, rule=rule(), steps=5,
        generator=generator,
    )  # fmt: skip
    assert torch.equal(generator.get_state(), before)


@rules
def test_the_same_seed_gives_the_same_and_another_another(rule):
    assert torch.equal(run(gaussian, rule(), 7, seed=3), run(gaussian, rule(), 7, seed=3))
    assert not torch.equal(run(gaussian, rule(), 7, seed=3), run(gaussian, rule(), 7, seed=4))


def test_ddpm_draws_fresh_noise_from_the_generator_alone():
    start = torch.zeros(1, 4, 3)
    torch.manual_seed(1)
    first = run(gaussian, DDPM(), 5, seed=1, start=start)
    torch.manual_seed(2)
    assert torch.equal(first, run(gaussian, DDPM(), 5, seed=1, start=start))
    assert not torch.equal(first, run(gaussian, DDPM(), 5, seed=2, start=start))


@rules
def test_rows_with_generators_of_their_own_do_not_depend_on_the_batch(rule):
    def rows(seeds):
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        start = randn_like(torch.empty(len(seeds), 4, 3), generators)
        return sample(gaussian, start, schedule=SCHEDULE, rule=rule(), steps=5, generator=generators)

    torch.testing.assert_close(rows([3, 8, 5])[1:2], rows([8]))
    assert not torch.equal(rows([3]), rows([8]))


@rules
def test_a_fresh_rule_knows_nothing_of_earlier_runs(rule):
    assert rule() is not rule()
    run(lambda noisy, step: noisy * 0 + 9, rule(), 5)
    assert torch.equal(run(gaussian, rule(), 5), run(gaussian, rule(), 5))


@rules
def test_the_start_is_not_changed_and_the_dtype_kept(rule):
    start = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    before = start.clone()
    found = run(gaussian, rule(), 4, start=start)
    assert torch.equal(start, before)
    assert found.dtype == torch.float32
    assert torch.isfinite(found).all()


@rules
def test_every_step_from_noisy_to_clean_is_asked_once(rule):
    asked = []

    def predict(noisy, step):
        asked.append(step)
        return gaussian(noisy, step)

    run(predict, rule(), 6)
    assert asked == SCHEDULE.timesteps(6)


@rules
def test_progress_counts_to_the_end_and_may_cancel(rule):
    seen = []
    run(gaussian, rule(), 5, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 5) for i in range(1, 6)]

    class Stop(Exception):
        pass

    calls = []

    def stop(done, total):
        if done == 2:
            raise Stop

    def counting(noisy, step):
        calls.append(step)
        return gaussian(noisy, step)

    with pytest.raises(Stop):
        run(counting, rule(), 5, progress=stop)
    assert len(calls) == 2


def test_noise_is_standard_normal_of_the_wanted_type():
    noise = randn_like(torch.zeros(200, 300, dtype=torch.float64), torch.Generator().manual_seed(0))
    assert noise.dtype == torch.float64
    assert abs(noise.mean().item()) < 0.02
    assert noise.std().item() == pytest.approx(1, abs=0.01)


def scheduler_of(name: str):
    """The trusted library's scheduler with our schedule, spacing and prediction type."""
    module, options = {
        "DDIMScheduler": ("ddim", {"set_alpha_to_one": True, "clip_sample": False}),
        "DDPMScheduler": ("ddpm", {"variance_type": "fixed_small", "clip_sample": False}),
        "DPMSolverMultistepScheduler": (
            "dpmsolver_multistep",
            {"algorithm_type": "dpmsolver++", "solver_order": 2, "final_sigmas_type": "zero"},
        ),
    }[name]
    package = pytest.importorskip(f"diffusers.schedulers.scheduling_{module}")
    scheduler = getattr(package, name)(
        num_train_timesteps=1000,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="sample",
        timestep_spacing="trailing",
        **options,
    )
    np.testing.assert_allclose(scheduler.alphas_cumprod, SCHEDULE.alpha_bar, rtol=2e-3, atol=1e-9)
    scheduler.alphas_cumprod = SCHEDULE.alpha_bar
    return scheduler


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # theirs
@pytest.mark.parametrize("steps", [1, 2, 10, 50])
@pytest.mark.parametrize(
    ("rule", "name", "options"),
    [
        (DDIM(), "DDIMScheduler", {}),
        (DDIM(eta=1.0), "DDIMScheduler", {"eta": 1.0}),
        (DDPM(), "DDPMScheduler", {}),
        (DPMSolver2M, "DPMSolverMultistepScheduler", {}),
    ],
    ids=["ddim", "ddim eta 1", "ddpm", "dpm2m"],
)
def test_trajectories_are_those_of_a_trusted_library(rule, name, options, steps):
    scheduler = scheduler_of(name)
    scheduler.set_timesteps(steps)
    assert scheduler.timesteps.tolist() == SCHEDULE.timesteps(steps)
    start = torch.randn(1, 5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    # A prediction that bends, so that every term of a step matters.
    predict = lambda noisy, step: torch.tanh(noisy) + 0.1 * math.sin(step)  # noqa: E731
    theirs, generator = start, torch.Generator().manual_seed(9)
    if "eta" in options or name == "DDPMScheduler":
        options = {**options, "generator": generator}
    for step in scheduler.timesteps:
        theirs = scheduler.step(predict(theirs, int(step)), step, theirs, **options).prev_sample
    ours = run(predict, rule() if isinstance(rule, type) else rule, steps, seed=9, start=start)
    torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=2e-5)
