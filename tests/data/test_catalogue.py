"""The catalogue is well formed, its names are found as people type them, and every label of the data maps."""

import json
import re
from collections import Counter
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longdance.data.catalogue import (
    TYPO_MARGIN,
    TYPO_SIMILARITY,
    catalogue_texts,
    find_genre,
    find_movements,
    genre_names,
    load_catalogue,
    movements_of_label,
    nearest_movements,
    normalise_name,
    preferred_movement,
    read_genre,
    unknown_words,
)
from longdance.data.open import read_labels
from longdance.errors import InputError

GENRES = load_catalogue()
MOVEMENTS = [movement for genre in GENRES.values() for movement in genre.movements]
TABLE_1 = {  # EDMG, table 1, in its order; codes as in AIST++
    "breaking": ("gBR", 26),
    "popping": ("gPO", 31),
    "locking": ("gLO", 22),
    "waacking": ("gWA", 26),
    "middle-hip-hop": ("gMH", 23),
    "la-hip-hop": ("gLH", 18),
    "house": ("gHO", 21),
    "krump": ("gKR", 24),
    "street-jazz": ("gJS", 22),
    "ballet-jazz": ("gJB", 24),
}
BODY = re.compile(
    r"\b(foot|feet|heels?|toes?|ankles?|knees?|legs?|shins?|thighs?|hips?|pelvis|waist|belly|chest|ribs?|torso|"
    r"body|spine|back|shoulders?|arms?|forearms?|elbows?|wrists?|hands?|palms?|fingers?|fists?|neck|head|chin)\b"
)
TIME = re.compile(r"\b(counts?|beats?|bar)\b")
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def label_rows(shared_data):
    return [vars(label) for label in read_labels(shared_data)]


def test_users_see_every_open_dance_genre_and_no_other_movement():
    expected = "breaking, broadway, commercial, disco, freestyle, indian, modern, salsa, social, westcoast"
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


def test_the_ten_genres_have_as_many_fundamental_movements_as_table_1():
    coded = {name: (genre.aist_code, len(genre.fundamentals)) for name, genre in GENRES.items() if genre.aist_code}
    assert coded == TABLE_1
    assert sum(count for _, count in coded.values()) == 237


@pytest.mark.parametrize("name", TABLE_1)
def test_a_fundamental_movement_says_what_the_body_does_and_for_how_long(name):
    descriptions = Counter()
    for movement in GENRES[name].fundamentals:
        text = movement.description.lower()
        descriptions[text] += 1
        assert len(set(BODY.findall(text))) >= 3, movement.name
        assert TIME.search(text), movement.name
        assert 15 <= len(text.split()) <= 60, movement.name
        assert isinstance(movement.counts, int), movement.name
    assert max(descriptions.values()) == 1


@pytest.mark.parametrize("name", TABLE_1)
def test_a_genre_of_the_table_is_trained_only_where_open_clips_show_it(name):
    assert GENRES[name].trained == (name == "breaking")
    if name != "breaking":
        assert not any(movement.trained for movement in GENRES[name].movements)
        assert not GENRES[name].labels


def test_labels_that_are_no_fundamental_movement_are_kept_apart():
    breaking = GENRES["breaking"]
    apart = [movement.name for movement in breaking.movements if not movement.fundamental]
    assert apart == ["upright sequence", "fancy footwork", "long sequence", "break sequence with flips"]
    assert not any(movement.fundamental for movement in GENRES["none"].movements)


def genre_record(name="disco"):
    return json.loads((files("longdance") / "assets" / "catalogue" / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", GENRES)
def test_a_genre_file_reads_back_as_the_genre(name):
    assert read_genre(json.dumps(genre_record(name)), "again.json") == GENRES[name]


def lacking(record):
    del record["title"]


def surplus(record):
    record["movements"][0]["tempo"] = 120


def other_type(record):
    record["movements"][0]["counts"] = "8"


def no_bool(record):
    record["trained"] = 1


def repeated(record):
    record["movements"][0]["aliases"].append("Disco-Steps")


def stranger(record):
    record["labels"]["disco"] = ["polka"]


def no_movements(record):
    record["movements"] = None


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lacking, "title"),
        (surplus, r"movements\.0\.tempo"),
        (other_type, r"movements\.0\.counts"),
        (no_bool, "trained"),
        (repeated, "disco steps"),
        (stranger, "polka"),
        (no_movements, "not iterable"),
    ],
)
def test_a_file_that_breaks_the_schema_is_refused_by_name(damage, told):
    record = genre_record()
    damage(record)
    with pytest.raises(InputError, match=rf"disco\.json: expected.*{told}"):
        read_genre(json.dumps(record), "disco.json")


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"movements": [1], "name": "x"}', "[" * 100_000])
def test_a_file_that_is_no_genre_is_refused(text):
    with pytest.raises(InputError, match=r"disco\.json: expected a genre"):
        read_genre(text, "disco.json")


def test_every_label_of_the_open_data_maps_to_movements(shared_data):
    clips = Counter()
    for row in label_rows(shared_data):
        names = movements_of_label(row["genre"], row["movement"])
        assert names
        assert unknown_words(row["genre"], row["movement"]) == ()
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


