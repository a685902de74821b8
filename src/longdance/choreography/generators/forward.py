"""What networks share that make a dance forward in time, frames after frames of their own making.

Steps and samplers mean nothing to them. Memory is bounded by the windows that the networks see.
"""

from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from longdance.choreography.devices import placed
from longdance.choreography.prepared import Generated, Prepared
from longdance.choreography.timeline import Timeline
from longdance.models.checkpoint import Checkpoint
from longdance.models.generators import GeneratorCheckpoint
from longdance.motion.layout import Layout
from longdance.motion.rotations import matrix_to_6d
from longdance.progress import Progress


@runtime_checkable
class Forward(Protocol):
    """A network that makes a dance from its beginning to its end."""

    @property
    def checkpoint(self) -> GeneratorCheckpoint:
        """The network."""
        ...

    @property
    def lookahead(self) -> int:
        """Frames of music beyond the dance's end that the network wants to hear."""
        ...

    def parts(
        self,
        checkpoint: Checkpoint,
        music: Float[Tensor, "heard music_channels"],
        frames: int,
        timeline: Timeline,
        generator: torch.Generator,
        progress: Callable[[int, int], None] | None,
    ) -> Iterator[Tensor]:
        """Denormalised features (some frames, width), together at least ``frames``, wherever the dance begins."""
        ...


def danced_forward(network: Forward, prepared: Prepared, progress: Progress | None) -> Generated:
    """The whole dance, part after part, from above the origin."""
    checkpoint, frames = placed(network.checkpoint, prepared.device), prepared.frames
    generator = torch.Generator().manual_seed(prepared.sampling.seed)
    music = prepared.conditioner.music(prepared.song, frames + network.lookahead)
    told = None if progress is None else lambda part, whole: progress(part, whole, "dancing")
    parts, done = [], 0
    with torch.no_grad():
        music = music.to(checkpoint.normaliser.mean.device)
        for part in network.parts(checkpoint, music, frames, prepared.timeline, generator, told):
            parts.append(part.cpu().numpy())
            done += len(part)
            if progress is not None:
                progress(min(done, frames), frames, "dancing")
    track = np.concatenate(parts)[:frames]
    horizontal = checkpoint.layout.horizontal
    track[:, horizontal] -= track[0, horizontal]
    return Generated(track, {})


def with_prelude(music: Float[Tensor, "heard music_channels"], frames: int) -> Float[Tensor, "all music_channels"]:
    """The music after ``frames`` of its own beginning, to which the seed is danced before the song begins."""
    repeats = -(-frames // len(music))
    return torch.cat((music.repeat(repeats, 1)[:frames], music))


def rolled(
    checkpoint: Checkpoint,
    start: Float[Tensor, "seed features"],
    frames: int,
    advance: Callable[[Tensor, int], Tensor],
    *,
    keep: int,
) -> Iterator[Float[Tensor, "kept features"]]:
    """What a network makes of ``start`` (denormalised) and then of its own frames, ``keep`` of them at a time.

    ``advance(seed, at)`` gets the last frames (1, seed, features), normalised and horizontally relative to the first of
    them, and how many frames were made, and predicts the next ones.
    """
    horizontal, window, made = checkpoint.layout.horizontal, start, 0
    while made < frames:
        origin = window[0, horizontal]
        next_frames = checkpoint.normaliser.denormalise(
            advance(checkpoint.normaliser.normalise(_moved(window, -origin, checkpoint.layout))[None], made)[0, :keep]
        )
        next_frames = upright(_moved(next_frames, origin, checkpoint.layout), checkpoint.layout)
        window = torch.cat((window, next_frames))[-len(start) :]
        made += len(next_frames)
        yield next_frames


def upright(features: Float[Tensor, "frames features"], layout: Layout) -> Float[Tensor, "frames features"]:
    """The features with rotations that are rotations, so that errors in them do not feed on themselves."""
    _, matrices = layout.pose(features)
    proper = features.clone()
    proper[..., layout["rotations"]] = matrix_to_6d(matrices).flatten(-2)
    return proper


def _moved(features: Tensor, by: Tensor, layout: Layout) -> Tensor:
    moved = features.clone()
    moved[..., layout.horizontal] += by
    return moved
