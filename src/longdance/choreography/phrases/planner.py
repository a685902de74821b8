"""Planning: phrases for the bars of a song, by a beam search over what a choreographer would weigh.

Sections of one letter get the same phrases, the other way round the second time; a break gets a hold, the end a pose.
The seed draws among good plans: to every phrase in every bar it adds a little chance.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from longdance.choreography.phrases.candidates import HALVES, Candidates
from longdance.choreography.phrases.form import Bar
from longdance.choreography.phrases.plan import HOLD, Block, Plan
from longdance.choreography.words import Words
from longdance.errors import InputError

BEAM = 24
"""Plans that are followed at once."""
PROMISING = 160
"""Candidates that are weighed after each plan: those that suit the bar best, and those that go on in a take."""
RATES = (1.0, 2.0, 0.5)
"""Counts of a phrase on a beat of the song."""
WIDEST = 0.45
"""Octaves by which a phrase may be danced faster or slower than it was."""
TURN_AT_JOIN = math.radians(20.0)
"""How far a dancer may turn back to the front while one phrase becomes the next."""
RECENT = 8
"""Blocks within which a phrase that comes again is noticed."""


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What each departure from the ideal costs; 0 leaves it out."""

    pose: float = 9.0
    """Each 10 cm by which joints are apart where two phrases meet."""
    velocity: float = 5.0
    """The same of velocities, over the time that a join takes."""
    feet: float = 1.2
    """A foot that stands before a join and not after it, or the other way round."""
    flight: float = 8.0
    """Each 10 cm that a phrase begins or ends above the floor."""
    facing: float = 2.0
    """Half of it for each quarter turn away from the front."""
    stage: float = 0.6
    """Ending two metres from the middle of the stage, and growing with the square."""
    stretch: float = 1.0
    """A quarter octave of another tempo, and growing with the square."""
    energy: float = 0.8
    """A phrase one step (standard deviation) calmer or wilder than the bar is soft or loud, and with the square."""
    accents: float = 1.5
    """A phrase that moves where the music rests and rests where it plays."""
    unmarked: float = 3.0
    """A phrase that comes to rest on none of its beats."""
    words: float = 100.0
    """A phrase that shows none of the movements asked for: more than most joins cost, so that they are danced again and
    again where there are few."""
    genre: float = 30.0
    """A phrase of another genre than the one asked for."""
    again: float = 2.5
    """A phrase that was danced shortly before."""
    mirrored_return: float = -0.8
    """Its mirror image right after it: what dancers do, to both sides."""
    onward: float = 1.2
    """Each two bars that a take has gone on already: a dance that only does so is that take."""
    short: float = 1.0
    """Four counts instead of eight."""
    upbeat: float = 1.0
    """Eight counts that begin in the second bar of a pair, counted from the section's first."""
    chance: float = 0.7
    """Spread of what the seed adds."""

    def meeting(self, pose: np.ndarray, velocity: np.ndarray, feet: np.ndarray) -> np.ndarray:
        """Of phrases that meet with poses and velocities so many metres apart, feet standing on one side alone."""
        return (self.pose * pose + self.velocity * velocity) / 0.1 + self.feet * feet

    def pacing(self, octaves: np.ndarray) -> np.ndarray:
        """Of phrases danced at another tempo."""
        return self.stretch * (octaves / 0.25) ** 2


DEFAULT_COSTS = Costs()


class Wanted(NamedTuple):
    """What a bar is to be danced with."""

    genre: str | None
    words: Words


class Option(NamedTuple):
    """A candidate over some bars."""

    candidate: int
    bars: int
    counts: int


HELD = Option(-1, 1, 0)


class State(NamedTuple):
    """A plan so far."""

    cost: float
    candidate: int
    """The last one danced, -1 at the beginning."""
    heading: float
    """Radians where it ended."""
    place: complex
    """Metres."""
    recent: tuple[int, ...]
    """(RECENT,) candidates of the last blocks, -1 for none."""
    run: int
    """Bars danced on end of one take as it was recorded."""
    options: tuple[tuple[int, Option], ...]
    """Of the section: first bar and what is danced from it on."""


