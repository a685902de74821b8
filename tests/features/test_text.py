"""Prompts resolve without an encoder, and say how words were understood."""

import subprocess
import sys

import numpy as np
import pytest

from longdance.data.catalogue import load_catalogue
from longdance.errors import InputError
from longdance.features.text import resolve_prompt
from longdance.features.text_table import ShippedEmbeddings
from sample_encoders import STRANGE, CountingEncoder


def test_genre_then_movements_then_free_text_become_tokens():
    encoder = CountingEncoder()
    prompt = resolve_prompt("break dance", ["footwork", "six-step"], text=STRANGE, encoder=encoder)
    breaking = load_catalogue()["breaking"]
    assert prompt.genre == "breaking"
    assert prompt.movements == ("fancy footwork", "six-step")
    assert prompt.texts == (
        breaking.text,
        breaking.movement("fancy footwork").text,
        breaking.movement("six-step").text,
        STRANGE,
    )
    assert prompt.embeddings.shape == (4, 384)
    assert prompt.embeddings.dtype == np.float32
    assert encoder.asked == [STRANGE]
    np.testing.assert_array_equal(prompt.embeddings[0], ShippedEmbeddings.load().find(breaking.text))
    assert any("six-step" in note for note in prompt.notes)


@pytest.mark.usefixtures("no_encoder")
def test_catalogue_words_need_no_encoder():
    prompt = resolve_prompt("slasa", "cross-body lead")
    assert prompt.genre == "salsa"
    assert prompt.movements == ("cross-body lead",)
    assert prompt.embeddings.shape == (2, 384)
    assert "'slasa' was read as 'salsa'" in prompt.notes[0]
    named = resolve_prompt(text="Six Step")
    assert named.texts == (load_catalogue()["breaking"].movement("six-step").text,)
    assert resolve_prompt(text="Ballet").texts == (load_catalogue()["modern"].text,)


@pytest.mark.usefixtures("no_encoder")
def test_nothing_asked_for_is_the_null_condition():
    prompt = resolve_prompt()
    assert (prompt.genre, prompt.movements, prompt.texts, prompt.notes) == (None, (), (), ())
    assert prompt.embeddings.shape == (0, 384)
    assert resolve_prompt(" ", ["", "  "], text=" \n").texts == ()


@pytest.mark.usefixtures("no_encoder")
def test_a_movement_alone_brings_its_genre():
    prompt = resolve_prompt(movements=["shifted axis piruette", "glissade devant"])
    assert prompt.genre == "modern"
    assert prompt.texts[0] == load_catalogue()["modern"].text
    assert len(prompt.notes) == 3
    mixed = resolve_prompt(movements=["pirouette", "step touch"])
    assert mixed.genre is None
    assert len(mixed.texts) == 2


@pytest.mark.usefixtures("no_encoder")
def test_the_same_movement_twice_is_one_token():
    assert len(resolve_prompt("modern", ["pirouette", "pirouettes"]).texts) == 2


@pytest.mark.usefixtures("no_encoder")
def test_a_movement_of_another_genre_is_taken_with_a_note():
    prompt = resolve_prompt("salsa", ["pirouette"])
    assert prompt.genre == "salsa"
    assert prompt.notes == ("movement 'pirouette' comes from genre 'modern'",)


def test_an_unknown_movement_goes_to_the_encoder_with_a_note():
    encoder = CountingEncoder()
    prompt = resolve_prompt("breaking", ["moon hop"], encoder=encoder)
    assert prompt.movements == ("moon hop",)
    assert encoder.asked == ["moon hop"]
    assert "not in the catalogue" in prompt.notes[0]


@pytest.mark.usefixtures("no_encoder")
def test_an_unknown_movement_without_an_encoder_is_an_input_error():
    with pytest.raises(InputError, match=r"'moon hop'.*similar names: '"):
        resolve_prompt("breaking", ["moon hop"])


@pytest.mark.usefixtures("no_encoder")
def test_a_name_of_several_genres_is_that_of_the_genre_given():
    for genre in ("modern", "ballet-jazz"):
        prompt = resolve_prompt(genre, ["pirouette"])
        assert prompt.texts[1] == load_catalogue()[genre].movement("pirouette").text
    assert not any("comes from" in note for note in prompt.notes)


@pytest.mark.usefixtures("no_encoder")
def test_a_name_of_several_genres_without_a_genre_is_the_one_training_shows_and_a_note():
    prompt = resolve_prompt(movements=["pirouette"])
    assert prompt.genre == "modern"
    assert any("ballet-jazz" in note for note in prompt.notes)


@pytest.mark.parametrize("typed", ["knee drop", "kneee drop", "pas de bourree"])
@pytest.mark.usefixtures("no_encoder")
def test_a_name_of_several_genres_that_none_comes_first_for_is_an_input_error(typed):
    with pytest.raises(InputError, match=r"expected a genre that has movement.*try genre '"):
        resolve_prompt(movements=[typed])
    assert resolve_prompt("house", ["pas de bourree"]).movements == ("pas de bourree",)


@pytest.mark.usefixtures("no_encoder")
def test_what_training_does_not_show_is_said():
    (note,) = resolve_prompt("popping", ["fresno", "tutting"]).notes
    assert "no training dance shows genre 'popping'" in note
    (note,) = resolve_prompt("breaking", ["windmill"]).notes
    assert "no training dance shows 'windmill'" in note
    assert resolve_prompt("salsa", ["salsa basic"]).notes == ()


def test_a_prompt_knows_whether_training_shows_all_of_it():
    encoder = CountingEncoder()
    for words, shown in (
        (("salsa", ["salsa basic"], None), True),
        ((None, [], None), True),
        ((None, [], "pirouette"), True),
        (("modern", ["pirouette"], None), True),
        (("ballet-jazz", ["pirouette"], None), False),
        (("breaking", ["six-step"], None), False),
        (("salsa", [], STRANGE), False),
    ):
        assert resolve_prompt(words[0], words[1], text=words[2], encoder=encoder).shown_in_training == shown


@pytest.mark.usefixtures("no_encoder")
def test_embeddings_of_another_width_than_the_networks_are_an_input_error():
    with pytest.raises(InputError, match=r"512 numbers, got 384 from encoder 'all-MiniLM-L6-v2'"):
        resolve_prompt("salsa", width=512)
    assert resolve_prompt("salsa", width=384).embeddings.shape == (1, 384)
    assert resolve_prompt(width=512).embeddings.shape == (0, 512)


@pytest.mark.usefixtures("no_encoder")
def test_text_that_is_no_unicode_reaches_the_encoder_as_text():
    encoder = CountingEncoder()
    resolve_prompt(text="jump \udcff high", encoder=encoder)
    assert encoder.asked == ["jump ? high"]


def test_an_unknown_genre_is_an_input_error():
    with pytest.raises(InputError, match="dance genre, got 'polka'"):
        resolve_prompt("polka", encoder=CountingEncoder())
    with pytest.raises(InputError, match="got 'none'"):
        resolve_prompt("none")
    assert resolve_prompt("none", include_hidden=True).genre == "none"


def test_very_long_free_text_is_taken_with_a_note():
    prompt = resolve_prompt(text="slow waves of the arms " * 60, encoder=CountingEncoder())
    assert "first 180 words" in prompt.notes[0]


def test_resolving_catalogue_words_imports_no_heavy_library():
    code = (
        "import sys; from longdance.features.text import resolve_prompt; "
        "resolve_prompt('salsa', ['salsa basic'], text='pirouette'); "
        "print([name for name in ('transformers', 'tokenizers', 'torch', 'huggingface_hub') "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
