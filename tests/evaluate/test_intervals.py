"""Confidence intervals, against the textbook and against repetition."""

import numpy as np
import pytest

from longdance.evaluate.intervals import over_dances, over_seeds


def test_over_seeds_is_students_interval():
    estimate = over_seeds([1.0, 2.0, 3.0, float("nan")])
    assert estimate.value == 2
    assert estimate.margin == pytest.approx(4.3027 / np.sqrt(3), rel=1e-4)


def test_the_jackknife_of_a_mean_is_its_standard_error(rng):
    values = rng.normal(size=20)
    estimate = over_dances(lambda chosen: float(values[chosen].mean()), 20)
    assert estimate.margin == pytest.approx(2.093 * values.std(ddof=1) / np.sqrt(20), rel=1e-3)


def test_the_truth_is_inside_as_often_as_promised(rng):
    hits = 0
    for _ in range(200):
        values = rng.normal(size=40)
        estimate = over_dances(lambda chosen, values=values: float(values[chosen].mean()), 40)
        hits += abs(estimate.value) <= estimate.margin
    assert 0.9 < hits / 200 < 0.995


def test_one_value_has_no_interval():
    assert np.isnan(over_seeds([1.0]).margin)
    assert np.isnan(over_dances(lambda chosen: 1.0, 1).margin)
