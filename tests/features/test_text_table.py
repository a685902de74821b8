"""The shipped embeddings: complete, small, and refused where they are damaged."""

from importlib import resources

import numpy as np
import pytest
from safetensors.numpy import save_file

from longdance.data.catalogue import catalogue_texts
from longdance.errors import InputError
from longdance.features.text_table import SHIPPED_FILE, ShippedEmbeddings, text_key


def test_every_catalogue_text_has_a_shipped_embedding_of_unit_length():
    shipped = ShippedEmbeddings.load()
    assert shipped.dim == 384
    rows = [shipped.find(text) for text in catalogue_texts()]
    assert all(row is not None for row in rows)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=2e-3)


def test_the_shipped_file_is_small_and_holds_nothing_stale():
    shipped = ShippedEmbeddings.load()
    assert len(shipped.rows) == len(catalogue_texts())
    assert (resources.files("longdance") / "assets" / SHIPPED_FILE).stat().st_size < 1_000_000


def test_embeddings_of_another_encoder_or_a_missing_file_are_not_found(tmp_path):
    assert ShippedEmbeddings.load("clip-vit-base-patch32").find("salsa") is None
    assert ShippedEmbeddings.load(path=tmp_path / "nothing.safetensors").find("salsa") is None


def test_an_embedding_file_of_ones_own_is_read(tmp_path):
    key = np.frombuffer(text_key("two words", "mine"), np.uint8).reshape(1, 32).copy()
    save_file({"mine.keys": key, "mine.embeddings": np.array([[1.0, 0.5]], np.float16)}, tmp_path / "a.safetensors")
    found = ShippedEmbeddings.load("mine", path=tmp_path / "a.safetensors").find(" two \n words ")
    np.testing.assert_array_equal(found, np.array([1, 0.5], np.float32))


@pytest.mark.parametrize(
    ("keys", "embeddings"),
    [
        (np.zeros((2, 32), np.uint8), np.zeros((1, 4), np.float16)),
        (np.zeros((1, 31), np.uint8), np.zeros((1, 4), np.float16)),
        (np.zeros((1, 32), np.int32), np.zeros((1, 4), np.float16)),
        (np.zeros((1, 32), np.uint8), np.full((1, 4), np.nan, np.float16)),
        (np.zeros((1, 32), np.uint8), np.zeros(4, np.float16)),
    ],
)
def test_an_embedding_file_of_other_tensors_is_refused(keys, embeddings, tmp_path):
    save_file({"mine.keys": keys, "mine.embeddings": embeddings}, tmp_path / "a.safetensors")
    with pytest.raises(InputError, match=r"a\.safetensors: expected mine\.keys"):
        ShippedEmbeddings.load("mine", path=tmp_path / "a.safetensors")


def test_a_damaged_embedding_file_is_refused(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00nonsense")
    with pytest.raises(InputError, match=r"a\.safetensors: expected a safetensors file"):
        ShippedEmbeddings.load("mine", path=tmp_path / "a.safetensors")
