"""Choreography written down: a timeline file that says from when to when a dance is to be what.

Here belongs what a score is, and laying it on the beats of a song; reading its file is in `score_file`, what denoising
makes of it in `timeline`. The format is described in ``docs/score.md``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np

from longdance.choreography.phrases.plan import Block
from longdance.choreography.timeline import PlacedPose, Span, Timeline
from longdance.choreography.words import Words
from longdance.diffusion.guidance import Guidance
from longdance.errors import InputError
from longdance.features.song import Song
from longdance.features.text import TextPrompt
from longdance.models.strengths import OFF, Strengths
from longdance.motion.layout import Layout

Unit = Literal["seconds", "beats", "bars"]
Snap = Literal["beat", "downbeat", "none"]
Resolve = Callable[[Words], TextPrompt]
"""Raises ``InputError`` for words that are not known."""

UNITS, SNAPS = ("seconds", "beats", "bars"), ("beat", "downbeat", "none")
BEATS_PER_BAR = 4
CROSSFADE = 0.5
"""Seconds that a change takes, if the file does not say."""
class Moment(NamedTuple):
    """A time as it was written: seconds from the beginning, or beats or bars counted from 1."""

    unit: Unit
    value: float
    beat: float = 1.0
    """The beat within the bar, from 1; of bars only."""
    line: int = 0

    def __str__(self) -> str:
        if self.unit == "seconds":
            return f"{self.value:g} s"
        name = f"{self.unit.removesuffix('s')} {self.value:g}"
        return name if self.beat == 1 else f"{name} beat {self.beat:g}"


NO_WORDS = Words()


@dataclass(frozen=True, kw_only=True, eq=False)
class KeyPose:
    """A pose to be in at a moment."""

    at: Moment
    snap: Snap
    ease: float
    """Seconds."""
    root_height: float
    """Metres."""
    rotations: np.ndarray
    """(joints, 3, 3)"""
    joint_names: tuple[str, ...]
    line: int


class Danced(NamedTuple):
    """A recorded phrase that an entry names."""

    phrase: str
    """Its name in the library, or ``hold``."""
    mirrored: bool = False
    counts: int = 0
    """How many of its counts are danced; 0 for all."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Entry:
    """One line of the score; ``end`` is open (None) where it lasts until the next entry or the end."""

    begin: Moment
    end: Moment | None
    words: Words
    guidance: dict[str, float]
    """What the entry says of ``Guidance``."""
    energy: dict[str, float]
    """What the entry says of ``Strengths``."""
    snap: Snap
    poses: tuple[KeyPose, ...] = ()
    danced: Danced | None = None
    line: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Score:
    """A score as written; ``on`` lays it on a song."""

    name: str
    """The file, for messages."""
    entries: tuple[Entry, ...]
    words: Words = NO_WORDS
    """Asked for wherever the timeline asks for nothing."""
    guidance: dict[str, float] = field(default_factory=dict)
    energy: dict[str, float] = field(default_factory=dict)
    crossfade: float = CROSSFADE

    def prompts(self, resolve: Resolve) -> list[TextPrompt | None]:
        """The prompt of every entry, None where it has no words; ``InputError`` names the line."""
        prompts: list[TextPrompt | None] = []
        for entry in self.entries:
            try:
                prompts.append(resolve(entry.words) if any(entry.words) else None)
            except InputError as error:
                raise InputError(f"{self.name}, line {entry.line}: {error}") from error
        return prompts

    def on(
        self,
        song: Song,
        layout: Layout,
        fps: float,
        *,
        prompts: Sequence[TextPrompt | None],
        otherwise: TextPrompt,
        guidance: Guidance,
        energy: Strengths = OFF,
    ) -> tuple[Timeline, tuple[str, ...]]:
        """The timeline of a dance to ``song``, and notes for the user.

        ``prompts`` are those of ``prompts``; ``otherwise`` fills gaps and entries without words. Changes are moved to
        the nearest beat or downbeat unless the score says otherwise; the song's beginning and end count as both.
        ``InputError`` for entries that overlap, and for entries that hold no beat.
        """
        frames = max(1, song.frames(fps))
        guidance, energy = guidance._replace(**self.guidance), energy._replace(**self.energy)
        placed = self._placed(song)
        gap = Span(0, frames, otherwise, guidance, self.words.text, energy)
        spans: list[Span] = []
        cursor, poses, notes = 0, [], []
        for entry, prompt, begin, end in sorted(
            ((entry, prompt, *times) for entry, prompt, times in zip(self.entries, prompts, placed, strict=True)),
            key=lambda item: item[2],
        ):
            if begin >= song.seconds:
                notes.append(f"{self.name}, line {entry.line}: the song ends before {entry.begin}; left out")
                continue
            first, last = max(round(begin * fps), cursor), min(round(end * fps), frames)
            if last <= first:
                raise InputError(
                    f"{self.name}, line {entry.line}: expected at least a beat between from and to, got {entry.begin} "
                    f"to {entry.end or 'the next'}, which both fall on {begin:.2f} s; try a longer entry, or snap: none"
                )
            if first > cursor:
                spans.append(replace(gap, begin=cursor, end=first))
            words = entry.words if prompt is not None else self.words
            own, drawn = guidance._replace(**entry.guidance), energy._replace(**entry.energy)
            spans.append(Span(first, last, otherwise if prompt is None else prompt, own, words.text, drawn))
            for pose in entry.poses:
                if time_of(pose.at, song) > song.seconds:
                    notes.append(f"{self.name}, line {pose.line}: the song ends before {pose.at}; left out")
                else:
                    poses.append(self._posed(pose, song, layout, fps))
            cursor = last
        if cursor < frames:
            spans.append(replace(gap, begin=cursor, end=frames))
        fade = max(2, round(self.crossfade * fps))
        return Timeline(tuple(spans), fade, tuple(poses)).joined(), tuple(notes)

    def blocks(self, song: Song) -> tuple[Block, ...]:
        """The phrases that it names, on the nearest beats, in order; ``InputError`` for one that lasts no beat."""
        found = []
        for entry, (begin, end) in zip(self.entries, self._placed(song), strict=True):
            if entry.danced is None or begin >= song.seconds:
                continue
            first, last = (round(_beat_of(*at, song)) for at in ((entry.begin, begin), (entry.end, end)))
            if last <= first:
                raise InputError(f"{self.name}, line {entry.line}: expected a phrase to last a beat at least")
            found.append(
                Block(
                    beat=float(first), beats=float(last - first), phrase=entry.danced.phrase,
                    counts=entry.danced.counts, mirrored=entry.danced.mirrored, locked=True,
                )
            )  # fmt: skip
        return tuple(sorted(found, key=lambda block: block.beat))

    def _placed(self, song: Song) -> list[tuple[float, float]]:
        """Seconds of every entry's beginning and end, snapped; checked for order and overlaps."""
        begins = [time_of(entry.begin, song) for entry in self.entries]
        ends = [song.seconds if entry.end is None else time_of(entry.end, song) for entry in self.entries]
        order = sorted(range(len(begins)), key=begins.__getitem__)
        for here, following in zip(order, [*order[1:], None], strict=True):
            if self.entries[here].end is None:
                ends[here] = max(song.seconds, begins[here] + 1) if following is None else begins[following]
        refuse_disorder(self.name, list(zip(self.entries, begins, ends, strict=True)))
        snapped = []
        for entry, begin, end in zip(self.entries, begins, ends, strict=True):
            # Where two entries touch, the change is the later one's beginning.
            follower = next((other for other, at in zip(self.entries, begins, strict=True) if at == end), entry)
            inside = begin < song.seconds
            snapped.append((snap(begin, song, entry.snap) if inside else begin, snap(end, song, follower.snap)))
        # Units mix, so what overlaps by less than the way to the beat is meant to touch.
        refuse_overlaps(self.name, [(entry, *times) for entry, times in zip(self.entries, snapped, strict=True)])
        return snapped

    def _posed(self, pose: KeyPose, song: Song, layout: Layout, fps: float) -> PlacedPose:
        names = layout.skeleton.names
        if pose.joint_names[: len(names)] != names:
            raise InputError(
                f"{self.name}, line {pose.line}, field 'poses': expected a pose of the {len(names)} joints "
                f"{', '.join(names[:3])}, ..., got {len(pose.joint_names)} others; try a dance of this model"
            )
        at = snap(time_of(pose.at, song), song, pose.snap)
        rotations = pose.rotations[: len(names)]
        frame = min(round(at * fps), max(1, song.frames(fps)) - 1)  # the song's end is its last frame
        return PlacedPose(frame, pose.root_height, rotations, max(1, round(pose.ease * fps)))


