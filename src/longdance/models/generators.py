"""Checkpoints of the baselines that go forward in time: networks that continue a dance instead of denoising one.

A folder holds one of these if its ``config.json`` names a ``generator``; a denoiser's names a ``denoiser``.
"""

import copy
import json
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveFloat, ValidationError, model_validator
from torch import Tensor, nn

from longdance import __version__
from longdance.errors import InputError
from longdance.features.music import MUSIC_CHANNELS
from longdance.models.bailando import Bailando, BailandoConfig, ChoreographicMemory, MemoryConfig
from longdance.models.checkpoint import FORMAT, Checkpoint, finite_state, read_folder
from longdance.models.fact import FACTConfig, FACTNetwork
from longdance.models.mnet import MNETConfig, MNETGenerator
from longdance.motion.layout import LAYOUTS, Normaliser

GENERATORS: dict[str, tuple[type[BaseModel], type[nn.Module]]] = {
    "fact": (FACTConfig, FACTNetwork),
    "mnet": (MNETConfig, MNETGenerator),
    "bailando-memory": (MemoryConfig, ChoreographicMemory),
    "bailando": (BailandoConfig, Bailando),
}
"""Kind of network to its configuration and class."""


def generator_name(network: BaseModel) -> str:
    """Key in ``GENERATORS`` of a network's configuration."""
    return next(name for name, (config, _) in GENERATORS.items() if type(network) is config)


class GeneratorConfig(BaseModel):
    """Everything but the tensors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: int = FORMAT
    longdance: str = __version__
    generator: str
    """Kind of network, a key of ``GENERATORS``."""
    network: dict
    """The network's own configuration."""
    layout: str
    fps: PositiveFloat
    music_encoder: str
    text_encoder: str
    """With which words are checked; no generator hears more of them than the genre's name."""
    genres: tuple[str, ...] = ()
    """Genres among the training dances."""
    recipe: str = ""
    trained_steps: NonNegativeInt = 0
    licence: str = ""
    """Licence and origin of the data the weights were trained on."""

    @model_validator(mode="after")
    def _fits_together(self) -> "GeneratorConfig":
        for field, known in (("generator", GENERATORS), ("layout", LAYOUTS), ("music_encoder", MUSIC_CHANNELS)):
            if getattr(self, field) not in known:
                raise ValueError(f"expected {field} among {', '.join(known)}, got {getattr(self, field)!r}")
        network = self.network_config
        for field, expected in (
            ("features", LAYOUTS[self.layout].width),
            ("music_channels", MUSIC_CHANNELS[self.music_encoder]),
            ("fps", self.fps),
        ):
            if getattr(network, field, expected) != expected:
                raise ValueError(f"expected network.{field} to be {expected}, got {getattr(network, field)}")
        return self

    @property
    def network_config(self) -> BaseModel:
        """``network``, checked."""
        return GENERATORS[self.generator][0].model_validate(self.network)


def holds_generator(folder: Path) -> bool:
    """Whether a checkpoint folder is one of these; unreadable ones are left to who reads them."""
    try:
        record = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(record, dict) and "generator" in record


@dataclass(frozen=True, eq=False)
class GeneratorCheckpoint(Checkpoint):
    """A network that continues dances, with what is needed to use it."""

    config: GeneratorConfig

    def to(self, device: torch.device | str) -> "GeneratorCheckpoint":
        """A copy on another device; the original stays as it is."""
        return GeneratorCheckpoint(
            self.config,
            copy.deepcopy(self.network).to(device),
            self.normaliser.to(device),
            self.music_mean.to(device),
            self.music_scale.to(device),
        )

    @classmethod
    def load(cls, folder: str | os.PathLike) -> "GeneratorCheckpoint":
        """Rebuild the network of a folder, in evaluation mode on the CPU; ``InputError`` says what is wrong with it."""
        folder = Path(folder)
        record, tensors = read_folder(folder)
        try:
            config = GeneratorConfig.model_validate(record)
        except ValidationError as error:
            raise InputError(f"{folder}/config.json: cannot be used with this version of longdance: {error}") from error
        try:
            return cls._from_tensors(config, tensors)
        except (ValueError, RuntimeError) as error:
            raise InputError(f"{folder}/model.safetensors: does not fit config.json: {error}") from error

    @classmethod
    def _from_tensors(cls, config: GeneratorConfig, tensors: dict[str, Tensor]) -> "GeneratorCheckpoint":
        network = GENERATORS[config.generator][1](config.network_config)
        prefix = "network."
        finite_state(tensors)
        network.load_state_dict(
            {name.removeprefix(prefix): tensors.pop(name) for name in list(tensors) if name.startswith(prefix)}
        )
        widths = {
            "normaliser.mean": LAYOUTS[config.layout].width,
            "normaliser.scale": LAYOUTS[config.layout].width,
            "music.mean": MUSIC_CHANNELS[config.music_encoder],
            "music.scale": MUSIC_CHANNELS[config.music_encoder],
        }
        if {name: tuple(tensor.shape) for name, tensor in tensors.items()} != {n: (w,) for n, w in widths.items()}:
            raise ValueError(f"expected vectors of the lengths {widths}")
        mean, scale, music_mean, music_scale = (tensors[name] for name in widths)
        if not (scale > 0).all() or not (music_scale > 0).all():
            raise ValueError("expected positive scales")
        return cls(config, network.eval().requires_grad_(False), Normaliser(mean, scale), music_mean, music_scale)
