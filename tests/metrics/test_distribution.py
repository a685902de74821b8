"""Fréchet distance and diversity against closed forms, scipy's matrix square root, and hand-made sets."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from longdance.errors import InputError
from longdance.metrics import diversity, frechet_distance


def matrix_root_distance(a, b):
    """The Fréchet distance as the papers write it, with a general matrix square root."""
    shift = a.mean(axis=0) - b.mean(axis=0)
    s, t = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    return float(shift @ shift + np.trace(s + t - 2 * sqrtm(s @ t).real))


def test_distance_of_one_dimensional_gaussians():
    a, b = np.array([[0.0], [2.0]]), np.array([[4.0], [10.0]])
    # Means 1 and 7; standard deviations (ddof 1) √2 and √18.
    assert frechet_distance(a, b, normalise=False) == pytest.approx(36 + (np.sqrt(18) - np.sqrt(2)) ** 2)


def test_distance_equals_the_matrix_root_form(rng):
    a, b = rng.normal(size=(200, 12)), rng.normal(size=(150, 12)) @ rng.normal(size=(12, 12)) + 0.5
    assert frechet_distance(a, b, normalise=False) == pytest.approx(matrix_root_distance(a, b), rel=1e-9)
    centre, spread = a.mean(axis=0), a.std(axis=0)
    expected = matrix_root_distance((a - centre) / spread, (b - centre) / spread)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


def test_fewer_rows_than_columns_stay_exact(rng):
    """Rows of a subspace have the distance that they have inside it."""
    a, b = rng.normal(size=(30, 4)), rng.normal(size=(25, 4)) + 1
    basis = np.linalg.qr(rng.normal(size=(72, 4)))[0]
    inside = frechet_distance(a, b, normalise=False)
    assert frechet_distance(a @ basis.T, b @ basis.T, normalise=False) == pytest.approx(inside, rel=1e-9)
    a, b = rng.normal(size=(3, 72)), rng.normal(size=(5, 72))
    assert frechet_distance(a, b) >= 0


def test_distance_of_a_set_to_itself_is_zero(rng):
    a = rng.normal(size=(5, 72))
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


def test_order_of_rows_does_not_matter(rng):
    a, b = rng.normal(size=(20, 6)), rng.normal(size=(30, 6))
    assert frechet_distance(a[::-1], rng.permutation(b)) == pytest.approx(frechet_distance(a, b))


def test_normalisation_makes_units_irrelevant(rng):
    a, b = rng.normal(size=(50, 3)), rng.normal(size=(40, 3))
    unit = np.array([1000.0, 1.0, 0.01])
    assert frechet_distance(a * unit, b * unit) == pytest.approx(frechet_distance(a, b), rel=1e-5)


def test_diversity_of_a_triangle():
    points = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    assert diversity(points) == pytest.approx((3 + 4 + 5) / 3)


def test_diversity_in_units_of_the_reference():
    reference = np.array([[-2.0, 0.0], [2.0, 20.0]])
    assert diversity(np.array([[0.0, 0.0], [6.0, 40.0]]), reference=reference) == pytest.approx(5.0)


def test_diversity_of_one_dance_is_undefined():
    assert np.isnan(diversity(np.zeros((1, 4))))


def test_unusable_sets_are_refused(rng):
    good = rng.normal(size=(5, 3))
    with pytest.raises(InputError, match="at least 2 rows"):
        frechet_distance(good, good[:1])
    with pytest.raises(InputError, match="NaN"):
        frechet_distance(good, np.full((5, 3), np.nan))
