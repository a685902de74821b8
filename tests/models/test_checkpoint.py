"""A checkpoint gives back the same network, and a damaged or foreign one says what is wrong."""

import hashlib
import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from longdance.errors import InputError
from longdance.models.checkpoint import Checkpoint, CheckpointConfig
from longdance.models.conditions import Conditions
from longdance.models.pmd import ParallelMambaDenoiser, PMDConfig
from longdance.motion.layout import Normaliser

NETWORK = PMDConfig(
    music_channels=35,
    text_width=384,
    fps=30,
    width=8,
    depth=1,
    heads=2,
    state=2,
    attention_heads=2,
    dropout=0.0,
)


@pytest.fixture
def checkpoint() -> Checkpoint:
    torch.manual_seed(0)
    return Checkpoint(
        CheckpointConfig(
            denoiser="pmd",
            network=NETWORK.model_dump(),
            layout="smpl24",
            fps=30.0,
            window=20,
            diffusion_steps=1000,
            music_encoder="librosa35",
            text_encoder="all-MiniLM-L6-v2",
            genres=("disco", "salsa"),
            recipe="tiny",
            trained_steps=3,
            licence="made up",
        ),
        ParallelMambaDenoiser(NETWORK),
        Normaliser(torch.randn(151), torch.rand(151) + 0.5),
        torch.randn(35),
        torch.rand(35) + 0.5,
    )


@pytest.fixture
def folder(checkpoint, tmp_path):
    checkpoint.save(tmp_path / "run")
    return tmp_path / "run"


def rewrite(folder, **changes):
    record = json.loads((folder / "config.json").read_text())
    record["network"] |= changes.pop("network", {})
    record |= changes
    (folder / "config.json").write_text(json.dumps(record))


def replace_tensors(folder, tensors):
    """Other tensors as if they had been saved with the configuration."""
    save_file(tensors, folder / "model.safetensors")
    checksum = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    rewrite(folder, tensors_sha256=checksum)


def test_a_saved_checkpoint_comes_back_bit_by_bit(checkpoint, folder):
    again = Checkpoint.load(str(folder))
    assert again.config == checkpoint.config
    assert again.network.config == NETWORK
    for name, tensor in checkpoint.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], tensor), name
    for ours, theirs in (
        (again.normaliser.mean, checkpoint.normaliser.mean),
        (again.normaliser.scale, checkpoint.normaliser.scale),
        (again.music_mean, checkpoint.music_mean),
        (again.music_scale, checkpoint.music_scale),
    ):
        assert torch.equal(ours, theirs)
    assert not again.network.training
    assert not any(parameter.requires_grad for parameter in again.network.parameters())
    assert sorted(os.listdir(folder)) == ["config.json", "model.safetensors"]


def test_the_network_predicts_the_same_afterwards(checkpoint, folder, generator):
    noisy = torch.randn(2, 20, 151, generator=generator)
    given = Conditions(
        torch.randn(2, 20, 35, generator=generator),
        torch.randn(2, 1, 384, generator=generator),
        torch.ones(2, 1, dtype=torch.bool),
        torch.ones(2, dtype=torch.bool),
    )
    step = torch.tensor([1, 900])
    with torch.no_grad():
        expected = checkpoint.network.eval()(noisy, step, given)
        assert torch.equal(Checkpoint.load(folder).network(noisy, step, given), expected)


def test_half_precision_halves_the_file_and_keeps_statistics_exact(checkpoint, folder, tmp_path):
    checkpoint.save(tmp_path / "half", half=True)
    stored = load_file(tmp_path / "half" / "model.safetensors")
    assert all((t.dtype == torch.float16) == name.startswith("network.") for name, t in stored.items())
    again = Checkpoint.load(tmp_path / "half")
    for name, tensor in checkpoint.network.state_dict().items():
        found = again.network.state_dict()[name]
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, tensor, atol=1e-7, rtol=1e-3)
    assert torch.equal(again.normaliser.mean, checkpoint.normaliser.mean)


def test_saving_again_replaces_the_old_one(checkpoint, folder):
    with torch.no_grad():
        checkpoint.network.output.bias.fill_(4.0)
    checkpoint.save(folder)
    assert (Checkpoint.load(folder).network.output.bias == 4.0).all()


