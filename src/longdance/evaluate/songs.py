"""The held-out songs and dances: what models are asked to dance to, and what people danced to them.

Takes of the open data come without music. Their songs are composed on the beats of the dance, by the composer that
made the training soundtracks, each with a seed that follows from the take's name: the same songs for every system,
whatever music features it hears. Data sets with music of their own are evaluated with a folder of songs.
"""

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from longdance.data.store import Store
from longdance.errors import InputError
from longdance.evaluate.dances import Dance
from longdance.features.audio import write_audio
from longdance.features.composer import MONO_SAMPLE_RATE, compose
from longdance.features.song import Song
from longdance.features.styles import STYLES
from longdance.files import AUDIO_ENDINGS


@dataclass(frozen=True, eq=False, kw_only=True)
class TestSong:
    """A song to dance to, and the words that go with it."""

    __test__ = False  # no test case, whatever pytest thinks of the name

    name: str
    song: Song
    genre: str | None = None
    movements: tuple[str, ...] = ()


def real_dances(store: Store, split: str) -> list[Dance]:
    """Every dance of a split as captured, with its beats; takes of no genre are left out."""
    return [
        Dance(
            name=take.clip,
            joints=store.layout.decode(np.array(store.motion_of(take)), store.fps).joints(),
            fps=store.fps,
            beat_times=take.beat_times or None,
            genre=take.genre,
            movements=tuple(take.movements),
            song=take.clip,
        )
        for take in store.select(split, original=True)
        if take.genre != "none"
    ]


def composed_songs(
    dances: list[Dance], *, seconds: float | None = None, folder: Path | None = None
) -> tuple[list[TestSong], list[str]]:
    """One song per dance on its beats, as long as the dance or ``seconds``, and names of dances without two beats.

    Beyond the dance its intervals between beats come again from the first. With ``folder`` the songs are written there.
    """
    songs, left_out = [], []
    for dance in dances:
        if dance.beat_times is None or len(dance.beat_times) < 2:
            left_out.append(dance.name)
            continue
        length = dance.seconds if seconds is None else seconds
        beats = continued(np.array(dance.beat_times), length)
        seed = zlib.crc32(dance.name.encode())
        style = dance.genre if dance.genre in STYLES else sorted(STYLES)[seed % len(STYLES)]
        samples = compose(beats, seconds=length, style=style, seed=seed)
        if folder is not None and not (folder / f"{dance.name}.wav").is_file():
            write_audio(folder / f"{dance.name}.wav", samples, MONO_SAMPLE_RATE)
        song = Song.from_samples(
            samples, MONO_SAMPLE_RATE, name=f"{dance.name}.wav", beat_times=beats, downbeat_times=beats[::4]
        )
        songs.append(TestSong(name=dance.name, song=song, genre=dance.genre, movements=dance.movements))
    return songs, left_out


def songs_of(
    folder: Path, dances: list[Dance], *, start: float = 0.0, seconds: float | None = None
) -> tuple[list[TestSong], dict[str, str]]:
    """The songs of a folder, and why others failed; a song named after a held-out dance gets that dance's words."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in AUDIO_ENDINGS) if folder.is_dir() else []
    if not paths:
        raise InputError(f"{folder}: expected a folder with songs ({', '.join(AUDIO_ENDINGS)}), found none")
    known = {dance.name: dance for dance in dances}
    songs, failed = [], {}
    for path in paths:
        try:
            song = Song.load(path, start=start, seconds=seconds)
        except InputError as error:
            failed[path.name] = str(error)
            continue
        dance = known.get(path.stem)
        songs.append(
            TestSong(
                name=path.stem,
                song=song,
                genre=dance.genre if dance else None,
                movements=dance.movements if dance else (),
            )
        )
    return songs, failed


def continued(beats: np.ndarray, seconds: float) -> np.ndarray:
    """Beats up to ``seconds``: those given, then their intervals over and over."""
    intervals = np.diff(beats)
    count = int(np.ceil(max(0.0, seconds - beats[-1]) / intervals.mean())) + len(intervals)
    more = beats[-1] + np.cumsum(np.resize(intervals, count))
    every = np.concatenate((beats, more))
    return every[every < seconds] if (every < seconds).sum() >= 2 else every[:2]
