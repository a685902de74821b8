"""What all trainings of a generator share: windows of the store, checks, seed motions, the checkpoint."""

from collections.abc import Iterable, Sequence
from typing import Any, Generic, TypeVar, cast

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor, nn

from longdance.data.store import Store, Take
from longdance.errors import InputError
from longdance.features.music import MUSIC_CHANNELS
from longdance.models.generators import GeneratorCheckpoint, GeneratorConfig, generator_name
from longdance.motion.layout import LAYOUTS, Layout, centred
from longdance.train.batches import BatchConfig, BatchSource, Statistics
from longdance.train.task import Batch, Task, TrainingConfig


class GenerationConfig(TrainingConfig):
    """Settings of every training of a generator. ``batch.window`` follows from the network where it is not given."""

    network: Any
    """Sizes of one of ``registry.FORWARD_NETWORKS``; every kind of training names its own."""
    batch: BatchConfig = BatchConfig()
    layout: str = "smpl24"
    """Motion features that the network sees; the store's may have more joints."""
    music_encoder: str = "librosa35"
    text_encoder: str = "all-MiniLM-L6-v2"


Config = TypeVar("Config", bound=GenerationConfig)


class GenerationTask(Task, Generic[Config]):
    """A network that continues dances."""

    def __init__(self, config: Config, store: Store, *, statistics: Statistics | None = None):
        check_fits(config, store)
        self.config, self.store = config, store
        self.layout: Layout = LAYOUTS[config.layout]
        self.statistics = statistics or Statistics.of_store(store, self.layout)
        self.sources = {split: self.source(split) for split in ("train", "val") if store.select(split)}
        self.networks: dict[str, nn.Module] = {}

    def source(self, split: str) -> BatchSource:
        """Batches of a split."""
        return BatchSource(self.store, self.config.batch, split=split, **self.reading)

    @property
    def reading(self) -> dict:
        """What a source of batches wants to know."""
        return {
            "text_encoder": self.config.text_encoder,
            "seed": self.config.seed,
            "layout": self.layout,
            "statistics": self.statistics,
        }

    def optimiser(self, name: str, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(parameters, lr=self.config.learning_rate)

    def draw(self, step: int, *, rank: int) -> Batch:
        """The batch of a training step."""
        return self.sources["train"].draw(step, rank=rank)

    def validation(self) -> Sequence[Batch]:
        """All windows of the validation split."""
        return self.sources["val"].fixed() if "val" in self.sources else ()

    def as_checkpoint(self, network: nn.Module, step: int) -> GeneratorCheckpoint:
        """The network with the statistics of its data."""
        config, store = self.config, self.store
        sizes = cast(BaseModel, network.config)  # training has filled some of them in
        normaliser, mean, scale = self.statistics
        genres = {take.genre for take in store.select("train")} - {"none"}
        return GeneratorCheckpoint(
            GeneratorConfig(
                generator=generator_name(sizes),
                network=sizes.model_dump(mode="json"),
                layout=self.layout.name,
                fps=store.fps,
                music_encoder=config.music_encoder,
                text_encoder=config.text_encoder,
                genres=tuple(sorted(genres)),
                recipe=config.recipe,
                trained_steps=step,
                licence=store.licence,
            ),
            network,
            normaliser,
            torch.from_numpy(mean),
            torch.from_numpy(scale),
        )


def check_fits(config: GenerationConfig, store: Store) -> None:
    """``InputError`` where recipe and store do not belong together, naming the field and the remedy."""
    network = config.network
    if config.layout not in LAYOUTS:
        raise InputError(f"expected a layout among {', '.join(LAYOUTS)}, got {config.layout!r}")
    width, channels = LAYOUTS[config.layout].width, MUSIC_CHANNELS.get(config.music_encoder)
    for name, expected, got in (
        ("fps", getattr(network, "fps", store.fps), store.fps),
        ("motion features", getattr(network, "features", width), width),
        ("music encoder", config.music_encoder, store.music_encoder),
        ("music channels", getattr(network, "music_channels", channels), channels),
    ):
        if expected != got:
            raise InputError(
                f"{store.folder}: the recipe {config.recipe} expects {name} {expected}, there is {got}; prepare the "
                "data with matching settings, or set the network's"
            )


def seed_pool(store: Store, layout: Layout, *, count: int, frames: int) -> tuple[Tensor, list[Take]]:
    """Denormalised beginnings (count, frames, width) of training dances, and the takes they are from.

    Where there are fewer takes, later parts of them follow. Short takes hold their last pose.
    """
    takes = store.select("train", original=True)
    takes = [take for take in takes if take.genre != "none"] or takes
    rounds = -(-count // len(takes))
    seeds, chosen = [], []
    for number in range(count):
        take = takes[number % len(takes)]
        start = (number // len(takes)) * max(0, take.frames - frames) // rounds
        cut = centred(np.array(store.motion_of(take, layout)[start : start + frames]), layout)
        seeds.append(np.pad(cut, ((0, frames - len(cut)), (0, 0)), mode="edge"))
        chosen.append(take)
    return torch.from_numpy(np.stack(seeds).astype(np.float32)), chosen
