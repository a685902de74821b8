"""Training: it learns, it resumes to the last bit, and it refuses data that does not fit."""

from itertools import pairwise

import pytest
import torch
from lightning.fabric.plugins.precision import MixedPrecision, Precision
from safetensors.torch import load_file

from longdance.choreography.pretrained import load
from longdance.data.store import Store
from longdance.diffusion.noise import NoiseSchedule
from longdance.errors import InputError
from longdance.models.pmd import ParallelMambaDenoiser
from longdance.train import loop
from longdance.train.batches import BatchConfig, BatchSource
from longdance.train.loop import fabric_for, learning_rate_factor, running_average, train
from longdance.train.overrides import override
from longdance.train.recipes import tiny

# Lightning and TensorBoard warn about their own use of other libraries; nothing of ours is at fault.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:lightning"),
]

SMALL = ["network.width=32", "network.state=8", "batch.size=2", "batch.window=40", "precision=32-true"]


@pytest.mark.parametrize(("in_hardware", "kind"), [(True, MixedPrecision), (False, Precision)])
def test_bf16_is_used_where_a_device_multiplies_it(in_hardware, kind, monkeypatch):
    """In software a product of bf16 takes a hundred times as long as one of float32."""
    monkeypatch.setattr(loop, "multiplies_bf16", lambda device: in_hardware)
    fabric = fabric_for(override(tiny(), ["precision=bf16-mixed"]), devices=1, nodes=1)
    assert type(fabric._precision) is kind


class Killed(Exception):
    pass


def test_a_killed_run_resumes_to_the_same_bits(small_store, tmp_path):
    store = Store.open(small_store)
    config = override(tiny(), [*SMALL, "steps=6", "checkpoint_every=2", "validate_every=100"])

    def kill_after_five(done: int, total: int, what: str) -> None:
        if done == 5:
            raise Killed

    train(config, store, tmp_path / "whole")
    with pytest.raises(Killed):
        train(config, store, tmp_path / "killed", progress=kill_after_five)
    train(config, store, tmp_path / "killed", resume=True)
    whole, resumed = (load_file(tmp_path / run / "last" / "state.safetensors") for run in ("whole", "killed"))
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_training_begins_with_the_weights_and_statistics_of_another(small_store, tmp_path):
    store = Store.open(small_store)
    train(override(tiny(), [*SMALL, "steps=2"]), store, tmp_path / "first")
    kept = load(tmp_path / "first").checkpoint
    task = override(tiny(), [*SMALL, "network.width=64", f"initial={tmp_path / 'first'}"]).task(store)
    assert task.config.network.width == 32, "the network is the one that is trained further"
    for name, tensor in kept.network.state_dict().items():
        assert torch.equal(task.networks["network"].state_dict()[name], tensor), name
    assert torch.equal(task.statistics.normaliser.scale, kept.normaliser.scale)
    with pytest.raises(InputError, match="layout"):
        override(tiny(), ["layout=smpl24", f"initial={tmp_path / 'first'}"]).task(store)
    with pytest.raises(InputError, match="initial=FOLDER"):
        override(tiny(), ["initial="]).task(store)


def test_a_finished_run_is_not_overwritten_and_its_folder_can_be_loaded(small_store, tmp_path):
    store = Store.open(small_store)
    config = override(tiny(), [*SMALL, "steps=2", "checkpoint_every=1"])
    train(config, store, tmp_path)
    with pytest.raises(InputError, match="--resume"):
        train(config, store, tmp_path)
    with pytest.raises(InputError, match=r"does not fit these settings: network.width was 32, is 16\."):
        train(override(config, ["network.width=16"]), store, tmp_path, resume=True)
    with pytest.raises(InputError, match=r"learning_rate was 0.001, is 0.1; seed was 0, is 3; batches_per_step was 1"):
        train(override(config, ["seed=3", "learning_rate=0.1"]), store, tmp_path, resume=True, accumulate=2)
    train(override(config, ["steps=3", "validate_every=7", "checkpoint_every=3"]), store, tmp_path, resume=True)
    model = load(tmp_path)
    assert model.checkpoint.config.genres == ("disco", "salsa")
    assert model.checkpoint.config.trained_steps == 3


