"""Key motions are found where a made-up dance pauses, and primitives are cut where the plan says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longdance.choreography.key_motions import find_key_motions, global_primitives, key_frames, kinetic_energy
from longdance.data.store import Store
from longdance.models.primitives import PRIMITIVE_FRAMES, PrimitivePlan
from longdance.motion.layout import LAYOUTS, centred

FPS = 30.0
LAYOUT = LAYOUTS["smpl22"]
PLAN = PrimitivePlan()


def swinging(frames: int, *, period: float, size: float = 0.4) -> np.ndarray:
    """One joint out of four swings and stops for a moment at either end, twice per period."""
    joints = np.zeros((frames, 4, 3))
    joints[:, 0, 0] = size * np.cos(2 * np.pi * np.arange(frames) / FPS / period)
    return joints


def walk(frames: int) -> np.ndarray:
    """Features whose horizontal root tells the frame: x and z grow, height swings."""
    features = np.zeros((frames, LAYOUT.width), np.float32)
    time = np.arange(frames)
    features[:, LAYOUT["root_position"]] = np.stack([0.01 * time, 1 + 0.1 * np.sin(time), -0.02 * time], axis=1)
    features[:, LAYOUT["rotations"]] = np.tile([1, 0, 0, 0, 1, 0], 22)
    features[:, LAYOUT["rotations"].start] = time
    return features


def test_kinetic_energy_is_half_the_mean_squared_speed():
    joints = np.zeros((60, 4, 3))
    joints[:, 1, 2] = 0.5 * np.arange(60) / FPS  # one of four joints at 0.5 m/s
    np.testing.assert_allclose(kinetic_energy(joints, FPS)[10:-10], 0.5 * 0.25 / 4)
    assert (kinetic_energy(joints[:1], FPS) == 0).all()


@pytest.mark.parametrize("period", [1.0, 1.6, 2.4])
def test_key_motions_are_where_the_movement_turns(period):
    found = find_key_motions(swinging(300, period=period), FPS)
    turns = np.arange(1, np.ceil(2 * 9.9 / period)) * period / 2 * FPS
    assert len(found.frames) == pytest.approx(len(turns), abs=1)
    assert np.abs(found.frames[:, None] - turns).min(1).max() <= 1
    assert (found.expressiveness > 0).all()


def test_pauses_of_a_still_body_are_none(rng):
    assert not len(find_key_motions(np.zeros((100, 22, 3)), FPS).frames)
    assert not len(find_key_motions(1e-4 * rng.normal(size=(100, 22, 3)), FPS).frames)
    for frames in (0, 1, 2):
        assert not len(find_key_motions(np.zeros((frames, 22, 3)), FPS).frames)


def test_small_pauses_beside_large_ones_are_no_key_motions():
    large, small = swinging(300, period=2.0), swinging(300, period=2.0, size=0.02)
    found = find_key_motions(np.concatenate([large, small + large[-1:] - small[:1]]), FPS)
    assert found.frames.min() < 60
    assert found.frames.max() <= 310


def test_key_motions_do_not_depend_on_place_side_or_frame_rate(rng):
    joints = np.cumsum(rng.normal(size=(200, 22, 3)), axis=0) * 0.02
    plain = find_key_motions(joints, FPS).frames
    assert np.array_equal(plain, find_key_motions(joints * [-1, 1, 1] + [3, 0, -2], FPS).frames)
    twice = find_key_motions(swinging(600, period=1.6), 30.0).frames / 30
    finer = find_key_motions(swinging(600, period=3.2), 60.0).frames / 60  # the same swing at 60 fps
    np.testing.assert_allclose(finer, twice[: len(finer)], atol=0.04)


def test_primitives_are_what_the_take_does_there():
    features, keys = walk(1100), np.array([60, 130, 200, 300, 420])
    found = global_primitives(features, layout=LAYOUT, keys=keys, plan=PLAN, offset=-30)
    assert found.values.shape == (13, PRIMITIVE_FRAMES, LAYOUT.width)
    assert found.starts[:5].tolist() == [0, 252, 508, 764, 1016]
    # Keys on the timeline: 30, 100, 170, 270, 390; the nearest to 64, 192, 320 and 448.
    assert found.starts[5:].tolist() == [26, 166, 266, 386, -1, -1, -1, -1]
    assert found.valid.tolist() == [True] * 9 + [False] * 4
    for row in np.flatnonzero(found.valid):
        cut = features[found.starts[row] + 30 :][:PRIMITIVE_FRAMES]
        np.testing.assert_array_equal(found.values[row], centred(cut, LAYOUT))
        assert (found.values[row, 0, [4, 6]] == 0).all()
        assert found.values[row, 0, 5] == cut[0, 5]
    assert (found.values[~found.valid] == 0).all()


def test_a_short_take_has_the_primitives_inside_of_it():
    found = global_primitives(walk(100), layout=LAYOUT, keys=np.array([3, 50, 97]), plan=PLAN, offset=200)
    assert np.flatnonzero(found.valid).tolist() == [1]
    # 250 is too near to the end of its segment, 297 not wholly inside of the take, 203 not either.
    assert found.starts[1] == 252
    inside = global_primitives(walk(100), layout=LAYOUT, keys=np.array([50]), plan=PLAN, offset=270)
    assert np.flatnonzero(inside.valid).tolist() == [5 + 2]
    assert inside.starts[7] == 316


def test_discrete_primitives_are_every_fourth_frame():
    plan = PrimitivePlan(soft_spacing=4)
    found = global_primitives(walk(300), layout=LAYOUT, keys=np.array([60]), plan=plan)
    steps = np.diff(found.values[5, :, LAYOUT["rotations"].start])
    assert steps.tolist() == [4] * 7
    assert np.diff(found.values[0, :, LAYOUT["rotations"].start]).tolist() == [1] * 7


@settings(max_examples=60, deadline=None)
@given(
    keys=st.lists(st.integers(0, 599), max_size=40, unique=True).map(lambda found: np.array(sorted(found), int)),
    offset=st.integers(-500, 900),
    spacing=st.sampled_from([1, 4]),
)
def test_soft_primitives_lie_inside_of_their_segments_and_share_no_frame(keys, offset, spacing):
    plan = PrimitivePlan(soft_spacing=spacing)
    features = walk(600)[:, : LAYOUT.width]
    found = global_primitives(features, layout=LAYOUT, keys=keys, plan=plan, offset=offset)
    starts = found.starts[plan.hard :][found.valid[plan.hard :]]
    last = starts + 7 * spacing
    assert (np.diff(starts) > 0).all()
    assert (starts[1:] > last[:-1]).all()
    centres = starts + 4 * spacing
    assert np.isin(centres - offset, keys).all()
    within = centres % plan.segment
    assert ((within >= 8) & (within <= plan.segment - 8)).all()
    for begin, end in zip(starts, last, strict=True):  # never into the four frames of a hard cue
        assert begin % plan.segment >= 4
        assert end % plan.segment < plan.segment - 4


def test_keys_of_a_take_come_from_its_features(small_store):
    store = Store.open(small_store)
    take = store.select("train")[0]  # sways at 1.5 Hz: arms and spine turn three times a second
    keys = key_frames(np.array(store.motion_of(take)), layout=store.layout, fps=store.fps)
    assert len(keys) >= 6
    turns = np.diff(keys) / store.fps * 3.0
    np.testing.assert_allclose(turns, np.round(turns), atol=0.25)
