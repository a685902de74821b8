"""Any length from a denoiser of fixed windows: overlapping windows denoised as one batch and made to agree.

All windows of a stretch share one noise. At every diffusion step the predictions in the overlaps are replaced by their
weighted mean, so the windows stay one motion throughout; very long dances are made stretch by stretch, each beginning
with the frames that the one before ended with.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from longdance.diffusion.constraints import Constraint
from longdance.motion.layout import Layout, Normaliser


@dataclass(frozen=True)
class WindowPlan:
    """Where the windows of a stretch lie: ``count`` windows of ``window`` frames, each ``hop`` after the last."""

    count: int
    window: int
    overlap: int

    def __post_init__(self):
        if not (self.count >= 1 and 0 <= self.overlap <= self.window // 2):
            raise ValueError(f"expected an overlap of at most half the window of {self.window}, got {self.overlap}")

    @classmethod
    def cover(cls, frames: int, *, window: int, overlap: int) -> "WindowPlan":
        """The fewest windows that hold ``frames``; a dance shorter than a window gets one window of its length."""
        if frames <= window:
            return cls(1, frames, 0)
        hop = window - overlap
        return cls(1 + -(-(frames - window) // hop), window, overlap)

    @property
    def hop(self) -> int:
        """Frames from one window's start to the next one's."""
        return self.window - self.overlap

    @property
    def frames(self) -> int:
        """Frames covered by all windows together."""
        return self.window + (self.count - 1) * self.hop

    def cut(self, track: Float[Tensor, "frames channels"]) -> Float[Tensor, "windows window channels"]:
        """The windows of a track that is ``frames`` long."""
        return torch.stack([track[k * self.hop : k * self.hop + self.window] for k in range(self.count)])

    @cached_property
    def weights(self) -> Float[Tensor, "windows window"]:
        """How much each window counts at each of its frames; over all windows they sum to one at every frame.

        Across an overlap the earlier window fades out and the later one in, linearly.
        """
        weights = torch.ones(self.count, self.window)
        fade = (torch.arange(self.overlap) + 1) / (self.overlap + 1)
        if self.overlap:
            weights[1:, : self.overlap] = fade
            weights[:-1, -self.overlap :] = 1 - fade
        return weights

    @cached_property
    def shared(self) -> Float[Tensor, "windows window 1"]:
        """1 on frames that two windows share, 0 elsewhere."""
        mask = torch.zeros(self.count, self.window, 1)
        if self.overlap:
            mask[1:, : self.overlap] = 1
            mask[:-1, -self.overlap :] = 1
        return mask


@dataclass(frozen=True, eq=False)
class Stitcher:
    """Makes windows one motion; positions are normalised features, horizontal root positions relative per window."""

    plan: WindowPlan
    layout: Layout
    normaliser: Normaliser

    @cached_property
    def _horizontal(self) -> list[int]:
        root = self.layout["root_position"].start
        return [root, root + 2]

    def offsets(
        self, windows: Float[Tensor, "windows window features"]
    ) -> Float[Tensor, "windows 2"]:
        """Metres along x and z from the first window's origin to each window's.

        Every window was trained to begin above its own origin; neighbours are joined where their paths in the overlap
        agree on average.
        """
        path = self.normaliser.denormalise(windows)[..., self._horizontal]
        steps = torch.zeros(len(windows), 2, dtype=path.dtype, device=path.device)
        if self.plan.overlap:
            steps[1:] = (path[:-1, -self.plan.overlap :] - path[1:, : self.plan.overlap]).mean(1)
        return steps.cumsum(0)

    def join(
        self, windows: Float[Tensor, "windows window features"]
    ) -> tuple[Float[Tensor, "frames features"], Float[Tensor, "windows 2"]]:
        """One track of denormalised features, blended across the overlaps, and the windows' offsets."""
        offsets = self.offsets(windows)
        real = self._moved(self.normaliser.denormalise(windows), offsets)
        weighted = real * self.plan.weights.to(real)[..., None]
        track = torch.zeros(self.plan.frames, real.shape[-1], dtype=real.dtype, device=real.device)
        for k in range(self.plan.count):
            begin = k * self.plan.hop
            track[begin : begin + self.plan.window] += weighted[k]
        return track, offsets

    def agree(
        self, windows: Float[Tensor, "windows window features"]
    ) -> Float[Tensor, "windows window features"]:
        """The windows with one shared motion in every overlap; the value of the stitching constraint."""
        track, offsets = self.join(windows)
        return self.normaliser.normalise(self._moved(self.plan.cut(track), -offsets))

    def constraint(self) -> Constraint:
        """Holds at every noise level, wherever two windows overlap."""
        return Constraint(mask=self.plan.shared.to(self.normaliser.mean.device), value=self.agree)

    def gap(self, windows: Float[Tensor, "windows window features"]) -> float:
        """Largest distance in metres between a joint in two windows' versions of a shared frame."""
        if not self.plan.overlap or self.plan.count < 2:
            return 0.0
        real = self._moved(self.normaliser.denormalise(windows), self.offsets(windows))
        earlier = self.layout.joints(real[:-1, -self.plan.overlap :])
        later = self.layout.joints(real[1:, : self.plan.overlap])
        return float((earlier - later).norm(dim=-1).max())

    def _moved(self, real: Tensor, offsets: Tensor) -> Tensor:
        moved = real.clone()
        moved[..., self._horizontal] += offsets[:, None]
        return moved
