"""Dances that are given out while they are made: the beginning soon, the rest as it is danced, in bounded memory.

The song is heard part by part, windows are denoised in stretches that begin short, and finished frames leave at once.
A dance that is streamed is made as one that is generated, stretch by stretch, but not of the same stretches.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from longdance.choreography.long.stretches import Sampling, dance_stretch
from longdance.choreography.long.windows import WindowPlan
from longdance.choreography.timeline import Timeline
from longdance.features.listening import Part
from longdance.features.song import Song
from longdance.models.checkpoint import Checkpoint
from longdance.motion import moments
from longdance.progress import Progress

FIRST_SHARE = 0.86
"""Share of a window that is danced first: the sooner the first frames are there."""
COUNTS = (1, 1, 2, 2, 3)
"""Windows of the stretches that follow; each takes less time than what has been danced before lasts."""
COUNT = 4
"""Windows of all stretches after these."""


@dataclass(frozen=True, eq=False)
class Piece:
    """Frames that follow those before, as a network gave them."""

    features: Float[np.ndarray, "frames features"]
    """Denormalised."""
    last: bool
    """Whether no more follow."""
    seam: bool = False
    """Whether they begin a segment that did not see the one before."""


def danced(
    checkpoint: Checkpoint,
    music: "Heard",
    timeline: Timeline,
    *,
    overlap: int,
    sampling: Sampling,
    progress: Progress | None = None,
) -> Iterator[Piece]:
    """The frames that each stretch adds.

    ``overlap`` is the number of frames that neighbouring windows share. ``progress`` is told frames danced, frames
    heard, and what is done.
    """
    window = checkpoint.config.window
    generator = torch.Generator().manual_seed(sampling.seed)
    first = max(2 * overlap, round(FIRST_SHARE * window))
    begin, previous = 0, None
    for count in chain([0], COUNTS, repeat(COUNT)):
        part = WindowPlan(count, window, overlap) if count else WindowPlan(1, first, 0)
        music.hear(begin + part.frames)
        last = music.complete and begin + part.frames >= music.stop
        if last:  # the song ends here: no more windows than it needs
            cover = WindowPlan.cover(music.stop - begin, window=window, overlap=overlap)
            part = cover if previous is None else WindowPlan(cover.count, window, overlap)

        def advance(step: int, steps: int, begin: int = begin, frames: int = part.frames) -> None:
            if progress is not None:
                reached = begin + frames * step // steps
                progress(min(reached, music.stop), music.stop, "denoising")

        track, _ = dance_stretch(
            checkpoint,
            music.cut(begin, part.frames),
            timeline,
            part,
            begin=begin,
            previous=previous,
            sampling=sampling,
            generator=generator,
            progress=advance,
        )
        known = overlap if previous is not None else 0
        until = min(part.frames, music.stop - begin) if last else part.frames
        yield Piece(track[known:until].cpu().numpy(), last)
        if last:
            return
        begin += part.frames - overlap
        previous = track[-overlap:] if overlap else None
        music.forget(begin)


class Heard:
    """What was heard of a song and is still needed."""

    def __init__(self, parts: Iterator[Part], encode: Callable[[Song], Tensor], fps: float):
        self._parts, self._encode, self._fps = parts, encode, fps
        self._first, self._features = 0, torch.zeros(0)
        self._beats, self._downbeats = np.zeros(0), np.zeros(0)
        self.complete = False
        """Whether the song's end is known."""
        self.tempo_bpm = 0.0
        """Of the part heard last."""

    @property
    def stop(self) -> int:
        """Frames of the song as far as it was heard."""
        return self._first + len(self._features)

    def hear(self, frame: int) -> None:
        """Listens until features of the frames before ``frame`` are there, or the song ends."""
        while self.stop < frame and not self.complete:
            part = next(self._parts)
            features = self._encode(part.song)
            # Less than half a frame of sound has no features of its own.
            index = torch.arange(part.frames.start, part.frames.stop) - part.origin
            features = features[index.clamp(max=len(features) - 1)]
            self._features = torch.cat((self._features, features)) if len(self._features) else features
            self._beats = np.concatenate((self._beats, part.beat_times(self._fps)))
            self._downbeats = np.concatenate((self._downbeats, part.downbeat_times(self._fps)))
            self.complete, self.tempo_bpm = part.last, part.song.tempo_bpm

    def cut(self, begin: int, frames: int) -> Tensor:
        """(frames, channels); beyond the song's end the last frame goes on."""
        index = torch.arange(begin, begin + frames).clamp(max=self.stop - 1) - self._first
        return self._features[index]

    def forget(self, frame: int) -> None:
        """Features before ``frame`` are needed no more; one frame stays, for what goes on beyond the end."""
        skip = max(0, min(frame, self.stop - 1) - self._first)
        self._first, self._features = self._first + skip, self._features[skip:].clone()

    def beats(self, begin: float, end: float) -> np.ndarray:
        """(beats,) seconds: those between two times."""
        return self._beats[(self._beats >= begin) & (self._beats < end)]

    def forget_beats(self, time: float) -> None:
        """Beats before a time are needed no more."""
        self._beats = self._beats[self._beats >= time]
        self._downbeats = self._downbeats[self._downbeats >= time]

    def record(self, meta: dict, begin: float, end: float) -> dict:
        """The record of a dance as far as it concerns the piece of it between two times."""
        times = {"start": meta["start"], "beat_times": self._beats.tolist(), "downbeat_times": self._downbeats.tolist()}
        return meta | {"tempo_bpm": round(float(self.tempo_bpm), 3)} | moments.cut(times, begin, end)
