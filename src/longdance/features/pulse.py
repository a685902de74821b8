"""The beats and bars of a song: found, corrected by somebody who knows better, or carried on from what was heard.

The tracker proper is in `decoding`, the counting in `bars`.
"""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from longdance.errors import InputError
from longdance.features import bars, decoding, spectrum
from longdance.features.beatnet import ACTIVATION_RATE

FALLBACK_BPM = 120.0
METERS = bars.METERS
TAPPED = 0.04
"""Share of a tempo by which people are off who tap along for some beats."""
_BPM_RANGE = (20.0, 400.0)
_FURTHEST_BEAT = 1e6  # seconds; counting beats from further away overflows
_FLOORS = (0.02, 0.02)  # probability and onset strength below which nothing is told apart
_ONSET_SHARE = 0.5  # the network hears what is a beat, the onset when it is
_KNOWN_GAIN = 10.0  # louder than anything
_SURE = 0.1  # mean probability of a beat at the beats, below which they are guessed
_ALTERNATIVES = 3
_FEWEST_TO_SHIFT = 16  # beats: four bars
_FASTEST_WALTZ = 185.0  # BPM; Viennese waltzes go up to 180


@dataclass(frozen=True)
class SongCorrections:
    """What somebody who knows the song says about its beats; None is left to the tracker."""

    bpm: float | Literal["half", "double"] | None = None
    """A steady tempo, whose phase is searched; or the tracker's beats at half or twice its tempo."""
    beat_offset: float | None = None
    """Seconds in the file: a beat lies there, and begins a bar."""
    meter: int | None = None
    """Beats in a bar, 3 or 4."""
    beats: tuple[float, ...] | None = field(default=None, repr=False)
    """Seconds in the file: the beats themselves."""
    downbeats: tuple[float, ...] | None = field(default=None, repr=False)
    """Those of ``beats`` that begin a bar."""

    def __post_init__(self):
        """``InputError`` for what no song has."""
        bpm = self.bpm
        if isinstance(bpm, str):
            if bpm not in ("half", "double"):
                raise InputError(f"expected a tempo in BPM, half or double, got {bpm!r}; try 120")
        elif bpm is not None and not _BPM_RANGE[0] <= bpm <= _BPM_RANGE[1]:
            raise InputError(f"expected a tempo from {_BPM_RANGE[0]:g} to {_BPM_RANGE[1]:g} BPM, got {bpm}; try 120")
        if self.beat_offset is not None and not abs(self.beat_offset) < _FURTHEST_BEAT:
            raise InputError(f"expected a finite beat offset in seconds, got {self.beat_offset}; try 0")
        if self.meter is not None and self.meter not in METERS:
            raise InputError(f"expected 3 or 4 beats in a bar, got {self.meter}; try 4")
        if self.beats is None and self.downbeats is not None:
            raise InputError("expected beats together with downbeats, got downbeats alone; try giving both")
        if self.beats is not None and self.bpm is not None:
            raise InputError("expected either beats or a tempo, got both; try leaving out the tempo")
        for name in ("beats", "downbeats"):
            times = np.asarray(getattr(self, name) or (0.0,), dtype=np.float64)
            if times.ndim != 1 or not (np.abs(times) < _FURTHEST_BEAT).all() or (np.diff(times) <= 0).any():
                raise InputError(f"expected {name} as increasing seconds, got others; try sorting them")

    @classmethod
    def from_file(cls, path: str | os.PathLike, **others) -> "SongCorrections":
        """With the beats of a text file: seconds, one a line, perhaps followed by the beat's number in its bar.

        Lines may begin with #. ``InputError`` names the file and the line that is at fault.
        """
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: expected a text file of beats, could not read it; try another path") from error
        return cls.from_text(text, str(path), **others)

    @classmethod
    def from_text(cls, text: str, name: str, **others) -> "SongCorrections":
        """What ``from_file`` reads, as text; ``name`` is for messages."""
        beats, firsts = [], []
        for number, line in enumerate(text.splitlines(), start=1):
            words = line.replace(",", " ").split()
            if not words or words[0].startswith("#"):
                continue
            try:
                time = float(words[0])
            except ValueError:
                time = np.nan
            if not abs(time) < _FURTHEST_BEAT or (beats and time <= beats[-1]):
                raise InputError(
                    f"{name}, line {number}: expected seconds, later than those before, got {line.strip()[:40]!r}"
                )
            beats.append(time)
            if len(words) > 1 and words[1] == "1":
                firsts.append(time)
        if len(beats) < 2:
            raise InputError(f"{name}: expected at least two beats, seconds, one a line, got {len(beats)}")
        return cls(beats=tuple(beats), downbeats=tuple(firsts) or None, **others)

    def since(self, start: float) -> "SongCorrections":
        """With times counted from ``start`` seconds on."""

        def moved(times: tuple[float, ...] | None) -> tuple[float, ...] | None:
            return None if times is None else tuple(time - start for time in times)

        offset = None if self.beat_offset is None else self.beat_offset - start
        return replace(self, beat_offset=offset, beats=moved(self.beats), downbeats=moved(self.downbeats))


