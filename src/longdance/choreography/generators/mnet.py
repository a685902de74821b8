"""MNET: window after window, all from one noise, a style for the whole dance."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from longdance.choreography.dancer import Dancer
from longdance.choreography.generators.forward import danced_forward, rolled, with_prelude
from longdance.choreography.prepared import Generated, Prepared
from longdance.models.generators import GeneratorCheckpoint
from longdance.models.mnet import MNETGenerator
from longdance.progress import Progress

REGISTER = {
    "dancer": {
        "mnet": {
            "make": "mnet",
            "about": "MNET: goes on window after window in one style; hears the genre; a baseline",
            "order": 6, "hears": "genre",
        },
    },
}  # fmt: skip


def mnet(checkpoint: GeneratorCheckpoint, *, name: str = "mnet") -> Dancer:
    """The dancer of a checkpoint of MNET."""
    return Dancer(MNET(checkpoint), kind="mnet", name=name)


@dataclass(frozen=True, eq=False)
class MNET:
    """Window after window, all from one noise: a style for the whole dance. It hears the genre's name."""

    checkpoint: GeneratorCheckpoint

    @property
    def lookahead(self) -> int:
        """As much as one window makes."""
        return cast(MNETGenerator, self.checkpoint.network).config.future

    def generate(self, prepared: Prepared, progress: Progress | None) -> Generated:
        """The whole dance."""
        return danced_forward(self, prepared, progress)

    def parts(self, checkpoint, music, frames, timeline, generator, progress) -> Iterator[Tensor]:
        """One window at a time; the genre that leads in a window is the window's."""
        network = cast(MNETGenerator, checkpoint.network)
        config, seed = network.config, network.config.seed_frames
        noise = torch.randn(1, config.noise, generator=generator).to(music.device)
        chance = int(torch.randint(2**31, (1,), generator=generator))
        trained = [i for i, name in enumerate(config.genres) if name in checkpoint.config.genres]
        whim = (trained or range(len(config.genres)))[chance % max(1, len(trained))]

        def genre_at(frame: int) -> int:
            asked = timeline.leading(range(frame, frame + config.future)).text.genre
            return config.genres.index(asked) if asked in config.genres else whim

        fitting = (network.pool_genre == genre_at(0)).nonzero()[:, 0]
        choice = fitting if len(fitting) else torch.arange(config.pool)
        start = network.pool[choice[chance % len(choice)]]
        music = with_prelude(music, seed)

        def advance(window: Tensor, at: int) -> Tensor:
            genre = torch.tensor([genre_at(at)], device=window.device)
            return network(window, music[None, at : at + seed + config.future], genre, noise)

        yield from rolled(checkpoint, start, frames, advance, keep=config.future)
