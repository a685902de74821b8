"""Checkpoints: a folder with ``config.json`` and ``model.safetensors`` from which a denoiser is rebuilt alone.

Nothing in a checkpoint is executed: JSON is checked field by field, tensors are read by safetensors.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from longdance import __version__
from longdance.errors import InputError
from longdance.models.pmd import ParallelMambaDenoiser, PMDConfig
from longdance.motion.layout import LAYOUTS, Layout, Normaliser
from longdance.motion.motion import atomic_write

FORMAT = 1

DENOISERS: dict[str, tuple[type[BaseModel], type[nn.Module]]] = {"pmd": (PMDConfig, ParallelMambaDenoiser)}
"""Kind of network to its configuration and class."""


class CheckpointConfig(BaseModel):
    """Everything but the tensors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    longdance: str = __version__
    denoiser: str
    """Kind of network, a key of ``DENOISERS``."""
    network: dict
    """The network's own configuration."""
    layout: str
    fps: float
    window: int
    """Frames of the windows that the network was trained on."""
    diffusion_steps: int
    music_encoder: str
    text_encoder: str
    genres: tuple[str, ...] = ()
    """Genres among the training dances."""
    recipe: str = ""
    trained_steps: int = 0
    licence: str = ""
    """Licence and origin of the data the weights were trained on."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A denoiser with what is needed to use it: normalisation of motion and music, and its configuration."""

    config: CheckpointConfig
    network: nn.Module
    normaliser: Normaliser
    music_mean: Tensor
    music_scale: Tensor

    @property
    def layout(self) -> Layout:
        """The feature layout of the motion."""
        return LAYOUTS[self.config.layout]

    def normalise_music(self, music: Tensor) -> Tensor:
        """(..., music_channels) features to zero mean and unit scale, cut at four scales.

        The cut keeps a recording that sounds like nothing in training within what the network has seen.
        """
        return ((music - self.music_mean) / self.music_scale).clamp(-4, 4)

    def to(self, device: torch.device | str) -> "Checkpoint":
        """The same on another device."""
        return Checkpoint(
            self.config,
            self.network.to(device),
            self.normaliser.to(device),
            self.music_mean.to(device),
            self.music_scale.to(device),
        )

    def save(self, folder: str | os.PathLike, *, half: bool = False) -> None:
        """Write the folder; ``half`` stores the network's tensors as float16."""
        folder = Path(folder)
        tensors = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        if half:
            tensors = {name: tensor.half() for name, tensor in tensors.items()}
        tensors |= {
            "normaliser.mean": self.normaliser.mean,
            "normaliser.scale": self.normaliser.scale,
            "music.mean": self.music_mean,
            "music.scale": self.music_scale,
        }
        with atomic_write(folder / "model.safetensors") as temporary:
            save_file({name: tensor.contiguous().cpu() for name, tensor in tensors.items()}, temporary)
        with atomic_write(folder / "config.json") as temporary:
            temporary.write_text(self.config.model_dump_json(indent=2) + "\n")

    @classmethod
    def load(cls, folder: str | os.PathLike) -> "Checkpoint":
        """Rebuild the denoiser of a folder, in evaluation mode on the CPU.

        ``InputError`` if the folder is no checkpoint, is damaged, or was made by another version of the format.
        """
        folder = Path(folder)
        try:
            record = json.loads((folder / "config.json").read_text())
            tensors = load_file(folder / "model.safetensors")
        except (OSError, json.JSONDecodeError, SafetensorError) as error:
            raise InputError(
                f"{folder}: expected a checkpoint (config.json and model.safetensors): {error}"
            ) from error
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            raise InputError(f"{folder}: expected checkpoint format {FORMAT}; train again or update longdance")
        try:
            config = CheckpointConfig(**record)
            config_class, network_class = DENOISERS[config.denoiser]
            network = network_class(config_class(**config.network))
            if config.layout not in LAYOUTS:
                raise KeyError(config.layout)
        except (ValidationError, KeyError, ValueError) as error:
            raise InputError(f"{folder}/config.json: cannot be used with this version of longdance: {error}") from error
        prefix = "network."
        state = {name.removeprefix(prefix): t.float() for name, t in tensors.items() if name.startswith(prefix)}
        try:
            network.load_state_dict(state)
            return cls(
                config,
                network.eval().requires_grad_(False),
                Normaliser(tensors["normaliser.mean"], tensors["normaliser.scale"]),
                tensors["music.mean"],
                tensors["music.scale"],
            )
        except (RuntimeError, KeyError) as error:
            raise InputError(f"{folder}/model.safetensors: does not fit config.json: {error}") from error
