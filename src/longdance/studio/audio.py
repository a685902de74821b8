"""Songs that come from a browser: checked, made into one kind of file that every browser plays, and measured.

What comes in is never played or measured itself: its sound is decoded once, under limits, into a FLAC file, and only
that is used from then on. FLAC has no delay of its own, so a dance and its song stay together to the sample.
"""

import errno
import os
from pathlib import Path

import numpy as np

from longdance.choreography.suggestion import suggest_genre
from longdance.errors import InputError
from longdance.features.audio import stream_blocks
from longdance.features.pulse import SongCorrections
from longdance.features.sections import find_sections
from longdance.features.song import Song
from longdance.files import atomic_write
from longdance.progress import Progress
from longdance.studio.beats import told

CONTAINERS = (
    "aac", "ac3", "aiff", "amr", "ape", "asf", "au", "avi", "caf", "flac", "flv", "matroska", "webm", "mov", "mp3",
    "mpeg", "mpegts", "ogg", "w64", "wav", "wv",
)  # fmt: skip
"""FFmpeg's names of the containers that are taken: only such as hold their sound themselves. Playlists and the like,
which point to other files, are not among them."""
LONGEST = 2 * 60 * 60.0
"""Seconds."""
HIGHEST_RATE = 48000
"""Hertz; lower rates are kept as they are."""
PEAKS = 2000
_CELL = 1024
"""Samples that the waveform is first gathered over."""


def listen(uploaded: Path, target: Path, *, progress: Progress) -> dict:
    """Decode ``uploaded`` into the FLAC file ``target`` and measure it; what the page needs to know is returned.

    ``progress(done, total, what)`` may raise ``Cancelled``. ``InputError`` for files that are no song, and for those
    that last longer than ``LONGEST``.
    """
    rate, channels, expected = _checked(uploaded)
    peaks = _decoded(uploaded, target, rate, channels, expected, progress)
    progress(50, 100, "listening")
    song = Song.load(target)
    sections = find_sections(song)
    progress(100, 100, "listening")
    return {
        "song": {
            "seconds": round(song.seconds, 4),
            "sections": [
                {"from": round(part.begin, 4), "to": round(part.end, 4), "label": part.label} for part in sections
            ],
            "peaks": peaks,
            "suggested": suggested(song),
        },
        "laid": told(song, SongCorrections()),
    }


def suggested(song: Song) -> dict | None:
    """The genre that fits a song, with the reason; None where its tempo is not known."""
    suggestion = suggest_genre(song)
    return None if suggestion is None else {"genre": suggestion.genre, "why": suggestion.why}


def _checked(path: Path) -> tuple[int, int | None, float]:
    """Sample rate and channels (None for all) to keep, and seconds as far as the file says (0 for unknown).

    ``InputError`` for what is no song.
    """
    import av
    from av.error import FFmpegError

    if path.stat().st_size == 0:
        raise InputError("expected a song, got an empty file; try another one")
    limits = {"format_whitelist": ",".join(CONTAINERS), "protocol_whitelist": "file"}
    try:
        container = av.open(str(path), options=limits)
    except (FFmpegError, OSError, UnicodeDecodeError) as error:
        raise InputError("expected a song, got a file that holds none or is damaged; try wav or mp3") from error
    with container:
        if not container.streams.audio:
            raise InputError("expected a song, got a file without sound; try another one")
        stream = container.streams.audio[0]
        rate, channels = stream.rate or 44100, None if stream.channels <= 2 else 1
        seconds = max(0.0, (container.duration or 0) / 1e6)
    if seconds > LONGEST:
        raise _too_long(f"{seconds / 3600:.1f}")
    kept = rate if 8000 <= rate <= HIGHEST_RATE else HIGHEST_RATE
    return kept, channels, seconds


def _too_long(got: str) -> InputError:
    return InputError(f"expected a song of at most {LONGEST / 3600:g} hours, got {got}; try a part of it")


def _decoded(
    source: Path, target: Path, rate: int, channels: int | None, expected: float, progress: Progress
) -> list[list[float]]:
    """Write ``target``, and return the least and greatest sample, -1 to 1, over ``PEAKS`` equal parts of the song."""
    import soundfile

    lows, highs, samples = [], [], 0
    with atomic_write(target) as temporary:
        file = None
        try:
            for block in stream_blocks(source, sample_rate=rate, block_seconds=10.0, channels=channels):
                block = np.clip(block.reshape(len(block), -1), -1.0, 1.0)
                if file is None:
                    kind = {"format": "FLAC", "subtype": "PCM_16", "compression_level": 0.3}
                    file = soundfile.SoundFile(temporary, "w", rate, block.shape[1], **kind)
                file.write(block)
                samples += len(block)
                if samples > LONGEST * rate:
                    raise _too_long("more")
                cells = np.pad(block, ((0, -len(block) % _CELL), (0, 0)), mode="edge").reshape(
                    -1, _CELL * block.shape[1]
                )
                lows.append(cells.min(axis=1))
                highs.append(cells.max(axis=1))
                share = min(samples / rate / expected, 1.0) if expected else 0.0
                progress(round(50 * share), 100, "reading the song")
        except (soundfile.LibsndfileError, AssertionError) as error:
            # libsndfile does not say why it could not write.
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        finally:
            if file is not None:
                file.close()
    return _waveform(np.concatenate(lows), np.concatenate(highs))


def _waveform(lows: np.ndarray, highs: np.ndarray) -> list[list[float]]:
    """(least, greatest) over ``PEAKS`` parts of cells; fewer parts where there are fewer cells."""
    edges = np.linspace(0, len(lows), min(PEAKS, len(lows)) + 1).astype(int)[:-1]
    low, high = np.minimum.reduceat(lows, edges), np.maximum.reduceat(highs, edges)
    return np.round(np.stack((low, high), axis=1), 3).tolist()

