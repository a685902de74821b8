"""How loud a song is, moment by moment, as broadcasters measure it.

Source: ITU-R BS.1770-5 (2023), K-weighting, for one channel; EBU Tech 3341, momentary loudness.
"""

import numpy as np
from scipy.signal import sosfilt

from longdance.features.audio import ANALYSIS_SAMPLE_RATE

LOUDNESS_RATE = 10.0
"""Hertz."""
SILENCE = -70.0
"""Decibel (LUFS) below which nothing is told apart."""
_OFFSET = -0.691
_WINDOW = 4  # cells: 0.4 s


def k_weighting(rate: float) -> np.ndarray:
    """(2, 6) second-order sections at a sample rate: a high shelf for the head, and a high-pass.

    The standard gives coefficients at 48,000 Hz; these are its analogue filters, transformed for the rate at hand.
    """
    shelf = np.tan(np.pi * 1681.974450955533 / rate)
    gain, quality = 10 ** (3.999843853973347 / 20), 0.7071752369554196
    middle = gain**0.4996667741545416
    scale = 1 + shelf / quality + shelf**2
    head = [
        (gain + middle * shelf / quality + shelf**2) / scale,
        2 * (shelf**2 - gain) / scale,
        (gain - middle * shelf / quality + shelf**2) / scale,
        1.0,
        2 * (shelf**2 - 1) / scale,
        (1 - shelf / quality + shelf**2) / scale,
    ]
    low, quality = np.tan(np.pi * 38.13547087602444 / rate), 0.5003270373238773
    scale = 1 + low / quality + low**2
    high = [1.0, -2.0, 1.0, 1.0, 2 * (low**2 - 1) / scale, (1 - low / quality + low**2) / scale]
    return np.array([head, high])


class Loudness:
    """Measures a song piece by piece: K-weighted power of every tenth of a second."""

    def __init__(self):
        self._filter = k_weighting(ANALYSIS_SAMPLE_RATE)
        self._state = np.zeros((2, 2))
        self._rest = np.zeros(0)
        self._powers: list[np.ndarray] = []

    def __call__(self, samples: np.ndarray) -> None:
        """Hear more of the song, mono (samples,) at the analysis rate."""
        heard, self._state = sosfilt(self._filter, np.asarray(samples, np.float64), zi=self._state)
        cell = round(ANALYSIS_SAMPLE_RATE / LOUDNESS_RATE)
        heard = np.concatenate([self._rest, heard])
        whole = len(heard) // cell * cell
        self._powers.append(np.square(heard[:whole].reshape(-1, cell)).mean(axis=1))
        self._rest = heard[whole:]

    def powers(self) -> np.ndarray:
        """(cells,) mean squares; the last cell may be shorter."""
        last = [np.square(self._rest).mean(keepdims=True)] if len(self._rest) else []
        return np.concatenate([np.zeros(0), *self._powers, *last])


def momentary(powers: np.ndarray) -> np.ndarray:
    """(cells,) decibel (LUFS): loudness of the 0.4 s around each tenth of a second; fewer at both ends."""
    sums = np.concatenate([[0.0], np.cumsum(powers)])
    begin = np.clip(np.arange(len(powers)) - _WINDOW // 2 + 1, 0, None)
    end = np.clip(np.arange(len(powers)) + _WINDOW // 2 + 1, None, len(powers))
    return decibel((sums[end] - sums[begin]) / (end - begin))


def over(powers: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """(spans,) decibel: loudness between neighbouring ``edges`` (spans + 1,), in seconds."""
    sums = np.concatenate([[0.0], np.cumsum(powers)])
    places = np.clip(np.asarray(edges) * LOUDNESS_RATE, 0, len(powers))
    totals = np.diff(np.interp(places, np.arange(len(sums)), sums))
    return decibel(totals / np.maximum(np.diff(places), 1e-9))


def decibel(powers: np.ndarray) -> np.ndarray:
    """Loudness of K-weighted powers, at least ``SILENCE``."""
    return np.maximum(_OFFSET + 10 * np.log10(np.maximum(powers, 1e-12)), SILENCE).astype(np.float32)
