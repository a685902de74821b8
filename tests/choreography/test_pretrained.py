"""Models are found by name or folder, and what is no model is named."""

import pytest
import torch

import longdance
from longdance.choreography.dancer import Dancer
from longdance.choreography.pretrained import load
from longdance.errors import InputError
from longdance.models.checkpoint import Checkpoint, CheckpointConfig
from longdance.models.folders import WEIGHTS, shipped
from longdance.models.pmd import ParallelMambaDenoiser, PMDConfig
from longdance.models.trm import Refiner, RefinerConfig, TemporalRefinementModule, TRMConfig
from longdance.motion.layout import Normaliser


@pytest.fixture
def folder(tmp_path):
    network = PMDConfig(width=8, depth=1, heads=2, state=2, attention_heads=2)
    Checkpoint(
        CheckpointConfig(
            denoiser="pmd", network=network.model_dump(), layout="smpl24", fps=60.0, window=30,
            diffusion_steps=1000, music_encoder="light35", text_encoder="all-MiniLM-L6-v2",
        ),
        ParallelMambaDenoiser(network),
        Normaliser(torch.zeros(151), torch.ones(151)),
        torch.zeros(35),
        torch.ones(35),
    ).save(tmp_path / "my run")  # fmt: skip
    return tmp_path / "my run"


@pytest.mark.parametrize(
    "kind", [str, lambda path: path, lambda path: f"{path}/"], ids=["text", "path", "slash"]
)
def test_a_folder_is_opened_and_names_the_model(kind, folder):
    model = load(kind(folder))
    assert isinstance(model, Dancer)
    assert model.kind == "pmd"
    assert model.name == "my run"
    assert model.fps == 60.0


def test_a_folder_is_found_from_where_the_user_stands(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert load("my run").name == "my run"


def test_the_package_offers_load(folder):
    assert longdance.load is load
    assert longdance.load(folder).checkpoint.config.window == 30


@pytest.mark.parametrize("name", ["no such model", "", "a/b/c"])
def test_what_is_no_model_is_named(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="trained model"):
        load(name)


def test_damaged_models_are_named(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match="my run"):
        load(folder)


def test_shipped_models_are_the_folders_with_weights():
    assert {"edmg", "lodge"} <= set(shipped())
    assert all(list((WEIGHTS / name).rglob("model.safetensors")) for name in shipped())


@pytest.mark.requires_weights
def test_shipped_models_load():
    if not shipped():
        pytest.skip("no weights are shipped with this copy")
    for name in shipped():
        model = load(name)
        assert model.name == name
        assert model.checkpoint.config.licence


@pytest.mark.requires_weights
def test_the_few_step_model_is_edmg_with_other_weights_and_fewer_steps():
    if not {"edmg", "edmg-fast"} <= set(shipped()):
        pytest.skip("no weights are shipped with this copy")
    plain, fast = load("edmg"), load("edmg-fast")
    assert (fast.sampling.steps, fast.sampling.sampler) == (4, "ddim")
    assert (fast.sampling.guidance, fast.sampling.guided) == (plain.sampling.guidance, False)
    assert fast.checkpoint.config == plain.checkpoint.config
    assert fast.trm.config == plain.trm.config
    change = fast.checkpoint.network.embed.weight - plain.checkpoint.network.embed.weight
    assert 0 < torch.linalg.matrix_rank(change, rtol=1e-4) <= 10
    assert (WEIGHTS / "edmg-fast" / "model.safetensors").stat().st_size < 0.9e6


def test_a_refiner_in_the_model_s_folder_comes_with_it(folder):
    assert load(folder).trm is None
    config = TRMConfig(fps=60, window=16, width=4)
    Refiner(RefinerConfig(network=config), TemporalRefinementModule(config)).save(folder / "trm")
    assert load(folder).trm.config.network == config


def test_a_refiner_for_another_frame_rate_is_refused(folder):
    config = TRMConfig(fps=30, window=16, width=4)
    Refiner(RefinerConfig(network=config), TemporalRefinementModule(config)).save(folder / "trm")
    with pytest.raises(InputError, match="60 fps"):
        load(folder)
