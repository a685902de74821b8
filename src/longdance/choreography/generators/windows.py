"""Dances made window by window by a denoiser, each window overlapping the one before.

Windows beyond the trained length as in ``long.windows`` and ``long.stretches``.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from longdance.choreography.devices import placed
from longdance.choreography.long.streams import Heard, Piece, danced
from longdance.choreography.long.stretches import Held, Sampling, stretches
from longdance.choreography.long.windows import WindowPlan
from longdance.choreography.phrases.dancing import held_by
from longdance.choreography.prepared import Generated, Prepared
from longdance.choreography.timeline import Timeline
from longdance.models.checkpoint import Checkpoint
from longdance.progress import Progress


@dataclass(frozen=True, eq=False)
class WindowGenerator:
    """A denoiser that dances in overlapping windows."""

    checkpoint: Checkpoint
    overlap: float = 1 / 3
    """Share of a window that it has in common with the next one."""

    @property
    def most_steps(self) -> int:
        """Steps of its diffusion."""
        return self.checkpoint.config.diffusion_steps

    @property
    def window(self) -> int:
        """Frames that the network sees at once."""
        return self.checkpoint.config.window

    def plan(self, frames: int) -> WindowPlan:
        """The windows of a dance of so many frames."""
        return WindowPlan.cover(frames, window=self.window, overlap=int(self.window * self.overlap))

    def generate(self, prepared: Prepared, progress: Progress | None) -> Generated:
        """The whole dance."""
        plan, laid = self.plan(prepared.frames), prepared.laid
        held = None
        if laid is not None:
            held = held_by(laid, self.checkpoint.layout, prepared.request.phrases, plan.frames)
        music = prepared.conditioner.with_cues(prepared.song, plan.frames)
        made = list(
            stretches(
                placed(self.checkpoint, prepared.device), music, prepared.timeline, plan, sampling=prepared.sampling,
                held=held, progress=progress,
            )
        )  # fmt: skip
        features = np.concatenate([track for track, _ in made])[: prepared.frames]
        return Generated(features, {"seam_gap": max(gap for _, gap in made)})

    def stream(self, prepared: Prepared, music: Heard, progress: Progress | None) -> Iterator[Piece]:
        """The dance as it is made, of stretches that begin short."""
        return danced(
            placed(self.checkpoint, prepared.device), music, prepared.timeline,
            overlap=int(self.window * self.overlap), sampling=prepared.sampling, progress=progress,
        )  # fmt: skip

    def inpaint(
        self,
        music: Float[Tensor, "heard channels_and_cues"],
        timeline: Timeline,
        held: Held,
        *,
        sampling: Sampling,
        device: str,
        progress: Progress | None,
    ) -> Float[np.ndarray, "frames features"]:
        """Denormalised features of a stretch of a dance, of which what is ``held`` stays.

        ``music`` and ``timeline`` are the stretch's, and may be shorter than its windows.
        """
        frames = len(held.track)
        plan = self.plan(frames)
        # What is beyond the stretch is free, and thrown away.
        longer = Held(_lengthened(held.track, plan.frames), _padded(held.mask, plan.frames))
        parts = stretches(
            placed(self.checkpoint, device), _lengthened(music, plan.frames), timeline, plan, sampling=sampling,
            held=longer, progress=progress,
        )  # fmt: skip
        return np.concatenate([track for track, _ in parts])[:frames]


def _lengthened(track: Tensor, frames: int) -> Tensor:
    return torch.cat((track, track[-1:].expand(max(0, frames - len(track)), -1)))[:frames]


def _padded(track: Tensor, frames: int) -> Tensor:
    return torch.nn.functional.pad(track, (0, 0, 0, max(0, frames - len(track))))
