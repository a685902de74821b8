"""Sounds made from nothing: drums, tones, rooms, and the sum of many sounds on one track.

Here belongs what makes a single sound or changes one. When which sound is played is decided in `composer`.
Sounds are float32 `(samples,)` with peaks near 1; frequencies are in hertz, times in seconds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.signal

_TABLE = 4096


@dataclass(frozen=True)
class Timbre:
    """A pitched instrument: one period of its wave, how it starts, brightens and dies away."""

    partials: tuple[float, ...]
    """Amplitudes of the harmonics from the fundamental on."""
    attack: float = 0.004
    """Seconds to full level."""
    decay: float = np.inf
    """Seconds in which the level falls to 1/e; infinite for instruments that sustain."""
    release: float = 0.05
    """Seconds to silence once the note ends."""
    bright_decay: float = np.inf
    """Seconds in which the harmonics above the second fall to 1/e."""
    detune_cents: float = 0.0
    """Distance between the outer of three voices; 0 is a single voice."""
    modulation: float = 0.0
    """Depth of frequency modulation in radians; bells and electric pianos have some."""
    modulation_ratio: float = 1.0
    """Frequency of the modulator over that of the note."""
    vibrato_cents: float = 0.0
    """Depth of a 5.5 Hz vibrato that sets in after a quarter of a second."""


def saw(brightness: float = 1.0, count: int = 24) -> tuple[float, ...]:
    """Harmonics of a sawtooth, `1 / k ** (2 - brightness)`; at brightness 0 nearly a triangle."""
    return tuple(1.0 / k ** (2.0 - brightness) for k in range(1, count + 1))


def square(brightness: float = 1.0, count: int = 24) -> tuple[float, ...]:
    """Odd harmonics, otherwise as `saw`."""
    return tuple(k % 2 / k ** (2.0 - brightness) for k in range(1, count + 1))


def frequency_of(midi: float) -> float:
    """Hertz of a MIDI note number; 69 is A at 440 Hz."""
    return 440.0 * 2.0 ** ((midi - 69.0) / 12.0)


@lru_cache(maxsize=1024)
def tone(timbre: Timbre, frequency: float, seconds: float, sample_rate: int) -> np.ndarray:
    """One note held for `seconds`, its release not applied yet. Read-only: it is shared by equal notes."""
    times = np.arange(max(1, round(seconds * sample_rate)), dtype=np.float32) / np.float32(sample_rate)
    bend = timbre.vibrato_cents / 1200.0 * np.log(2.0)
    swing = np.zeros(0)
    if bend:
        depth = bend * np.clip((times - 0.25) / 0.3, 0.0, 1.0)
        swing = np.cumsum(depth * np.sin(2 * np.pi * 5.5 * times), dtype=np.float64) / sample_rate
    voices = (-0.5, 0.0, 0.5) if timbre.detune_cents else (0.0,)
    dark, bright = _tables(timbre.partials, int(sample_rate / 2 / frequency))
    fade = (
        np.exp(-times / np.float32(timbre.bright_decay))
        if np.isfinite(timbre.bright_decay)
        else np.float32(1)
    )
    sound = np.zeros(len(times), dtype=np.float32)
    for number, voice in enumerate(voices):
        pitch = frequency * 2.0 ** (voice * timbre.detune_cents / 1200.0)
        cycles = times.astype(np.float64) * pitch + 0.37 * number
        if bend:
            cycles += pitch * swing
        if timbre.modulation:
            index = timbre.modulation * np.exp(-times / np.float32(max(0.3, timbre.decay / 2)))
            cycles += index * np.sin(2 * np.pi * timbre.modulation_ratio * pitch * times) / (2 * np.pi)
        place = (cycles * _TABLE).astype(np.int64) & (_TABLE - 1)
        sound += dark[place] + fade * bright[place]
    sound /= len(voices)
    envelope = np.minimum(times / np.float32(max(timbre.attack, 1e-4)), 1.0)
    if np.isfinite(timbre.decay):
        envelope *= np.exp(-times / np.float32(timbre.decay))
    sound *= envelope
    sound.setflags(write=False)
    return sound


@lru_cache(maxsize=256)
def _tables(partials: tuple[float, ...], greatest: int) -> tuple[np.ndarray, np.ndarray]:
    """One period of the first two harmonics, and one of the others up to the `greatest`-th."""
    amplitudes = np.zeros(_TABLE // 2 + 1)
    kept = partials[: max(1, greatest)]
    amplitudes[1 : len(kept) + 1] = kept
    amplitudes /= max(1e-9, np.sqrt((amplitudes**2).sum()) * 1.6)
    spectrum = -0.5j * _TABLE * amplitudes
    low = spectrum.copy()
    low[3:] = 0
    return (
        np.fft.irfft(low).astype(np.float32),
        np.fft.irfft(spectrum - low).astype(np.float32),
    )


def note(timbre: Timbre, midi: int, seconds: float, sample_rate: int) -> np.ndarray:
    """One note of `seconds`, released at its end: `(samples,)`, a little longer than `seconds`."""
    total = seconds + timbre.release
    # Notes are cut from a few standard lengths, so that each pitch is made only once or twice.
    standard = next((length for length in (0.3, 0.6, 1.2, 2.4) if length >= total), np.ceil(total * 2) / 2)
    whole = tone(timbre, frequency_of(midi), float(standard), sample_rate)
    sound = whole[: round(total * sample_rate)].copy()
    release = min(len(sound), max(1, round(timbre.release * sample_rate)))
    sound[-release:] *= np.linspace(1.0, 0.0, release, dtype=np.float32) ** 2
    return sound


def add_at(track: np.ndarray, start: int, sound: np.ndarray, gain: float) -> None:
    """Add `sound` times `gain` to `track` from sample `start` on, in place; what sticks out is cut off."""
    begin, end = max(0, start), min(len(track), start + len(sound))
    if end > begin:
        track[begin:end] += np.float32(gain) * sound[begin - start : end - start]


def filtered(sound: np.ndarray, sample_rate: int, *, low: float = 0.0, high: float = np.inf) -> np.ndarray:
    """Keep what lies between `low` and `high` hertz, with gentle slopes (second-order Butterworth)."""
    nyquist = sample_rate / 2
    if low > 0:
        sections = scipy.signal.butter(2, low / nyquist, "highpass", output="sos")
        sound = np.asarray(scipy.signal.sosfilt(sections, sound))
    if high < 0.95 * nyquist:
        sections = scipy.signal.butter(2, high / nyquist, "lowpass", output="sos")
        sound = np.asarray(scipy.signal.sosfilt(sections, sound))
    return sound.astype(np.float32, copy=False)


def reverberate(sound: np.ndarray, sample_rate: int, *, seconds: float, seed: int) -> np.ndarray:
    """The sound as heard from the walls of a room whose echo dies away in `seconds` (by 60 dB), same length.

    `seed` picks the room; two seeds give the two ears of a stereo room.
    """
    generator = np.random.default_rng(seed)
    count = max(2, round(seconds * sample_rate))
    times = np.arange(count) / sample_rate
    echo = generator.standard_normal(count) * 10.0 ** (-3.0 * times / seconds)
    echo[: round(0.008 * sample_rate)] = 0.0
    echo = filtered(echo.astype(np.float32), sample_rate, low=180.0, high=4500.0)
    echo /= np.sqrt(np.square(echo).sum()) + 1e-9
    return scipy.signal.oaconvolve(sound, echo)[: len(sound)].astype(np.float32)


def sweep_low_pass(sound: np.ndarray, sample_rate: int, cutoffs: np.ndarray) -> np.ndarray:
    """Low-pass with a cut-off (hertz) that moves along `cutoffs` (any number of points, spread over the
    sound).

    The sound is filtered at six fixed cut-offs, and neighbours are mixed as the cut-off moves between them.
    """
    ladder = np.geomspace(150.0, 0.9 * sample_rate / 2, 6)
    places = np.interp(np.arange(len(sound)), np.linspace(0, len(sound) - 1, len(cutoffs)), cutoffs)
    steps = np.interp(np.log(places), np.log(ladder), np.arange(len(ladder)))
    result = np.zeros_like(sound)
    for index, cutoff in enumerate(ladder):
        share = np.clip(1.0 - np.abs(steps - index), 0.0, 1.0).astype(np.float32)
        if share.any():
            result += share * filtered(sound, sample_rate, high=float(cutoff))
    return result


def soft_limit(sound: np.ndarray, ceiling: float = 0.95) -> np.ndarray:
    """Bend peaks so that none exceeds `ceiling`; what stays below half of it is hardly changed."""
    return (ceiling * np.tanh(sound / ceiling)).astype(np.float32)


def _decay(count: int, seconds: float, sample_rate: int) -> np.ndarray:
    return np.exp(-np.arange(count, dtype=np.float32) / np.float32(seconds * sample_rate))


def _noise(generator: np.random.Generator, count: int) -> np.ndarray:
    return generator.standard_normal(count, dtype=np.float32)


def _sweep(start: float, end: float, fall: float, count: int, sample_rate: int) -> np.ndarray:
    """A sine whose frequency falls from `start` to `end` hertz with time constant `fall` seconds."""
    times = np.arange(count) / sample_rate
    cycles = end * times + (start - end) * fall * (1.0 - np.exp(-times / fall))
    return np.sin(2 * np.pi * cycles).astype(np.float32)


def _normalised(sound: np.ndarray) -> np.ndarray:
    sound = np.asarray(sound, dtype=np.float32)
    fade = min(len(sound), 64)
    sound[-fade:] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    return sound / (np.abs(sound).max() + 1e-9)


def kick(generator: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Bass drum: a falling sine, a click, some drive."""
    decay = generator.uniform(0.07, 0.2)
    count = round(5 * decay * sample_rate)
    end = generator.uniform(42.0, 62.0)
    body = _sweep(end * generator.uniform(3.0, 7.0), end, generator.uniform(0.012, 0.035), count, sample_rate)
    body *= _decay(count, decay, sample_rate)
    click = _noise(generator, count) * _decay(count, 0.003, sample_rate) * generator.uniform(0.05, 0.5)
    drive = generator.uniform(1.0, 3.0)
    return _normalised(np.tanh(drive * (body + click)))