def test_key_names_are_pinned():
    """Renaming a module makes every published checkpoint unreadable: a new list needs a new format."""
    block = "blocks.0."
    expected = {
        "embed.weight", "embed.bias", "music.null", "music.embed.weight", "music.embed.bias",
        "music.mix.0.weight", "music.mix.0.bias", "music.mix.1.weight", "music.mix.1.bias",
        "music.shorten.convolution.weight", "music.shorten.convolution.bias",
        "text.null", "text.network.0.weight", "text.network.0.bias", "text.network.2.weight",
        "text.network.2.bias",
        "step.network.0.weight", "step.network.0.bias", "step.network.2.weight", "step.network.2.bias",
        "step_tokens.weight", "step_tokens.bias", "norm.weight", "norm.bias", "output.weight", "output.bias",
        *(block + name for name in (
            "norm_mixer.weight", "norm_mixer.bias", "norm_local.weight", "norm_local.bias",
            "norm_attention.weight", "norm_attention.bias",
            "mixer.log_decay", "mixer.step_bias", "mixer.skip", "mixer.input.weight", "mixer.input.bias",
            "mixer.convolution.weight", "mixer.convolution.bias", "mixer.norm.weight",
            "mixer.output.weight", "mixer.output.bias", "local.convolution.weight", "local.convolution.bias",
            "attention.query.weight", "attention.query.bias", "attention.key_value.weight",
            "attention.key_value.bias", "attention.output.weight", "attention.output.bias",
            "adain.style.weight", "adain.style.bias",
        )),
    }  # fmt: skip
    assert set(ParallelMambaDenoiser(NETWORK).state_dict()) == expected


def test_stored_names_are_pinned(folder):
    stored = load_file(folder / "model.safetensors")
    assert {name.split(".")[0] for name in stored} == {"network", "normaliser", "music"}
    assert {name for name in stored if not name.startswith("network.")} == {
        "normaliser.mean", "normaliser.scale", "music.mean", "music.scale"
    }  # fmt: skip
    assert json.loads((folder / "config.json").read_text())["format"] == 1


def test_music_is_normalised_and_cut(checkpoint):
    music = checkpoint.music_mean + checkpoint.music_scale * torch.tensor([[0.0], [2.0], [-9.0], [100.0]])
    expected = torch.tensor([[0.0], [2.0], [-4.0], [4.0]]).expand(4, 35)
    torch.testing.assert_close(checkpoint.normalise_music(music), expected, atol=1e-4, rtol=1e-4)


CONFIGS = {
    "no format": {"format": None},
    "another format": {"format": 2},
    "unknown denoiser": {"denoiser": "mlp"},
    "unknown layout": {"layout": "smpl55"},
    "unknown key": {"colour": "red"},
    "unknown network key": {"network": {"colour": "red"}},
    "window in words": {"window": "twenty"},
    "network value in words": {"network": {"width": "eight"}},
    "fps missing": {"fps": None},
    "genres a number": {"genres": 3},
    "another width": {"network": {"width": 16}},
    "another depth": {"network": {"depth": 2}},
    "another direction": {"network": {"direction": "bidirectional"}},
    "another number of features": {"network": {"features": 139}},
    "heads that do not divide": {"network": {"heads": 3}},
    "negative width": {"network": {"width": -8}},
    "no heads": {"network": {"heads": 0}},
    "no blocks": {"network": {"depth": 0}},
    "another layout": {"layout": "smpl22"},
    "another number of music channels": {"network": {"music_channels": 39}},
    "another text width": {"network": {"text_width": 512}},
    "preconditioning for other diffusion steps": {"network": {"precondition": True}, "diffusion_steps": 500},
    "fps not a number": {"fps": float("nan"), "network": {"fps": float("nan")}},
    "a window beyond reason": {"window": 10**12},
    "fps differs from the network's": {"fps": 60.0},
    "no fps": {"fps": 0.0},
    "no window": {"window": 0},
    "no diffusion steps": {"diffusion_steps": 0},
    "attention heads that do not divide": {"network": {"attention_heads": 3}},
    "unknown music encoder": {"music_encoder": "jukebox"},
    "music encoder of another width": {"music_encoder": "light35+phase"},
}


@pytest.mark.parametrize("change", CONFIGS.values(), ids=CONFIGS)
def test_unusable_configurations_are_named(change, folder):
    rewrite(folder, **change)
    with pytest.raises(InputError, match="run"):
        Checkpoint.load(folder)


