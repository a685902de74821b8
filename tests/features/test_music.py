"""What every music encoder promises, and how learnt features are kept."""

import numpy as np
import pytest

from longdance.errors import InputError
from longdance.features.music import MUSIC_CHANNELS, MUSIC_ENCODERS, PretrainedEncoder
from longdance.features.song import Song
from longdance.files import CACHE_VARIABLE

MEASURED = [name for name, encoder in MUSIC_ENCODERS.items() if not encoder.heavy]


@pytest.fixture
def song():
    rng = np.random.default_rng(4)
    samples = 0.05 * rng.normal(size=4 * 22050).astype(np.float32)
    samples[::11025] = 0.9
    return Song.from_samples(samples, 22050, beat_times=np.arange(0.5, 4, 0.5), downbeat_times=np.array([0.5, 2.5]))


@pytest.mark.parametrize("name", MEASURED)
@pytest.mark.parametrize("fps", [30.0, 60.0])
def test_measured_features_have_the_promised_shape(name, fps, song):
    encoder = MUSIC_ENCODERS[name]
    encoder.check()
    features = encoder(song, fps)
    assert features.shape == (song.frames(fps), MUSIC_CHANNELS[name])
    assert features.dtype == np.float32
    assert np.isfinite(features).all()


def test_names_and_channels_are_the_published_ones():
    assert {name: encoder.name for name, encoder in MUSIC_ENCODERS.items()} == {name: name for name in MUSIC_ENCODERS}
    assert MUSIC_CHANNELS["jukebox"] == 4800
    assert MUSIC_CHANNELS["mert"] == 768


def test_learnt_features_are_encoded_once_per_sound_rate_and_model(song, tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    calls = []

    def load(found):
        def encode(song, fps):
            calls.append((found, fps))
            return np.full((song.frames(fps), 3), fps, np.float32)

        return encode

    encoder = PretrainedEncoder("made up", 3, lambda: folder, load)
    for _ in range(2):
        assert encoder(song, 30.0).shape == (120, 3)
    assert len(calls) == 1
    encoder(song, 60.0)
    louder = Song.from_samples(song.decode(22050) * 0.5, 22050, beat_times=song.beat_times)
    encoder(louder, 30.0)
    assert len(calls) == 3
    (folder / "config.json").write_text('{"other": 1}')
    encoder(song, 30.0)
    assert len(calls) == 4
    with pytest.raises(InputError, match="with 5 features, got 3"):
        PretrainedEncoder("made up too", 5, lambda: folder, load)(song, 30.0)


def test_a_song_from_a_file_is_decoded_at_any_rate_and_from_its_start(tmp_path):
    from longdance.features.audio import write_audio

    times = np.arange(3 * 22050) / 22050
    write_audio(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 100 * times), 22050)
    song = Song.load(tmp_path / "a.wav", start=1.0, seconds=1.5)
    samples = song.decode(8000)
    assert abs(len(samples) - 12000) <= 40
    expected = 0.5 * np.sin(2 * np.pi * 100 * (1.0 + np.arange(12000) / 8000))
    np.testing.assert_allclose(samples[500:11000], expected[500:11000], atol=0.02)
