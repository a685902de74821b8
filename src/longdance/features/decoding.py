"""From evidence to beats: the best chain, an even grid where there is one, and the levels that may be counted.

Everything happens on frames of `RATE`. Where the evidence comes from, and what becomes of the beats, is told in
`pulse`; bars are counted in `bars`.
"""

from fractions import Fraction
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d, uniform_filter1d
from scipy.signal import savgol_filter

from longdance.features.tracking import between_frames, steady_steps

RATE = 100.0
"""Hertz. Twice the network's rate, so that the shortest beats are 27 frames and their tempo is told to 4 percent."""

_TEMPI = (45.0, 220.0)
_STEP = 0.015
_PERIODS = 60.0 * RATE / np.geomspace(_TEMPI[1], _TEMPI[0], round(np.log(_TEMPI[1] / _TEMPI[0]) / np.log1p(_STEP)) + 1)
_NEAR = 2  # steps of tempo from one beat to the next: players speed up by 3 percent, not more
_CHANGE_COST = 2.0  # per step; as much as one clear beat gains
_JUMP_COST = 25.0  # for any change of tempo: what a dozen clear beats gain
_MEAN_SECONDS = 6.0  # over which a frame is compared with its surroundings: a few bars
_EVEN, _FEWEST = 0.75, 8  # concentration and number of beats from which on they become an even grid
_BREATH = 0.03  # seconds that beats may be off their grid for a while: half of what is heard as late
_COUNTED = (40.0, 240.0)  # BPM that anybody would count
_USUAL = (75.0, 150.0)  # BPM that dances have
_USUAL_OCTAVES = 0.35  # spread of the preference outside: 190 BPM stands against 95 with 0.6
_SAME_TEMPO = 0.03  # difference of logarithms up to which neighbouring parts have one tempo
_RELATED_OCTAVES = 0.7  # spread of the tempi in one song
_BINARY = (Fraction(1, 2), Fraction(1), Fraction(2))
_CLEAR = 0.25  # contrast of accents from which on it is clear which beats to leave out
_TERNARY_DOUBT = 0.6  # factor on the fit of levels that divide or gather by three
FACTORS = (Fraction(1, 3), Fraction(2, 3), Fraction(3, 4), Fraction(4, 3), Fraction(3, 2), Fraction(3), *_BINARY)


class Evidence(NamedTuple):
    """What speaks for beats in each frame, all (frames,)."""

    gain: np.ndarray
    """How much a beat here adds to a chain: logarithm of how many times likelier than around it."""
    accent: np.ndarray
    """What tells strong beats from weak ones, without a unit."""
    audible: tuple[int, int]
    """First frame with sound, and the frame after the last."""

    @property
    def strength(self) -> np.ndarray:
        """The gain as a number from 0 to 1, a half where a beat is as much likelier as e to 1."""
        return 1.0 / (1.0 + np.exp(1.0 - self.gain))


class Stretch(NamedTuple):
    """Consecutive beats of one tempo, which may drift."""

    beats: np.ndarray
    """(beats,) fractional frames."""
    concentration: float
    """How evenly they lay before they were put right, 0 to 1."""
    even: bool


class Level(NamedTuple):
    """The beats counted at a tempo ``factor`` times that of the chain."""

    factor: Fraction
    tempo_bpm: float
    """Of the longest stretch."""
    fit: float
    """How well it explains the song, 0 to 1, times how usual the tempo is."""
    beats: list[np.ndarray]
    """Fractional frames, per stretch."""


def likelihood(curve: np.ndarray, floor: float) -> np.ndarray:
    """Logarithm of how many times higher each frame of a curve (frames,) is than the mean of the seconds around it.

    Values far below ``floor`` count as equal, so that silence says nothing.
    """
    mean = uniform_filter1d(curve, round(_MEAN_SECONDS * RATE) | 1, mode="nearest")
    return np.log((curve + floor) / (mean + floor))


class Chain(NamedTuple):
    """Beats (beats,) in frames, and whether each was reached by a jump of tempo."""

    frames: np.ndarray
    jumps: np.ndarray


