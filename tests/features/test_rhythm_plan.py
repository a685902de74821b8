"""The rhythm plan: the same of a song and of a dance to it, whichever way it is measured."""

from dataclasses import replace

import numpy as np
import pytest
from tests.conftest import swaying

from longdance.features.beats import beats_of_motion
from longdance.features.music import MUSIC_ENCODERS, PLAN
from longdance.features.rhythm_plan import (
    CHANNELS,
    CURVES,
    LIMIT,
    PARTS,
    PULSE,
    Counts,
    Curves,
    CurveScale,
    plan,
    plan_of_motion,
    plan_of_song,
    settled_count,
    standardised,
)
from longdance.features.song import Song

RATE = 22050


def column(rows, name):
    return rows[:, CHANNELS.index(name)]


def still_curves(frames):
    return Curves(*np.zeros((3, frames)))


def clicks(beats, seconds, loudness=None):
    """A song of clicks, the first of every four louder and lower, over a tone; ``loudness`` a factor over time."""
    time = np.arange(round(seconds * RATE)) / RATE
    sound = 0.02 * np.sin(2 * np.pi * 220 * time)
    for number, beat in enumerate(beats):
        burst = np.exp(-np.abs(time - beat) / 0.03) * (time >= beat)
        sound += (0.8 if number % 4 == 0 else 0.4) * burst * np.sin(2 * np.pi * (90 if number % 4 == 0 else 900) * time)
    factor = 1.0 if loudness is None else loudness(time)
    return (factor * sound).astype(np.float32)


def test_parts_cover_every_channel_once():
    columns = [column for part in PARTS.values() for column in range(len(CHANNELS))[part]]
    assert columns == list(range(len(CHANNELS)))
    assert CHANNELS[CURVES] == ("energy", "balance", "busyness")
    assert CHANNELS[PULSE] == "pulse"


def test_beats_are_where_the_phase_is_zero_and_the_pulse_one():
    beats = np.array([0.5, 1.0, 1.5, 2.1, 2.7])
    rows = plan(90, 30.0, Counts(beats, np.array([0.0, 1.0, -1.0, 2.0, 0.5]), first=3), still_curves(90))
    on_beat = (beats[:3] * 30).round().astype(int)
    np.testing.assert_allclose(column(rows, "beat_sin")[on_beat], 0, atol=1e-6)
    np.testing.assert_allclose(column(rows, "beat_cos")[on_beat], 1, atol=1e-6)
    np.testing.assert_allclose(column(rows, "pulse")[on_beat], 1, atol=1e-6)
    np.testing.assert_allclose(column(rows, "accent")[on_beat], [0, 1, -1], atol=1e-6)
    between = ((beats[:2] + 0.25) * 30).astype(int)  # half a beat later
    assert (column(rows, "pulse")[between] < 0.01).all()
    assert column(rows, "tempo")[20] == pytest.approx(np.log2(120 / 110))
    assert column(rows, "tempo")[75] == pytest.approx(np.log2(100 / 110))
    # The first beat is the fourth of a bar, so the second one is a "one", of the second half of an eight.
    assert column(rows, "four_cos")[30] == pytest.approx(1, abs=1e-6)
    assert column(rows, "eight_cos")[30] == pytest.approx(-1, abs=1e-6)
    # Before the first beat the interval goes on.
    assert column(rows, "beat_cos")[0] == pytest.approx(1, abs=1e-6)


def test_what_is_not_known_is_zero():
    rows = plan(40, 30.0, None, Curves(*np.ones((3, 40))))
    assert (rows[:, CURVES] == 1).all()
    assert (np.delete(rows, np.arange(len(CHANNELS))[CURVES], axis=1) == 0).all()
    waltz = Counts(np.arange(0, 3, 0.5), np.zeros(6), first=0, in_four=False)
    assert (plan(40, 30.0, waltz, still_curves(40))[:, PARTS["four"]] == 0).all()
    assert (plan(0, 30.0, waltz, still_curves(0))).shape == (0, len(CHANNELS))


