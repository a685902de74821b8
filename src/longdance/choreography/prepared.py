"""What passes between a dancer and its generator: requests that were understood, and dances as networks give them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Float

from longdance.choreography.conditioning import Conditioner
from longdance.choreography.long.stretches import Sampling
from longdance.choreography.phrases.laying import Laid
from longdance.choreography.request import DanceRequest
from longdance.choreography.timeline import Timeline
from longdance.features.song import Song
from longdance.models.checkpoint import Checkpoint
from longdance.progress import Progress


@dataclass(frozen=True, eq=False)
class Prepared:
    """A request that was understood: everything but the making."""

    request: DanceRequest
    song: Song
    frames: int
    timeline: Timeline
    sampling: Sampling
    device: str
    conditioner: Conditioner
    meta: dict
    """The record of the dance as far as it is known beforehand."""
    laid: Laid | None = None
    """The plan of phrases that leads the dance, laid on the song, where one does."""


class Generated(NamedTuple):
    """A dance as its network gave it."""

    features: Float[np.ndarray, "frames features"]
    """Denormalised."""
    found: dict
    """What there is to say of it in its record."""
    seams: Sequence[int] = ()
    """Frames that begin a segment which did not see the one before."""


class Generator(Protocol):
    """What makes a dance of what was prepared."""

    @property
    def checkpoint(self) -> Checkpoint:
        """The network that moves."""
        ...

    def generate(self, prepared: Prepared, progress: Progress | None) -> Generated:
        """The whole dance."""
        ...
