"""Corrections by people who know the song, beats files, and streams that hear what the whole song gives."""

import numpy as np
import pytest
import soundfile
from tools.soundtracks.composer import compose

from click_track import RATE, click_track
from longdance.errors import InputError
from longdance.features import decoding, pulse
from longdance.features.listening import listen
from longdance.features.song import Song, SongCorrections

BPM = 104.0
BEATS = np.arange(0.35, 59.5, 60 / BPM)
FPS = 30.0


@pytest.fixture(scope="module")
def song() -> Song:
    return Song.from_samples(click_track(BEATS, seconds=60.0, seed=3), RATE)


def distance(beats: np.ndarray, others: np.ndarray) -> float:
    return float(np.abs(beats[:, None] - others).min(axis=1).max())


def test_an_even_song_is_heard_and_says_so(song):
    assert song.kind == "even"
    assert song.confidence > 0.9
    assert song.tempo_bpm == pytest.approx(BPM, rel=0.002)
    assert song.meter == 4
    assert distance(BEATS, song.beat_times) < 0.03
    others = [round(other.tempo_bpm) for other in song.alternatives]
    assert 52 in others or 208 in others
    fits = [other.fit for other in song.alternatives]
    assert fits == sorted(fits, reverse=True)
    assert max(fits) <= 1


def test_levels_move_without_hearing_the_song_again(song):
    half, double = (song.corrected(SongCorrections(bpm=level)) for level in ("half", "double"))
    assert half.tempo_bpm == pytest.approx(BPM / 2, rel=0.002)
    assert double.tempo_bpm == pytest.approx(2 * BPM, rel=0.002)
    assert distance(half.beat_times, song.beat_times) < 1e-6
    assert distance(song.beat_times, double.beat_times) < 1e-6
    assert half.spectra is song.spectra


def test_a_given_tempo_is_exact_and_its_phase_is_heard(song):
    given = song.corrected(SongCorrections(bpm=BPM))
    np.testing.assert_allclose(np.diff(given.beat_times), 60 / BPM)
    assert distance(BEATS, given.beat_times) < 0.03
    assert (given.kind, given.confidence) == ("even", 1.0)


def test_an_offset_moves_the_beats_and_begins_a_bar(song):
    moved = song.corrected(SongCorrections(beat_offset=float(song.beat_times[9]) + 0.2))
    assert np.abs(moved.beat_times - (song.beat_times[9] + 0.2)).min() < 1e-9
    assert np.abs(moved.downbeat_times - (song.beat_times[9] + 0.2)).min() < 1e-9
    assert moved.tempo_bpm == song.tempo_bpm
    assert len(moved.beat_times) == pytest.approx(len(song.beat_times), abs=1)
    assert (moved.beat_times >= 0).all()


def test_a_given_meter_is_counted(song):
    waltz = song.corrected(SongCorrections(meter=3))
    assert waltz.meter == 3
    assert np.median(np.diff(np.searchsorted(waltz.beat_times, waltz.downbeat_times))) == 3
    np.testing.assert_array_equal(waltz.beat_times, song.beat_times)


def test_a_waltz_is_heard_in_three(shared_data):
    folder = shared_data.parent / "cases"
    song = Song.load(folder / "waltz90.ogg")
    true = np.load(folder / "waltz90.npz")
    assert song.meter == 3
    assert song.tempo_bpm == pytest.approx(90, rel=0.01)
    # The ends of the file are soft; a bar in the middle of it is what counts.
    downbeats = true["down"][2:-3]
    assert np.median(np.abs(downbeats[:, None] - song.downbeat_times).min(axis=1)) < 0.05


@pytest.mark.parametrize(("name", "bpm"), [("ballad62", 62), ("ballad72", 72), ("pop190", 190)])
def test_a_level_that_is_as_likely_is_told(shared_data, name, bpm):
    song = Song.load(shared_data.parent / "cases" / f"{name}.ogg")
    tempi = [song.tempo_bpm, *(other.tempo_bpm for other in song.alternatives)]
    assert min(abs(tempo / bpm - 1) for tempo in tempi) < 0.01


