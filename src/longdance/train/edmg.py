"""Training of EDMG's Parallel Mamba Denoiser."""

from torch import Tensor

from longdance.data.store import Store
from longdance.diffusion.losses import EDMGLossWeights, edmg_losses
from longdance.models.pmd import PMDConfig
from longdance.train.batches import Batch
from longdance.train.denoising import DenoisingConfig, DenoisingTask


class EDMGConfig(DenoisingConfig):
    """A denoiser trained with EDMG's losses."""

    network: PMDConfig
    losses: EDMGLossWeights = EDMGLossWeights()

    def task(self, store: Store) -> "EDMGTask":
        """Training on whole windows of the store."""
        return EDMGTask(self, store)


class EDMGTask(DenoisingTask[EDMGConfig]):
    """The Parallel Mamba Denoiser, eq. 7-10."""

    def compare(self, predicted: Tensor, batch: Batch, importance: Tensor) -> dict[str, Tensor]:
        """EDMG's losses."""
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
