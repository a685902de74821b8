"""Every rule of the choreography by itself: sides, beats, identical measures."""

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longdance.choreography.augment import (
    Beats,
    CueConfig,
    SoftCues,
    beats_within,
    choose_beats,
    even_frames,
    measure_similarity,
    meet_in_identical_measures,
    mirror,
    place_soft_cues,
    smooth,
)
from longdance.features.song import Song
from longdance.motion.layout import LAYOUTS
from longdance.motion.motion import Motion
from longdance.motion.rotations import matrix_from_axis_angle

FPS = 30.0


def dancing(layout, rng) -> Motion:
    turns = torch.from_numpy(rng.normal(size=(40, len(layout.skeleton), 3)))
    return Motion(
        rng.normal(size=(40, 3)), matrix_from_axis_angle(turns).numpy(), fps=FPS, skeleton=layout.skeleton
    )


def beats_of(frames, measures, places, identical=()) -> Beats:
    table = np.zeros((max(measures) + 1, max(measures) + 1), bool)
    for one, other in identical:
        table[one, other] = table[other, one] = True
    return Beats(np.array(frames), np.array(measures), np.array(places), table)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_mirrored_features_are_those_of_the_mirrored_motion(layout, rng):
    motion = dancing(layout, rng)
    features = torch.from_numpy(layout.encode(motion))
    features[:, layout["contact"]] = torch.from_numpy(
        rng.random((40, len(layout.contact_joints)), dtype=np.float32)
    )
    found = mirror(features, layout)
    expected = layout.decode(features.numpy(), FPS).mirror()
    np.testing.assert_allclose(layout.decode(found.numpy(), FPS).joints(), expected.joints(), atol=1e-5)
    for name in layout.contact_joints:  # the other side's toe and heel
        twin = name.replace("left", "RIGHT").replace("right", "left").replace("RIGHT", "right")
        own, other = layout.contact_joints.index(name), layout.contact_joints.index(twin)
        assert torch.equal(found[:, own], features[:, other])
    assert torch.equal(mirror(found, layout), features)


def test_beats_are_chosen_evenly_among_the_real_ones():
    beats = np.arange(0, 256, 15)
    # The middles of four equal parts are 38, 98, 158 and 218.
    assert choose_beats(beats, 4, first=8, last=248).tolist() == [45, 105, 165, 225]
    assert choose_beats(beats[beats != 105], 4, first=8, last=248).tolist() == [45, 90, 165, 225]
    assert choose_beats(beats, 1, first=8, last=248).tolist() == [135]
    assert choose_beats(beats, 0, first=8, last=248).tolist() == []


@settings(max_examples=150, deadline=None)
@given(
    beats=st.lists(st.integers(0, 255), max_size=14, unique=True).map(lambda found: np.array(sorted(found), int)),
    count=st.integers(1, 4),
)
def test_chosen_beats_are_real_clear_of_the_ends_and_apart(beats, count):
    chosen = choose_beats(beats, count, first=8, last=248)
    assert np.isin(chosen, beats).all()
    assert ((chosen >= 8) & (chosen <= 248)).all()
    assert (np.diff(chosen) >= 8).all()
    free = [int(b) for b in beats if 8 <= b <= 248]
    kept: list[int] = []
    for beat in free:
        if not kept or beat - kept[-1] >= 8:
            kept.append(beat)
    assert len(chosen) == min(count, len(kept))
    if len(kept) > count:  # no choice is more even
        wanted = 8 + (np.arange(count) + 0.5) * 240 / count
        best = min(np.abs(np.array(choice) - wanted).sum() for choice in combinations(kept, count))
        assert np.abs(chosen - wanted).sum() == pytest.approx(best)


def test_without_beats_primitives_are_spread_evenly():
    assert even_frames(4, first=8, last=248).tolist() == [38, 98, 158, 218]
    assert even_frames(0, first=8, last=248).tolist() == []


def test_measures_with_the_same_music_are_alike_whatever_their_length(rng):
    verse, chorus = rng.normal(size=(2, 16, 33))
    stretched = np.repeat(verse, 4, axis=0)
    song = np.concatenate([np.repeat(verse, 3, axis=0), np.repeat(chorus, 3, axis=0), stretched])
    found = measure_similarity(song, np.array([0, 48, 96]))
    np.testing.assert_allclose(np.diag(found), 1)
    np.testing.assert_allclose(found, found.T)
    assert found[0, 2] == pytest.approx(1, abs=1e-6)
    assert abs(found[0, 1]) < 0.6
    assert measure_similarity(song, np.array([], int)).shape == (0, 0)
    assert (measure_similarity(np.zeros((0, 33)), np.array([0])) == 0).all()
    assert (measure_similarity(np.zeros((90, 33)), np.array([0, 40])) == 0).all()  # silence is like nothing


