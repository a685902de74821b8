"""What draws a dance while it is sampled: strengths from its timeline, beats and loudness from its song."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from longdance.choreography.timeline import Timeline
from longdance.diffusion.energies import Cues, Energies, energies
from longdance.features.cues import CHANNELS
from longdance.models.checkpoint import Checkpoint
from longdance.models.strengths import Strengths


def without_cues(
    music: Float[Tensor, "*axes channels_and_cues"],
) -> tuple[Float[Tensor, "*axes channels"], Float[Tensor, "*axes cues"]]:
    """The network's channels, and the columns of ``features.cues`` after them."""
    return music[..., : -len(CHANNELS)], music[..., -len(CHANNELS) :]


def energies_of(
    rows: Sequence[tuple[Timeline, int]], cues: Float[Tensor, "rows frames cues"], checkpoint: Checkpoint
) -> Energies | None:
    """The energies of a batch, each row of a dance's timeline from a frame on; None where nothing is wished for."""
    frames = cues.shape[1]
    strengths = np.stack([timeline.strengths_over(range(begin, begin + frames)) for timeline, begin in rows])
    if not strengths.any():
        return None
    device = checkpoint.normaliser.mean.device
    wished = torch.from_numpy(strengths).float().to(device).unbind(-1)
    rest, energy = cues.float().to(device).unbind(-1)
    return energies(
        dict(zip(Strengths._fields, wished, strict=True)),
        Cues(rest, energy),
        layout=checkpoint.layout,
        normaliser=checkpoint.normaliser,
        fps=checkpoint.config.fps,
    )
