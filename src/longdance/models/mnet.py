"""MNET's generator: seed motion, music, genre and noise to the next stretch of a dance.

Source: MNET (Kim et al. 2022), section 3: a transformer whose layers are modulated by a style code, which a mapping
network with one output per genre makes from noise; the multi-genre discriminator is in `discriminator`.
"""

from typing import Annotated

import torch
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, model_validator
from torch import Tensor, nn

from longdance.models.conditions import Count
from longdance.models.film import DecoderLayer, MusicTransformer

REGISTER = {"forward": {"mnet": {"make": "MNETGenerator", "config": "MNETConfig"}}}


class MNETConfig(BaseModel):
    """Sizes; where the paper's are not known to us, EDGE's take their place."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    features: Count = 151
    """Motion features per frame."""
    music_channels: Count = 35
    """Music features per frame."""
    fps: PositiveFloat = 60.0
    """Frames per second of motion and music."""
    genres: tuple[str, ...] = ("none",)
    """Names, in the order of the mapping network's outputs; training fills them in."""
    seed_frames: Count = 20
    """Frames of motion that are continued."""
    future: Count = 100
    """Frames that are made at once."""
    width: Count = 512
    depth: Annotated[Count, Field(le=1000)] = 8
    """Decoder layers."""
    feedforward: Count = 1024
    attention_heads: Count = 8
    music_layers: Annotated[Count, Field(le=1000)] = 2
    noise: Count = 256
    """Width of the noise from which a style is made."""
    mapping_layers: Annotated[Count, Field(le=100)] = 4
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    residual: bool = False
    """Whether the last frame of the seed is added to the prediction (not in the paper)."""
    pool: Count = 64
    """Seed motions that come with the weights."""

    @model_validator(mode="after")
    def _fits_together(self) -> "MNETConfig":
        if self.width % (2 * self.attention_heads):  # rotary time turns pairs of a head's channels
            raise ValueError(
                f"expected attention_heads to split width {self.width} into even parts, got {self.attention_heads}"
            )
        if not self.genres:
            raise ValueError("expected at least one genre")
        return self


class MappingNetwork(nn.Module):
    """Noise to a style code: shared layers, then one output per genre."""

    def __init__(self, noise: int, width: int, *, layers: int, genres: int):
        super().__init__()
        sizes = [noise, *[width] * layers]
        self.shared = nn.Sequential(
            *(layer for i in range(layers) for layer in (nn.Linear(sizes[i], sizes[i + 1]), nn.SiLU()))
        )
        self.outputs = nn.Linear(width, genres * width)

    def forward(
        self, noise: Float[Tensor, "batch noise"], genre: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch width"]:
        hidden = self.shared(noise)
        styles = self.outputs(hidden).unflatten(-1, (-1, hidden.shape[-1]))
        return styles[torch.arange(len(genre), device=genre.device), genre]


class MNETGenerator(nn.Module):
    """The frames after a seed, in a genre, as one noise would have them.

    Differs: FiLM after every part of a layer in place of the paper's modulation, rotary time in seconds.

    ``pool`` (n, seed_frames, features) are denormalised seeds for dances that are given none, ``pool_genre`` (n,) the
    index of each one's genre.
    """

    def __init__(self, config: MNETConfig):
        super().__init__()
        self.config = config
        width = config.width
        sizes = {"heads": config.attention_heads, "feedforward": config.feedforward, "dropout": config.dropout}
        self.embed = nn.Linear(config.features, width)
        self.music = MusicTransformer(config.music_channels, width, stride=1, layers=config.music_layers, **sizes)
        self.style = MappingNetwork(config.noise, width, layers=config.mapping_layers, genres=len(config.genres))
        self.query = nn.Parameter(0.02 * torch.randn(config.future, width))
        self.layers = nn.ModuleList(DecoderLayer(width, **sizes) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, config.features)
        self.pool: Tensor
        self.pool_genre: Tensor
        self.register_buffer("pool", torch.zeros(config.pool, config.seed_frames, config.features))
        self.register_buffer("pool_genre", torch.zeros(config.pool, dtype=torch.long))

    def forward(
        self,
        seed: Float[Tensor, "batch seed features"],
        music: Float[Tensor, "batch frames music_channels"],
        genre: Int[Tensor, " batch"],
        noise: Float[Tensor, "batch noise"],
    ) -> Float[Tensor, "batch future features"]:
        """The ``future`` frames after a normalised seed, whose horizontal root is relative to its first frame.

        ``music`` has as many frames as seed and future together.
        """
        config = self.config
        keep = torch.ones(len(seed), dtype=torch.bool, device=seed.device)
        memory, seconds = self.music(music, keep, fps=config.fps)
        style = self.style(noise, genre)
        embedded = self.embed(seed)
        # The music of a frame stands beside its query, so that nothing has to be searched for.
        asked = self.query.to(embedded.dtype) + memory[:, config.seed_frames :].to(embedded.dtype)
        tokens = torch.cat((embedded, asked), 1)
        for layer in self.layers:
            tokens = layer(tokens, seconds, memory, seconds, style)
        future = self.output(self.norm(tokens[:, config.seed_frames :])).float()
        return seed[:, -1:] + future if config.residual else future