def test_the_mirror_image_meets_the_same_beat_of_an_identical_measure():
    # Four measures of four beats; measures 0 and 1 sound the same, 2 and 3 do not.
    frames = np.arange(16) * 15 + 10
    beats = beats_of(frames, np.arange(16) // 4, np.arange(16) % 4, identical=[(0, 1)])
    cues = SoftCues(np.array([25, 100, 145, 205]), np.array([0, 0, 1, 1]), np.array([False, True, False, True]))
    found = meet_in_identical_measures(cues, beats, first=8, last=248, gap=8)
    # 25 is beat 1 of measure 0; beat 1 of measure 1 is at 85.
    assert found.centres.tolist() == [25, 85, 145, 205]
    assert cues.centres.tolist() == [25, 100, 145, 205]


def test_the_order_of_the_cues_stays_and_so_does_their_distance():
    frames = np.arange(8) * 15 + 10
    beats = beats_of(frames, np.arange(8) // 4, np.arange(8) % 4, identical=[(0, 1)])
    # The identical beat, 85, is taken by the next cue.
    cues = SoftCues(np.array([25, 55, 85]), np.array([0, 0, 1]), np.array([False, True, False]))
    assert meet_in_identical_measures(cues, beats, first=8, last=248, gap=8).centres.tolist() == [25, 55, 85]
    # It is free, but more than halfway to the next cue.
    near = SoftCues(np.array([25, 70, 95]), np.array([0, 0, 1]), np.array([False, True, False]))
    assert meet_in_identical_measures(near, beats, first=8, last=248, gap=8).centres.tolist() == [25, 70, 95]
    # Before the first downbeat there is no measure.
    pickup = beats._replace(measure=np.full(8, -1))
    assert meet_in_identical_measures(cues, pickup, first=8, last=248, gap=8).centres.tolist() == [25, 55, 85]


def test_cues_with_each_switch():
    beats = beats_of(np.arange(17) * 15, np.arange(17) // 4, np.arange(17) % 4)
    free = {"first": 8, "last": 248}
    both = place_soft_cues([0, 1], beats, **free)
    assert both.primitive.tolist() == [0, 0, 1, 1]
    assert both.mirrored.tolist() == [False, True, False, True]
    assert np.isin(both.centres, beats.frames).all()
    plain = place_soft_cues([0, 1], beats, **free, cues=CueConfig(mirror=False))
    assert (plain.primitive.tolist(), plain.mirrored.tolist()) == ([0, 1], [False, False])
    uniform = place_soft_cues([0, 1], beats, **free, cues=CueConfig(beat_align=False))
    assert uniform.centres.tolist() == [38, 98, 158, 218]
    assert place_soft_cues([], beats, **free).centres.tolist() == []


def test_where_beats_are_few_originals_come_first():
    beats = beats_of([30, 100, 180], [0, 0, 0], [0, 1, 2])
    cues = place_soft_cues([0, 1], beats, first=8, last=248)
    assert cues.centres.tolist() == [30, 100, 180]
    assert (cues.primitive.tolist(), cues.mirrored.tolist()) == ([0, 0, 1], [False, True, False])
    two = place_soft_cues([0, 1], beats, first=50, last=248)
    assert (two.primitive.tolist(), two.mirrored.tolist()) == ([0, 1], [False, False])
    assert not len(place_soft_cues([0, 1], beats, first=190, last=248).centres)


def test_the_beats_of_a_song_and_of_a_part_of_it():
    rate, seconds = 22050, 8.0
    noise = np.random.default_rng(0).normal(size=2 * rate).astype(np.float32) * 0.1
    times = np.arange(0.0, seconds, 0.5)
    song = Song.from_samples(np.tile(noise, 4), rate, beat_times=times, downbeat_times=times[1::4])
    beats = Beats.of(song, FPS)
    assert beats.frames.tolist() == [15 * k for k in range(16)]
    assert beats.measure.tolist() == [-1, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3]
    assert beats.place.tolist()[1:9] == [0, 1, 2, 3, 0, 1, 2, 3]
    assert beats.identical[0, 1]  # the same two seconds over and over
    assert not beats.identical.diagonal().any()
    part = beats_within(beats, 70, 60)
    assert (part.frames.tolist(), part.measure.tolist()) == ([5, 20, 35, 50], [1, 1, 1, 1])


def test_smoothing_is_the_parabola_of_least_squares(rng):
    """Against numpy's own fit, one feature at a time."""
    layout = LAYOUTS["smpl22"]
    features = torch.from_numpy(rng.normal(size=(2, 8, layout.width)).astype(np.float32))
    found, time = smooth(features, layout), np.arange(8)
    for row in range(2):
        for column in range(layout.width):
            track = features[row, :, column].double().numpy()
            if column in range(*layout["contact"].indices(layout.width)):
                wanted = track
            else:
                wanted = np.polyval(np.polyfit(time, track, 2), time)
            np.testing.assert_allclose(found[row, :, column], wanted, atol=1e-5)
