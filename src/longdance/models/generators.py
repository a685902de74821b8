"""Checkpoints of the baselines that go forward in time: networks that continue a dance instead of denoising one.

A folder holds one of these if its ``config.json`` names a ``generator``; a denoiser's names a ``denoiser``.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveFloat, model_validator
from torch import nn

from longdance import __version__
from longdance.features.music import MUSIC_CHANNELS
from longdance.models.bailando import Bailando, BailandoConfig, ChoreographicMemory, MemoryConfig
from longdance.models.checkpoint import FORMAT, Checkpoint
from longdance.models.fact import FACTConfig, FACTNetwork
from longdance.models.mnet import MNETConfig, MNETGenerator
from longdance.motion.layout import LAYOUTS

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


def build(network: BaseModel) -> nn.Module:
    """A new network with random weights from its configuration."""
    return GENERATORS[generator_name(network)][1](network)


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

    CONFIG = GeneratorConfig
    NETWORK = staticmethod(build)

    config: GeneratorConfig
