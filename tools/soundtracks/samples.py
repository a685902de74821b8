"""One-shots from a folder of recorded samples, found by the words in their file names.

Here belongs the way from a file name to the role a sound can play in a groove. Samples stay optional:
everything can be synthesised.
"""

import os
from functools import lru_cache
from pathlib import Path

import numpy as np

from longdance.errors import InputError
from longdance.features import audio

_ROLES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("kick", ("bd", "kick", "bass_soft", "bass_hard")),
    ("snare", ("sn", "snare")),
    ("clap", ("clap", "snap", "snap2")),
    ("open_hat", ("cymbal_open", "open_hat")),
    ("closed_hat", ("hat", "cymbal_closed", "cymbal_pedal", "elec_tick")),
    ("ride", ("ride",)),
    ("crash", ("splash", "crash", "cymbal_hard", "cymbal_soft")),
    ("tom", ("tom",)),
    ("cowbell", ("cowbell",)),
    ("clave", ("wood", "clave", "elec_blip", "elec_ping")),
    ("conga_open", ("conga", "tabla_na", "tabla_ghe")),
    ("conga_slap", ("slap", "tabla_te1", "tabla_te2", "tabla_re")),
    ("conga_mute", ("tabla_ke", "tabla_dhec")),
)
_NOT_ONE_SHOTS = ("loop", "roll", "beat", "ambi", "vinyl", "robot", "phone")
_LONGEST = 1.5  # seconds
_EXTENSIONS = (".flac", ".wav", ".ogg", ".mp3")
_PITCH_NAMES = {name: number for number, name in enumerate(("c", "c#", "d", "d#", "e", "f", "f#", "g"))}


def find_samples(folder: str | os.PathLike) -> dict[str, tuple[Path, ...]]:
    """Files of a folder by the role their name suggests (the keys of `synthesis.DRUMS`, and `bass`), sorted.

    Loops and ambiences are left out. Raises InputError if the folder is missing or holds no usable sample.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"expected a folder of samples, got {folder}; try a folder with flac or wav files")
    roles: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        name = path.stem.lower()
        if path.suffix.lower() not in _EXTENSIONS or any(word in name for word in _NOT_ONE_SHOTS):
            continue
        if name.startswith("bass_") and name.rpartition("_")[2] in _PITCH_NAMES:
            roles.setdefault("bass", []).append(path)
            continue
        for role, words in _ROLES:
            if any(_names(name, word) for word in words):
                roles.setdefault(role, []).append(path)
                break
    if not roles:
        raise InputError(
            f"expected drum samples in {folder}, got none known by name; try names such as kick_1.wav"
        )
    return {role: tuple(paths) for role, paths in roles.items()}


@lru_cache(maxsize=512)
def load_sample(path: Path, sample_rate: int) -> np.ndarray:
    """A one-shot, mono, cut to begin where its sound begins and to last 1.5 s at most, peak 1. Read-only."""
    sound = audio.decode(path, sample_rate=sample_rate)
    level = np.abs(sound)
    loud = np.flatnonzero(level > 0.1 * level.max())
    # Beats are laid on the start of a sound: silence before it would make them late.
    begin = max(0, int(loud[0]) - round(0.001 * sample_rate)) if len(loud) else 0
    sound = sound[begin : begin + round(_LONGEST * sample_rate)].copy()
    fade = min(len(sound), round(0.05 * sample_rate))
    sound[len(sound) - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    sound /= np.abs(sound).max() + 1e-9
    sound.setflags(write=False)
    return sound


def pitch_class_of(path: Path) -> int:
    """Half steps above C that the last word of the file's name says: 5 for `bass_dnb_f`."""
    return _PITCH_NAMES[path.stem.lower().rpartition("_")[2]]


def transposed(sound: np.ndarray, half_steps: float) -> np.ndarray:
    """The sound played faster or slower so that its pitch changes by `half_steps`."""
    ratio = 2.0 ** (half_steps / 12.0)
    places = np.arange(0.0, len(sound) - 1, ratio)
    return np.interp(places, np.arange(len(sound)), sound).astype(np.float32)


def _names(name: str, word: str) -> bool:
    """Whether `word` occurs in `name` as a word of its own, a digit may follow."""
    padded = f"_{name}_"
    return (
        f"_{word}_" in padded
        or any(f"_{word}{digit}_" in padded for digit in range(10))
        or ("_" in word and f"_{word}" in padded)
    )
