"""FineDance's files as published: what is read, what is refused, which dances belong to which split."""

import json

import numpy as np
import pytest
from tests.conftest import swaying
from tests.official_formats import finedance_rows, write_finedance

from longdance.data import finedance
from longdance.data.catalogue import load_catalogue
from longdance.errors import InputError
from longdance.motion.skeleton import SMPL22


def test_a_dance_comes_back_as_it_was_danced_with_straight_hands(tmp_path):
    dance = swaying(90, 30.0)
    np.save(tmp_path / "001.npy", finedance_rows(dance))
    found = finedance.read_motion(tmp_path / "001.npy")
    assert found.fps == 30.0
    body = len(SMPL22)
    np.testing.assert_allclose(found.rotations[:, :body], dance.rotations[:, :body], atol=1e-5)
    np.testing.assert_array_equal(found.rotations[:, body:], np.broadcast_to(np.eye(3), (90, 2, 3, 3)))
    moved = dance.root_position - dance.root_position[0] * [1, 0, 1]
    np.testing.assert_allclose(found.root_position, moved, atol=0.01)


def test_rows_with_contacts_in_front_are_the_same_dance(tmp_path):
    rows = finedance_rows(swaying(30, 30.0))
    np.save(tmp_path / "a.npy", rows)
    np.save(tmp_path / "b.npy", np.concatenate((np.ones((30, 4), np.float32), rows), axis=1))
    a, b = finedance.read_motion(tmp_path / "a.npy"), finedance.read_motion(tmp_path / "b.npy")
    np.testing.assert_array_equal(a.rotations, b.rotations)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda a: a[:, :-1], r"\(frames, 315\)"),
        (lambda a: a[0], r"\(frames, 315\)"),
        (lambda a: a[:0], r"\(frames, 315\)"),
        (lambda a: np.where(np.arange(len(a))[:, None] == 5, np.nan, a), "first in frame 5"),
        (lambda a: np.where(np.arange(315) >= 3, 0.0, a), "row of zeros in frame 0"),
        (lambda a: a * np.where(np.arange(315) < 3, 10_000, 1), "path in metres"),
        (lambda a: a.astype(object), "npy file"),
    ],
)
def test_what_cannot_be_used_is_named_with_file_and_remedy(tmp_path, change, told):
    path = tmp_path / "009.npy"
    np.save(path, change(finedance_rows(swaying(30, 30.0))))
    with pytest.raises(InputError, match=told) as error:
        finedance.read_motion(path)
    assert str(path) in str(error.value)
    assert "; try " in str(error.value)


def test_a_file_that_is_no_array_is_named(tmp_path):
    (tmp_path / "001.npy").write_text("hello")
    with pytest.raises(InputError, match=r"001\.npy"):
        finedance.read_motion(tmp_path / "001.npy")


def test_splits_are_the_published_ones():
    ids = [f"{number:03}" for number in range(1, 212)]
    genre = [finedance.split_of(name, "genre") for name in ids]
    assert (genre.count("test"), genre.count("val"), genre.count(None)) == (19, 0, 9)
    assert finedance.split_of("120", "genre") is None
    dancer = [finedance.split_of(name, "dancer") for name in ids]
    assert dancer.count("test") == 18
    assert finedance.split_of("115", "dancer") == "val"
    assert finedance.split_of("001", "dancer") == "test"
    with pytest.raises(InputError, match="split rule"):
        finedance.list_clips(".", rule="both")


def test_a_folder_is_listed_and_what_is_missing_or_extra_is_named(tmp_path):
    folder = write_finedance(
        tmp_path / "fine",
        {name: ("Breaking", 1.5) for name in ("001", "002", "003", "004", "012", "116")},
    )
    (folder / "motion" / "notes.txt").touch()
    (folder / "music_wav" / "002.wav").unlink()
    (folder / "label_json" / "003.json").unlink()
    listing = finedance.list_clips(folder)
    assert {clip.clip: (clip.split, clip.start) for clip in listing.clips} == {
        "001": ("train", 0.0),
        "004": ("train", 8.0),
        "012": ("test", 0.0),
    }
    assert {clip.genre for clip in listing.clips} == {"breaking"}
    assert set(listing.failed) == {"notes", "002", "003"}
    assert "002.wav" in listing.failed["002"]
    assert "003.json" in listing.failed["003"]
    assert listing.notes == ["1 dances with faulty movement were left out, as in Lodge"]
    (folder / "label_json" / "001.json").write_text(json.dumps({"style2": "Polka"}))
    assert "Polka" in finedance.list_clips(folder).failed["001"]
    (folder / "label_json" / "001.json").write_text("[]")
    assert "style2" in finedance.list_clips(folder).failed["001"]
    with pytest.raises(InputError, match="motion"):
        finedance.list_clips(folder / "motion")


def test_every_style_is_a_catalogue_genre():
    assert set(finedance.GENRES.values()) <= set(load_catalogue())
    for style in ("Breaking", "breaking", "HanTang", "ShenYun", "DunHuang", "Hiphop", "Tai"):
        assert finedance.catalogue_genre(style) in load_catalogue()
