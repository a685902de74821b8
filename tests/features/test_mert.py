"""MERT from a folder: a tiny network of its form with random weights, saved by the test."""

import json

import numpy as np
import pytest
import torch

from longdance.errors import InputError
from longdance.features.mert import FOLDER_VARIABLE, Mert, find_folder
from longdance.features.song import Song

transformers = pytest.importorskip("transformers")

RATE = 4000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("mert")
    torch.manual_seed(3)
    config = transformers.HubertConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, conv_dim=(8, 8, 8),
        conv_stride=(5, 4, 2), conv_kernel=(10, 4, 2), num_feat_extract_layers=3, num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2, vocab_size=8,
    )  # fmt: skip
    transformers.HubertModel(config).save_pretrained(path)
    settings = json.loads((path / "config.json").read_text())
    # What MERT's own files say beyond HuBERT's: another name, code of their own, and fields that HuBERT does not have.
    settings |= {
        "model_type": "mert_model",
        "architectures": ["MERTModel"],
        "auto_map": {"AutoModel": "modeling_MERT.MERTModel"},
        "feature_extractor_cqt": False,
        "deepnorm": False,
        "sample_rate": RATE,
    }
    (path / "config.json").write_text(json.dumps(settings))
    (path / "modeling_MERT.py").write_text("raise SystemExit('the code of the folder must not run')")
    (path / "preprocessor_config.json").write_text(json.dumps({"sampling_rate": RATE, "do_normalize": True}))
    return path


def clicks(*times: float, seconds: float = 4.0) -> Song:
    rng = np.random.default_rng(1)
    samples = 0.01 * rng.normal(size=round(seconds * RATE)).astype(np.float32)
    for time in times:
        place = round(time * RATE)
        samples[place : place + 60] += np.hanning(60) * np.sin(np.arange(60))
    return Song.from_samples(samples, RATE, beat_times=np.array([0.5, 1.0]))


@pytest.mark.parametrize("fps", [30.0, 60.0])
def test_a_click_shows_at_its_frame(folder, fps):
    model = Mert.load(folder)
    assert (model.channels, model.window.token_rate) == (16, 100.0)
    # The same click elsewhere, so that the song's loudness, which the network takes out, stays the same.
    elsewhere = model(clicks(3.7), fps)
    for time in (0.8, 1.5, 2.35):
        heard = model(clicks(time), fps)
        assert heard.shape == elsewhere.shape == (round(4 * fps), 16)
        assert heard.dtype == np.float32
        change = np.linalg.norm(heard - elsewhere, axis=1)[: round(3 * fps)]
        assert abs(change.argmax() / fps - time - 0.0075) <= 1 / fps  # the click's middle


def test_a_click_beyond_the_first_window_shows_at_its_frame_too(folder):
    model = Mert.load(folder)
    heard, elsewhere = (model(clicks(time, seconds=14.0), 30.0) for time in (12.4, 13.7))
    change = np.linalg.norm(heard - elsewhere, axis=1)[: 13 * 30]
    assert abs(change.argmax() / 30 - 12.4) <= 1 / 30
    assert not change[: 10 * 30].any()


def test_it_is_what_transformers_computes(folder):
    model = Mert.load(folder)
    samples = clicks(1.0).decode(RATE)
    normal = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
    with torch.no_grad():
        layers = model.network(torch.from_numpy(normal)[None], output_hidden_states=True).hidden_states
    np.testing.assert_allclose(model.encode(samples), torch.stack(layers).mean(0)[0], atol=1e-5)
    assert len(model.encode(samples[:50])) >= 1


def test_weights_in_torchs_own_files_load_as_well(folder, tmp_path):
    from safetensors.torch import load_file

    for name in ("config.json", "preprocessor_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    weights = load_file(folder / "model.safetensors")
    old = {
        name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): tensor
        for name, tensor in weights.items()
    }
    torch.save(old, tmp_path / "pytorch_model.bin")
    song = clicks(1.0)
    np.testing.assert_allclose(Mert.load(tmp_path)(song, 30.0), Mert.load(folder)(song, 30.0), atol=1e-6)


def test_an_incomplete_folder_is_named(folder, tmp_path):
    with pytest.raises(InputError, match=str(tmp_path)):
        Mert.load(tmp_path)
    for name in ("config.json", "preprocessor_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(InputError, match="try copying it again"):
        Mert.load(tmp_path)
    torch.save({"encoder.layers.0.layer_norm.bias": torch.zeros(16)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match="missing"):
        Mert.load(tmp_path)


def test_the_environment_names_the_folder(folder, tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    assert find_folder("m-a-p/MERT-v1-95M") == folder
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(InputError, match=FOLDER_VARIABLE):
        find_folder("m-a-p/MERT-v1-95M")