TEXTS = {
    "empty": b"",
    "cut short": b'{"format": 1, "denoiser"',
    "a list": b"[1, 2]",
    "a number": b"7",
    "network a list": None,
    "not text": b"\xff\xfe\x00\x80PK",
    "nested without end": b"[" * 200_000,
    "an endless number": b'{"format": 1' + b"0" * 5000 + b"}",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_damaged_json_is_named(text, folder):
    if text is None:
        record = json.loads((folder / "config.json").read_text())
        text = json.dumps({**record, "network": [1]}).encode()
    (folder / "config.json").write_bytes(text)
    with pytest.raises(InputError, match="run"):
        Checkpoint.load(folder)


@pytest.mark.parametrize("checksum", ["", None, 7, "0" * 64], ids=repr)
def test_tensors_of_another_save_are_named(checksum, folder):
    rewrite(folder, tensors_sha256=checksum)
    with pytest.raises(InputError, match="another save"):
        Checkpoint.load(folder)


def test_checkpoints_without_a_checksum_are_read(checkpoint, folder):
    record = json.loads((folder / "config.json").read_text())
    del record["tensors_sha256"]
    (folder / "config.json").write_text(json.dumps(record))
    assert Checkpoint.load(folder).config == checkpoint.config


def test_a_save_cut_short_keeps_the_old_pair(checkpoint, folder, monkeypatch):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with torch.no_grad():
        checkpoint.network.output.bias.fill_(4.0)
    monkeypatch.setattr(Path, "write_text", lambda *_, **__: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        checkpoint.save(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("keep", [0, 4, 8, 100, -1000, -1])
def test_truncated_tensors_are_named(keep, folder):
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:keep])
    with pytest.raises(InputError, match="run"):
        Checkpoint.load(folder)
    rewrite(folder, tensors_sha256=hashlib.sha256(whole[:keep]).hexdigest())
    with pytest.raises(InputError, match=r"run.*model\.safetensors"):
        Checkpoint.load(folder)


def test_numbers_of_an_unknown_type_are_named(folder):
    whole = (folder / "model.safetensors").read_bytes()
    whole = whole.replace(b'"dtype":"F32","shape":[35]', b'"dtype":"F4","shape":[280]')
    length = 8 + int.from_bytes(whole[:8], "little")
    header = whole[8:].partition(b"}}")[0].rstrip() + b"}}"
    body = (folder / "model.safetensors").read_bytes()[length:]
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + body)
    rewrite(folder, tensors_sha256=hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest())
    with pytest.raises(InputError, match=r"run.*model\.safetensors: .*F4"):
        Checkpoint.load(folder)


def test_a_pickle_is_never_opened(folder):
    torch.save({"network.embed.weight": torch.zeros(1)}, folder / "model.safetensors")
    rewrite(folder, tensors_sha256=hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest())
    with pytest.raises(InputError, match="run"):
        Checkpoint.load(folder)


@pytest.mark.parametrize(
    "name", ["network.embed.weight", "network.blocks.0.mixer.log_decay", "normaliser.mean", "music.scale"]
)
def test_missing_tensors_are_named(name, folder):
    tensors = load_file(folder / "model.safetensors")
    del tensors[name]
    replace_tensors(folder, tensors)
    with pytest.raises(InputError, match=r"run.*model\.safetensors"):
        Checkpoint.load(folder)


WRONG_TENSORS = {
    "an additional network tensor": ("network.extra", torch.zeros(2)),
    "a network tensor of another shape": ("network.embed.weight", torch.zeros(3, 3)),
    "a normaliser for another layout": ("normaliser.scale", torch.ones(139)),
    "a mean for another layout": ("normaliser.mean", torch.ones(139)),
    "music statistics of another width": ("music.mean", torch.zeros(39)),
    "music scales of another width": ("music.scale", torch.ones(39)),
    "statistics with an axis too many": ("music.mean", torch.zeros(1, 35)),
    "additional statistics": ("text.mean", torch.zeros(6)),
    "weights that are no numbers": ("network.norm.bias", torch.full((8,), torch.nan)),
    "infinite statistics": ("normaliser.mean", torch.full((151,), torch.inf)),
    "a scale of zero": ("music.scale", torch.zeros(35)),
}


@pytest.mark.parametrize("case", WRONG_TENSORS.values(), ids=WRONG_TENSORS)
def test_tensors_that_do_not_fit_are_named(case, folder):
    name, tensor = case
    replace_tensors(folder, {**load_file(folder / "model.safetensors"), name: tensor})
    with pytest.raises(InputError, match=r"run.*model\.safetensors"):
        Checkpoint.load(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_missing_files_are_named(name, folder):
    (folder / name).unlink()
    with pytest.raises(InputError, match="run"):
        Checkpoint.load(folder)


def test_missing_folders_and_plain_files_are_named(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        Checkpoint.load(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="file"):
        Checkpoint.load(tmp_path / "file")


def test_moving_to_a_device_keeps_everything(checkpoint):
    moved = checkpoint.to("cpu")
    assert moved.config is checkpoint.config
    assert torch.equal(moved.music_scale, checkpoint.music_scale)
    assert torch.equal(moved.network.embed.weight, checkpoint.network.embed.weight)
    assert moved.layout.name == "smpl24"


def test_moving_to_a_device_leaves_the_original_where_it_is(checkpoint):
    moved = checkpoint.to("meta")  # a device without memory, which every machine has
    assert {p.device.type for p in moved.network.parameters()} == {"meta"}
    assert moved.normaliser.mean.device.type == moved.music_mean.device.type == "meta"
    assert {p.device.type for p in checkpoint.network.parameters()} == {"cpu"}