def test_a_songs_plan_knows_its_beats_bars_and_loudness():
    beats = np.arange(0.4, 24, 0.5)
    song = Song.from_samples(
        clicks(beats, 24.0, lambda time: np.where(time < 12, 0.2, 1.0)),
        RATE, beat_times=beats, downbeat_times=beats[2::4],
    )  # fmt: skip
    rows = plan_of_song(song, 30.0)
    assert rows.shape == (720, len(CHANNELS))
    assert rows.dtype == np.float32
    frame = round(beats[10] * 30)  # 2 + 8: a downbeat
    assert column(rows, "pulse")[frame] > 0.95
    assert column(rows, "four_cos")[frame] > 0.99
    quiet, loud = column(rows, "energy")[60:300], column(rows, "energy")[420:660]
    assert loud.mean() - quiet.mean() > 1.5
    assert np.abs(rows[:, CURVES]).max() <= LIMIT
    # A louder copy asks for the same dance.
    louder = Song.from_samples(
        0.5 * clicks(beats, 24.0, lambda time: np.where(time < 12, 0.2, 1.0)),
        RATE, beat_times=beats, downbeat_times=beats[2::4],
    )  # fmt: skip
    np.testing.assert_allclose(plan_of_song(louder, 30.0), rows, atol=0.02)
    np.testing.assert_array_equal(MUSIC_ENCODERS[PLAN](song, 30.0), rows)


def test_a_song_without_a_beat_has_only_curves():
    song = Song.from_samples(np.zeros(RATE * 4, np.float32), RATE)
    rows = plan_of_song(song, 30.0)
    assert song.tempo_is_guess
    assert (rows == 0).all()


def test_a_dance_and_its_mirror_image_count_half_a_cycle_apart():
    """Arms and hips of the made-up dance sway to a side and back in four beats."""
    motion = swaying(600, 30.0, tempo_hz=0.5)
    beats = np.arange(0.25, 20, 0.5)
    accents = np.zeros(len(beats))
    one, mirrored = (settled_count(each, beats, accents) for each in (motion, motion.mirror()))
    assert (one - mirrored) % 4 == 2
    assert (settled_count(motion, beats[1:], accents[1:]) - one) % 4 == 1
    # Towards "one" the pelvis goes to the left.
    first = beats[(np.arange(len(beats)) + one) % 4 == 0]
    inside = first[(first > 0.5) & (first < 19)]
    x = np.interp(inside[:, None] + np.array([-0.25, 0.0]), np.arange(600) / 30, motion.root_position[:, 0])
    assert (x[:, 1] > x[:, 0]).all()


def test_a_dances_plan_has_its_own_beats_and_speed():
    slow = swaying(300, 30.0, tempo_hz=1.0)
    quick = replace(slow, fps=45.0).resample(30.0)
    both = np.concatenate((slow.root_position, quick.root_position)), np.concatenate((slow.rotations, quick.rotations))
    motion = replace(slow, root_position=both[0], rotations=both[1])
    rows = plan_of_motion(motion, beats_of_motion(motion.joints(), 30.0))
    assert rows.shape == (500, len(CHANNELS))
    energy = CurveScale.of([rows]).applied(rows)[:, CHANNELS.index("energy")]
    assert energy[350:450].mean() - energy[50:250].mean() > 0.5
    assert (plan_of_motion(motion, None)[:, PARTS["beat"]] == 0).all()


def test_standardised_values_have_zero_median_and_the_width_of_a_normal_distribution(rng):
    values = rng.normal(3.0, 7.0, size=20_000)
    found = standardised(values, least=0.1)
    assert np.median(found) == pytest.approx(0, abs=1e-9)
    assert found.std() == pytest.approx(1, abs=0.05)
    assert np.abs(standardised(values * 1e-3, least=1.0)).max() < 0.05
    assert standardised(np.zeros(0), least=1.0).shape == (0,)
    rows = np.zeros((20_000, len(CHANNELS)), np.float32)
    rows[:, CURVES] = rng.normal([1, -2, 5], [0.5, 3, 1], size=(20_000, 3))
    scaled = CurveScale.of([rows]).applied(rows)[:, CURVES]
    np.testing.assert_allclose(scaled.std(0), 1, atol=0.05)
    np.testing.assert_allclose(np.median(scaled, axis=0), 0, atol=1e-6)
