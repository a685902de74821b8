"""Choreographic rules between Lodge's two stages: what becomes of soft primitives, and where they go.

Each soft primitive is danced to both sides (mirror), reaches its pose on a beat that the song really has (beat
alignment), and comes again, mirrored, at the same place of a measure that sounds the same (structure). Every rule is a
function of its own; ``place_soft_cues`` applies them. Source: Lodge sections 3.1 and 3.2, appendix B.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, tensor

from longdance.features.song import Song
from longdance.models.primitives import PRIMITIVE_FRAMES
from longdance.motion import rotations as rot
from longdance.motion.layout import Layout, centred

IDENTICAL = 0.5
"""Correlation of two measures' features above which they count as the same music."""
MEASURE_STEPS = 16
"""Points of a measure at which it is compared with others."""
COMPARED = slice(0, 33)
"""Channels of ``Song.features`` that tell measures apart: loudness, timbre and harmony, not where the beats are."""


class CueConfig(BaseModel):
    """How soft primitives lead the local stage: the switches of Lodge's tables 3 and 4.

    Without soft primitives at all (C in table 3) is ``soft_level`` 0. Hard cues always hold.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    soft_level: float = Field(default=1.0, ge=0, le=1)
    """s: the share of the noise schedule, from the noisiest on, in which soft cues hold; 0 never, 1 to the end."""
    mirror: bool = True
    """M: each soft primitive comes again with left and right swapped."""
    beat_align: bool = True
    """B: soft primitives are on beats; otherwise evenly spread."""
    parabola: bool = True
    """The nearest parabola of each primitive's features over time leads in its place; not in the paper, off in raw."""
    structure: bool = True
    """Mirror images go to measures that sound the same as their originals', where there are any."""

    def changed(self, asked: Mapping[str, float | bool]) -> "CueConfig":
        """The same but for some fields."""
        return CueConfig.model_validate(self.model_dump() | dict(asked)) if asked else self


DEFAULT_CUES = CueConfig()


class Beats(NamedTuple):
    """The beats of a song with their place in its form."""

    frames: Int[np.ndarray, " beats"]
    """Motion frame of each beat, increasing."""
    measure: Int[np.ndarray, " beats"]
    """Number of the measure; -1 before the first downbeat."""
    place: Int[np.ndarray, " beats"]
    """Beats since the downbeat."""
    identical: Bool[np.ndarray, "measures measures"]
    """Whether two measures sound the same; no measure is compared with itself."""

    @classmethod
    def of(cls, song: Song, fps: float) -> "Beats":
        """What a song's own beats, downbeats and features tell."""
        frames = np.round(song.beat_times * fps).astype(int)
        downbeats = np.round(song.downbeat_times * fps).astype(int)
        measure = np.searchsorted(downbeats, frames, side="right") - 1
        first = np.searchsorted(frames, downbeats)
        place = np.arange(len(frames)) - np.where(measure >= 0, first[measure], 0) if len(downbeats) else measure
        similarity = measure_similarity(song.features(fps)[:, COMPARED], downbeats)
        return cls(frames, measure, place, (similarity > IDENTICAL) & ~np.eye(len(similarity), dtype=bool))


class SoftCues(NamedTuple):
    """The soft primitives of a segment as they are to be danced, in time order."""

    centres: Int[np.ndarray, " cues"]
    """Frame of the segment at which each reaches its pose."""
    primitive: Int[np.ndarray, " cues"]
    """Which of the segment's primitives it is."""
    mirrored: Bool[np.ndarray, " cues"]
    """Whether left and right are swapped."""


