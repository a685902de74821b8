"""How well other phrases would fit in a block of a plan, by the planner's costs of what a phrase meets there."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from longdance.choreography.phrases.candidates import Candidates
from longdance.choreography.phrases.dancing import candidates_of
from longdance.choreography.phrases.library import Library
from longdance.choreography.phrases.plan import Plan
from longdance.choreography.phrases.planner import DEFAULT_COSTS, Costs


class Fit(NamedTuple):
    """A phrase in a block of a plan."""

    phrase: str
    mirrored: bool
    """Whether it fits better with left and right exchanged."""
    cost: float
    """The lower, the better; 0 for what goes on in the take as it was recorded, at its tempo."""
    pace: float
    """How fast it would be danced, 1 as it was recorded."""


def fits(
    library: Library, plan: Plan, number: int, *, genres: Iterable[str], tempo_bpm: float, costs: Costs = DEFAULT_COSTS
) -> list[Fit]:
    """The phrases of some genres for block ``number`` (from 1) of a plan, those that fit best first.

    Costs are those of meeting the phrases before and after it, and of another tempo than ``tempo_bpm``, the song's.
    ``InputError`` for a block that the plan does not have.
    """
    block = plan.block(number)
    before, after = _Edge.of_block(library, plan, number - 1, end=True), _Edge.of_block(library, plan, number + 1)
    found: list[Fit] = []
    for genre in sorted(set(genres) & set(library.genres)):
        known = candidates_of(library, frozenset({genre}))
        danced = [plan.swapped(number, each.name, counts=each.counts).block(number).counts for each in known.phrases]
        pace = tempo_bpm * np.array(danced) / block.beats / known.tempo
        total = 2 * costs.pacing(np.log2(pace))
        if before is not None:
            total += _Edge.of(known, slice(None)).apart(before, costs)
        if after is not None:
            total += _Edge.of(known, slice(None), end=True).apart(after, costs)
        for at in range(0, len(known), 2):
            twin = int(total[at + 1] < total[at])
            found.append(Fit(known.phrases[at].name, bool(twin), float(total[at + twin]), float(pace[at])))
    return sorted(found, key=lambda fit: (fit.cost, fit.phrase))


class _Edge(NamedTuple):
    """The beginning or the end of candidates; arrays are (candidates, ...)."""

    poses: np.ndarray
    feet: np.ndarray
    take: np.ndarray
    mark: np.ndarray
    mirrored: np.ndarray

    @classmethod
    def of(cls, known: Candidates, rows: slice, *, end: bool = False) -> "_Edge":
        poses, feet = (known.ends, known.end_feet) if end else (known.starts, known.start_feet)
        return cls(poses[rows], feet[rows], known.take[rows], known.marks[rows, int(end)], known.mirrored[rows])

    @classmethod
    def of_block(cls, library: Library, plan: Plan, number: int, *, end: bool = False) -> "_Edge | None":
        """That of the phrase in a block; None in a hold and beyond the plan."""
        if not 1 <= number <= len(plan.blocks) or plan.block(number).holds:
            return None
        block = plan.block(number)
        known = candidates_of(library, frozenset({library.facts(library.phrase(block.phrase)).genre}))
        at = known.index(block.phrase, block.mirrored)
        assert at is not None  # it is a phrase of its genre
        return cls.of(known, slice(at, at + 1), end=end)

    def apart(self, other: "_Edge", costs: Costs) -> np.ndarray:
        """(candidates,) what it costs where each meets the one candidate of ``other``."""
        squares, half = np.square(self.poses - other.poses), self.poses.shape[1] // 2
        pose, velocity = (np.sqrt(part.sum(1)) for part in (squares[:, :half], squares[:, half:]))
        total = costs.meeting(pose, velocity, np.abs(self.feet - other.feet).sum(1))
        onward = (self.take == other.take) & (self.mirrored == other.mirrored) & (np.abs(self.mark - other.mark) < 2.0)
        return np.where(onward, 0.0, total)
