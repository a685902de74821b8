"""FiLM transformer layers, from which EDGE and both stages of Lodge are built.

Source: EDGE (Tseng et al. 2023) section 3, which Lodge section 3.4 follows; FiLM after Perez et al. 2018.
"""

from typing import Annotated

import torch
from jaxtyping import Bool, Float
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, model_validator
from torch import Tensor, nn

from longdance.models.blocks import CrossAttention, Entrance
from longdance.models.conditions import Count


class TransformerConfig(BaseModel):
    """Sizes that EDGE's network and both of Lodge's have. Defaults: EDGE's."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    features: Count = 151
    """Motion features per frame."""
    music_channels: Count = 35
    """Music features per frame."""
    text_width: Count = 384
    """Width of a text embedding."""
    fps: PositiveFloat = 30.0
    """Frames per second of motion and music."""
    width: Count = 512
    depth: Annotated[Count, Field(le=1000)] = 8
    """Decoder layers."""
    feedforward: Count = 1024
    """Inner width of the feed-forward networks."""
    attention_heads: Count = 8
    music_layers: Annotated[Count, Field(le=1000)] = 2
    """Encoder layers of the music."""
    music_stride: Count = 1
    """Frames of music per token."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    precondition: bool = False
    """Whether nearly clean motion is passed on and corrected, instead of made anew (not in the paper)."""
    innovation: PositiveFloat = 0.1
    """Variance of a feature that its neighbouring frames do not tell, for preconditioning: motion at 30 frames per
    second has about 0.001, and what is passed on beyond that is noise."""
    diffusion_steps: Count = 1000
    """T, for preconditioning."""

    @model_validator(mode="after")
    def _heads_divide(self) -> "TransformerConfig":
        if self.width % (2 * self.attention_heads):  # rotary time turns pairs of a head's channels
            raise ValueError(
                f"expected attention_heads to split width {self.width} into even parts, got {self.attention_heads}"
            )
        return self


def fold(frames: Float[Tensor, "batch frames channels"], stride: int) -> Float[Tensor, "batch tokens folded"]:
    """Every ``stride`` frames side by side in one token; a last token may lack frames, which are zero."""
    missing = -frames.shape[1] % stride
    return nn.functional.pad(frames, (0, 0, 0, missing)).unflatten(1, (-1, stride)).flatten(2)


def unfold(
    tokens: Float[Tensor, "batch tokens folded"], stride: int, *, frames: int
) -> Float[Tensor, "batch frames channels"]:
    """The inverse of ``fold``."""
    return tokens.unflatten(-1, (stride, -1)).flatten(1, 2)[:, :frames]


def token_seconds(tokens: int, stride: int, *, fps: float, device: torch.device) -> Float[Tensor, " tokens"]:
    """The second in the middle of each folded token's frames."""
    return (torch.arange(tokens, device=device) * stride + (stride - 1) / 2) / fps


class FiLM(nn.Module):
    """Scale and shift of every channel, told by a condition; begins as nothing."""

    def __init__(self, width: int):
        super().__init__()
        self.modulation = nn.Linear(width, 2 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(
        self, tokens: Float[Tensor, "batch frames width"], condition: Float[Tensor, "batch width"]
    ) -> Float[Tensor, "batch frames width"]:
        scale, shift = self.modulation(nn.functional.silu(condition))[:, None].chunk(2, -1)
        return tokens * (1 + scale) + shift


class FeedForward(nn.Sequential):
    """Two linear layers with a GELU between them."""

    def __init__(self, width: int, inner: int, dropout: float):
        super().__init__(nn.Linear(width, inner), nn.GELU(), nn.Dropout(dropout), nn.Linear(inner, width))


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward network with rotary time, pre-norm: the papers' "TE"."""

    def __init__(self, width: int, *, heads: int, feedforward: int, dropout: float):
        super().__init__()
        self.norm_attention = nn.LayerNorm(width)
        self.attention = CrossAttention(width, heads, dropout)
        self.norm_feedforward = nn.LayerNorm(width)
        self.feedforward = FeedForward(width, feedforward, dropout)

    def forward(
        self, tokens: Float[Tensor, "batch frames width"], seconds: Float[Tensor, " frames"]
    ) -> Float[Tensor, "batch frames width"]:
        normed = self.norm_attention(tokens)
        tokens = tokens + self.attention(normed, seconds, normed, seconds)
        return tokens + self.feedforward(self.norm_feedforward(tokens))


class DecoderLayer(nn.Module):
    """Self-attention, cross-attention and feed-forward network, the output of each modulated by FiLM."""

    def __init__(self, width: int, *, heads: int, feedforward: int, dropout: float):
        super().__init__()
        self.norm_self = nn.LayerNorm(width)
        self.self_attention = CrossAttention(width, heads, dropout)
        self.film_self = FiLM(width)
        self.norm_cross = nn.LayerNorm(width)
        self.cross_attention = CrossAttention(width, heads, dropout)
        self.film_cross = FiLM(width)
        self.norm_feedforward = nn.LayerNorm(width)
        self.feedforward = FeedForward(width, feedforward, dropout)
        self.film_feedforward = FiLM(width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        tokens: Float[Tensor, "batch frames width"],
        seconds: Float[Tensor, " frames"],
        memory: Float[Tensor, "batch memory width"],
        memory_seconds: Float[Tensor, " timed"],
        condition: Float[Tensor, "batch width"],
    ) -> Float[Tensor, "batch frames width"]:
        """Memory tokens beyond ``memory_seconds`` have no time."""
        normed = self.norm_self(tokens)
        attended = self.self_attention(normed, seconds, normed, seconds)
        tokens = tokens + self.film_self(self.dropout(attended), condition)
        attended = self.cross_attention(self.norm_cross(tokens), seconds, memory, memory_seconds)
        tokens = tokens + self.film_cross(self.dropout(attended), condition)
        return tokens + self.film_feedforward(self.dropout(self.feedforward(self.norm_feedforward(tokens))), condition)


class MusicTransformer(nn.Module):
    """Music features to tokens: ``stride`` frames are folded into each by a linear layer, then encoder layers.

    With a stride this is the down-sampling network of Lodge section 3.3. Rows whose music is dropped hold a learnt
    null embedding throughout.
    """

    def __init__(
        self, channels: int, width: int, *, stride: int, layers: int, heads: int, feedforward: int, dropout: float
    ):
        super().__init__()
        self.stride = stride
        self.embed = Entrance(stride * channels, width)
        self.layers = nn.ModuleList(
            EncoderLayer(width, heads=heads, feedforward=feedforward, dropout=dropout) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.null = nn.Parameter(torch.zeros(width))

    def forward(
        self,
        music: Float[Tensor, "batch frames music_channels"],
        keep: Bool[Tensor, " batch"],
        *,
        fps: float,
    ) -> tuple[Float[Tensor, "batch tokens width"], Float[Tensor, " tokens"]]:
        """Tokens and the second in the middle of each one's frames."""
        tokens = self.embed(fold(music, self.stride))
        seconds = token_seconds(tokens.shape[1], self.stride, fps=fps, device=music.device)
        for layer in self.layers:
            tokens = layer(tokens, seconds)
        return torch.where(keep[:, None, None], self.norm(tokens), self.null.to(tokens.dtype)), seconds
