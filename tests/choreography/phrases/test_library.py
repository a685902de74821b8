import numpy as np
import pytest

from longdance.choreography.phrases.cutting import cut
from longdance.choreography.phrases.library import PLACE_UNIT, TURN_UNIT, Library, TakeFacts
from longdance.choreography.phrases.shelf import open_library
from longdance.data.open import read_labels
from longdance.errors import InputError
from made_up_phrases import stepping


def test_what_was_recorded_comes_back_after_saving(tmp_path):
    motion = stepping(100.0, travel=0.5)  # goes further than 16 bits hold
    made = cut(motion, TakeFacts(clip="far", genre="salsa", movements=()))
    Library.of("far", [made], licence="mine").save(tmp_path / "far.npz")
    back = Library.load(tmp_path / "far.npz")
    again = back.motion(0)
    assert made.motion.root_position[:, 0].max() > 10
    assert np.abs(again.root_position - made.motion.root_position).max() <= PLACE_UNIT
    assert np.abs(again.rotations - made.motion.rotations).max() < 3 * TURN_UNIT
    assert back.licence == "mine"
    assert [phrase.name for phrase in back.phrases] == list(made.names)


def test_phrases_that_go_beyond_their_take_are_refused(library, tmp_path):
    short = Library(library.name, "", (library.takes[0],), library.phrases, library.turns[:720], library.places[:720])
    short.save(tmp_path / "short.npz")
    with pytest.raises(InputError, match=r"short\.npz: expected a library of phrases"):
        Library.load(tmp_path / "short.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"\x93NUMPY"])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "own.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"own\.npz: expected a library of phrases"):
        Library.load(tmp_path / "own.npz")


def test_a_mistyped_phrase_is_answered_with_its_nearest(library):
    with pytest.raises(InputError, match=library.phrases[0].name):
        library.phrase(library.phrases[0].name + "x")


def test_the_shipped_library_is_small_and_holds_training_takes_of_dance_alone(shared_data):
    shipped = open_library()
    split = {label.clip: label.split for label in read_labels(shared_data)}
    assert {split[take.clip] for take in shipped.takes} == {"train"}
    assert "none" not in shipped.genres
    assert shipped.turns.nbytes + shipped.places.nbytes < 20e6
    for credit in ("NSF EIA-0196217", "CC BY 4.0"):
        assert credit in shipped.licence
