"""The package as Python's users meet it."""

from importlib.resources import files

import longdance
from conftest import swaying
from longdance.motion.motion import Motion


def test_lazy_names_are_listed_and_there():
    for name in ("Dance", "Motion", "Song", "load", "InputError", "metrics"):
        assert name in dir(longdance)
        assert getattr(longdance, name)
    assert longdance.Dance is Motion
    assert "__version__" in dir(longdance)


def test_types_are_announced_and_reprs_are_short():
    assert (files("longdance") / "py.typed").is_file()
    dance = swaying(45, 30.0)
    dance.meta.update(genre="salsa", song="song.mp3")
    assert repr(dance) == "Motion(45 frames, 1.50 s at 30 fps, 24 joints, salsa, song.mp3)"
    assert len(repr(dance.skeleton)) < 80


def test_a_dancer_remembers_its_song_and_says_who_it_is(tmp_path, tiny_model):
    import numpy as np

    from longdance.features.audio import write_audio
    from longdance.files import checksum

    song = tmp_path / "song.wav"
    write_audio(song, 0.3 * np.sin(np.arange(30000) / 20), 22050)
    model = longdance.load(tiny_model)
    assert len(repr(model)) < 80
    for dance in (model.generate(song, steps=1), next(iter(model.stream(song, steps=1)))):
        assert dance.meta["song_path"] == str(song)
        assert dance.meta["song_sha256"] == checksum(song)
    heard = model.generate(longdance.Song.load(song), steps=1)
    assert "song_path" not in heard.meta