def time_of(moment: Moment, song: Song) -> float:
    """Seconds of a moment in a song. Before the first and after the last beat or downbeat the tempo goes on."""
    if moment.unit == "seconds":
        return moment.value
    if moment.unit == "beats":
        return _time_at(song.beat_times, moment.value - 1, song)
    if not len(song.downbeat_times):
        return _time_at(song.beat_times, (moment.value - 1) * song.meter + moment.beat - 1, song)
    bar = _time_at(song.downbeat_times, moment.value - 1, song, beats=song.meter)
    if moment.beat == 1:
        return bar
    return _time_at(song.beat_times, float(song.beat_position(np.array([bar]))[0]) + moment.beat - 1, song)


def _beat_of(moment: Moment | None, seconds: float, song: Song) -> float:
    """The beat of a moment, from 0; its own count where it was written in beats, which a song's end does not cut."""
    if moment is not None and moment.unit == "beats":
        return moment.value - 1
    return float(song.beat_position(np.array([seconds]))[0])


def snap(time: float, song: Song, to: Snap) -> float:
    """The nearest beat or downbeat in seconds; the song's beginning and end count as both."""
    if to == "none":
        return min(time, song.seconds)
    marks = song.beat_times if to == "beat" else song.downbeat_times
    marks = np.concatenate(([0.0], marks[(marks > 0) & (marks < song.seconds)], [song.seconds]))
    return float(marks[np.abs(marks - time).argmin()])


