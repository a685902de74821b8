"""MNET from recipe to dance."""

import numpy as np
import pytest
import torch

from longdance.choreography.dancer import Dancer
from longdance.choreography.pretrained import load
from longdance.data.store import Store
from longdance.errors import InputError
from longdance.features.song import Song
from longdance.registry import RECIPES
from longdance.train.lodge import DISCRIMINATOR
from longdance.train.loop import train
from longdance.train.overrides import override
from longdance.train.task import KEPT

# Lightning and TensorBoard warn about their own use of other libraries; nothing of ours is at fault.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:lightning"),
]

SMALL = [
    "network.width=16", "network.feedforward=16", "network.attention_heads=2", "network.depth=1",
    "network.music_channels=12", "music_encoder=plan", "network.seed_frames=10", "network.future=30",
    "network.pool=4", "network.noise=4", "adversary.width=16", "adversary.feedforward=16", "adversary.depth=1",
    "adversary.attention_heads=2", "batch.size=2", "batch.window=40", "precision=32-true", "steps=3",
    "checkpoint_every=1", "warmup=1",
]  # fmt: skip


def config_of(*settings: str):
    return override(RECIPES["mnet-open"](), [*SMALL, *settings])


def exact():
    return torch.autocast("cpu", enabled=False)


@pytest.fixture(scope="module")
def model(small_store, tmp_path_factory) -> Dancer:
    return load(train(config_of(), Store.open(small_store), tmp_path_factory.mktemp("run")))


@pytest.fixture(scope="module")
def song() -> Song:
    samples = np.sin(np.arange(5 * 22050) * 0.05).astype(np.float32)
    return Song.from_samples(samples, 22050, beat_times=np.arange(0, 5, 0.5))


def test_a_trained_folder_dances_in_the_genre_asked_for(model, song):
    assert model.kind == "mnet"
    assert model.checkpoint.network.config.genres == ("disco", "none", "salsa")
    dance = model.generate(song, genre="salsa")
    assert dance.frames == 150
    assert np.isfinite(dance.joints()).all()
    assert dance.meta["genre"] == "salsa"
    np.testing.assert_array_equal(dance.joints(), model.generate(song, genre="salsa").joints())
    assert not np.array_equal(dance.joints(), model.generate(song, genre="disco").joints())
    assert not np.array_equal(dance.joints(), model.generate(song, genre="salsa", seed=1).joints())


def test_further_words_change_nothing_and_the_user_is_told(model, song):
    asked = model.generate(song, genre="salsa", prompt="slowly")
    np.testing.assert_array_equal(asked.joints(), model.generate(song, genre="salsa").joints())
    assert any("genre alone" in note for note in asked.meta["notes"])
    assert any("not trained" in note for note in model.generate(song, genre="krump").meta["notes"])


def test_each_network_gets_gradients_from_its_own_loss_alone(small_store):
    task = config_of().task(Store.open(small_store))
    losses = task.losses(task.networks, task.draw(0, rank=0), torch.Generator().manual_seed(0), exact)
    losses[KEPT]["total"].backward()
    assert all(parameter.grad is None for parameter in task.networks[DISCRIMINATOR].parameters())
    before = [parameter.grad.clone() for parameter in task.networks[KEPT].parameters() if parameter.grad is not None]
    losses[DISCRIMINATOR]["total"].backward()
    after = [parameter.grad for parameter in task.networks[KEPT].parameters() if parameter.grad is not None]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert any(parameter.grad is not None for parameter in task.networks[DISCRIMINATOR].parameters())


def test_the_discriminator_learns_to_tell_and_noises_to_differ(small_store):
    task = config_of("seed_noise=0", "adversarial=0", "diversity=1").task(Store.open(small_store))
    batch, generator = task.draw(0, rank=0), torch.Generator().manual_seed(0)
    optimisers = {name: torch.optim.Adam(network.parameters(), lr=3e-3) for name, network in task.networks.items()}
    found = []
    for _ in range(60):
        losses = task.losses(task.networks, batch, generator, exact)
        for name, optimiser in optimisers.items():
            losses[name]["total"].backward()
            optimiser.step()
            optimiser.zero_grad()
        found.append({name: {k: v.item() for k, v in terms.items()} for name, terms in losses.items()})
    assert found[-1][DISCRIMINATOR]["total"] < 0.5 * found[0][DISCRIMINATOR]["total"]
    assert found[-1][KEPT]["diversity"] > 2 * found[0][KEPT]["diversity"]
    assert found[-1][KEPT]["reconstruction"] < found[0][KEPT]["reconstruction"]


def test_windows_must_hold_seed_and_future(small_store):
    with pytest.raises(InputError, match="seed_frames"):
        config_of("batch.window=50").task(Store.open(small_store))
