"""EDMG's Temporal Refinement Module: joint tracks through fully connected layers along time, and its checkpoints.

Running it over dances of any length, and the way back from positions to rotations, is in ``choreography.refinement``.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveFloat, ValidationError
from torch import Tensor, nn

from longdance import __version__
from longdance.errors import InputError
from longdance.models.checkpoint import FORMAT, finite_state, read_folder, write_folder
from longdance.models.conditions import Count

TIME_SCALE = 0.1
"""Seconds by which velocities, and squared accelerations, are multiplied, so that all inputs are about as large."""


class TRMConfig(BaseModel):
    """Sizes of the module."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    joints: Count = 24
    """EDMG section 3.4."""
    fps: PositiveFloat = 60.0
    """Frames per second of the motion that it refines."""
    window: Count = 128
    """Frames that are seen at once, the receptive field; the paper gives none beyond "global"."""
    width: Count = 512
    """Features that a track of one window becomes; not given in the paper."""
    blocks: Count = 5
    """Residual blocks of either stream, M (EDMG section 4.1)."""
    negative_slope: float = 0.2
    """Of the LeakyReLU; not given in the paper."""
    domain: Literal["time", "cosine"] = "time"
    """What the layers along time see: the frames, or the coefficients of their cosine transform (ours)."""


class TemporalRefinementModule(nn.Module):
    """Positions of a window of joints, freed of jitter.

    Every joint's coordinate is a track that goes, the same way for all, through two streams of fully connected layers
    along time: one sees positions, the other velocities and accelerations (backward differences, the first repeated).
    Both streams and the track itself together tell the correction. Tracks enter relative to their mean over the window,
    so the place of the dance, and of the joint, does not matter; a learnt vector per joint, and whether the track is
    vertical, lets a foot be refined otherwise than a hand. A new module changes nothing.

    Source: EDMG section 3.4, figure 2. Differs: the paper does not say how the streams are joined; here one linear
    layer takes both. With ``domain`` cosine tracks go in and out as the coefficients of their cosine transform, which
    to fully connected layers is the same but is learnt many times faster: jitter and movement are apart there.
    """

    def __init__(self, config: TRMConfig):
        super().__init__()
        self.config = config
        width, window = config.width, config.window
        self.position_stream = _Stream(window, width, config.blocks, config.negative_slope)
        self.motion_stream = _Stream(2 * window, width, config.blocks, config.negative_slope)
        self.identity = nn.Parameter(torch.zeros(config.joints, 2, width))
        self.correction = nn.Linear(2 * width + window, window)
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(self.correction.bias)
        self.cosines: Tensor
        basis = cosine_basis(window) if config.domain == "cosine" else torch.eye(window)
        self.register_buffer("cosines", basis, persistent=False)

    def forward(self, positions: Float[Tensor, "batch frames joints 3"]) -> Float[Tensor, "batch frames joints 3"]:
        """Refined positions in metres of windows of exactly ``config.window`` frames."""
        if positions.shape[1:] != (self.config.window, self.config.joints, 3):
            raise ValueError(
                f"expected windows of {self.config.window} frames and {self.config.joints} joints, "
                f"got {tuple(positions.shape[1:])}"
            )
        tracks = (positions - positions.mean(1, keepdim=True)).permute(0, 2, 3, 1)
        scale = self.config.fps * TIME_SCALE
        velocity = tracks.diff(dim=-1, prepend=tracks[..., :1]) * scale
        acceleration = velocity.diff(dim=-1, prepend=velocity[..., :1]) * scale
        # Horizontal, vertical, horizontal.
        identity = self.identity[:, [0, 1, 0]]
        tracks, velocity, acceleration = (track @ self.cosines.T for track in (tracks, velocity, acceleration))
        place = self.position_stream(tracks, identity)
        motion = self.motion_stream(torch.cat((velocity, acceleration), -1), identity)
        correction = self.correction(torch.cat((place, motion, tracks), -1)) @ self.cosines
        return positions + correction.permute(0, 3, 1, 2)


def cosine_basis(frames: int) -> Float[Tensor, "frames frames"]:
    """The orthonormal cosine transform (DCT-II): row k oscillates k / 2 times over the frames."""
    time = (torch.arange(frames, dtype=torch.float64) + 0.5) / frames
    basis = torch.cos(torch.pi * torch.arange(frames, dtype=torch.float64)[:, None] * time) * (2 / frames) ** 0.5
    basis[0] *= 0.5**0.5
    return basis.float()


class _Stream(nn.Module):
    """A track along time to features, through residual blocks."""

    def __init__(self, frames: int, width: int, blocks: int, negative_slope: float):
        super().__init__()
        self.encode = nn.Linear(frames, width)
        self.activation = nn.LeakyReLU(negative_slope)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.LeakyReLU(negative_slope), nn.Linear(width, width))
            for _ in range(blocks)
        )

    def forward(
        self, tracks: Float[Tensor, "batch joints axes frames"], identity: Float[Tensor, "joints axes width"]
    ) -> Float[Tensor, "batch joints axes width"]:
        features = self.activation(self.encode(tracks) + identity)
        for block in self.blocks:
            features = features + self.activation(block(features))
        return features


class RefinerConfig(BaseModel):
    """Everything of a refiner's checkpoint but the tensors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: int = FORMAT
    longdance: str = __version__
    refiner: str = "trm"
    """Kind of network; there is one."""
    network: TRMConfig
    recipe: str = ""
    trained_steps: NonNegativeInt = 0
    denoiser: str = ""
    """Checksum of the tensors of the denoiser on whose samples it was trained."""
    licence: str = ""
    """Licence and origin of the data the weights were trained on."""


@dataclass(frozen=True, eq=False)
class Refiner:
    """A Temporal Refinement Module with its record, as kept in a folder of its own."""

    config: RefinerConfig
    network: TemporalRefinementModule

    def save(self, folder: str | os.PathLike) -> None:
        """Write ``config.json`` and ``model.safetensors``."""
        write_folder(Path(folder), self.config.model_dump(), self.network.state_dict())

    @classmethod
    def load(cls, folder: str | os.PathLike) -> "Refiner":
        """Rebuild the refiner of a folder, in evaluation mode on the CPU; ``InputError`` says what is wrong with it."""
        folder = Path(folder)
        record, tensors = read_folder(folder)
        try:
            config = RefinerConfig.model_validate(record)
        except ValidationError as error:
            raise InputError(f"{folder}/config.json: cannot be used with this version of longdance: {error}") from error
        network = TemporalRefinementModule(config.network)
        try:
            network.load_state_dict(finite_state(tensors))
        except (ValueError, RuntimeError) as error:
            raise InputError(f"{folder}/model.safetensors: does not fit config.json: {error}") from error
        return cls(config, network.eval().requires_grad_(False))
