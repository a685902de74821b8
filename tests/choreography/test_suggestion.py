"""Suggested genres: near in tempo and energy, and only said."""

import numpy as np
import pytest

from click_track import RATE, click_track
from longdance.choreography.suggestion import suggest_genre, table
from longdance.features.song import Song


@pytest.fixture(scope="module")
def song() -> Song:
    samples = click_track(np.arange(0.3, 15, 60 / 87), seconds=15.0, seed=1)
    return Song.from_samples(samples, RATE)


def test_the_table_names_what_it_was_measured_from():
    for feel in table().values():
        low, high = feel["tempo_bpm"]
        assert 40 < low < high < 220
        assert feel["seconds"] >= 60
        assert feel["energy"] > 0


def test_a_genre_of_the_songs_tempo_is_suggested_with_the_reason(song):
    found = suggest_genre(song)
    low, high = table()[found.genre]["tempo_bpm"]
    assert any(0.9 * low < song.tempo_bpm * factor < 1.1 * high for factor in (0.5, 1, 2))
    assert f"{song.tempo_bpm:.0f} BPM" in found.why


def test_only_genres_of_the_model_are_suggested(song):
    assert suggest_genre(song, ["breaking"]).genre == "breaking"
    assert suggest_genre(song, ["unheard of"]) is None


def test_a_song_without_a_beat_suggests_nothing():
    assert suggest_genre(Song.from_samples(np.zeros(5 * RATE), RATE)) is None
