"""Parts of dances, and dances without the silence at their ends."""

from dataclasses import replace

import numpy as np
import pytest

from conftest import swaying
from longdance.errors import InputError
from longdance.export.cuts import stretch_of, without_silence
from longdance.export.formats import export
from longdance.export.takes import ExportOptions
from longdance.features.audio import decode, write_audio
from longdance.motion.motion import Motion

META = {"start": 2.0, "beat_times": [0.5, 1.0, 1.5, 2.0, 2.5], "timeline": [{"from": 0.0, "to": 3.0, "genre": "salsa"}]}


@pytest.fixture
def dance():
    return replace(swaying(90, 30.0), meta=META)


@pytest.fixture
def song(tmp_path):
    """Six seconds, silent but from 3.0 to 4.2, where each sample says what time it is."""
    time = np.arange(6 * 48000) / 48000
    path = tmp_path / "song.wav"
    write_audio(path, np.where((time >= 3.0) & (time < 4.2), np.sin(2000 * time) * time / 10, 0.0), 48000)
    return path


def test_a_part_of_a_dance_has_its_part_of_song_and_beats(dance, song, tmp_path):
    out = tmp_path / "part.npz"
    export(dance, out, options=ExportOptions(start=1.0, seconds=1.5, wav=True), song_path=song)
    part = Motion.load(out)
    np.testing.assert_allclose(part.joints(), dance.joints()[30:75], atol=1e-5)
    assert part.meta == {
        "start": 3.0, "beat_times": [0.0, 0.5, 1.0], "timeline": [{"from": 0.0, "to": 1.5, "genre": "salsa"}],
    }  # fmt: skip
    sound = decode(tmp_path / "part.wav", sample_rate=48000)
    wanted = decode(song, sample_rate=48000)[3 * 48000 : round(4.5 * 48000)]
    np.testing.assert_allclose(sound, wanted, atol=1e-4)


def test_what_is_not_there_cannot_be_cut(dance):
    assert stretch_of(dance, start=0.0, seconds=3.0) is dance
    assert stretch_of(dance, start=2.9, seconds=9.0).frames == 3
    for start in (3.0, -0.1):
        with pytest.raises(InputError, match=r"within the dance's 3\.00 s"):
            stretch_of(dance, start=start)


def test_silence_of_the_song_is_taken_off_both_ends(dance, song):
    cut = without_silence(dance, song)
    assert cut.meta["start"] == pytest.approx(3.0, abs=0.05)
    assert cut.seconds == pytest.approx(1.2, abs=0.11)
    with pytest.raises(InputError, match="silent throughout"):
        without_silence(replace(dance, meta={"start": 4.5}), song)
    with pytest.raises(InputError, match=r"gone\.wav"):
        without_silence(dance, song.with_name("gone.wav"))


def test_without_a_song_standing_is_silence(dance):
    still = [np.repeat(each[:1], 20, 0) for each in (dance.root_position, dance.rotations)]
    ends = [np.repeat(each[-1:], 10, 0) for each in (dance.root_position, dance.rotations)]
    root, turns = (
        np.concatenate((a, b, c)) for a, b, c in zip(still, (dance.root_position, dance.rotations), ends, strict=True)
    )
    whole = replace(dance, root_position=root, rotations=turns)
    cut = without_silence(whole, None)
    assert cut.frames == pytest.approx(dance.frames, abs=2)
    assert cut.meta["start"] == pytest.approx(2 + 20 / 30, abs=0.05)
