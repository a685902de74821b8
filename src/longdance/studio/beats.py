"""Beats of a song that somebody sets right: what each button means, told as the corrections that a song takes."""

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from longdance.errors import InputError
from longdance.features.pulse import TAPPED, SongCorrections
from longdance.features.song import Song
from longdance.studio.forms import BeatsForm

FEWEST_TAPS = 4
_UNEVEN = 0.35
"""Share of the median by which the time between two taps may differ; more is a tap that was left out."""
_OWN = "your beats"


def told(song: Song, corrections: SongCorrections) -> dict[str, Any]:
    """The beats of a whole song as they are kept: fields of ``states.Laid``."""
    said = {name: value for name, value in asdict(corrections).items() if value is not None}
    return {
        "corrections": said,
        "tempo_bpm": round(float(song.tempo_bpm), 3),
        "meter": song.meter,
        "kind": song.kind,
        "confidence": round(song.confidence, 3),
        "doubts": list(song.doubts),
        "alternatives": [
            {"tempo_bpm": round(other.tempo_bpm, 3), "fit": round(other.fit, 3)} for other in song.alternatives
        ],
        "beats": _rounded(song.beat_times),
        "downbeats": _rounded(song.downbeat_times),
    }


def set_right(song: Song, corrections: SongCorrections, asked: BeatsForm) -> tuple[Song, SongCorrections]:
    """The ``song``, which was heard from its beginning, with the ``corrections`` so far and what is ``asked``.

    ``InputError`` for taps that tell no tempo, and for what is no list of beats.
    """
    song = song.corrected(corrections)
    after = _after(song, corrections, asked)
    laid = song.corrected(after)
    if asked.do == "taps" and asked.in_song:
        off = laid.beat_position(np.array(asked.taps))
        # The mean on the circle: taps before and after a beat cancel.
        phase = float(np.angle(np.exp(2j * np.pi * off).mean())) / (2 * np.pi)
        if abs(phase) > 0.25:
            after = _shifted(laid, after, 0.5)
            laid = song.corrected(after)
    return laid, after


def _after(song: Song, corrections: SongCorrections, asked: BeatsForm) -> SongCorrections:
    if asked.do == "heard":
        return SongCorrections()
    if asked.do == "own":
        return SongCorrections.from_text(asked.text, _OWN, meter=corrections.meter)
    if asked.do == "meter":
        if asked.meter is None:
            raise InputError("expected 3 or 4 beats in a bar, got none")
        return replace(corrections, meter=asked.meter, downbeats=None)
    if asked.do == "shift":
        return _shifted(song, corrections, asked.beats or 0.0)
    if asked.do in ("half", "double"):
        return _at_level(song, corrections, asked.do)
    if asked.do == "level":
        if asked.tempo_bpm is None:
            raise InputError("expected a tempo in BPM, got none")
        return _at_tempo(song, corrections, asked.tempo_bpm)
    tapped = tempo_of_taps(asked.taps)
    known = [song.tempo_bpm, song.tempo_bpm / 2, song.tempo_bpm * 2, *(one.tempo_bpm for one in song.alternatives)]
    nearest = min(known, key=lambda tempo: abs(np.log(tempo / tapped)))
    if song.kind != "guessed" and abs(nearest / tapped - 1.0) <= TAPPED:
        return _at_tempo(song, corrections, nearest)
    return _at_tempo(song, corrections, song.tempo_near(tapped))


def tempo_of_taps(taps: list[float]) -> float:
    """Beats per minute of somebody's taps (seconds): a line through them; ``InputError`` for too few or uneven ones."""
    times = np.sort(np.array(taps, dtype=np.float64))
    if len(times) < FEWEST_TAPS:
        raise InputError(f"expected at least {FEWEST_TAPS} taps, got {len(times)}; tap on")
    intervals = np.diff(times)
    if np.abs(intervals / max(float(np.median(intervals)), 1e-6) - 1.0).max() > _UNEVEN:
        raise InputError("expected taps on every beat, got uneven ones; tap again")
    tempo = 60.0 / float(np.polyfit(np.arange(len(times)), times, 1)[0])
    if not 20 <= tempo <= 400:
        raise InputError(f"expected taps at 20 to 400 BPM, got {tempo:.0f}; tap again")
    return tempo


def _at_level(song: Song, corrections: SongCorrections, level: str) -> SongCorrections:
    """Half or twice the beats that there are."""
    if corrections.beats is not None:
        beats = np.array(corrections.beats)
        if level == "half":
            first = int(np.argmin(np.abs(beats - song.downbeat_times[0]))) % 2 if len(song.downbeat_times) else 0
            beats = beats[first::2]
        else:
            beats = np.sort(np.concatenate([beats, (beats[1:] + beats[:-1]) / 2]))
        return replace(corrections, beats=tuple(beats.tolist()), downbeats=None)
    other = {"half": "double", "double": "half"}[level]
    if corrections.bpm is None or corrections.bpm == other:
        return replace(corrections, bpm=level if corrections.bpm is None else None)
    return replace(corrections, bpm=song.tempo_bpm * (0.5 if level == "half" else 2.0))


def _at_tempo(song: Song, corrections: SongCorrections, tempo: float) -> SongCorrections:
    """Another tempo; half or twice the one there is keeps its beats, so that it may drift."""
    for level, factor in ((None, 1.0), ("half", 0.5), ("double", 2.0)):
        if abs(tempo / song.tempo_bpm / factor - 1.0) < 0.01:
            return corrections if level is None else _at_level(song, corrections, level)
    return SongCorrections(bpm=tempo, meter=corrections.meter)


def _shifted(song: Song, corrections: SongCorrections, beats: float) -> SongCorrections:
    """All beats and bars later by so many beats."""
    times = song.beat_times
    first = song.downbeat_times[0] if len(song.downbeat_times) else times[0]
    period = 60.0 / song.tempo_bpm
    position = float(song.beat_position(np.array([first]))[0]) + beats
    inside = float(np.interp(position, np.arange(len(times)), times))
    offset = inside + (position - np.clip(position, 0, len(times) - 1)) * period
    if corrections.beats is None:
        return replace(corrections, beat_offset=offset)
    moved = np.interp(np.arange(len(times)) + beats % 1, np.arange(len(times)), times)
    moved[-1] += (beats % 1) * period
    return replace(corrections, beats=tuple(moved.tolist()), downbeats=None, beat_offset=offset)


def _rounded(times: np.ndarray) -> list[float]:
    return [round(float(time), 4) for time in times]