BEGUN = State(0.0, -1, 0.0, 0j, (-1,) * RECENT, 0, ())


class After(NamedTuple):
    """Candidates after states, (states, candidates) each."""

    cost: np.ndarray
    heading: np.ndarray
    """Radians where the candidate ends."""
    place: np.ndarray
    """Metres, likewise."""
    onward: np.ndarray
    """Whether it goes on in the take of the last one."""


def start_heading(heading: ArrayLike, front: ArrayLike) -> np.ndarray:
    """Radians that a phrase begins at after one that ended at ``heading``: as it was recorded, or nearly so.

    ``front`` is the phrase's heading in its take. A dancer turns back to the front while phrases meet, by
    ``TURN_AT_JOIN`` at most.
    """
    heading = np.asarray(heading, dtype=np.float64)
    away = np.angle(np.exp(1j * (heading - np.asarray(front))))
    return np.asarray(heading - np.clip(away, -TURN_AT_JOIN, TURN_AT_JOIN))


class Planner:
    """Plans for one song from one set of candidates."""

    def __init__(
        self,
        candidates: Candidates,
        bars: Sequence[Bar],
        wanted: Sequence[Wanted],
        *,
        tempo_bpm: float,
        seed: int,
        costs: Costs = DEFAULT_COSTS,
        begun: State = BEGUN,
        heard: int = 0,
    ):
        """``begun`` is what was danced before the first of the bars, ``heard`` how many bars that were."""
        self.candidates, self.bars, self.wanted, self.costs, self.seed = candidates, bars, wanted, costs, seed
        self.tempo, self._begun, self._heard = tempo_bpm, begun, heard
        self._pose, self._velocity = _distances(candidates)
        self._known: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}

    def plan(self, locked: Sequence[Block] = ()) -> Plan:
        """The best plan of the beam; blocks that are ``locked`` stay where they are.

        ``InputError`` for a locked block that does not begin and end with bars.
        """
        library = self.candidates.library.name
        if locked and _covers(locked, self.bars):
            return Plan(library=library, blocks=tuple(locked), seed=self.seed)
        _refuse_crooked(locked, self.bars)
        held = {block.beat: block for block in locked}
        blocks = [self._block(bar, option) for bar, option in self._chosen(locked)]
        blocks = [held.get(block.beat, block) for block in blocks]
        return Plan(library=library, blocks=tuple(blocks), seed=self.seed)

    def settle(self, beat: int) -> tuple[State, list[Block], int]:
        """As much of the best plan as ends by a beat: the state that it leaves, its blocks, and how many bars it takes.

        What follows was planned as well and is left to a later plan, which will have heard more.
        """
        state, blocks, bars = self._begun, list[Block](), 0
        for bar, option in self._chosen(()):
            block = self._block(bar, option)
            if block.end > beat:
                break
            beams: dict[int, list[State]] = {}
            self._follow([state], bar, option, beams)
            [state] = beams[bar + option.bars]
            blocks.append(block)
            bars = bar + option.bars
        return state._replace(cost=0.0, options=()), blocks, bars

    def _chosen(self, locked: Sequence[Block]) -> list[tuple[int, Option]]:
        """First bar of each block of the best plan, and what is danced from it on."""
        state, found = self._begun, list[tuple[int, Option]]()
        known: dict[str, tuple[tuple[int, Option], ...]] = {}
        danced: dict[str, int] = {}
        held = {block.beat: block for block in locked}
        for first, stop in _sections(self.bars, locked):
            letter = self.bars[first].letter
            turn = danced.get(letter, 0)
            state, chosen = self._section(state, first, stop, known.get(letter, ()) if turn else (), turn, held)
            if not turn:
                known[letter] = tuple((bar - first, option) for bar, option in chosen if option.candidate >= 0)
            danced[letter] = turn + 1
            found += chosen
        return found

    def _section(
        self,
        state: State,
        first: int,
        stop: int,
        template: Sequence[tuple[int, Option]],
        turn: int,
        locked: dict[float, Block],
    ) -> tuple[State, list[tuple[int, Option]]]:
        """A section planned after what came before it; a ``template`` is the same letter's first time."""
        returning = {first + bar: option for bar, option in template}
        beams: dict[int, list[State]] = {first: [state._replace(options=())]}
        for bar in range(first, stop):
            here = sorted(beams.pop(bar, []), key=lambda each: each.cost)[:BEAM]
            if not here:
                continue
            # Nothing reaches into a locked block.
            ahead = next((other for other in range(bar + 1, stop) if float(self.bars[other].beat) in locked), stop)
            if (block := locked.get(float(self.bars[bar].beat))) is not None:
                self._follow(here, bar, self._locked_option(block, bar, stop), beams)
            elif self.bars[bar].silent:
                self._follow(here, bar, HELD, beams)
            elif bar in returning and bar + returning[bar].bars <= ahead:
                option = returning[bar]
                self._follow(here, bar, option._replace(candidate=option.candidate ^ (turn % 2)), beams)
            else:
                self._branch(here, bar, ahead, beams)
        best = min(beams[stop], key=lambda each: each.cost)
        return best, list(best.options)

    def _branch(self, here: list[State], bar: int, stop: int, beams: dict[int, list[State]]) -> None:
        """All that could be danced from a bar on, after each state."""
        last = np.array([state.candidate for state in here])
        for bars in (2, 1):
            if bar + bars > stop or any(self.bars[bar + more].silent for more in range(bars)):
                continue
            numbers, counts, fixed = self._fitting(bar, bars)
            if not len(numbers):
                if bars == 1:  # a bar that is cut short, as the last one may be
                    self._follow(here, bar, HELD, beams)
                continue
            chance = np.random.default_rng([self.seed, self._heard + bar, bars]).gumbel(size=len(self.candidates))[
                numbers
            ]
            fixed = fixed - self.costs.chance * chance * bars
            if len(numbers) > PROMISING:
                rank = np.where(self._onward(last, numbers).any(0), -np.inf, fixed)
                kept = np.sort(np.argpartition(rank, PROMISING)[:PROMISING])
                numbers, counts, fixed = numbers[kept], counts[kept], fixed[kept]
            after = self._after(here, numbers)
            after = after._replace(cost=fixed + after.cost)
            whole = after.cost + np.array([state.cost for state in here])[:, None]
            found = beams.setdefault(bar + bars, [])
            for at in np.argsort(whole, axis=None, kind="stable")[: 2 * BEAM]:
                row, column = divmod(int(at), len(numbers))
                option = Option(int(numbers[column]), bars, int(counts[column]))
                found.append(self._moved(here[row], bar, option, after, (row, column)))

    def _follow(self, here: list[State], bar: int, option: Option, beams: dict[int, list[State]]) -> None:
        """One and the same from a bar on, after each state."""
        found = beams.setdefault(bar + option.bars, [])
        if option.candidate < 0:
            found += [state._replace(options=(*state.options, (bar, option)), run=0) for state in here]
            return
        after = self._after(here, np.array([option.candidate]))
        found += [self._moved(state, bar, option, after, (row, 0)) for row, state in enumerate(here)]

    def _moved(self, state: State, bar: int, option: Option, after: After, at: tuple[int, int]) -> State:
        """The state after a candidate, ``at`` (row, column) of ``after``."""
        return State(
            state.cost + float(after.cost[at]),
            option.candidate,
            float(after.heading[at]),
            complex(after.place[at]),
            (*state.recent[1:], option.candidate),
            (state.run if after.onward[at] else 0) + option.bars,
            (*state.options, (bar, option)),
        )

    def _onward(self, last: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """(states, candidates) booleans: which candidates go on in the take of the last ones."""
        known = self.candidates
        same = (known.take[numbers] == known.take[last][:, None]) & (last >= 0)[:, None]
        same &= numbers % 2 == (last % 2)[:, None]
        return same & (np.abs(known.marks[numbers, 0] - known.marks[last, 1][:, None]) < 2.0)

    def _after(self, here: Sequence[State], numbers: np.ndarray) -> After:
        """Each candidate after each state; costs are those beyond what it costs anywhere."""
        known, costs = self.candidates, self.costs
        total = np.zeros((len(here), len(numbers)))
        front, last = known.front[numbers], np.array([state.candidate for state in here])
        begin, onward = np.tile(front, (len(here), 1)), self._onward(last, numbers)
        if last[0] >= 0:  # every state has danced, or none
            pairs = np.ix_(last, numbers)
            feet = np.abs(known.end_feet[last][:, None] - known.start_feet[numbers]).sum(-1)
            apart = costs.meeting(self._pose[pairs], self._velocity[pairs], feet)
            run = np.array([state.run for state in here])[:, None]
            total += np.where(onward, costs.onward * run / 2, apart)
            begin = start_heading(np.array([state.heading for state in here])[:, None], front)
            total += costs.mirrored_return * ((numbers ^ 1) == last[:, None])
        total += costs.facing * (1 - np.cos(begin - front))
        place = np.array([state.place for state in here])[:, None] + known.path[numbers] * np.exp(1j * begin)
        total += costs.stage * (np.abs(place) / 2.0) ** 2
        for age in range(1, 1 + RECENT):
            other = np.array([state.recent[-age] for state in here])
            begins, ends = known.marks[other].T[..., None]
            shared = np.minimum(known.marks[numbers, 1], ends) - np.maximum(known.marks[numbers, 0], begins)
            same = (known.take[numbers] == known.take[other][:, None]) & (shared > 2.0) & (other >= 0)[:, None]
            if age == 1:
                same &= (numbers ^ 1) != other[:, None]
            total += costs.again * (1 - (age - 1) / RECENT) * same
        return After(total, begin + known.turn[numbers], place, onward)

    def _fitting(self, bar: int, bars: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Candidates that fill so many bars from a bar on, the counts danced of each, and what they cost anywhere."""
        known, costs, song = self.candidates, self.costs, self.bars[bar : bar + bars]
        beats = sum(each.beats for each in song)
        numbers, counts, stretch = self._paced(beats)
        if not len(numbers):
            return numbers, counts, stretch
        energy = float(np.mean([each.energy for each in song]))
        music = np.resize(np.concatenate([each.profile for each in song]), HALVES)
        music = (music - music.mean()) / max(float(music.std()), 1e-6)
        likeness = (known.profile[numbers] * music).mean(1)
        fixed = costs.pacing(stretch) + costs.energy * (known.energy[numbers] - energy) ** 2
        fixed = fixed + costs.accents * (1 - likeness) / 2 + costs.flight * np.maximum(known.airborne[numbers], 0) / 0.1
        fixed = fixed + costs.unmarked * known.unmarked[numbers]
        wanted = self.wanted[bar]
        if wanted.genre is not None:
            fixed = fixed + costs.genre * (known.genres[numbers] != wanted.genre)
        if (unlike := self._unlike(wanted.words)) is not None:
            fixed = fixed + costs.words * unlike[numbers]
        first = next(k for k in range(bar, -1, -1) if k == 0 or self.bars[k - 1].section != self.bars[bar].section)
        odd = bars == 2 and (bar - first) % 2 == 1
        return numbers, counts, bars * fixed + costs.short * (bars == 1) + costs.upbeat * odd

    def _paced(self, beats: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Candidates for so many beats, counts of each, and octaves of another tempo, each at its best rate."""
        if beats not in self._known:
            known = self.candidates
            best = np.full(len(known), np.inf)
            octaves, used = np.zeros(len(known)), np.zeros(len(known), int)
            for rate in RATES:
                counts = beats * rate
                if counts != round(counts) or counts < 2:
                    continue
                fits = (known.counts >= counts) & (known.counts <= counts / 0.74)
                change = np.log2(self.tempo * rate / known.tempo)
                better = fits & (np.abs(change) < best)
                best[better], octaves[better], used[better] = np.abs(change)[better], change[better], round(counts)
            limit = WIDEST if (best < WIDEST).any() else best.min() + 0.1
            numbers = np.flatnonzero(np.isfinite(best) & (best <= limit))
            self._known[beats] = numbers, used[numbers], octaves[numbers]
        return self._known[beats]

    def _unlike(self, words: Words) -> np.ndarray | None:
        """(candidates,) how little phrases show what the words ask for, 0 to 1; None where they ask for nothing.

        The movement itself is 0. Else it counts how much of a phrase's own label is among the words, so that a jete is
        danced where a grand jete was asked for and the library has none.
        """
        movements = {name.lower() for name in words.movements}
        said = {part for name in (*movements, (words.text or "").lower()) for part in name.split()}
        if not said:
            return None

        def likeness(label: str) -> float:
            parts = set(label.split())
            return 1.0 if label in movements else len(parts & said) / len(parts)

        labels = {label: likeness(label) for shown in self.candidates.words for label in shown}
        return np.array([1.0 - max((labels[label] for label in shown), default=0.0) for shown in self.candidates.words])

    def _locked_option(self, block: Block, bar: int, stop: int) -> Option:
        beats, bars = 0, 0
        while beats < block.beats - 1e-6 and bar + bars < stop:
            beats += self.bars[bar + bars].beats
            bars += 1
        number = None if block.holds else self.candidates.index(block.phrase, block.mirrored)
        return Option(-1 if number is None else number, max(1, bars), block.counts)

    def _block(self, bar: int, option: Option) -> Block:
        song = self.bars[bar : bar + option.bars]
        beats = float(sum(each.beats for each in song))
        where = {"beat": float(song[0].beat), "beats": beats, "letter": song[0].letter}
        if option.candidate < 0:
            return Block(phrase=HOLD, **where)
        name = self.candidates.phrases[option.candidate].name
        return Block(phrase=name, counts=option.counts, mirrored=bool(option.candidate % 2), **where)


def _distances(candidates: Candidates) -> tuple[np.ndarray, np.ndarray]:
    """(candidates, candidates) metres from the end of each (rows) to the beginning of each: poses, and velocities."""
    half = candidates.starts.shape[1] // 2
    found = []
    for part in (slice(0, half), slice(half, None)):
        ends, starts = candidates.ends[:, part], candidates.starts[:, part]
        squares = (ends**2).sum(1)[:, None] + (starts**2).sum(1)[None] - 2 * ends @ starts.T
        found.append(np.sqrt(np.maximum(squares, 0.0)))
    return found[0], found[1]


def _sections(bars: Sequence[Bar], locked: Sequence[Block]) -> list[tuple[int, int]]:
    """First bar and the one after the last of every section; none ends within a locked block."""
    edges = [k for k in range(1, len(bars)) if bars[k].section != bars[k - 1].section]
    inside = [k for k in edges if any(block.beat < bars[k].beat < block.end for block in locked)]
    edges = [0, *(k for k in edges if k not in inside), len(bars)]
    return list(pairwise(edges))


def _covers(locked: Sequence[Block], bars: Sequence[Bar]) -> bool:
    """Whether blocks leave nothing to plan."""
    joined = all(abs(one.end - other.beat) < 1e-6 for one, other in pairwise(locked))
    return joined and locked[0].beat <= bars[0].beat and locked[-1].end >= bars[-1].beat


def _refuse_crooked(locked: Sequence[Block], bars: Sequence[Bar]) -> None:
    edges = {float(bar.beat) for bar in bars} | {float(bars[-1].beat + bars[-1].beats)}
    for block in locked:
        if block.beat not in edges or block.end not in edges:
            raise InputError(
                f"expected phrases that begin and end with bars where others are planned around them, got beats "
                f"{block.beat + 1:g} to {block.end + 1:g}; bars begin on beats {bars[0].beat + 1}, "
                f"{bars[min(1, len(bars) - 1)].beat + 1}, ..."
            )
