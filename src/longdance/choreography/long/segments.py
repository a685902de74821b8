"""A long dance as segments that need not know of each other: where they lie, what holds in each, how they are joined.

The global stage sees windows of N frames. Neighbouring windows share one hard primitive, so they lie N - 8 frames
apart; within a window the segments of n frames follow each other and meet in the middle of a hard primitive. Each
segment begins above its own origin; the primitives tell how the path goes on from one to the next.
Source: Lodge section 3.4 (parallel inference), appendix B. Differs: windows share a primitive, so that dances of any
length have no seam without one.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from longdance.diffusion.constraints import Constraint
from longdance.models.primitives import HALF, PRIMITIVE_FRAMES, PrimitivePlan
from longdance.motion.layout import Layout, Normaliser, centred


class Segment(NamedTuple):
    """A segment's place."""

    start: int
    """First frame in the dance."""
    window: int
    """Number of the global window."""
    slot: int
    """Number within the window."""


class Cue(NamedTuple):
    """Movement that a segment is to pass through."""

    row: int
    """Row of the segment in its batch."""
    frames: np.ndarray
    """(cue_frames,) frames of the segment."""
    features: Tensor
    """(cue_frames, width) denormalised; the root is above the origin in the first frame."""
    anchored: bool = False
    """Whether that is the segment's own origin; other cues happen wherever the dancer has got to."""


