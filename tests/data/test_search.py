"""Movements are found by words of their names and descriptions, unfinished and misspelt ones too."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longdance.data.catalogue import load_catalogue
from longdance.data.search import search
from longdance.errors import InputError

VISIBLE = [movement for genre in load_catalogue().values() if not genre.hidden for movement in genre.movements]


def found(text, limit=5, **options):
    return [(hit.movement.genre, hit.movement.name) for hit in search(text, limit, **options)]


def test_every_movement_is_found_first_by_its_genre_and_name():
    for movement in VISIBLE:
        assert found(movement.name, 1, genre=movement.genre) == [(movement.genre, movement.name)]


def test_every_alias_finds_its_movement_among_the_first():
    for movement in VISIBLE:
        for alias in movement.aliases:
            assert (movement.genre, movement.name) in found(alias, 8), alias


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("head spin", ("breaking", "headspin")),
        ("windm", ("breaking", "windmill")),
        ("moonwlak", ("popping", "backslide")),
        ("sixstep", ("breaking", "six-step")),
        ("ballet jazz spin", ("ballet-jazz", "pirouette")),
        ("balance held elbow stabbed head clear of the floor", ("breaking", "airchair")),
        ("shoulders shake quicker than the beat", ("waacking", "shoulder shimmy")),
        ("playing guitar", ("locking", "funky guitar")),
    ],
)
def test_words_of_names_and_descriptions_find_movements(typed, expected):
    assert expected in found(typed)


def test_what_fits_more_words_goes_first():
    hits = search("one hand floor circle", 50)
    assert all(before.score >= after.score for before, after in pairwise(hits))
    assert hits[0].movement.genre == "breaking"


def test_movements_that_training_shows_go_before_others_of_their_name():
    assert found("pirouette", 1) == [("modern", "pirouette")]


def test_hits_are_limited_and_kept_to_a_genre():
    assert len(search("knees", 7)) == 7
    assert search("knees", 0) == ()
    assert {genre for genre, _ in found("knees", 300, genre="b-boying")} == {"breaking"}
    with pytest.raises(InputError, match="dance genre"):
        search("knees", genre="polka")


@pytest.mark.parametrize("typed", ["", "  ", "!?", "karate", "qqqqqqqqqq"])
def test_nothing_that_users_see_fits(typed):
    assert search(typed) == ()


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=400))
def test_any_text_can_be_typed(typed):
    hits = search(typed, 10)
    assert len(hits) <= 10
    assert hits == search(typed, 10)
    assert all(not load_catalogue()[hit.movement.genre].hidden for hit in hits)
