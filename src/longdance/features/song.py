"""Songs: what a dance needs to know of a piece of music, measured once and served at any frame rate.

Here belong the beat, bar and feature tracks of a whole song. Decoding is in `audio`, spectra in `spectrum`,
the beat tracker in `tracking`.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from longdance.errors import InputError
from longdance.features import audio, spectrum, tracking

CHANNEL_NAMES = (
    "onset_strength",
    *(f"mfcc_{index}" for index in range(spectrum.MFCC_COUNT)),
    *(f"chroma_{name}" for name in ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")),
    "onset_peak",
    "beat",
)
"""Names of the columns of `Song.features`, in order."""

_BLOCK_SECONDS = 30.0
_BLOCKS_KEPT = 20
_TARGET_RMS = 0.1
_GREATEST_GAIN = 1000.0  # what is softer than -80 dB of full scale stays silence
_PEAK_THRESHOLD = 0.07  # of the 99th percentile of the song's onset strength
_FALLBACK_BPM = 120.0
_BPM_RANGE = (20.0, 400.0)
_FURTHEST_BEAT = 1e6  # seconds; counting beats from further away overflows
_SETTLED = 100.0  # accent of a beat that is known to be a downbeat
_DECIBEL_PER_LOG = 20.0 / np.log(10.0)


@dataclass(frozen=True, eq=False)
class Song:
    """A piece of music as dances see it. Times are seconds from the beginning of the stretch that was
    loaded.
    """

    name: str
    """Path of the file, or a name given to generated samples."""
    seconds: float
    """Length of the stretch."""
    tempo_bpm: float
    """The prevailing tempo: 60 over the median time between beats, or the tempo that was given."""
    beat_times: np.ndarray
    """(beats,) seconds, increasing."""
    downbeat_times: np.ndarray
    """(downbeats,) seconds: those of `beat_times` that start a bar."""
    spectra: spectrum.Spectra = field(repr=False)
    start: float = 0.0
    """Where the stretch begins in the file, in seconds."""
    tempo_is_guess: bool = False
    """True where no beat was found, as in silence: the beats are then an even grid of 120 BPM."""
    sample_rate: int = audio.ANALYSIS_SAMPLE_RATE
    """Hertz, the rate of analysis, whatever the rate of the file."""
    decode: Callable[[int], np.ndarray] = field(kw_only=True, repr=False)
    """Mono samples `(samples,)` at a sample rate, decoded anew: for encoders that listen at a rate of their own."""

    @classmethod
    def load(
        cls,
        path: str | os.PathLike,
        *,
        bpm: float | None = None,
        beat_offset: float | None = None,
        start: float = 0.0,
        seconds: float | None = None,
    ) -> "Song":
        """Decode and measure a song of any common format and any length, in bounded memory.

        `start` and `seconds` cut out a stretch. With `bpm` the beats are an exactly even grid; with
        `beat_offset` (seconds in the file, the time of a "one") the grid runs through that time and bars
        are counted from it. What is not given is estimated. Raises InputError for files without usable
        sound and impossible values.
        """

        def blocks() -> Iterable[np.ndarray]:
            return audio.stream_blocks(path, block_seconds=_BLOCK_SECONDS, start=start, seconds=seconds)

        def decode(sample_rate: int) -> np.ndarray:
            return audio.decode(path, sample_rate=sample_rate, start=start, seconds=seconds)

        offset = None if beat_offset is None else beat_offset - start
        return _measure(blocks, str(Path(path)), decode, bpm=bpm, beat_offset=offset, start=float(start))

    @classmethod
    def from_samples(
        cls,
        samples: np.ndarray,
        sample_rate: int,
        *,
        name: str = "samples",
        bpm: float | None = None,
        beat_offset: float | None = None,
        beat_times: np.ndarray | None = None,
        downbeat_times: np.ndarray | None = None,
    ) -> "Song":
        """Measure a song from samples in memory, `(samples,)` or `(samples, channels)`.

        `beat_times` (seconds, increasing) are taken as they are instead of being tracked; so are
        `downbeat_times`, which need `beat_times` with them. `bpm` and `beat_offset` are as in `load`.
        Raises InputError for empty or non-finite samples, and for beats that are not increasing.
        """
        samples = np.asarray(samples, dtype=np.float32)
        if samples.ndim not in (1, 2) or not samples.size:
            raise InputError(
                f"expected samples of shape (samples,) or (samples, channels), got {samples.shape}"
            )
        if not np.isfinite(samples).all():
            raise InputError(f"expected finite samples of {name}, got NaN or infinity; try another file")
        given = audio.mix_down(samples, sample_rate)
        mono = audio.resample(given, sample_rate, audio.ANALYSIS_SAMPLE_RATE)
        block = round(_BLOCK_SECONDS * audio.ANALYSIS_SAMPLE_RATE)

        def blocks() -> Iterable[np.ndarray]:
            return (mono[begin : begin + block] for begin in range(0, len(mono), block))

        return _measure(
            blocks,
            name,
            lambda rate: audio.resample(given, sample_rate, rate),
            bpm=bpm,
            beat_offset=beat_offset,
            beat_times=beat_times,
            downbeat_times=downbeat_times,
        )

    def frames(self, fps: float) -> int:
        """Number of motion frames of the song."""
        return round(self.seconds * fps)

    @property
    def onset_strength(self) -> np.ndarray:
        """(onset_frames,) decibel: mean rise over the bands; frame i is at i / `spectrum.ONSET_RATE`
        seconds.
        """
        return self.spectra.onset * np.float32(_DECIBEL_PER_LOG)

    @property
    def onset_times(self) -> np.ndarray:
        """(onsets,) seconds: the peaks of the onset strength."""
        onset = self.spectra.onset
        threshold = _PEAK_THRESHOLD * float(np.percentile(onset, 99))
        peaks = tracking.pick_peaks(onset, spectrum.ONSET_RATE, threshold=max(threshold, 1e-3))
        return peaks / spectrum.ONSET_RATE

    def features(self, fps: float) -> np.ndarray:
        """The 35 channels of Lodge, one row per motion frame: `(round(seconds * fps), 35)` float32.

        Row i describes the time i / fps. Columns, as in `CHANNEL_NAMES`: onset strength 1 (decibel), MFCC
        20 (librosa's scale), chroma 12 (CENS, unit norm), onset peaks 1 (0 or 1), beats 1 (0 or 1). The
        samples are brought to one loudness first, so that a louder copy of a file has the same features.

        Source: Lodge (2024), section 3.1. Differs: chroma from a Fourier transform instead of a constant-Q
        one.
        """
        spectra, frames = self.spectra, self.frames(fps)
        chroma = spectrum.smooth_chroma(spectra.chroma, spectrum.TIMBRE_RATE)
        columns = [
            _at_frames(self.onset_strength[:, None], spectrum.ONSET_RATE, fps, frames),
            _at_frames(spectra.mfcc, spectrum.TIMBRE_RATE, fps, frames),
            _at_frames(chroma, spectrum.TIMBRE_RATE, fps, frames),
            _marks(self.onset_times, fps, frames)[:, None],
            _marks(self.beat_times, fps, frames)[:, None],
        ]
        return np.concatenate(columns, axis=1)

    def rhythm(self, fps: float) -> np.ndarray:
        """Where each motion frame stands between beats and in the bar: `(round(seconds * fps), 4)` float32.

        Columns: sine and cosine of the beat phase, sine and cosine of the bar phase. A phase is 0 on the beat
        (downbeat) and 2 pi on the next. Before the first and after the last beat the tempo goes on.
        """
        times = np.arange(self.frames(fps)) / fps
        beat = self.beat_position(times)
        bar = (beat - self._first_downbeat_index()) / tracking.BEATS_PER_BAR
        if len(self.downbeat_times) > 1:
            inside = _positions(self.downbeat_times, times, None)
            within = (times >= self.downbeat_times[0]) & (times <= self.downbeat_times[-1])
            after = (beat - self.beat_position(self.downbeat_times[-1:])) / tracking.BEATS_PER_BAR
            bar = np.where(within, inside, np.where(times > self.downbeat_times[-1], after, bar))
        phases = 2 * np.pi * np.stack([beat, bar], axis=1)
        return np.stack(
            [np.sin(phases[:, 0]), np.cos(phases[:, 0]), np.sin(phases[:, 1]), np.cos(phases[:, 1])], axis=1
        ).astype(np.float32)

    def beat_position(self, times: np.ndarray) -> np.ndarray:
        """Beats passed at each of `times`, (times,) seconds, fractional; 0 on the first beat, negative before it."""
        return _positions(self.beat_times, np.asarray(times, dtype=np.float64), 60.0 / self.tempo_bpm)

    def _first_downbeat_index(self) -> float:
        return float(self.beat_position(self.downbeat_times[:1])[0]) if len(self.downbeat_times) else 0.0


@dataclass(frozen=True)
class KnownBeats:
    """Settled before more of the song was heard: beats (beats,) and downbeats (downbeats,), increasing seconds."""

    beats: np.ndarray
    downbeats: np.ndarray


def _measure(
    blocks: Callable[[], Iterable[np.ndarray]],
    name: str,
    decode: Callable[[int], np.ndarray],
    *,
    bpm: float | None = None,
    beat_offset: float | None = None,
    beat_times: np.ndarray | None = None,
    downbeat_times: np.ndarray | None = None,
    start: float = 0.0,
) -> Song:
    """Two passes over the samples: one for the loudness, one for everything else.

    Songs of up to ten minutes stay in memory in between, longer ones are decoded twice.
    """
    check_beat_options(bpm, beat_offset)
    if downbeat_times is not None and beat_times is None:
        raise InputError(
            "expected beat_times together with downbeat_times, got downbeats alone; try giving both"
        )
    kept: list[np.ndarray] = []
    samples, gain = _loudness(_keeping(blocks(), kept))
    return _described(
        spectrum.measure_spectra(kept or blocks(), gain),
        samples / audio.ANALYSIS_SAMPLE_RATE,
        name,
        decode,
        bpm=bpm,
        beat_offset=beat_offset,
        beat_times=beat_times,
        downbeat_times=downbeat_times,
        start=start,
    )


def measure_part(
    samples: np.ndarray,
    gain: float,
    name: str,
    decode: Callable[[int], np.ndarray],
    *,
    start: float,
    bpm: float | None = None,
    beat_offset: float | None = None,
    known: KnownBeats | None = None,
) -> Song:
    """A part of a song that is heard bit by bit, from mono (samples,) at the analysis rate.

    ``gain`` is the factor that brings the song to one loudness. Beats and downbeats that are ``known`` (seconds from
    the part's beginning) stay where they are, and those that follow go on from them.
    """
    spectra = spectrum.measure_spectra([samples], gain)
    seconds = len(samples) / audio.ANALYSIS_SAMPLE_RATE
    return _described(
        spectra, seconds, name, decode, bpm=bpm, beat_offset=beat_offset, start=start, known=known
    )


def check_beat_options(bpm: float | None, beat_offset: float | None) -> None:
    """``InputError`` for a tempo or a beat that no song has."""
    if bpm is not None and not _BPM_RANGE[0] <= bpm <= _BPM_RANGE[1]:
        raise InputError(
            f"expected a tempo from {_BPM_RANGE[0]:g} to {_BPM_RANGE[1]:g} BPM, got {bpm}; try 120"
        )
    if beat_offset is not None and not abs(beat_offset) < _FURTHEST_BEAT:
        raise InputError(f"expected a finite beat offset in seconds, got {beat_offset}; try 0")


def _described(
    spectra: spectrum.Spectra,
    seconds: float,
    name: str,
    decode: Callable[[int], np.ndarray],
    *,
    bpm: float | None,
    beat_offset: float | None,
    beat_times: np.ndarray | None = None,
    downbeat_times: np.ndarray | None = None,
    start: float = 0.0,
    known: KnownBeats | None = None,
) -> Song:
    """The song whose spectra were measured: beats and bars found, or taken as given."""
    guess = False
    if beat_times is not None:
        beats = _checked_times(beat_times, "beat_times")
    elif bpm is not None or beat_offset is not None:
        bpm, beats = _even_beats(spectra, seconds, bpm, beat_offset)
    else:
        beats = _tracked_beats(spectra, known)
        beats = beats[beats < seconds - 0.02]  # the cut at the end of a file sounds like an onset
    if len(beats) < 2 and bpm is None:
        guess = True
        bpm = _FALLBACK_BPM
        if beat_times is None or not len(beats):
            beats = np.arange(0.0, seconds, 60.0 / bpm)
    tempo = float(bpm if bpm is not None else 60.0 / np.median(np.diff(beats)))
    if downbeat_times is not None:
        downbeats = _checked_times(downbeat_times, "downbeat_times")
    elif beat_offset is not None:
        count = np.round((beats - beat_offset) * tempo / 60.0).astype(int)
        downbeats = beats[count % tracking.BEATS_PER_BAR == 0]
    elif guess:
        downbeats = beats[:: tracking.BEATS_PER_BAR]
    else:
        downbeats = beats[_downbeat_indices(spectra, beats, known)]
    return Song(
        name=name,
        seconds=seconds,
        tempo_bpm=tempo,
        beat_times=beats,
        downbeat_times=downbeats,
        spectra=spectra,
        start=start,
        tempo_is_guess=guess,
        decode=decode,
    )


def _keeping(blocks: Iterable[np.ndarray], kept: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Pass blocks on and collect them in `kept`, which ends up empty if they are too many."""
    for number, block in enumerate(blocks):
        if number < _BLOCKS_KEPT:
            kept.append(block)
        elif kept:
            kept.clear()
        yield block


def _loudness(blocks: Iterable[np.ndarray]) -> tuple[int, float]:
    """Number of samples, and the factor that brings the song to the target loudness.

    The loudness is the root mean square over the parts of 0.4 s that are at most 40 dB below the loudest
    one, so that silence around a song does not count.
    """
    part = round(0.4 * audio.ANALYSIS_SAMPLE_RATE)
    samples = 0
    rest = np.zeros(0, dtype=np.float32)
    powers: list[np.ndarray] = []
    for block in blocks:
        samples += len(block)
        block = np.concatenate([rest, block])
        whole = len(block) // part * part
        powers.append(np.square(block[:whole].reshape(-1, part), dtype=np.float64).mean(axis=1))
        rest = block[whole:]
    power = np.concatenate(powers)
    if not len(power):
        power = np.square(rest, dtype=np.float64).mean(keepdims=True)
    return samples, gain_of(power)


def gain_of(power: np.ndarray) -> float:
    """The factor that brings sound of so much power, (parts,) of equal length, to the target loudness."""
    heard = power[power >= 1e-4 * power.max()]
    rms = float(np.sqrt(heard.mean()))
    return min(_TARGET_RMS / max(rms, 1e-12), _GREATEST_GAIN)


def _tracked_beats(spectra: spectrum.Spectra, known: KnownBeats | None) -> np.ndarray:
    novelty = _beat_novelty(spectra)
    if known is not None and len(known.beats):
        # What was settled sounds louder than anything: tempo and phase go on from there.
        cells = np.round(known.beats * spectrum.ONSET_RATE).astype(int)
        novelty[cells[cells < len(novelty)]] += 2 * novelty.max()
    audible = np.flatnonzero(spectra.onset > 0.1 * np.percentile(spectra.onset, 98))
    if len(novelty) < spectrum.ONSET_RATE or not np.percentile(spectra.onset, 98) > 1e-3 or not len(audible):
        return np.zeros(0)
    tempo = tracking.follow_tempo(novelty, spectrum.ONSET_RATE)
    beats = tracking.follow_beats(novelty, spectrum.ONSET_RATE, tempo.tempo_bpm)
    # Beats before the first and after the last sound would be made up.
    slack = 0.1 * spectrum.ONSET_RATE
    beats = beats[(beats >= audible[0] - slack) & (beats <= audible[-1] + slack)]
    beats = np.maximum(beats / spectrum.ONSET_RATE, 0.0)
    if known is None or not len(known.beats):
        return beats
    period = np.median(np.diff(beats)) if len(beats) > 1 else 0.0
    return np.concatenate((known.beats, beats[beats > known.beats[-1] + period / 2]))


def _beat_novelty(spectra: spectrum.Spectra) -> np.ndarray:
    """Onset strength with the low band weighed up: kick and bass carry the beat more often than hats do."""
    return spectra.onset + 0.3 * spectra.onset_low


def _even_beats(
    spectra: spectrum.Spectra, seconds: float, bpm: float | None, offset: float | None
) -> tuple[float, np.ndarray]:
    novelty = _beat_novelty(spectra)
    if bpm is None:
        path = tracking.follow_tempo(novelty, spectrum.ONSET_RATE)
        middle = float(np.median(path.tempo_bpm))
        candidates = middle * np.linspace(0.98, 1.02, 81)
    else:
        candidates = np.array([bpm])
    tempo, phase = tracking.fit_grid(novelty, spectrum.ONSET_RATE, candidates, offset=offset)
    period = 60.0 / tempo
    first = phase - np.floor(phase / period + 1e-9) * period
    return tempo, first + period * np.arange(max(1, np.ceil((seconds - first) / period - 1e-9)))


def _downbeat_indices(spectra: spectrum.Spectra, beats: np.ndarray, known: KnownBeats | None) -> np.ndarray:
    """Downbeats have low-frequency onsets and new harmony; beats two and four have the snare."""
    frames = beats * spectrum.ONSET_RATE
    reach = np.arange(-3, 4)
    near = np.clip(np.round(frames)[:, None].astype(int) + reach, 0, len(spectra.onset) - 1)
    low = _standard(spectra.onset_low[near].max(axis=1))
    high = _standard(spectra.onset_high[near].max(axis=1))
    change = _standard(_harmonic_change(spectra.chroma, beats))
    downbeat = 0.7 * low + 2.5 * change
    backbeat = 0.4 * (high - low)
    accent = np.stack([downbeat, backbeat, 0.25 * (low + change), backbeat], axis=1)
    if known is not None and len(known.beats):
        settled = beats <= known.beats[-1]
        accent[settled, 0] = np.where(np.isin(beats[settled], known.downbeats), _SETTLED, -_SETTLED)
    return tracking.choose_downbeats(accent, change_cost=16.0)


def _harmonic_change(chroma: np.ndarray, beats: np.ndarray) -> np.ndarray:
    """One minus the cosine between the mean chroma of the two beats before and after each beat: (beats,)."""
    span = 2 * float(np.median(np.diff(beats))) if len(beats) > 1 else 1.0
    sums = np.concatenate([np.zeros((1, chroma.shape[1])), np.cumsum(chroma, axis=0, dtype=np.float64)])

    def total(begin: np.ndarray, end: np.ndarray) -> np.ndarray:
        cells = np.clip(np.round(np.stack([begin, end]) * spectrum.TIMBRE_RATE).astype(int), 0, len(chroma))
        return sums[cells[1]] - sums[cells[0]]

    before, after = total(beats - span, beats), total(beats, beats + span)
    scale = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    product = (before * after).sum(axis=1)
    return 1.0 - np.divide(product, scale, out=np.ones(len(product)), where=scale > 0)


def _standard(values: np.ndarray) -> np.ndarray:
    spread = values.std()
    return np.clip((values - values.mean()) / spread, -2.0, 2.0) if spread > 1e-9 else np.zeros(len(values))


def _checked_times(times: np.ndarray, name: str) -> np.ndarray:
    times = np.array(times, dtype=np.float64)
    if times.ndim != 1 or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise InputError(f"expected {name} as increasing seconds of shape (beats,), got shape {times.shape}")
    return times


def _positions(beats: np.ndarray, times: np.ndarray, period: float | None) -> np.ndarray:
    """Fractional index of `times` among `beats`; beyond both ends beats go on every `period` seconds."""
    position = np.interp(times, beats, np.arange(len(beats), dtype=np.float64))
    if period is None:
        return position
    before, after = times < beats[0], times > beats[-1]
    position = np.where(before, (times - beats[0]) / period, position)
    return np.where(after, len(beats) - 1 + (times - beats[-1]) / period, position)


def _at_frames(values: np.ndarray, rate: float, fps: float, frames: int) -> np.ndarray:
    """Mean of `values` (cells, channels), each lasting 1 / rate, over each motion frame: (frames,
    channels).
    """
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0, dtype=np.float64)])
    edges = ((np.arange(frames + 1) - 0.5) / fps) * rate + 0.5
    # Outside the song the first and last value go on.
    inside = np.clip(edges, 0.0, len(values))
    low = np.minimum(inside.astype(int), len(values) - 1)
    integral = sums[low] + (inside - low)[:, None] * values[low]
    integral += (edges - inside)[:, None] * np.where((edges < 0)[:, None], values[:1], values[-1:])
    return (np.diff(integral, axis=0) * fps / rate).astype(np.float32)


def _marks(times: np.ndarray, fps: float, frames: int) -> np.ndarray:
    marks = np.zeros(frames, dtype=np.float32)
    indices = np.round(times * fps).astype(int)
    marks[indices[(indices >= 0) & (indices < frames)]] = 1.0
    return marks
