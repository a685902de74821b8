"""The shipped demo song: as its score says, and tracked as any song is."""

from importlib.resources import as_file, files

import numpy as np
import pytest

from longdance.features import audio
from longdance.features.song import Song
from tools.soundtracks import demo_song


@pytest.fixture(scope="module")
def rendered() -> np.ndarray:
    return demo_song.render()


def test_demo_song_is_balanced_and_does_not_clip(rendered):
    assert rendered.shape == (round(demo_song.SECONDS * 44100), 2)
    assert np.abs(rendered).max() < 0.97
    left, right = rendered.std(axis=0)
    assert left == pytest.approx(right, rel=0.15)
    assert np.abs(rendered[: round(0.2 * 44100)]).max() < 0.01
    assert np.abs(rendered[-100:]).max() < 0.01


def test_the_shipped_file_is_the_rendered_score(rendered):
    shipped = files("longdance") / "assets" / "demo_song.ogg"
    with as_file(shipped) as path:
        assert path.stat().st_size < 700_000
        samples = audio.decode(path, sample_rate=44100)
    length = min(len(samples), len(rendered))
    assert length == pytest.approx(len(rendered), abs=100)
    assert np.corrcoef(samples[:length], rendered[:length].mean(axis=1))[0, 1] > 0.97


def test_its_beats_and_bars_are_tracked():
    with as_file(files("longdance") / "assets" / "demo_song.ogg") as path:
        song = Song.load(path)
    beats = demo_song.beat_times()
    assert song.tempo_bpm == pytest.approx(demo_song.TEMPO_BPM, rel=0.005)
    assert np.abs(beats[:, None] - song.beat_times).min(axis=1).max() < 1 / 60
    assert np.abs(beats[::4][:, None] - song.downbeat_times).min(axis=1).max() < 1 / 60


def test_rendering_to_a_file(tmp_path, monkeypatch, rendered):
    monkeypatch.setattr(demo_song, "render", lambda: rendered)
    path = demo_song.render_demo_song(tmp_path / "demo.wav")
    np.testing.assert_allclose(audio.decode(path, sample_rate=44100, channels=None), rendered, atol=2 / 32768)