def snare(generator: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Snare drum: a tuned head and a rattle."""
    decay = generator.uniform(0.05, 0.13)
    count = round(5 * decay * sample_rate)
    pitch = generator.uniform(160.0, 240.0)
    head = _sweep(pitch * 1.6, pitch, 0.015, count, sample_rate) * _decay(count, decay * 0.6, sample_rate)
    rattle = filtered(_noise(generator, count), sample_rate, low=generator.uniform(900.0, 2200.0))
    rattle *= _decay(count, decay, sample_rate)
    return _normalised(generator.uniform(0.4, 0.9) * head + generator.uniform(0.35, 0.7) * rattle)


def clap(generator: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Several hands, a few milliseconds apart."""
    decay = generator.uniform(0.05, 0.11)
    count = round(5 * decay * sample_rate)
    envelope = 0.8 * _decay(count, decay, sample_rate)
    for hand in range(3):
        late = round(hand * generator.uniform(0.006, 0.011) * sample_rate)
        envelope[late:] += _decay(count - late, 0.004, sample_rate)
    middle = generator.uniform(900.0, 1700.0)
    return _normalised(
        filtered(_noise(generator, count) * envelope, sample_rate, low=middle * 0.6, high=middle * 3)
    )


def rim(generator: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Stick on the rim."""
    count = round(0.06 * sample_rate)
    pitch = generator.uniform(1400.0, 2000.0)
    sound = _sweep(pitch, pitch * 0.8, 0.01, count, sample_rate) * _decay(count, 0.009, sample_rate)
    return _normalised(sound + 0.3 * _noise(generator, count) * _decay(count, 0.004, sample_rate))


def _metal(
    generator: np.random.Generator, sample_rate: int, decay: float, low: float, tuned: float
) -> np.ndarray:
    count = round(min(5 * decay, 3.0) * sample_rate)
    times = np.arange(count, dtype=np.float32) / sample_rate
    base = generator.uniform(380.0, 560.0)
    ring = np.zeros(count, dtype=np.float32)
    for ratio in (2.0, 3.0, 4.16, 5.43, 6.79, 8.21):
        ring += np.sign(np.sin(2 * np.pi * np.float32(base * ratio) * times))
    sound = filtered(tuned * ring / 6 + (1 - tuned) * _noise(generator, count), sample_rate, low=low)
    return _normalised(sound * _decay(count, decay, sample_rate))


def closed_hat(generator: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Closed hi-hat."""
    return _metal(generator, sample_rate, generator.uniform(0.012, 0.04), 6500.0, generator.uniform(0.2, 0.8))


def open_hat(generator: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Open hi-hat."""
    return _metal(generator, sample_rate, generator.uniform(0.1, 0.22), 6000.0, generator.uniform(0.2, 0.8))


def ride(generator: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Ride cymbal: a ping and a wash."""
    wash = _metal(generator, sample_rate, generator.uniform(0.3, 0.6), 4500.0, 0.7)
    ping = _metal(generator, sample_rate, 0.04, 3000.0, 0.9)
    wash *= 0.4
    wash[: len(ping)] += 0.6 * ping
    return _normalised(wash)


def crash(generator: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Crash cymbal."""
    return _metal(generator, sample_rate, generator.uniform(0.4, 0.8), 3000.0, 0.3)


def shaker(generator: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Shaker or maracas."""
    count = round(0.09 * sample_rate)
    rise = round(generator.uniform(0.002, 0.015) * sample_rate)
    envelope = _decay(count, generator.uniform(0.012, 0.03), sample_rate)
    envelope[:rise] = np.linspace(0.0, 1.0, rise)
    return _normalised(filtered(_noise(generator, count), sample_rate, low=5000.0) * envelope)


def _skin(
    pitch: float, decay: float, slap: float, generator: np.random.Generator, sample_rate: int
) -> np.ndarray:
    count = round(5 * decay * sample_rate)
    sound = _sweep(pitch * 1.25, pitch, 0.02, count, sample_rate) * _decay(count, decay, sample_rate)
    hand = filtered(_noise(generator, count), sample_rate, low=600.0, high=5000.0)
    return _normalised(sound + slap * hand * _decay(count, 0.006 + 0.012 * slap, sample_rate))


def tom(generator: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Tom-tom."""
    return _skin(generator.uniform(85.0, 150.0), generator.uniform(0.12, 0.22), 0.3, generator, sample_rate)


def conga_open(generator: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Conga, open tone."""
    return _skin(generator.uniform(180.0, 230.0), generator.uniform(0.1, 0.18), 0.25, generator, sample_rate)


def conga_slap(generator: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Conga or bongo, slap."""
    return _skin(generator.uniform(300.0, 420.0), generator.uniform(0.025, 0.05), 1.0, generator, sample_rate)


def conga_mute(generator: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Conga, palm and finger tips."""
    return _skin(generator.uniform(150.0, 200.0), 0.025, 0.5, generator, sample_rate)


def cowbell(generator: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Cowbell: two square waves."""
    count = round(0.35 * sample_rate)
    times = np.arange(count) / sample_rate
    pitch = generator.uniform(500.0, 620.0)
    sound = np.sign(np.sin(2 * np.pi * pitch * times)) + np.sign(np.sin(2 * np.pi * 1.48 * pitch * times))
    sound = filtered(sound.astype(np.float32), sample_rate, low=500.0, high=4000.0)
    envelope = 0.6 * _decay(count, 0.015, sample_rate) + 0.4 * _decay(
        count, generator.uniform(0.04, 0.09), sample_rate
    )
    return _normalised(sound * envelope)


def clave(generator: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Claves or wood block."""
    count = round(0.1 * sample_rate)
    pitch = generator.uniform(1700.0, 2600.0)
    return _normalised(_sweep(pitch, pitch, 0.01, count, sample_rate) * _decay(count, 0.016, sample_rate))


def riser(generator: np.random.Generator, sample_rate: int, seconds: float) -> np.ndarray:
    """Noise that swells for `seconds`, the announcement of a drop."""
    count = max(2, round(seconds * sample_rate))
    sound = sweep_low_pass(_noise(generator, count), sample_rate, np.geomspace(400.0, 9000.0, 8))
    return _normalised(sound * np.linspace(0.0, 1.0, count, dtype=np.float32) ** 2)


DRUMS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    maker.__name__: maker
    for maker in (
        kick, snare, clap, rim, closed_hat, open_hat, ride, crash, shaker, tom,
        conga_open, conga_slap, conga_mute, cowbell, clave,
    )
}  # fmt: skip
"""Makers of the one-shots that grooves call by name; each draws its own variant from the generator."""
