"""A tiny denoiser's samples, and a tiny module trained on them."""

import json

import numpy as np
import pytest
import torch

from longdance.choreography.pretrained import load
from longdance.data.store import Store
from longdance.diffusion.noise import NoiseSchedule
from longdance.errors import InputError
from longdance.models.checkpoint import Checkpoint, CheckpointConfig
from longdance.models.pmd import ParallelMambaDenoiser, PMDConfig
from longdance.models.trm import Refiner
from longdance.train.batches import BatchConfig, BatchSource, Statistics
from longdance.train.loop import train
from longdance.train.overrides import override
from longdance.train.refinement import (
    RefinementTask,
    SampleSettings,
    denoiser_checksum,
    edmg_trm_aistpp,
    edmg_trm_open,
    make_samples,
    partly_denoised,
)

WINDOW = 40
SETTINGS = SampleSettings(windows=6, rows=4)


class Faithful(ParallelMambaDenoiser):
    """A denoiser that takes what it is given for clean motion."""

    def forward(self, noisy, step, conditions, heard=None):
        return noisy


def checkpoint_of(store: Store, kind: type[ParallelMambaDenoiser] = ParallelMambaDenoiser) -> Checkpoint:
    torch.manual_seed(0)
    network = PMDConfig(
        features=155, fps=30, music_channels=12, width=8, depth=1, heads=2, state=2, attention_heads=2, dropout=0.0,
        precondition=True, chunk=10,
    )  # fmt: skip
    mean, scale = store.music_statistics
    return Checkpoint(
        CheckpointConfig(
            denoiser="pmd", network=network.model_dump(), layout="floor24", fps=30.0, window=WINDOW,
            diffusion_steps=1000, music_encoder="plan", text_encoder="all-MiniLM-L6-v2",
        ),
        kind(network).eval().requires_grad_(False),
        store.normaliser,
        torch.from_numpy(mean),
        torch.from_numpy(scale),
    )  # fmt: skip


@pytest.fixture(scope="module")
def store(small_store) -> Store:
    return Store.open(small_store)


@pytest.fixture(scope="module")
def checkpoint(store) -> Checkpoint:
    return checkpoint_of(store)


