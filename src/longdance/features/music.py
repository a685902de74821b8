"""Music encoders: a song to features per motion frame, by name. A checkpoint names the one it was trained with."""

from collections.abc import Callable

import numpy as np

from longdance.features.song import CHANNEL_NAMES, Song

MusicEncoder = Callable[[Song, float], np.ndarray]
"""(song, fps) -> (frames, channels) float32."""


def librosa35(song: Song, fps: float) -> np.ndarray:
    """(frames, 35): onset envelope, MFCC, chroma, onset peaks, beats. Source: Lodge, section 3.1."""
    return song.features(fps)


def librosa35_phase(song: Song, fps: float) -> np.ndarray:
    """(frames, 39): ``librosa35`` and the phases of beat and bar as sine and cosine.

    A one-hot beat tells a frame nothing unless it is on the beat; the phase tells every frame how far it is from one.
    """
    return np.concatenate((song.features(fps), song.rhythm(fps)), axis=1).astype(np.float32)


def rhythm(song: Song, fps: float) -> np.ndarray:
    """(frames, 7): onset envelope, onset peaks, beats, and the phases of beat and bar as sine and cosine.

    Without timbre and harmony: what remains means the same in composed soundtracks and in recordings.
    """
    features = song.features(fps)
    return np.concatenate((features[:, :1], features[:, 33:], song.rhythm(fps)), axis=1).astype(np.float32)


MUSIC_ENCODERS: dict[str, MusicEncoder] = {
    "librosa35": librosa35,
    "librosa35+phase": librosa35_phase,
    "rhythm": rhythm,
}
MUSIC_CHANNELS = {"librosa35": len(CHANNEL_NAMES), "librosa35+phase": len(CHANNEL_NAMES) + 4, "rhythm": 3 + 4}
"""Numbers of channels by the encoder's name."""
