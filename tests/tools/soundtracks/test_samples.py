"""Folders of samples, made by the tests under the names such folders use."""

import numpy as np
import pytest

from longdance.errors import InputError
from longdance.features import audio
from tools.soundtracks import samples

RATE = 22050


def write(folder, name: str, *, silence: float = 0.0) -> None:
    times = np.arange(RATE // 4) / RATE
    sound = 0.5 * np.sin(2 * np.pi * 261.63 * times) * np.exp(-times / 0.05)
    audio.write_audio(folder / name, np.concatenate([np.zeros(round(silence * RATE)), sound]), RATE)


def test_names_tell_the_role(tmp_path):
    expected = {
        "bd_fat.flac": "kick", "drum_bass_hard.flac": "kick", "drum_heavy_kick.wav": "kick",
        "sn_dub.flac": "snare", "drum_snare_soft.flac": "snare", "perc_snap2.flac": "clap",
        "hat_cab.flac": "closed_hat", "drum_cymbal_closed.flac": "closed_hat",
        "drum_cymbal_open.flac": "open_hat", "ride_tri.flac": "ride", "drum_splash_hard.flac": "crash",
        "drum_tom_lo_soft.flac": "tom", "drum_cowbell.flac": "cowbell", "elec_wood.flac": "clave",
        "tabla_na_s.flac": "conga_open", "tabla_ke1.flac": "conga_mute", "bass_thick_c.flac": "bass",
    }  # fmt: skip
    for name in expected:
        write(tmp_path, name)
    for name in ("loop_amen.flac", "drum_roll.flac", "ambi_choir.flac", "misc_crow.flac"):
        write(tmp_path, name)
    found = samples.find_samples(tmp_path)
    assert {path.name: role for role, paths in found.items() for path in paths} == expected


def test_silence_before_the_sound_is_cut(tmp_path):
    write(tmp_path, "bd_late.wav", silence=0.2)
    sound = samples.load_sample(tmp_path / "bd_late.wav", RATE)
    assert np.abs(sound).max() == pytest.approx(1.0)
    assert np.flatnonzero(np.abs(sound) > 0.3)[0] < 0.005 * RATE


def test_pitch_of_bass_samples(tmp_path):
    write(tmp_path, "bass_dnb_f.wav")
    assert samples.pitch_class_of(tmp_path / "bass_dnb_f.wav") == 5
    times = np.arange(RATE) / RATE
    higher = samples.transposed(np.sin(2 * np.pi * 200 * times), 12)
    spectrum = np.abs(np.fft.rfft(higher))
    assert spectrum.argmax() * RATE / len(higher) == pytest.approx(400.0, abs=3.0)


def test_folders_without_samples_are_refused(tmp_path):
    with pytest.raises(InputError, match="names"):
        samples.find_samples(tmp_path)
    with pytest.raises(InputError, match="folder"):
        samples.find_samples(tmp_path / "missing")
