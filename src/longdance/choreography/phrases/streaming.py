"""Dances by plan that are given out while their song is heard.

Each part of a song is planned to the end of what was heard, which is some bars further than what is settled; of that
plan the settled beats are danced, and the rest is planned anew once more was heard. A run of phrases is laid when it is
known what follows it, so that joins are those of a plan of the whole song. Sections that sound alike are found within
what is heard at once, a minute and half, and not over the whole song.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from longdance.choreography.phrases.candidates import Candidates
from longdance.choreography.phrases.dancing import wanted_at
from longdance.choreography.phrases.form import Bar, bars_of
from longdance.choreography.phrases.laying import Laying, Run, runs_of
from longdance.choreography.phrases.plan import Block, rows_of
from longdance.choreography.phrases.planner import BEGUN, DEFAULT_COSTS, Costs, Planner, State
from longdance.choreography.timeline import Timeline
from longdance.features.listening import Part
from longdance.motion import moments
from longdance.motion.motion import Motion


class Piece(NamedTuple):
    """Frames that follow those before, with their record: beats, tempo and plan."""

    motion: Motion
    record: dict
    heard: int
    """Frames of the song that were heard so far."""


@dataclass(eq=False)
class Streamed:
    """A dance by plan to a song that is heard part by part."""

    candidates: Candidates
    timeline: Timeline
    fps: float
    seed: int
    start: float = 0.0
    """Second of the song at which the dance begins."""
    costs: Costs = DEFAULT_COSTS
    beat_times: np.ndarray = field(default_factory=lambda: np.zeros(0), init=False)
    """(beats,) seconds of those that are settled."""
    downbeat_times: np.ndarray = field(default_factory=lambda: np.zeros(0), init=False)
    tempo_bpm: float = field(default=120.0, init=False)
    blocks: list[Block] = field(default_factory=list, init=False)
    """The plan so far."""
    _state: State = field(default=BEGUN, init=False)
    _bars: int = field(default=0, init=False)
    _parted: set[int] = field(default_factory=set, init=False)
    """Numbers of blocks that begin a run whatever came before them."""

    def pieces(self, parts: Iterator[Part]) -> Iterator[Piece]:
        """The dance, piece by piece; none at all for a song without a bar to lay a phrase on."""
        laying, laid, given = Laying(self.candidates.library, self.fps), 0, 0
        for part in parts:
            self._hear(part)
            runs, ends = self._runs(part)
            if len(runs) == laid + 1 and not part.last and len(runs[-1].blocks) > 1:
                # Nothing would be given out before the take is left: as far as is known it is danced now.
                self._parted.add(runs[-1].blocks[-1])
                runs, ends = self._runs(part)
            known = len(runs) if part.last else max(laid, len(runs) - 1)
            for number in range(laid, known):
                motion = laying.add(runs[number], ends[number], last=part.last and number == known - 1)
                if motion.frames:
                    yield Piece(motion, self._record(given, given + motion.frames), part.frames.stop)
                given += motion.frames
            laid = known

    def _runs(self, part: Part) -> tuple[list[Run], list[int]]:
        """The runs so far, and the frame before which each ends."""
        runs = runs_of(self.blocks, self.candidates.library, self, parted=self._parted)
        begins = [run.first_frame(self.fps) for run in runs]
        if part.last:
            runs = [run for run, begin in zip(runs, begins, strict=True) if begin < part.frames.stop]
        return runs, [*begins[1 : len(runs)], part.frames.stop]

    def _hear(self, part: Part) -> None:
        """Plan on, over the beats of a part."""
        song, begin = part.song, part.origin / self.fps
        before = int((song.beat_times + begin < part.frames.start / self.fps).sum())
        first = len(self.beat_times) - before  # number of the part's song's first beat, counted over the dance
        self.beat_times = np.concatenate((self.beat_times, part.beat_times(self.fps)))
        self.downbeat_times = np.concatenate((self.downbeat_times, part.downbeat_times(self.fps)))
        self.tempo_bpm = song.tempo_bpm
        bars = [bar._replace(beat=bar.beat + first, time=bar.time + begin) for bar in bars_of(song)]
        if self.blocks:
            bars = _from(bars, round(self.blocks[-1].end))
        if not bars:
            return
        wanted = [wanted_at(self.timeline, round(bar.time * self.fps)) for bar in bars]
        planner = Planner(
            self.candidates, bars, wanted, tempo_bpm=song.tempo_bpm, seed=self.seed, costs=self.costs,
            begun=self._state, heard=self._bars,
        )  # fmt: skip
        settled = bars[-1].beat + bars[-1].beats if part.last else len(self.beat_times) - 1
        self._state, blocks, count = planner.settle(settled)
        self._bars += count
        self.blocks += [replace(block, letter="") for block in blocks]  # a letter means something in its part alone

    def _record(self, begin: int, end: int) -> dict:
        """What is to be said of frames ``begin`` to ``end``, in seconds from the first of them."""
        first, stop = begin / self.fps, end / self.fps
        times = {"start": self.start, "beat_times": self.beat_times.tolist()}
        times |= {"downbeat_times": self.downbeat_times.tolist()}
        own = moments.cut(times, first, stop) | {"tempo_bpm": round(float(self.tempo_bpm), 3)}
        gone = int((self.beat_times < first - 1e-9).sum())
        rows = [row for row in rows_of(self.blocks, self) if first <= max(row["from"], 0.0) < stop]
        moved = [
            row | {"from": row["from"] - first, "to": row["to"] - first, "beat": row["beat"] - gone} for row in rows
        ]
        plan = {"library": self.candidates.library.name, "seed": self.seed, "phrases": moved}
        return own | {"plan": plan}


def _from(bars: list[Bar], beat: int) -> list[Bar]:
    """The bars from a beat on; where none begins there, the first one takes what is left before it."""
    following = [bar for bar in bars if bar.beat >= beat]
    if following and following[0].beat > beat:
        one = following[0]
        following[0] = one._replace(beat=beat, beats=one.beats + one.beat - beat)
    return following
