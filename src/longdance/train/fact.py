"""Training of FACT: the next frames of a dance from its last ones and the music."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import torch
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor, nn

from longdance.data.store import Store
from longdance.diffusion.losses import OPEN_LOSS_WEIGHTS, EDMGLossWeights, edmg_losses
from longdance.errors import InputError
from longdance.models.fact import FACTConfig, FACTNetwork
from longdance.motion.layout import Layout
from longdance.train.batches import Batch, BatchConfig, Statistics
from longdance.train.generation import GenerationConfig, GenerationTask, seed_pool
from longdance.train.task import KEPT, Losses

REGISTER = {
    "recipe": (
        "fact_open",
    ),
}  # fmt: skip

L2 = EDMGLossWeights(reconstruction=1.0, velocity=0.0, joints=0.0, contact=0.0)
"""The paper's loss alone."""


class FACTTraining(GenerationConfig):
    """Settings. Defaults are the paper's (section 5.2), of AIST++ at 60 fps."""

    network: FACTConfig
    batch: BatchConfig = BatchConfig(size=32, window=240)
    """``window`` is the network's ``music_frames``."""
    losses: EDMGLossWeights = L2
    learning_rate: PositiveFloat = 1e-4
    seed_noise: NonNegativeFloat = 0.0
    """Scale of noise on the seed's normalised features, against errors that feed on themselves (not in the paper)."""

    def task(self, store: Store) -> "FACTTask":
        """Training on windows of the store."""
        return FACTTask(self, store)


class FACTTask(GenerationTask[FACTTraining]):
    """N frames of future supervision (AI Choreographer, section 4.3)."""

    def __init__(self, config: FACTTraining, store: Store):
        super().__init__(config, store)
        network = config.network
        if config.batch.window != network.music_frames:
            raise InputError(
                f"expected batch.window and network.music_frames to agree, got {config.batch.window} and "
                f"{network.music_frames}; set both"
            )
        fact = FACTNetwork(network)
        fact.pool.copy_(seed_pool(store, self.layout, count=network.pool, frames=network.seed_frames)[0])
        self.networks = {KEPT: fact}

    def losses(
        self,
        networks: Mapping[str, nn.Module],
        batch: Batch,
        generator: torch.Generator,
        autocast: Callable[[], AbstractContextManager],
    ) -> Losses:
        """How wrong the frames after the seed are, with the step to the first of them."""
        frames = self.config.network.seed_frames
        seed = disturbed(batch.motion[:, :frames], self.config.seed_noise, generator)
        with autocast():
            future = networks[KEPT](seed, batch.conditions.music)
        return {
            KEPT: continuation_losses(
                future, batch, begin=frames, layout=self.layout, statistics=self.statistics, fps=self.store.fps,
                weights=self.config.losses,
            )
        }  # fmt: skip


def disturbed(seed: Tensor, scale: float, generator: torch.Generator) -> Tensor:
    """The seed (batch, frames, features) with noise from a generator on the CPU."""
    return seed + scale * torch.randn(seed.shape, generator=generator).to(seed.device) if scale else seed


def continuation_losses(
    future: Tensor,
    batch: Batch,
    *,
    begin: int,
    layout: Layout,
    statistics: Statistics,
    fps: float,
    weights: EDMGLossWeights,
) -> dict[str, Tensor]:
    """``edmg_losses`` of predicted frames from ``begin`` on, the frame before them included as it is."""
    known, span = batch.motion[:, begin - 1 : begin], slice(begin - 1, begin + future.shape[1])
    return edmg_losses(
        torch.cat((known, future), 1),
        batch.motion[:, span],
        batch.valid[:, span],
        layout=layout,
        normaliser=statistics.normaliser.to(future.device),
        fps=fps,
        weights=weights,
    )


def fact_open() -> FACTTraining:
    """FACT on the open data: `longdance train fact-open --data STORE -o RUN`, 30 frames per second.

    Two seconds of seed, four of music, the paper's proportions in a smaller network (3.6 million parameters). Beyond
    the paper: the seed's last frame is added to the prediction, the seed is disturbed a little, and joints and
    velocities are compared as in edmg-open.
    """
    return FACTTraining(
        recipe="fact-open",
        network=FACTConfig(
            music_channels=12, fps=30, seed_frames=60, music_frames=120, future=10, width=192, feedforward=768,
            attention_heads=6, motion_layers=1, music_layers=1, cross_layers=6, residual=True,
        ),
        batch=BatchConfig(size=16, window=120),
        losses=OPEN_LOSS_WEIGHTS,
        music_encoder="plan",
        seed_noise=0.1,
        steps=2000,
        learning_rate=5e-4,
        warmup=50,
        cooldown=0.3,
        ema=0.995,
        gradient_clip=1.0,
        validate_every=250,
        checkpoint_every=100,
    )  # fmt: skip
