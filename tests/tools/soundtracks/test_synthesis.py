"""Sounds: pitch, length, level, and the sum of sounds at the edges of a track."""

import numpy as np
import pytest
from tools.soundtracks.styles import BASSES, KEYS, LEADS, PADS

from tools.soundtracks import synthesis

RATE = 22050


@pytest.mark.parametrize("name", sorted(synthesis.DRUMS))
def test_drums_start_at_once_and_die_away(name):
    sound = synthesis.DRUMS[name](np.random.default_rng(1), RATE)
    assert np.abs(sound).max() == pytest.approx(1.0, abs=1e-3)
    assert np.abs(sound).argmax() < 0.05 * RATE
    assert np.abs(sound[-10:]).max() < 0.05


@pytest.mark.parametrize("pool", [BASSES, KEYS, PADS, LEADS], ids=["bass", "keys", "pads", "leads"])
def test_instruments_play_the_note_asked_for(pool):
    for timbre in pool.values():
        sound = synthesis.note(timbre, 57, 1.0, RATE)
        spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
        frequencies = np.arange(len(spectrum)) * RATE / len(sound)
        strongest = np.sort(frequencies[spectrum > 0.3 * spectrum.max()])
        # Every strong partial is a multiple of half the pitch (growl has a subharmonic modulator).
        ratio = strongest / 110.0
        if timbre.modulation_ratio in (0.5, 1.0):
            assert np.abs(ratio - np.round(ratio)).max() < 0.06
        assert np.abs(strongest - 220.0).min() < 4.0
        assert len(sound) == round((1.0 + timbre.release) * RATE)
        assert np.abs(sound).max() < 2.0


def test_a_sound_is_cut_at_both_ends_of_the_track():
    track = np.zeros(10, dtype=np.float32)
    sound = np.arange(1, 5, dtype=np.float32)
    synthesis.add_at(track, -2, sound, 1.0)
    synthesis.add_at(track, 8, sound, 2.0)
    synthesis.add_at(track, 30, sound, 1.0)
    synthesis.add_at(track, -30, sound, 1.0)
    np.testing.assert_array_equal(track, [3, 4, 0, 0, 0, 0, 0, 0, 2, 4])


def test_moving_low_pass_lets_through_what_lies_below_it():
    times = np.arange(RATE) / RATE
    high = np.sin(2 * np.pi * 3000 * times).astype(np.float32)
    swept = synthesis.sweep_low_pass(high, RATE, np.array([300.0, 300.0, 9000.0, 9000.0]))
    assert np.abs(swept[1000 : RATE // 4]).max() < 0.05
    assert np.abs(swept[-2000:]).max() > 0.8


def test_reverberation_comes_after_the_sound_and_is_repeatable():
    click = np.zeros(RATE, dtype=np.float32)
    click[1000] = 1.0
    wet = synthesis.reverberate(click, RATE, seconds=0.5, seed=4)
    assert np.abs(wet[:1100]).max() < 1e-6
    assert np.square(wet[1100:4000]).sum() > 50 * np.square(wet[12000:]).sum()
    np.testing.assert_array_equal(wet, synthesis.reverberate(click, RATE, seconds=0.5, seed=4))


def test_limiting_keeps_small_and_bounds_large():
    sound = np.linspace(-5, 5, 1001, dtype=np.float32)
    limited = synthesis.soft_limit(sound)
    assert np.abs(limited).max() <= 0.95
    assert (np.diff(limited) >= 0).all()
    np.testing.assert_allclose(limited[np.abs(sound) < 0.1], sound[np.abs(sound) < 0.1], rtol=0.01, atol=1e-6)
