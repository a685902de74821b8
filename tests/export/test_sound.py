"""The song of a dance, found again."""

from dataclasses import replace

import numpy as np
import pytest

from conftest import swaying
from longdance.export.formats import export
from longdance.export.sound import find_song
from longdance.features.audio import write_audio
from longdance.files import checksum
from longdance.motion.motion import Motion


@pytest.fixture
def song(tmp_path):
    path = tmp_path / "music" / "song.wav"
    path.parent.mkdir()
    write_audio(path, 0.1 * np.sin(np.arange(48000) / 20), 48000)
    return path


def dance_to(song, **changed) -> Motion:
    meta = {"song": song.name, "song_path": str(song), "song_sha256": checksum(song), "start": 0.0} | changed
    return replace(swaying(15, 30.0), meta=meta)


def unnamed(song, **changed) -> Motion:
    dance = dance_to(song, **changed)
    return replace(dance, meta=dance.meta | {"song": None})


def test_a_song_is_found_beside_the_dance_and_then_where_it_was(song, tmp_path):
    assert find_song(dance_to(song), [tmp_path]) == song
    beside = tmp_path / "song.wav"
    beside.write_bytes(song.read_bytes())
    assert find_song(dance_to(song), [tmp_path]) == beside
    song.unlink()
    assert find_song(replace(swaying(3, 30.0), meta={"song": "song.wav"}), [tmp_path]) == beside


def test_another_file_of_the_song_s_name_is_not_it(song, tmp_path):
    other, notes = tmp_path / "song.wav", []
    other.write_bytes(b"RIFF")
    assert find_song(dance_to(song), [tmp_path], notes) == song
    assert notes == []
    assert find_song(dance_to(song, song_path="/nowhere/song.wav"), [tmp_path], notes) is None
    assert str(other) in notes[0]


def test_records_by_another_hand_open_nothing_but_the_song(song, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    for path in (str(secret), str(tmp_path), "/dev/zero", 7, None, "a\0b.wav", "/dev/stdin.wav"):
        assert find_song(unnamed(song, song_path=path), []) is None
    assert find_song(unnamed(song, song_sha256=None), []) is None


def test_python_exports_have_the_song_that_the_dance_remembers(song, tmp_path):
    dance_to(song).save(tmp_path / "dance.html")
    assert 'id="song"' in (tmp_path / "dance.html").read_text()
    export(dance_to(song, song_path="/nowhere.wav"), tmp_path / "silent.html")
    assert 'id="song"' not in (tmp_path / "silent.html").read_text()
