"""Stores: what is written is what is read, and what is damaged is named."""

import json

import numpy as np
import pytest

from longdance.data.store import Store, is_prepared
from longdance.errors import InputError


def test_takes_point_at_their_own_rows(small_store):
    store = Store.open(small_store)
    assert [take.clip for take in store.takes] == [f"clip{i}" for i in range(5)]
    assert store.motion.shape == (750, 155)
    assert store.music.shape == (750, 12)
    for number, take in enumerate(store.takes):
        assert np.array_equal(store.motion_of(take), store.motion[150 * number : 150 * (number + 1)])
        assert np.array_equal(store.music_of(take), store.music[150 * number : 150 * (number + 1)])


def test_statistics_come_from_the_training_split_alone(small_store):
    store = Store.open(small_store)
    training = np.concatenate([store.music_of(take) for take in store.takes if take.split == "train"])
    mean, scale = store.music_statistics
    np.testing.assert_allclose(mean, training.mean(0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(scale, np.maximum(training.std(0), 1e-3), rtol=1e-4)


def test_select_leaves_out_copies_when_asked_for_originals(small_store):
    store = Store.open(small_store)
    assert {take.genre for take in store.select("train")} == {"salsa", "disco", "none"}
    assert len(store.select("train", original=True)) == 3
    assert store.select("nowhere") == []


def test_a_folder_without_a_store_is_named(tmp_path):
    with pytest.raises(InputError, match="expected a prepared store"):
        Store.open(tmp_path)


def test_a_damaged_store_is_named(small_store, tmp_path):
    record = json.loads((small_store / "store.json").read_text())
    del record["fps"]
    (tmp_path / "store.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="damaged"):
        Store.open(tmp_path)


def test_a_file_of_another_kind_is_no_store(tmp_path):
    for content in (b"[1, 2]", b"\xff\xfe"):
        (tmp_path / "store.json").write_bytes(content)
        with pytest.raises(InputError, match="expected a prepared store"):
            Store.open(tmp_path)


def test_fingerprint_decides_whether_anything_is_to_do(small_store, tmp_path):
    assert is_prepared(small_store, "made up")
    assert not is_prepared(small_store, "another")
    assert not is_prepared(tmp_path, "made up")
