"""Which number format networks compute in."""

import pytest
import torch
from torch import nn

from longdance.models import precision
from longdance.models.blocks import Preconditioner
from longdance.models.conditions import Conditions
from longdance.models.edge import EDGEDenoiser, EDGEDenoiserConfig
from longdance.models.lodge_global import GlobalDenoiser, GlobalDenoiserConfig
from longdance.models.lodge_local import LocalDenoiser, LocalDenoiserConfig
from longdance.models.pmd import ParallelMambaDenoiser, PMDConfig
from longdance.models.precision import fastest, multiplies_bf16


@pytest.mark.parametrize(("avx512", "amx"), [(True, False), (False, True), (False, False)])
def test_a_processor_is_asked_what_it_multiplies(avx512, amx, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    assert multiplies_bf16("cpu") is (avx512 or amx)


def test_a_version_that_cannot_tell_computes_in_float32(monkeypatch):
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, name, raising=False)
    assert not multiplies_bf16("cpu")


@pytest.fixture
def in_hardware(monkeypatch):
    monkeypatch.setattr(precision, "multiplies_bf16", lambda kind: True)


def test_a_network_stays_as_it_is_without_bf16_in_hardware(monkeypatch):
    monkeypatch.setattr(precision, "multiplies_bf16", lambda kind: False)
    network = nn.Linear(2, 2)
    assert fastest(network) is network


def test_a_network_is_copied_once_and_left_alone(in_hardware):
    network = nn.Linear(2, 2)
    copy = fastest(network)
    assert (copy.weight.dtype, network.weight.dtype) == (torch.bfloat16, torch.float32)
    assert (copy.weight.requires_grad, network.weight.requires_grad) == (False, True)
    assert fastest(network) is copy


SMALL = {"width": 32, "depth": 2, "attention_heads": 2, "precondition": True}
DENOISERS = {
    "pmd": lambda: ParallelMambaDenoiser(
        PMDConfig(**SMALL, heads=4, state=8, fps=30, chunk=16, aligned_music=True, music_gain=True)
    ),
    "pmd in both directions": lambda: ParallelMambaDenoiser(
        PMDConfig(**SMALL, heads=4, state=8, fps=30, direction="bidirectional", chunk=64, style_layer=True)
    ),
    "pmd without PMM": lambda: ParallelMambaDenoiser(PMDConfig(**SMALL, mixer="sequential", heads=4, state=8, fps=30)),
    "edge": lambda: EDGEDenoiser(EDGEDenoiserConfig(**SMALL, music_channels=35, aligned_music=True)),
    "lodge-local": lambda: LocalDenoiser(LocalDenoiserConfig(**SMALL, aligned_music=True)),
    "lodge-global": lambda: GlobalDenoiser(GlobalDenoiserConfig(**SMALL, length=256, segment=128)),
}


@pytest.mark.parametrize("name", DENOISERS)
def test_all_of_a_denoiser_computes_in_bf16(name, in_hardware):
    """No layer refuses or silently goes back to float32, and the prediction stays near that of float32."""
    torch.manual_seed(3)
    network = DENOISERS[name]().eval()
    with torch.no_grad():
        for parameter in network.parameters():  # layers that begin as nothing would hide what they do
            parameter.add_(0.02 * torch.randn_like(parameter))
    config = network.config
    frames = getattr(config, "primitives", 5) * 8
    given = Conditions(
        torch.randn(2, getattr(config, "length", frames), config.music_channels), torch.randn(2, 2, config.text_width),
        torch.ones(2, 2, dtype=torch.bool), torch.tensor([True, False]),
    )  # fmt: skip
    noisy, step = torch.randn(2, frames, config.features), torch.tensor([3, 700])
    low = fastest(network)
    formats = set()
    for layer in low.modules():
        if isinstance(layer, nn.Linear | nn.Conv1d):
            layer.register_forward_hook(lambda layer, given, made: formats.add(made.dtype))
    with torch.inference_mode():
        exact, near = network(noisy, step, given), low(noisy, step, given)
        assert torch.equal(near, low(noisy, step, given, low.hear(given)))
    assert formats == {torch.bfloat16}
    assert near.dtype == torch.float32
    assert (near - exact).norm() < 0.02 * exact.norm()


def test_what_bf16_would_spoil_stays_exact():
    """Of the last steps bf16 would not know the noise from none."""
    given = Preconditioner(1000)
    exact = given.factors.clone()
    torch.testing.assert_close(given.bfloat16().factors, exact, rtol=0, atol=0)
    assert given.to("meta").factors.is_meta
