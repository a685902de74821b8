"""Songs that are heard while they are danced to: part after part, in memory that does not grow with their length.

A part is measured together with some of what lies around it, so that its beats and features are nearly those that the
whole song would give; beats that were settled stay, and later ones go on from them. What is measured is in `song`.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from longdance.features import audio
from longdance.features.pulse import KnownBeats, SongCorrections
from longdance.features.song import NO_CORRECTIONS, Song, gain_of, measure_part

FIRST_SECONDS = 12.0
"""Length of the first part: so much is measured before the first frame of a dance."""
PART_SECONDS = 60.0
"""Length of the parts that follow."""
BEFORE_SECONDS, AFTER_SECONDS = 20.0, 6.0
"""What is measured with a part on either side, so that tempo, bars and smoothed features have something to go by."""
BLOCK_SECONDS = 5.0
"""Sound that is decoded at once."""
LOUDNESS_SECONDS = 0.4
"""Length of the stretches whose loudness is compared, as for whole songs."""


@dataclass(frozen=True, eq=False)
class Part:
    """Some seconds of a song, measured; frames are those of the dance, from the beginning of what is danced to."""

    song: Song
    """The part with what lies around it; its times count from ``origin``."""
    origin: int
    """Frame at which ``song`` begins."""
    frames: range
    """The frames that this part tells about; those of consecutive parts follow each other."""
    last: bool
    """Whether the song ends with this part."""

    @classmethod
    def whole(cls, song: Song, fps: float) -> "Part":
        """A song that was measured as a whole."""
        return cls(song, 0, range(max(1, song.frames(fps))), last=True)

    def beat_times(self, fps: float) -> np.ndarray:
        """(beats,) seconds of the dance: the beats within ``frames``."""
        return self._told(self.song.beat_times, fps)

    def downbeat_times(self, fps: float) -> np.ndarray:
        """(downbeats,) seconds of the dance: those of ``beat_times`` that start a bar."""
        return self._told(self.song.downbeat_times, fps)

    def _told(self, times: np.ndarray, fps: float) -> np.ndarray:
        times = times + self.origin / fps
        end = np.inf if self.last else self.frames.stop / fps
        return times[(times >= self.frames.start / fps) & (times < end)]


def listen(
    path: str | os.PathLike,
    *,
    fps: float,
    corrections: SongCorrections = NO_CORRECTIONS,
    start: float = 0.0,
    seconds: float | None = None,
) -> Iterator[Part]:
    """The parts of a song, each measured when it is asked for; arguments as of ``Song.load``.

    Loudness is that of what was heard so far. A given tempo, or the one found with a given beat, holds for all parts.
    Memory: a part and what lies around it. ``InputError`` as ``Song.load`` has it, with the part where it is noticed.
    """
    rate = audio.ANALYSIS_SAMPLE_RATE
    blocks = audio.stream_blocks(path, block_seconds=BLOCK_SECONDS, start=start, seconds=seconds)
    source_rate = audio.sample_rate_of(path)
    sound, origin, first = np.zeros(0, np.float32), 0, 0  # of the samples kept; of the part
    loudness: list[np.ndarray] = []
    measured_until = 0  # samples whose loudness is known
    known: KnownBeats | None = None
    last = False
    while not last:
        length = PART_SECONDS if first else FIRST_SECONDS
        begin = _sample(origin, fps)
        stop = first + round(length * fps)
        wanted = _sample(stop + round(AFTER_SECONDS * fps), fps) - begin
        pieces, have = [sound], len(sound)
        while have < wanted and not last:
            block = next(blocks, None)
            if block is None:
                last = True
            else:
                pieces.append(block)
                have += len(block)
        sound = np.concatenate(pieces)
        if last:
            stop = max(first + 1, round((begin + len(sound)) / rate * fps))
        # 1. Loudness, of every stretch once.
        fresh = sound[measured_until - begin :]
        size = round(LOUDNESS_SECONDS * rate)
        whole = len(fresh) // size * size
        if whole or not loudness:
            some = fresh[:whole].reshape(-1, size) if whole else fresh[None]
            loudness.append(np.square(some, dtype=np.float64).mean(axis=1))
            measured_until += whole
        # 2. The part, with its beats going on from those before.
        heard = sound[: min(wanted, len(sound))]
        at = start + begin / rate
        song = measure_part(
            [heard],
            gain_of(np.concatenate(loudness)),
            str(Path(path)),
            _decoder(path, at, len(heard) / rate),
            source_rate,
            start=at,
            corrections=corrections,
            known=known,
        )
        yield Part(song, origin, range(first, stop), last)
        if isinstance(corrections.bpm, int | float):
            # The phase that was found holds, and with it the bars.
            first = song.downbeat_times[0] if len(song.downbeat_times) else song.beat_times[0]
            corrections = replace(corrections, beat_offset=float(first) + at, meter=song.meter)
        # 3. What the next part needs is kept.
        following = max(0, stop - round(BEFORE_SECONDS * fps))
        cut = _sample(following, fps) - begin
        if not song.tempo_is_guess:
            settled = (song.beat_times >= cut / rate) & (song.beat_times < _sample(stop, fps) / rate - begin / rate)
            beats = song.beat_times[settled]
            downbeats = song.downbeat_times[np.isin(song.downbeat_times, beats)]
            known = KnownBeats(beats - cut / rate, downbeats - cut / rate, song.meter)
        else:
            known = None
        sound, origin, first = sound[cut:], following, stop


def _sample(frame: int, fps: float) -> int:
    """The sample at the beginning of a frame."""
    return round(frame / fps * audio.ANALYSIS_SAMPLE_RATE)


def _decoder(path: str | os.PathLike, start: float, seconds: float) -> Callable[[int], np.ndarray]:
    """Decodes the part anew at another rate."""
    return lambda sample_rate: audio.decode(path, sample_rate=sample_rate, start=start, seconds=seconds)
