"""Bars counted from accents that are known."""

import numpy as np
import pytest

from longdance.features import bars
from longdance.features.bars import Accents


def accents_of(count: int, meter: int, first: int, rng: np.random.Generator, noise: float = 0.6) -> Accents:
    position = (np.arange(count) - first) % meter
    one = np.where(position == 0, 1.5, -0.5)
    back = np.where(position % 2 == 1, 1.0, -1.0) if meter == 4 else np.where(position == 0, -1.0, 0.5)
    drawn = [values + noise * rng.standard_normal(count) for values in (one, one, one, back)]
    return Accents(*drawn)


@pytest.mark.parametrize("meter", [3, 4])
@pytest.mark.parametrize("first", [0, 1, 2])
def test_meter_and_phase_are_heard(meter, first, rng):
    accents = accents_of(60, meter, first, rng)
    assert bars.choose_meter(accents) == meter
    np.testing.assert_array_equal(bars.choose_downbeats(accents, meter), np.arange(first, 60, meter))


def test_what_says_nothing_is_in_four(rng):
    silent = Accents(*(np.zeros(50) for _ in range(4)))
    assert bars.choose_meter(silent) == 4
    noises = [Accents(*rng.standard_normal((4, 30))) for _ in range(50)]
    assert sum(bars.choose_meter(noise) == 3 for noise in noises) < 8


def test_one_wrong_accent_changes_no_bar(rng):
    accents = accents_of(40, 4, 0, rng, noise=0.0)
    accents.downbeat[14] = 2.0
    np.testing.assert_array_equal(bars.choose_downbeats(accents, 4), np.arange(0, 40, 4))


def test_half_a_bar_more_moves_the_bars_after_it(rng):
    one, other = accents_of(40, 4, 0, rng, noise=0.1), accents_of(40, 4, 2, rng, noise=0.1)
    joined = Accents(*(np.concatenate(pair) for pair in zip(one, other, strict=True)))
    expected = np.concatenate([np.arange(0, 40, 4), 40 + np.arange(2, 40, 4)])
    np.testing.assert_array_equal(bars.choose_downbeats(joined, 4), expected)


def test_known_bars_go_on(rng):
    accents = accents_of(40, 4, 0, rng, noise=0.1)
    known = (np.arange(12), np.isin(np.arange(12), [1, 5, 9]))
    assert bars.choose_downbeats(accents, 4, known)[:3].tolist() == [1, 5, 9]


def test_no_beats_have_no_bars():
    assert len(bars.choose_downbeats(Accents(*(np.zeros(0) for _ in range(4))), 3)) == 0


def test_repetition_is_the_variance_that_the_position_explains(rng):
    values = np.tile([1.0, -0.5, -0.5], 20)
    assert bars.repetition(values, 3) == pytest.approx(1.0)
    assert abs(bars.repetition(rng.standard_normal(3000), 3)) < 0.01
