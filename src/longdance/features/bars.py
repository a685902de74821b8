"""Bars: how many beats they have, and which beats begin them.

Beats are found in `decoding`; here they are only counted.
"""

from typing import NamedTuple

import numpy as np

from longdance.features import spectrum
from longdance.features.beatnet import ACTIVATION_RATE
from longdance.features.tracking import best_path

METERS = (3, 4)
_WEIGHTS = {"downbeat": 1.0, "change": 2.0, "low": 0.5, "back": 0.5}
"""Harmony changes on downbeats more reliably than anything else; the bass drum also plays between them, and the snare
tells the second and fourth beat from the others, not the first from the third."""
_CHANGE_COST = 16.0
"""Of a bar that is too long or too short, against accents of at most 4 spreads: several bars must speak for it."""
_MARGIN = 0.3
"""By which the repetition after three, summed over as many accents, must be clearer; most music counts four."""
_SETTLED = 100.0
"""Accent of a beat that is known to begin a bar."""


class Accents(NamedTuple):
    """What tells downbeats from other beats, each (beats,), in spreads from the mean, within 2."""

    downbeat: np.ndarray
    """The network's activation."""
    change: np.ndarray
    """Change of harmony."""
    low: np.ndarray
    """Onsets of bass drum and bass."""
    back: np.ndarray
    """Onsets of snare and hats over those below."""


def accents(spectra: spectrum.Spectra, activations: np.ndarray | None, beats: np.ndarray) -> Accents:
    """Measure the accents of ``beats`` (beats,), seconds; ``activations`` (frames, 3) of BeatNet may be missing."""

    def highest(curve: np.ndarray, rate: float) -> np.ndarray:
        near = np.round(beats * rate)[:, None].astype(int) + np.arange(-3, 4)
        return curve[np.clip(near, 0, len(curve) - 1)].max(axis=1)

    low = _standard(highest(spectra.onset_low, spectrum.ONSET_RATE))
    high = _standard(highest(spectra.onset_high, spectrum.ONSET_RATE))
    downbeat = np.zeros(len(beats))
    if activations is not None and len(activations):
        downbeat = _standard(highest(activations[:, 1], ACTIVATION_RATE))
    return Accents(downbeat, _standard(harmonic_change(spectra.chroma, beats)), low, high - low)


def choose_meter(accents: Accents) -> int:
    """3 or 4 beats a bar: the number after which the accents repeat better; 4 where nothing speaks for 3."""
    profiles = np.stack([accents.downbeat, accents.change, accents.low])
    three, four = (sum(repetition(profile, meter) for profile in profiles) for meter in METERS)
    return 3 if three > max(four, 0.0) + _MARGIN else 4


def choose_downbeats(accents: Accents, meter: int, known: tuple[np.ndarray, np.ndarray] | None = None) -> np.ndarray:
    """Indices of the beats that begin a bar of ``meter`` beats.

    Bars follow each other without gaps; now and then one may be longer or shorter, if enough speaks for it. ``known``
    are indices of beats, and whether each begins a bar. Source: Viterbi over the position in the bar.
    """
    count = len(accents.downbeat)
    if not count:
        return np.zeros(0, dtype=int)
    roles = np.zeros((count, meter))
    weights = _WEIGHTS
    roles[:, 0] = weights["downbeat"] * accents.downbeat + weights["change"] * accents.change
    roles[:, 0] += weights["low"] * accents.low - weights["back"] * accents.back
    roles[:, 1::2 if meter == 4 else 1] = weights["back"] * accents.back[:, None]
    if known is not None and len(known[0]):
        roles[known[0], 0] = np.where(known[1], _SETTLED, -_SETTLED)
    follows = np.full((meter, meter), _CHANGE_COST)
    follows[np.arange(meter), (np.arange(meter) + 1) % meter] = 0.0
    return np.flatnonzero(best_path(roles, follows) == 0)


def harmonic_change(chroma: np.ndarray, beats: np.ndarray) -> np.ndarray:
    """One minus the cosine between the mean chroma of the two beats before and after each beat: (beats,)."""
    span = 2 * float(np.median(np.diff(beats))) if len(beats) > 1 else 1.0
    sums = np.concatenate([np.zeros((1, chroma.shape[1])), np.cumsum(chroma, axis=0, dtype=np.float64)])

    def total(begin: np.ndarray, end: np.ndarray) -> np.ndarray:
        cells = np.clip(np.round(np.stack([begin, end]) * spectrum.TIMBRE_RATE).astype(int), 0, len(chroma))
        return sums[cells[1]] - sums[cells[0]]

    before, after = total(beats - span, beats), total(beats, beats + span)
    scale = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    product = (before * after).sum(axis=1)
    return 1.0 - np.divide(product, scale, out=np.ones(len(product)), where=scale > 0)


def repetition(values: np.ndarray, period: int) -> float:
    """Share of the variance of (beats,) that the position in the period explains, less what chance would."""
    count = len(values)
    if count <= 2 * period:
        return 0.0
    position = np.arange(count) % period
    members = np.bincount(position, minlength=period)
    means = np.bincount(position, weights=values, minlength=period) / members
    total = float((values**2).sum())
    explained = float((members * means**2).sum())
    return 1.0 - (1.0 - explained / total) * (count - 1) / (count - period) if total > 0 else 0.0


def _standard(values: np.ndarray) -> np.ndarray:
    spread = values.std() if len(values) else 0.0
    return np.clip((values - values.mean()) / spread, -2.0, 2.0) if spread > 1e-9 else np.zeros(len(values))
