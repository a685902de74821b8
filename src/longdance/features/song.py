"""Songs: what a dance needs to know of a piece of music, measured once and served at any frame rate.

Here belong the beat, bar and feature tracks of a whole song. Decoding is in `audio`, spectra in `spectrum`, the
network that hears beats in `beatnet`, and what becomes of it in `pulse`.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from longdance.errors import InputError
from longdance.features import audio, beatnet, loudness, spectrum, tracking
from longdance.features.pulse import Alternative, Heard, KnownBeats, Pulse, SongCorrections, find_pulse, tempo_near

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
_NETWORK_RMS = 0.14  # what the network hears: the loudness of the records it was trained on
_GREATEST_GAIN = 1000.0  # what is softer than -80 dB of full scale stays silence
_CLOSE = 0.8  # fit of another tempo, against that of the one chosen, from which on it is mentioned
_PEAK_THRESHOLD = 0.07  # of the 99th percentile of the song's onset strength
_DECIBEL_PER_LOG = 20.0 / np.log(10.0)

NO_CORRECTIONS = SongCorrections()


@dataclass(frozen=True, eq=False)
class Song:
    """A piece of music as dances see it. Times are seconds from the beginning of the stretch that was
    loaded.
    """

    name: str
    """Path of the file, or a name given to generated samples."""
    seconds: float
    """Length of the stretch."""
    pulse: Pulse = field(repr=False)
    """Beats and bars, and how sure they are."""
    spectra: spectrum.Spectra = field(repr=False)
    activations: np.ndarray | None = field(default=None, repr=False)
    """(frames, 3) at `beatnet.ACTIVATION_RATE`: probabilities of beat, downbeat, neither; None for given beats."""
    powers: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False)
    """(cells,) K-weighted mean squares at `loudness.LOUDNESS_RATE`."""
    start: float = 0.0
    """Where the stretch begins in the file, in seconds."""
    sample_rate: int = audio.ANALYSIS_SAMPLE_RATE
    """Hertz, the rate of analysis, whatever the rate of the file."""
    source_rate: int = field(kw_only=True)
    """Hertz, the rate of the file or of the samples that were given."""
    decode: Callable[[int], np.ndarray] = field(kw_only=True, repr=False)
    """Mono samples `(samples,)` at a sample rate, decoded anew: for encoders that listen at a rate of their own."""

    @property
    def tempo_bpm(self) -> float:
        """The prevailing tempo: 60 over the median time between beats, or the tempo that was given."""
        return self.pulse.tempo_bpm

    @property
    def beat_times(self) -> np.ndarray:
        """(beats,) seconds, increasing."""
        return self.pulse.beats

    @property
    def downbeat_times(self) -> np.ndarray:
        """(downbeats,) seconds: those of `beat_times` that start a bar."""
        return self.pulse.downbeats

    @property
    def meter(self) -> int:
        """Beats in a bar, 3 or 4."""
        return self.pulse.meter

    @property
    def kind(self) -> str:
        """`even`, `drifting`, or `guessed` where no beat was found, as in silence: then an even grid of 120 BPM."""
        return self.pulse.kind

    @property
    def confidence(self) -> float:
        """How evenly the beats lay where they were heard, 0 to 1; 1 where they were given."""
        return self.pulse.confidence

    @property
    def alternatives(self) -> tuple[Alternative, ...]:
        """Other tempi at which the beats might be counted, the likeliest first."""
        return self.pulse.alternatives

    @property
    def loudness(self) -> np.ndarray:
        """(cells,) decibel (LUFS): momentary loudness of the file, cell i at i / `loudness.LOUDNESS_RATE` seconds."""
        return loudness.momentary(self.powers)

    @property
    def bar_loudness(self) -> np.ndarray:
        """(downbeats,) decibel (LUFS): loudness of each bar, the last one to the end of the song."""
        return loudness.over(self.powers, np.append(self.downbeat_times, self.seconds))

    @property
    def onset_density(self) -> np.ndarray:
        """(cells,) onsets per second in the two seconds around each cell, at the rate of `loudness`."""
        times = np.arange(len(self.powers)) / loudness.LOUDNESS_RATE
        edges = np.clip(times[:, None] + np.array([-1.0, 1.0]), 0.0, self.seconds)
        counts = np.diff(np.searchsorted(self.onset_times, edges), axis=1)[:, 0]
        return (counts / np.maximum(np.diff(edges, axis=1)[:, 0], 1e-9)).astype(np.float32)

    @property
    def doubts(self) -> tuple[str, ...]:
        """What a person should know before trusting the beats, in words."""
        if self.kind == "guessed":
            return (f"no beat was heard: {self.tempo_bpm:g} BPM is a guess; say --bpm if you know it",)
        close = [other for other in self.alternatives if other.fit >= _CLOSE]
        if not close:
            return ()
        ratio = close[0].tempo_bpm / self.tempo_bpm
        say = "half" if abs(ratio - 0.5) < 0.02 else "double" if abs(ratio - 2) < 0.08 else f"{close[0].tempo_bpm:.0f}"
        return (f"{self.tempo_bpm:.0f} BPM; {close[0].tempo_bpm:.0f} fits nearly as well: --bpm {say}",)

    @property
    def tempo_is_guess(self) -> bool:
        """Whether no beat was found."""
        return self.pulse.kind == "guessed"

    @classmethod
    def load(
        cls,
        path: str | os.PathLike,
        *,
        corrections: SongCorrections = NO_CORRECTIONS,
        start: float = 0.0,
        seconds: float | None = None,
    ) -> "Song":
        """Decode and measure a song of any common format and any length, in bounded memory.

        `start` and `seconds` cut out a stretch. What the `corrections` say of the beats (in seconds of the file) is
        taken, the rest is heard. Raises InputError for files without usable sound and impossible values.
        """

        def blocks() -> Iterable[np.ndarray]:
            return audio.stream_blocks(path, block_seconds=_BLOCK_SECONDS, start=start, seconds=seconds)

        def decode(sample_rate: int) -> np.ndarray:
            return audio.decode(path, sample_rate=sample_rate, start=start, seconds=seconds)

        rate = audio.sample_rate_of(path)
        return _measure(blocks, str(Path(path)), decode, rate, corrections=corrections, start=float(start))

    @classmethod
    def from_samples(
        cls,
        samples: np.ndarray,
        sample_rate: int,
        *,
        name: str = "samples",
        corrections: SongCorrections = NO_CORRECTIONS,
        beat_times: np.ndarray | None = None,
        downbeat_times: np.ndarray | None = None,
    ) -> "Song":
        """Measure a song from samples in memory, `(samples,)` or `(samples, channels)`.

        `beat_times` and `downbeat_times` (seconds, increasing) stand for those of the `corrections`. Raises InputError
        for empty or non-finite samples, and for beats that are not increasing.
        """
        samples = np.asarray(samples, dtype=np.float32)
        if samples.ndim not in (1, 2) or not samples.size:
            raise InputError(
                f"expected samples of shape (samples,) or (samples, channels), got {samples.shape}"
            )
        if not np.isfinite(samples).all():
            raise InputError(f"expected finite samples of {name}, got NaN or infinity; try another file")
        if beat_times is not None or downbeat_times is not None:
            corrections = replace(corrections, beats=_times(beat_times), downbeats=_times(downbeat_times))
        given = audio.mix_down(samples, sample_rate)
        mono = audio.resample(given, sample_rate, audio.ANALYSIS_SAMPLE_RATE)
        block = round(_BLOCK_SECONDS * audio.ANALYSIS_SAMPLE_RATE)

        def blocks() -> Iterable[np.ndarray]:
            return (mono[begin : begin + block] for begin in range(0, len(mono), block))

        return _measure(
            blocks, name, lambda rate: audio.resample(given, sample_rate, rate), sample_rate, corrections=corrections
        )

    def corrected(self, corrections: SongCorrections) -> "Song":
        """The same song with its beats and bars laid anew, without being heard again.

        Song files whose beats were given need to be loaded anew for others to be heard: `InputError`.
        """
        if corrections.beats is None and self.activations is None:
            raise InputError(f"{self.name}: expected a song whose beats were heard; try loading it without given beats")
        heard = Heard(self.spectra, self.activations, self.seconds)
        return replace(self, pulse=find_pulse(heard, corrections.since(self.start)))

    def tempo_near(self, bpm: float) -> float:
        """The even tempo that fits best among those as near to ``bpm`` as people tap."""
        return tempo_near(Heard(self.spectra, self.activations, self.seconds), bpm)

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
        bar = (beat - self._first_downbeat_index()) / self.meter
        if len(self.downbeat_times) > 1:
            inside = _positions(self.downbeat_times, times, None)
            within = (times >= self.downbeat_times[0]) & (times <= self.downbeat_times[-1])
            after = (beat - self.beat_position(self.downbeat_times[-1:])) / self.meter
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


def _measure(
    blocks: Callable[[], Iterable[np.ndarray]],
    name: str,
    decode: Callable[[int], np.ndarray],
    source_rate: int,
    *,
    corrections: SongCorrections,
    start: float = 0.0,
) -> Song:
    """Two passes over the samples: one for the loudness, one for everything else.

    Songs of up to ten minutes stay in memory in between, longer ones are decoded twice.
    """
    kept: list[np.ndarray] = []
    _, gain = _loudness(_keeping(blocks(), kept))
    return measure_part(kept or blocks(), gain, name, decode, source_rate, start=start, corrections=corrections)


def measure_part(
    blocks: Iterable[np.ndarray],
    gain: float,
    name: str,
    decode: Callable[[int], np.ndarray],
    source_rate: int,
    *,
    start: float,
    corrections: SongCorrections,
    known: KnownBeats | None = None,
) -> Song:
    """A song, or a part of one that is heard bit by bit, from mono blocks (samples,) at the analysis rate.

    ``gain`` is the factor that brings the song to one loudness. Beats and downbeats that are ``known`` (seconds from
    the part's beginning) stay where they are, and those that follow go on from them.
    """
    hear = beatnet.Activations() if corrections.beats is None else None
    parts: list[np.ndarray] = []
    measure = loudness.Loudness()
    samples = 0

    def heard() -> Iterator[np.ndarray]:
        nonlocal samples
        for block in blocks:
            samples += len(block)
            measure(block)
            if hear is not None:
                parts.append(hear(block * np.float32(gain * _NETWORK_RMS / _TARGET_RMS)))
            yield block

    spectra = spectrum.measure_spectra(heard(), gain)
    activations = None if hear is None else np.concatenate([*parts, hear.rest()])
    seconds = samples / audio.ANALYSIS_SAMPLE_RATE
    pulse = find_pulse(Heard(spectra, activations, seconds), corrections.since(start), known)
    return Song(
        name, seconds, pulse, spectra, activations, measure.powers(), start, source_rate=source_rate, decode=decode
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


def _times(times: np.ndarray | None) -> tuple[float, ...] | None:
    return None if times is None else tuple(np.asarray(times, dtype=np.float64).tolist())


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
