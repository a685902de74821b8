from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from longdance.choreography.phrases.candidates import Candidates
from longdance.choreography.phrases.form import bars_of
from longdance.choreography.phrases.plan import HOLD, Block
from longdance.choreography.phrases.planner import Costs, Planner, Wanted, start_heading
from longdance.choreography.words import Words
from longdance.errors import InputError
from made_up_phrases import clicking

NO_WORDS = Words()


def plan(library, song, *, seed=0, genres=("salsa",), words=NO_WORDS, locked=(), **costs):
    bars = bars_of(song)
    wanted = [Wanted(genres[0] if len(genres) == 1 else None, words)] * len(bars)
    planner = Planner(
        Candidates.of(library, genres), bars, wanted, tempo_bpm=song.tempo_bpm, seed=seed, costs=Costs(**costs)
    )
    return planner.plan(locked)


def test_blocks_cover_the_song_from_its_first_bar_on(library, song):
    made = plan(library, song)
    assert made.blocks[0].beat == 0
    assert made.blocks[-1].end == len(song.beat_times)
    assert all(one.end == other.beat for one, other in pairwise(made.blocks))


def test_the_seed_draws_among_plans_and_nothing_else_does(library, song):
    assert plan(library, song) == plan(library, song)
    assert len({tuple((block.phrase, block.mirrored) for block in plan(library, song, seed=seed).blocks)
                for seed in range(6)}) > 2  # fmt: skip


def test_words_choose_the_phrases_that_show_them(library, song):
    for name in ("one", "two"):
        made = plan(library, song, words=Words("salsa", (f"{name} step",), None))
        assert {block.phrase.split(":")[0] for block in made.blocks if block.beats == 8} == {name}


def test_words_that_the_library_has_not_are_danced_as_the_nearest_that_it_has(library, song):
    for asked in (Words("salsa", ("grand two step",), None), Words("salsa", (), "take two of them")):
        assert {block.phrase.split(":")[0] for block in plan(library, song, words=asked).blocks[:-1]} == {"two"}


def test_another_genre_is_not_danced_where_one_is_asked_for(library, song):
    bars = bars_of(song)
    wanted = [Wanted("disco" if number < 8 else "salsa", Words()) for number in range(len(bars))]
    known = Candidates.of(library, ("salsa", "disco"))
    made = Planner(known, bars, wanted, tempo_bpm=song.tempo_bpm, seed=0).plan()
    for block in made.blocks:
        own = "disco" if block.beat < bars[8].beat else "salsa"
        assert block.holds or library.facts(library.phrase(block.phrase)).genre == own


def test_a_break_is_held():
    song = clicking(40.0, silent=((15.0, 21.0),))
    quiet = [bar for bar in bars_of(song) if bar.silent]
    assert quiet
    assert all(14.0 < bar.time < 21.5 for bar in quiet)


def test_a_break_gets_a_hold(library):
    song = clicking(40.0, silent=((15.0, 21.0),))
    quiet = {bar.beat for bar in bars_of(song) if bar.silent}
    held = {block.beat for block in plan(library, song).blocks if block.phrase == HOLD}
    last = bars_of(song)[-1]
    assert last.beats < 4  # cut short, which is a pose at the end
    assert held == quiet | {last.beat}


def test_a_section_that_returns_gets_the_same_phrases_the_other_way_round(library):
    bar = 4 * 60 / 105
    edges = 0.5 + bar * np.array([0, 8, 16, 24])
    chords = ((220, 277, 330), (147, 175, 587), (220, 277, 330))
    parts = [(begin, end, tones) for (begin, end), tones in zip(pairwise(edges), chords, strict=True)]
    song = clicking(edges[-1] + 0.3, parts=parts)
    bars = bars_of(song)
    letters = [each.letter for each in bars]
    assert letters[:8] == letters[16:24] != letters[8:16]
    made = plan(library, song).blocks

    def of(first, last):
        return [(block.phrase, block.counts, block.mirrored) for block in made
                if bars[first].beat <= block.beat < bars[last].beat]  # fmt: skip

    first, second, third = of(0, 8), of(8, 16), [(name, counts, not way) for name, counts, way in of(16, 24)]
    assert len(first) > 2
    assert first == third[: len(first)]
    assert first != second


def test_locked_blocks_stay_and_others_are_planned_around_them(library, song):
    name = library.phrases[3].name
    locked = Block(beat=8, beats=4, phrase=name, counts=4, locked=True)
    made = plan(library, song, locked=(locked,)).blocks
    assert locked in made
    assert all(one.end == other.beat for one, other in pairwise(made))
    with pytest.raises(InputError, match="begin and end with bars"):
        plan(library, song, locked=(Block(beat=9, beats=4, phrase=name, counts=4),))


def test_a_dancer_turns_back_to_the_front_little_by_little():
    turned = start_heading(np.deg2rad(90.0), 0.0)
    assert np.rad2deg(turned) == pytest.approx(70.0)
    assert start_heading(np.deg2rad(10.0), 0.0) == pytest.approx(0.0)
    assert np.rad2deg(start_heading(np.deg2rad(350.0), 0.0)) == pytest.approx(360.0)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_phrase_reaches_into_a_locked_one(library, song, seed):
    for block in plan(library, song).blocks:
        if not block.holds:
            kept = replace(block, locked=True)
            assert kept in plan(library, song, seed=seed, locked=(kept,)).blocks
