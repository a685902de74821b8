"""Music encoders: a song to features per motion frame, by name. A checkpoint names the one it was trained with.

All keep one promise: row i of the (frames, channels) float32 result is about the music at i / fps seconds, and there
are ``song.frames(fps)`` rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np

from longdance.errors import InputError
from longdance.features.audio import ANALYSIS_SAMPLE_RATE
from longdance.features.frames import cached, identity
from longdance.features.librosa35 import CHANNELS as LIBROSA_CHANNELS
from longdance.features.librosa35 import check as check_librosa
from longdance.features.librosa35 import librosa35
from longdance.features.rhythm_plan import CHANNELS, plan_of_song
from longdance.features.song import CHANNEL_NAMES, Song

PLAN = "plan"
"""The encoder that silent dances have too: the rhythm plan."""


class MusicEncoder(Protocol):
    """What every music encoder offers."""

    @property
    def name(self) -> str:
        """What checkpoints and stores call it."""
        ...

    @property
    def channels(self) -> int:
        """Features per frame."""
        ...

    @property
    def heavy(self) -> bool:
        """Whether it is a large network, of which one process should hold one."""
        ...

    def check(self) -> None:
        """``InputError`` if something is missing that encoding a song would need."""
        ...

    def __call__(self, song: Song, fps: float) -> np.ndarray:
        """(frames, channels) float32 features of a song."""
        ...


def light35(song: Song, fps: float) -> np.ndarray:
    """(frames, 35): the channels of ``librosa35`` as the project measures them: quicker, louder files alike."""
    return song.features(fps)


def light35_phase(song: Song, fps: float) -> np.ndarray:
    """(frames, 39): the channels of ``librosa35`` as the project measures them, and the phases of beat and bar.

    A one-hot beat tells a frame nothing unless it is on the beat; the phase, as sine and cosine, tells every frame how
    far it is from one.
    """
    return np.concatenate((song.features(fps), song.rhythm(fps)), axis=1).astype(np.float32)


def rhythm(song: Song, fps: float) -> np.ndarray:
    """(frames, 7): onset envelope, onset peaks, beats, and the phases of beat and bar as sine and cosine.

    Without timbre and harmony: what remains means the same in all kinds of music.
    """
    features = song.features(fps)
    return np.concatenate((features[:, :1], features[:, 33:], song.rhythm(fps)), axis=1).astype(np.float32)


@dataclass(frozen=True)
class MeasuredEncoder:
    """Features that are measured, not learnt: always there, and quick enough to be made anew."""

    name: str
    channels: int
    measure: Callable[[Song, float], np.ndarray]
    heavy: bool = False
    needs: Callable[[], None] | None = None
    """``InputError`` if something is missing."""

    def check(self) -> None:
        """``InputError`` if something is missing."""
        if self.needs is not None:
            self.needs()

    def __call__(self, song: Song, fps: float) -> np.ndarray:
        """(frames, channels) float32 features of a song."""
        return self.measure(song, fps)


@dataclass(frozen=True)
class PretrainedEncoder:
    """Features that a large network has learnt; kept in the user's cache by the sound and the network's files.

    The network is loaded for the first song that is not in the cache.
    """

    name: str
    channels: int
    find: Callable[[], Path]
    """The folder with the network's files, or ``InputError``."""
    load: Callable[[Path], Callable[[Song, float], np.ndarray]]
    heavy: bool = True

    def check(self) -> None:
        """``InputError`` if the network's files are not there."""
        self.find()

    def __call__(self, song: Song, fps: float) -> np.ndarray:
        """(frames, channels) float32 features of a song."""
        folder = self.find()
        frames = song.frames(fps)
        sound = song.decode(ANALYSIS_SAMPLE_RATE)
        return cached(
            lambda: self._encode(folder, song, fps), self.name, identity(folder), f"{fps} {frames}", sound.tobytes()
        )

    def _encode(self, folder: Path, song: Song, fps: float) -> np.ndarray:
        features = _loaded(self.load, folder)(song, fps)
        if features.shape[1] != self.channels:
            raise InputError(
                f"{folder}: expected the model of the music encoder {self.name}, with {self.channels} features, got "
                f"{features.shape[1]}; try the folder of the right model"
            )
        return features


@lru_cache(maxsize=1)
def _loaded(load: Callable[[Path], Callable[[Song, float], np.ndarray]], folder: Path):
    """The network last asked for."""
    return load(folder)


def _find_jukebox() -> Path:
    from longdance.features.jukebox import find_folder

    return find_folder()


def _load_jukebox(folder: Path) -> Callable[[Song, float], np.ndarray]:
    from longdance.features.jukebox import Jukebox

    return Jukebox.load(folder)


def _find_mert(repository: str) -> Callable[[], Path]:
    def find() -> Path:
        from longdance.features.mert import find_folder

        return find_folder(repository)

    return find


def _load_mert(folder: Path) -> Callable[[Song, float], np.ndarray]:
    from longdance.features.mert import Mert

    return Mert.load(folder)


MUSIC_ENCODERS: dict[str, MusicEncoder] = {
    encoder.name: encoder
    for encoder in (
        MeasuredEncoder("librosa35", LIBROSA_CHANNELS, librosa35, needs=check_librosa),
        MeasuredEncoder("light35", len(CHANNEL_NAMES), light35),
        MeasuredEncoder("light35+phase", len(CHANNEL_NAMES) + 4, light35_phase),
        MeasuredEncoder("rhythm", 3 + 4, rhythm),
        MeasuredEncoder(PLAN, len(CHANNELS), plan_of_song),
        PretrainedEncoder("jukebox", 4800, _find_jukebox, _load_jukebox),
        PretrainedEncoder("mert", 768, _find_mert("m-a-p/MERT-v1-95M"), _load_mert),
        PretrainedEncoder("mert-330m", 1024, _find_mert("m-a-p/MERT-v1-330M"), _load_mert),
    )
}
MUSIC_CHANNELS = {name: encoder.channels for name, encoder in MUSIC_ENCODERS.items()}
"""Numbers of channels by the encoder's name."""
