"""Lodge's multi-genre discriminator: whether a dance looks real for its music and its genre.

Source: Lodge section 3.4, after MNET (Kim et al. 2022): a shared transformer encoder, global average pooling, and one
output per genre.
"""

import torch
from jaxtyping import Bool, Float, Int
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from longdance.models.conditions import Count
from longdance.models.film import EncoderLayer, fold, token_seconds


class DiscriminatorConfig(BaseModel):
    """Sizes; none is given in the paper."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    width: Count = 256
    depth: Count = 4
    feedforward: Count = 512
    attention_heads: Count = 4
    stride: Count = 4
    """Frames per token."""


class MultiGenreDiscriminator(nn.Module):
    """A score per dance, above zero for real ones."""

    def __init__(self, config: DiscriminatorConfig, *, features: int, music_channels: int, genres: int, fps: float):
        super().__init__()
        self.config, self.fps = config, fps
        self.embed = nn.Linear(config.stride * (features + music_channels), config.width)
        self.layers = nn.ModuleList(
            EncoderLayer(
                config.width, heads=config.attention_heads, feedforward=config.feedforward, dropout=0.0
            )
            for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(config.width)
        self.output = nn.Linear(config.width, genres)

    def forward(
        self,
        motion: Float[Tensor, "batch frames features"],
        music: Float[Tensor, "batch frames music_channels"],
        valid: Bool[Tensor, "batch frames"],
        genre: Int[Tensor, " batch"],
    ) -> Float[Tensor, " batch"]:
        """Scores of normalised motion; frames that are not ``valid`` are seen as zeros and do not count."""
        stride = self.config.stride
        both = torch.cat((motion, music), -1) * valid[..., None]
        counts = fold(valid[..., None].float(), stride).mean(-1, keepdim=True)
        tokens = self.embed(fold(both, stride))
        seconds = token_seconds(tokens.shape[1], stride, fps=self.fps, device=motion.device)
        for layer in self.layers:
            tokens = layer(tokens, seconds)
        pooled = (self.norm(tokens).float() * counts).sum(1) / counts.sum(1).clamp_min(1e-6)
        return self.output(pooled).float().gather(1, genre[:, None])[:, 0]

    def verdict(self, *given: Tensor) -> Float[Tensor, " batch"]:
        """The same scores, for a generator to learn from: gradients go into what is judged, none into the judge."""
        fixed = {name: weight.detach() for name, weight in self.named_parameters()}
        return torch.func.functional_call(self, fixed, given)