@dataclass(frozen=True)
class SegmentPlan:
    """Where the windows and segments of a dance of ``frames`` frames lie."""

    frames: int
    primitives: PrimitivePlan

    @property
    def hop(self) -> int:
        """Frames from one window's start to the next one's."""
        return self.primitives.frames - PRIMITIVE_FRAMES

    @property
    def windows(self) -> int:
        """The fewest windows that hold the dance; one for a dance shorter than that."""
        return max(1, -(-(self.frames - PRIMITIVE_FRAMES) // self.hop))

    @property
    def music_frames(self) -> int:
        """Frames of music that all windows together see."""
        return (self.windows - 1) * self.hop + self.primitives.frames

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """The segments that hold a frame of the dance, in order of time."""
        found = []
        for window in range(self.windows):
            for slot in range(self.primitives.segments):
                segment = Segment(window * self.hop + slot * self.primitives.segment, window, slot)
                if self.begin(segment) < max(self.frames, 1):
                    found.append(segment)
        return tuple(found)

    def begin(self, segment: Segment) -> int:
        """The frame from which on the dance follows a segment, until the next one begins.

        Where two windows share a primitive it is that one's middle, as between all segments.
        """
        return segment.start + (HALF if segment.slot == 0 and segment.window > 0 else 0)

    def hard_cues(
        self, segment: Segment, row: int, hard: Float[Tensor, "hard primitive_frames features"], layout: Layout
    ) -> list[Cue]:
        """The two cues that a segment starts and ends with, from its window's hard primitives."""
        cues = []
        for number in (segment.slot, segment.slot + 1):
            frames = self.primitives.hard_starts()[number] + np.arange(PRIMITIVE_FRAMES)
            frames = frames - segment.slot * self.primitives.segment
            inside = (frames >= 0) & (frames < self.primitives.segment)
            features = centred(hard[number, torch.from_numpy(inside)], layout)
            cues.append(Cue(row, frames[inside], features, anchored=number == segment.slot))
        return cues

    def soft_range(self, segment: Segment) -> tuple[int, int]:
        """First and last frame of a segment at which a soft cue may be centred, clear of its hard cues."""
        clear = self.primitives.clearance
        first = clear + (HALF if segment.slot == 0 else 0)
        last = self.primitives.segment - clear - (HALF if segment.slot == self.primitives.segments - 1 else 0)
        return first, last

    def join(
        self,
        segments: Sequence[Float[np.ndarray, "segment_frames features"]],
        steps: Float[np.ndarray, "seams 2"],
        layout: Layout,
    ) -> Float[np.ndarray, "frames features"]:
        """One dance from the denormalised segments; ``steps`` (metres along x and z) cross the seams between them.

        A step goes from the last frame before a seam to the first one after it.
        """
        return np.concatenate(list(self.joining(segments, steps, layout)))

    def joining(
        self,
        segments: Iterable[Float[np.ndarray, "segment_frames features"]],
        steps: Float[np.ndarray, "seams 2"],
        layout: Layout,
    ) -> Iterator[Float[np.ndarray, "part_frames features"]]:
        """What each segment adds to the dance, as soon as it is there."""
        horizontal = layout.horizontal
        begins = [self.begin(segment) for segment in self.segments] + [max(self.frames, 1)]
        position = np.zeros(2)
        for number, (segment, features) in enumerate(zip(self.segments, segments, strict=True)):
            begin, end = begins[number], begins[number + 1]
            part = features[begin - segment.start : end - segment.start].astype(np.float64)
            if number:
                position = position + steps[number - 1]
            part[:, horizontal] += position - part[0, horizontal]
            position = part[-1, horizontal]
            yield part.astype(np.float32)


@dataclass(frozen=True, eq=False)
class CueSheet:
    """What a batch of segments is to pass through, as one constraint.

    Cues of one segment must not share frames.
    """

    cues: Sequence[Cue]
    rows: int
    frames: int
    layout: Layout
    normaliser: Normaliser
    """Of the network that dances the segments."""

    @cached_property
    def mask(self) -> Float[Tensor, "rows frames 1"]:
        """1 on the frames of the cues."""
        return (self._owner >= 0).to(self.normaliser.mean)[..., None]

    @cached_property
    def values(self) -> Float[Tensor, "rows frames features"]:
        """Normalised features on the frames of the cues, each from its own origin; zero elsewhere."""
        values = self.normaliser.mean.new_zeros(self.rows, self.frames, self.layout.width)
        for cue in self.cues:
            values[cue.row, torch.from_numpy(cue.frames)] = self.normaliser.normalise(cue.features.to(values))
        return values

    def constraint(self, until_noise_level: float = 0.0) -> Constraint:
        """Holds as long as there is more noise than ``until_noise_level``."""
        return Constraint(self.mask, self._where_the_dancer_is, until_noise_level)

    def edges(self, noisy: Tensor, count: int) -> Tensor:
        """A noisy batch with the cues in its first and last ``count`` frames put in without noise (Lodge eq. 10).

        Where a segment ends is not known beforehand: the horizontal root of its last frames stays as it is.
        """
        known = torch.zeros(self.frames, self.layout.width, dtype=torch.bool, device=noisy.device)
        known[:count] = True
        known[-count:] = True
        known[-count:, self.layout.horizontal] = False
        return torch.where(known & (self.mask > 0), self.values.to(noisy), noisy)

    def distance(self, segments: Float[Tensor, "rows frames features"]) -> Float[Tensor, " cues"]:
        """Metres from each cue's joints to those of normalised segments, root against root, mean over the cue."""
        real = self.normaliser.denormalise(segments)
        root = self.layout["root_position"]
        found = []
        for cue in self.cues:
            danced = real[cue.row, torch.from_numpy(cue.frames)].clone()
            wanted = cue.features.to(danced).clone()
            danced[:, root] = wanted[:, root] = 0
            found.append((self.layout.joints(danced) - self.layout.joints(wanted)).norm(dim=-1).mean())
        return torch.stack(found) if found else real.new_zeros(0)

    @cached_property
    def _owner(self) -> Tensor:
        """(rows, frames) number of the cue that holds a frame, -1 for none."""
        owner = torch.full((self.rows, self.frames), -1, device=self.normaliser.mean.device)
        for number, cue in enumerate(self.cues):
            owner[cue.row, torch.from_numpy(cue.frames)] = number
        return owner

    def _where_the_dancer_is(self, clean: Tensor) -> Tensor:
        """The values, each cue that is not anchored moved to where the prediction has the dancer at that time."""
        held = self._owner >= 0
        number = self._owner[held]
        value = self.values.to(clean).clone()
        apart = (clean[held] - value[held])[:, self.layout.horizontal]
        ones = torch.ones_like(apart[:, :1])
        count = torch.zeros(len(self.cues), 1).to(clean).index_add(0, number, ones)
        shift = torch.zeros(len(self.cues), 2).to(clean).index_add(0, number, apart) / count.clamp_min(1)
        free = torch.tensor([not cue.anchored for cue in self.cues], device=clean.device)
        moved = value[held]
        moved[:, self.layout.horizontal] += (shift * free[:, None])[number]
        value[held] = moved
        return value


def shared_primitives(links: Sequence[int], plan: PrimitivePlan, rows: int, device: torch.device) -> Constraint:
    """The last hard primitive of window k is the first of window k + 1, for all k in ``links``: they meet halfway."""
    first = slice(0, PRIMITIVE_FRAMES)
    last = slice((plan.hard - 1) * PRIMITIVE_FRAMES, plan.hard * PRIMITIVE_FRAMES)
    before = torch.tensor(links, device=device)
    mask = torch.zeros(rows, plan.count * PRIMITIVE_FRAMES, 1, device=device)
    mask[before, last] = 1
    mask[before + 1, first] = 1

    def value(clean: Tensor) -> Tensor:
        result = clean.clone()
        meeting = (clean[before, last] + clean[before + 1, first]) / 2
        result[before, last] = meeting
        result[before + 1, first] = meeting
        return result

    return Constraint(mask=mask, value=value)
