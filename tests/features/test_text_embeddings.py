"""Embeddings of texts are made once, kept by content, and refused where they are none."""

import shutil

import numpy as np
import pytest
from safetensors.numpy import save

from longdance.errors import InputError
from longdance.features import text_embeddings
from longdance.features.text_embeddings import encode_texts
from longdance.features.text_encoders import ENCODER_FOLDER_VARIABLE, load_encoder
from sample_encoders import STRANGE, CountingEncoder


def test_each_missing_text_is_encoded_once_and_kept_by_content(tmp_path):
    encoder = CountingEncoder()
    first = encode_texts([STRANGE, "salsa", STRANGE], encoder=encoder, cache_folder=tmp_path / "cache")
    assert encoder.asked == [STRANGE]
    np.testing.assert_array_equal(first[0], first[2])
    again = encode_texts(["salsa", STRANGE], encoder=encoder, cache_folder=tmp_path / "cache")
    assert encoder.asked == [STRANGE]
    np.testing.assert_array_equal(again, first[[1, 0]])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"cut off",
        save({"embedding": np.ones(16, np.float32)}),
        save({"embedding": np.ones((1, 384), np.float32)}),
        save({"embedding": np.ones(384, np.float64)}),
        save({"embedding": np.full(384, np.nan, np.float32)}),
        save({"other": np.ones(384, np.float32)}),
        save({"embedding": np.ones(384, np.float32)})[:-100],
        save({"embedding": np.ones(100_000, np.float32)}),
        save({"embedding": np.ones(384, np.float32)}).replace(b"F32", b"X32"),
        b"\xff" * 64,
        b"\x02\x00\x00\x00\x00\x00\x00\x00[]",
    ],
)
def test_a_cached_file_that_is_no_embedding_is_written_anew(content, tmp_path):
    encoder = CountingEncoder()
    first = encode_texts([STRANGE], encoder=encoder, cache_folder=tmp_path / "mine")
    (file,) = (tmp_path / "mine").iterdir()
    good = file.read_bytes()
    file.write_bytes(content)
    np.testing.assert_array_equal(encode_texts([STRANGE], encoder=encoder, cache_folder=tmp_path / "mine"), first)
    assert encoder.asked == [STRANGE, STRANGE]
    assert file.read_bytes() == good


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path):
    (tmp_path / "file").write_text("in the way")
    rows = encode_texts([STRANGE], encoder=CountingEncoder(), cache_folder=tmp_path / "file")
    np.testing.assert_array_equal(rows, encode_texts([STRANGE], encoder=CountingEncoder(), cache_folder=tmp_path / "b"))
    assert (tmp_path / "file").read_text() == "in the way"


def test_what_a_loaded_encoder_makes_is_cached_for_the_user(own_cache, monkeypatch):
    encoder = CountingEncoder()
    monkeypatch.delenv(ENCODER_FOLDER_VARIABLE, raising=False)
    monkeypatch.setattr(text_embeddings, "load_encoder", lambda *_, **__: encoder)
    for _ in range(2):
        encode_texts([STRANGE])
    assert encoder.asked == [STRANGE]
    assert len(list(own_cache.iterdir())) == 1


def test_other_weights_under_the_same_name_do_not_share_a_cache(tiny_clip, tmp_path, own_cache):
    import torch
    from transformers import CLIPTextModel

    other = tmp_path / "other"
    shutil.copytree(tiny_clip, other)
    torch.manual_seed(1)
    model = CLIPTextModel.from_pretrained(tiny_clip)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    model.save_pretrained(other)
    first = encode_texts(["kick"], "clip-vit-base-patch32", folder=tiny_clip, cache_folder=own_cache)
    second = encode_texts(["kick"], "clip-vit-base-patch32", folder=other, cache_folder=own_cache)
    assert len(list(own_cache.iterdir())) == 2
    assert np.abs(first - second).max() > 0.01
    again = encode_texts(["kick"], "clip-vit-base-patch32", folder=tiny_clip, cache_folder=own_cache)
    np.testing.assert_array_equal(again, first)


@pytest.mark.parametrize("rows", [np.full((1, 384), np.inf, np.float32), np.zeros((2, 384), np.float32)])
def test_an_encoder_that_gives_no_finite_row_a_text_is_refused(rows):
    encoder = CountingEncoder()
    encoder.encode = lambda texts: rows
    with pytest.raises(InputError, match="finite numbers"):
        encode_texts([STRANGE], encoder=encoder)


def test_an_encoder_of_another_name_is_refused():
    with pytest.raises(InputError, match="clip-vit-base-patch32"):
        encode_texts(["salsa"], "clip-vit-base-patch32", encoder=CountingEncoder())
    with pytest.raises(InputError, match="that longdance knows"):
        load_encoder("word2vec")
