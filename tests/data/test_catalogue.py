"""The catalogue is well formed, its names are found as people type them, and every label of the data maps."""

import csv
from collections import Counter

import pytest

from longdance.data.catalogue import (
    catalogue_texts,
    find_genre,
    find_movements,
    genre_names,
    load_catalogue,
    movements_of_label,
    nearest_movements,
    normalise_name,
)
from longdance.errors import InputError

GENRES = load_catalogue()
MOVEMENTS = [movement for genre in GENRES.values() for movement in genre.movements]


def label_rows(shared_data):
    with (shared_data / "labels.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_users_see_every_open_dance_genre_and_no_other_movement():
    expected = "breaking, broadway, commercial, disco, freestyle, modern, salsa, social, westcoast"
    assert set(expected.split(", ")) <= set(genre_names())
    assert "none" in GENRES
    assert "none" not in genre_names()


@pytest.mark.parametrize("name", GENRES)
def test_names_and_aliases_are_distinct_within_a_genre(name):
    names = [normalise_name(word) for item in GENRES[name].movements for word in (item.name, *item.aliases)]
    assert [word for word, count in Counter(names).items() if count > 1] == []
    own = [normalise_name(word) for word in (GENRES[name].name, *GENRES[name].aliases)]
    assert len(own) == len(set(own))


def test_no_two_genres_share_a_name():
    names = [
        word
        for genre in GENRES.values()
        for word in {normalise_name(word) for word in (genre.name, genre.title, *genre.aliases)}
    ]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", GENRES)
def test_a_genre_file_is_complete(name):
    genre = GENRES[name]
    assert genre.name == name
    assert genre.movements
    assert 2 <= genre.description.count(". ") + 1 <= 4
    parts = ("feet", "knee", "hip", "torso", "arm", "leg", "shoulder", "energy", "beat")
    assert sum(part in genre.description.lower() for part in parts) >= 5
    assert genre.trained == (genre.clips.train > 0)
    movement_names = {item.name for item in genre.movements}
    assert {target for targets in genre.labels.values() for target in targets} <= movement_names
    for movement in genre.movements:
        assert movement.genre == name
        assert movement.description.endswith(".")
        assert 12 <= len(movement.description.split()) <= 60
        assert movement.counts is None or movement.counts > 0
        assert movement in (genre.movement(movement.name),)


def test_every_label_of_the_open_data_maps_to_movements(shared_data):
    clips = Counter()
    for row in label_rows(shared_data):
        names = movements_of_label(row["genre"], row["movement"])
        assert names
        for name in names:
            clips[row["genre"], name, row["split"]] += 1
    for movement in MOVEMENTS:
        assert movement.clips._asdict() == {
            split: clips[movement.genre, movement.name, split] for split in ("train", "val", "test")
        }


def test_genre_clip_counts_equal_the_label_table(shared_data):
    clips = Counter((row["genre"], row["split"]) for row in label_rows(shared_data))
    for name, genre in GENRES.items():
        assert genre.clips._asdict() == {split: clips[name, split] for split in ("train", "val", "test")}


def test_a_label_with_commas_names_several_movements_in_order():
    label = "Small jetes, attitude/arabesque, shifted-axis pirouette, turn, turn"
    assert movements_of_label("modern", label) == (
        "small jetes",
        "attitude or arabesque",
        "shifted-axis pirouette",
        "turn",
    )


def test_unknown_labels_are_refused_rather_than_guessed():
    with pytest.raises(InputError, match="six-step"):
        movements_of_label("breaking", "six-step")
    with pytest.raises(InputError, match="catalogue"):
        movements_of_label("polka", "polka")


@pytest.mark.parametrize(
    ("typed", "genre", "corrected"),
    [
        ("breaking", "breaking", False),
        ("Break Dance", "breaking", False),
        ("b-boying", "breaking", False),
        ("BBOYING", "breaking", False),
        ("ballet", "modern", False),
        ("contemporary", "modern", False),
        ("disco style", "disco", False),
        ("West_Coast_Swing", "westcoast", False),
        ("comercial", "commercial", True),
        ("slasa", "salsa", True),
        ("brekdance", "breaking", True),
    ],
)
def test_genres_are_found_as_people_type_them(typed, genre, corrected):
    match = find_genre(typed)
    assert (match.genre.name, match.corrected) == (genre, corrected)


@pytest.mark.parametrize("typed", ["hip hop", "", "!?", "none", "tango"])
def test_an_unknown_genre_is_answered_with_the_nearest_names(typed):
    with pytest.raises(InputError, match=r"try '.*breaking, broadway, commercial"):
        find_genre(typed)


def test_the_hidden_genre_is_found_on_request_only():
    assert find_genre("none", include_hidden=True).genre.hidden
    assert all(match.movement.genre != "none" for match in find_movements("karate chop"))


@pytest.mark.parametrize(
    ("typed", "movement", "corrected"),
    [
        ("Six Step", "six-step", False),
        ("jeté en tournant", "jete en tournant", False),
        ("arabesque", "attitude or arabesque", False),
        ("pirouete", "pirouette", True),
        ("cross body leed", "cross-body lead", True),
    ],
)
def test_movements_are_found_as_people_type_them(typed, movement, corrected):
    (match,) = find_movements(typed)
    assert (match.movement.name, match.corrected) == (movement, corrected)


def test_a_movement_of_another_genre_is_still_found():
    (match,) = find_movements("pirouette", GENRES["salsa"])
    assert match.movement.genre == "modern"


def test_an_unknown_movement_has_no_match_but_near_names():
    assert find_movements("windmill") == ()
    assert nearest_movements("six big steps")[0] == "six-step"


def test_every_name_finds_its_own_entry():
    for genre in GENRES.values():
        for word in (genre.name, genre.title, *genre.aliases):
            assert find_genre(word, include_hidden=True).genre is genre
        for movement in genre.movements:
            for word in (movement.name, *movement.aliases):
                assert find_movements(word, genre)[0].movement is movement


def test_texts_are_distinct_and_include_every_wording():
    texts = catalogue_texts()
    assert len(texts) == len(set(texts))
    assert {text for movement in MOVEMENTS for text in (movement.text, movement.name)} <= set(texts)
