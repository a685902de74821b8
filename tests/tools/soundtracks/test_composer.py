"""Soundtracks: on their beats, different by seed, alike by style, and found by beat trackers."""

import librosa
import numpy as np
import pytest
from tools.soundtracks.composer import BeatGrid, compose
from tools.soundtracks.styles import CHORD_TONES, STYLES

from longdance.errors import InputError
from longdance.features import audio
from longdance.features.song import Song
from tools.soundtracks import composer

RATE = 22050


def even_beats(bpm: float, seconds: float, first: float = 0.2) -> np.ndarray:
    return np.arange(first, seconds, 60 / bpm)


@pytest.mark.parametrize("style", sorted(STYLES))
def test_every_style_fills_the_duration_within_bounds(style):
    samples = compose(even_beats(110, 6.0), seconds=6.0, style=style, seed=1)
    assert samples.shape == (6 * RATE,)
    assert samples.dtype == np.float32
    assert np.isfinite(samples).all()
    assert 0.3 < np.abs(samples).max() <= 1.0
    for second in np.split(samples, 6):
        assert np.abs(second).max() > 0.01


def test_same_seed_same_music_other_seed_other_music():
    beats = even_beats(110, 6.0)
    first = compose(beats, seconds=6.0, style="disco", seed=1)
    np.testing.assert_array_equal(first, compose(beats, seconds=6.0, style="disco", seed=1))
    others = [compose(beats, seconds=6.0, style="disco", seed=seed) for seed in range(2, 6)]
    for other in others:
        assert abs(np.corrcoef(first, other)[0, 1]) < 0.5


def test_stereo_has_two_different_ears_at_44100():
    samples = compose(even_beats(120, 4.0), seconds=4.0, style="salsa", seed=3, stereo=True)
    assert samples.shape == (4 * 44100, 2)
    assert 0.3 < np.corrcoef(samples.T)[0, 1] < 0.999


@pytest.mark.parametrize("style", ["commercial", "social", "disco", "modern"])
def test_uneven_beats_are_met(style, rng):
    beats = 0.3 + np.cumsum(rng.uniform(0.42, 0.62, 50))
    beats = beats[beats < 19.5]
    samples = compose(beats, seconds=20.0, style=style, seed=4)
    song = Song.from_samples(samples, RATE, beat_times=beats)
    onset = song.onset_strength
    rate = len(onset) / song.seconds

    def strength(times):
        near = np.round(times[:, None] * rate).astype(int) + np.arange(-2, 3)
        return onset[np.clip(near, 0, len(onset) - 1)].max(axis=1).mean()

    assert strength(beats) > 1.25 * strength(beats[:-1] + np.diff(beats) * 0.37)


def agreement(found: np.ndarray, beats: np.ndarray) -> float:
    """Share of beats found within 70 ms, in either direction the smaller."""
    if not len(found):
        return 0.0
    distance = np.abs(beats[:, None] - found)
    return float(min((distance.min(axis=1) < 0.07).mean(), (distance.min(axis=0) < 0.07).mean()))


def test_most_soundtracks_are_tracked_by_us_and_by_librosa():
    ours, theirs = [], []
    for number, style in enumerate(("breaking", "modern", "commercial", "social", "broadway", "disco")):
        beats = even_beats(100.0 + 5 * number, 12.0)
        samples = compose(beats, seconds=12.0, style=style, seed=1)
        ours.append(agreement(Song.from_samples(samples, RATE).beat_times, beats))
        found = librosa.beat.beat_track(y=samples, sr=RATE, units="time")[1]
        theirs.append(agreement(found, beats[beats > found[0] - 0.1]))
    assert np.mean(np.array(ours) > 0.9) >= 0.8
    assert np.mean(np.array(theirs) > 0.8) >= 0.6


