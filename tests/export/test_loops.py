"""Cycles that close, and dances on the spot."""

from dataclasses import replace

import numpy as np
import pytest

from conftest import swaying
from longdance.errors import InputError
from longdance.export.loops import in_place, looped
from longdance.motion.contacts import speeds
from longdance.motion.ik import detect_contacts, lock_feet
from longdance.motion.skeleton import SMPL24
from sample_motions import wandering


@pytest.fixture(params=[5, 6], ids=lambda seed: f"seed {seed}")
def dance(request):
    return lock_feet(wandering(np.random.default_rng(request.param), frames=300, fps=30.0))


def test_the_last_frame_is_the_first(dance):
    cycle = looped(dance)
    np.testing.assert_allclose(cycle.joints()[-1], cycle.joints()[0], atol=1e-9)


def test_the_seam_is_no_rougher_than_the_dance(dance):
    cycle = looped(dance)
    rounds = np.concatenate([cycle.joints()[:-1]] * 3)
    bends = np.linalg.norm(np.diff(rounds, 2, axis=0), axis=-1).max(1) * dance.fps**2
    usual = np.linalg.norm(np.diff(dance.joints(), 2, axis=0), axis=-1).max(1) * dance.fps**2
    length = cycle.frames - 1
    seam = bends[length - 4 : length + 4]
    assert seam.max() < 1.5 * np.percentile(usual, 99)


def test_a_cycle_lasts_whole_beats_and_keeps_those_it_has():
    dance = replace(swaying(290, 30.0, tempo_hz=0.97), meta={"tempo_bpm": 116.4, "beat_times": [0.1, 5.0, 9.6]})
    cycle = looped(dance)
    beats = (cycle.frames - 1) / 30 * 116.4 / 60
    assert beats == pytest.approx(round(beats), abs=0.04)
    assert cycle.meta["beat_times"] == [0.1, 5.0]


def test_feet_stand_as_well_as_before(dance):
    def sliding(joints):
        contacts = detect_contacts(joints, 30.0, skeleton=SMPL24)
        feet = [SMPL24.index(name) for name in ("left_ankle", "left_foot", "right_ankle", "right_foot")]
        return speeds(joints[:, feet][..., [0, 2]], 30.0)[contacts].mean()

    rounds = np.concatenate([looped(dance).joints()[:-1]] * 2)
    assert sliding(rounds) < 1.2 * sliding(dance.joints())


def test_what_is_too_short_to_close_is_refused():
    with pytest.raises(InputError, match="2 s"):
        looped(swaying(40, 30.0))


def test_in_place_leaves_rotations_and_height(dance):
    still = in_place(dance)
    assert np.array_equal(still.rotations, dance.rotations)
    assert np.array_equal(still.root_position[:, 1], dance.root_position[:, 1])
    assert not still.root_position[:, [0, 2]].any()
