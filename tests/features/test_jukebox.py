"""Jukebox from a folder: a tiny one with random weights, where transformers still has the model."""

import numpy as np
import pytest
import torch

from longdance.errors import InputError
from longdance.features import jukebox
from longdance.features.jukebox import FOLDER_VARIABLE, Jukebox, find_folder
from longdance.features.song import Song

RATE = 16000


def has_jukebox() -> bool:
    try:
        from transformers import JukeboxModel
    except ImportError:
        return False
    return JukeboxModel is not None


needs_jukebox = pytest.mark.skipif(not has_jukebox(), reason="this transformers has no Jukebox (4.57.6 and earlier do)")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """As the published model: three levels, a top prior with separate lyrics, cross-attention among its layers."""
    from transformers import JukeboxConfig, JukeboxModel

    sizes = {
        "blocks": 4, "hidden_size": 32, "num_layers": 9, "n_heads": 2, "n_ctx": 64, "metadata_dims": [5, 7],
        "nb_relevant_lyric_tokens": 8, "attention_pattern": "large_separated_enc_dec_w_lyrics",
        "is_encoder_decoder": False, "music_vocab_size": 64, "lyric_vocab_size": 10, "res_conv_width": 8,
        "res_conv_depth": 1,
    }  # fmt: skip
    words = {
        "blocks": 2, "hidden_size": 16, "num_layers": 2, "n_heads": 2, "n_ctx": 8, "lyric_vocab_size": 10,
        "attention_pattern": "raw_column_previous_row_attention", "music_vocab_size": 64,
    }  # fmt: skip
    upper = sizes | {
        "attention_pattern": "raw_column_previous_row_attention", "nb_relevant_lyric_tokens": 0, "num_layers": 2,
    }  # fmt: skip
    config = JukeboxConfig(
        vqvae_config={"nb_discrete_codes": 64, "embed_dim": 8, "res_conv_width": 8, "res_conv_depth": 1,
                      "sample_length": 64 * 128},
        prior_config_list=[sizes | {"level": 0, "encoder_config": words}, upper | {"level": 1}, upper | {"level": 2}],
        sampling_rate=RATE, min_duration=1, max_duration=600.0, max_nb_genres=5,
    )  # fmt: skip
    torch.manual_seed(5)
    model = JukeboxModel(config)
    with torch.no_grad():
        for parameter in model.priors.parameters():  # some are left as the memory happened to be
            if parameter.ndim > 1:
                parameter.normal_(std=0.1)
        # Codes that tell sounds apart: what the encoder says of loud and soft noise.
        noise = torch.randn(1, 1, 64 * 128) * torch.logspace(-2, 0, 64 * 128)
        heard = model.vqvae.encoders[2](noise)[-1][0].T
        model.vqvae.bottleneck.level_blocks[2].codebook.copy_(heard)
    path = tmp_path_factory.mktemp("jukebox")
    model.save_pretrained(path)
    return path


@needs_jukebox
@pytest.mark.parametrize("layer", [1, 6, 8])
def test_activations_are_those_of_the_layer_in_transformers_own_pass(folder, layer, rng):
    model = Jukebox.load(folder, layer=layer)
    assert model.channels == 32
    samples = rng.normal(size=64 * 128).astype(np.float32) * 0.1
    blocks = [b for b in model.prior.prior.transformer._attn_mods if b.attn_func != "cross_attention"]
    seen = []
    handle = blocks[layer - 1].register_forward_hook(lambda module, given, result: seen.append(result))
    codes = model.vqvae.encode(torch.from_numpy(samples)[None, :, None])[-1]
    metadata = torch.tensor([[62 * RATE, 0, 64 * 128, 0, 0, -1, -1, -1, -1, *[0] * 8]])
    with torch.no_grad():
        model.prior.forward_tokens(codes, [], metadata)
    handle.remove()
    assert torch.isfinite(seen[0]).all()
    np.testing.assert_allclose(model.encode(samples), seen[0][0].numpy(), atol=1e-4)


@needs_jukebox
def test_a_click_shows_at_its_frame_in_every_window(folder):
    model = Jukebox.load(folder, layer=6)
    fps, seconds = 30.0, 3.0
    assert model.window.seconds == pytest.approx(64 * 128 / RATE)
    rng = np.random.default_rng(2)
    base = 0.02 * rng.normal(size=round(seconds * RATE)).astype(np.float32)
    base[::RATE] = 1.0  # the same peak level with and without the click
    for time in (0.3, 0.9, 1.37, 2.45):
        click = base.copy()
        click[round(time * RATE) : round(time * RATE) + 200] += 0.9 * np.sin(np.arange(200))
        songs = [Song.from_samples(s.clip(-1, 1), RATE, beat_times=np.array([0.5, 1.0])) for s in (base, click)]
        quiet, heard = (model(song, fps) for song in songs)
        assert heard.shape == (90, 32)
        change = np.linalg.norm(heard - quiet, axis=1)
        # A token sees what came before it: nothing changes earlier, and at once when the click is there.
        first = np.flatnonzero(change > 0.1 * change.max())[0]
        assert abs(first - round(time * fps)) <= 1


@needs_jukebox
def test_a_model_too_shallow_is_refused(folder):
    with pytest.raises(InputError, match="at least 66"):
        Jukebox.load(folder)


@needs_jukebox
def test_a_folder_without_the_model_is_named(tmp_path):
    with pytest.raises(InputError, match=str(tmp_path)):
        Jukebox.load(tmp_path)


@pytest.mark.skipif(has_jukebox(), reason="this transformers has Jukebox")
def test_a_transformers_without_jukebox_is_told_which_version_has_it(tmp_path):
    with pytest.raises(InputError, match=r"4\.57\.6"):
        Jukebox.load(tmp_path)


def test_the_environment_must_name_a_folder(tmp_path, monkeypatch):
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    with pytest.raises(InputError, match=FOLDER_VARIABLE):
        find_folder()
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(InputError, match="jukebox-5b-lyrics"):
        find_folder()
    (tmp_path / "config.json").touch()
    assert find_folder() == tmp_path
    assert jukebox.LAYER == 66
