"""Loudness of signals for which the standard says what it is, and of pieces against the whole."""

import numpy as np
import pytest
from scipy.signal import sosfreqz

from longdance.features import loudness
from longdance.features.song import Song

RATE = 22050


def tone(decibel: float, seconds: float, frequency: float = 997.0) -> np.ndarray:
    return 10 ** (decibel / 20) * np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)


def test_the_filter_is_the_standards_at_its_own_rate():
    head, high = loudness.k_weighting(48000)
    expected = [1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585]
    np.testing.assert_allclose(head, expected, atol=1e-8)
    np.testing.assert_allclose(high, [1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621], atol=1e-8)


def test_the_filter_hears_the_same_at_the_rate_of_analysis():
    frequencies = np.array([30.0, 100.0, 1000.0, 4000.0])
    ours = np.abs(sosfreqz(loudness.k_weighting(RATE), frequencies, fs=RATE)[1])
    theirs = np.abs(sosfreqz(loudness.k_weighting(48000), frequencies, fs=48000)[1])
    np.testing.assert_allclose(20 * np.log10(ours / theirs), 0.0, atol=0.15)


@pytest.mark.parametrize("level", [0.0, -18.0, -33.0])
def test_a_tone_has_the_loudness_of_the_standard(level):
    """A full-scale sine of 997 Hz in one channel has -3.01 LUFS."""
    song = Song.from_samples(tone(level, 3.0), RATE, beat_times=np.array([0.0, 1.0]))
    np.testing.assert_allclose(song.loudness[5:-5], level - 3.01, atol=0.1)


def test_loudness_follows_the_music_in_time_and_over_bars():
    samples = np.concatenate([tone(-40.0, 4.0), tone(-20.0, 4.0), np.zeros(2 * RATE)])
    beats = np.arange(0.0, 10.0, 0.5)
    song = Song.from_samples(samples, RATE, beat_times=beats, downbeat_times=beats[::4])
    times = np.arange(len(song.loudness)) / loudness.LOUDNESS_RATE
    assert len(song.loudness) == 100
    assert np.abs(times[np.argmax(np.diff(song.loudness))] - 4.0) < 0.31
    np.testing.assert_allclose(song.bar_loudness, [-43, -43, -23, -23, -70], atol=0.3)


def test_pieces_equal_the_whole(rng):
    samples = rng.standard_normal(RATE)
    whole, parts = loudness.Loudness(), loudness.Loudness()
    whole(samples)
    for part in np.split(samples, [1, 500, 9000]):
        parts(part)
    np.testing.assert_allclose(parts.powers(), whole.powers(), atol=1e-12)
    assert len(loudness.Loudness().powers()) == 0


def test_onset_density_counts_onsets():
    samples = np.zeros(12 * RATE)
    for time in (*np.arange(0.5, 6.0, 0.5), *np.arange(6.0, 11.5, 0.125)):
        samples[round(time * RATE) :][:400] = np.sin(np.arange(400)) * np.exp(-np.arange(400) / 80)
    song = Song.from_samples(samples, RATE, beat_times=np.arange(0.5, 11.5, 0.5))
    density = song.onset_density
    assert density[20:40].mean() == pytest.approx(2.0, abs=0.4)
    assert density[75:95].mean() == pytest.approx(8.0, abs=1.5)
