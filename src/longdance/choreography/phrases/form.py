"""The form of a song as a planner sees it: bars with their sections, how loud and how busy each is, and breaks."""

from itertools import pairwise
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from longdance.features import loudness
from longdance.features.rhythm_plan import standardised
from longdance.features.sections import find_sections
from longdance.features.song import Song
from longdance.features.spectrum import ONSET_RATE

BREAK_DECIBEL = 14.0
"""How much softer than the song's median a bar is in which nobody dances."""
LEAST_DECIBEL = 2.0
"""Scale of a song's loudness at least."""
LOUD_SHARE = 0.7
"""How much of a bar's energy is its loudness; the rest is how busy it is."""


class Bar(NamedTuple):
    """A bar of the song. Beats are counted from 0, the first of ``Song.beat_times``."""

    beat: int
    beats: int
    section: int
    letter: str
    energy: float
    """Standardised within the song."""
    profile: np.ndarray
    """(2 * beats,) onset strength by half beats."""
    silent: bool
    """Whether it is a break."""
    time: float
    """Second at which it begins."""


@runtime_checkable
class Beats(Protocol):
    """The beats of a song, or of as much of it as was heard."""

    @property
    def beat_times(self) -> np.ndarray:
        """(beats,) seconds."""
        ...

    @property
    def tempo_bpm(self) -> float:
        """With which beats go on beyond the last one."""
        ...


def beat_time(song: Beats, beat: ArrayLike) -> np.ndarray:
    """Seconds of fractional beats; before the first and after the last one the tempo goes on."""
    beats, period = np.asarray(song.beat_times), 60.0 / song.tempo_bpm
    number = np.asarray(beat, dtype=np.float64)
    if not len(beats):
        return np.asarray(number * period)
    last = len(beats) - 1
    inside = np.interp(number, np.arange(len(beats)), beats)
    inside = np.where(number < 0, beats[0] + number * period, inside)
    return np.asarray(np.where(number > last, beats[-1] + (number - last) * period, inside))


def bars_of(song: Song) -> list[Bar]:
    """The bars from the first downbeat to the song's end; the last one may be cut short. None without two beats."""
    beats = np.asarray(song.beat_times)
    beats = beats[beats < song.seconds]
    if len(beats) < 2:
        return []
    downbeats = np.asarray(song.downbeat_times)
    downbeats = downbeats if len(downbeats) else beats[:: song.meter]
    ones = np.unique(np.abs(beats[:, None] - downbeats[None]).argmin(0))
    # Bars before the first downbeat that was heard, as far as there are whole ones.
    ones = np.concatenate((np.arange(ones[0] % song.meter, ones[0], song.meter), ones))
    sums = np.concatenate(([0.0], np.cumsum(song.spectra.onset)))
    edges = np.append(ones, len(beats))
    times = beat_time(song, edges)
    level = loudness.over(song.powers, np.minimum(times, song.seconds))
    halves = [beat_time(song, np.arange(2 * (b - a) + 1) / 2 + a) for a, b in pairwise(edges)]
    profiles = [_between(sums, each) for each in halves]
    busy = np.log(np.array([profile.mean() for profile in profiles]) + 1e-3)
    energy = LOUD_SHARE * standardised(level, least=LEAST_DECIBEL)
    energy = energy + (1 - LOUD_SHARE) * standardised(busy, least=0.15)
    sections = find_sections(song)
    begins = np.array([section.begin for section in sections])
    middle = (times[:-1] + np.minimum(times[1:], times[:-1] + 60.0 / song.tempo_bpm)) / 2
    own = np.clip(np.searchsorted(begins, middle, side="right") - 1, 0, len(sections) - 1)
    quiet = level < np.median(level) - BREAK_DECIBEL
    return [
        Bar(int(beat), int(count), int(section), sections[section].label, float(power), profile, bool(still), float(at))
        for beat, count, section, power, profile, still, at in zip(
            edges[:-1], np.diff(edges), own, energy, profiles, quiet, times, strict=False
        )
    ]


def _between(sums: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Mean onset strength between neighbouring times."""
    at = np.clip(times * ONSET_RATE, 0, len(sums) - 1)
    return np.diff(np.interp(at, np.arange(len(sums)), sums)) / np.maximum(np.diff(at), 1e-9)
