"""What all trainings of a denoiser share: windows are noised, the network tells the clean motion, losses compare."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Annotated, Any, Generic, TypeVar

import torch
from pydantic import Field
from torch import Tensor, nn

from longdance.data.store import Store
from longdance.diffusion.noise import NoiseSchedule
from longdance.errors import InputError
from longdance.features.music import MUSIC_CHANNELS
from longdance.models.checkpoint import Checkpoint, CheckpointConfig, OwnSampling, build, denoiser_name
from longdance.models.conditions import Count
from longdance.motion.layout import LAYOUTS, Layout
from longdance.train.batches import Batch, BatchConfig, BatchSource, Statistics
from longdance.train.task import KEPT, Losses, Task, TrainingConfig


class DenoisingConfig(TrainingConfig):
    """Settings of every training of a denoiser."""

    network: Any
    """Sizes of one of ``registry.DENOISERS``; every kind of training names its own."""
    batch: BatchConfig = BatchConfig()
    layout: str = "smpl24"
    """Motion features that the network sees; the store's may have more joints."""
    importance_cap: Annotated[float, Field(ge=1, le=1000)] = 1.0
    """How much more a nearly clean example counts than pure noise, at most; 1 as in the papers."""
    noisiest_share: Annotated[float, Field(ge=0, le=1)] = 1 / 3
    """Share of the examples in the noisiest third of the schedule, where music and words decide; a third as in the
    papers."""
    diffusion_steps: Count = 1000
    """T (EDMG section 4.1, Lodge appendix B)."""
    music_encoder: str = "librosa35"
    text_encoder: str = "all-MiniLM-L6-v2"
    sampling: OwnSampling = OwnSampling()
    """How dances are drawn from what was trained."""
    initial: str | None = None
    """A run or checkpoint whose weights and statistics to begin with; its network takes the place of ``network``. The
    empty name of the fine-tuning recipes stands for one that has to be given."""


Config = TypeVar("Config", bound=DenoisingConfig)


