"""The features of the papers against their extraction, written out after what the authors have published."""

import librosa
import numpy as np
import pytest
import soundfile

from click_track import click_track
from longdance.errors import InputError
from longdance.features import librosa35 as module
from longdance.features.librosa35 import librosa35
from longdance.features.song import Song
from longdance.files import user_cache_folder


def published(path, fps: int, start_bpm: float | None) -> np.ndarray:
    """File in, (frames, 35) out: 15,360 Hz at 30 frames a second, every analysis at its own hop of 512."""
    rate = 512 * fps
    sound = librosa.load(path, sr=rate)[0]
    onset = librosa.onset.onset_strength(y=sound, sr=rate)
    columns = [onset[None], librosa.feature.mfcc(y=sound, sr=rate, n_mfcc=20)]
    columns.append(librosa.feature.chroma_cens(y=sound, sr=rate, hop_length=512, n_chroma=12))
    if start_bpm is None:
        start_bpm = librosa.feature.tempo(y=librosa.load(path)[0])[0]
    beats = librosa.beat.beat_track(
        onset_envelope=onset, sr=rate, hop_length=512, start_bpm=start_bpm, tightness=100
    )[1]
    for places in (librosa.onset.onset_detect(onset_envelope=onset, sr=rate, hop_length=512), beats):
        columns.append(np.isin(np.arange(len(onset)), places)[None].astype(float))
    return np.concatenate(columns).T


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # librosa.load looks for readers that Python drops
@pytest.mark.parametrize(
    ("name", "bpm", "fps"), [("song.wav", None, 30), ("gBR_sBM_cAll_d04_mBR3_ch01.wav", 110.0, 60)]
)
def test_they_are_those_of_the_papers(tmp_path, name, bpm, fps):
    path = tmp_path / name
    beats = np.arange(0.3, 9.5, 0.55)
    samples = np.stack([click_track(beats, seconds=10.0, seed=seed, rate=44100) for seed in (2, 3)], 1)
    soundfile.write(path, samples, 44100, subtype="FLOAT")
    song = Song.load(path)
    rows = librosa35(song, fps)
    assert rows.shape == (10 * fps, 35)
    np.testing.assert_allclose(rows, published(path, fps, bpm)[: 10 * fps], atol=2e-3, rtol=1e-4)


def test_one_process_at_a_time_compiles_what_librosa_needs(monkeypatch):
    held = []

    class Lock:
        def __init__(self, path):
            held.append(str(path))

        def __enter__(self):
            held.append("in")

        def __exit__(self, *_):
            held.append("out")

    onset_detect = librosa.onset.onset_detect
    told = lambda **named: held.append("librosa") or onset_detect(**named)  # noqa: E731
    monkeypatch.setattr(module, "FileLock", Lock)
    monkeypatch.setattr(module, "_compiled", set())
    monkeypatch.setattr(librosa.onset, "onset_detect", told)
    song = Song.from_samples(np.zeros(11025), 22050, beat_times=np.array([0.0, 0.4]))
    for _ in range(2):
        librosa35(song, 30.0)
    assert held[1:] == ["in", "librosa", "out", "librosa"]
    assert held[0] == str(user_cache_folder("librosa") / "compiling.lock")


def test_names_of_aist_tell_their_tempo():
    assert module._named_tempo("x/gHO_sBM_cAll_d19_mHO5_ch10.mp3") == 135.0
    assert module._named_tempo("gLH_sBM_cAll_d16_mLH4_ch01.wav") == 120.0
    assert module._named_tempo("a_b_c_d_e_f.wav") is None


@pytest.mark.parametrize("seconds", [0.05, 0.4, 3.0])
def test_short_and_silent_songs_have_features(seconds):
    song = Song.from_samples(np.zeros(round(seconds * 22050)), 22050, beat_times=np.array([0.0, 0.5]))
    rows = librosa35(song, 30.0)
    assert rows.shape == (song.frames(30.0), 35)
    assert np.isfinite(rows).all()


def test_without_librosa_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "librosa", None)
    with pytest.raises(InputError, match="papers"):
        module.check()
