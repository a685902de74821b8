"""The 35 music channels of EDGE's baseline and of Lodge, as their extractions make them with librosa.

Needs the extra ``papers``. The features that the project measures by itself, without librosa, are in `song`.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from filelock import FileLock

from longdance.errors import InputError
from longdance.features.song import Song
from longdance.files import user_cache_folder

HOP = 512
"""Samples per frame, whatever the frame rate: the sample rate is as many times the frame rate."""
CHANNELS = 35
_AIST_GENRES = ("mBR", "mPO", "mLO", "mMH", "mLH", "mWA", "mKR", "mJS", "mJB")
_AIST_TEMPI = dict.fromkeys(_AIST_GENRES, (80, 10)) | {"mHO": (110, 5)}
"""BPM of the first song of a genre of AIST++, and from one song to the next; their names tell both."""


_compiled: set[bool] = set()
"""Whether the tempo was estimated: those ways through librosa that this process has taken."""


def check() -> None:
    """``InputError`` where librosa is missing."""
    try:
        import librosa  # noqa: F401
    except ImportError as error:
        raise InputError(
            "expected librosa, which makes the features of the papers, found none; try pip install 'longdance[papers]'"
        ) from error


def librosa35(song: Song, fps: float) -> np.ndarray:
    """(frames, 35) float32: onset envelope 1, MFCC 20, chroma (CENS) 12, onset peaks 1, beats 1, one row per frame.

    Source: EDGE (2023), section 4, baseline features; Lodge (2024), section 3.1; the settings are those of the
    extractions that their authors have published: samples at 512 times the frame rate, a hop of 512, the beats those of
    librosa's tracker, begun at the tempo that the name of an AIST++ file says, else at the one that librosa estimates
    at 22,050 Hz. Beyond the last whole hop the last row goes on.
    """
    check()
    import librosa

    rate, frames = round(fps * HOP), song.frames(fps)
    samples, tempo = song.decode(song.source_rate), _named_tempo(song.name)
    with warnings.catch_warnings(), _one_compiles(tempo is None):
        warnings.simplefilter("ignore")  # stretches shorter than a window, silence without a tuning
        data = librosa.resample(samples, orig_sr=song.source_rate, target_sr=rate)
        envelope = librosa.onset.onset_strength(y=data, sr=rate)
        mfcc = librosa.feature.mfcc(y=data, sr=rate, n_mfcc=20)
        chroma = librosa.feature.chroma_cens(y=data, sr=rate, hop_length=HOP, n_chroma=12)
        peaks = librosa.onset.onset_detect(onset_envelope=envelope, sr=rate, hop_length=HOP)
        if tempo is None:
            whole = librosa.resample(samples, orig_sr=song.source_rate, target_sr=22050)
            tempo = float(librosa.feature.tempo(y=whole, sr=22050)[0])
        beats = librosa.beat.beat_track(
            onset_envelope=envelope, sr=rate, hop_length=HOP, start_bpm=max(tempo, 1.0), tightness=100
        )[1]
    marks = np.zeros((2, len(envelope)), np.float32)
    marks[0, peaks] = 1.0
    marks[1, beats] = 1.0
    rows = np.concatenate([envelope[None], mfcc, chroma, marks]).T.astype(np.float32)
    return np.pad(rows, ((0, max(0, frames - len(rows))), (0, 0)), mode="edge")[:frames]


@contextmanager
def _one_compiles(estimates: bool) -> Iterator[None]:
    """Held by one process of a user at a time, the first time each takes this way.

    librosa compiles functions with numba and keeps them on disk, each in two files. Processes that do so at once mix
    their files, and calling such a function is a crash (numba #10128). Who comes later finds all compiled.
    """
    if estimates in _compiled:
        yield
        return
    folder = user_cache_folder("librosa")
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "compiling.lock"):
        yield
    _compiled.add(estimates)


def _named_tempo(name: str) -> float | None:
    """The tempo that the name of an AIST++ file says, as in gBR_sBM_cAll_d04_mBR0_ch01."""
    parts = Path(name).stem.split("_")
    song = parts[4] if len(parts) > 4 else ""
    if len(song) != 4 or not song[3].isdigit() or song[:3] not in _AIST_TEMPI:
        return None
    first, step = _AIST_TEMPI[song[:3]]
    return float(first + step * int(song[3]))