def test_one_window_is_learnt_to_near_zero(small_store):
    config = tiny()
    batches = BatchSource(
        Store.open(small_store),
        BatchConfig(size=1, window=60, drop_all=0, drop_text=0),
        split="train",
        text_encoder=config.text_encoder,
        seed=0,
    )
    batch = batches.draw(0)
    motion = batch.motion.repeat(8, 1, 1)
    conditions = type(batch.conditions)(*(f.repeat(8, *[1] * (f.ndim - 1)) for f in batch.conditions))
    torch.manual_seed(0)
    network = ParallelMambaDenoiser(config.network)
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    schedule, generator = NoiseSchedule.cosine(), torch.Generator().manual_seed(0)
    losses = []
    for _ in range(150):
        step = torch.randint(1000, (8,), generator=generator)
        noisy = schedule.add_noise(motion, step, torch.randn(motion.shape, generator=generator))
        loss = (network(noisy, step, conditions) - motion).pow(2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) / 10 < 0.01 * losses[0]


def test_data_that_does_not_fit_the_recipe_is_refused(small_store, tmp_path):
    store = Store.open(small_store)
    for setting, message in (
        ("network.fps=60", "fps"),
        ("network.diffusion_steps=500", "diffusion_steps"),
        ("network.features=139", "motion features"),
        ("music_encoder=librosa35", "music encoder"),
        ("network.music_channels=35", "music_channels=12"),
    ):
        with pytest.raises(InputError, match=message):
            train(override(tiny(), [setting]), store, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("setting", ["steps=0", "checkpoint_every=0", "batch.size=0", "batch.drop_all=2", "ema=1"])
def test_settings_that_train_nothing_are_refused(setting):
    with pytest.raises(InputError, match=setting.partition("=")[0]):
        override(tiny(), [setting])


def test_learning_rate_rises_stays_and_falls():
    config = override(tiny(), ["steps=100", "warmup=10", "cooldown=0.2"])
    factors = [learning_rate_factor(step, config) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9:80] == [1.0] * 71
    assert factors[99] == pytest.approx(0.05)
    assert all(after <= before for before, after in pairwise(factors[80:]))


def test_the_noisiest_third_gets_its_share_of_the_examples(small_store):
    for share in (1 / 3, 0.6):
        task = tiny().model_copy(update={"noisiest_share": share}).task(Store.open(small_store))
        steps = task.draw_steps(30_000, torch.Generator().manual_seed(1))
        assert (steps >= 2000 / 3).float().mean().item() == pytest.approx(share, abs=0.01)
        assert steps.min() == 0
        assert steps.max() == 999
        low = steps[steps < 666]
        assert low.float().mean().item() == pytest.approx(333, abs=8)


def test_the_running_average_is_the_weighted_sum_of_all_weights_there_were(rng):
    """Weight k counts 1 - d_k, times all later decays d, where d_k is the least of the decay and (1 + k) / (10 + k)."""
    decay, steps = 0.6, 16
    values = [torch.from_numpy(rng.normal(size=3)) for _ in range(steps)]
    mean = values[0].clone()
    for count, value in enumerate(values[1:], start=1):
        running_average(decay)([mean], [value], count)
    decays = [min(decay, (1 + k) / (10 + k)) for k in range(steps)]
    wanted = torch.zeros(3, dtype=torch.float64)
    for k, value in enumerate(values):
        share = 1.0 if k == 0 else 1 - decays[k]
        for later in range(k + 1, steps):
            share *= decays[later]
        wanted += share * value
    torch.testing.assert_close(mean, wanted)
    assert decays[-1] == decay > decays[1]  # forgets faster at first, then at the decay
