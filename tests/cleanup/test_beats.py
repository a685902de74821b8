"""Pauses move onto beats, and nothing else changes."""

import numpy as np
import pytest
from tests.conftest import swaying

from longdance.cleanup.beats import LARGEST_SHIFT, align_to_beats, beat_shifts
from longdance.metrics.rhythm import beat_alignment

FPS = 30.0


@pytest.fixture
def dance():
    """Twelve seconds of swaying that pauses every half second: at 0.25, 0.75, ..."""
    return swaying(360, FPS, tempo_hz=1.0)


@pytest.mark.parametrize("late", [-0.12, 0.0, 0.1])
def test_shifts_point_from_the_beats_to_the_pauses(dance, late):
    beats = np.arange(1.25, 11, 0.5) + late
    shifts = beat_shifts(dance.joints(), FPS, beats)
    np.testing.assert_allclose(shifts, -late, atol=0.035)


def test_a_dance_off_the_beat_is_brought_onto_it(dance):
    beats = np.arange(0.4, 12, 0.5)
    before = beat_alignment(dance.joints(), beats, FPS, variant="corrected")
    aligned, _ = align_to_beats(dance, beats)
    after = beat_alignment(aligned.joints(), beats, FPS, variant="corrected")
    assert before < 0.1
    assert after > 0.85


def test_a_dance_on_the_beat_stays_as_it_is(dance):
    aligned, _ = align_to_beats(dance, np.arange(0.25, 12, 0.5))
    assert np.linalg.norm(aligned.joints() - dance.joints(), axis=-1).mean() < 0.01


def test_length_ends_and_order_of_poses_are_kept_and_labels_go_along(dance):
    beats = np.arange(0.4, 12, 0.5)
    marks = np.zeros((dance.frames, 4))
    marks[:, 0] = np.arange(dance.frames)  # each frame's own number tells where it went
    aligned, labels = align_to_beats(dance, beats, marks)
    assert aligned.frames == dance.frames
    at = labels[:, 0]
    assert (np.diff(at) > 0).all()
    assert at[0] == 0
    assert at[-1] == dance.frames - 1
    assert np.abs(at - np.arange(dance.frames)).max() <= LARGEST_SHIFT * 0.5 * FPS + 1
    for frame in (50, 200):
        nearest = round(at[frame])  # up to half a frame away
        assert np.linalg.norm(aligned.joints()[frame] - dance.joints()[nearest], axis=-1).max() < 0.06


def test_beats_closer_together_than_usual_never_turn_time_back(dance, rng):
    beats = np.sort(rng.uniform(0, 12, 60))
    marks = np.repeat(np.arange(dance.frames, dtype=float)[:, None], 4, 1)
    _, labels = align_to_beats(dance, beats, marks)
    assert (np.diff(labels[:, 0]) >= 0).all()


def test_without_beats_or_without_movement_nothing_happens(dance):
    assert align_to_beats(dance, np.array([]))[0] is dance
    assert align_to_beats(dance, np.array([3.0]))[0] is dance
    still = dance.slice(0, 1)
    assert align_to_beats(still, np.arange(5.0))[0] is still
    frozen = type(dance)(np.repeat(dance.root_position[:1], 90, 0), np.repeat(dance.rotations[:1], 90, 0), fps=FPS)
    assert not beat_shifts(frozen.joints(), FPS, np.arange(0.5, 2.5, 0.5)).any()
