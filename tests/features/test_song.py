"""Songs whose beats, bars and onsets are known because the tests made them."""

import numpy as np
import pytest

from longdance.errors import InputError
from longdance.features import audio
from longdance.features.song import CHANNEL_NAMES, Song, SongCorrections

RATE = 22050


def drum_song(bpm: float, seconds: float, first: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Kick, snare and a chord per bar; returns samples and beat times."""
    generator = np.random.default_rng(7)
    samples = 0.002 * generator.standard_normal(round(seconds * RATE))
    times = np.arange(5000) / RATE
    kick = np.sin(2 * np.pi * (55 * times + 3 * (1 - np.exp(-times / 0.02)))) * np.exp(-times / 0.09)
    snare = generator.standard_normal(5000) * np.exp(-times / 0.05) * 0.5
    beats = np.arange(first, seconds - 0.3, 60 / bpm)
    for number, beat in enumerate(beats):
        start = round(beat * RATE)
        sound = (snare if number % 2 else kick)[: len(samples) - start]
        samples[start : start + len(sound)] += sound
        if number % 4 == 0:
            span = np.arange(min(round(240 / bpm * RATE), len(samples) - start)) / RATE
            root = (220.0, 174.6, 261.6, 196.0)[number // 4 % 4]
            for ratio in (1.0, 1.26, 1.5):
                samples[start : start + len(span)] += 0.08 * np.sin(2 * np.pi * root * ratio * span)
    return samples.astype(np.float32), beats


@pytest.fixture(scope="module")
def known_song() -> tuple[Song, np.ndarray, np.ndarray]:
    samples, beats = drum_song(112.0, 20.0)
    return Song.from_samples(samples, RATE, name="drums"), samples, beats


@pytest.mark.parametrize("bpm", [84.0, 100.0, 121.0, 138.0])
def test_beats_are_found_within_a_third_of_a_frame(bpm):
    samples, beats = drum_song(bpm, 15.0)
    song = Song.from_samples(samples, RATE)
    assert song.tempo_bpm == pytest.approx(bpm, rel=0.01)
    assert not song.tempo_is_guess
    error = np.abs(beats[:, None] - song.beat_times).min(axis=1)
    assert (error < 1 / 90).mean() > 0.95


def test_downbeats_are_where_kick_and_harmony_change(known_song):
    song, _, beats = known_song
    assert np.isin(song.downbeat_times, song.beat_times).all()
    error = np.abs(beats[::4][:, None] - song.downbeat_times).min(axis=1)
    assert (error < 0.02).all()


@pytest.mark.parametrize("fps", [30.0, 60.0, 24.0])
def test_features_have_lodges_channels_at_any_rate(known_song, fps):
    song, samples, beats = known_song
    features = song.features(fps)
    assert features.shape == (round(len(samples) / RATE * fps), 35)
    assert features.dtype == np.float32
    assert len(CHANNEL_NAMES) == 35
    assert np.isfinite(features).all()
    marks = np.flatnonzero(features[:, CHANNEL_NAMES.index("beat")])
    np.testing.assert_allclose(marks[: len(beats)] / fps, beats[: len(marks)], atol=0.5 / fps + 0.012)
    assert set(np.unique(features[:, CHANNEL_NAMES.index("onset_peak")])) <= {0.0, 1.0}


def test_frame_i_describes_time_i_over_fps(known_song):
    song, _, beats = known_song
    onset = song.features(30.0)[:, CHANNEL_NAMES.index("onset_strength")]
    for beat in beats[1:-1]:
        frame = round(beat * 30)
        assert abs(int(onset[frame - 5 : frame + 6].argmax()) - 5) <= 1


def test_loudness_channels_and_rate_of_the_file_do_not_matter(known_song):
    song, samples, _ = known_song
    expected = song.features(30.0)
    quiet = Song.from_samples(0.01 * samples, RATE).features(30.0)
    np.testing.assert_allclose(quiet, expected, atol=2e-2)
    stereo = Song.from_samples(np.stack([samples, samples], axis=1), RATE).features(30.0)
    np.testing.assert_allclose(stereo, expected, atol=2e-2)
    high = Song.from_samples(audio.resample(samples, RATE, 48000), 48000)
    np.testing.assert_allclose(high.beat_times, song.beat_times, atol=0.01)


def test_a_file_gives_what_its_samples_give(known_song, tmp_path):
    song, samples, _ = known_song
    audio.write_audio(tmp_path / "a.wav", 0.5 * samples, RATE)
    loaded = Song.load(tmp_path / "a.wav")
    np.testing.assert_allclose(loaded.beat_times, song.beat_times, atol=0.005)
    assert loaded.seconds == pytest.approx(20.0)
    part = Song.load(tmp_path / "a.wav", start=5.0, seconds=10.0)
    assert part.start == 5.0
    assert part.seconds == pytest.approx(10.0)
    shifted = song.beat_times[(song.beat_times > 5.5) & (song.beat_times < 14.5)] - 5.0
    assert (np.abs(shifted[:, None] - part.beat_times).min(axis=1) < 0.02).all()


def test_measuring_twice_gives_the_same(known_song):
    song, samples, _ = known_song
    again = Song.from_samples(samples, RATE)
    np.testing.assert_array_equal(again.features(60.0), song.features(60.0))
    np.testing.assert_array_equal(again.rhythm(60.0), song.rhythm(60.0))


def test_beat_phase_is_zero_on_beats_and_pi_between(known_song):
    song, _, _ = known_song
    rhythm = song.rhythm(60.0)
    assert rhythm.shape == (1200, 4)
    np.testing.assert_allclose(rhythm[:, 0] ** 2 + rhythm[:, 1] ** 2, 1.0, atol=1e-5)
    np.testing.assert_allclose(rhythm[:, 2] ** 2 + rhythm[:, 3] ** 2, 1.0, atol=1e-5)
    step = 2 * np.pi * song.tempo_bpm / 60 / 60
    for time in song.beat_times:
        assert rhythm[min(1199, round(time * 60)), 1] > np.cos(step)
    for time in song.downbeat_times:
        assert rhythm[min(1199, round(time * 60)), 3] > np.cos(step)


def test_rhythm_goes_on_at_the_tempo_beyond_the_beats():
    beats = np.array([2.0, 2.5, 3.0, 3.5])
    song = Song.from_samples(np.ones(6 * RATE), RATE, beat_times=beats, downbeat_times=np.array([2.5]))
    rhythm = song.rhythm(4.0)
    times = np.arange(24) / 4
    np.testing.assert_allclose(rhythm[:, 0], np.sin(2 * np.pi * times / 0.5), atol=1e-5)
    np.testing.assert_allclose(rhythm[:, 1], np.cos(2 * np.pi * times / 0.5), atol=1e-5)
    np.testing.assert_allclose(rhythm[:, 2], np.sin(2 * np.pi * (times - 2.5) / 2), atol=1e-5)
    np.testing.assert_allclose(rhythm[:, 3], np.cos(2 * np.pi * (times - 2.5) / 2), atol=1e-5)


def test_bars_of_uneven_length_share_the_phase_of_their_beats():
    """The bar phase never runs backwards or jumps between frames."""
    samples, _ = drum_song(100.0, 12.0)
    beats = np.cumsum(np.linspace(0.4, 0.7, 20))
    song = Song.from_samples(samples, RATE, beat_times=beats, downbeat_times=beats[2::4])
    rhythm = song.rhythm(60.0)
    angle = np.unwrap(np.arctan2(rhythm[:, 2], rhythm[:, 3]))
    assert (np.diff(angle) > 0).all()
    assert (np.diff(angle) < 0.2).all()


def test_given_tempo_and_offset_make_an_exact_grid(known_song):
    _, samples, _ = known_song
    song = Song.from_samples(samples, RATE, corrections=SongCorrections(bpm=97.5, beat_offset=1.0))
    assert song.tempo_bpm == 97.5
    np.testing.assert_allclose(np.diff(song.beat_times), 60 / 97.5)
    assert np.abs(song.beat_times - 1.0).min() < 1e-9
    assert np.abs(song.downbeat_times - 1.0).min() < 1e-9
    np.testing.assert_allclose(np.diff(song.downbeat_times), 240 / 97.5)
    assert song.beat_times[0] >= 0
    assert song.beat_times[-1] < 20.0


def test_bars_of_given_beats_are_counted_from_a_given_offset():
    beats = 0.3 + 0.5 * np.arange(10)
    corrections = SongCorrections(beat_offset=beats[1])
    song = Song.from_samples(np.ones(6 * RATE), RATE, beat_times=beats, corrections=corrections)
    assert song.tempo_bpm == pytest.approx(120)
    np.testing.assert_allclose(song.downbeat_times, beats[1::4])


def test_the_phase_of_a_given_tempo_is_found(known_song):
    _, samples, beats = known_song
    song = Song.from_samples(samples, RATE, corrections=SongCorrections(bpm=112.0))
    assert (np.abs(beats[:, None] - song.beat_times).min(axis=1) < 0.025).all()


def test_the_tempo_of_a_given_offset_is_found(known_song):
    _, samples, beats = known_song
    song = Song.from_samples(samples, RATE, corrections=SongCorrections(beat_offset=float(beats[4])))
    assert song.tempo_bpm == pytest.approx(112.0, abs=0.2)
    assert (np.abs(beats[:, None] - song.beat_times).min(axis=1) < 0.03).all()


def test_an_offset_is_a_time_in_the_file(known_song, tmp_path):
    _, samples, _ = known_song
    audio.write_audio(tmp_path / "a.wav", samples, RATE)
    song = Song.load(tmp_path / "a.wav", corrections=SongCorrections(bpm=120.0, beat_offset=3.25), start=3.0)
    assert song.downbeat_times[0] == pytest.approx(0.25)


@pytest.mark.parametrize("seconds", [0.0001, 0.3, 1.0, 8.0])
def test_silence_gets_a_guessed_tempo(seconds):
    song = Song.from_samples(np.zeros(max(1, round(seconds * RATE))), RATE)
    assert song.tempo_is_guess
    assert song.tempo_bpm == 120.0
    np.testing.assert_allclose(song.beat_times, np.arange(0.0, song.seconds, 0.5))
    assert np.isfinite(song.features(30.0)).all()
    assert np.isfinite(song.rhythm(30.0)).all()
    assert song.features(30.0).shape == (round(song.seconds * 30), 35)


def test_a_third_of_a_second_of_sound_works(rng):
    song = Song.from_samples(rng.standard_normal(round(0.3 * RATE)), RATE)
    assert song.features(30.0).shape == (9, 35)
    assert song.rhythm(60.0).shape == (18, 4)


def test_impossible_requests_are_refused(rng):
    samples = rng.standard_normal(RATE)
    with pytest.raises(InputError, match="BPM"):
        SongCorrections(bpm=-3.0)
    with pytest.raises(InputError, match="offset"):
        SongCorrections(beat_offset=float("nan"))
    with pytest.raises(InputError, match="finite"):
        Song.from_samples(np.full(100, np.nan), RATE)
    with pytest.raises(InputError, match="shape"):
        Song.from_samples(np.zeros(0), RATE)
    with pytest.raises(InputError, match="increasing"):
        Song.from_samples(samples, RATE, beat_times=np.array([0.5, 0.2]))
    with pytest.raises(InputError, match="together"):
        Song.from_samples(samples, RATE, downbeat_times=np.array([0.5]))


@pytest.mark.parametrize(
    ("name", "tempo"),
    [("lets_go_fishin", 88.5), ("sugar_plum_fairy", 109.5), ("vibe_ace", 129.3)],
)
def test_tempo_of_real_songs(shared_data, name, tempo):
    """Tempi checked by the period of the bar, which is the strongest lag of the onset autocorrelation."""
    song = Song.load(shared_data / "music" / "songs" / f"{name}.ogg")
    assert song.tempo_bpm == pytest.approx(tempo, rel=0.02)
    assert np.diff(song.beat_times).std() < 0.06 * 60 / tempo
