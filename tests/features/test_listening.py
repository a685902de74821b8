"""Songs heard part by part against songs measured as a whole."""

from itertools import pairwise

import numpy as np
import pytest
import soundfile

from click_track import RATE, click_track
from longdance.errors import InputError
from longdance.features import listening
from longdance.features.listening import Part, listen
from longdance.features.song import Song, SongCorrections

FPS = 30.0
BEATS = np.cumsum(np.r_[0.4, 0.5 + 0.02 * np.sin(np.arange(90) / 9)])


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """46 seconds of drums and chords whose tempo breathes."""
    path = tmp_path_factory.mktemp("songs") / "song.wav"
    soundfile.write(path, click_track(BEATS, seconds=46.0, seed=1), RATE)
    return path


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(listening, "FIRST_SECONDS", 8.0)
    monkeypatch.setattr(listening, "PART_SECONDS", 12.0)
    monkeypatch.setattr(listening, "BEFORE_SECONDS", 6.0)


def test_parts_follow_each_other_to_the_end(file):
    parts = list(listen(file, fps=FPS))
    assert [part.last for part in parts] == [False] * 3 + [True]
    assert parts[0].frames.start == 0
    assert all(a.frames.stop == b.frames.start for a, b in pairwise(parts))
    assert parts[-1].frames.stop == 46 * FPS
    assert max(part.song.seconds for part in parts) < 6 + 12 + 6 + 0.1


def test_beats_and_bars_are_those_of_the_whole_song(file):
    whole = Song.load(file)
    parts = list(listen(file, fps=FPS))
    beats = np.concatenate([part.beat_times(FPS) for part in parts])
    error = np.abs(beats[:, None] - BEATS).min(1)
    assert error.max() < 0.08
    assert np.median(error) < 0.02
    assert len(beats) == pytest.approx(len(whole.beat_times), abs=1)
    rhythm = np.concatenate([p.song.rhythm(FPS)[p.frames.start - p.origin :][: len(p.frames)] for p in parts])
    assert np.median(np.abs(rhythm[:, :2] - whole.rhythm(FPS)[:, :2])) < 0.05
    bars = np.arctan2(rhythm[:, 2], rhythm[:, 3])
    steps = np.abs((np.diff(bars) + np.pi) % (2 * np.pi) - np.pi)
    assert steps.max() < 0.3  # a bar's phase goes on through all parts


def test_features_are_nearly_those_of_the_whole_song(file):
    whole = Song.load(file).features(FPS)
    heard = np.concatenate(
        [p.song.features(FPS)[p.frames.start - p.origin :][: len(p.frames)] for p in listen(file, fps=FPS)]
    )
    assert heard.shape == whole.shape
    for channels in (slice(0, 1), slice(1, 21), slice(21, 33)):
        # Loudness is not the same; shapes are.
        pairs = zip(heard[:, channels].T, whole[:, channels].T, strict=True)
        assert np.median([np.corrcoef(one, other)[0, 1] for one, other in pairs]) > 0.95


def test_a_stretch_of_the_file_is_heard(file):
    parts = list(listen(file, fps=FPS, start=10.0, seconds=15.0))
    assert parts[-1].frames.stop == 15 * FPS
    assert parts[0].song.start == 10.0
    beats = np.concatenate([part.beat_times(FPS) for part in parts]) + 10.0
    assert np.median(np.abs(beats[:, None] - BEATS).min(1)) < 0.05
    sound = parts[-1].song.decode(16000)
    assert len(sound) == pytest.approx(16000 * parts[-1].song.seconds, abs=200)


def test_a_given_tempo_holds_for_all_parts(file):
    corrections = SongCorrections(bpm=100.0, beat_offset=0.3)
    beats = np.concatenate([part.beat_times(FPS) for part in listen(file, fps=FPS, corrections=corrections)])
    np.testing.assert_allclose(beats, 0.3 + 0.6 * np.arange(len(beats)), atol=1e-6)
    parts = list(listen(file, fps=FPS, corrections=corrections))
    for part in parts:
        ones = part.song.downbeat_times + part.origin / FPS
        np.testing.assert_allclose((ones - 0.3) / 2.4, np.round((ones - 0.3) / 2.4), atol=1e-6)
    assert len(beats) == 77


def test_silence_has_beats_as_well(tmp_path):
    path = tmp_path / "silence.wav"
    soundfile.write(path, np.zeros(40 * 8000, np.float32), 8000)
    parts = list(listen(path, fps=FPS))
    assert parts[-1].frames.stop == 40 * FPS
    assert all(part.song.tempo_is_guess for part in parts)


def test_a_measured_song_is_one_part():
    song = Song.from_samples(np.zeros(22050, np.float32), 22050, beat_times=np.array([0.2, 0.7]))
    part = Part.whole(song, FPS)
    assert (part.frames, part.last) == (range(30), True)
    assert part.beat_times(FPS).tolist() == [0.2, 0.7]


def test_impossible_songs_and_tempos_are_input_errors(tmp_path, file):
    with pytest.raises(InputError, match=r"nothing\.wav"):
        next(listen(tmp_path / "nothing.wav", fps=FPS))
    with pytest.raises(InputError, match="BPM"):
        next(listen(file, fps=FPS, corrections=SongCorrections(bpm=5.0)))
