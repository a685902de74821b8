"""Songs for tests: a drum on every beat, hats between them, and a bass that changes its note with the bar."""

import numpy as np

RATE = 22050
"""Samples per second."""
_CHORDS = (0, 9, 5, 7)
"""Half steps of the bass above its key, a bar each."""


def click_track(
    beat_times: np.ndarray, *, seconds: float, seed: int = 0, downbeat_offset: int = 0, meter: int = 4, rate: int = RATE
) -> np.ndarray:
    """(samples,) float32 of a song with a bar's first beat at ``beat_times[downbeat_offset]``, the same for a seed."""
    rng = np.random.default_rng(seed)
    track = np.zeros(round(seconds * rate))
    key = 41.2 * 2 ** (rng.integers(12) / 12)  # hertz, from a low E
    lengths = np.diff(beat_times, append=2 * beat_times[-1] - beat_times[-2])
    for number, (start, length) in enumerate(zip(beat_times, lengths, strict=True)):
        count = (number - downbeat_offset) % meter
        bar = (number - downbeat_offset) // meter
        _add(track, start, _drum(rate, 150, 50, 0.12), 1.0 if count == 0 else 0.8, rate)
        if meter == 4 and count % 2:
            _add(track, start, _noise(rng, rate, 0.09), 0.5, rate)
        for part in (0, 1):
            _add(track, start + part * length / 2, _noise(rng, rate, 0.03), 0.25, rate)
        note = key * 2 ** (_CHORDS[bar % len(_CHORDS)] / 12)
        _add(track, start, _tone(rate, note, 0.8 * length), 0.7 if count == 0 else 0.45, rate)
        if count == 0:
            for step in (0, 4, 7):
                _add(track, start, _tone(rate, 4 * note * 2 ** (step / 12), 0.9 * meter * length), 0.15, rate)
    return (0.6 * track / max(1e-9, np.abs(track).max())).astype(np.float32)


def _add(track: np.ndarray, start: float, sound: np.ndarray, level: float, rate: int) -> None:
    """A sound in a track, cut where it would reach beyond either end."""
    begin = round(start * rate)
    sound = sound[max(0, -begin) :][: max(0, len(track) - max(0, begin))]
    track[max(0, begin) : max(0, begin) + len(sound)] += level * sound


def _drum(rate: int, high: float, low: float, seconds: float) -> np.ndarray:
    """A tone that falls and fades."""
    time = np.arange(round(seconds * rate)) / rate
    frequency = low + (high - low) * np.exp(-time / 0.03)
    return np.sin(2 * np.pi * np.cumsum(frequency) / rate) * np.exp(-time / 0.06)


def _noise(rng: np.random.Generator, rate: int, seconds: float) -> np.ndarray:
    """A burst of high noise."""
    noise = np.diff(rng.standard_normal(round(seconds * rate) + 1))
    return noise / 3 * np.exp(-np.arange(len(noise)) / (0.3 * seconds * rate))


def _tone(rate: int, frequency: float, seconds: float) -> np.ndarray:
    """A plucked string: a few harmonics, each fading faster than the one below."""
    time = np.arange(round(seconds * rate)) / rate
    waves = (np.sin(2 * np.pi * k * frequency * time) * np.exp(-time * k / seconds) / k for k in (1, 2, 3, 4))
    return sum(waves, np.zeros(len(time))) * np.minimum(1, time / 0.004)