@pytest.mark.parametrize(
    "beats",
    [[0.1, 0.6], [3.0, 3.5, 4.0], [-2.0, -1.5, -1.0], list(np.arange(0, 5, 0.2)), list(np.arange(0, 5, 1.4))],
    ids=["two", "late", "early", "fast", "slow"],
)
def test_music_goes_on_beyond_the_beats(beats):
    for seed in range(3):
        samples = compose(np.array(beats), seconds=5.0, style="freestyle", seed=seed, downbeat_offset=seed)
        assert np.abs(samples[: 2 * RATE]).max() > 0.01
        assert np.abs(samples[-2 * RATE :]).max() > 0.01


def test_a_fraction_of_a_second_can_be_filled():
    assert compose(np.array([0.0, 0.5]), seconds=0.3, style="none", seed=0).shape == (round(0.3 * RATE),)


def test_samples_of_a_folder_are_used_in_part_of_the_soundtracks(tmp_path):
    times = np.arange(RATE // 5) / RATE
    for name, pitch in (("bd_a", 60), ("sn_a", 200), ("hat_a", 6000), ("bass_hit_c", 65.4)):
        audio.write_audio(
            tmp_path / f"{name}.wav", np.sin(2 * np.pi * pitch * times) * np.exp(-times * 20), RATE
        )
    beats = even_beats(110, 4.0)
    changed = 0
    for seed in range(8):
        plain = compose(beats, seconds=4.0, style="disco", seed=seed)
        sampled = compose(beats, seconds=4.0, style="disco", seed=seed, samples_folder=tmp_path)
        assert np.isfinite(sampled).all()
        changed += not np.array_equal(plain, sampled)
    assert 1 <= changed <= 7


def test_grid_gives_times_and_positions_that_invert_each_other():
    grid = BeatGrid(np.array([1.0, 1.5, 2.1, 2.5, 3.2]), downbeat_offset=2)
    assert grid.time_at(np.array(0.0)) == pytest.approx(2.1)
    for position in (-5.0, -2.0, -0.5, 0.3, 1.7, 2.0, 6.5):
        assert grid.position_at(float(grid.time_at(np.array(position)))) == pytest.approx(position)


def test_swing_delays_off_beats_only():
    assert composer._swung(0.0, 1 / 6, 0.05) == 0.0
    assert composer._swung(0.5, 1 / 6, 0.05) == pytest.approx(2 / 3)
    assert composer._swung(0.25, 0.0, 0.05) == pytest.approx(0.3)
    assert composer._swung(0.75, 0.0, 0.05) == pytest.approx(0.8)
    assert composer._swung(0.5, 0.0, 0.05) == pytest.approx(0.5)


def test_pattern_tables_are_well_formed():
    for pool in STYLES.values():
        for style in pool:
            patterns = [
                pattern for groove in (*style.grooves, *style.percussion) for pattern in groove.values()
            ]
            assert all(len(pattern) in (16, 32) and set(pattern) <= set("Xxog.") for pattern in patterns)
            assert all(len(line) == 16 and set(line) <= set("ROFTSA-.") for line in style.bass_lines)
            assert all(len(comp) in (16, 32) and set(comp) <= set("Xo-.") for comp in style.comping)
            for progression in style.progressions:
                assert all(0 <= root < 12 and quality in CHORD_TONES for root, quality in progression)


def test_unusable_requests_are_refused():
    beats = even_beats(120, 4.0)
    with pytest.raises(InputError, match="style"):
        compose(beats, seconds=4.0, style="polka", seed=0)
    with pytest.raises(InputError, match="two increasing"):
        compose(beats[:1], seconds=4.0, style="disco", seed=0)
    with pytest.raises(InputError, match="two increasing"):
        compose(beats[::-1], seconds=4.0, style="disco", seed=0)
    with pytest.raises(InputError, match="duration"):
        compose(beats, seconds=0.0, style="disco", seed=0)
    with pytest.raises(InputError, match="seed"):
        compose(beats, seconds=4.0, style="disco", seed=-1)
