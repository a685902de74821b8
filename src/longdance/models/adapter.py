"""Low-rank adapters: small changes of a trained network's linear layers, kept apart from its weights.

A layer with weights W becomes one with W + U D, of which only the thin matrices U and D are learnt and stored; merged
into the weights they cost nothing at use. Source: Hu et al. 2021 (LoRA), eq. 3.
"""

import copy
import hashlib
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveFloat, ValidationError
from torch import Tensor, nn

from longdance import __version__
from longdance.errors import InputError
from longdance.models.checkpoint import FORMAT, Checkpoint, OwnEnergies, finite_state, read_folder, says, write_folder
from longdance.models.conditions import Count


class LowRankLinear(nn.Module):
    """A frozen linear layer and what is added to it. Begins as the layer alone."""

    def __init__(self, layer: nn.Linear, rank: int, *, generator: torch.Generator | None = None):
        super().__init__()
        self.layer = layer.requires_grad_(False)
        down = torch.randn(rank, layer.in_features, generator=generator) / math.sqrt(layer.in_features)
        self.down = nn.Parameter(down)
        self.up = nn.Parameter(torch.zeros(layer.out_features, rank))

    @property
    def weight(self) -> Float[Tensor, "outputs inputs"]:
        """The layer's, changed."""
        return self.layer.weight + self.up @ self.down

    @property
    def bias(self) -> Tensor:
        """The layer's."""
        return self.layer.bias

    def forward(self, x: Float[Tensor, "*axes inputs"]) -> Float[Tensor, "*axes outputs"]:
        return self.layer(x) + nn.functional.linear(nn.functional.linear(x, self.down), self.up)


def adapted(network: nn.Module, rank: int, *, seed: int = 0) -> nn.Module:
    """A copy of a network in which only low-rank changes of all its linear layers can be learnt."""
    generator = torch.Generator().manual_seed(seed)
    network = copy.deepcopy(network).requires_grad_(False)
    for name, layer in list(_linear_layers(network)):
        parent, _, own = name.rpartition(".")
        setattr(network.get_submodule(parent), own, LowRankLinear(layer, rank, generator=generator))
    return network


def adapter_state(network: nn.Module) -> dict[str, Tensor]:
    """What was learnt by a network made by ``adapted``: LAYER.down (rank, inputs) and LAYER.up (outputs, rank)."""
    return {
        f"{name}.{part}": getattr(layer, part).detach()
        for name, layer in network.named_modules()
        if isinstance(layer, LowRankLinear)
        for part in ("down", "up")
    }


def merged(network: nn.Module, state: dict[str, Tensor]) -> nn.Module:
    """A copy of the plain network with the changes in its weights.

    ``ValueError`` where the changes are not those of this network's linear layers.
    """
    network = copy.deepcopy(network)
    layers = dict(_linear_layers(network))
    expected = {f"{name}.{part}" for name in layers for part in ("down", "up")}
    if set(state) != expected:
        odd = sorted(set(state) ^ expected)
        raise ValueError(f"expected a low-rank change of every linear layer and no other, differing in {odd[0]}")
    for name, layer in layers.items():
        up, down = state[f"{name}.up"], state[f"{name}.down"]
        if up.ndim != 2 or down.ndim != 2 or up.shape[1] != down.shape[0]:
            raise ValueError(f"expected matrices of one rank at {name}, got {tuple(up.shape)} and {tuple(down.shape)}")
        change = up @ down
        if change.shape != layer.weight.shape:
            raise ValueError(f"expected a change of {tuple(layer.weight.shape)} at {name}, got {tuple(change.shape)}")
        layer.weight.data += change.to(layer.weight)
    return network


def _linear_layers(network: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Linear):
            yield name, layer


class AdapterConfig(BaseModel):
    """Everything but the tensors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: int = FORMAT
    longdance: str = __version__
    adapts: str
    """The model whose weights are changed: a shipped one's name, or the folder of a checkpoint."""
    adapts_tensors: str
    """``fingerprint`` of that model's network; on other weights the changes mean nothing."""
    rank: Count
    steps: Count
    """Denoising steps that the adapted network was trained to take."""
    sampler: str
    """The sampler it was trained for."""
    guidance: dict[Literal["music", "text", "until"], float]
    """Weights of music and text that the adapted network has learnt to follow in one prediction."""
    energies: OwnEnergies | None = None
    """Those of the adapted model where none are given."""
    denoiser: str
    """Kind of the adapted network; this and the following as in the adapted model's own configuration."""
    music_encoder: str
    fps: PositiveFloat
    genres: tuple[str, ...] = ()
    """Genres among the training dances."""
    recipe: str = ""
    trained_steps: NonNegativeInt = 0
    licence: str = ""
    """Licence and origin of the data the weights were trained on."""


@dataclass(frozen=True, eq=False)
class Adapter:
    """Low-rank changes of a checkpoint's network, and how the changed network is to be sampled."""

    config: AdapterConfig
    tensors: dict[str, Tensor]
    """As ``adapter_state`` names them."""

    def save(self, folder: str | os.PathLike, *, half: bool = False) -> None:
        """Write the folder; ``half`` stores the matrices as float16."""
        tensors = {name: tensor.half() if half else tensor for name, tensor in self.tensors.items()}
        write_folder(Path(folder), self.config.model_dump(), tensors)

    @classmethod
    def load(cls, folder: str | os.PathLike) -> "Adapter":
        """``InputError`` if the folder holds none, is damaged, or was made by another version of the format."""
        folder = Path(folder)
        record, tensors = read_folder(folder)
        try:
            return cls(AdapterConfig.model_validate(record), finite_state(tensors))
        except ValidationError as error:
            raise InputError(f"{folder}/config.json: cannot be used with this version of longdance: {error}") from error
        except ValueError as error:
            raise InputError(f"{folder}/model.safetensors: {error}") from error

    def on(self, checkpoint: Checkpoint) -> Checkpoint:
        """The checkpoint with the changes in its network's weights; ``InputError`` if it is not the one adapted."""
        if fingerprint(checkpoint.network) != self.config.adapts_tensors:
            raise InputError(
                f"expected the weights of {self.config.adapts} that the adapter was trained on, got others; "
                f"train it again (longdance train {self.config.recipe})"
            )
        try:
            network = merged(checkpoint.network, self.tensors)
        except ValueError as error:
            raise InputError(f"expected an adapter of {self.config.adapts}: {error}") from error
        return replace(checkpoint, network=network, led=None)


def fingerprint(network: nn.Module) -> str:
    """A digest of a network's weights, as float16, the precision in which they travel."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().half().contiguous().numpy().tobytes())
    return digest.hexdigest()


def holds_adapter(folder: Path) -> bool:
    """Whether a checkpoint folder is one of these; unreadable ones are left to who reads them."""
    return says(folder, "adapts")
