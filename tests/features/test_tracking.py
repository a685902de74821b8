"""The tracker on curves whose beats are known, and its dynamic programs against exhaustive search."""

import itertools

import numpy as np
import pytest

from longdance.features import tracking

RATE = 80.0


def pulses(times: np.ndarray, seconds: float, heights: np.ndarray | float = 1.0) -> np.ndarray:
    axis = np.arange(round(seconds * RATE)) / RATE
    bumps = np.exp(-0.5 * ((axis[:, None] - times[None]) / 0.015) ** 2)
    return (bumps * heights).sum(axis=1)


@pytest.mark.parametrize("bpm", [72.0, 90.0, 113.7, 128.0, 150.0])
def test_tempo_and_beats_of_even_pulses(bpm):
    beats = np.arange(0.4, 19.6, 60 / bpm)
    novelty = pulses(beats, 20.0)
    path = tracking.follow_tempo(novelty, RATE)
    assert np.median(path.tempo_bpm) == pytest.approx(bpm, rel=0.02)
    assert path.clarity > 0.7
    found = tracking.follow_beats(novelty, RATE, path.tempo_bpm) / RATE
    assert len(found) - len(beats) in (0, 1)  # one more may follow the last pulse
    np.testing.assert_allclose(found[: len(beats)], beats, atol=0.006)


def test_beats_follow_a_drifting_tempo():
    intervals = 0.5 * (1 + 0.12 * np.sin(np.arange(70) / 9))
    beats = 0.3 + np.cumsum(intervals)
    seconds = beats[-1] + 0.3
    novelty = pulses(beats, seconds)
    path = tracking.follow_tempo(novelty, RATE)
    found = tracking.follow_beats(novelty, RATE, path.tempo_bpm) / RATE
    assert (np.abs(beats[:, None] - found).min(axis=1) < 0.02).all()
    assert len(found) <= len(beats) + 1


def test_soft_passages_and_missing_pulses_are_bridged(rng):
    beats = np.arange(0.4, 29.8, 0.5)
    heights = np.where((beats > 10) & (beats < 20), 0.08, 1.0) * (rng.random(len(beats)) < 0.8)
    novelty = pulses(beats, 30.0, heights)
    path = tracking.follow_tempo(novelty, RATE)
    found = tracking.follow_beats(novelty, RATE, path.tempo_bpm) / RATE
    inner = beats[2:-2]
    assert (np.abs(inner[:, None] - found).min(axis=1) < 0.03).mean() > 0.97


def test_nothing_gives_nothing():
    path = tracking.follow_tempo(np.zeros(500), RATE, likely_bpm=100.0)
    assert path.clarity == 0.0
    assert (path.tempo_bpm == 100.0).all()
    assert len(tracking.follow_beats(np.zeros(500), RATE, path.tempo_bpm)) == 0
    assert len(tracking.pick_peaks(np.zeros(0), RATE, threshold=0.1)) == 0


def testbest_path_equals_exhaustive_search(rng):
    emission, change = rng.random((6, 3)), rng.random((3, 3))
    change -= np.diag(np.diag(change))

    def total(path):
        steps = sum(change[a, b] for a, b in itertools.pairwise(path))
        return emission[np.arange(6), list(path)].sum() - steps

    best = max(itertools.product(range(3), repeat=6), key=total)
    assert tuple(tracking.best_path(emission, change)) == best


def test_peaks_are_local_and_above_their_surroundings():
    novelty = pulses(np.array([1.0, 1.5, 1.52, 3.0]), 4.0, np.array([1.0, 1.0, 0.5, 0.01]))
    peaks = tracking.pick_peaks(novelty, RATE, threshold=0.1) / RATE
    np.testing.assert_allclose(peaks, [1.0, 1.5], atol=0.02)