def mirror(features: Float[Tensor, "*axes features"], layout: Layout) -> Float[Tensor, "*axes features"]:
    """Denormalised features of the movement reflected in the plane x = 0, left and right swapped."""
    flip = tensor([-1.0, 1.0, 1.0], dtype=features.dtype, device=features.device)
    sides = {"left": "right", "right": "left"}
    twins = []
    for name in layout.contact_joints:
        side, _, joint = name.partition("_")
        twins.append(layout.contact_joints.index(f"{sides[side]}_{joint}"))
    mirrored = features.clone()
    mirrored[..., layout["contact"]] = features[..., layout["contact"]][..., twins]
    mirrored[..., layout["root_position"]] = features[..., layout["root_position"]] * flip
    # Entry (row, column) of F R F is that of R times both signs; 6D holds the first two rows.
    rows = features[..., layout["rotations"]].unflatten(-1, (len(layout.skeleton), 2, 3))
    rows = rows[..., layout.skeleton.mirror_index, :, :] * flip[:2, None] * flip
    mirrored[..., layout["rotations"]] = rows.flatten(-3)
    return mirrored


def choose_beats(
    beats: Int[np.ndarray, " beats"], count: int, *, first: int, last: int, gap: int = PRIMITIVE_FRAMES
) -> Int[np.ndarray, " chosen"]:
    """``count`` of the beats from frame ``first`` to ``last``, evenly chosen; fewer where the music has fewer.

    Beats less than ``gap`` frames after one that is kept do not count. The choice is even in time: the beats nearest to
    the middles of equal parts of the stretch, each beat once.
    """
    free: list[int] = []
    for beat in beats[(beats >= first) & (beats <= last)]:
        if not free or beat - free[-1] >= gap:
            free.append(int(beat))
    if len(free) <= count or not count:
        return np.array(free[:count], dtype=int)
    wanted = first + (np.arange(count) + 0.5) * (last - first) / count
    # The cheapest increasing choice, by dynamic programming over beats: cost[k] of the best k + 1 beats so far.
    distance = np.abs(np.array(free)[:, None] - wanted)
    total, path = distance[:, 0], []
    for k in range(1, count):
        best = np.minimum.accumulate(total)
        where = np.maximum.accumulate(np.where(total == best, np.arange(len(free)), 0))
        path.append(np.concatenate(([0], where[:-1])))
        total = np.concatenate(([np.inf], best[:-1])) + distance[:, k]
    chosen = [int(total.argmin())]
    for before in reversed(path):
        chosen.append(int(before[chosen[-1]]))
    return np.array(free)[chosen[::-1]]


def even_frames(count: int, *, first: int, last: int) -> Int[np.ndarray, " count"]:
    """``count`` frames in the middles of equal parts of ``first`` to ``last``: placement without regard to beats."""
    return np.round(first + (np.arange(count) + 0.5) * (last - first) / count).astype(int)


def measure_similarity(
    features: Float[np.ndarray, "frames channels"], downbeats: Int[np.ndarray, " measures"]
) -> Float[np.ndarray, "measures measures"]:
    """Correlation, -1 to 1, of the course of the features over any two measures; a measure ends at the next downbeat.

    Each measure is seen at the same number of points, whatever its length; channels have zero mean and unit scale over
    the song. The last measure may be cut short; a measure without any sound is like no other.
    """
    frames = len(features)
    if not frames:
        return np.zeros((len(downbeats), len(downbeats)))
    scaled = (features - features.mean(0)) / np.maximum(features.std(0), 1e-6)
    ends = np.append(downbeats[1:], frames)
    at = downbeats[:, None] + (ends - downbeats)[:, None] * np.arange(MEASURE_STEPS) / MEASURE_STEPS
    seen = scaled[np.clip(at.astype(int), 0, frames - 1)].reshape(len(downbeats), MEASURE_STEPS * features.shape[1])
    length = np.linalg.norm(seen, axis=1)
    unit = seen / np.where(length > 1e-6, length, np.inf)[:, None]
    return unit @ unit.T


