"""Spectra against librosa, against tones whose pitch is known, and against themselves in other blocks."""

import librosa
import numpy as np
import pytest

from longdance.features import spectrum

RATE = 22050


@pytest.mark.parametrize(("window", "bands"), [(2048, 128), (1024, 40)])
def test_mel_filters_equal_librosa(window, bands):
    expected = librosa.filters.mel(sr=RATE, n_fft=window, n_mels=bands)
    np.testing.assert_allclose(spectrum.mel_filters(window, bands), expected, atol=1e-6)


def test_mfcc_equal_librosa(rng):
    samples = rng.standard_normal(3 * RATE).astype(np.float32) * 0.1
    expected = librosa.feature.mfcc(y=samples, sr=RATE, n_mfcc=20, hop_length=512).T
    measured = spectrum.measure_spectra([samples]).mfcc
    assert measured.shape == expected.shape
    np.testing.assert_allclose(measured, expected, atol=0.02)


def test_onset_strength_rises_where_librosa_says(rng):
    samples = 0.001 * rng.standard_normal(4 * RATE).astype(np.float32)
    for start in (0.7, 1.3, 2.9):
        samples[round(start * RATE) :][:2000] += (
            0.5 * rng.standard_normal(2000) * np.exp(-np.arange(2000) / 400)
        )
    onset = spectrum.measure_spectra([samples]).onset
    measured = np.sort(np.argsort(onset)[::-1][:12]) / spectrum.ONSET_RATE
    for start in (0.7, 1.3, 2.9):
        assert np.abs(measured - start).min() < 0.012
    expected = librosa.onset.onset_detect(y=samples, sr=RATE, units="time")
    assert all(np.abs(measured - time).min() < 0.06 for time in expected)


@pytest.mark.parametrize(("midi", "pitch_class"), [(57, 9), (60, 0), (64, 4), (70, 10)])
def test_chroma_names_the_pitch_of_a_tone(midi, pitch_class):
    frequency = 440.0 * 2 ** ((midi - 69) / 12)
    samples = 0.3 * np.sin(2 * np.pi * frequency * np.arange(RATE) / RATE).astype(np.float32)
    chroma = spectrum.measure_spectra([samples]).chroma
    assert (chroma[5:-5].argmax(axis=1) == pitch_class).all()
    smooth = spectrum.smooth_chroma(chroma, spectrum.TIMBRE_RATE)
    assert (smooth.argmax(axis=1) == pitch_class).all()
    np.testing.assert_allclose(np.linalg.norm(smooth, axis=1), 1.0, atol=1e-5)


def test_result_does_not_depend_on_the_blocks(rng):
    samples = rng.standard_normal(40 * RATE).astype(np.float32)
    whole = spectrum.measure_spectra([samples])
    pieces = spectrum.measure_spectra(np.split(samples, [1, 500, 70000, 600001]))
    for name in ("onset", "onset_low", "onset_high", "mfcc", "chroma"):
        np.testing.assert_allclose(getattr(pieces, name), getattr(whole, name), atol=1e-4)


@pytest.mark.parametrize("count", [1, 100, 511, 512, 5000])
def test_shortest_songs_have_a_frame_for_every_hop(count):
    measured = spectrum.measure_spectra([np.zeros(count, np.float32)])
    frames = 1 + count // spectrum.TIMBRE_HOP
    assert measured.mfcc.shape == (frames, 20)
    assert measured.chroma.shape == (frames, 12)
    assert measured.onset.shape == (2 * frames,)
    assert not measured.onset.any()
    assert not measured.chroma.any()