def test_unknown_labels_are_kept_as_words():
    assert movements_of_label("breaking", "Fancy foot work, Moon hop") == ("fancy footwork", "moon hop")
    assert unknown_words("breaking", "Fancy foot work, Moon hop") == ("moon hop",)
    assert movements_of_label("polka", "Half step, , half step") == ("half step",)
    assert unknown_words("polka", "half step") == ("polka", "half step")
    assert unknown_words("none", "walk") == ()


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
        ("hip hop", "middle-hip-hop", False),
        ("Krumping", "krump", False),
        ("poping", "popping", True),
        ("waking", "waacking", True),
        ("jazz ballet", "ballet-jazz", False),
    ],
)
def test_genres_are_found_as_people_type_them(typed, genre, corrected):
    match = find_genre(typed)
    assert (match.genre.name, match.corrected) == (genre, corrected)


@pytest.mark.parametrize("typed", ["polka", "", "!?", "none", "tango"])
def test_an_unknown_genre_is_answered_with_the_nearest_names(typed):
    with pytest.raises(InputError, match=r"try '.*ballet-jazz, breaking, broadway, "):
        find_genre(typed)


def test_the_hidden_genre_is_found_on_request_only():
    assert find_genre("none", include_hidden=True).genre.hidden
    assert all(match.movement.genre != "none" for match in find_movements("karate chop"))


@pytest.mark.parametrize(
    ("typed", "movement", "corrected"),
    [
        ("Six Step", "six-step", False),
        ("jeté en tournant", "jete en tournant", False),
        ("quasi cou de pied", "quasi-cou-de-pied", False),
        ("moonwlak", "backslide", True),
        ("cross body leed", "cross-body lead", True),
    ],
)
def test_movements_are_found_as_people_type_them(typed, movement, corrected):
    (match,) = find_movements(typed)
    assert (match.movement.name, match.corrected) == (movement, corrected)


def test_a_movement_of_another_genre_is_still_found():
    (match,) = find_movements("headspin", GENRES["salsa"])
    assert match.movement.genre == "breaking"


@pytest.mark.parametrize(
    ("typed", "genre"),
    [
        ("pirouette", "modern"),  # of three genres, this one has clips
        ("windmill", "breaking"),  # an alias elsewhere
        ("knee drop", None),
        ("no such step", None),
    ],
)
def test_of_several_genres_the_one_that_a_name_says_best_is_preferred(typed, genre):
    match = preferred_movement(find_movements(typed), typed)
    assert (match and match.movement.genre) == genre


def test_an_unknown_movement_has_no_match_but_near_names():
    assert find_movements("moon hop") == ()
    assert nearest_movements("six big steps")[0] == "six-step"


NAMED = [
    (movement, normalise_name(name))
    for movement in MOVEMENTS
    for name in (movement.name, *movement.aliases)
    if len(normalise_name(name)) >= 6 and not GENRES[movement.genre].hidden
]


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(NAMED), st.integers(0, 10_000), st.sampled_from(LETTERS), st.sampled_from("idrs"))
def test_a_slip_of_the_keyboard_finds_the_movement_or_leaves_a_tie_open(named, place, letter, kind):
    """A letter put in, left out, replaced or swapped; only a name that is as near can stand in the way."""
    movement, name = named
    place %= len(name) - 1
    typed = {
        "i": name[:place] + letter + name[place:],
        "d": name[:place] + name[place + 1 :],
        "r": name[:place] + letter + name[place + 1 :],
        "s": name[:place] + name[place + 1] + name[place] + name[place + 2 :],
    }[kind]
    genre = GENRES[movement.genre]
    matches = find_movements(typed, genre)
    if any(not match.corrected for match in matches):  # became another name, or lost a word such as "step"
        return
    own = _likeness(typed, (movement.name, *movement.aliases))
    rival = _likeness(typed, [word for item in genre.movements if item is not movement for word in _names(item)])
    found = [match.movement for match in matches if match.movement.genre == genre.name]
    if own >= TYPO_SIMILARITY and own - rival >= TYPO_MARGIN:
        assert found == [movement]
    elif found != [movement]:
        assert not found or rival - own >= TYPO_MARGIN


def _names(movement):
    return (movement.name, *movement.aliases)


def _likeness(typed, names):
    """1 less the share of slips, by the plain recursion over what may have happened to the last letter."""

    def slips(left, right, known):
        key = (len(left), len(right))
        if not left or not right:
            return len(left) + len(right)
        if key not in known:
            ways = [
                slips(left[:-1], right, known) + 1,
                slips(left, right[:-1], known) + 1,
                slips(left[:-1], right[:-1], known) + (left[-1] != right[-1]),
            ]
            if left[-2:] == right[-2:][::-1] and len(left) > 1 and len(right) > 1:
                ways.append(slips(left[:-2], right[:-2], known) + 1)
            known[key] = min(ways)
        return known[key]

    near = [name for name in map(normalise_name, names) if abs(len(name) - len(typed)) <= 4]
    return max((1 - slips(typed, name, {}) / max(len(typed), len(name)) for name in near), default=0.0)


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
