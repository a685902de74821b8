"""Bailando: a dance in codes, time by time, then the motion that the codes stand for. Source: Bailando, section 3."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from longdance.choreography.dancer import Dancer
from longdance.choreography.generators.forward import danced_forward
from longdance.choreography.prepared import Generated, Prepared
from longdance.models.bailando import Bailando, sample_codes
from longdance.models.generators import GeneratorCheckpoint
from longdance.progress import Progress

BLOCK = 64
"""Codes that are turned into motion at once."""

REGISTER = {
    "dancer": {
        "bailando": {
            "make": "bailando",
            "about": "Bailando: draws codes of movement one after the other; a baseline",
            "order": 7, "hears": "music",
        },
    },
}  # fmt: skip


def bailando(checkpoint: GeneratorCheckpoint, *, name: str = "bailando") -> Dancer:
    """The dancer of a checkpoint of Bailando."""
    return Dancer(BailandoGenerator(checkpoint), kind="bailando", name=name)


@dataclass(frozen=True, eq=False)
class BailandoGenerator:
    """A dance in codes, time by time, then the motion that the codes stand for (Bailando, section 3)."""

    checkpoint: GeneratorCheckpoint
    temperature: float = 1.0
    """Below 1 likely codes are drawn even more often."""

    @property
    def lookahead(self) -> int:
        """Up to the end of the last code."""
        return cast(Bailando, self.checkpoint.network).config.memory.stride

    def generate(self, prepared: Prepared, progress: Progress | None) -> Generated:
        """The whole dance."""
        return danced_forward(self, prepared, progress)

    def parts(self, checkpoint, music, frames, timeline, generator, progress) -> Iterator[Tensor]:
        """Blocks of codes, each seen with those around it, so that a block's edges are no edges of the dance."""
        network = cast(Bailando, checkpoint.network)
        memory, stride, reach = network.memory, network.memory.config.stride, network.memory.config.reach
        tokens = -(-frames // stride)
        codes = sample_codes(
            network.gpt, music[None, : tokens * stride], generator=generator, temperature=self.temperature,
            progress=progress,
        )  # fmt: skip
        place = torch.zeros(2, device=codes.device)
        for begin in range(0, tokens, BLOCK):
            first, last = max(0, begin - reach), min(tokens, begin + BLOCK + reach)
            features, velocity = (part[0] for part in memory.decode(codes[:, first:last]))
            own = slice((begin - first) * stride, (min(begin + BLOCK, tokens) - first) * stride)
            part = checkpoint.normaliser.denormalise(features[own])
            path = place + (velocity[own] / checkpoint.config.fps).cumsum(0)
            part[:, checkpoint.layout.horizontal] = path
            place = path[-1]
            yield part
