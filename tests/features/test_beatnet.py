"""The network's spectra against another implementation, its pieces against the whole, and what it hears of a pulse."""

import hashlib
import itertools

import numpy as np
import pytest
import torch

from longdance.features import beatnet

RATE = 22050


def clicks(bpm: float, seconds: float) -> np.ndarray:
    """A kick on every beat from the first sample on."""
    times = np.arange(4000) / RATE
    kick = np.sin(2 * np.pi * (60 * times + 3 * (1 - np.exp(-times / 0.02)))) * np.exp(-times / 0.08)
    samples = np.zeros(round(seconds * RATE) + 4000)
    for beat in np.arange(0.0, seconds, 60 / bpm):
        samples[round(beat * RATE) :][:4000] += kick
    return (0.4 * samples[: round(seconds * RATE)]).astype(np.float32)


def test_bands_equal_madmoms(rng):
    pytest.importorskip("madmom_infer", reason="another implementation of madmom's spectra")
    from madmom_infer.audio.signal import FramedSignal, Signal
    from madmom_infer.audio.spectrogram import (
        FilteredSpectrogramProcessor,
        LogarithmicSpectrogramProcessor,
        SpectrogramDifferenceProcessor,
    )
    from madmom_infer.audio.stft import ShortTimeFourierTransformProcessor

    samples = (0.3 * rng.standard_normal(3 * RATE + 123)).astype(np.float32)
    frames = FramedSignal(Signal(samples, sample_rate=RATE, num_channels=1), frame_size=1411, hop_size=441)
    expected = ShortTimeFourierTransformProcessor()(frames)
    expected = FilteredSpectrogramProcessor(num_bands=24, fmin=30, fmax=17000, norm_filters=True)(expected)
    expected = LogarithmicSpectrogramProcessor(mul=1, add=1)(expected)
    difference = SpectrogramDifferenceProcessor(diff_ratio=0.5, positive_diffs=True, stack_diffs=np.hstack)
    expected = np.asarray(difference(expected))
    bands = beatnet.log_bands(np.pad(samples, (705, 1411)))[: len(expected)]
    np.testing.assert_allclose(bands, expected[:, :136], atol=1e-6)
    rise = np.maximum(np.diff(bands, axis=0, prepend=bands[:1]), 0)
    np.testing.assert_allclose(rise, expected[:, 136:], atol=1e-6)


def test_a_tone_is_in_the_band_of_its_pitch():
    tone = np.sin(2 * np.pi * 1000.0 * np.arange(RATE) / RATE).astype(np.float32)
    strongest = beatnet.log_bands(tone).mean(axis=0).argmax()
    centre = (beatnet.filters()[:, strongest] * np.arange(705)).sum() * RATE / 1410
    assert centre == pytest.approx(1000.0, rel=0.03)
    np.testing.assert_allclose(beatnet.filters().sum(axis=0), 1.0, atol=1e-5)


def test_pieces_equal_the_whole(rng):
    samples = (0.2 * rng.standard_normal(4 * RATE + 7)).astype(np.float32)
    hear = beatnet.Activations()
    whole = np.concatenate([hear(samples), hear.rest()])
    assert whole.shape == (-(-len(samples) // 441), 3)
    hear = beatnet.Activations()
    edges = [0, 3, 500, 30000, 30001, len(samples)]
    parts = [hear(samples[a:b]) for a, b in itertools.pairwise(edges)]
    np.testing.assert_allclose(np.concatenate([*parts, hear.rest()]), whole, atol=1e-5)


def test_what_comes_later_changes_nothing_before(rng):
    spectra = torch.from_numpy(rng.random((40, 272)).astype(np.float32)).requires_grad_()
    network = beatnet.BeatNet().eval()
    out, _ = network(spectra)
    out[20, 0].backward()
    assert spectra.grad is not None
    assert (spectra.grad[21:] == 0).all()
    assert (spectra.grad[:21] != 0).any()


def test_a_pulse_is_heard_when_it_sounds():
    hear = beatnet.Activations()
    samples = clicks(120.0, 12.0)
    heard = 1 - np.concatenate([hear(samples), hear.rest()])[:, 2]
    times = np.arange(len(heard)) / beatnet.ACTIVATION_RATE
    beats = np.arange(4.0, 11.5, 0.5)
    at = [heard[np.abs(times - beat) < 0.045].max() for beat in beats]
    between = [heard[np.abs(times - beat - 0.25) < 0.045].max() for beat in beats]
    assert min(at) > 0.5
    assert max(between) < 0.2


def test_probabilities_add_up_and_nothing_is_heard_in_silence():
    hear = beatnet.Activations()
    heard = np.concatenate([hear(np.zeros(2 * RATE, np.float32)), hear.rest()])
    np.testing.assert_allclose(heard.sum(axis=1), 1.0, atol=1e-5)
    assert heard[10:, :2].max() < 0.1
    assert beatnet.Activations().rest().shape == (0, 3)


def test_the_shipped_weights_are_the_published_ones_in_half_precision():
    """The sum is that of model_1_weights.pt of BeatNet 1.1.3, halved, tensor by tensor in the order of their names."""
    tensors = dict(sorted(beatnet.shipped().state_dict().items()))
    digest = hashlib.sha256(b"".join(tensor.half().numpy().tobytes() for tensor in tensors.values())).hexdigest()
    assert digest == "3b770c9e9c15a9824dceee650f8a573f0093be63deba76561bbb2303c965abe5"
    assert beatnet.WEIGHTS.stat().st_size < 1e6
