"""The interface of denoisers: what guides them, and how words become one vector.

Every denoiser takes (noisy motion, diffusion step, ``Conditions``) and returns the clean motion. What it makes of the
music alone, ``MusicTokens``, may be computed once for all steps and handed back.
"""

from typing import Annotated, NamedTuple

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor, nn

from longdance.models.blocks import Entrance

MusicTokens = tuple[Tensor, ...]
"""What a denoiser makes of the music alone, once for all steps; what they are, it knows."""

Count = Annotated[int, Field(gt=0, le=100_000)]
"""A size; the limit is far above any use, and keeps damaged files from asking for the impossible."""


class Conditions(NamedTuple):
    """What guides a denoiser; every field has the batch on its first axis."""

    music: Float[Tensor, "batch frames music_channels"]
    """Music features at the motion's frame rate."""
    text: Float[Tensor, "batch text_tokens text_width"]
    """Embeddings of descriptions, padded with zeros: the first is the genre's, others are movements' or free words'."""
    text_mask: Bool[Tensor, "batch text_tokens"]
    """True where a text token is real, the first where there is a genre; a row without any is the null text."""
    keep_music: Bool[Tensor, " batch"]
    """False replaces the music by its null embedding."""

    def rows(self, index) -> "Conditions":
        """The rows named by a slice or an index tensor."""
        return Conditions(*(field[index] for field in self))

    def without(self, *, music: bool = False, text: bool = False) -> "Conditions":
        """The same batch with music or text dropped, for classifier-free guidance."""
        return self._replace(
            keep_music=torch.zeros_like(self.keep_music) if music else self.keep_music,
            text_mask=torch.zeros_like(self.text_mask) if text else self.text_mask,
        )


class TextPooling(nn.Module):
    """Text tokens to one condition vector: each through a small network, then their mean; a null vector for none.

    Embeddings are brought to unit variance first: encoders differ in length, and the components of a unit vector are
    too small to be heard beside the diffusion step.
    """

    def __init__(self, text_width: int, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(text_width, elementwise_affine=False)
        self.network = nn.Sequential(Entrance(text_width, width), nn.SiLU(), nn.Linear(width, width))
        self.null = nn.Parameter(torch.zeros(width))

    def forward(
        self, text: Float[Tensor, "batch text_tokens text_width"], mask: Bool[Tensor, "batch text_tokens"]
    ) -> Float[Tensor, "batch width"]:
        tokens = self.network(self.norm(text))
        weight = mask[..., None].to(tokens.dtype)
        count = weight.sum(1)
        mean = (tokens * weight).sum(1) / count.clamp_min(1)
        return torch.where(count > 0, mean, self.null.to(mean.dtype))


class GenreAndMovements(nn.Module):
    """Text tokens to one condition vector: the genre's and the movements' share, each pooled by a network of its own.

    A movement is then no average with its genre, and either can be left out.
    """

    def __init__(self, text_width: int, width: int):
        super().__init__()
        self.genre = TextPooling(text_width, width)
        self.movements = TextPooling(text_width, width)

    def forward(
        self, text: Float[Tensor, "batch text_tokens text_width"], mask: Bool[Tensor, "batch text_tokens"]
    ) -> Float[Tensor, "batch width"]:
        return self.genre(text[:, :1], mask[:, :1]) + self.movements(text[:, 1:], mask[:, 1:])
