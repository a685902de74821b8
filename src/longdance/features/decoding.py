"""From activations to beats: the best chain, one even grid where there is one, and the level that dancers count.

Everything happens on frames of `RATE`. Where the evidence comes from is told in `song`; bars are counted in `bars`.
"""

from fractions import Fraction
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d, uniform_filter1d
from scipy.signal import savgol_filter

RATE = 100.0
"""Hertz. Twice the network's rate, so that the shortest beats are 27 frames and their tempo is told to 4 percent."""

_TEMPI = (45.0, 220.0)
_STEP = 0.015
_PERIODS = 60.0 * RATE / np.geomspace(_TEMPI[1], _TEMPI[0], round(np.log(_TEMPI[1] / _TEMPI[0]) / np.log1p(_STEP)) + 1)
_NEAR = 2  # steps of tempo from one beat to the next
_CHANGE_COST = 2.0  # per step; the gain of a clear beat is about 2
_JUMP_COST = 25.0  # for any change
_EVEN, _FEWEST = 0.75, 8  # concentration and number of beats from which on they become an even grid
_COUNTED = (40.0, 240.0)  # BPM
_USUAL_OCTAVES = 0.8
_SAME_TEMPO = 0.06  # difference of logarithms
_RELATED_OCTAVES = 0.5


class Chain(NamedTuple):
    """A chain of beats (beats,) in frames, and whether each was reached by a jump of tempo."""

    frames: np.ndarray
    jumps: np.ndarray


def likelihood(curve: np.ndarray, floor: float, seconds: float = 6.0) -> np.ndarray:
    """Logarithm of how many times higher each frame is than the mean of the ``seconds`` around it.

    What is far below ``floor`` counts as equal, so that silence says nothing.
    """
    mean = uniform_filter1d(curve, round(seconds * RATE) | 1, mode="nearest")
    return np.log((curve + floor) / (mean + floor))


def best_chain(gain: np.ndarray) -> Chain:
    """The chain of greatest total ``gain`` (frames,) less what its changes of tempo cost; it may begin and end anywhere.

    State (t, p): a beat at frame t, the next one after a period p, that is after floor(p) or floor(p) + 1 frames,
    whatever is better: whole frames only would make most tempi impossible. No beat depends on the 27 frames before it,
    so that as many frames are computed at once.
    """
    frames, count = len(gain), len(_PERIODS)
    whole = np.floor(_PERIODS).astype(int)
    block, reach = int(whole.min()), int(whole.max()) + 1
    # Best total of a chain up to a beat, after the choice of the period that follows it; as if the song had begun
    # with some silence.
    leaving = np.zeros((reach + frames, count), np.float32)
    codes = np.zeros((frames, count), np.uint8)
    sources = np.zeros(frames, np.uint8)
    best, end = -np.inf, (0, 0)
    columns = np.arange(count)
    costs = _CHANGE_COST * np.abs(np.arange(-_NEAR, _NEAR + 1))
    for begin in range(0, frames, block):
        stop = min(begin + block, frames)
        rows = np.arange(begin, stop)[:, None] + reach - whole
        short, long = leaving[rows, columns], leaving[rows - 1, columns]
        total = np.maximum(np.maximum(short, long), 0.0)
        code = np.where(total <= 0, 0, np.where(short >= long, 1, 2)).astype(np.uint8)
        total = total + gain[begin:stop, None]
        top = total.argmax(axis=1)
        heights = total[np.arange(stop - begin), top]
        if heights.max() > best:
            best = float(heights.max())
            end = (begin + int(heights.argmax()), int(top[heights.argmax()]))
        # The period after the beat: near the one before it, or any.
        padded = np.pad(total, ((0, 0), (_NEAR, _NEAR)), constant_values=-np.inf)
        options = np.stack([padded[:, k : k + count] - costs[k] for k in range(2 * _NEAR + 1)])
        options = np.concatenate([options, np.broadcast_to(heights[:, None] - _JUMP_COST, (1, *total.shape))])
        chosen = options.argmax(axis=0)
        leaving[reach + begin : reach + stop] = np.take_along_axis(options, chosen[None], axis=0)[0]
        codes[begin:stop] = code + 4 * chosen.astype(np.uint8)
        sources[begin:stop] = top
    return _followed(codes, sources, whole, end)


