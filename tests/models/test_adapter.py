"""Low-rank adapters: nothing at first, the same merged as beside the weights, and bound to the weights they change."""

import json

import pytest
import torch
from torch import nn

from longdance.errors import InputError
from longdance.models.adapter import (
    Adapter,
    AdapterConfig,
    LowRankLinear,
    adapted,
    adapter_state,
    fingerprint,
    holds_adapter,
    merged,
)
from longdance.models.checkpoint import Checkpoint, CheckpointConfig
from longdance.models.conditions import Conditions
from longdance.models.pmd import ParallelMambaDenoiser, PMDConfig
from longdance.motion.layout import Normaliser

NETWORK = PMDConfig(width=16, depth=2, heads=2, state=4, attention_heads=2, fps=30, precondition=True, chunk=8)


@pytest.fixture
def checkpoint() -> Checkpoint:
    torch.manual_seed(0)
    return Checkpoint(
        CheckpointConfig(
            denoiser="pmd", network=NETWORK.model_dump(), layout="smpl24", fps=30.0, window=20,
            diffusion_steps=1000, music_encoder="librosa35", text_encoder="all-MiniLM-L6-v2",
        ),
        ParallelMambaDenoiser(NETWORK).eval(),
        Normaliser(torch.zeros(151), torch.ones(151)),
        torch.zeros(35),
        torch.ones(35),
    )  # fmt: skip


def predicted(network: nn.Module) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    given = Conditions(
        torch.randn(2, 20, 35, generator=generator),
        torch.randn(2, 1, 384, generator=generator),
        torch.ones(2, 1, dtype=torch.bool),
        torch.ones(2, dtype=torch.bool),
    )
    with torch.no_grad():
        return network(torch.randn(2, 20, 151, generator=generator), torch.tensor([100, 900]), given)


def learnt(network: nn.Module, rank: int = 3) -> nn.Module:
    """An adapted network after some learning: the upper matrices are no longer zero."""
    network = adapted(network, rank)
    generator = torch.Generator().manual_seed(2)
    for layer in network.modules():
        if isinstance(layer, LowRankLinear):
            layer.up.data = 0.1 * torch.randn(layer.up.shape, generator=generator)
    return network


def adapter_of(checkpoint: Checkpoint, network: nn.Module) -> Adapter:
    config = AdapterConfig(
        adapts="edmg", adapts_tensors=fingerprint(checkpoint.network), rank=3, steps=4, sampler="ddim",
        guidance={"music": 1.0, "text": 6.0}, denoiser="pmd", music_encoder="librosa35", fps=30.0, recipe="a-recipe",
    )  # fmt: skip
    return Adapter(config, adapter_state(network))


def test_an_adapter_begins_as_nothing(checkpoint):
    torch.testing.assert_close(
        predicted(adapted(checkpoint.network, 3)), predicted(checkpoint.network), rtol=0, atol=0
    )


def test_merged_and_beside_the_weights_are_the_same(checkpoint):
    network = learnt(checkpoint.network)
    before = predicted(checkpoint.network)
    changed = predicted(network)
    assert (changed - before).abs().max() > 1e-2
    torch.testing.assert_close(predicted(merged(checkpoint.network, adapter_state(network))), changed)
    # Neither the adapted nor the merged network shares anything with the plain one.
    torch.testing.assert_close(predicted(checkpoint.network), before, rtol=0, atol=0)


def test_a_layer_is_changed_by_the_product_of_the_two_matrices():
    layer = nn.Linear(5, 4)
    low = LowRankLinear(layer, 2)
    low.up.data = torch.randn(4, 2)
    x = torch.randn(3, 5)
    by_hand = x @ (layer.weight + low.up @ low.down).T + layer.bias
    torch.testing.assert_close(low(x), by_hand)


def test_only_the_matrices_learn(checkpoint):
    network = adapted(checkpoint.network, 3)
    learning = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert learning == set(adapter_state(network))
    linear = sum(isinstance(layer, nn.Linear) for layer in checkpoint.network.modules())
    assert len(learning) == 2 * linear


@pytest.mark.parametrize(("half", "tolerance"), [(False, 0.0), (True, 1e-3)])
def test_what_is_saved_is_what_is_loaded(half, tolerance, checkpoint, tmp_path):
    network = learnt(checkpoint.network)
    adapter_of(checkpoint, network).save(tmp_path, half=half)
    assert holds_adapter(tmp_path)
    loaded = Adapter.load(tmp_path)
    assert loaded.config.steps == 4
    for name, tensor in adapter_state(network).items():
        torch.testing.assert_close(loaded.tensors[name], tensor, rtol=tolerance, atol=1e-4 if half else 0.0)


def test_other_weights_are_refused(checkpoint):
    adapter = adapter_of(checkpoint, learnt(checkpoint.network))
    assert adapter.on(checkpoint).network is not checkpoint.network
    checkpoint.network.embed.weight.data[0, 0] += 0.1
    with pytest.raises(InputError, match=r"weights of edmg.*a-recipe"):
        adapter.on(checkpoint)


def test_weights_stored_in_half_are_the_same_weights(checkpoint, tmp_path):
    checkpoint.save(tmp_path, half=True)
    assert fingerprint(Checkpoint.load(tmp_path).network) == fingerprint(checkpoint.network)


@pytest.mark.parametrize("damage", ["missing", "more", "rank", "shape"])
def test_matrices_that_do_not_fit_are_named(damage, checkpoint):
    state = adapter_state(learnt(checkpoint.network))
    if damage == "missing":
        del state["embed.up"]
    elif damage == "more":
        state["nothing.up"] = state["embed.up"]
    elif damage == "rank":
        state["embed.up"] = state["embed.up"][:, :2]
    else:
        state["embed.up"] = state["embed.up"][:-1]
    with pytest.raises(ValueError, match="nothing" if damage == "more" else "embed"):
        merged(checkpoint.network, state)


def test_a_damaged_folder_is_named(checkpoint, tmp_path):
    assert not holds_adapter(tmp_path)
    adapter_of(checkpoint, learnt(checkpoint.network)).save(tmp_path)
    record = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(record | {"steps": 0}))
    with pytest.raises(InputError, match="steps"):
        Adapter.load(tmp_path)
    broken = adapter_of(checkpoint, learnt(checkpoint.network))
    broken.tensors["embed.up"] = torch.full_like(broken.tensors["embed.up"], float("nan"))
    broken.save(tmp_path)
    with pytest.raises(InputError, match="finite"):
        Adapter.load(tmp_path)


def test_energies_of_an_adapter_are_known_ones(checkpoint):
    known = adapter_of(checkpoint, adapted(checkpoint.network, rank=3)).config.model_dump()
    assert AdapterConfig(**known).energies is None
    assert AdapterConfig(**known | {"energies": {"beats": 0.5}}).energies == {"beats": 0.5}
    with pytest.raises(ValueError, match="among beats"):
        AdapterConfig(**known | {"energies": {"grace": 0.5}})
