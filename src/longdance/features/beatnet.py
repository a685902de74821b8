"""BeatNet: how likely each moment of a song is a beat, a downbeat, or neither.

Here belong the network of Heydari, Cwitkowitz and Duan, "BeatNet: CRNN and Particle Filtering for Online Joint Beat
Downbeat and Meter Tracking" (ISMIR 2021), the spectra it looks at, and the loading of its weights. It looks back only,
so that a song may come in pieces. What beats follow from its activations is decided in `decoding` and `pulse`.
"""

from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import scipy.fft
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from longdance.features.audio import ANALYSIS_SAMPLE_RATE

HOP = 441
"""Samples from one frame to the next."""
ACTIVATION_RATE = ANALYSIS_SAMPLE_RATE / HOP
"""Hertz: 50 frames a second."""
BANDS = 136
"""Filters from 30 to 17,000 Hz, 24 an octave, those of one and the same Fourier bin counted once."""
CREDIT = (
    "BeatNet by Mojtaba Heydari, Frank Cwitkowitz and Zhiyao Duan, ISMIR 2021, CC BY 4.0, converted to half precision"
)
WEIGHTS = Path(__file__).parents[1] / "assets" / "beatnet.safetensors"

_WINDOW = 1411
_BINS = _WINDOW // 2  # without the highest
_BANDS_PER_OCTAVE = 24
_LOWEST, _HIGHEST, _REFERENCE = 30.0, 17000.0, 440.0
_CHUNK_FRAMES = 2048  # spectra made at once


class BeatNet(nn.Module):
    """The network: (frames, 272) spectra to (frames, 3) probabilities of beat, downbeat, neither.

    A downbeat counts as a downbeat only, not as a beat. Names of the layers are those of the published weights.
    """

    def __init__(self, width: int = 150):
        super().__init__()
        self.conv1 = nn.Conv1d(1, 2, 10)
        self.linear0 = nn.Linear(2 * ((2 * BANDS - 10 + 1) // 2), width)
        self.lstm = nn.LSTM(width, width, num_layers=2, batch_first=True)
        self.linear = nn.Linear(width, 3)

    def forward(self, spectra: Tensor, state: tuple[Tensor, Tensor] | None = None):
        """Probabilities (frames, 3), and the state with which the following frames go on."""
        local = nn.functional.max_pool1d(torch.relu(self.conv1(spectra[:, None])), 2)
        heard, state = self.lstm(self.linear0(local.flatten(1))[None], state)
        return self.linear(heard[0]).softmax(-1), state


@lru_cache(maxsize=1)
def shipped() -> BeatNet:
    """The network with the shipped weights, in single precision."""
    network = BeatNet().eval().requires_grad_(False)
    network.load_state_dict({name: tensor.float() for name, tensor in load_file(WEIGHTS).items()})
    return network


class Activations:
    """Hears a song piece by piece; frame i of all that is returned describes the time i / ACTIVATION_RATE."""

    def __init__(self, network: BeatNet | None = None):
        self._network = network or shipped()
        self._samples = np.zeros(_WINDOW // 2, np.float32)  # from the beginning of the next frame's window on
        self._total = 0
        self._frames = 0
        self._previous: np.ndarray | None = None
        self._state = None

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """(frames, 3) float32 probabilities of the frames whose windows are complete with these mono samples."""
        self._total += len(samples)
        self._samples = np.concatenate([self._samples, np.asarray(samples, np.float32)])
        return self._hear((len(self._samples) - _WINDOW) // HOP + 1)

    def rest(self) -> np.ndarray:
        """(frames, 3) of what is left at the end of the song, which is taken to be followed by silence."""
        frames = -(-self._total // HOP) - self._frames
        missing = max(0, (frames - 1) * HOP + _WINDOW - len(self._samples))
        self._samples = np.pad(self._samples, (0, missing))
        return self._hear(frames)

    def _hear(self, frames: int) -> np.ndarray:
        parts = [np.zeros((0, 3), np.float32)]
        while frames > 0:
            count = min(frames, _CHUNK_FRAMES)
            bands = log_bands(self._samples[: (count - 1) * HOP + _WINDOW])
            self._samples = self._samples[count * HOP :]
            before = bands[:1] if self._previous is None else self._previous
            rise = np.maximum(bands - np.concatenate([before, bands[:-1]]), 0.0)
            self._previous = bands[-1:]
            with torch.inference_mode():
                spectra = torch.from_numpy(np.concatenate([bands, rise], axis=1))
                probabilities, self._state = self._network(spectra, self._state)
            parts.append(probabilities.numpy())
            frames -= count
            self._frames += count
        return np.concatenate(parts)


def log_bands(samples: np.ndarray) -> np.ndarray:
    """(frames, 136) float32: log10(1 + x) of the magnitude in each band, of every whole window from the first sample.

    The middle of frame i is sample 705 + 441 i.
    """
    frames = np.lib.stride_tricks.sliding_window_view(np.asarray(samples, np.float32), _WINDOW)[::HOP]
    spectra = scipy.fft.rfft(frames * np.hanning(_WINDOW).astype(np.float32), axis=1)
    return np.log10(1 + np.abs(spectra[:, :_BINS]) @ filters())


@cache
def filters() -> np.ndarray:
    """(705, 136) float32: triangles of unit sum between neighbouring bins nearest to the quarter tones.

    Source: the filter bank of madmom (Boeck et al. 2016), whose bins lie at multiples of the sample rate over 1410,
    one less than the window: the network was trained with that.
    """
    steps = np.arange(
        np.ceil(np.log2(_LOWEST / _REFERENCE) * _BANDS_PER_OCTAVE),
        np.floor(np.log2(_HIGHEST / _REFERENCE) * _BANDS_PER_OCTAVE) + 1,
    )
    tones = _REFERENCE * 2.0 ** (steps / _BANDS_PER_OCTAVE)
    bins = np.arange(_BINS) * ANALYSIS_SAMPLE_RATE / (2 * _BINS)
    nearest = np.unique(np.abs(tones[:, None] - bins).argmin(axis=1))
    matrix = np.zeros((_BINS, len(nearest) - 2), np.float32)
    for band, (low, centre, high) in enumerate(zip(nearest, nearest[1:], nearest[2:], strict=False)):
        corner = ([low, centre, high], [0.0, 1.0, 0.0]) if high - low > 1 else ([low], [1.0])
        matrix[low:high, band] = np.interp(np.arange(low, high), *corner)
        matrix[:, band] /= matrix[:, band].sum()
    return matrix
