"""Training of MNET: a generator of dances in many genres against a discriminator that knows the genres."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import torch
from pydantic import NonNegativeFloat, PositiveFloat
from torch import nn

from longdance.data.store import Store
from longdance.diffusion.lodge_losses import discriminator_loss, generator_loss
from longdance.diffusion.losses import OPEN_LOSS_WEIGHTS, EDMGLossWeights, Weight
from longdance.errors import InputError
from longdance.models.discriminator import DiscriminatorConfig, MultiGenreDiscriminator
from longdance.models.mnet import MNETConfig, MNETGenerator
from longdance.train.batches import Batch, BatchConfig, genres_of
from longdance.train.fact import L2, continuation_losses, disturbed
from longdance.train.generation import GenerationConfig, GenerationTask, seed_pool
from longdance.train.lodge import DISCRIMINATOR
from longdance.train.task import KEPT, Losses

REGISTER = {
    "recipe": (
        "mnet_open",
    ),
}  # fmt: skip


class MNETTraining(GenerationConfig):
    """Settings. ``batch.window`` is seed and future of the network together."""

    network: MNETConfig
    batch: BatchConfig = BatchConfig(size=32, window=120)
    adversary: DiscriminatorConfig = DiscriminatorConfig()
    losses: EDMGLossWeights = L2
    adversarial: Weight = 0.01
    """Weight of the discriminator's verdict; not known to us from the paper."""
    diversity: Weight = 0.05
    """Weight of how far apart the dances of two noises are, mean absolute difference of normalised features."""
    learning_rate: PositiveFloat = 1e-4
    seed_noise: NonNegativeFloat = 0.0
    """Scale of noise on the seed's normalised features (not in the paper)."""

    def task(self, store: Store) -> "MNETTask":
        """Training on windows of the store."""
        return MNETTask(self, store)


class MNETTask(GenerationTask[MNETTraining]):
    """Reconstruction, adversarial and diversity loss (MNET, section 3.4), the adversarial one in hinge form."""

    def __init__(self, config: MNETTraining, store: Store):
        super().__init__(config, store)
        genres = genres_of(store)
        network = config.network.model_copy(update={"genres": genres})
        if config.batch.window != network.seed_frames + network.future:
            raise InputError(
                f"expected batch.window to be network.seed_frames and network.future together, got "
                f"{config.batch.window}, {network.seed_frames} and {network.future}; set them to agree"
            )
        generator = MNETGenerator(network)
        pool, takes = seed_pool(store, self.layout, count=network.pool, frames=network.seed_frames)
        generator.pool.copy_(pool)
        generator.pool_genre.copy_(torch.tensor([genres.index(take.genre) for take in takes]))
        self.discriminator = MultiGenreDiscriminator(
            config.adversary,
            features=self.layout.width,
            music_channels=network.music_channels,
            genres=len(genres),
            fps=store.fps,
        )
        self.networks = {KEPT: generator, DISCRIMINATOR: self.discriminator}

    def losses(
        self,
        networks: Mapping[str, nn.Module],
        batch: Batch,
        generator: torch.Generator,
        autocast: Callable[[], AbstractContextManager],
    ) -> Losses:
        """Of the generator, and of the discriminator on what the generator made."""
        config, frames = self.config, self.config.network.seed_frames
        music, genre = batch.conditions.music, batch.genre
        real = batch.motion[:, :frames]
        seed = disturbed(real, config.seed_noise, generator)
        noise = torch.randn(2, len(seed), config.network.noise, generator=generator).to(seed.device)
        with autocast():
            future, other = networks[KEPT](
                seed.repeat(2, 1, 1), music.repeat(2, 1, 1), genre.repeat(2), noise.flatten(0, 1)
            ).chunk(2)
            made = torch.cat((real, future), 1)
            verdict = self.discriminator.verdict(made, music, batch.valid, genre)
            judged = networks[DISCRIMINATOR](
                torch.cat((batch.motion, made.detach())), music.repeat(2, 1, 1), batch.valid.repeat(2, 1),
                genre.repeat(2),
            )  # fmt: skip
        terms = continuation_losses(
            future, batch, begin=frames, layout=self.layout, statistics=self.statistics, fps=self.store.fps,
            weights=config.losses,
        )  # fmt: skip
        terms["adversarial"] = generator_loss(verdict, form="hinge")
        terms["diversity"] = (future - other).abs().mean()
        terms["total"] = (
            terms["total"] + config.adversarial * terms["adversarial"] - config.diversity * terms["diversity"]
        )
        truth, forgery = judged.chunk(2)
        return {
            KEPT: terms,
            DISCRIMINATOR: {
                "real": truth.mean(), "made": forgery.mean(), "total": discriminator_loss(truth, forgery, form="hinge")
            },
        }  # fmt: skip


def mnet_open() -> MNETTraining:
    """MNET on the open data: `longdance train mnet-open --data STORE -o RUN`, 30 frames per second.

    Windows of two seconds from a seed of half a second. Beyond the paper: as said at fact-open.
    """
    return MNETTraining(
        recipe="mnet-open",
        network=MNETConfig(
            music_channels=12, fps=30, seed_frames=15, future=60, width=192, depth=4, feedforward=384,
            attention_heads=4, music_layers=1, noise=64, residual=True,
        ),
        batch=BatchConfig(size=16, window=75),
        adversary=DiscriminatorConfig(width=128, depth=2, feedforward=256, attention_heads=4, stride=3),
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
