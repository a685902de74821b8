"""A part of a dance: from a second to another, or without the silence at its ends."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from longdance.errors import InputError
from longdance.export.sound import song_start
from longdance.features import audio, loudness
from longdance.motion import moments
from longdance.motion.contacts import speeds
from longdance.motion.motion import Motion

SILENT, SOFT = -60.0, -40.0
"""Decibel (LUFS) of a tenth of a second below which a song is silent, and against its loudest tenth."""
STANDING = 0.05
"""Metres per second below which no joint moves while a dance stands."""
LEAST = 0.1
"""Seconds that a cut leaves at least."""


def stretch_of(motion: Motion, *, start: float = 0.0, seconds: float | None = None) -> Motion:
    """The dance from ``start`` seconds after its first frame on, whole frames; its record is cut alike.

    ``InputError`` where nothing is left.
    """
    first = round(start * motion.fps)
    stop = motion.frames if seconds is None else min(motion.frames, first + max(1, round(seconds * motion.fps)))
    if start < 0 or first >= stop:
        raise InputError(f"expected a start within the dance's {motion.seconds:.2f} s, got {start:g}")
    if (first, stop) == (0, motion.frames):
        return motion
    meta = moments.cut(motion.meta, first / motion.fps, stop / motion.fps)
    return replace(motion.slice(first, stop), meta=meta)


def without_silence(motion: Motion, song_path: str | os.PathLike | None) -> Motion:
    """The dance without the silent stretches of its song at the ends, or, for no song, those in which it stands."""
    active = _moves(motion) if song_path is None else _sounds(motion, song_path)
    inside = np.flatnonzero(active)
    if not len(inside):
        raise InputError("expected a dance that is not silent throughout; leave out --trim-silence")
    first, last = inside[0] / motion.fps, (inside[-1] + 1) / motion.fps
    return stretch_of(motion, start=first, seconds=max(last - first, LEAST))


def _sounds(motion: Motion, song_path: str | os.PathLike) -> np.ndarray:
    """(frames,) booleans: whether the song sounds, by tenths of a second."""
    heard = loudness.Loudness()
    try:
        heard(audio.decode(song_path, start=song_start(motion), seconds=motion.seconds))
    except InputError:
        audio.expect_file(Path(song_path))
        return np.zeros(motion.frames, bool)  # it has ended before the dance begins
    levels = loudness.decibel(heard.powers())
    loud = levels > max(SILENT, levels.max(initial=SILENT) + SOFT)
    cells = (np.arange(motion.frames) / motion.fps * loudness.LOUDNESS_RATE).astype(int)
    return np.append(loud, False)[np.minimum(cells, len(loud))]


def _moves(motion: Motion) -> np.ndarray:
    """(frames,) booleans: whether a joint moves."""
    return speeds(motion.joints(), motion.fps).max(1) > STANDING
