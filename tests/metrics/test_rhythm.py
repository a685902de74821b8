"""Beat alignment: dances that pause at known times, published values, and what chance gives."""

import numpy as np
import pytest

from longdance.errors import InputError
from longdance.metrics import beat_alignment, beat_alignment_test, motion_beats
from longdance.motion.skeleton import SMPL24


def stepping(times_of_rest, seconds, fps):
    """A body that swings sideways and stands still exactly at the given times, which are evenly spaced."""
    period = times_of_rest[1] - times_of_rest[0]
    times = np.arange(round(seconds * fps) + 1) / fps
    joints = np.repeat(SMPL24.rest_positions[None], len(times), axis=0)
    joints[..., 0] += 0.1 * np.cos(np.pi * (times - times_of_rest[0]) / period)[:, None]
    return joints


RESTS = 0.45 + 0.6 * np.arange(16)


@pytest.mark.parametrize("variant", ["bailando", "lodge", "mint", "popdg"])
def test_published_score_of_the_reference_dance(reference, variant):
    score = beat_alignment(reference["joints"], reference["beat_times"], 30, variant=variant)
    assert score == pytest.approx(reference["expected"]["beats"][f"bas_{variant}"], rel=1e-6)


@pytest.mark.parametrize("variant", ["bailando", "mint"])
def test_published_beats_of_the_reference_dance(reference, variant):
    beats = motion_beats(reference["joints"], 30, variant=variant) * 30
    np.testing.assert_allclose(beats, reference["expected"]["beats"][f"{variant}_motion_frames"])


@pytest.mark.parametrize("fps", [30.0, 60.0, 120.0])
def test_corrected_beats_are_where_the_body_rests(fps):
    beats = motion_beats(stepping(RESTS, 10, fps), fps, variant="corrected")
    np.testing.assert_allclose(beats, RESTS, atol=0.005)


@pytest.mark.parametrize("fps", [30.0, 60.0, 120.0])
def test_corrected_score_of_late_beats_is_the_gaussian_at_any_rate(fps):
    joints = stepping(RESTS, 10, fps)
    assert beat_alignment(joints, RESTS, fps, variant="corrected") > 0.97
    late = beat_alignment(joints, RESTS + 0.05, fps, variant="corrected")
    assert late == pytest.approx(np.exp(-0.5), abs=0.03)


def test_bailando_tolerance_doubles_when_the_rate_halves():
    slow, fast = (beat_alignment(stepping(RESTS, 10, fps), RESTS + 0.1, fps) for fps in (30, 60))
    assert slow > 2 * fast


def test_direction_of_the_variants():
    joints = stepping(RESTS, 10, 60)
    halves = np.sort(np.concatenate([RESTS, RESTS[:-1] + 0.3]))
    # Beats between the steps cost Bailando's score half, mint's nothing; missing beats the reverse.
    assert beat_alignment(joints, halves, 60) < 0.6 < 0.9 < beat_alignment(joints, halves, 60, variant="mint")
    assert (
        beat_alignment(joints, RESTS[::2], 60, variant="mint") < 0.6 < beat_alignment(joints, RESTS[::2], 60)
    )


def test_score_of_a_still_dance_is_zero(standing):
    for variant in ("bailando", "mint", "corrected"):
        assert beat_alignment(standing(), [0.5, 1.0], 30, variant=variant) == 0
    assert motion_beats(standing(), 30).size == 0


def test_beats_after_the_end_do_not_count():
    joints = stepping(RESTS, 5, 60)
    assert beat_alignment(joints, RESTS, 60) == beat_alignment(joints, RESTS[RESTS < 5], 60)
    with pytest.raises(InputError, match="music beat"):
        beat_alignment(joints, [7.0, 8.0], 60)
    with pytest.raises(InputError, match="music beat"):
        beat_alignment(joints, [], 60)


def test_dance_on_the_beat_is_beyond_chance():
    test = beat_alignment_test(stepping(RESTS, 10, 60), RESTS, 60, shifts=99, seed=1)
    assert test.p_value <= 0.06
    assert test.score > test.chance_mean + test.chance_spread
    assert 0 < test.chance_mean < 1


def test_dance_off_the_beat_is_not():
    assert beat_alignment_test(stepping(RESTS, 10, 60), RESTS + 0.3, 60, shifts=99, seed=1).p_value > 0.9


def test_p_values_of_unrelated_beats_are_uniform():
    rng = np.random.default_rng(5)
    joints = stepping(RESTS, 10, 30) + 0.02 * rng.normal(size=(301, 1, 3))
    values = []
    for seed in range(60):
        beats = np.sort(rng.uniform(0, 10, size=14))
        values.append(beat_alignment_test(joints, beats, 30, shifts=60, seed=seed).p_value)
    # Mean 0.5, standard error 0.037; the fifth that is below 0.2 has a standard error of 0.052.
    assert abs(np.mean(values) - 0.5) < 0.12
    assert abs(np.mean(np.array(values) <= 0.2) - 0.2) < 0.16


def test_same_seed_same_chance(reference):
    arguments = reference["joints"], reference["beat_times"], 30
    assert beat_alignment_test(*arguments, seed=3) == beat_alignment_test(*arguments, seed=3)


def test_wrong_arguments_are_named(standing):
    with pytest.raises(InputError, match="bailando"):
        beat_alignment(standing(), [1.0], 30, variant="edge")
    with pytest.raises(InputError, match="shift"):
        beat_alignment_test(standing(), [1.0], 30, shifts=0, seed=0)
    with pytest.raises(InputError, match="finite"):
        beat_alignment(standing(), [np.nan], 30)
