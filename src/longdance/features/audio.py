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
_LONGEST_DELAY = 24 * 60 * 60.0  # seconds; what says more is damaged
_SILENT_PIECE = 1 << 20
_MIX_SECONDS = 0.4
_INAUDIBLE = 1e-9  # mean square, -90 dB
_CANCELLED, _RETURNING = 0.1, 0.3  # of the power that the mean of independent channels would have
_FRAMES_JOINED = 64  # decoded frames, of about a thousand samples each, that are handled at once


def stream_blocks(
    path: str | os.PathLike,
    *,
    sample_rate: int = ANALYSIS_SAMPLE_RATE,
    block_seconds: float = 30.0,
    channels: int | None = 1,
    start: float = 0.0,
    seconds: float | None = None,
) -> Iterator[np.ndarray]:
    """Decode an audio file block by block, in memory that does not grow with its length.

    Any format that FFmpeg reads will do, video containers included: the first audio track is taken, and where its
    sound begins after the picture, it is preceded by silence, so that times are those that players show. All
    blocks except the last have exactly `round(block_seconds * sample_rate)` samples. Concatenated, they are
    the same as `decode`. Damaged packets inside an otherwise readable file are skipped.

    Parameters: `start` and `seconds` cut out a stretch of the file, both in seconds. `channels` is 1 (mixed as
    `MixDown` does), 2 (FFmpeg's way to stereo) or None, for those that the file has.

    Yields float32 in about [-1, 1]: `(samples,)` for one channel, else `(samples, channels)`.

    Raises InputError if the file is missing, unreadable, has no audio track or no sound between `start` and
    `start + seconds`. The error comes with the first block, not with the call.
    """
    block_samples = max(1, round(block_seconds * sample_rate))
    skip = _seconds_to_samples(start, sample_rate, "start")
    left = None if seconds is None else _seconds_to_samples(seconds, sample_rate, "seconds")
    pending: list[np.ndarray] = []
    pending_samples = 0
    yielded = False
    for piece in _decoded_pieces(Path(path), sample_rate, channels):
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
    channels: int | None = 1,
    start: float = 0.0,
    seconds: float | None = None,
) -> np.ndarray:
    """Decode an audio file (wav, mp3, ogg, flac, m4a, or the sound of a video) at the sample rate asked for.

    Returns float32 in about [-1, 1]: `(samples,)`, or `(samples, channels)` if `channels` is not 1. `start` and
    `seconds` cut out a stretch. All as in `stream_blocks`, InputError as well.
    """
    blocks = stream_blocks(
        path, sample_rate=sample_rate, block_seconds=60.0, channels=channels, start=start, seconds=seconds
    )
    return np.concatenate(list(blocks))


def sample_rate_of(path: str | os.PathLike) -> int:
    """Hertz of a file's first audio track. Raises InputError as `stream_blocks` does."""
    with _opened(Path(path)) as container:
        return container.streams.audio[0].rate or ANALYSIS_SAMPLE_RATE


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


def _opened(path: Path):
    """The container of a file that has sound; ``InputError`` for others."""
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
    if not container.streams.audio:
        container.close()
        raise InputError(f"expected sound in {path}, got no audio track; try another file")
    return container


def _decoded_pieces(path: Path, sample_rate: int, channels: int | None) -> Iterator[np.ndarray]:
    from av.error import FFmpegError

    with _opened(path) as container:
        stream = container.streams.audio[0]
        try:
            if 0 < stream.rate < LOWEST_SAMPLE_RATE:
                raise InputError(
                    f"expected sound at {LOWEST_SAMPLE_RATE} Hz or more in {path}, got {stream.rate} Hz; the file may "
                    "be damaged, try converting it"
                )
            pieces = _resampled(_frames(container, stream, path), sample_rate, channels)
            silence = round(_delay(container, stream) * sample_rate)
            yield from _after_silence(silence, pieces)
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


def _delay(container, stream) -> float:
    """Seconds of picture before the first sound; 0 for files without moving pictures, whatever they say.

    The time stamps of mere sound count the encoder's delay or the programme before a recording; a cover is no picture
    that sound could be late for.
    """
    from av.stream import Disposition

    pictures = [other for other in container.streams.video if not other.disposition & Disposition.attached_pic]
    if not pictures or stream.start_time is None:
        return 0.0
    starts = [float(other.start_time * other.time_base) for other in pictures if other.start_time is not None]
    late = float(stream.start_time * stream.time_base) - min(starts, default=0.0)
    return late if 0 < late < _LONGEST_DELAY else 0.0