def best_chain(gain: np.ndarray) -> Chain:
    """The chain of greatest total ``gain`` (frames,) less what its changes of tempo cost; it begins and ends anywhere.

    State (t, p): a beat at frame t, the next one after a period p, that is after floor(p) or floor(p) + 1 frames,
    whatever is better: whole frames only would make most tempi impossible. No beat depends on the 26 frames before it,
    so that as many frames are computed at once. Memory: one byte per frame and period, 40 MB for an hour.
    """
    frames, count = len(gain), len(_PERIODS)
    whole = np.floor(_PERIODS).astype(int)
    block, reach = int(whole.min()), int(whole.max()) + 1
    columns = np.arange(count)
    costs = _CHANGE_COST * np.abs(np.arange(-_NEAR, _NEAR + 1))
    # Totals of chains up to a beat after the choice of what follows, of the last frames only; zeros before the song.
    leaving = np.zeros((reach, count), np.float32)
    codes = np.zeros((frames, count), np.uint8)
    sources = np.zeros(frames, np.uint8)
    best, end = -np.inf, (0, 0)
    for begin in range(0, frames, block):
        size = min(block, frames - begin)
        rows = np.arange(size)[:, None] + reach - whole
        short, long = leaving[rows, columns], leaving[rows - 1, columns]
        total = np.maximum(np.maximum(short, long), 0.0)
        came = np.where(total <= 0, 0, np.where(short >= long, 1, 2)).astype(np.uint8)
        total = total + gain[begin : begin + size, None]
        top = total.argmax(axis=1)
        heights = total[np.arange(size), top]
        if heights.max() > best:
            best, last = float(heights.max()), int(heights.argmax())
            end = (begin + last, int(top[last]))
        padded = np.pad(total, ((0, 0), (_NEAR, _NEAR)), constant_values=-np.inf)
        options = np.stack(
            [padded[:, k : k + count] - costs[k] for k in range(2 * _NEAR + 1)]
            + [np.broadcast_to(heights[:, None] - _JUMP_COST, total.shape)]
        )
        chosen = options.argmax(axis=0)
        leaving = np.concatenate([leaving, np.take_along_axis(options, chosen[None], axis=0)[0]])[-reach:]
        codes[begin : begin + size] = came + 4 * chosen.astype(np.uint8)
        sources[begin : begin + size] = top
    return _followed(codes, sources, whole, end)


