"""The stretch of a song that belongs to a dance: beside an animation file, or inside another file."""

import math
import os
from pathlib import Path

import numpy as np

from longdance.errors import InputError
from longdance.features.audio import decode, write_audio
from longdance.files import AUDIO_ENDINGS, checksum
from longdance.motion.motion import Motion

SOUND_RATE = 48000
"""Hertz of written sound."""


def song_start(motion: Motion) -> float:
    """Second of the song at which the dance begins; ``InputError`` where ``meta`` holds no such number."""
    start = motion.meta.get("start", 0.0)
    if not isinstance(start, int | float) or isinstance(start, bool) or not 0 <= start < math.inf:
        raise InputError(f"expected seconds under start in the dance's meta, got {start!r}")
    return float(start)


def beat_times(motion: Motion) -> list[float]:
    """Seconds of the beats after the first frame, none that the dance does not last to see."""
    beats = motion.meta.get("beat_times") or []
    if not isinstance(beats, list) or not all(isinstance(beat, int | float) for beat in beats):
        raise InputError("expected a list of seconds under beat_times in the dance's meta")
    return [float(beat) for beat in beats if 0 <= beat < motion.seconds]


def song_stretch(motion: Motion, song_path: str | os.PathLike) -> np.ndarray:
    """(samples, channels) at ``SOUND_RATE``: exactly as long as the dance, silent after the song's end."""
    wanted = round(motion.seconds * SOUND_RATE)
    samples = decode(
        song_path, sample_rate=SOUND_RATE, channels=None, start=song_start(motion), seconds=motion.seconds
    )[:wanted]
    return np.pad(samples, ((0, wanted - len(samples)), (0, 0)))


def save_stretch(motion: Motion, song_path: str | os.PathLike, path: str | os.PathLike) -> None:
    """Write the stretch of the song as WAV. ``InputError`` if that would overwrite the song itself."""
    path = Path(path)
    if path.exists() and Path(song_path).exists() and path.samefile(song_path):
        raise InputError(f"{path}: expected another name than the song's for its stretch; write to another folder")
    write_audio(path, song_stretch(motion, song_path), SOUND_RATE)


def find_song(motion: Motion, folders: list[Path], notes: list[str] | None = None) -> Path | None:
    """The song that the dance's ``meta`` names, in one of the folders, or else where it was when it was danced to.

    Where the record holds a checksum only a file with that is the song; another one of its name is told in ``notes``.
    """
    name, path, known = (motion.meta.get(key) for key in ("song", "song_path", "song_sha256"))
    plain = isinstance(name, str) and name and name == os.path.basename(name) and "\0" not in name
    candidates = [folder / name for folder in folders] if plain else []
    # A record may be by another hand, and point anywhere.
    if isinstance(path, str) and "\0" not in path and path.lower().endswith(AUDIO_ENDINGS) and isinstance(known, str):
        candidates.append(Path(path))
    other = None
    for file in candidates:
        if not file.is_file():
            continue
        if not isinstance(known, str) or checksum(file) == known:
            return file
        other = other or file
    if other is not None and notes is not None:
        notes.append(f"{other} is not the file that was danced to; if it is the song, name it with --song")
    return None
