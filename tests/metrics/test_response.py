"""The answer of movement to music, on movement whose answer is known."""

import numpy as np
import pytest

from longdance.metrics import loudness_response, movement_beat_test

FPS = 30.0


def test_stops_on_the_beat_are_no_chance(standing):
    joints = standing(20.0, FPS)
    time = np.arange(len(joints)) / FPS
    joints[..., 0] += 0.1 * np.cos(np.pi * (time - 0.1) / 0.6)[:, None]
    beats = np.arange(0.1, 20, 0.6)
    on = movement_beat_test(joints, beats, FPS)
    off = movement_beat_test(joints, beats + 0.3, FPS)
    assert on.score > 0.9
    assert on.p_value < 0.05
    assert off.p_value > 0.9
    trembling = joints + 0.01 * (-1.0) ** np.arange(len(joints))[:, None, None]
    assert movement_beat_test(trembling, beats, FPS).p_value < 0.05


def test_speed_of_loud_over_soft_parts(standing):
    joints = standing(20.0, FPS)
    loud = (np.arange(len(joints)) // 150) % 2 == 0
    joints[..., 0] += np.cumsum(np.where(loud, 1.5, 1.0) / FPS)[:, None]
    loudness = np.where(loud, -6.0, -18.0)
    assert loudness_response(joints, loudness, FPS) == pytest.approx(1.5, rel=0.05)
    assert np.isnan(loudness_response(joints, loudness / 10, FPS))
