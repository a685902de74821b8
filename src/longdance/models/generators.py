"""Checkpoints of the baselines that go forward in time: networks that continue a dance instead of denoising one.

A folder holds one of these if its ``config.json`` names a ``generator``; a denoiser's names a ``denoiser``.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from pydantic import BaseModel, model_validator
from torch import nn

from longdance.models.checkpoint import Checkpoint, NetworkRecord, config_class, expect_known, kind_of_network, says
from longdance.registry import FORWARD_NETWORKS


def generator_name(network: BaseModel) -> str:
    """Key in ``FORWARD_NETWORKS`` of a network's configuration."""
    return kind_of_network(FORWARD_NETWORKS, network)


def build(network: BaseModel) -> nn.Module:
    """A new network with random weights from its configuration."""
    return FORWARD_NETWORKS[generator_name(network)](network)


class GeneratorConfig(NetworkRecord):
    """What the checkpoint of a generator says of it; words are checked by its text encoder, and none but a genre's name
    is heard.
    """

    generator: str
    """Kind of network, a key of ``FORWARD_NETWORKS``."""

    @model_validator(mode="after")
    def _fits_together(self) -> "GeneratorConfig":
        expect_known("generator", self.generator, FORWARD_NETWORKS)
        self.check_sizes(self.network_config)
        return self

    @property
    def network_config(self) -> BaseModel:
        """``network``, checked."""
        return config_class(FORWARD_NETWORKS, self.generator).model_validate(self.network)


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