def test_given_beats_are_taken_from_the_file(tmp_path, song):
    beats = BEATS + 0.1
    path = tmp_path / "beats.txt"
    path.write_text("# by hand\n" + "".join(f"{beat:.6f}\t{index % 4 + 1}\n" for index, beat in enumerate(beats)))
    given = song.corrected(SongCorrections.from_file(path))
    np.testing.assert_allclose(given.beat_times, beats, atol=1e-6)
    np.testing.assert_allclose(given.downbeat_times, beats[::4], atol=1e-6)
    path.write_text("\n".join(f"{beat}" for beat in beats))
    assert SongCorrections.from_file(path).downbeats is None
    later = SongCorrections.from_file(path, meter=3).since(10.0)
    assert later.beats[0] == pytest.approx(beats[0] - 10.0)
    assert later.meter == 3


@pytest.mark.parametrize("text", ["", "1.0\n", "1.0\n0.5\n", "1.0\nla\n", "nan\n1\n", "1\n2\ninf\n"])
def test_files_without_beats_are_refused_by_name(tmp_path, text):
    path = tmp_path / "beats.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=r"beats\.txt"):
        SongCorrections.from_file(path)
    with pytest.raises(InputError, match="nowhere"):
        SongCorrections.from_file(tmp_path / "nowhere.txt")


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"bpm": 5.0}, "BPM"), ({"meter": 5}, "3 or 4"),
        ({"beats": (1.0, 0.5)}, "increasing"), ({"beats": (1.0, 2.0), "bpm": 100.0}, "either"),
        ({"downbeats": (1.0,)}, "together"), ({"beat_offset": float("inf")}, "offset"),
    ],
)  # fmt: skip
def test_impossible_corrections_are_refused(fields, word):
    with pytest.raises(InputError, match=word):
        SongCorrections(**fields)


def test_noise_without_a_beat_is_called_a_guess(rng):
    time = np.arange(20 * RATE) / RATE
    for samples in (np.zeros(20 * RATE), 0.2 * np.sin(2 * np.pi * 220 * time)):
        song = Song.from_samples(samples.astype(np.float32), RATE)
        assert (song.kind, song.tempo_bpm, song.tempo_is_guess) == ("guessed", 120.0, True)
        assert song.confidence == 0.0


@pytest.mark.parametrize(("style", "seed", "bpm"), [("disco", 3, 104.0), ("breaking", 6, 92.0), ("salsa", 2, 121.0)])
def test_a_stream_hears_the_beats_of_the_whole_song(tmp_path, style, seed, bpm):
    beats = np.arange(0.4, 99.5, 60 / bpm)
    path = tmp_path / "song.wav"
    soundfile.write(path, compose(beats, seconds=100.0, style=style, seed=seed), RATE)
    whole = Song.load(path).beat_times
    parts = list(listen(path, fps=FPS))
    heard = np.concatenate([part.beat_times(FPS) for part in parts])
    assert (np.abs(heard[:, None] - whole).min(axis=1) < 0.07).mean() > 0.95
    assert len(heard) == pytest.approx(len(whole), abs=2)
    assert len({part.song.meter for part in parts}) == 1


def test_beats_that_were_given_leave_nothing_to_hear():
    given = Song.from_samples(np.ones(4 * RATE), RATE, beat_times=np.arange(0.5, 3.5, 0.5))
    assert given.activations is None
    with pytest.raises(InputError, match="loading it"):
        given.corrected(SongCorrections(bpm="half"))


def test_a_grid_between_the_beats_is_moved_onto_them_and_a_right_one_stays(song):
    heard = pulse.Heard(song.spectra, song.activations, song.seconds)
    gain = pulse._evidence(heard, None).gain
    right = song.beat_times * decoding.RATE
    between = right[:-1] + np.diff(right) / 2
    for grid in (right, between):
        moved = pulse._on_the_beat(heard, gain, grid) / decoding.RATE
        assert distance(moved, song.beat_times) < 1e-6


def test_a_tapped_tempo_is_brought_to_the_song(song):
    for off in (0.97, 1.0, 1.03):
        assert song.tempo_near(off * BPM) == pytest.approx(BPM, rel=0.002)
