"""Exchange: nothing for a dancer who ignores the song, one for a dancer to whom the song is as good as a seed."""

import numpy as np
import pytest

from longdance.metrics.exchange import SAMPLES_PER_BEAT, exchange, exchange_in_beats, in_beats, pose_distance
from longdance.motion.skeleton import SMPL24

FPS = 30.0


def dance(rng, beats, *, seconds=8.0, yaw=0.0, wander=0.0):
    """Poses that are a random function of the number of beats passed."""
    key = rng.normal(size=(64, 24, 3)) * 0.1
    passed = np.interp(np.arange(round(seconds * FPS)) / FPS, beats, np.arange(len(beats)))
    low = passed.astype(int)
    part = (passed - low)[:, None, None]
    joints = SMPL24.rest_positions + key[low] * (1 - part) + key[low + 1] * part
    turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    return joints @ turn.T + np.array([wander, 0.0, -wander])


def seeded(seed):
    return np.random.default_rng(seed)


SLOW, QUICK = np.arange(0, 9, 0.75), np.arange(0, 9, 0.5)


def test_a_dancer_who_ignores_the_song_has_none():
    dances = {(song, seed): dance(seeded(seed), SLOW) for song in ("a", "b") for seed in (1, 2)}
    assert exchange(dances) == 0
    assert exchange_in_beats(dances, {"a": SLOW, "b": SLOW}, FPS) == pytest.approx(0, abs=1e-9)


def test_a_song_that_changes_as_much_as_a_seed_gives_one():
    dances = {
        (song, seed): dance(seeded((number, seed)), SLOW)
        for number, song in enumerate("abcd")
        for seed in range(4)
    }
    assert exchange(dances) == pytest.approx(1, abs=0.05)


def test_one_choreography_at_two_tempi_is_told_by_seconds_and_not_by_beats():
    beats = {"slow": SLOW, "quick": QUICK}
    dances = {
        (song, seed): dance(seeded(seed), beats[song], yaw=0.7 * (song == "quick"), wander=0.3 * seed)
        for song in beats
        for seed in (1, 2)
    }
    assert exchange(dances) > 0.5
    assert exchange_in_beats(dances, beats, FPS) < 0.05


def test_a_dance_in_beats_has_so_many_samples_a_beat():
    joints = dance(seeded(3), SLOW)
    found = in_beats(joints, np.append(SLOW, 100.0), FPS)
    inside = SLOW[(len(joints) - 1) / FPS >= SLOW]
    assert len(found) == (len(inside) - 1) * SAMPLES_PER_BEAT + 1
    frame = round(SLOW[4] * FPS)
    np.testing.assert_allclose(found[4 * SAMPLES_PER_BEAT], joints[frame], atol=0.05)
    assert in_beats(joints, np.array([1.0]), FPS).shape == (0, 24, 3)


def test_places_on_the_floor_do_not_count_and_heights_do():
    joints = dance(seeded(1), SLOW)
    assert pose_distance(joints, joints + np.array([3.0, 0.0, -2.0])) == pytest.approx(0, abs=1e-12)
    assert pose_distance(joints, joints + np.array([0.0, 0.25, 0.0])) == pytest.approx(0.25)
    assert pose_distance(joints, dance(seeded(1), SLOW, yaw=2.0)) > 0.2
    assert pose_distance(joints, dance(seeded(1), SLOW, yaw=2.0), turned=True) == pytest.approx(0, abs=1e-9)
    assert np.isnan(exchange({("a", 1): joints}))