class Alternative(NamedTuple):
    """Another tempo at which the beats might be counted."""

    tempo_bpm: float
    fit: float
    """How well it fits, against 1 for the one that was chosen."""


@dataclass(frozen=True)
class KnownBeats:
    """Settled before more of the song was heard: beats (beats,) and downbeats (downbeats,), increasing seconds."""

    beats: np.ndarray
    downbeats: np.ndarray
    meter: int


@dataclass(frozen=True, eq=False)
class Pulse:
    """Beats and bars, in seconds."""

    beats: np.ndarray
    downbeats: np.ndarray
    meter: int
    tempo_bpm: float
    kind: Literal["even", "drifting", "guessed"]
    confidence: float
    alternatives: tuple[Alternative, ...] = ()


class Heard(NamedTuple):
    """All that was measured of a song that can tell where its beats are."""

    spectra: spectrum.Spectra
    activations: np.ndarray | None
    """(frames, 3) of BeatNet, None where the beats were known beforehand."""
    seconds: float


def find_pulse(heard: Heard, corrections: SongCorrections, known: KnownBeats | None = None) -> Pulse:
    """Beats and bars as they are heard and corrected; times of the ``corrections`` count from the beginning."""
    offset = corrections.beat_offset
    if corrections.beats is not None:
        pulse = _given(heard, np.array(corrections.beats, dtype=np.float64))
    elif isinstance(corrections.bpm, int | float):
        pulse = _at_tempo(heard, float(corrections.bpm), offset)
    else:
        pulse = _tracked(heard, corrections.bpm, known)
        if offset is not None:
            pulse = replace(pulse, beats=_through(pulse, offset, heard.seconds))
    return _with_bars(heard, pulse, corrections, known)


def _evidence(heard: Heard, known: KnownBeats | None) -> decoding.Evidence | None:
    """What speaks for beats in every frame; None where nothing is heard."""
    spectra, rate = heard.spectra, decoding.RATE
    loud = float(np.percentile(spectra.onset, 98)) if len(spectra.onset) else 0.0
    audible = np.flatnonzero(spectra.onset > max(0.1 * loud, 1e-4))
    frames = int(heard.seconds * rate)
    if frames < rate or not loud > 1e-3 or not len(audible) or heard.activations is None:
        return None

    def at_rate(curve: np.ndarray, its_rate: float) -> np.ndarray:
        return np.interp(np.arange(frames) / rate, np.arange(len(curve)) / its_rate, curve)

    beat = at_rate(1.0 - heard.activations[:, 2], ACTIVATION_RATE)
    onset = at_rate(spectra.onset, spectrum.ONSET_RATE)
    low = gaussian_filter1d(at_rate(spectra.onset_low, spectrum.ONSET_RATE), 0.015 * rate)
    gain = decoding.likelihood(beat, _FLOORS[0]) + _ONSET_SHARE * decoding.likelihood(onset, _FLOORS[1])
    downbeat = at_rate(heard.activations[:, 1], ACTIVATION_RATE)
    accent = sum(
        maximum_filter1d(curve, 5) / max(float(curve.std()), 1e-9) for curve in (beat, downbeat, low, onset)
    )
    if known is not None and len(known.beats):
        settled = np.round(known.beats * rate).astype(int)
        gain[settled[(settled >= 0) & (settled < frames)]] += _KNOWN_GAIN
    edges = audible[[0, -1]] / spectrum.ONSET_RATE * rate + np.array([-0.1, 0.1]) * rate
    return decoding.Evidence(gain, accent, (max(0, int(edges[0])), min(frames, int(edges[1]) + 1)))


