"""The decoder on evidence whose beats are known, and its search against every chain there is."""

import numpy as np
import pytest

from longdance.features import decoding
from longdance.features.decoding import RATE, Evidence


def gain_of(beats: np.ndarray, seconds: float, heights: np.ndarray | float = 2.5) -> np.ndarray:
    """-1 everywhere, and a peak 40 ms wide on each beat (seconds)."""
    times = np.arange(round(seconds * RATE)) / RATE
    peaks = np.exp(-0.5 * ((times[:, None] - beats) / 0.015) ** 2) * (np.asarray(heights) + 1.0)
    return peaks.sum(axis=1) - 1.0


def evidence_of(gain: np.ndarray, accent: np.ndarray | None = None) -> Evidence:
    return Evidence(gain, np.zeros(len(gain)) if accent is None else accent, (0, len(gain)))


def found_beats(gain: np.ndarray) -> np.ndarray:
    return np.concatenate([part.beats for part in decoding.stretches(evidence_of(gain))]) / RATE


def misses(beats: np.ndarray, found: np.ndarray, tolerance: float = 0.03) -> int:
    return int((np.abs(beats[:, None] - found).min(axis=1) > tolerance).sum())


def slow_best(gain: np.ndarray) -> float:
    """The best total, state by state, as the recursion is written in the docstring."""
    periods, near = decoding._PERIODS, decoding._NEAR
    totals = np.full((len(gain), len(periods)), -np.inf)
    leaving = np.zeros((len(gain), len(periods)))
    for t in range(len(gain)):
        for p, period in enumerate(periods):
            before = [t - int(period), t - int(period) - 1]
            totals[t, p] = gain[t] + max([0.0, *(leaving[b, p] for b in before if b >= 0)])
        for p in range(len(periods)):
            steps = range(max(0, p - near), min(len(periods), p + near + 1))
            stay = max(totals[t, q] - decoding._CHANGE_COST * abs(p - q) for q in steps)
            leaving[t, p] = max(stay, totals[t].max() - decoding._JUMP_COST)
    return float(totals.max())


def test_the_search_finds_the_best_chain(rng):
    gain = rng.normal(-0.5, 1.0, 260)
    chain = decoding.best_chain(gain)
    intervals = np.diff(chain.frames)
    assert (intervals >= 27).all()
    assert (intervals <= 134).all()
    steps = gain[chain.frames].sum()
    best = slow_best(gain)
    # What its changes of tempo cost is at least nothing, and the chain is the one that reaches the best total.
    assert steps >= best - 1e-4
    assert steps - best < 40


@pytest.mark.parametrize("bpm", [62.0, 93.7, 121.3, 174.0, 207.5])
def test_even_beats_become_an_even_grid_to_the_millisecond(bpm):
    beats = np.arange(0.4, 59.5, 60 / bpm)
    (part,) = decoding.stretches(evidence_of(gain_of(beats, 60.0)))
    assert part.even
    assert part.concentration > 0.95
    assert misses(beats, part.beats / RATE, 0.004) == 0


def test_a_change_to_the_off_beat_is_cured(rng):
    beats = np.arange(0.4, 59.5, 0.5)
    heights = np.where((beats > 20) & (beats < 30), -1.0, 2.5)
    off = beats[(beats > 20) & (beats < 30)] + 0.25
    gain = np.maximum(gain_of(beats, 60.0, heights), gain_of(off, 60.0))
    assert misses(beats, found_beats(gain)) == 0


def test_a_passage_without_a_beat_is_bridged_and_the_ends_are_filled():
    beats = np.arange(0.3, 59.5, 0.55)
    played = beats[((beats > 10) & (beats < 25)) | ((beats > 35) & (beats < 50))]
    times = np.arange(6000) / RATE
    gain = gain_of(played, 60.0)
    gain[(times < 9.7) | (times > 50) | ((times > 25.2) & (times < 34.7))] = 0.0
    assert misses(beats, found_beats(gain)) == 0


