"""Checkpoints of the baselines that go forward in time: networks that continue a dance instead of denoising one.

A folder holds one of these if its ``config.json`` names a ``generator``; a denoiser's names a ``denoiser``.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from pydantic import BaseModel, model_validator
from torch import nn

from longdance.models.bailando import Bailando, BailandoConfig, ChoreographicMemory, MemoryConfig
from longdance.models.checkpoint import Checkpoint, NetworkRecord, expect_known, says
from longdance.models.fact import FACTConfig, FACTNetwork
from longdance.models.mnet import MNETConfig, MNETGenerator

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


class GeneratorConfig(NetworkRecord):
    """What the checkpoint of a generator says of it; words are checked by its text encoder, and none but a genre's name
    is heard.
    """

    generator: str
    """Kind of network, a key of ``GENERATORS``."""

    @model_validator(mode="after")
    def _fits_together(self) -> "GeneratorConfig":
        expect_known("generator", self.generator, GENERATORS)
        self.check_sizes(self.network_config)
        return self

    @property
    def network_config(self) -> BaseModel:
        """``network``, checked."""
        return GENERATORS[self.generator][0].model_validate(self.network)


def holds_generator(folder: Path) -> bool:
    """Whether a checkpoint folder is one of these; unreadable ones are left to who reads them."""
    return says(folder, "generator")


@dataclass(frozen=True, eq=False)
class GeneratorCheckpoint(Checkpoint[GeneratorConfig]):
    """A network that continues dances, with what is needed to use it."""

    CONFIG = GeneratorConfig
    NETWORK = staticmethod(build)

    @classmethod
    def load(cls, folder: str | os.PathLike) -> "GeneratorCheckpoint":
        """As ``Checkpoint.load``."""
        return cast(GeneratorCheckpoint, super().load(folder))
