"""Measures of dances by plan, against dances whose values are known."""

import numpy as np
import pytest

from longdance.choreography.phrases.cutting import cut
from longdance.choreography.phrases.library import Library, TakeFacts
from longdance.metrics.phrases import join_measures, recorded_share
from made_up_phrases import stepping

FPS = 30.0


@pytest.fixture(scope="module")
def library():
    made = cut(stepping(100.0), TakeFacts(clip="one", genre="salsa", movements=()))
    return Library.of("one", [made], licence="made up")


def test_a_recorded_take_is_recorded_wherever_it_faces_and_mirrored_too(library):
    take = library.motion(0).slice(60, 240)
    for motion in (take, take.turn(1.2), take.mirror()):
        assert recorded_share(motion.joints() + np.array([3.0, 0.0, -2.0]), FPS, library) == pytest.approx(1.0)


def test_other_poses_are_not_recorded(library):
    take = library.motion(0).slice(60, 120)
    lifted = take.joints() * np.array([1.0, 1.3, 1.0])
    assert recorded_share(lifted, FPS, library) == 0.0
    both = np.concatenate((take.joints(), lifted))
    assert recorded_share(both, FPS, library) == pytest.approx(0.5, abs=0.02)


def test_a_jolt_in_a_join_is_seen_and_one_elsewhere_is_not():
    joints = stepping(100.0, seconds=10.0).joints()
    joints[150:] += np.array([0.1, 0.0, 0.0])
    seen = join_measures(joints, FPS, [(145, 155)])
    assert seen.acceleration > 2
    assert seen.within == 0.0
    assert seen.sliding_in_joins > 10 * seen.sliding_elsewhere
    elsewhere = join_measures(joints, FPS, [(60, 70), (200, 210)])
    assert elsewhere.joins == 2
    assert elsewhere.acceleration < seen.acceleration / 2
    assert np.isnan(join_measures(joints, FPS, []).acceleration)
