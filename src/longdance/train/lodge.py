"""Training of Lodge's two stages: the global one on primitives, the local one on windows, with or without adversary.

Source: Lodge sections 3.3 and 3.4, appendix A.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import TypeVar

import numpy as np
import torch
from pydantic import NonNegativeInt, PositiveFloat
from torch import Tensor, nn

from longdance.choreography.key_motions import global_primitives, key_frames
from longdance.data.store import Store, Take
from longdance.diffusion.lodge_losses import LodgeLossWeights, discriminator_loss, generator_loss, lodge_losses
from longdance.errors import InputError
from longdance.models.checkpoint import Checkpoint
from longdance.models.discriminator import DiscriminatorConfig, MultiGenreDiscriminator
from longdance.models.lodge_global import GlobalDenoiserConfig
from longdance.models.lodge_local import LAYOUT, LocalDenoiser, LocalDenoiserConfig
from longdance.models.pmd import PMDConfig
from longdance.models.primitives import PRIMITIVE_FRAMES, PrimitivePlan
from longdance.train.adan import Adan
from longdance.train.batches import Batch, BatchSource, Statistics, genres_of
from longdance.train.denoising import DenoisingConfig, DenoisingTask, as_checkpoint
from longdance.train.task import KEPT, Losses

DISCRIMINATOR = "discriminator"


class LodgeConfig(DenoisingConfig):
    """What both stages share."""

    layout: str = LAYOUT.name
    learning_rate: PositiveFloat = 1e-4
    """Of Adan (Lodge section 4.1)."""
    bias_correction: bool = False
    """Of Adan's running means; for short trainings, not in its paper."""
    losses: LodgeLossWeights = LodgeLossWeights()


Config = TypeVar("Config", bound=LodgeConfig)


