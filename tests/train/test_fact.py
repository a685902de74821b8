"""FACT from recipe to dance."""

import numpy as np
import pytest
import torch

from longdance.choreography.dancer import Dancer
from longdance.choreography.pretrained import load
from longdance.data.store import Store
from longdance.errors import InputError
from longdance.features.song import Song
from longdance.models.generators import GeneratorCheckpoint
from longdance.motion.layout import LAYOUTS
from longdance.registry import RECIPES
from longdance.train.generation import seed_pool
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
    "network.width=16", "network.feedforward=16", "network.attention_heads=2", "network.cross_layers=1",
    "network.music_channels=12", "music_encoder=plan", "network.seed_frames=20",
    "network.music_frames=40", "network.future=10", "network.pool=4", "batch.size=2", "batch.window=40",
    "precision=32-true", "steps=3", "checkpoint_every=1", "warmup=1",
]  # fmt: skip


def config_of(*settings: str):
    return override(RECIPES["fact-open"](), [*SMALL, *settings])


@pytest.fixture(scope="module")
def model(small_store, tmp_path_factory) -> Dancer:
    return load(train(config_of(), Store.open(small_store), tmp_path_factory.mktemp("run")))


@pytest.fixture(scope="module")
def song() -> Song:
    samples = np.sin(np.arange(5 * 22050) * 0.05).astype(np.float32)
    return Song.from_samples(samples, 22050, beat_times=np.arange(0, 5, 0.5))


def test_a_trained_folder_dances(model, song):
    assert model.kind == "fact"
    dance = model.generate(song)
    assert dance.frames == 150
    assert np.isfinite(dance.joints()).all()
    raw = model.generate(song, cleanup=False)
    np.testing.assert_allclose(raw.root_position[0, [0, 2]], 0, atol=1e-9)
    np.testing.assert_array_equal(dance.joints(), model.generate(song).joints())
    others = [model.generate(song, seed=seed).joints() for seed in range(1, 5)]
    assert not all(np.array_equal(dance.joints(), other) for other in others)
    assert "steps" not in dance.meta
    assert dance.meta["model"] == model.name


def test_words_change_nothing_and_the_user_is_told(model, song):
    asked = model.generate(song, genre="salsa", prompt="slowly")
    np.testing.assert_array_equal(asked.joints(), model.generate(song).joints())
    assert any("music alone" in note for note in asked.meta["notes"])


@pytest.mark.parametrize("seconds", [0.06, 0.4, 1.3])
def test_a_dance_is_as_long_as_its_song(seconds, model):
    samples = np.sin(np.arange(round(seconds * 22050)) * 0.05).astype(np.float32)
    song = Song.from_samples(samples, 22050, beat_times=np.array([0.0, 0.5]))
    assert model.generate(song, cleanup=False).frames == max(1, round(seconds * 30))


def test_the_future_is_learnt(small_store):
    task = config_of("seed_noise=0", "batch.size=4", "network.residual=false", "losses.velocity=0").task(
        Store.open(small_store)
    )
    batch, optimiser = task.draw(0, rank=0), torch.optim.Adam(task.networks[KEPT].parameters(), lr=5e-3)
    generator, reached = torch.Generator().manual_seed(0), []
    for _ in range(80):
        losses = task.losses(task.networks, batch, generator, lambda: torch.autocast("cpu", enabled=False))[KEPT]
        optimiser.zero_grad()
        losses["reconstruction"].backward()
        optimiser.step()
        reached.append(losses["reconstruction"].item())
    assert reached[-1] < 0.1 * reached[0]


def test_seeds_are_beginnings_of_training_dances_and_come_with_the_weights(small_store, model):
    store = Store.open(small_store)
    layout = LAYOUTS["smpl24"]
    pool, takes = seed_pool(store, layout, count=4, frames=20)
    assert {take.genre for take in takes} == {"salsa", "disco"}
    salsa = next(take for take in store.select("train") if take.genre == "salsa")
    own = pool[[take is salsa for take in takes].index(True)]
    np.testing.assert_allclose(own[:, 7:], store.motion_of(salsa, layout)[:20, 7:])
    torch.testing.assert_close(model.checkpoint.network.pool, pool)


def test_a_folder_that_does_not_fit_is_refused(small_store, tmp_path):
    store = Store.open(small_store)
    for setting, message in (
        ("network.fps=60", "fps"),
        ("network.features=139", "motion features"),
        ("music_encoder=librosa35", "music encoder"),
        ("network.music_channels=35", "music channels"),
        ("batch.window=50", "music_frames"),
    ):
        with pytest.raises(InputError, match=message):
            train(config_of(setting), store, tmp_path / "run")
    with pytest.raises(InputError, match="checkpoint"):
        GeneratorCheckpoint.load(tmp_path)
