"""FACT: frames after frames, each step from the frames before. Source: AI Choreographer, section 4.3."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from longdance.choreography.dancer import Dancer
from longdance.choreography.generators.forward import danced_forward, rolled, with_prelude
from longdance.choreography.prepared import Generated, Prepared
from longdance.models.fact import FACTNetwork
from longdance.models.generators import GeneratorCheckpoint
from longdance.progress import Progress

REGISTER = {
    "dancer": {
        "fact": {
            "make": "fact",
            "about": "FACT: goes on frame after frame from music and its own last seconds; a baseline",
            "order": 5, "hears": "music",
        },
    },
}  # fmt: skip


def fact(checkpoint: GeneratorCheckpoint, *, name: str = "fact") -> Dancer:
    """The dancer of a checkpoint of FACT."""
    return Dancer(FACT(checkpoint), kind="fact", name=name)


@dataclass(frozen=True, eq=False)
class FACT:
    """Frames after frames, each step from the frames before (AI Choreographer, section 4.3)."""

    checkpoint: GeneratorCheckpoint
    keep: int = 1
    """Predicted frames that are kept of every step; 1 as in the paper."""

    @property
    def lookahead(self) -> int:
        """All that the network hears beyond its seed."""
        config = cast(FACTNetwork, self.checkpoint.network).config
        return config.music_frames - config.seed_frames

    def generate(self, prepared: Prepared, progress: Progress | None) -> Generated:
        """The whole dance."""
        return danced_forward(self, prepared, progress)

    def parts(self, checkpoint, music, frames, timeline, generator, progress) -> Iterator[Tensor]:
        """``keep`` frames at a time."""
        network = cast(FACTNetwork, checkpoint.network)
        config, seed = network.config, network.config.seed_frames
        start = network.pool[int(torch.randint(config.pool, (1,), generator=generator))]
        music = with_prelude(music, seed)
        yield from rolled(
            checkpoint, start, frames, lambda window, at: network(window, music[None, at : at + config.music_frames]),
            keep=min(self.keep, config.future),
        )  # fmt: skip