class LodgeTask(DenoisingTask[Config]):
    """A denoiser trained with Lodge's losses and optimiser."""

    def optimiser(self, name: str, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Adan (Lodge section 4.1)."""
        return Adan(parameters, lr=self.config.learning_rate, bias_correction=self.config.bias_correction)

    def compare(self, predicted: Tensor, batch: Batch, importance: Tensor) -> dict[str, Tensor]:
        """Lodge's losses over whole windows."""
        return lodge_losses(
            predicted,
            batch.motion,
            batch.valid,
            layout=self.layout,
            normaliser=self.statistics.normaliser.to(predicted.device),
            fps=self.store.fps,
            weights=self.config.losses,
            importance=importance,
        )


class LodgeGlobalConfig(LodgeConfig):
    """Training of the global stage; ``batch.window`` is N."""

    network: GlobalDenoiserConfig

    def task(self, store: Store) -> "LodgeGlobalTask":
        """Training on the key motions of the store's dances."""
        if self.batch.window != self.network.length:
            raise InputError(
                f"expected batch.window and network.length to agree, got {self.batch.window} and "
                f"{self.network.length}; set both"
            )
        return LodgeGlobalTask(self, store)


class PrimitiveSource(BatchSource):
    """Draws takes, lays each somewhere on the timeline of N frames, and cuts the primitives it has there.

    A batch's motion are the frames of all primitives, one after the other; those of primitives that the take lacks are
    not valid. Music outside the take is the take's, repeated, so that the network always hears a whole timeline.
    """

    def __init__(self, *given, plan: PrimitivePlan, **named):
        super().__init__(*given, **named)
        self.plan = plan
        self._keys: dict[tuple[str, int], np.ndarray] = {}

    def _start(self, take: Take, fraction: float) -> int:
        """Frame of the take at the timeline's beginning; negative if the take begins later."""
        spare = take.frames - self.plan.frames
        return min(0, spare) + int(fraction * (abs(spare) + 1))

    def _starts(self, take: Take) -> list[int]:
        return sorted({self._start(take, fraction) for fraction in (0.0, 0.5, 0.999)})

    def _collate(self, places: list[tuple[Take, int]], rng: np.random.Generator | None) -> Batch:
        cut = [self._primitives(take, start) for take, start in places]
        timeline = np.arange(self.plan.frames)
        music = np.stack(
            [np.array(self.store.music_of(take)[(timeline + start) % take.frames]) for take, start in places]
        )
        takes = [take for take, _ in places]
        valid = torch.from_numpy(np.stack([each.valid for each in cut])).repeat_interleave(PRIMITIVE_FRAMES, 1)
        values = self.normaliser.normalise(torch.from_numpy(np.stack([each.values for each in cut])).flatten(1, 2))
        return Batch(
            values * valid[..., None],
            valid,
            self.conditions(takes, music, rng),
            torch.tensor([self.genres.index(take.genre) for take in takes]),
        )

    def _primitives(self, take: Take, start: int):
        features = np.array(self.store.motion_of(take, self.layout))
        # Mirroring does not change when a dancer pauses.
        which = take.clip, take.variant
        if which not in self._keys:
            self._keys[which] = key_frames(features, layout=self.layout, fps=self.store.fps)
        return global_primitives(features, layout=self.layout, keys=self._keys[which], plan=self.plan, offset=-start)


class LodgeGlobalTask(LodgeTask[LodgeGlobalConfig]):
    """The global diffusion (Lodge section 3.3)."""

    def __init__(self, config: LodgeGlobalConfig, store: Store):
        super().__init__(config, store, statistics=Statistics.of_store(store, LAYOUT, stretch=PRIMITIVE_FRAMES))

    def source(self, split: str) -> PrimitiveSource:
        """Primitives of a split."""
        config = self.config
        self.plan = config.network.plan()
        return PrimitiveSource(
            self.store,
            config.batch,
            split=split,
            text_encoder=config.text_encoder,
            seed=config.seed,
            layout=self.layout,
            statistics=self.statistics,
            plan=self.plan,
        )

    def compare(self, predicted: Tensor, batch: Batch, importance: Tensor) -> dict[str, Tensor]:
        """Lodge's losses within each primitive."""
        apart = lambda t: t.unflatten(1, (self.plan.count, PRIMITIVE_FRAMES)).flatten(0, 1)  # noqa: E731
        rate = torch.full((self.plan.count,), self.store.fps, device=predicted.device)
        rate[self.plan.hard :] /= self.plan.soft_spacing
        return lodge_losses(
            apart(predicted),
            apart(batch.motion),
            apart(batch.valid),
            layout=self.layout,
            normaliser=self.statistics.normaliser.to(predicted.device),
            fps=rate.repeat(len(predicted)),
            weights=self.config.losses,
            importance=importance.repeat_interleave(self.plan.count),
        )


class LodgeAnyLocalConfig(LodgeConfig):
    """Training of the local stage, whatever its network; ``batch.window`` is n."""

    adversary: DiscriminatorConfig | None = None
    """The multi-genre discriminator (eq. 9); none trains without."""
    clean_edges: NonNegativeInt = 0
    """Frames at either end of the network's input that are ground truth: 4 in the fine-tuning stage (eq. 10)."""

    def task(self, store: Store) -> "LodgeLocalTask":
        """Training on windows of the store."""
        if not 2 * self.clean_edges <= self.batch.window:
            raise InputError(f"expected clean_edges from 0 to half of batch.window, got {self.clean_edges}")
        return LodgeLocalTask(self, store)


class LodgeLocalConfig(LodgeAnyLocalConfig):
    """The paper's local stage."""

    network: LocalDenoiserConfig


class LodgeLocalPMDConfig(LodgeAnyLocalConfig):
    """EDMG's denoiser as Lodge's local stage."""

    network: PMDConfig


class LodgeLocalTask(LodgeTask[LodgeAnyLocalConfig]):
    """The local diffusion (Lodge section 3.4), and its fine-tuning."""

    def __init__(self, config: LodgeAnyLocalConfig, store: Store):
        super().__init__(config, store)
        network = self.networks[KEPT]
        if config.initial is None and isinstance(network, LocalDenoiser):
            network.use(self.statistics.normaliser)
        self.discriminator = None
        if config.adversary is not None:
            self.discriminator = MultiGenreDiscriminator(
                config.adversary,
                features=self.layout.width,
                music_channels=config.network.music_channels,
                genres=len(genres_of(store)),
                fps=store.fps,
            )
            self.networks[DISCRIMINATOR] = self.discriminator

    def disturb(self, motion: Tensor, step: Tensor, noise: Tensor) -> Tensor:
        """Noised motion whose first and last frames, in fine-tuning, are not. Source: Lodge eq. 10.

        Differs: the horizontal root of the last frames stays noised, for primitives do not tell where a segment ends.
        """
        noisy, edges = super().disturb(motion, step, noise), self.config.clean_edges
        if not edges:
            return noisy
        clean = torch.zeros_like(motion, dtype=torch.bool)
        clean[:, :edges] = clean[:, -edges:] = True
        clean[:, -edges:, self.layout.horizontal] = False
        return torch.where(clean, motion, noisy)

    def losses(
        self,
        networks: Mapping[str, nn.Module],
        batch: Batch,
        generator: torch.Generator,
        autocast: Callable[[], AbstractContextManager],
    ) -> Losses:
        """Eq. 8, and eq. 9 where there is a discriminator."""
        predicted, importance = self.predict(networks[KEPT], batch, generator, autocast)
        terms = self.compare(predicted, batch, importance)
        if self.discriminator is None:
            return {KEPT: terms}
        judge = networks[DISCRIMINATOR]
        given = batch.conditions.music, batch.valid, batch.genre
        with autocast():
            verdict = self.discriminator.verdict(predicted, *given)
            real, made = judge(batch.motion, *given), judge(predicted.detach(), *given)
        form = self.config.losses.adversarial
        terms["genre"] = generator_loss(verdict, form=form)
        terms["total"] = terms["total"] + self.config.losses.genre * terms["genre"]
        total = discriminator_loss(real, made, form=form)
        return {KEPT: terms, DISCRIMINATOR: {"real": real.mean(), "made": made.mean(), "total": total}}

    def as_checkpoint(self, network: nn.Module, step: int) -> Checkpoint:
        """The local network, and whether it wants clean edges."""
        return as_checkpoint(
            self.config, self.store, network, step, statistics=self.statistics, clean_edges=self.config.clean_edges
        )