def _followed(codes: np.ndarray, sources: np.ndarray, whole: np.ndarray, end: tuple[int, int]) -> Chain:
    """The chain that ends in a state, found backwards."""
    frame, period = end
    frames, jumps = [], []
    while True:
        frames.append(frame)
        came = codes[frame, period] % 4 if len(codes) else 0
        before = frame - int(whole[period]) - (came == 2)
        if came == 0 or before < 0:
            jumps.append(False)
            return Chain(np.array(frames[::-1]), np.array(jumps[::-1]))
        change = int(codes[before, period] // 4)
        jumps.append(change > 2 * _NEAR)
        period = int(sources[before]) if jumps[-1] else period + change - _NEAR
        frame = before


def stretches(evidence: Evidence) -> list[Stretch]:
    """The best chain, cut where its tempo changes; what lies evenly becomes an even grid, the rest is smoothed.

    An even grid cures chains that change to the off-beat somewhere, and goes on through soft passages.
    """
    chain = best_chain(evidence.gain)
    smooth = [part for part in np.split(chain.frames, np.flatnonzero(chain.jumps)) if len(part) > 1]
    parts = _joined([step for part in smooth for step in steady_steps(part)])
    found = []
    for number, part in enumerate(parts):
        begin = float(evidence.audible[0] if number == 0 else part[0])
        end = float(evidence.audible[1] if number == len(parts) - 1 else parts[number + 1][0])
        period, concentration, even = _evenness(evidence.gain, part)
        if even:
            beats = fitted_grid(evidence.gain, period, (float(part[0]), float(part[-1])), (begin, end))
        else:
            beats = _extended(savgol_filter(part * 1.0, 7, 2) if len(part) >= 7 else part * 1.0, begin, end)
        found.append(Stretch(beats, concentration, even))
    return _absorbed(evidence.gain, [stretch for stretch in found if len(stretch.beats) > 1])


def _evenness(gain: np.ndarray, part: np.ndarray) -> tuple[float, float, bool]:
    """Period (frames) and concentration of a part of the chain, and whether it should be an even grid."""
    period, concentration = fitted_period(part, gain[part])
    return period, concentration, concentration > _EVEN and len(part) >= _FEWEST and not breathes(part, period)


def _absorbed(gain: np.ndarray, found: list[Stretch]) -> list[Stretch]:
    """The stretches without those that a longer neighbour's even grid explains, which goes on through them.

    The grid of another tempo loses, because most of its beats fall between those that are played.
    """

    def gained(beats: np.ndarray) -> float:
        return float(np.interp(beats, np.arange(len(gain)), gain, left=0.0, right=0.0).sum())

    found = list(found)
    while True:
        for one, other in sorted(
            ((a, b) for a in range(len(found)) for b in (a - 1, a + 1) if 0 <= b < len(found)),
            key=lambda pair: -np.ptp(found[pair[0]].beats),
        ):
            grid, beats = found[one].beats, found[other].beats
            if not found[one].even or np.ptp(beats) > np.ptp(grid):
                continue
            period = float(grid[1] - grid[0])
            count = round((beats[-1] - grid[-1] if other > one else grid[0] - beats[0]) / period)
            steps = period * np.arange(1, count + 1)
            more = grid[-1] + steps if other > one else grid[0] - steps
            if len(more) and gained(more) > 0:
                found[one] = found[one]._replace(beats=np.sort(np.concatenate([grid, more])))
                del found[other]
                break
        else:
            return found


def _joined(parts: list[np.ndarray]) -> list[np.ndarray]:
    """Parts of a chain, those joined whose tempi are the same but for a factor of two: the level is chosen later."""
    parts = list(parts)
    number = 0
    while number + 1 < len(parts):
        one, other = parts[number], parts[number + 1]
        ratio = np.median(np.diff(one[-9:])) / np.median(np.diff(other[:9]))
        factor = next((f for f in (0.5, 1.0, 2.0) if abs(np.log(ratio / f)) < _SAME_TEMPO), None)
        if factor is None:
            number += 1
            continue
        longer = np.ptp(one) >= np.ptp(other)
        if factor == 2.0:
            one, other = (one, other[1::2]) if longer else (_doubled(one), other)
        elif factor == 0.5:
            one, other = (one, _doubled(other)) if longer else (one[::-1][::2][::-1], other)
        parts[number : number + 2] = [np.concatenate([one, other])]
    return parts


def _doubled(beats: np.ndarray) -> np.ndarray:
    return np.sort(np.concatenate([beats, (beats[1:] + beats[:-1]) // 2]))


def fitted_period(beats: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """The period (frames) near the median interval at which the beats lie most evenly, and how evenly, from 0 to 1.

    Evenness is the concentration of the beats' phases in half a period: a chain that has changed to the off-beat
    somewhere counts as even.
    """
    middle = float(np.median(np.diff(beats)))
    # From one candidate to the next, the last beat moves by a tenth of a beat.
    periods = middle * np.linspace(0.98, 1.02, int(np.clip(0.4 * len(beats), 3, 20000)) | 1)
    weights = np.maximum(weights, 0.1)
    best, period = -1.0, middle
    for some in np.array_split(periods, len(periods) * len(beats) // 1_000_000 + 1):
        evenness = np.abs(np.exp(4j * np.pi * beats / some[:, None]) @ weights) / weights.sum()
        if evenness.max() > best:
            best, period = float(evenness.max()), float(some[evenness.argmax()])
    return period, best


def breathes(beats: np.ndarray, period: float) -> bool:
    """Whether the beats (beats,), in frames, leave every even grid for a while, all in one direction.

    Beats that jump about the grid, or to the off-beat, do not.
    """
    turns = np.exp(4j * np.pi * beats / period)
    local = np.convolve(turns, np.ones(5) / 5, mode="valid") if len(turns) >= 5 else turns.mean(keepdims=True)
    shift = np.angle(local * np.conj(turns.mean())) / (4 * np.pi) * period
    return float(((np.abs(shift) > _BREATH * RATE) & (np.abs(local) > 0.7)).mean()) > 0.1


def fitted_grid(
    gain: np.ndarray, period: float, span: tuple[float, float], whole: tuple[float, float], *, exact: bool = False
) -> np.ndarray:
    """The even grid about a ``period`` (frames), or of exactly that one, that gathers most gain between two frames.

    ``span`` is what is compared, ``whole`` what is filled with the grid.
    """
    count = max(1, int((span[1] - span[0]) / period + 1.5))
    smooth = gaussian_filter1d(gain, 1.0)
    best, first = -np.inf, 0.0
    for some in [period] if exact else period * (1 + np.linspace(-0.4, 0.4, 17) / count):
        phases = np.arange(0.0, some, 0.5)
        sums = np.zeros(len(phases))
        for some_beats in np.array_split(np.arange(count), count // 2000 + 1):
            times = span[0] + phases[:, None] + some * some_beats
            sums += np.interp(times, np.arange(len(gain)), smooth, right=0.0).sum(axis=1)
        if sums.max() > best:
            best, first, period = float(sums.max()), span[0] + float(phases[sums.argmax()]), float(some)
    if not exact:
        first, period = _refined(smooth, first, period, count)
    first -= np.floor((first - whole[0]) / period) * period
    return np.arange(first, whole[1], period)


def _refined(smooth: np.ndarray, first: float, period: float, count: int) -> tuple[float, float]:
    """The line through the highest gain within 40 ms of each beat, by weighted least squares."""
    index = np.arange(count)
    near = np.round(first + period * index)[:, None].astype(int) + np.arange(-4, 5)
    heights = smooth[np.clip(near, 0, len(smooth) - 1)]
    top = heights.argmax(axis=1)
    weights = np.maximum(heights.max(axis=1), 0.0) * ((top > 0) & (top < 8))
    if (weights > 0).sum() < 4:
        return first, period
    times = between_frames(smooth, np.clip(near[index, top], 0, len(smooth) - 1))
    slope, start = np.polyfit(index, times, 1, w=np.sqrt(weights))
    return float(start), float(slope)


def _extended(beats: np.ndarray, begin: float, end: float) -> np.ndarray:
    """The beats with others before and after, at the tempo of the outermost ones, from ``begin`` to ``end``."""
    edge = min(4, len(beats) - 1)
    before, after = (beats[edge] - beats[0]) / edge, (beats[-1] - beats[-1 - edge]) / edge
    head = beats[0] - before * np.arange(int(max(0.0, beats[0] - begin) / before), 0, -1)
    tail = beats[-1] + after * np.arange(1, int(max(0.0, end - 1e-6 - beats[-1]) / after) + 1)
    return np.concatenate([head, beats, tail])


def levels(evidence: Evidence, found: list[Stretch]) -> list[Level]:
    """The tempi that the beats may be counted at, the best first; at least that of the chain.

    The longest stretch decides; the others are counted at the levels that fit them and bring the tempi of all close.
    """
    strength = evidence.strength
    near = maximum_filter1d(strength, 5)
    peaks = np.flatnonzero(strength >= maximum_filter1d(strength, 7))

    def fit(beats: np.ndarray) -> float:
        mean = near[np.clip(np.round(beats).astype(int), 0, len(near) - 1)].mean()
        return float(mean) * _explained(peaks, strength, beats)

    counted = [_counted(evidence, stretch) for stretch in found]
    fits = [{factor: fit(beats) for factor, beats in options.items()} for options in counted]
    longest = max(range(len(found)), key=lambda number: np.ptp(found[number].beats))
    result = []
    for factor, leading in counted[longest].items():
        chosen = _together(counted, fits, {longest: factor})
        beats = [options[one] for options, one in zip(counted, chosen, strict=True)]
        bpm = tempo_of(leading)
        doubt = (1.0 if factor in _BINARY else _TERNARY_DOUBT) * clarity(evidence, found[longest].beats, factor)
        result.append(Level(factor, bpm, fits[longest][factor] * usual(bpm) * doubt, beats))
    return sorted(result, key=lambda level: -level.fit)


def _together(
    counted: list[dict[Fraction, np.ndarray]], fits: list[dict[Fraction, float]], fixed: dict[int, Fraction]
) -> list[Fraction]:
    """The level of each stretch, the longest first: what fits it, is usual, and is close to the tempi of all others."""
    tempi = [{factor: tempo_of(beats) for factor, beats in options.items()} for options in counted]
    chosen = dict(fixed)
    order = sorted(set(range(len(counted))) - fixed.keys(), key=lambda number: -np.ptp(counted[number][Fraction(1)]))
    for _ in range(2):  # once more, knowing the later ones
        for number in order:
            others = [np.log2(tempi[other][chosen[other]]) for other in chosen if other != number]

            def worth(factor: Fraction, number: int = number, others: list[float] = others) -> float:
                bpm = tempi[number][factor]
                apart = np.log2(bpm) - np.array(others)
                together = np.exp(-0.5 * float((apart**2).mean()) / _RELATED_OCTAVES**2)
                return fits[number][factor] * usual(bpm) * float(together)

            chosen[number] = max((f for f in _BINARY if f in counted[number]), key=worth)
    return [chosen[number] for number in range(len(counted))]


def tempo_of(beats: np.ndarray) -> float:
    """Beats per minute over the median interval of (beats,) frames."""
    return 60.0 * RATE / float(np.median(np.diff(beats)))


def usual(tempo_bpm: float) -> float:
    """How usual a tempo is for dancing, at most 1, which holds from 75 to 150 BPM."""
    outside = max(0.0, np.log2(_USUAL[0] / tempo_bpm), np.log2(tempo_bpm / _USUAL[1]))
    return float(np.exp(-0.5 * (outside / _USUAL_OCTAVES) ** 2))


def _counted(evidence: Evidence, stretch: Stretch) -> dict[Fraction, np.ndarray]:
    """The beats of a stretch at every level of a tempo that anybody would count, and at its own."""
    counted = {factor: at_level(evidence, stretch.beats, factor) for factor in FACTORS}
    return {
        factor: beats
        for factor, beats in counted.items()
        if factor == 1 or (len(beats) > 1 and _COUNTED[0] <= tempo_of(beats) <= _COUNTED[1])
    }


def at_level(evidence: Evidence, beats: np.ndarray, factor: Fraction) -> np.ndarray:
    """The beats (beats,) at another level; of the ways to begin, the one with the strongest accents."""
    ways = _ways(beats, factor)
    return ways[int(np.argmax(_accents(evidence, ways)))]


def clarity(evidence: Evidence, beats: np.ndarray, factor: Fraction) -> float:
    """How clearly one way to begin stands out, a half to 1, where the level leaves beats out.

    Who counts half of the beats and takes the wrong half dances off the beat, which is worse than to count all.
    """
    if factor.denominator == 1:
        return 1.0
    *others, best = sorted(_accents(evidence, _ways(beats, factor)))
    contrast = (best - others[-1]) / max(abs(best) + abs(others[-1]), 1e-9)
    return float(min(1.0, 0.5 + contrast / _CLEAR / 2))


def _ways(beats: np.ndarray, factor: Fraction) -> list[np.ndarray]:
    """The beats at a level, begun at each of the beats that may be the first."""
    if factor == 1:
        return [beats]
    ways = []
    for start in np.arange(factor.denominator) / factor.numerator:
        positions = np.arange(float(start), len(beats) - 1 + 1e-9, float(1 / factor))
        ways.append(np.interp(positions, np.arange(len(beats)), beats))
    return ways


def _accents(evidence: Evidence, ways: list[np.ndarray]) -> list[float]:
    frames = np.arange(len(evidence.accent))
    return [float(np.interp(way, frames, evidence.accent).mean()) if len(way) else -np.inf for way in ways]


def _explained(peaks: np.ndarray, strength: np.ndarray, beats: np.ndarray) -> float:
    """Share of the peaks among the beats, by height, that lie within 50 ms of one."""
    margin = np.median(np.diff(beats)) / 2
    peaks = peaks[(peaks > beats[0] - margin) & (peaks < beats[-1] + margin)]
    if not len(peaks):
        return 0.0
    after = np.clip(np.searchsorted(beats, peaks), 1, len(beats) - 1)
    distance = np.minimum(np.abs(peaks - beats[after - 1]), np.abs(beats[after] - peaks))
    return float(strength[peaks][distance <= 0.05 * RATE].sum() / strength[peaks].sum())
