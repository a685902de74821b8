"""Tokens to frames and windows over songs, with encoders whose answer is known."""

import numpy as np
import pytest

from longdance.features.frames import Window, at_frames, cached, encode_in_windows, identity

RATE = 8000
LIKE_JUKEBOX = Window(seconds=3.2, before=1.6, after=0.0, token_rate=320.0, first_token=0.0)
LIKE_MERT = Window(seconds=2.0, before=0.5, after=0.5, token_rate=80.0, first_token=0.00625)
COARSE = Window(seconds=2.0, before=0.4, after=0.2, token_rate=10.0, first_token=0.05)


def loudness(window: Window):
    """An encoder whose every token is the mean of a ramp, and the energy, over its stretch of sound."""
    hop = round(RATE / window.token_rate)

    def encode(samples: np.ndarray) -> np.ndarray:
        whole = np.pad(samples, (0, -len(samples) % hop)).reshape(-1, hop)
        return np.stack((whole.mean(1), np.square(whole).mean(1)), axis=1)

    return encode


@pytest.mark.parametrize("window", [LIKE_JUKEBOX, LIKE_MERT, COARSE], ids=["jukebox", "mert", "coarse"])
@pytest.mark.parametrize("fps", [30.0, 60.0, 24.0])
def test_a_click_is_found_at_its_frame_wherever_windows_begin(window, fps):
    for at in (0.3, 1.61, 2.0, 3.2, 4.79, 6.4, 7.7):
        samples = np.zeros(8 * RATE)
        samples[round(at * RATE) : round(at * RATE) + 20] = 1.0
        found = encode_in_windows(loudness(window), samples, RATE, window=window, fps=fps, frames=round(8 * fps))
        assert found.shape == (round(8 * fps), 2)
        loudest = found[:, 1].argmax() / fps
        assert abs(loudest - at) <= max(1 / fps, 1 / window.token_rate)


@pytest.mark.parametrize("window", [LIKE_MERT, COARSE], ids=["mert", "coarse"])
def test_seams_between_windows_do_not_show(window):
    samples = np.linspace(0, 1, 9 * RATE)
    found = encode_in_windows(loudness(window), samples, RATE, window=window, fps=30.0, frames=270)
    times = np.arange(270) / 30
    inside = (times > 0.2) & (times < 8.8)
    np.testing.assert_allclose(found[inside, 0], times[inside] / 9, atol=2e-4)


def test_a_song_shorter_than_a_window_and_one_of_exactly_two(rng):
    for seconds in (0.4, 2.0, 4.0):
        samples = rng.normal(size=round(seconds * RATE))
        count = round(seconds * 30)
        found = encode_in_windows(loudness(LIKE_MERT), samples, RATE, window=LIKE_MERT, fps=30.0, frames=count)
        assert len(found) == count
        assert np.isfinite(found).all()


def test_frames_average_many_tokens_and_interpolate_few(rng):
    tokens = rng.normal(size=(120, 3))
    many = at_frames(tokens, 120.0, 30.0, np.arange(1, 29) / 30)
    # Frame i lies in the middle of tokens 4 i - 2 ... 4 i + 2, of which the outer two count half.
    expected = [
        (tokens[4 * i - 2] / 2 + tokens[4 * i - 1 : 4 * i + 2].sum(0) + tokens[4 * i + 2] / 2) / 4 for i in range(1, 29)
    ]
    np.testing.assert_allclose(many, expected, rtol=1e-5, atol=1e-6)
    few = at_frames(tokens, 10.0, 30.0, np.arange(30) / 30)
    grid = np.arange(30) / 3
    for channel in range(3):
        np.testing.assert_allclose(few[:, channel], np.interp(grid, np.arange(120), tokens[:, channel]), atol=1e-5)


def test_features_are_made_once_and_a_broken_file_is_made_anew(tmp_path):
    calls = []

    def make():
        calls.append(1)
        return np.arange(6.0).reshape(3, 2)

    for _ in range(2):
        np.testing.assert_array_equal(cached(make, "a", b"b", folder=tmp_path), make())
    assert len(calls) == 3
    cached(make, "ab", b"", folder=tmp_path)  # the same letters in other parts
    assert len(list(tmp_path.iterdir())) == 2
    for file in tmp_path.iterdir():
        file.write_bytes(b"broken")
    np.testing.assert_array_equal(cached(make, "a", b"b", folder=tmp_path), make())


def test_other_weights_are_another_identity(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
        (tmp_path / name / "model.safetensors").write_bytes(name.encode() * 10)
    assert identity(tmp_path / "a") != identity(tmp_path / "b")
    assert identity(tmp_path / "a") == identity(tmp_path / "a")