def _tracked(heard: Heard, wanted: str | None, known: KnownBeats | None) -> Pulse:
    evidence = _evidence(heard, known)
    found = [] if evidence is None else [part for part in decoding.stretches(evidence) if len(part.beats) > 1]
    if evidence is None or not found:
        return _guessed(heard)
    levels = decoding.levels(evidence, found)
    level = _compound(heard, evidence, levels) or levels[0]
    if known is not None and len(known.beats) > 1:
        before = 60.0 / float(np.median(np.diff(known.beats)))
        level = min(levels, key=lambda one: abs(np.log(one.tempo_bpm / before)))
    if known is None and len(found) == 1 and found[0].even:  # where tempi change, each has too few beats to tell
        level = level._replace(beats=[_on_the_beat(heard, evidence.gain, level.beats[0])])
    if wanted is not None:
        factor = {"half": 0.5, "double": 2.0}[wanted]
        level = level._replace(
            beats=[decoding.at_level(evidence, beats, decoding.Fraction(factor)) for beats in level.beats]
        )
    beats = np.concatenate(level.beats) / decoding.RATE
    beats = beats[(beats >= 0) & (beats < heard.seconds - 0.02)]  # the cut at the end of a file sounds like an onset
    if len(beats) < 2:
        return _guessed(heard)
    if known is not None and len(known.beats):
        period = float(np.median(np.diff(beats)))
        beats = np.concatenate([known.beats, beats[beats > known.beats[-1] + period / 2]])
    sure = np.interp(beats, np.arange(len(heard.activations)) / ACTIVATION_RATE, 1.0 - heard.activations[:, 2])
    counts = np.array([len(part.beats) for part in found])
    others = [one for one in levels if abs(np.log2(one.tempo_bpm * np.median(np.diff(beats)) / 60.0)) > 0.05]
    return Pulse(
        beats=beats,
        downbeats=np.zeros(0),
        meter=4,
        tempo_bpm=float(60.0 / np.median(np.diff(beats))),
        kind="guessed" if sure.mean() < _SURE else "even" if all(part.even for part in found) else "drifting",
        confidence=float(np.average([part.concentration for part in found], weights=counts)),
        alternatives=tuple(
            Alternative(one.tempo_bpm, min(1.0, one.fit / max(level.fit, 1e-9))) for one in others[:_ALTERNATIVES]
        ),
    )


def _on_the_beat(heard: Heard, gain: np.ndarray, beats: np.ndarray) -> np.ndarray:
    """An even grid (beats,), in frames, or the one half a beat later, if more speaks for that.

    Chords, hats and a soft beginning between the beats can hide where they are from the network. Bass drum and snare
    are there for them, and what is heard on the beats repeats with the bar. Contrasts are from -1 to 1.
    """
    if len(beats) < _FEWEST_TO_SHIFT:
        return beats
    later = beats[:-1] + np.diff(beats) / 2
    rate = decoding.RATE

    def contrast(curve: np.ndarray, its_rate: float) -> float:
        near = maximum_filter1d(curve, max(1, round(0.05 * its_rate)))
        one, other = (np.interp(times / rate * its_rate, np.arange(len(near)), near) for times in (beats, later))
        return float((one.mean() - other.mean()) / max(np.abs(one).mean() + np.abs(other).mean(), 1e-9))

    def in_bars(times: np.ndarray) -> float:
        heard_there = bars.accents(heard.spectra, heard.activations, times / rate)
        return sum(bars.repetition(values, 4) for values in (heard_there.low, heard_there.back, heard_there.downbeat))

    spectra = heard.spectra
    drums = contrast(spectra.onset_low, spectrum.ONSET_RATE) + contrast(spectra.onset_high, spectrum.ONSET_RATE)
    speaks = contrast(gain, rate) + drums + in_bars(beats) - in_bars(later)
    return beats if speaks >= 0 else later


def _compound(
    heard: Heard, evidence: decoding.Evidence, levels: list[decoding.Level]
) -> decoding.Level | None:
    """The dotted beat, where the beats at a tempo too fast for any waltz come in threes: 6/8."""
    by_factor = {level.factor: level for level in levels}
    for factor in (decoding.Fraction(1), decoding.Fraction(2)):
        fast, dotted = by_factor.get(factor), by_factor.get(factor / 3)
        if fast is None or dotted is None or fast.tempo_bpm < _FASTEST_WALTZ:
            continue
        beats = np.concatenate(fast.beats)
        strength = np.interp(beats, np.arange(len(evidence.gain)), maximum_filter1d(evidence.strength, 5))
        strength = strength - strength.mean()
        in_threes = bars.repetition(strength, 3) > bars.repetition(strength, 2)
        accents = bars.accents(heard.spectra, heard.activations, beats / decoding.RATE)
        if in_threes and bars.choose_meter(accents) == 3:
            return dotted
    return None


