"""Refinement bit by bit against refinement of the whole."""

import numpy as np
import pytest
from tests.choreography.test_refine import jittering, refiner
from tests.conftest import swaying

from longdance.choreography.ongoing import BEHIND, OngoingRefinement
from longdance.choreography.refine import RefineConfig, refine
from longdance.metrics.physical import foot_skating
from longdance.metrics.rhythm import beat_alignment
from longdance.motion.motion import Motion

FPS = 30.0
BEATS = np.arange(0.4, 60.0, 0.55)


def bit_by_bit(motion: Motion, sizes, *, config=None, module=None, beats=BEATS) -> list[Motion]:
    """Pieces of a dance given in bits of some sizes, the last of which goes on to the end."""
    ongoing = OngoingRefinement(config or RefineConfig(), module)
    contacts, given, first, told = np.zeros((motion.frames, 4)), [], 0, 0
    while first < motion.frames:
        stop = min(first + sizes[min(len(given), len(sizes) - 1)], motion.frames)
        known = int(np.searchsorted(beats, stop / FPS))
        last = stop == motion.frames
        given.append(ongoing.add(motion.slice(first, stop), contacts[first:stop], beats[told:known], last=last))
        first, told = stop, known
    return given


@pytest.mark.parametrize("frames", [1, 2, 3, 20, 41, 130])
@pytest.mark.parametrize("sizes", [[1000], [50, 7], [1]], ids=str)
def test_every_frame_comes_back_once(frames, sizes, rng):
    motion = jittering(frames, rng)[1]
    given = Motion.joined(bit_by_bit(motion, sizes, module=refiner()))
    assert given.frames == frames
    np.testing.assert_allclose(np.linalg.det(given.rotations), 1, atol=1e-6)


@pytest.mark.parametrize("with_module", [False, True], ids=["filters", "module"])
def test_what_reaches_only_so_far_is_what_the_whole_gets(with_module, rng):
    motion = jittering(400, rng)[1]
    config, module = RefineConfig(meet_beats=False, lock_feet=False), refiner() if with_module else None
    whole = refine(motion, None, config, refiner=module).joints()
    given = Motion.joined(bit_by_bit(motion, [90, 60], config=config, module=module)).joints()
    assert np.abs(whole - given)[:-60].max() < 2e-3
    assert np.abs(whole - given).max() < 5e-3


def test_feet_stand_and_beats_are_met_as_in_the_whole():
    motion = swaying(900, FPS, tempo_hz=0.93)
    whole = refine(motion, np.zeros((900, 4)), RefineConfig(), beat_times=BEATS)
    pieces = bit_by_bit(motion, [100, 60, 150])
    given = Motion.joined(pieces)
    beats = BEATS[BEATS < 29.9]
    aligned = [beat_alignment(m.joints(), beats, FPS) for m in (motion, whole, given)]
    assert aligned[2] > aligned[0]
    assert aligned[2] > aligned[1] - 0.05
    slides = [foot_skating(m.joints(), FPS)[0] for m in (whole, given)]
    assert slides[1] < slides[0] + 1.0
    joints = given.joints()
    assert joints[:, [10, 11], 1].min() > 0
    ends = np.cumsum([piece.frames for piece in pieces])[:-1]
    for order in (1, 2):
        size = np.linalg.norm(np.diff(joints, order, axis=0), axis=-1).max(1)
        assert max(size[end - order : end].max() for end in ends) <= np.percentile(size, 99) * 1.05


def test_a_dance_off_the_floor_is_put_there_without_a_jump():
    motion = swaying(600, FPS)
    lifted = Motion(motion.root_position + np.array([0.0, 0.3, 0.0]), motion.rotations, fps=FPS)
    given = Motion.joined(bit_by_bit(lifted, [100, 60])).joints()
    assert 0 < given[:, [10, 11], 1].min(1).mean() < 0.05
    assert np.abs(np.diff(given[..., 1], axis=0)).max() < 0.1


def test_time_runs_evenly_where_there_are_no_beats():
    motion = swaying(900, FPS, tempo_hz=0.93)
    config = RefineConfig(lock_feet=False, cutoff=None)
    beats = np.concatenate((BEATS[BEATS < 8], BEATS[BEATS > 20]))
    given = Motion.joined(bit_by_bit(motion, [100, 60], config=config, beats=beats)).joints()
    whole = motion.joints()
    assert np.abs(given - whole)[330:540].max() < 1e-3
    assert np.abs(given - whole)[100:200].max() > 0.02


def test_what_is_kept_does_not_grow(rng):
    ongoing, most = OngoingRefinement(RefineConfig(), refiner()), 0
    motion = swaying(60, FPS)
    for turn in range(60):
        beats = BEATS[np.floor(BEATS / 2) == turn]
        ongoing.add(motion, np.zeros((60, 4)), beats, last=False)
        kept = (ongoing._raw.motion.frames, ongoing._smooth.motion.frames, len(ongoing._knots), len(ongoing._beats))
        most = max(most, *kept)
    assert most < (BEHIND + 8) * FPS