def _time_at(marks: np.ndarray, index: float, song: Song, *, beats: int = 1) -> float:
    """Seconds of a fractional index among ``marks``, of which each lasts ``beats`` beats."""
    period = beats * 60.0 / song.tempo_bpm
    if not len(marks):
        return index * period
    last = len(marks) - 1
    if index < 0:
        return float(marks[0] + index * period)
    if index > last:
        return float(marks[-1] + (index - last) * period)
    return float(np.interp(index, np.arange(len(marks)), marks))


def refuse_disorder(name: str, timed: list[tuple[Entry, float, float]]) -> None:
    """``InputError`` for an entry that ends before it begins."""
    for entry, begin, end in timed:
        if end <= begin:
            got = entry.end or "the next entry"
            raise InputError(f"{name}, line {entry.line}, field 'to': expected a time after {entry.begin}, got {got}")


def refuse_overlaps(name: str, timed: list[tuple[Entry, float, float]]) -> None:
    """``InputError`` for two entries of which one begins before the other has ended."""
    timed = sorted(timed, key=lambda item: item[1])
    for (entry, _, end), (other, begin, _) in pairwise(timed):
        if begin < end - 1e-6:
            raise InputError(
                f"{name}: expected entries that do not overlap, got line {entry.line} ({entry.begin} to {entry.end}) "
                f"and line {other.line} (from {other.begin}); try ending the first where the second begins"
            )