def tempo_near(heard: Heard, bpm: float) -> float:
    """The even tempo within ``TAPPED`` of one that was tapped which gathers most of what is heard; else that one."""
    evidence = _evidence(heard, None)
    if evidence is None:
        return bpm
    times = np.arange(len(evidence.gain)) / decoding.RATE
    # From one candidate to the next, the last beat moves by a tenth of a beat.
    count = max(3, round(20 * TAPPED * heard.seconds * bpm / 60.0)) | 1
    candidates = bpm * np.linspace(1.0 - TAPPED, 1.0 + TAPPED, count)
    strength = evidence.strength - evidence.strength.mean()
    gathered = [abs(np.exp(-2j * np.pi * times * candidate / 60.0) @ strength) for candidate in candidates]
    return float(candidates[int(np.argmax(gathered))])


def _guessed(heard: Heard) -> Pulse:
    """An even grid where no beat is heard, as in silence."""
    beats = np.arange(0.0, heard.seconds, 60.0 / FALLBACK_BPM)
    return Pulse(beats, np.zeros(0), 4, FALLBACK_BPM, "guessed", 0.0)


def _given(heard: Heard, beats: np.ndarray) -> Pulse:
    """Beats that somebody knew."""
    if len(beats) < 2:
        guess = _guessed(heard)
        return replace(guess, beats=beats if len(beats) else guess.beats)
    intervals = np.diff(beats)
    even = np.ptp(intervals) < 0.1 * np.median(intervals)
    return Pulse(beats, np.zeros(0), 4, float(60.0 / np.median(intervals)), "even" if even else "drifting", 1.0)


def _at_tempo(heard: Heard, bpm: float, offset: float | None) -> Pulse:
    """A steady tempo that somebody knew, through a beat that was given or else where most is heard."""
    period, phase = 60.0 / bpm, offset or 0.0
    if offset is None:
        evidence = _evidence(heard, None)
        if evidence is not None:
            frames, rate = len(evidence.gain), decoding.RATE
            whole = (0.0, float(frames))
            phase = decoding.fitted_grid(evidence.gain, period * rate, evidence.audible, whole, exact=True)[0] / rate
    first = phase - np.floor(phase / period + 1e-9) * period
    beats = first + period * np.arange(max(1, np.ceil((heard.seconds - first) / period - 1e-9)))
    return Pulse(beats, np.zeros(0), 4, bpm, "even", 1.0)


def _through(pulse: Pulse, offset: float, seconds: float) -> np.ndarray:
    """The beats moved, by half a beat at most, so that one lies at ``offset``."""
    period, beats = 60.0 / pulse.tempo_bpm, pulse.beats
    ahead = np.arange(np.floor((min(offset, 0.0) - beats[0]) / period) - 1, 0) * period + beats[0]
    behind = beats[-1] + period * np.arange(1, np.ceil((max(offset, seconds) - beats[-1]) / period) + 2)
    longer = np.concatenate([ahead, beats, behind])
    shift = offset - longer[np.abs(longer - offset).argmin()]
    moved = longer + shift
    kept = (moved >= 0) & (moved < seconds) & (moved > beats[0] - period) & (moved < beats[-1] + period)
    return moved[kept] if kept.any() else beats


def _with_bars(heard: Heard, pulse: Pulse, corrections: SongCorrections, known: KnownBeats | None) -> Pulse:
    """The same beats, with bars as they are given, known or heard."""
    meter, beats = corrections.meter or (known.meter if known else None), pulse.beats
    if corrections.downbeats is not None:
        downbeats = np.array(corrections.downbeats, dtype=np.float64)
        counts = np.diff(np.searchsorted(beats, downbeats - 1e-3))
        counted = int(np.median(counts)) if len(counts) else 4
        return replace(pulse, downbeats=downbeats, meter=meter or (counted if counted in METERS else 4))
    if pulse.kind == "guessed" and corrections.beat_offset is None:
        meter = meter or 4
        return replace(pulse, downbeats=beats[::meter], meter=meter)
    accents = bars.accents(heard.spectra, heard.activations, beats)
    meter = meter or bars.choose_meter(accents)
    if corrections.beat_offset is not None:
        # Counted in beats, not in seconds, because beats may drift.
        position = np.interp(corrections.beat_offset, beats, np.arange(len(beats)))
        outside = corrections.beat_offset - np.clip(corrections.beat_offset, beats[0], beats[-1])
        first = round(float(position + outside * pulse.tempo_bpm / 60.0))
        return replace(pulse, downbeats=beats[(np.arange(len(beats)) - first) % meter == 0], meter=meter)
    settled = None
    if known is not None and len(known.beats):
        indices = np.flatnonzero(beats <= known.beats[-1] + 1e-6)
        settled = (indices, np.isin(beats[indices], known.downbeats))
    return replace(pulse, downbeats=beats[bars.choose_downbeats(accents, meter, settled)], meter=meter)