class DenoisingTask(Task, Generic[Config]):
    """A denoiser that learns to tell the clean motion; kinds of training say how wrong it is in ``compare``."""

    def __init__(self, config: Config, store: Store, *, statistics: Statistics | None = None):
        initial = None
        if config.initial is not None:
            initial = initial_checkpoint(config)
            config = config.model_copy(update={"network": initial.network.config})
            statistics = Statistics.of_checkpoint(initial)
        check_fits(config, store)
        self.config, self.store = config, store
        self.layout: Layout = LAYOUTS[config.layout]
        network = build(config.network)
        if initial is not None:
            network.load_state_dict(initial.network.state_dict())
        self.networks = {KEPT: network}
        self.schedule = NoiseSchedule.cosine(config.diffusion_steps)
        self.statistics = statistics or Statistics.of_store(store, self.layout)
        self.sources = {split: self.source(split) for split in ("train", "val") if store.select(split)}

    def source(self, split: str) -> BatchSource:
        """Batches of a split."""
        config = self.config
        return BatchSource(
            self.store,
            config.batch,
            split=split,
            text_encoder=config.text_encoder,
            seed=config.seed,
            layout=self.layout,
            statistics=self.statistics,
        )

    def optimiser(self, name: str, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Adam (EDMG section 4.1)."""
        return torch.optim.Adam(parameters, lr=self.config.learning_rate)

    def draw(self, step: int, *, rank: int) -> Batch:
        """The batch of a training step."""
        return self.sources["train"].draw(step, rank=rank)

    def validation(self) -> Sequence[Batch]:
        """All windows of the validation split."""
        return self.sources["val"].fixed() if "val" in self.sources else ()

    def losses(
        self,
        networks: Mapping[str, nn.Module],
        batch: Batch,
        generator: torch.Generator,
        autocast: Callable[[], AbstractContextManager],
    ) -> Losses:
        """``compare`` of a batch noised to random steps."""
        predicted, importance = self.predict(networks[KEPT], batch, generator, autocast)
        return {KEPT: self.compare(predicted, batch, importance)}

    def predict(
        self,
        network: nn.Module,
        batch: Batch,
        generator: torch.Generator,
        autocast: Callable[[], AbstractContextManager],
    ) -> tuple[Tensor, Tensor]:
        """The clean motion of a batch noised to random steps, and how much each of its windows counts."""
        step = self.draw_steps(len(batch.motion), generator)
        noise = torch.randn(batch.motion.shape, generator=generator)
        on_device = step.to(batch.motion.device)
        noisy = self.disturb(batch.motion, on_device, noise.to(batch.motion.device))
        with autocast():
            predicted = network(noisy, on_device, batch.conditions)
        return predicted, self.schedule.importance(step, cap=self.config.importance_cap).to(batch.motion.device)

    def draw_steps(self, count: int, generator: torch.Generator) -> Tensor:
        """(count,) diffusion steps, uniform but for ``noisiest_share``."""
        share, steps = self.config.noisiest_share, self.schedule.steps
        place = torch.rand(count, generator=generator, dtype=torch.float64)
        # Quantiles: the first 1 - share fall on the lower two thirds.
        low = place / max(1 - share, 1e-9) * 2 / 3
        high = 2 / 3 + (place - (1 - share)) / max(share, 1e-9) / 3
        return (torch.where(place < 1 - share, low, high) * steps).long().clamp(0, steps - 1)

    def disturb(self, motion: Tensor, step: Tensor, noise: Tensor) -> Tensor:
        """What the network gets to see of a motion. Source: EDMG eq. 3, Lodge eq. 1."""
        return self.schedule.add_noise(motion, step, noise)

    @abstractmethod
    def compare(self, predicted: Tensor, batch: Batch, importance: Tensor) -> dict[str, Tensor]:
        """Terms of the loss, their weighted sum under ``total``."""

    def as_checkpoint(self, network: nn.Module, step: int) -> Checkpoint:
        """The network with the statistics of its data."""
        return as_checkpoint(self.config, self.store, network, step, statistics=self.statistics)


def initial_checkpoint(config: DenoisingConfig) -> Checkpoint:
    """What a training begins with; ``InputError`` where it is not given or not of the recipe's kind and layout."""
    if not config.initial:
        raise InputError("expected initial=FOLDER, the run that is to be trained further")
    initial = Checkpoint.load(config.initial)
    for name, expected, got in (
        ("network", denoiser_name(config.network), initial.config.denoiser),
        ("layout", config.layout, initial.config.layout),
    ):
        if expected != got:
            raise InputError(
                f"{config.initial}: expected a {name} like that of the recipe {config.recipe}, {expected}, got {got}"
            )
    return initial


def check_fits(config: DenoisingConfig, store: Store) -> None:
    """``InputError`` where recipe and store do not belong together, naming the field and the remedy."""
    network = config.network
    if config.layout not in LAYOUTS:
        raise InputError(f"expected a layout among {', '.join(LAYOUTS)}, got {config.layout!r}")
    for name, expected, got in (
        ("fps", network.fps, store.fps),
        ("motion features", network.features, LAYOUTS[config.layout].width),
        ("music encoder", config.music_encoder, store.music_encoder),
    ):
        if expected != got:
            raise InputError(
                f"{store.folder}: the recipe {config.recipe} expects {name} {expected}, the store has {got}; "
                "prepare the data with matching settings"
            )
    if network.precondition and network.diffusion_steps != config.diffusion_steps:
        raise InputError(
            f"expected network.diffusion_steps and diffusion_steps to agree, got {network.diffusion_steps} and "
            f"{config.diffusion_steps}; set both"
        )
    if network.music_channels != MUSIC_CHANNELS[config.music_encoder]:
        raise InputError(
            f"expected network.music_channels={MUSIC_CHANNELS[config.music_encoder]} for {config.music_encoder}, "
            f"got {network.music_channels}"
        )


def as_checkpoint(
    config: DenoisingConfig,
    store: Store,
    network: nn.Module,
    step: int,
    *,
    statistics: Statistics | None = None,
    clean_edges: int = 0,
) -> Checkpoint:
    """What a user needs of a run: the averaged network and the statistics of its data (the store's if not given)."""
    layout = LAYOUTS[config.layout]
    normaliser, mean, scale = statistics or Statistics.of_store(store, layout)
    genres = {take.genre for take in store.select("train")} - {"none"}
    return Checkpoint(
        CheckpointConfig(
            denoiser=denoiser_name(config.network),
            network=config.network.model_dump(),
            layout=layout.name,
            fps=store.fps,
            window=config.batch.window,
            diffusion_steps=config.diffusion_steps,
            music_encoder=config.music_encoder,
            text_encoder=config.text_encoder,
            genres=tuple(sorted(genres)),
            clean_edges=clean_edges,
            sampling=config.sampling,
            recipe=config.recipe,
            trained_steps=step,
            licence=store.licence,
        ),
        network,
        normaliser,
        torch.from_numpy(mean),
        torch.from_numpy(scale),
    )
