"""Filters keep what they should keep, damp what they should damp, and do not delay."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from longdance.motion import filters


def wave(frequency: float, *, fps: float = 60.0, seconds: float = 10.0) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(round(seconds * fps)) / fps)[:, None]


@pytest.mark.parametrize(("frequency", "gain"), [(0.5, 1.0), (1.0, 1.0), (5.0, 0.5), (15.0, 0.0)])
def test_gain_over_frequency_is_that_of_a_butterworth_run_twice(frequency, gain):
    values = wave(frequency)
    inside = slice(120, -120)
    smooth = filters.low_pass(values, 60.0, cutoff=5.0)[inside]
    # Fit of a sine and a cosine: amplitude and delay in one.
    phase = 2 * np.pi * frequency * np.arange(600)[inside] / 60.0
    sine, cosine = (2 * (smooth[:, 0] * basis).mean() for basis in (np.sin(phase), np.cos(phase)))
    assert sine == pytest.approx(gain, abs=0.02)
    assert cosine == pytest.approx(0, abs=0.02)  # no delay


def test_still_values_and_straight_lines_pass_unchanged():
    still = np.full((100, 2, 3), 7.0)
    np.testing.assert_allclose(filters.low_pass(still, 60.0, cutoff=3.0), still, atol=1e-9)
    line = np.linspace(0, 5, 200)[:, None]
    np.testing.assert_allclose(filters.low_pass(line, 60.0, cutoff=3.0), line, atol=1e-2)


@pytest.mark.parametrize(("frames", "cutoff"), [(3, 5.0), (1, 5.0), (0, 5.0), (100, 30.0), (100, 99.0)])
def test_too_short_or_too_high_a_cutoff_changes_nothing(frames, cutoff, rng):
    values = rng.normal(size=(frames, 3))
    np.testing.assert_array_equal(filters.low_pass(values, 60.0, cutoff=cutoff), values)


@pytest.mark.parametrize("frames", [4, 5, 7, 30])
def test_short_tracks_are_filtered_without_padding_errors(frames, rng):
    smooth = filters.low_pass(rng.normal(size=(frames, 3)), 60.0, cutoff=2.0)
    assert smooth.shape == (frames, 3)
    assert np.isfinite(smooth).all()


def test_time_reversal_commutes(rng):
    values = rng.normal(size=(300, 3))
    there = filters.low_pass(values[::-1], 60.0, cutoff=4.0)[::-1]
    np.testing.assert_allclose(there[60:-60], filters.low_pass(values, 60.0, cutoff=4.0)[60:-60], atol=1e-6)


def test_the_nearest_rotation_is_scipys(rng):
    matrices = rng.normal(size=(50, 3, 3))
    before = matrices.copy()
    ours = filters.nearest_rotation(matrices)
    np.testing.assert_array_equal(matrices, before)
    np.testing.assert_allclose(np.linalg.det(ours), 1)
    # Of many rotations none lies nearer.
    others = Rotation.random(500, rng=rng).as_matrix()
    distance = np.linalg.norm(ours - matrices, axis=(-1, -2))
    rivals = np.linalg.norm(others[None] - matrices[:, None], axis=(-1, -2)).min(1)
    assert (distance <= rivals + 1e-12).all()


def test_smoothed_rotations_stay_rotations_and_near(rng):
    turns = Rotation.from_rotvec(np.cumsum(rng.normal(size=(120, 3)) * 0.02, axis=0))
    noisy = turns * Rotation.from_rotvec(rng.normal(size=(120, 3)) * 0.05)
    smooth = filters.low_pass_rotations(noisy.as_matrix(), 60.0, cutoff=5.0)
    np.testing.assert_allclose(
        smooth @ np.swapaxes(smooth, -1, -2), np.tile(np.eye(3), (120, 1, 1)), atol=1e-12
    )
    error = (turns.inv() * Rotation.from_matrix(smooth)).magnitude()[10:-10].mean()
    assert error < 0.6 * (turns.inv() * noisy).magnitude()[10:-10].mean()


@pytest.mark.parametrize(
    ("frames", "fps", "target", "count"),
    [
        (61, 60, 30, 31),
        (60, 60, 30, 30),
        (31, 30, 60, 61),
        (1, 30, 60, 1),
        (0, 30, 60, 0),
        (101, 100, 24, 25),
    ],
)
def test_sample_times_stay_inside_the_motion(frames, fps, target, count):
    at = filters.sample_times(frames, fps, target)
    assert len(at) == count
    if count:
        assert at[0] == 0
        assert at[-1] <= frames - 1
        np.testing.assert_allclose(np.diff(at), fps / target)


def test_interpolation_is_exact_for_cubics_and_at_the_frames(rng):
    time = np.arange(20.0)
    cubic = np.stack((time**3 - time, 2 * time**2, np.ones(20)), 1)
    at = rng.uniform(0, 19, 50)
    expected = np.stack((at**3 - at, 2 * at**2, np.ones(50)), 1)
    np.testing.assert_allclose(filters.interpolate(cubic, at), expected, atol=1e-8)
    np.testing.assert_allclose(filters.interpolate(cubic, time), cubic, atol=1e-9)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_few_frames_are_interpolated_linearly(frames):
    values = np.arange(frames, dtype=float)[:, None] * [1.0, 2.0]
    at = np.linspace(0, frames - 1, 5)
    np.testing.assert_allclose(filters.interpolate(values, at), at[:, None] * [1.0, 2.0], atol=1e-12)


def test_rotations_between_frames_are_scipys_slerp(rng):
    turns = Rotation.random(10, rng=rng)
    at = np.concatenate((rng.uniform(0, 9, 40), [0, 9, 3]))
    ours = filters.interpolate_rotations(turns.as_matrix()[:, None], at)
    assert ours.shape == (43, 1, 3, 3)
    expected = Slerp(np.arange(10), turns)(at).as_matrix()
    np.testing.assert_allclose(ours[:, 0], expected, atol=1e-8)


def test_a_single_rotation_is_repeated(rng):
    turn = Rotation.random(1, rng=rng).as_matrix()
    np.testing.assert_allclose(
        filters.interpolate_rotations(turn, np.zeros(3)), np.tile(turn, (3, 1, 1)), atol=1e-12
    )
