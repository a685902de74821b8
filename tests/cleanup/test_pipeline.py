"""Cleanup piece by piece against cleanup of the whole."""

from dataclasses import replace

import numpy as np
import pytest
from tests.choreography.test_refinement import jittering, refiner
from tests.conftest import swaying

from longdance.choreography.refinement import Refinement
from longdance.cleanup.feet import FeetLocked
from longdance.cleanup.floor import OnFloor
from longdance.cleanup.passage import Passage
from longdance.cleanup.pipeline import BEHIND, Cleanup
from longdance.cleanup.root import RootLed
from longdance.cleanup.seams import SeamsEased
from longdance.cleanup.smoothing import CUTOFF, LowPassed
from longdance.metrics.physical import foot_skating
from longdance.motion.motion import Motion

FPS = 30.0
FILTERS = Cleanup().without(OnFloor, RootLed, FeetLocked)


def bit_by_bit(motion: Motion, sizes, *, cleanup=None, module=None) -> list[Motion]:
    """Pieces of a dance given in bits of some sizes, the last of which goes on to the end."""
    refinement = None if module is None else Refinement(module)
    stream = (cleanup or Cleanup()).stream()
    contacts, given, first = np.zeros((motion.frames, 4)), [], 0
    while first < motion.frames:
        stop = min(first + sizes[min(len(given), len(sizes) - 1)], motion.frames)
        last = stop == motion.frames
        piece = Passage(motion.slice(first, stop), contacts[first:stop], first=first)
        if refinement is not None:
            piece = refinement.more(piece, last=last)
        given.append(stream.more(piece, last=last))
        first = stop
    return given


def whole_of(motion: Motion, *, cleanup=None, module=None, contacts=None) -> Motion:
    passage = Passage(motion, contacts)
    if module is not None:
        passage = Refinement(module).whole(passage)
    return (cleanup or Cleanup()).whole(passage).motion


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
    module = refiner() if with_module else None
    whole = whole_of(motion, cleanup=FILTERS, module=module).joints()
    given = Motion.joined(bit_by_bit(motion, [90, 60], cleanup=FILTERS, module=module)).joints()
    assert np.abs(whole - given)[:-60].max() < 2e-3
    assert np.abs(whole - given).max() < 5e-3


def test_feet_stand_as_in_the_whole():
    motion = swaying(900, FPS, tempo_hz=0.93)
    whole = whole_of(motion, contacts=np.zeros((900, 4)))
    pieces = bit_by_bit(motion, [100, 60, 150])
    given = Motion.joined(pieces)
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


def test_what_is_kept_does_not_grow():
    refinement, stream, most = Refinement(refiner()), Cleanup().stream(), 0
    motion = swaying(60, FPS)
    for turn in range(60):
        piece = Passage(motion, np.zeros((60, 4)), first=60 * turn)
        stream.more(refinement.more(piece, last=False), last=False)
        kept = [part.frames for part in (refinement._raw, stream._kept, stream._filter._kept) if part is not None]
        most = max(most, *kept)
    assert most < (BEHIND + 8) * FPS


def test_the_module_comes_before_the_low_pass_and_can_be_left_out(rng):
    _, noisy = jittering(60, rng)
    smooth = Refinement(refiner()).whole(Passage(noisy)).motion.low_pass(CUTOFF)
    np.testing.assert_array_equal(whole_of(noisy, cleanup=FILTERS, module=refiner()).rotations, smooth.rotations)
    np.testing.assert_array_equal(whole_of(noisy, cleanup=FILTERS).rotations, noisy.low_pass(CUTOFF).rotations)


def test_steps_are_left_out_and_kept_by_kind():
    kinds = [type(step) for step in Cleanup().steps]
    assert kinds[-1] is FeetLocked
    assert [type(step) for step in Cleanup().without(FeetLocked, RootLed).steps] == [
        kind for kind in kinds if kind not in (FeetLocked, RootLed)
    ]
    assert [type(step) for step in Cleanup().only(FeetLocked, LowPassed).steps] == [LowPassed, FeetLocked]


def test_a_stream_leaves_the_steps_it_was_made_of_as_they_were():
    cleanup, motion = Cleanup(), swaying(120, FPS)
    first = Motion.joined(bit_by_bit(motion, [60], cleanup=cleanup))
    again = Motion.joined(bit_by_bit(motion, [60], cleanup=cleanup))
    np.testing.assert_array_equal(first.rotations, again.rotations)


def test_seams_are_eased_in_pieces_as_in_the_whole():
    motion = swaying(300, FPS)
    jolted = replace(motion, root_position=motion.root_position.copy())
    jolted.root_position[100:, 0] += 0.05
    jolted.root_position[200:, 0] -= 0.05
    cleanup = Cleanup((SeamsEased(),))
    whole = cleanup.whole(Passage(jolted, seams=(100, 200))).motion
    stream, given = cleanup.stream(), []
    for first in (0, 100, 200):
        seams = (first,) if first else ()
        piece = Passage(jolted.slice(first, first + 100), seams=seams, first=first)
        given.append(stream.more(piece, last=first == 200))
    given = Motion.joined(given)
    assert np.abs(given.root_position - whole.root_position).max() < 1e-6
    step = np.abs(np.diff(jolted.root_position[:, 0], 2))[95:105].max()
    assert np.abs(np.diff(whole.root_position[:, 0], 2))[95:105].max() < 0.2 * step
    far = np.r_[0:80, 120:180, 220:300]
    np.testing.assert_allclose(whole.root_position[far], jolted.root_position[far], atol=1e-9)


def jolts(pieces: list[Motion], track) -> tuple[float, float]:
    """Largest second difference of a track of the joined dance where pieces meet, and anywhere else."""
    ends = np.cumsum([piece.frames for piece in pieces])[:-1]
    size = np.abs(np.diff(track(Motion.joined(pieces)), 2, axis=0))
    ends = ends[(ends > 2) & (ends < len(size))]
    at = np.unique(np.concatenate((ends - 2, ends - 1)))
    return float(size[at].max()), float(np.delete(size, at).max())


def test_the_root_is_led_on_from_where_it_was_led_to():
    motion = swaying(600, FPS)
    gliding = replace(motion, root_position=motion.root_position + [[0.4 * t / FPS, 0, 0] for t in range(600)])
    pieces = bit_by_bit(gliding, [60], cleanup=Cleanup().only(RootLed))
    meeting, _ = jolts(pieces, lambda dance: dance.root_position[:, 0] - gliding.root_position[:, 0])
    assert meeting < 0.03  # led anew, it would jump by a foot's length
