"""What energies take from songs: where rests lie, that they cancel between beats, and songs without beats."""

from itertools import pairwise

import numpy as np
import pytest

from longdance.features.cues import CHANNELS, cues_of_song, rests
from longdance.features.song import Song

TIMES = (np.arange(600) + 0.5) / 60


def test_rests_are_on_beats_and_movement_between():
    beats = np.arange(0.3, 10, 0.5)
    rest = rests(beats, beats[:0], TIMES)
    phase = ((TIMES - 0.3) / 0.5) % 1
    assert rest[np.minimum(phase, 1 - phase) < 0.1].min() > 0.5
    assert rest[np.abs(phase - 0.28) < 0.05].max() < 0
    assert np.abs(rest[np.abs(phase - 0.5) < 0.02]).max() < 0.05  # eighth notes are left free


def test_rests_and_movement_cancel_over_each_beat():
    beats = np.cumsum(np.linspace(0.4, 0.9, 12))
    middle = (beats[1:] + beats[:-1]) / 2
    rest = rests(beats, beats[::4], TIMES)
    for begin, end in pairwise(middle):
        inside = (begin < TIMES) & (end > TIMES)
        assert abs(rest[inside].sum()) < 0.1 * np.abs(rest[inside]).sum()


def test_downbeats_rest_more():
    beats = np.arange(0.25, 10, 0.5)
    rest = rests(beats, beats[::4], TIMES)
    at = np.searchsorted(TIMES, beats)
    assert rest[at[4]] == pytest.approx(1.5 * rest[at[5]], rel=0.05)


def test_beats_go_on_beyond_both_ends():
    few = rests(np.array([4.0, 4.5, 5.0]), np.array([]), TIMES)
    many = rests(np.arange(0.0, 12.0, 0.5), np.array([]), TIMES)
    np.testing.assert_allclose(few, many, atol=1e-6)


def test_a_song_has_a_row_for_every_frame():
    rng = np.random.default_rng(0)
    sound = rng.normal(size=22050 * 4).astype(np.float32) * np.where(np.arange(22050 * 4) < 22050 * 2, 0.02, 0.2)
    beats = np.arange(0.2, 4, 0.5)
    song = Song.from_samples(sound.astype(np.float32), 22050, beat_times=beats, downbeat_times=beats[::4])
    cues = cues_of_song(song, 30.0)
    assert cues.shape == (120, len(CHANNELS))
    assert cues[:45, 1].mean() < cues[75:, 1].mean() - 1
    assert cues[6, 0] > 0.9  # the step from frame 6, at 0.2 s


def test_silence_asks_for_no_rest():
    cues = cues_of_song(Song.from_samples(np.zeros(22050, np.float32), 22050), 30.0)
    assert not cues.any()
