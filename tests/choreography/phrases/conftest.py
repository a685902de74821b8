"""A small library of made-up dances, and a song with known beats and sections."""

import pytest

from longdance.choreography.phrases.cutting import cut
from longdance.choreography.phrases.library import Library, TakeFacts
from longdance.choreography.phrases.shelf import FOLDER_VARIABLE
from longdance.features.song import Song
from made_up_phrases import clicking, stepping


@pytest.fixture(scope="session")
def library() -> Library:
    """Two salsas and a disco."""
    takes = (("one", "salsa", 100.0, 0.0), ("two", "salsa", 112.0, 0.3), ("three", "disco", 120.0, 0.0))
    cuts = [
        cut(stepping(tempo, phase=phase), TakeFacts(clip=clip, genre=genre, movements=(f"{clip} step",)))
        for clip, genre, tempo, phase in takes
    ]
    return Library.of("small", cuts, licence="made up")


@pytest.fixture
def shelf(library, tmp_path, monkeypatch):
    """The library as a user's own, named small."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "libraries"))
    library.save(tmp_path / "libraries" / "small.npz")
    return tmp_path / "libraries"


@pytest.fixture(scope="session")
def song() -> Song:
    return clicking()