def _followed(codes: np.ndarray, sources: np.ndarray, whole: np.ndarray, end: tuple[int, int]) -> Chain:
    frame, period = end
    frames, jumps = [frame], []
    while True:
        back = codes[frame, period] % 4
        before = frame - whole[period] - (back == 2)
        if back == 0 or before < 0:
            jumps.append(False)
            break
        change = int(codes[before, period] // 4)
        jump = change > 2 * _NEAR
        period = int(sources[before]) if jump else period + change - _NEAR
        jumps.append(jump)
        frame = int(before)
        frames.append(frame)
    return Chain(np.array(frames[::-1]), np.array(jumps[::-1]))


class Evidence(NamedTuple):
    """What speaks for beats in each frame, all (frames,)."""

    gain: np.ndarray
    """How much a beat here adds to a chain: logarithms of likelihoods."""
    activation: np.ndarray
    """Probability of a beat of any kind, 0 to 1."""
    accent: np.ndarray
    """What tells strong beats from weak ones, without a unit."""
    audible: tuple[int, int]
    """First frame with sound, and the frame after the last."""


class Stretch(NamedTuple):
    """Consecutive beats of one tempo, or of one that drifts."""

    beats: np.ndarray
    """(beats,) fractional frames."""
    concentration: float
    even: bool


def stretches(evidence: Evidence) -> list[Stretch]:
    """The best chain, cut where its tempo changes; what lies evenly becomes an even grid, the rest is smoothed."""
    chain = best_chain(evidence.gain)
    parts = _joined([part for part in np.split(chain.frames, np.flatnonzero(chain.jumps)) if len(part) > 1])
    found = []
    for number, part in enumerate(parts):
        begin = evidence.audible[0] if number == 0 else part[0]
        end = evidence.audible[1] if number == len(parts) - 1 else parts[number + 1][0]
        found.append(_stretch(evidence.gain, part, float(begin), float(end)))
    return found


def _joined(parts: list[np.ndarray]) -> list[np.ndarray]:
    """Parts of a chain, those joined whose tempi are the same but for a factor of two: a level is no tempo."""
    parts = list(parts)
    number = 0
    while number + 1 < len(parts):
        one, other = parts[number], parts[number + 1]
        ratio = np.median(np.diff(one[-9:])) / np.median(np.diff(other[:9]))
        factor = next((f for f in (0.5, 1.0, 2.0) if abs(np.log(ratio / f)) < _SAME_TEMPO), None)
        if factor is None:
            number += 1
            continue
        if factor != 1.0 and (np.ptp(one) < np.ptp(other)):
            one = one[::-1][::2][::-1] if factor == 0.5 else _doubled(one)
        elif factor != 1.0:
            other = other[1::2] if factor == 2.0 else _doubled(other)
        parts[number : number + 2] = [np.concatenate([one, other])]
    return parts


def _doubled(beats: np.ndarray) -> np.ndarray:
    return np.sort(np.concatenate([beats, (beats[1:] + beats[:-1]) // 2]))


def _stretch(gain: np.ndarray, part: np.ndarray, begin: float, end: float) -> Stretch:
    period, concentration = fitted_period(part, gain[part])
    if concentration > _EVEN and len(part) >= _FEWEST:
        beats = _grid(gain, part, period, begin, end)
        return Stretch(beats, concentration, True)
    smooth = savgol_filter(part.astype(float), 7, 2) if len(part) >= 7 else part.astype(float)
    return Stretch(_extended(smooth, begin, end), concentration, False)


def fitted_period(beats: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """The period (frames) near the median interval at which the beats lie most evenly, and how evenly, from 0 to 1.

    Evenness is the concentration of the beats' phases in half a period: a chain that has changed to the off-beat
    somewhere counts as even.
    """
    middle = float(np.median(np.diff(beats)))
    # Over the length of the chain, neighbouring candidates differ by a fifth of half a beat.
    count = int(np.clip(np.ceil(0.04 * len(beats) * 10), 3, 20001))
    periods = middle * np.linspace(0.98, 1.02, count | 1)
    weights = np.maximum(weights, 0.1)
    best, period = -1.0, middle
    for some in np.array_split(periods, max(1, len(periods) * len(beats) // 1_000_000)):
        turns = np.exp(4j * np.pi * beats / some[:, None])
        evenness = np.abs(turns @ weights) / weights.sum()
        if evenness.max() > best:
            best, period = float(evenness.max()), float(some[evenness.argmax()])
    return period, best


def _grid(gain: np.ndarray, part: np.ndarray, period: float, begin: float, end: float) -> np.ndarray:
    """The even grid about ``period`` that gathers most gain between the first and the last beat of the chain."""
    inside = max(1, round((part[-1] - part[0]) / period))
    smooth = gaussian_filter1d(gain, 1.0)
    best, grid = -np.inf, (0.0, period)
    for some in period * (1 + np.linspace(-0.4, 0.4, 9) / inside):
        phases = np.arange(0.0, some, 0.5)
        times = part[0] + phases[:, None] + some * np.arange(inside)
        sums = np.interp(times, np.arange(len(gain)), smooth).sum(axis=1)
        if sums.max() > best:
            best, grid = float(sums.max()), (part[0] + float(phases[sums.argmax()]), float(some))
    first, period = grid
    first -= np.floor((first - begin) / period) * period
    return np.arange(first, end, period)


def _extended(beats: np.ndarray, begin: float, end: float) -> np.ndarray:
    """The beats with others before and after, at the tempo of the outermost ones, from ``begin`` to ``end``."""
    edge = min(4, len(beats) - 1)
    before, after = (beats[edge] - beats[0]) / edge, (beats[-1] - beats[-1 - edge]) / edge
    head = beats[0] - before * np.arange(int(max(0.0, beats[0] - begin) / before), 0, -1)
    tail = beats[-1] + after * np.arange(1, int(max(0.0, end - 1e-6 - beats[-1]) / after) + 1)
    return np.concatenate([head, beats, tail])


class Level(NamedTuple):
    """Beats counted at a tempo that is ``factor`` times that of the chain."""

    factor: Fraction
    tempo_bpm: float
    fit: float
    """How well it explains the song, 0 to 1, times how usual the tempo is."""
    beats: list[np.ndarray]
    """Fractional frames, per stretch."""


FACTORS = tuple(Fraction(*pair) for pair in ((1, 3), (1, 2), (2, 3), (3, 4), (1, 1), (4, 3), (3, 2), (2, 1), (3, 1)))

_BINARY = (Fraction(1, 2), Fraction(1), Fraction(2))
_TERNARY_DOUBT = 0.6


def levels(evidence: Evidence, found: list[Stretch]) -> list[Level]:
    """The tempi that the beats may be counted at, the best first.

    The longest stretch decides; the others are counted at the level that fits them and comes nearest to its tempo.
    """
    peaks = _peaks(evidence.activation)
    near = maximum_filter1d(evidence.activation, 5)

    def fit(beats: np.ndarray) -> float:
        mean = near[np.clip(np.round(beats).astype(int), 0, len(near) - 1)].mean()
        return float(mean) * _explained(peaks, evidence.activation, beats)

    def tempo(beats: np.ndarray) -> float:
        return 60.0 * RATE / float(np.median(np.diff(beats)))

    def options(stretch: Stretch) -> dict[Fraction, np.ndarray]:
        counted = {factor: _at_level(evidence, stretch.beats, factor) for factor in FACTORS}
        return {f: b for f, b in counted.items() if len(b) > 1 and _COUNTED[0] <= tempo(b) <= _COUNTED[1]}

    longest = max(range(len(found)), key=lambda number: np.ptp(found[number].beats))
    counted = [options(stretch) for stretch in found]
    fits = [{factor: fit(beats) for factor, beats in some.items()} for some in counted]
    result = []
    for factor, leading in counted[longest].items():
        bpm, beats = tempo(leading), []
        for number, stretch in enumerate(found):
            if number == longest:
                beats.append(leading)
                continue
            related = {
                f: fits[number][f] * np.exp(-0.5 * (np.log2(tempo(b) / bpm) / _RELATED_OCTAVES) ** 2)
                for f, b in counted[number].items()
                if f in _BINARY
            }
            beats.append(counted[number][max(related, key=related.__getitem__)] if related else stretch.beats)
        doubt = 1.0 if factor in _BINARY else _TERNARY_DOUBT
        result.append(Level(factor, bpm, fits[longest][factor] * usual(bpm) * doubt, beats))
    return sorted(result, key=lambda level: -level.fit)


def usual(tempo_bpm: float) -> float:
    """How usual a tempo is for dancing, at most 1, which holds from 75 to 150 BPM."""
    outside = max(0.0, np.log2(75.0 / tempo_bpm), np.log2(tempo_bpm / 150.0))
    return float(np.exp(-0.5 * (outside / _USUAL_OCTAVES) ** 2))


def _at_level(evidence: Evidence, beats: np.ndarray, factor: Fraction) -> np.ndarray:
    """The beats at another level; of the ways to begin, the one with the strongest accents."""
    if factor == 1:
        return beats
    starts = np.arange(factor.denominator) / factor.numerator
    options = []
    for start in starts:
        positions = np.arange(float(start), len(beats) - 1 + 1e-9, float(1 / factor))
        options.append(np.interp(positions, np.arange(len(beats)), beats))
    strength = [np.interp(option, np.arange(len(evidence.accent)), evidence.accent).mean() for option in options]
    return options[int(np.argmax(strength))]


def _peaks(activation: np.ndarray) -> np.ndarray:
    highest = maximum_filter1d(activation, 7)
    return np.flatnonzero((activation >= highest) & (activation > 0.05))


def _explained(peaks: np.ndarray, activation: np.ndarray, beats: np.ndarray) -> float:
    """Share of the activation's peaks, by height, that lie within 50 ms of a beat."""
    margin = np.median(np.diff(beats)) / 2
    peaks = peaks[(peaks > beats[0] - margin) & (peaks < beats[-1] + margin)]
    if not len(peaks):
        return 0.0
    after = np.clip(np.searchsorted(beats, peaks), 1, len(beats) - 1)
    distance = np.minimum(np.abs(peaks - beats[after - 1]), np.abs(beats[after] - peaks))
    heights = activation[peaks]
    return float(heights[distance <= 0.05 * RATE].sum() / heights.sum())