def meet_in_identical_measures(cues: SoftCues, beats: Beats, *, first: int, last: int, gap: int) -> SoftCues:
    """Mirrored cues moved to the beat of an identical measure at which their originals are danced in theirs.

    ``beats`` are those of the segment, ``first`` to ``last`` the frames in which cues may lie. A cue goes at most
    halfway to its neighbours and stays ``gap`` frames away from them; where no identical measure offers a beat, it
    stays.
    """
    centres = cues.centres.copy()
    for index in np.flatnonzero(cues.mirrored):
        original = np.flatnonzero((cues.primitive == cues.primitive[index]) & ~cues.mirrored)
        beat = np.flatnonzero(beats.frames == centres[original[0]]) if len(original) else original
        if not len(beat) or beats.measure[beat[0]] < 0:
            continue
        twins = beats.identical[beats.measure[beat[0]]]
        same = (beats.place == beats.place[beat[0]]) & (beats.measure >= 0)
        same[same] = twins[beats.measure[same]]
        lowest, highest = first, last
        if index:
            lowest = max(first, centres[index - 1] + gap, (centres[index - 1] + centres[index]) / 2)
        if index + 1 < len(centres):
            highest = min(last, centres[index + 1] - gap, (centres[index] + centres[index + 1]) / 2)
        free = beats.frames[same & (beats.frames >= lowest) & (beats.frames <= highest)]
        if len(free):
            centres[index] = free[np.abs(free - centres[index]).argmin()]
    return cues._replace(centres=centres)


def place_soft_cues(
    primitives: Sequence[int],
    beats: Beats,
    *,
    first: int,
    last: int,
    cues: CueConfig = DEFAULT_CUES,
    gap: int = PRIMITIVE_FRAMES,
) -> SoftCues:
    """Where and how a segment's soft primitives are danced.

    ``primitives`` are their numbers in time order, ``beats`` those of the segment in its own frames, ``first`` to
    ``last`` the frames at which a pose may be reached, clear of the hard cues. Each primitive is followed
    by its mirror image (M in Lodge's table 3). They go to evenly chosen beats (B), or are spread evenly without regard
    to the music. Where the music has fewer beats than there are cues, mirror images are left out first.
    """
    number = np.repeat(np.array(primitives, dtype=int), 2 if cues.mirror else 1)
    swapped = np.tile([False, True] if cues.mirror else [False], len(primitives))
    if cues.beat_align:
        centres = choose_beats(beats.frames, len(number), first=first, last=last, gap=gap)
    else:
        centres = even_frames(min(len(number), (last - first) // gap), first=first, last=last)
    danced = np.sort(np.argsort(swapped, kind="stable")[: len(centres)])
    placed = SoftCues(centres, number[danced], swapped[danced])
    if cues.beat_align and cues.structure:
        placed = meet_in_identical_measures(placed, beats, first=first, last=last, gap=gap)
    return placed


def beats_within(beats: Beats, start: int, frames: int) -> Beats:
    """The beats of the ``frames`` from ``start`` on, counted from there; measures keep their numbers."""
    inside = (beats.frames >= start) & (beats.frames < start + frames)
    return Beats(beats.frames[inside] - start, beats.measure[inside], beats.place[inside], beats.identical)


def smooth(features: Float[Tensor, "*axes frames features"], layout: Layout) -> Float[Tensor, "*axes frames features"]:
    """The parabola nearest to every feature but the contact labels: pose, velocity and acceleration of one gesture.

    A quarter of a second of a real dance is hardly changed by it (its key motions by half a centimetre on average),
    while a little noise in eight frames would be a great acceleration, to which the local stage would be held.
    """
    time = torch.linspace(-1, 1, features.shape[-2], dtype=torch.float64)
    powers = torch.stack((torch.ones_like(time), time, time**2), -1)
    nearest = (powers @ torch.linalg.pinv(powers)).to(features)
    smoothed = nearest @ features
    smoothed[..., layout["contact"]] = features[..., layout["contact"]]
    return smoothed


def tidy(features: Float[Tensor, "*axes frames features"], layout: Layout) -> Float[Tensor, "*axes frames features"]:
    """Primitives made proper: labels from 0 to 1, true rotations, and the root above the origin in the first frame."""
    tidied = centred(features, layout)
    tidied[..., layout["contact"]] = features[..., layout["contact"]].clamp(0, 1)
    tidied[..., layout["rotations"]] = rot.matrix_to_6d(layout.pose(features)[1]).flatten(-2)
    return tidied
