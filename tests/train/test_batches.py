"""Batches: repeatable, centred, balanced, with conditions dropped at the configured rates."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from longdance.data.store import Store
from longdance.errors import InputError
from longdance.features import text as text_features
from longdance.features import text_embeddings
from longdance.features.rhythm_plan import CHANNELS, CURVES, PARTS, PULSE
from longdance.train.batches import BatchConfig, BatchSource, embeddings_of_labels, take_probabilities

ENCODER = "all-MiniLM-L6-v2"


def source(small_store, **fields) -> BatchSource:
    config = BatchConfig(**{"size": 64, "window": 60, **fields})
    return BatchSource(Store.open(small_store), config, split="train", text_encoder=ENCODER, seed=3)


def test_the_same_step_gives_the_same_batch_and_another_step_another(small_store):
    first, again, later = (source(small_store).draw(step) for step in (5, 5, 6))
    assert torch.equal(first.motion, again.motion)
    assert torch.equal(first.conditions.music, again.conditions.music)
    assert not torch.equal(first.motion, later.motion)


def test_ranks_draw_different_windows(small_store):
    batches = source(small_store)
    assert not torch.equal(batches.draw(0, rank=0).motion, batches.draw(0, rank=1).motion)


def test_every_window_begins_above_the_origin(small_store):
    batches = source(small_store)
    real = batches.normaliser.denormalise(batches.draw(0).motion)
    root = batches.store.layout["root_position"].start
    assert real[:, 0, [root, root + 2]].abs().max() < 1e-5


def test_conditions_are_dropped_at_the_configured_rates(small_store):
    batches = source(small_store, size=2000, drop_all=0.2, drop_text=0.3)
    conditions = batches.draw(0).conditions
    no_music, no_text = ~conditions.keep_music, ~conditions.text_mask.any(1)
    assert no_music.float().mean().item() == pytest.approx(0.2, abs=0.04)
    assert no_text.float().mean().item() == pytest.approx(0.5, abs=0.05)
    assert bool((no_text | ~no_music).all())  # music is never dropped alone


def test_hidden_timbre_leaves_the_rhythm(small_store, rng):
    store = Store.open(small_store)
    music = rng.normal(size=(len(store.music), 35)).astype(np.float32)
    config = BatchConfig(size=64, window=60, drop_timbre=1.0)
    heard = replace(store, music_encoder="librosa35", music=music)
    conditions = BatchSource(heard, config, split="train", text_encoder=ENCODER, seed=3).draw(0).conditions
    assert conditions.music[..., 1:33].abs().max() == 0
    assert conditions.music[..., 33:].abs().max() > 0.1


def test_parts_of_the_plan_are_hidden_at_the_configured_rate(small_store):
    music = source(small_store, size=400, drop_plan=0.3, drop_all=0.0).draw(0).conditions.music
    plain = source(small_store, size=400, drop_all=0.0).draw(0).conditions.music
    for name, columns in PARTS.items():
        spread = plain[..., columns].std(1).amax(-1)
        hidden = (music[..., columns].std(1).amax(-1) < 1e-6)[spread > 1e-3]
        if len(hidden):
            assert hidden.float().mean().item() == pytest.approx(0.3, abs=0.08), name


def test_noise_blurs_what_songs_and_dances_have_in_different_measure(small_store, rng):
    batches = source(small_store, plan_noise=0.5)
    plain = np.stack([batches.store.music_of(batches.takes[0])[:60]] * 300)
    difference = batches._blurred(plain, rng) - plain
    curves, accent = difference[..., CURVES], difference[..., PARTS["accent"]][..., 0]
    np.testing.assert_allclose(curves, np.broadcast_to(curves[:, :1], curves.shape), atol=1e-4)  # one value a window
    assert curves[:, 0].std() == pytest.approx(0.5, abs=0.05)
    # Accents change where a beat is, each beat's by a value of its own.
    assert np.abs(accent[plain[..., PULSE] < 0.02]).max() < 0.05
    beats = np.flatnonzero(plain[0, :, PULSE] > 0.9)
    assert accent[:, beats].std(0) == pytest.approx(0.5, abs=0.1)
    assert abs(np.corrcoef(accent[:, beats[0]], accent[:, beats[-1]])[0, 1]) < 0.2
    untouched = [c for c in range(len(CHANNELS)) if c not in range(*CURVES.indices(99)) and c != PARTS["accent"].start]
    assert np.abs(difference[..., untouched]).max() == 0


def test_a_take_shorter_than_the_window_is_padded_and_marked(small_store):
    batch = source(small_store, window=200).draw(0)
    assert bool(batch.valid[:, :150].all())
    assert not bool(batch.valid[:, 150:].any())
    assert torch.equal(batch.motion[:, 150], batch.motion[:, 149])


def test_validation_covers_each_take_once_with_nothing_dropped(small_store):
    batches = source(small_store).fixed()
    assert sum(len(batch.motion) for batch in batches) == 3 * 2  # two whole windows of 60 in each 150
    assert all(bool(batch.conditions.keep_music.all()) for batch in batches)


def test_genre_balance_goes_from_as_they_are_to_all_alike(small_store):
    takes = [t for t in Store.open(small_store).takes if t.split == "train"]
    takes = [*takes, *takes[:1] * 3]  # salsa four times as long as disco
    dance = np.array([take.genre != "none" for take in takes])
    salsa = np.array([take.genre == "salsa" for take in takes])
    for power, share in ((1.0, 4 / 5), (0.5, 2 / 3), (0.0, 1 / 2)):
        probability = take_probabilities(takes, BatchConfig(genre_balance=power, other_share=0.1))
        assert probability.sum() == pytest.approx(1)
        assert probability[~dance].sum() == pytest.approx(0.1)
        assert probability[salsa].sum() / probability[dance].sum() == pytest.approx(share)


def test_labels_that_the_catalogue_does_not_know_are_said_where_an_encoder_is_at_hand(monkeypatch, caplog):
    known, has_genre = embeddings_of_labels("salsa", ("salsa basic",), encoder_name=ENCODER)
    assert (len(known), has_genre) == (2, True)

    def encode(texts, encoder_name=ENCODER, **others):
        return np.stack([np.full(384, len(text), np.float32) for text in texts]) if texts else np.zeros((0, 384))

    with monkeypatch.context() as patch:
        patch.setattr(text_features, "encode_texts", encode)
        words, has_genre = embeddings_of_labels("polka", ("half step hop",), encoder_name=ENCODER)
        assert words[:, 0].tolist() == [0, len("polka"), len("half step hop")]
        assert not has_genre

    def none_there(name=ENCODER, **others):
        raise InputError("no encoder")

    monkeypatch.setattr(text_embeddings, "load_encoder", none_there)
    without, _ = embeddings_of_labels("salsa", ("salsa basic", "half step hop on a moon"), encoder_name=ENCODER)
    assert np.array_equal(without, known)
    assert "half step hop on a moon" in caplog.text
    assert embeddings_of_labels("zorba", (), encoder_name=ENCODER)[0].shape == (1, 384)


@pytest.mark.parametrize("drawn", [True, False], ids=["drawn", "fixed"])
def test_every_frame_of_a_batch_has_the_music_and_the_words_of_its_own_take_and_time(small_store, drawn):
    """Windows found again in the store by their movement: their music is that of the same frames, not of the next."""
    batches, store = source(small_store, size=8), Store.open(small_store)
    batch = batches.draw(4) if drawn else batches.fixed()[0]
    real = batches.normaliser.denormalise(batch.motion).numpy()
    sound = batch.conditions.music.numpy() * batches.music_scale + batches.music_mean
    rotations = store.layout["rotations"]
    for row in range(len(real)):
        frames, found = int(batch.valid[row].sum()), []
        for take in batches.takes:
            track = np.array(store.motion_of(take))[:, rotations]
            for start in range(len(track) - frames + 1):
                if np.abs(track[start : start + frames] - real[row, :frames, rotations]).max() < 1e-3:
                    found.append((take, start))  # an even sway comes again
        assert found

        def apart(take, start, row=row, frames=frames):
            music = np.array(store.music_of(take))[start : start + frames]
            inside = np.abs((music - batches.music_mean) / batches.music_scale) < 4  # beyond, music is cut
            return np.abs(sound[row, :frames] - music)[inside].max()

        take, start = min(found, key=lambda place: apart(*place))
        assert apart(take, start) < 1e-3
        assert batches.genres[int(batch.genre[row])] == take.genre
