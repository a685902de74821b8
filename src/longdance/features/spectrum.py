"""Short-time spectra of a song, reduced block by block to onset strength, MFCC and chroma.

Here belongs what is measured frame by frame at the fixed analysis rate. Beats are found in `tracking`;
`song` maps everything to motion frames. The result does not depend on how the samples are cut into blocks.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import scipy.fft
import scipy.signal

from longdance.features.audio import ANALYSIS_SAMPLE_RATE

ONSET_HOP = 256
"""Samples from one onset frame to the next, 11.6 ms at the analysis rate."""
TIMBRE_HOP = 2 * ONSET_HOP
"""Samples from one MFCC or chroma frame to the next, 23.2 ms at the analysis rate."""
ONSET_RATE = ANALYSIS_SAMPLE_RATE / ONSET_HOP
TIMBRE_RATE = ANALYSIS_SAMPLE_RATE / TIMBRE_HOP
MFCC_COUNT = 20

_ONSET_WINDOW = 1024
_MFCC_WINDOW = 2048
_CHROMA_WINDOW = 4096
_ONSET_BANDS = 64
MFCC_BANDS = 128
_ONSET_LAG = (
    2  # frames; as long as half the onset window, so that compared windows share only half their samples
)
_ONSET_COMPRESSION = 30.0
_LOW_BANDS_BELOW = 180.0  # hertz: kick drum and bass
_HIGH_BANDS_ABOVE = 1500.0  # hertz: snare, clap and hats
_POWER_FLOOR = 1e-6
_CONTEXT = _CHROMA_WINDOW // 2  # samples needed on either side of a frame's centre
_CHUNK_FRAMES = 1024  # timbre frames transformed at once, 24 s: about 30 MB of spectra


@dataclass(frozen=True)
class Spectra:
    """What is measured of a song's spectrum. Frame i of an array describes the time i / rate, in seconds."""

    onset: np.ndarray
    """(onset_frames,) float32 at ONSET_RATE: spectral flux over all bands, at least 0."""
    onset_low: np.ndarray
    """(onset_frames,) float32: the flux below 180 Hz."""
    onset_high: np.ndarray
    """(onset_frames,) float32: the flux above 1500 Hz."""
    mfcc: np.ndarray
    """(timbre_frames, 20) float32 at TIMBRE_RATE: the cosine transform of 128 mel bands in decibel."""
    chroma: np.ndarray
    """(timbre_frames, 12) float32: energy of the pitch classes C to B, the greatest of each frame 1."""


def measure_spectra(blocks: Iterable[np.ndarray], gain: float = 1.0) -> Spectra:
    """Measure a song given as consecutive mono blocks at the analysis rate, each multiplied by `gain`.

    The blocks may have any length; memory beyond the result is bounded by the longest of them. Silence
    gives zero onset and zero chroma.

    Source: onset strength is the spectral flux with a maximum filter over frequency of Boeck and Widmer,
    "Maximum filter vibrato suppression for onset detection" (DAFx 2013), on mel bands with logarithmic
    compression.
    """
    onset_parts, mfcc_parts, chroma_parts = [], [], []
    previous = None
    for chunk in _chunks(blocks):
        chunk = chunk * np.float32(gain)
        onset_bands = _onset_bands(chunk)
        if previous is None:
            previous = np.repeat(onset_bands[:1], _ONSET_LAG, axis=0)
        extended = np.concatenate([previous, onset_bands])
        onset_parts.append(_flux(extended))
        previous = extended[-_ONSET_LAG:]
        mfcc_parts.append(_mfcc(chunk))
        chroma_parts.append(_chroma(chunk))
    flux = np.concatenate(onset_parts)
    return Spectra(
        onset=flux[:, 0],
        onset_low=flux[:, 1],
        onset_high=flux[:, 2],
        mfcc=np.concatenate(mfcc_parts),
        chroma=np.concatenate(chroma_parts),
    )