@pytest.fixture(scope="module")
def denoiser(checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("denoiser")
    checkpoint.save(folder)
    return folder


def config_of(denoiser, *settings: str):
    return override(
        edmg_trm_open(),
        [
            f"denoiser={denoiser}", "network.window=16", "network.width=8", "batch_size=4", "steps=4",
            "sampling.windows=6", "sampling.rows=4", "validate_every=2", "checkpoint_every=2", *settings,
        ],
    )  # fmt: skip


def windows_of(store: Store, checkpoint: Checkpoint):
    source = BatchSource(
        store, BatchConfig(size=4, window=WINDOW, drop_all=0, drop_text=0), split="train",
        text_encoder=checkpoint.config.text_encoder, seed=0, statistics=Statistics.of_checkpoint(checkpoint),
    )  # fmt: skip
    return source.draw(0)


def test_a_sample_is_the_window_with_the_noise_that_the_denoiser_leaves(store):
    """A denoiser that removes nothing: what is left is the noise of the drawn level."""
    checkpoint = checkpoint_of(store, Faithful)
    batch = windows_of(store, checkpoint)
    for level in (0.05, 0.3):
        settings = SampleSettings(lowest_level=level, highest_level=level + 1e-4, steps=1)
        sample = partly_denoised(checkpoint, batch, settings, generator=torch.Generator().manual_seed(0))
        signal, noise = NoiseSchedule.cosine(1000).signal_and_noise(round(1000 * level) - 1)
        left = ((sample - signal * batch.motion) / noise)[..., :100]
        assert (left.mean().item(), left.std().item()) == pytest.approx((0, 1), abs=0.02)


def test_samples_are_made_once_and_anew_for_other_settings(store, checkpoint, tmp_path):
    calls = []
    pairs = make_samples(checkpoint, store, tmp_path, settings=SETTINGS, progress=lambda *_: calls.append(1))
    assert calls
    assert pairs["train"].predicted.shape == (8, WINDOW, 24, 3)  # whole batches
    assert len(pairs["val"].valid) == 1
    made = np.array(pairs["train"].predicted)
    again = make_samples(checkpoint, store, tmp_path, settings=SETTINGS, progress=lambda *_: pytest.fail("made again"))
    np.testing.assert_array_equal(again["train"].predicted, made)
    other = SETTINGS.model_copy(update={"seed": 1})
    assert not np.array_equal(make_samples(checkpoint, store, tmp_path, settings=other)["train"].predicted, made)


def test_targets_are_the_store_s_dances(store, checkpoint, tmp_path):
    pairs = make_samples(checkpoint, store, tmp_path, settings=SETTINGS)["train"]
    pelvis = np.array(pairs.target)[:, 0, 0]
    np.testing.assert_allclose(pelvis[:, [0, 2]], 0, atol=1e-4)  # every window begins above its origin
    bones = np.linalg.norm(np.diff(np.array(pairs.target)[:, :, [4, 7]], axis=2), axis=-1)
    np.testing.assert_allclose(bones, np.linalg.norm(store.layout.skeleton.offsets[7]), atol=1e-3)


def test_batches_are_functions_of_the_step_and_turned_as_one(store, denoiser):
    task = RefinementTask(config_of(denoiser), store)
    first, again, other = (task.draw(step, rank=0) for step in (3, 3, 4))
    assert torch.equal(first.predicted, again.predicted)
    assert not torch.equal(first.predicted, other.predicted)
    assert first.predicted.shape == (4, 16, 24, 3)
    # Heights, and distances between the two tracks, are those of some window of the samples.
    heights = task.pairs["train"].target[..., 1]
    for track in first.target[..., 1].numpy():
        cuts = np.lib.stride_tricks.sliding_window_view(heights, 16, axis=1).transpose(0, 1, 3, 2)
        assert np.abs(cuts - track).max((2, 3)).min() < 1e-5


def test_a_trained_module_lies_in_its_model_and_is_used(store, denoiser):
    run = train(config_of(denoiser), store, denoiser / "trm")
    refiner = Refiner.load(run)
    assert refiner.config.trained_steps == 4
    assert refiner.config.denoiser == denoiser_checksum(Checkpoint.load(denoiser))
    assert any((value != 0).any() for value in (refiner.network.correction.weight, refiner.network.identity))
    assert load(denoiser).trm.config == refiner.config


def test_a_resumed_training_ends_with_the_same_weights(store, denoiser, tmp_path):
    whole = train(config_of(denoiser), store, tmp_path / "whole")
    stopped = tmp_path / "stopped"

    def stop(done, total, what):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config_of(denoiser), store, stopped, progress=stop)
    assert json.loads((stopped / "config.json").read_text())["trained_steps"] == 2
    train(config_of(denoiser), store, stopped, resume=True)
    first, second = (Refiner.load(folder).network.state_dict() for folder in (whole, stopped))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["denoiser="], "denoiser=FOLDER"),
        (["network.fps=60"], "fps"),
        (["network.joints=22"], "joints"),
        (["network.window=41"], "at most 40"),
    ],
)
def test_what_does_not_fit_is_refused(store, denoiser, settings, said):
    with pytest.raises(InputError, match=said):
        config_of(denoiser, *settings).task(store)


def test_the_paper_s_recipe_has_the_paper_s_numbers():
    config = edmg_trm_aistpp()
    assert (config.network.blocks, config.network.fps, config.batch_size, config.learning_rate) == (5, 60, 32, 2e-4)
    assert (config.losses.position, config.losses.acceleration, config.losses.reference_fps) == (1, 1, 60)


def test_every_pair_is_turned_about_the_vertical_by_an_angle_of_its_own(store, denoiser):
    """Horizontal distances between joints keep their length and change their direction, another way in every row."""
    task = RefinementTask(config_of(denoiser), store)
    pairs, angles = task.pairs["train"], []
    for step in range(6):
        batch = task.draw(step, rank=0)
        for track in batch.target.numpy():
            cuts = np.lib.stride_tricks.sliding_window_view(pairs.target, 16, axis=1)
            cuts = cuts.transpose(0, 1, 4, 2, 3).reshape(-1, 16, 24, 3)
            own = cuts[np.abs(cuts[..., 1] - track[..., 1]).max((1, 2)).argmin()]
            went, goes = (each[0, 16] - each[0, 17] for each in (own, track))  # from shoulder to shoulder
            assert np.hypot(went[0], went[2]) == pytest.approx(np.hypot(goes[0], goes[2]), abs=1e-4)
            angles.append(np.arctan2(went[2], went[0]) - np.arctan2(goes[2], goes[0]))
    angles = np.mod(angles, 2 * np.pi)
    assert len(np.unique(np.round(angles, 3))) > 0.8 * len(angles)
    quarters = np.histogram(angles, bins=4, range=(0, 2 * np.pi))[0]
    assert (quarters > 0).all()
