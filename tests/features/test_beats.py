"""Beats of dances made to known beats, and what must not change them."""

import numpy as np
import pytest
from scipy.signal import argrelmin

from longdance.errors import InputError
from longdance.features.beats import beats_of_motion


def dance(beats: np.ndarray, fps: float, seconds: float, seed: int = 3) -> np.ndarray:
    """Joints that rest in a new pose on every beat, with a millimetre of capture noise."""
    generator = np.random.default_rng(seed)
    poses = generator.standard_normal((24, 3)) * 0.5 + generator.standard_normal((len(beats), 24, 3)) * 0.12
    times = np.arange(round(seconds * fps)) / fps
    count = np.interp(times, beats, np.arange(len(beats)))
    index = np.clip(count.astype(int), 0, len(beats) - 2)
    part = (count - index)[:, None, None]
    part = part * part * (3 - 2 * part)
    joints = poses[index] * (1 - part) + poses[index + 1] * part
    return joints + 0.001 * generator.standard_normal(joints.shape)


def recall(found: np.ndarray, beats: np.ndarray, seconds: float) -> float:
    inside = beats[(beats > 0.3) & (beats < seconds - 0.3)]
    return float((np.abs(inside[:, None] - found).min(axis=1) < 0.05).mean())


@pytest.mark.parametrize("fps", [30.0, 60.0, 120.0])
@pytest.mark.parametrize("bpm", [76.0, 98.0, 124.0, 148.0])
def test_steady_dances(bpm, fps):
    beats = np.arange(-0.2, 22, 60 / bpm)
    result = beats_of_motion(dance(beats, fps, 20.0), fps)
    assert result.tempo_bpm == pytest.approx(bpm, rel=0.02)
    assert result.is_steady
    assert recall(result.beat_times, beats, 20.0) > 0.97
    assert result.strength.shape == result.beat_times.shape
    assert result.strength.max() == pytest.approx(1.0)


def test_a_drifting_tempo_is_followed():
    beats = -0.2 + np.cumsum(0.55 * (1 + 0.1 * np.sin(np.arange(45) / 6)))
    result = beats_of_motion(dance(beats, 60.0, 20.0), 60.0)
    assert recall(result.beat_times, beats, 20.0) > 0.95


def test_four_seconds_are_enough():
    beats = np.arange(-0.2, 6, 60 / 110)
    result = beats_of_motion(dance(beats, 30.0, 4.0), 30.0)
    assert result.tempo_bpm == pytest.approx(110.0, rel=0.03)
    assert recall(result.beat_times, beats, 4.0) == 1.0


def test_place_heading_and_mirroring_do_not_matter():
    joints = dance(np.arange(0.1, 14, 0.5), 60.0, 12.0)
    expected = beats_of_motion(joints, 60.0)
    turn = np.array([[0.6, 0.0, 0.8], [0.0, 1.0, 0.0], [-0.8, 0.0, 0.6]])
    for moved in (joints @ turn.T + [3.0, 0.0, -2.0], joints * [-1.0, 1.0, 1.0]):
        result = beats_of_motion(moved, 60.0)
        np.testing.assert_allclose(result.beat_times, expected.beat_times, atol=1e-6)


def test_a_still_body_gets_a_grid_without_strength():
    result = beats_of_motion(np.ones((120, 24, 3)), 60.0)
    assert result.tempo_bpm == 110.0
    assert not result.is_steady
    assert not result.strength.any()
    assert len(result.beat_times) == 4


@pytest.mark.parametrize("frames", [2, 3, 10, 40])
def test_shortest_clips_give_beats_inside_them(frames, rng):
    result = beats_of_motion(np.cumsum(rng.standard_normal((frames, 24, 3)), axis=0) * 0.01, 30.0)
    assert len(result.beat_times) >= 1
    assert (result.beat_times >= 0).all()
    assert (result.beat_times <= (frames - 1) / 30.0 + 1e-9).all()


def test_unusable_motion_is_refused():
    with pytest.raises(InputError, match="frames"):
        beats_of_motion(np.zeros((1, 24, 3)), 30.0)
    with pytest.raises(InputError, match="finite"):
        beats_of_motion(np.full((50, 24, 3), np.nan), 30.0)
    with pytest.raises(InputError, match="range"):
        beats_of_motion(np.zeros((50, 24, 3)), 30.0, tempo_range=(120.0, 80.0))


@pytest.mark.parametrize("clip", ["J_ShortDance14_Disco", "J_Dance5_Hype", "J_Dance8_WestCoast"])
def test_beats_of_real_dances_lie_on_speed_minima_not_between(shared_data, clip):
    recording = np.load(shared_data / "g1_moves" / f"{clip}.npz")
    fps = float(recording["fps"])
    joints = recording["positions"]
    beats = beats_of_motion(joints, fps).beat_times
    speed = np.linalg.norm(np.diff(joints, axis=0), axis=-1).mean(axis=1)
    minima = argrelmin(np.convolve(speed, np.hanning(15) / 7, mode="same"))[0] / fps
    between = (beats[1:] + beats[:-1]) / 2

    def alignment(times):
        return np.exp(-0.5 * (np.abs(times[:, None] - minima).min(axis=1) / 0.08) ** 2).mean()

    assert alignment(beats) > 1.2 * alignment(between)
