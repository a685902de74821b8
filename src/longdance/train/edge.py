"""Training of EDGE's denoiser, and its recipes."""

from collections.abc import Iterable

import torch
from pydantic import PositiveFloat
from torch import Tensor, nn

from longdance.data.store import Store
from longdance.diffusion.losses import OPEN_LOSS_WEIGHTS, EDMGLossWeights, edmg_losses
from longdance.models.checkpoint import OwnSampling
from longdance.models.edge import EDGEDenoiserConfig
from longdance.train.adan import Adan
from longdance.train.batches import Batch, BatchConfig
from longdance.train.denoising import DenoisingConfig, DenoisingTask

REGISTER = {
    "recipe": (
        "edge_open", "edge_aistpp",
    ),
}  # fmt: skip


class EDGEConfig(DenoisingConfig):
    """A denoiser trained as EDGE is. Defaults are the published ones."""

    network: EDGEDenoiserConfig
    batch: BatchConfig = BatchConfig(size=512, window=150, drop_all=0.25, drop_text=0.0)
    """Music is dropped from a quarter of the windows; words are not heard at all."""
    losses: EDMGLossWeights = EDMGLossWeights()
    """EDMG took form and weights of these from EDGE."""
    learning_rate: PositiveFloat = 4e-4
    music_encoder: str = "jukebox"

    def task(self, store: Store) -> "EDGETask":
        """Training on whole windows of the store."""
        return EDGETask(self, store)


class EDGETask(DenoisingTask[EDGEConfig]):
    """The FiLM transformer decoder with EDGE's losses (section 3) and optimiser."""

    def optimiser(self, name: str, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Adan with a weight decay of 0.02."""
        return Adan(parameters, lr=self.config.learning_rate)

    def compare(self, predicted: Tensor, batch: Batch, importance: Tensor) -> dict[str, Tensor]:
        """Reconstruction, velocity, joints and contact. Differs: as said at ``edmg_losses``."""
        return edmg_losses(
            predicted,
            batch.motion,
            batch.valid,
            layout=self.layout,
            normaliser=self.statistics.normaliser.to(predicted.device),
            fps=self.store.fps,
            weights=self.config.losses,
            importance=importance,
        )


def edge_open() -> EDGEConfig:
    """EDGE on the open data: `longdance train edge-open --data STORE -o RUN`.

    Windows and aids to short training as edmg-open's, to be compared with it at an equal budget of time; small (1.8
    million parameters), so that its weights travel with the package. A quarter of a second a step on two CPU cores.
    """
    return EDGEConfig(
        recipe="edge-open",
        network=EDGEDenoiserConfig(
            music_channels=12, width=128, depth=3, feedforward=256, attention_heads=4, dropout=0.0, aligned_music=True,
            precondition=True, innovation=0.001,
        ),
        batch=BatchConfig(size=16, window=150, drop_all=0.25, drop_text=0.0),
        losses=OPEN_LOSS_WEIGHTS,
        importance_cap=4.0,
        music_encoder="plan",
        steps=2400,
        learning_rate=1e-3,
        warmup=50,
        cooldown=0.3,
        ema=0.995,
        gradient_clip=1.0,
        validate_every=200,
        checkpoint_every=50,
    )  # fmt: skip


def edge_aistpp() -> EDGEConfig:
    """The paper's setting: `longdance train edge-aistpp --data STORE -o RUN`, 5 s windows at 30 fps of AIST++.

    Sizes (49 million parameters), Jukebox features, losses, dropout, optimiser and batch are the published ones; the
    paper trained for 16 hours on four A100.
    """
    config = EDGEConfig(
        recipe="edge-aistpp",
        network=EDGEDenoiserConfig(),
        sampling=OwnSampling(steps=50, sampler="ddim", music_guidance=2.0, text_guidance=1.0),
        steps=70_000,
        ema=0.9999,
    )
    plain = config.batch.model_copy(update={"genre_balance": 1.0, "other_share": 0.0})
    return config.model_copy(update={"batch": plain})
