"""Tempo and beats from a novelty curve, whatever it was measured from.

A novelty curve is a sequence of numbers at a fixed rate that rises where something happens: the onset
strength of a song (`song`), or the kinematic accents of a dance (`beats`). Here belong peaks, a tempo that may
drift, and a chain of beats that follows it. Songs, whose beats a network hears, have a decoder of their own
(`decoding`).
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import scipy.fft
from scipy.ndimage import gaussian_filter1d, maximum_filter1d, uniform_filter1d

_TEMPO_STEPS_PER_OCTAVE = 60
_TEMPO_WINDOW = 8.0  # seconds
_TEMPO_WINDOW_STEP = 1.0  # seconds
_STEP_SPREAD = 1.5  # frames that beats of a steady tempo lie off a line: half of that is rounding
_STEP_COST = 40.0  # of a step of tempo, against squared distances in spreads: an ear needs some bars of the new tempo
_STEP_BEATS, _STEP_SHARE = 12, 0.04  # fewest beats between two steps, and smallest change: less is playing freely
_TEMPO_CHANGE_COST = 12.0  # per octave, against a score of at most 1 per window


class TempoPath(NamedTuple):
    """A tempo for every frame of a novelty curve."""

    tempo_bpm: np.ndarray
    """(frames,) beats per minute."""
    clarity: float
    """How periodic the novelty is, from 0 (not at all) to 1 (repeats exactly): mean normalised
    autocorrelation.
    """


def follow_tempo(
    novelty: np.ndarray,
    rate: float,
    *,
    tempo_range: tuple[float, float] = (55.0, 215.0),
    likely_bpm: float = 112.0,
    likely_octaves: float = 0.5,
) -> TempoPath:
    """Find the tempo of every frame of `novelty` (frames,), sampled at `rate` hertz.

    The autocorrelation of 8 s windows is summed over four multiples of each beat period, weighed by a
    log-normal preference around `likely_bpm`, and the best path through all windows is taken, where a
    change of tempo has a cost. A constant curve gives `likely_bpm` and clarity 0.

    Source: weighing as in Ellis, "Beat Tracking by Dynamic Programming" (2007), section 3.2.
    Differs: tempo may change with time.
    """
    lowest, highest = tempo_range
    steps = max(2, round(np.log2(highest / lowest) * _TEMPO_STEPS_PER_OCTAVE))
    tempi = np.geomspace(lowest, highest, steps)
    correlation, centres = _windowed_autocorrelation(novelty, rate, longest=60.0 / lowest)
    longest_lag = correlation.shape[1] - 1
    score = np.zeros((len(correlation), steps))
    weights = np.zeros(steps)
    for multiple, weight in enumerate((1.0, 1.0, 0.4, 1.0), start=1):
        position = multiple * 60.0 / tempi * rate
        known = position < longest_lag
        low = np.minimum(position.astype(int), longest_lag - 1)
        part = np.minimum(position - low, 1.0)
        score += weight * known * (correlation[:, low] * (1 - part) + correlation[:, low + 1] * part)
        weights += weight * known
    score /= np.maximum(weights, 1.0)
    preference = np.exp(-0.5 * (np.log2(tempi / likely_bpm) / likely_octaves) ** 2)
    score = np.maximum(score, 0.0) * preference
    peak = score.max(axis=1, keepdims=True)
    emission = score / np.maximum(peak, 1e-9)
    # Windows with little periodicity should not pull the path.
    emission *= np.clip(peak / max(float(np.median(peak)), 1e-9), 0.0, 1.0)
    if not peak.max() > 0:
        return TempoPath(np.full(len(novelty), likely_bpm), 0.0)
    octaves = np.log2(tempi)
    change = _TEMPO_CHANGE_COST * np.abs(octaves[:, None] - octaves[None, :])
    path = best_path(emission, change)
    smooth = gaussian_filter1d(octaves[path], 1.0, mode="nearest") if len(path) > 2 else octaves[path]
    frames = np.arange(len(novelty))
    clarity = float(np.clip((score[np.arange(len(path)), path] / preference[path]).mean(), 0.0, 1.0))
    return TempoPath(2.0 ** np.interp(frames, centres, smooth), clarity)


def follow_beats(
    novelty: np.ndarray, rate: float, tempo_bpm: np.ndarray, *, tightness: float = 100.0
) -> np.ndarray:
    """Chain of frames that sit on high novelty and keep the tempo: `(beats,)` float, in frames, increasing.

    `novelty` (frames,) is at `rate` hertz; `tempo_bpm` (frames,) is the tempo to keep at each frame; a
    greater `tightness` keeps it more strictly. Positions are refined between frames by a parabola. A curve
    without any novelty gives no beats.

    Source: Ellis, "Beat Tracking by Dynamic Programming" (2007), eq. 5-8.
    Differs: the period follows `tempo_bpm`; the novelty is scaled by its local spread, so that soft
    passages count.
    """
    frames = len(novelty)
    if frames < 2 or not np.ptp(novelty) > 0:
        return np.zeros(0)
    periods = 60.0 / np.asarray(tempo_bpm) * rate
    strength = level_novelty(novelty, rate)
    strength = gaussian_filter1d(strength, max(0.5, float(np.median(periods)) / 32.0))
    score = strength.copy()
    before = np.full(frames, -1)
    shortest = np.maximum(1, np.round(periods / 2).astype(int))
    longest = np.maximum(shortest + 1, np.round(periods * 2).astype(int))
    logarithms = np.log(np.arange(1, longest.max() + 1))
    log_periods = np.log(periods)
    for frame in range(int(shortest.min()), frames):
        near, far = shortest[frame], min(longest[frame], frame)
        if far < near:
            continue
        cost = logarithms[near - 1 : far] - log_periods[frame]
        total = score[frame - far : frame - near + 1][::-1] - tightness * cost * cost
        best = int(total.argmax())
        if total[best] > 0:
            score[frame] += total[best]
            before[frame] = frame - near - best
    last = max(0, frames - round(float(periods[-1])))
    beats = [last + int(score[last:].argmax())]
    while before[beats[-1]] >= 0:
        beats.append(int(before[beats[-1]]))
    return between_frames(strength, np.array(beats[::-1]))


def pick_peaks(novelty: np.ndarray, rate: float, *, threshold: float) -> np.ndarray:
    """Frames that are the highest within 30 ms and exceed the mean of the 0.2 s around them by
    `threshold`.
    """
    if not len(novelty):
        return np.zeros(0, dtype=int)
    highest = maximum_filter1d(novelty, 2 * max(1, round(0.03 * rate)) + 1, mode="nearest")
    mean = uniform_filter1d(novelty, 2 * max(1, round(0.1 * rate)) + 1, mode="nearest")
    peaks = np.flatnonzero((novelty >= highest) & (novelty >= mean + threshold) & (novelty > 0))
    # Of equal neighbours only the first is a peak.
    return peaks[np.diff(peaks, prepend=-(10**9)) > max(1, round(0.03 * rate))]


def level_novelty(novelty: np.ndarray, rate: float, *, seconds: float = 6.0) -> np.ndarray:
    """Novelty divided by its local root mean square, so that soft and loud passages weigh alike.

    The divisor never falls below a tenth of its greatest value: silence is not blown up.
    """
    power = gaussian_filter1d(np.square(novelty, dtype=np.float64), seconds / 2 * rate, mode="reflect")
    local = np.sqrt(np.maximum(power, 0.0))
    floor = 0.1 * local.max()
    return novelty / np.maximum(local, floor) if floor > 0 else np.zeros(len(novelty))


def _windowed_autocorrelation(
    novelty: np.ndarray, rate: float, longest: float
) -> tuple[np.ndarray, np.ndarray]:
    """Normalised autocorrelation of each window (windows, lags), and the windows' centres in frames.

    Lags reach four times `longest` seconds, but at most two thirds of a window: longer ones rest on few
    samples.
    """
    length = min(max(len(novelty), 4), round(_TEMPO_WINDOW * rate))
    lags = max(2, min(int(np.ceil(4 * longest * rate)) + 2, 2 * length // 3))
    step = max(1, round(_TEMPO_WINDOW_STEP * rate))
    smooth = gaussian_filter1d(np.asarray(novelty, dtype=np.float64), 0.02 * rate)
    smooth = level_novelty(smooth, rate)
    padded = np.pad(smooth, (0, max(0, length - len(smooth))))
    starts = np.arange(0, len(padded) - length + 1, step)
    if starts[-1] != len(padded) - length:
        starts = np.append(starts, len(padded) - length)
    taper = np.hanning(length + 2)[1:-1]
    size: int = scipy.fft.next_fast_len(length + lags, real=True)  # pyright: ignore[reportAssignmentType]
    own = _autocorrelation(taper, size)
    result = np.zeros((len(starts), lags))
    for index, start in enumerate(starts):
        window = padded[start : start + length]
        raw = _autocorrelation((window - np.average(window, weights=taper)) * taper, size)
        if raw[0] > 1e-12:
            result[index] = raw[:lags] / raw[0] * own[0] / own[:lags]
    return result, starts + (length - 1) / 2


def _autocorrelation(window: np.ndarray, size: int) -> np.ndarray:
    spectrum = np.asarray(scipy.fft.rfft(window, size))
    return np.asarray(scipy.fft.irfft(np.real(spectrum) ** 2 + np.imag(spectrum) ** 2, size))


def best_path(emission: np.ndarray, change: np.ndarray) -> np.ndarray:
    """States (steps,) of greatest total `emission` (steps, states) less the `change` (states, states) they
    cost.
    """
    total = emission[0].copy()
    choices = np.zeros(emission.shape, dtype=np.int32)
    for step in range(1, len(emission)):
        arrival = total[:, None] - change
        choices[step] = arrival.argmax(axis=0)
        total = arrival.max(axis=0) + emission[step]
    path = np.empty(len(emission), dtype=int)
    path[-1] = total.argmax()
    for step in range(len(emission) - 1, 0, -1):
        path[step - 1] = choices[step, path[step]]
    return path


def steady_steps(part: np.ndarray) -> list[np.ndarray]:
    """A chain of beats, (beats,) frames of 10 ms, cut where its tempo steps from one steady value to another.

    The chain may also glide from one tempo to the next within some beats, which costs it less than a jump. The cuts are
    those of the piecewise straight line that fits best (least squares, each piece at a price); tempi that drift would
    need many short pieces, and stay whole. Source: optimal partitioning, Jackson et al. 2005.
    """
    count = len(part)
    if count < 2 * _STEP_BEATS:
        return [part]
    index = np.arange(count, dtype=np.float64)
    sums = np.cumsum(np.stack([np.ones(count), index, index**2, part, index * part, part.astype(float) ** 2]), axis=1)
    sums = np.concatenate([np.zeros((6, 1)), sums], axis=1)
    best, before = np.full(count + 1, np.inf), np.zeros(count + 1, int)
    best[0] = 0.0
    for end in range(_STEP_BEATS, count + 1):
        begins = np.concatenate([[0], np.arange(_STEP_BEATS, end - _STEP_BEATS + 1)])
        number, x, xx, y, xy, yy = sums[:, end, None] - sums[:, begins]
        slope = (xy - x * y / number) / (xx - x * x / number)
        off = yy - y * y / number - slope * (xy - x * y / number)
        total = best[begins] + np.maximum(off, 0.0) / _STEP_SPREAD**2 + _STEP_COST
        chosen = int(total.argmin())
        best[end], before[end] = total[chosen], begins[chosen]
    cuts = [count]
    while cuts[-1]:
        cuts.append(int(before[cuts[-1]]))
    steps = [part[begin:end] for end, begin in pairwise(cuts)][::-1]
    lines = [np.polyfit(np.arange(len(step)), step, 1, full=True)[:2] for step in steps]
    off = np.array([float(rest[0]) / len(step) for (_, rest), step in zip(lines, steps, strict=True)])
    tempi = np.log([line[0] for line, _ in lines])
    steady = (off < _STEP_SPREAD**2).all() and (np.abs(np.diff(tempi)) > _STEP_SHARE).all()
    return steps if steady else [part]


def between_frames(curve: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Move each frame to the top of the parabola through it and its neighbours, at most half a frame."""
    inner = np.clip(frames, 1, len(curve) - 2) if len(curve) > 2 else None
    if inner is None:
        return frames.astype(float)
    left, centre, right = curve[inner - 1], curve[inner], curve[inner + 1]
    bend = left - 2 * centre + right
    shift = np.divide(0.5 * (left - right), bend, out=np.zeros(len(frames)), where=bend < -1e-9)
    return np.where(inner == frames, frames + np.clip(shift, -0.5, 0.5), frames)