def _after_silence(silence: int, pieces: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    for piece in pieces:
        while silence > 0:
            count = min(silence, _SILENT_PIECE)
            silence -= count
            yield np.zeros((count, *piece.shape[1:]), np.float32)
        yield piece


def _resampled(frames: Iterator, sample_rate: int, channels: int | None) -> Iterator[np.ndarray]:
    import av

    resampler = None
    source = None
    layout = "stereo" if channels == 2 else None
    mixed = MixDown(sample_rate) if channels == 1 else None
    ready: list = []
    for frame in frames:
        if layout is None:
            layout = frame.layout
        key = (frame.format.name, frame.layout.name, frame.sample_rate)
        if resampler is None or key != source:
            # Chained streams may change their rate or layout half-way.
            if resampler is not None:
                yield _mixed(_as_array(ready + resampler.resample(None)), mixed)
                ready = []
            # FFmpeg's own way to mono makes what both channels share louder than full scale.
            target = frame.layout if channels == 1 else layout
            # Packed, because PyAV cannot read the planes of eight or more channels.
            resampler = av.AudioResampler(format="flt", layout=target, rate=sample_rate)
            source = key
        frame.pts = None  # gaps in time stamps are no reason to refuse a file
        ready += resampler.resample(frame)
        if len(ready) >= _FRAMES_JOINED:
            yield _mixed(_as_array(ready), mixed)
            ready = []
    if resampler is not None:
        yield _mixed(_as_array(ready + resampler.resample(None)), mixed)
    if mixed is not None:
        yield mixed.rest()


def _mixed(samples: np.ndarray, mixed: "MixDown | None") -> np.ndarray:
    return samples if mixed is None else mixed(samples)


def _as_array(frames: list) -> np.ndarray:
    """(samples, channels) of packed frames of one layout; (0, 1) of none."""
    if not frames:
        return np.zeros((0, 1), np.float32)
    channels = frames[0].layout.nb_channels
    samples = np.concatenate([frame.to_ndarray().reshape(-1, channels) for frame in frames])
    # Float files may hold NaN or infinity, which would spread over everything measured from them.
    if not np.isfinite(samples).all():
        samples = np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0)
    return samples


class MixDown:
    """Several channels to one, piece by piece: their mean, or the louder one where the mean would cancel them.

    Stereo in opposite phase adds up to silence. Decided anew over every 0.4 s from the first sample on, however the
    samples are cut into pieces; the weights of the channels move linearly from the middle of one such cell to the
    middle of the next, so that a change makes no click.
    """

    def __init__(self, sample_rate: int):
        self._cell = max(2, round(_MIX_SECONDS * sample_rate))
        self._held = np.zeros((0, 1), np.float32)  # from the middle of the last whole cell on
        self._weights: np.ndarray | None = None  # (channels,) of the last whole cell

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Mono (samples,) of what is settled when (samples, channels) are added; the rest is kept."""
        if not len(samples):
            return np.zeros(0, np.float32)
        if samples.shape[1] == 1 and not len(self._held):
            return samples[:, 0]
        ready = []
        if len(self._held) and samples.shape[1] != self._held.shape[1]:
            ready.append(self.rest())
        self._held = np.concatenate([self._held, samples]) if len(self._held) else samples
        half = self._cell // 2
        while True:
            first = self._weights is None
            begin = 0 if first else self._cell - half
            if len(self._held) < begin + self._cell:
                break
            weights = self._choose(self._held[begin : begin + self._cell])
            if first:
                ready.append(self._held[:half] @ weights)
                self._held = self._held[half:]
            else:
                ready.append(_moving(self._held[: self._cell], self._weights, weights))
                self._held = self._held[self._cell :]
            self._weights = weights
        return np.concatenate(ready).astype(np.float32) if ready else np.zeros(0, np.float32)

    def rest(self) -> np.ndarray:
        """Mono (samples,) of what was kept; the next piece begins anew."""
        held = self._held
        weights = self._choose(held) if self._weights is None else self._weights
        self._held, self._weights = np.zeros((0, 1), np.float32), None
        return (held @ weights).astype(np.float32)

    def _choose(self, samples: np.ndarray) -> np.ndarray:
        """(channels,) weights for a cell of (samples, channels)."""
        count = samples.shape[1]
        mean = np.full(count, 1.0 / count, np.float32)
        before = mean if self._weights is None else self._weights
        power = np.square(samples, dtype=np.float64).mean(axis=0) if len(samples) else np.zeros(count)
        if power.max() <= _INAUDIBLE:
            return before
        alone = before.max() > 0.99 and count > 1
        # The mean of channels that have nothing to do with each other has a power of power.mean() / count.
        left = float(np.square(samples @ mean, dtype=np.float64).mean()) * count / power.mean()
        if left > (_RETURNING if alone else _CANCELLED):
            return mean
        if alone and power[before.argmax()] > 0.25 * power.max():
            return before
        return np.eye(count, dtype=np.float32)[power.argmax()]


def mix_down(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Mono (samples,) of (samples,) or (samples, channels), as `MixDown` mixes them."""
    if samples.ndim == 1:
        return samples
    mixed = MixDown(sample_rate)
    return np.concatenate([mixed(samples), mixed.rest()])


def _moving(samples: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(samples,) mixed with weights that move from one to the other."""
    if np.array_equal(before, after):
        return samples @ before
    share = ((np.arange(len(samples), dtype=np.float32) + 0.5) / len(samples))[:, None]
    return (samples * (before + share * (after - before))).sum(axis=1)


def _seconds_to_samples(seconds: float, sample_rate: int, name: str) -> int:
    if not np.isfinite(seconds) or seconds < 0:
        raise InputError(f"expected {name} of at least 0 seconds, got {seconds}; try 0")
    return round(seconds * sample_rate)
