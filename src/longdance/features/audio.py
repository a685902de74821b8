"""Reading and writing of audio files, and resampling.

Here belongs everything that touches an audio file or its container. What the samples mean (beats, timbre,
chords) is measured in `spectrum`, `tracking` and `song`.
"""

import os
from collections.abc import Iterator
from math import gcd
from pathlib import Path

import numpy as np

from longdance.errors import InputError
from longdance.files import atomic_write

ANALYSIS_SAMPLE_RATE = 22050
"""Hertz. Songs are analysed at this rate; beat tracking is tuned for it."""

LOWEST_SAMPLE_RATE = 1000
"""Hertz. Damaged headers say less, and would make a second of sound last for hours."""

_FORMATS = {".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16"), ".ogg": ("OGG", "VORBIS")}
_CORRUPT_PACKETS_TOLERATED = 100
_WRITE_CHUNK = 65536
_FRAMES_JOINED = 64  # decoded frames, of about a thousand samples each, that are handled at once


def stream_blocks(
    path: str | os.PathLike,
    *,
    sample_rate: int = ANALYSIS_SAMPLE_RATE,
    block_seconds: float = 30.0,
    mono: bool = True,
    start: float = 0.0,
    seconds: float | None = None,
) -> Iterator[np.ndarray]:
    """Decode an audio file block by block, in memory that does not grow with its length.

    Any format that FFmpeg reads will do, video containers included: the first audio track is taken. All
    blocks except the last have exactly `round(block_seconds * sample_rate)` samples. Concatenated, they are
    the same as `decode`. Damaged packets inside an otherwise readable file are skipped.

    Parameters: `start` and `seconds` cut out a stretch of the file, both in seconds.

    Yields float32 in about [-1, 1]: `(samples,)`, or `(samples, channels)` if not `mono`.

    Raises InputError if the file is missing, unreadable, has no audio track or no sound between `start` and
    `start + seconds`. The error comes with the first block, not with the call.
    """
    block_samples = max(1, round(block_seconds * sample_rate))
    skip = _seconds_to_samples(start, sample_rate, "start")
    left = None if seconds is None else _seconds_to_samples(seconds, sample_rate, "seconds")
    pending: list[np.ndarray] = []
    pending_samples = 0
    yielded = False
    for piece in _decoded_pieces(Path(path), sample_rate, mono):
        if skip:
            dropped = min(skip, len(piece))
            skip -= dropped
            piece = piece[dropped:]
        if left is not None:
            piece = piece[:left]
            left -= len(piece)
        if len(piece):
            pending.append(piece)
            pending_samples += len(piece)
        if pending_samples >= block_samples:
            joined = np.concatenate(pending)
            while len(joined) >= block_samples:
                yielded = True
                yield joined[:block_samples]
                joined = joined[block_samples:]
            pending, pending_samples = [joined], len(joined)
        if left == 0:
            break
    if pending_samples:
        yielded = True
        yield np.concatenate(pending)
    if not yielded:
        raise InputError(
            f"expected sound in {path}, got none from {start:g} s on; try a smaller start or another file"
        )


def decode(
    path: str | os.PathLike,
    *,
    sample_rate: int = ANALYSIS_SAMPLE_RATE,
    mono: bool = True,
    start: float = 0.0,
    seconds: float | None = None,
) -> np.ndarray:
    """Decode an audio file (wav, mp3, ogg, flac, m4a, or the sound of a video) at the sample rate asked for.

    Returns float32 in about [-1, 1]: `(samples,)`, or `(samples, channels)` if not `mono`. `start` and
    `seconds` cut out a stretch. Raises InputError as `stream_blocks` does.
    """
    blocks = stream_blocks(
        path, sample_rate=sample_rate, block_seconds=60.0, mono=mono, start=start, seconds=seconds
    )
    return np.concatenate(list(blocks))


def write_audio(
    path: str | os.PathLike, samples: np.ndarray, sample_rate: int, *, vorbis_quality: float = 0.4
) -> None:
    """Write float samples to a wav (16 bit), flac (16 bit) or ogg (Vorbis) file, chosen by the file's ending.

    `samples` is `(samples,)` or `(samples, channels)`; values beyond [-1, 1] are clipped. The file appears
    only when it is complete. `vorbis_quality` from 0 to 1 sets the size of ogg files. Raises InputError for
    another ending or for samples of another shape.
    """
    import soundfile

    path = Path(path)
    if path.suffix.lower() not in _FORMATS:
        raise InputError(f"expected {path} to end in {', '.join(_FORMATS)}, got {path.suffix!r}; try .wav")
    samples = np.asarray(samples, dtype=np.float32)
    if samples.ndim not in (1, 2) or not len(samples):
        raise InputError(f"expected (samples,) or (samples, channels) for {path}, got shape {samples.shape}")
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    form, subtype = _FORMATS[path.suffix.lower()]
    with (
        atomic_write(path) as temporary,
        soundfile.SoundFile(
            temporary,
            "w",
            sample_rate,
            channels,
            subtype,
            format=form,
            compression_level=1.0 - vorbis_quality if form == "OGG" else None,
        ) as file,
    ):
        # The Vorbis encoder overflows its stack when given minutes of sound at once.
        for begin in range(0, len(samples), _WRITE_CHUNK):
            file.write(np.clip(samples[begin : begin + _WRITE_CHUNK], -1.0, 1.0))


