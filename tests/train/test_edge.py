"""EDGE from recipe to dance."""

import numpy as np
import pytest

from longdance.choreography.dancer import Dancer
from longdance.choreography.pretrained import load
from longdance.data.store import Store
from longdance.errors import InputError
from longdance.features.song import Song
from longdance.registry import RECIPES
from longdance.train.loop import train
from longdance.train.overrides import override

# Lightning and TensorBoard warn about their own use of other libraries; nothing of ours is at fault.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:lightning"),
]

SMALL = [
    "network.width=32", "network.depth=1", "network.feedforward=32", "network.attention_heads=2",
    "network.music_channels=12", "music_encoder=plan", "batch.size=2", "batch.window=60",
    "precision=32-true", "steps=3", "checkpoint_every=1",
]  # fmt: skip


@pytest.fixture(scope="module")
def model(small_store, tmp_path_factory) -> Dancer:
    config = override(RECIPES["edge-open"](), SMALL)
    return load(train(config, Store.open(small_store), tmp_path_factory.mktemp("run")))


@pytest.fixture(scope="module")
def song() -> Song:
    samples = np.sin(np.arange(5 * 22050) * 0.05).astype(np.float32)
    return Song.from_samples(samples, 22050, beat_times=np.arange(0, 5, 0.5))


def test_a_trained_folder_dances_with_windows_that_overlap_by_half(model, song):
    assert model.kind == "edge"
    assert model.generator.plan(1000).overlap == 30
    dance = model.generate(song, steps=3)
    assert dance.frames == 150
    assert np.isfinite(dance.joints()).all()
    again = model.generate(song, steps=3)
    np.testing.assert_array_equal(dance.joints(), again.joints())
    assert not np.array_equal(dance.joints(), model.generate(song, steps=3, seed=1).joints())


def test_words_change_nothing_and_the_user_is_told(model, song):
    plain = model.generate(song, steps=2)
    assert not plain.meta["notes"]
    for words in ({"genre": "salsa"}, {"prompt": "as a robot would"}):
        asked = model.generate(song, steps=2, **words)
        np.testing.assert_array_equal(plain.joints(), asked.joints())
        assert any("music alone" in note for note in asked.meta["notes"])
        assert asked.meta["genre"] is None
    with pytest.raises(InputError):
        model.generate(song, genre="no such genre")


def test_music_guidance_needs_two_predictions(model, song, monkeypatch):
    rows = []
    network = model.checkpoint.network
    monkeypatch.setattr(type(network), "__call__", lambda self, noisy, *rest: rows.append(len(noisy)) or noisy)
    model.generate(song, steps=1, text_guidance=6.0)
    assert sum(rows) == 2 * model.generator.plan(150).count


def test_the_papers_recipe_wants_jukebox(small_store, tmp_path):
    with pytest.raises(InputError, match="music encoder"):
        train(RECIPES["edge-aistpp"](), Store.open(small_store), tmp_path / "run")
