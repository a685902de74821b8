"""Sections of a song: where verse, chorus and break seem to change, and which of them sound alike.

What is found is where the sound changes for longer than a few bars. That often is where musicians would write a new
letter, but no part is recognised as what it is called.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from longdance.features import spectrum
from longdance.features.song import Song

_REACH = 32
"""Beats before and after a place that are compared: eight bars."""
_SHORTEST = 16
"""Beats between two changes."""
_THRESHOLD = 0.45
"""Share of the song's clearest change that a change must reach."""
_NOTICEABLE = 0.2
"""Novelty, of 4 at most, below which nothing is a change: beats that have nothing to do with each other make 0.1."""
_ALIKE = 0.6
"""Cosine of the sounds of two sections from which on they get the same letter."""


_TIMBRE_NOISE, _HARMONY_NOISE = 5.0, 0.1
"""Spread over the beats of a song, in the units of MFCC (decibel) and chroma, below which it stands for nothing."""


class Section(NamedTuple):
    """A part of a song, in seconds; parts with the same ``label`` (A, B, ...) sound alike."""

    begin: float
    end: float
    label: str


def find_sections(song: Song) -> tuple[Section, ...]:
    """The sections of a song, in order and without gaps; a single one where nothing changes or all is short.

    Timbre and harmony are averaged over each beat. At each beat the eight bars before are compared with the eight bars
    after by the Gaussian checkerboard on the matrix of similarities; where that peaks, the nearest downbeat is a
    boundary.

    Source: Foote, Automatic audio segmentation using a measure of audio novelty (2000), section 3. Differs: as his
    kernel is the outer product of a vector with itself, and similarity is a scalar product, the correlation along
    the diagonal is the squared length of a filtered feature, so that no matrix is needed.
    """
    beats = np.asarray(song.beat_times)
    beats = beats[(beats >= 0) & (beats < song.seconds)]
    if len(beats) < 2 * _SHORTEST:
        return (Section(0.0, song.seconds, "A"),)
    features = _beat_features(song, beats)
    changes = _peaks(novelty(features))
    marks = np.asarray(song.downbeat_times)
    times = sorted({float(_nearest(marks, beats[index])) for index in changes})
    edges = [0.0, *(time for time in times if 0 < time < song.seconds), song.seconds]
    cuts = np.searchsorted(beats, edges)
    means = [features[a:b].mean(axis=0) for a, b in pairwise(cuts)]
    labels = _letters(means)
    return tuple(Section(a, b, label) for (a, b), label in zip(pairwise(edges), labels, strict=True))


def novelty(features: np.ndarray) -> np.ndarray:
    """How much (beats, channels) of unit length change at each beat: 0 for not at all, 4 for into the opposite.

    Values near both ends are 0: a change can be told from what follows only if enough does.
    """
    offsets = np.arange(-_REACH, _REACH) + 0.5
    taper = np.exp(-0.5 * (offsets / (_REACH / 2)) ** 2)
    kernel = np.sign(offsets) * taper / (taper.sum() / 2)
    count = len(features)
    padded = np.pad(features, ((_REACH, _REACH), (0, 0)), mode="edge")
    filtered = np.stack([np.correlate(column, kernel, mode="valid")[:count] for column in padded.T], axis=1)
    found = (filtered**2).sum(axis=1)
    found[: _SHORTEST // 2], found[-(_SHORTEST // 2) :] = 0.0, 0.0
    return found


def _beat_features(song: Song, beats: np.ndarray) -> np.ndarray:
    """(beats, channels): timbre and harmony of each beat against the song's mean, together of unit length at most."""
    edges = np.append(beats, song.seconds)
    blocks = []
    for track, noise in ((song.spectra.mfcc, _TIMBRE_NOISE), (song.spectra.chroma, _HARMONY_NOISE)):
        cells = np.clip(np.round(edges * spectrum.TIMBRE_RATE).astype(int), 0, len(track))
        sums = np.concatenate([np.zeros((1, track.shape[1])), np.cumsum(track, axis=0, dtype=np.float64)])
        means = np.diff(sums[cells], axis=0) / np.maximum(np.diff(cells), 1)[:, None]
        means = (means - means.mean(axis=0)) / np.maximum(means.std(axis=0), noise)
        # What differs by no more than noise does is not blown up to a difference.
        length = np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 0.75 * np.sqrt(track.shape[1]))
        blocks.append(means / length / np.sqrt(2))
    return np.concatenate(blocks, axis=1)


def _peaks(curve: np.ndarray) -> list[int]:
    """Beats at which the curve is highest within ``_SHORTEST`` beats, clearest first while they keep that distance."""
    limit = max(_THRESHOLD * float(curve.max()), _NOTICEABLE)
    chosen: list[int] = []
    for index in np.argsort(-curve):
        if curve[index] < limit:
            break
        if all(abs(index - other) >= _SHORTEST for other in chosen):
            chosen.append(int(index))
    return chosen


def _letters(means: list[np.ndarray]) -> list[str]:
    """A letter per section; a section that sounds like an earlier one gets its letter."""
    known: list[np.ndarray] = []
    labels = []
    for mean in means:
        direction = mean / max(float(np.linalg.norm(mean)), 1e-9)
        likeness = [float(direction @ other) for other in known]
        if likeness and max(likeness) >= _ALIKE:
            number = int(np.argmax(likeness))
        else:
            number = len(known)
            known.append(direction)
        labels.append(chr(ord("A") + number) if number < 26 else f"A{number - 25}")
    return labels


def _nearest(marks: np.ndarray, time: float) -> float:
    return time if not len(marks) else marks[np.abs(marks - time).argmin()]
