"""Which phrases fit in a block of a plan."""

import numpy as np
import pytest

from longdance.choreography.phrases.fitting import fits
from longdance.choreography.phrases.plan import HOLD, Block, Plan
from longdance.errors import InputError


def plan_of(library, *names, mirrored=False):
    blocks = [
        Block(beat=4.0 * at, beats=4.0, phrase=name, counts=0 if name == HOLD else 4, mirrored=mirrored)
        for at, name in enumerate(names)
    ]
    return Plan(library=library.name, blocks=tuple(blocks))


def fours(library, clip):
    """The phrases of four counts of a take, in order."""
    found = [each for each in library.phrases if each.counts == 4 and library.facts(each).clip == clip]
    return sorted(found, key=lambda each: each.marks[0])


@pytest.mark.parametrize("mirrored", [False, True])
def test_what_lies_between_its_neighbours_in_their_take_fits_best(library, mirrored):
    phrases = fours(library, "one")
    at = next(k for k in range(len(phrases) - 2) if all(
        abs(phrases[k + step].marks[-1] - phrases[k + step + 1].marks[0]) < 1 for step in (0, 1)
    ))  # fmt: skip
    before, own, after = phrases[at : at + 3]
    plan = plan_of(library, before.name, phrases[0].name, after.name, mirrored=mirrored)
    best, *others = fits(library, plan, 2, genres=["salsa"], tempo_bpm=own.tempo_bpm)
    assert (best.phrase, best.mirrored) == (own.name, mirrored)
    assert best.cost == pytest.approx(0.0, abs=1e-9)
    assert best.pace == pytest.approx(1.0)
    assert min(other.cost for other in others) > 0


def test_at_the_edges_only_tempo_and_the_one_neighbour_count(library):
    plan = plan_of(library, HOLD, library.phrases[0].name)
    alone = Plan(library=library.name, blocks=(plan.blocks[1],))
    found = fits(library, alone, 1, genres=library.genres, tempo_bpm=100.0)
    assert len(found) == len(library.phrases)
    assert [fit.cost for fit in found] == pytest.approx([2 * (np.log2(fit.pace) / 0.25) ** 2 for fit in found])
    genres = {library.facts(library.phrase(fit.phrase)).genre for fit in fits(
        library, plan, 1, genres=["disco", "polka"], tempo_bpm=100.0
    )}  # fmt: skip
    assert genres == {"disco"}


def test_eight_counts_in_four_beats_are_danced_for_four(library):
    long = next(phrase for phrase in library.phrases if phrase.counts == 8)
    plan = plan_of(library, long.name)
    found = {fit.phrase: fit.pace for fit in fits(library, plan, 1, genres=["salsa", "disco"], tempo_bpm=100.0)}
    assert found[long.name] == pytest.approx(100.0 / long.tempo_bpm * 2)


def test_a_block_that_is_not_there_is_refused(library):
    with pytest.raises(InputError, match="from 1 to 1"):
        fits(library, plan_of(library, library.phrases[0].name), 2, genres=["salsa"], tempo_bpm=100.0)