def resample(samples: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """Change the sample rate along the first axis, (samples,) or (samples, channels), by polyphase filtering, to
    float32.
    """
    from scipy.signal import resample_poly

    samples = np.asarray(samples, dtype=np.float32)
    if from_rate == to_rate:
        return samples
    common = gcd(int(from_rate), int(to_rate))
    resampled = resample_poly(samples, int(to_rate) // common, int(from_rate) // common, axis=0)
    return resampled.astype(np.float32, copy=False)


def expect_file(path: Path) -> None:
    """``InputError`` for a path that leads to no file, to a folder, or to a pipe, which would be waited for."""
    # os.path, because the methods of Path raise for a name that is too long.
    if not os.path.exists(path):
        raise InputError(f"expected an audio file, got {path}, which does not exist; try another path")
    if os.path.isdir(path):
        raise InputError(f"expected an audio file, got {path}, which is a folder; try a file inside it")
    if not os.path.isfile(path):
        raise InputError(f"expected an audio file, got {path}, which is a pipe or device; try saving it first")


def _decoded_pieces(path: Path, sample_rate: int, mono: bool) -> Iterator[np.ndarray]:
    import av
    from av.error import FFmpegError

    expect_file(path)
    if path.stat().st_size == 0:
        raise InputError(f"expected an audio file, got {path}, which is empty; try another file")
    try:
        container = av.open(str(path))
    except (FFmpegError, OSError) as error:
        raise InputError(
            f"expected an audio file, got {path}, which cannot be read ({error.strerror}); try wav, mp3, "
            "ogg, flac or m4a"
        ) from error
    with container:
        if not container.streams.audio:
            raise InputError(f"expected sound in {path}, got no audio track; try another file")
        stream = container.streams.audio[0]
        try:
            if 0 < stream.rate < LOWEST_SAMPLE_RATE:
                raise InputError(
                    f"expected sound at {LOWEST_SAMPLE_RATE} Hz or more in {path}, got {stream.rate} Hz; the file may "
                    "be damaged, try converting it"
                )
            yield from _resampled(_frames(container, stream, path), sample_rate, mono)
        except FFmpegError as error:
            raise InputError(
                f"expected sound in {path}, got data that cannot be decoded ({error.strerror}); "
                "try converting it"
            ) from error


def _frames(container, stream, path: Path) -> Iterator:
    """Decoded frames; a few damaged packets are skipped, as players do."""
    from av.error import InvalidDataError

    damaged = 0
    found = False
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except InvalidDataError:
            break  # a truncated container: what was decoded so far is what there is
        if packet is None:
            break
        try:
            for frame in packet.decode():
                found = True
                yield frame
        except InvalidDataError:
            damaged += 1
            if damaged > _CORRUPT_PACKETS_TOLERATED:
                raise
    if damaged and not found:
        raise InputError(
            f"expected sound in {path}, got {damaged} damaged packets and nothing else; try another file"
        )


def _resampled(frames: Iterator, sample_rate: int, mono: bool) -> Iterator[np.ndarray]:
    import av

    resampler = None
    source = None
    channels = None
    ready: list = []
    for frame in frames:
        if channels is None:
            channels = frame.layout
        key = (frame.format.name, frame.layout.name, frame.sample_rate)
        if resampler is None or key != source:
            # Chained streams may change their rate or layout half-way.
            if resampler is not None:
                yield _as_array(ready + resampler.resample(None), mono)
                ready = []
            # FFmpeg's own way to mono makes what both channels share louder than full scale.
            layout = frame.layout if mono else channels
            resampler = av.AudioResampler(format="fltp", layout=layout, rate=sample_rate)
            source = key
        frame.pts = None  # gaps in time stamps are no reason to refuse a file
        ready += resampler.resample(frame)
        if len(ready) >= _FRAMES_JOINED:
            yield _as_array(ready, mono)
            ready = []
    if resampler is not None:
        yield _as_array(ready + resampler.resample(None), mono)


def _as_array(frames: list, mono: bool) -> np.ndarray:
    if not frames:
        return np.zeros(0 if mono else (0, 1), np.float32)
    samples = np.concatenate([frame.to_ndarray() for frame in frames], axis=1)  # planar: (channels, samples)
    # Float files may hold NaN or infinity, which would spread over everything measured from them.
    if not np.isfinite(samples).all():
        samples = np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0)
    return samples.mean(axis=0) if mono else np.ascontiguousarray(samples.T)


def _seconds_to_samples(seconds: float, sample_rate: int, name: str) -> int:
    if not np.isfinite(seconds) or seconds < 0:
        raise InputError(f"expected {name} of at least 0 seconds, got {seconds}; try 0")
    return round(seconds * sample_rate)
