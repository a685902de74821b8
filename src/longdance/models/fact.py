"""FACT: a full-attention cross-modal transformer that continues a seed motion to music.

Source: AI Choreographer (Li et al. 2021), section 4.
"""

from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, model_validator
from torch import Tensor, nn

from longdance.models.conditions import Count
from longdance.models.film import EncoderLayer

REGISTER = {"forward": {"fact": {"make": "FACTNetwork", "config": "FACTConfig"}}}


class FACTConfig(BaseModel):
    """Sizes. Defaults are the paper's (section 5.2)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    features: Count = 151
    """Motion features per frame."""
    music_channels: Count = 35
    """Music features per frame."""
    fps: PositiveFloat = 60.0
    """Frames per second of motion and music."""
    seed_frames: Count = 120
    """Frames of motion that are continued."""
    music_frames: Count = 240
    """Frames of music that are heard, the first of them with the first frame of the seed."""
    future: Count = 20
    """Frames that are predicted in training, N."""
    width: Count = 800
    feedforward: Count = 3072
    attention_heads: Count = 10
    motion_layers: Annotated[Count, Field(le=1000)] = 2
    music_layers: Annotated[Count, Field(le=1000)] = 2
    cross_layers: Annotated[Count, Field(le=1000)] = 12
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    residual: bool = False
    """Whether the last frame of the seed is added to the prediction (not in the paper)."""
    pool: Count = 64
    """Seed motions that come with the weights."""

    @model_validator(mode="after")
    def _fits_together(self) -> "FACTConfig":
        if self.width % (2 * self.attention_heads):  # rotary time turns pairs of a head's channels
            raise ValueError(
                f"expected attention_heads to split width {self.width} into even parts, got {self.attention_heads}"
            )
        if self.future > self.seed_frames or self.seed_frames + self.future > self.music_frames:
            raise ValueError(
                f"expected future <= seed_frames and seed_frames + future <= music_frames, got future={self.future}, "
                f"seed_frames={self.seed_frames} and music_frames={self.music_frames}"
            )
        return self


class FACTNetwork(nn.Module):
    """Seed motion and music to the next frames of motion.

    Each is encoded by a transformer of its own; a cross-modal transformer, in which everything attends to everything,
    sees both one after the other, and its first tokens become the future. Source: AI Choreographer, figure 3.
    Differs: rotary time in seconds beside the learnt positions, 6D rotations and contact labels.

    ``pool`` (n, seed_frames, features) are denormalised seeds for dances that are given none.
    """

    def __init__(self, config: FACTConfig):
        super().__init__()
        self.config = config
        width = config.width
        stack = lambda layers: nn.ModuleList(  # noqa: E731
            EncoderLayer(
                width, heads=config.attention_heads, feedforward=config.feedforward, dropout=config.dropout
            )
            for _ in range(layers)
        )
        self.motion_embed = nn.Linear(config.features, width)
        self.music_embed = nn.Linear(config.music_channels, width)
        self.motion_position = nn.Parameter(0.02 * torch.randn(config.seed_frames, width))
        self.music_position = nn.Parameter(0.02 * torch.randn(config.music_frames, width))
        self.motion_layers = stack(config.motion_layers)
        self.music_layers = stack(config.music_layers)
        self.cross_layers = stack(config.cross_layers)
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, config.features)
        self.pool: Tensor
        self.register_buffer("pool", torch.zeros(config.pool, config.seed_frames, config.features))

    def forward(
        self,
        seed: Float[Tensor, "batch seed features"],
        music: Float[Tensor, "batch heard music_channels"],
    ) -> Float[Tensor, "batch future features"]:
        """The ``future`` frames after a normalised seed, whose horizontal root is relative to its first frame."""
        config = self.config
        motion = self.motion_embed(seed) + self.motion_position
        sound = self.music_embed(music) + self.music_position
        motion_seconds = torch.arange(config.seed_frames, device=seed.device) / config.fps
        music_seconds = torch.arange(config.music_frames, device=seed.device) / config.fps
        for layer in self.motion_layers:
            motion = layer(motion, motion_seconds)
        for layer in self.music_layers:
            sound = layer(sound, music_seconds)
        both, seconds = torch.cat((motion, sound), 1), torch.cat((motion_seconds, music_seconds))
        for layer in self.cross_layers:
            both = layer(both, seconds)
        future = self.output(self.norm(both[:, : config.future])).float()
        return seed[:, -1:] + future if config.residual else future