def test_tempo_changes_become_grids_of_their_own():
    parts, begin = [], 0.3
    for bpm in (100.0, 140.0, 88.0):
        parts.append(begin + 60 / bpm * np.arange(int(20 * bpm / 60)))
        begin = parts[-1][-1] + 60 / bpm
    beats = np.concatenate(parts)
    found = decoding.stretches(evidence_of(gain_of(beats, begin)))
    assert [part.even for part in found] == [True] * 3
    tempi = [decoding.tempo_of(part.beats) for part in found]
    np.testing.assert_allclose(tempi, [100, 140, 88], rtol=0.004)
    assert misses(beats, np.concatenate([part.beats for part in found]) / RATE) <= 2


@pytest.mark.parametrize("kind", ["ramp", "breath"])
def test_a_tempo_that_drifts_is_followed(kind):
    count = np.arange(110)
    intervals = np.linspace(0.6, 0.46, 110) if kind == "ramp" else 0.5 * (1 + 0.05 * np.sin(count / 8))
    beats = 0.3 + np.cumsum(intervals)
    found = decoding.stretches(evidence_of(gain_of(beats, beats[-1] + 0.3)))
    assert not any(part.even for part in found)
    assert misses(beats, np.concatenate([part.beats for part in found]) / RATE) == 0


def test_nothing_to_hear_gives_no_more_than_one_beat():
    assert len(decoding.best_chain(np.full(500, -1.0)).frames) == 1
    assert decoding.stretches(evidence_of(np.full(500, -1.0))) == []


def test_half_an_hour_is_decoded_in_bounded_memory_to_the_same_beats():
    beats = np.arange(0.4, 1799.0, 60 / 127.3)
    times = np.zeros(180_000)
    times[np.round(beats * RATE).astype(int)] = 1.0
    gain = np.convolve(times, 3.5 * np.exp(-0.5 * (np.arange(-6, 7) / 1.5) ** 2), mode="same") - 1.0
    (part,) = decoding.stretches(evidence_of(gain))
    assert misses(beats, part.beats / RATE) == 0


def test_levels_are_counted_and_the_likeliest_comes_first():
    beats = np.arange(0.4, 59.5, 60 / 96)
    (part,) = found = decoding.stretches(evidence_of(gain_of(beats, 60.0)))
    levels = decoding.levels(evidence_of(gain_of(beats, 60.0)), found)
    assert levels[0].factor == 1
    assert levels[0].tempo_bpm == pytest.approx(96, rel=0.003)
    assert {round(level.tempo_bpm) for level in levels} >= {48, 96, 192, 64, 144}
    assert part.beats is levels[0].beats[0]


def test_half_the_tempo_keeps_the_strong_beats():
    beats = np.arange(0.4, 59.5, 60 / 160)
    gain = gain_of(beats, 60.0)
    accent = gain_of(beats[1::2], 60.0)
    (part,) = decoding.stretches(evidence_of(gain))
    halved = decoding.at_level(evidence_of(gain, accent), part.beats, decoding.Fraction(1, 2)) / RATE
    off = (halved - beats[1] + 0.1) % 0.75 - 0.1
    assert np.abs(off).max() < 0.02


def test_tempi_of_dances_are_usual():
    assert decoding.usual(75.0) == decoding.usual(110.0) == decoding.usual(150.0) == 1.0
    assert decoding.usual(60.0) > decoding.usual(45.0)
    assert decoding.usual(170.0) > decoding.usual(220.0)


def test_steps_of_tempo_are_cut_where_they_are():
    parts = (100.0, 24), (140.0, 40), (88.0, 24)
    beats = 0.5 + np.concatenate([[0.0], np.cumsum(np.concatenate([np.full(n, 60 / bpm) for bpm, n in parts]))])
    found = decoding.stretches(evidence_of(gain_of(beats, beats[-1] + 0.3)))
    assert all(part.even for part in found)
    assert [60 * RATE / np.median(np.diff(part.beats)) for part in found] == pytest.approx([100, 140, 88], rel=5e-3)
    assert misses(beats, np.concatenate([part.beats for part in found]) / RATE) <= 2