def smooth_chroma(chroma: np.ndarray, rate: float) -> np.ndarray:
    """Turn chroma into CENS: energy shares, quantised in four logarithmic steps, smoothed over 1.37 s, unit
    norm.

    `chroma` and the result are `(frames, 12)`. The window is the 41 frames at 30 per second that Lodge's
    features have. Frames without energy stay zero.

    Source: Mueller and Ewert, "Chroma Toolbox" (ISMIR 2011), section 2.3.
    Differs: pitch energy comes from a short-time Fourier transform, which is many times faster than a
    filter bank.
    """
    total = chroma.sum(axis=1, keepdims=True)
    share = np.divide(chroma, total, out=np.zeros_like(chroma), where=total > 0)
    steps = np.zeros_like(chroma)
    for threshold in (0.05, 0.1, 0.2, 0.4):
        steps += 0.25 * (share > threshold)
    length = 2 * (round(41 / 30 * rate) // 2) + 1
    window = np.hanning(length + 2)[1:-1].astype(np.float32)
    smoothed = scipy.signal.fftconvolve(steps, window[:, None] / window.sum(), mode="full", axes=0)
    smoothed = np.maximum(smoothed[length // 2 : length // 2 + len(chroma)], 0.0)
    norm = np.linalg.norm(smoothed, axis=1, keepdims=True)
    return np.divide(smoothed, norm, out=np.zeros_like(smoothed), where=norm > 1e-4).astype(np.float32)


@cache
def mel_filters(window: int, bands: int) -> np.ndarray:
    """Triangular filters of unit area on the mel scale from 0 Hz to half the sample rate: `(bands, bins)`
    float32.

    Source: Slaney, "Auditory Toolbox" (1998): linear below 1 kHz, logarithmic above.
    """
    step, knee, log_step = 200.0 / 3.0, 1000.0, np.log(6.4) / 27.0
    nyquist = ANALYSIS_SAMPLE_RATE / 2
    top = knee / step + np.log(nyquist / knee) / log_step
    mels = np.linspace(0.0, top, bands + 2)
    edges = np.where(
        mels < knee / step, mels * step, knee * np.exp(log_step * np.maximum(mels - knee / step, 0.0))
    )
    bins = np.arange(window // 2 + 1) * ANALYSIS_SAMPLE_RATE / window
    lower, centre, upper = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (bins - lower) / (centre - lower)
    falling = (upper - bins) / (upper - centre)
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return (triangles * 2.0 / (upper - lower)).astype(np.float32)


@cache
def chroma_filters(window: int) -> np.ndarray:
    """Weights that gather the bins of a spectrum into pitch classes C to B: `(12, bins)` float32.

    Each bin is spread over the pitch classes near it, wider where a bin covers more than a semitone, and
    bins far from middle C count less. Tuning is A = 440 Hz.
    """
    frequencies = np.arange(1, window // 2 + 1) * ANALYSIS_SAMPLE_RATE / window
    pitch = 12.0 * np.log2(frequencies / 440.0) + 9.0  # semitones, 0 is the C below A = 440 Hz
    width = np.maximum(1.0, np.diff(pitch, append=pitch[-1]))
    distance = (pitch[None] - np.arange(12)[:, None] + 6.0) % 12.0 - 6.0
    weights = np.exp(-0.5 * (2.0 * distance / width) ** 2)
    weights /= np.linalg.norm(weights, axis=0, keepdims=True)
    weights *= np.exp(-0.5 * ((pitch / 12.0) / 2.0) ** 2)
    weights[:, frequencies < 55.0] = 0.0  # below, a bin is wider than the gap between pitch classes
    return np.concatenate([np.zeros((12, 1)), weights], axis=1).astype(np.float32)


def _chunks(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Regroup blocks so that each chunk holds whole timbre frames with their context on both sides.

    The song is padded with silence. A song of n samples has 1 + n // TIMBRE_HOP timbre frames.
    """
    buffer = np.zeros(_CONTEXT, dtype=np.float32)
    total = 0
    done = 0
    for block in blocks:
        total += len(block)
        buffer = np.concatenate([buffer, np.asarray(block, dtype=np.float32)])
        while len(buffer) >= _chunk_length(_CHUNK_FRAMES):
            yield buffer[: _chunk_length(_CHUNK_FRAMES)]
            buffer = buffer[_CHUNK_FRAMES * TIMBRE_HOP :]
            done += _CHUNK_FRAMES
    frames = 1 + total // TIMBRE_HOP - done
    if frames > 0:
        padding = max(0, _chunk_length(frames) - len(buffer))
        yield np.concatenate([buffer, np.zeros(padding, dtype=np.float32)])[: _chunk_length(frames)]


def _chunk_length(frames: int) -> int:
    return (frames - 1) * TIMBRE_HOP + 2 * _CONTEXT


def _power(chunk: np.ndarray, window: int, hop: int) -> np.ndarray:
    """Power spectra (frames, bins) of the frames centred every `hop` samples from the chunk's context on."""
    count = ((len(chunk) - 2 * _CONTEXT) // TIMBRE_HOP + 1) * (TIMBRE_HOP // hop)
    begin = _CONTEXT - window // 2
    frames = np.lib.stride_tricks.sliding_window_view(chunk[begin:], window)[::hop][:count]
    spectra = np.asarray(scipy.fft.rfft(frames * _hann(window), axis=1))
    return np.real(spectra) ** 2 + np.imag(spectra) ** 2


@cache
def _hann(window: int) -> np.ndarray:
    return np.hanning(window + 1)[:-1].astype(np.float32)


def _onset_bands(chunk: np.ndarray) -> np.ndarray:
    magnitude = np.sqrt(_power(chunk, _ONSET_WINDOW, ONSET_HOP))
    bands = magnitude @ _onset_filters().T
    return np.log1p(_ONSET_COMPRESSION * bands)


@cache
def _onset_filters() -> np.ndarray:
    return mel_filters(_ONSET_WINDOW, _ONSET_BANDS)


def _flux(bands: np.ndarray) -> np.ndarray:
    """(lag + frames, bands) -> (frames, 3): mean rise of all, low and high bands against `lag` frames
    before.
    """
    before = bands[:-_ONSET_LAG]
    neighbours = np.pad(before, ((0, 0), (1, 1)), mode="edge")
    before = np.maximum(np.maximum(neighbours[:, :-2], neighbours[:, 2:]), before)
    rise = np.maximum(bands[_ONSET_LAG:] - before, 0.0)
    centres = _onset_filters() @ (np.arange(_ONSET_WINDOW // 2 + 1) * ANALYSIS_SAMPLE_RATE / _ONSET_WINDOW)
    centres /= np.maximum(_onset_filters().sum(axis=1), 1e-12)
    low, high = centres < _LOW_BANDS_BELOW, centres > _HIGH_BANDS_ABOVE
    return np.stack([rise.mean(axis=1), rise[:, low].mean(axis=1), rise[:, high].mean(axis=1)], axis=1)


def _mfcc(chunk: np.ndarray) -> np.ndarray:
    bands = _power(chunk, _MFCC_WINDOW, TIMBRE_HOP) @ mel_filters(_MFCC_WINDOW, MFCC_BANDS).T
    decibel = 10.0 * np.log10(np.maximum(bands, _POWER_FLOOR))
    cepstrum = np.asarray(scipy.fft.dct(decibel, type=2, norm="ortho", axis=1))
    return cepstrum[:, :MFCC_COUNT].astype(np.float32)


def _chroma(chunk: np.ndarray) -> np.ndarray:
    classes = _power(chunk, _CHROMA_WINDOW, TIMBRE_HOP) @ chroma_filters(_CHROMA_WINDOW).T
    greatest = classes.max(axis=1, keepdims=True)
    return np.divide(classes, greatest, out=np.zeros_like(classes), where=greatest > _POWER_FLOOR)
