"""The held-out dances and the songs to dance to: what people danced, and what models are asked to dance to.

A benchmark whose songs were made by the program that made the training songs, or whose beats were heard by the tracker
that tells the model of them, goes in a circle. Songs therefore come, in this order, from a folder, where ``NAME.beats``
holds beats that are known from elsewhere; from the data set, where it has music; or it is the bundled song, whose beats
are known because it was composed on them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np

from longdance.cleanup.passage import Passage
from longdance.cleanup.pipeline import Cleanup
from longdance.data.store import Store, Take
from longdance.errors import InputError
from longdance.evaluate.dances import Dance, of_motion
from longdance.features.audio import ANALYSIS_SAMPLE_RATE, decode
from longdance.features.pulse import SongCorrections
from longdance.features.song import NO_CORRECTIONS, Song
from longdance.files import AUDIO_ENDINGS

BUNDLED = "demo_song"
BUNDLED_FIRST, BUNDLED_TEMPO, BUNDLED_BEATS = 0.25, 114.0, 80
"""The bundled song's first beat in seconds, its beats per minute, and how many there are; it can be looped after them.
"""
BARS = range(0, BUNDLED_BEATS // 4, 2)
"""Bars of it from which it begins, each a song to dance to."""
SPEEDS = (1.0, 0.8, 1.25)
"""At which the bundled song stands in for other songs: it is played slower or faster, tape-like."""
KNOWN, HEARD, COMPOSED = "known from elsewhere", "heard by our own tracker", "composed: the bundled song"
"""Where the beats of a song come from."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Source:
    """A song that can be heard at any length."""

    name: str
    beats: str
    """Where its beats come from: ``KNOWN``, ``HEARD`` or ``COMPOSED``."""
    load: Callable[[float | None], Song]
    """The song's beginning, of so many seconds; None for all of it."""


@dataclass(frozen=True, eq=False, kw_only=True)
class TestSong:
    """A song to dance to, and the words that go with it."""

    __test__ = False  # no test case, whatever pytest thinks of the name

    name: str
    source: Source
    song: Song
    genre: str | None = None
    movements: tuple[str, ...] = ()


def real_dances(store: Store, split: str, *, cleaned: bool = False) -> list[Dance]:
    """Every dance of a split as captured, with its beats; takes of no genre are left out.

    With ``cleanup`` by default, as dances of models are, if ``cleaned``.
    """
    found = []
    for name, take in _takes(store, split).items():
        motion = store.layout.decode(np.array(store.motion_of(take)), store.fps)
        if cleaned:
            motion = Cleanup().whole(Passage(motion)).motion
        dance = replace(of_motion(motion, name=name), beat_times=take.beat_times or None, song=name)
        found.append(replace(dance, genre=take.genre, movements=tuple(take.movements)))
    return found


def songs_of(folder: Path) -> tuple[list[Source], dict[str, str]]:
    """The songs of a folder by name, and why others failed. Beats are those of ``NAME.beats`` where that lies beside.

    ``NAME.beats`` has seconds, one a line, perhaps followed by the beat's number in its bar. ``InputError`` for a
    folder without songs.
    """
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in AUDIO_ENDINGS) if folder.is_dir() else []
    if not paths:
        raise InputError(f"{folder}: expected a folder with songs ({', '.join(AUDIO_ENDINGS)}), found none")
    found, failed = [], {}
    for path in paths:
        known = path.with_suffix(".beats")
        try:
            beats = SongCorrections.from_file(known) if known.is_file() else NO_CORRECTIONS
        except InputError as error:
            failed[path.name] = str(error)
            continue
        found.append(Source(name=path.stem, beats=KNOWN if known.is_file() else HEARD, load=_reader(path, beats=beats)))
    return found, failed


def songs_of_store(store: Store, split: str) -> dict[str, Source]:
    """Name of a held-out dance to the music it was danced to, where the data set has music; as long as the dance."""
    return {
        name: Source(
            name=name,
            beats=HEARD,
            load=_reader(Path(take.song), start=take.song_start, longest=take.frames / store.fps),
        )
        for name, take in _takes(store, split).items()
        if take.song
    }


def bundled(speed: float = 1.0, *, bar: int = 0) -> Source:
    """The bundled song over and over from one of its bars on, played at a speed; it was composed on its beats."""
    name = BUNDLED + (f" from bar {bar + 1}" if bar else "") + ("" if speed == 1 else f" at {speed:g} times its speed")
    return Source(name=name, beats=COMPOSED, load=lambda seconds: _bundled(name, speed, bar, seconds))


def dealt(
    sources: list[Source], dances: list[Dance], *, seconds: float | None, most: int | None = None
) -> tuple[list[TestSong], dict[str, str]]:
    """What models dance to, and what could not be heard.

    A song that is named after a held-out dance goes with the words of that dance. If none is, songs and the words of
    the held-out dances are dealt out in turn until every one of both was used. A song lasts ``seconds``; if None, all
    of it, but the bundled song as long as the dance whose words it has. At most ``most`` tests, evenly chosen.
    """
    named = {dance.name: dance for dance in dances}
    matched = any(source.name in named for source in sources)
    count = len(sources) if matched or not dances else max(len(sources), len(dances))
    tests, failed, heard = [], {}, {}
    chosen = range(count) if most is None or most >= count else np.linspace(0, count - 1, most).round().astype(int)
    for number in chosen:
        source = sources[number % len(sources)]
        dance = named.get(source.name) or (dances[number % len(dances)] if dances else None)
        length = dance.seconds if seconds is None and source.beats == COMPOSED and dance else seconds
        key = source.name, length
        try:
            if key not in heard:
                heard[key] = source.load(length)
        except InputError as error:
            failed[source.name] = str(error)
            continue
        if any((test.song, test.genre, test.movements) == (heard[key], *_words(dance)) for test in tests):
            continue  # it would be the same dance
        name = source.name if matched or dance is None else f"{dance.name}-{source.name}".replace(" ", "-")
        genre, movements = _words(dance)
        tests.append(TestSong(name=name, source=source, song=heard[key], genre=genre, movements=movements))
    return tests, failed


def continued(beats: np.ndarray, seconds: float) -> np.ndarray:
    """Beats up to ``seconds``: those given, then their intervals over and over."""
    intervals = np.diff(beats)
    count = int(np.ceil(max(0.0, seconds - beats[-1]) / intervals.mean())) + len(intervals)
    more = beats[-1] + np.cumsum(np.resize(intervals, count))
    every = np.concatenate((beats, more))
    return every[every < seconds] if (every < seconds).sum() >= 2 else every[:2]


def _words(dance: Dance | None) -> tuple[str | None, tuple[str, ...]]:
    """Genre and movements that go with a song."""
    return (dance.genre, dance.movements) if dance else (None, ())


def _takes(store: Store, split: str) -> dict[str, Take]:
    """Takes by names of their own: the clip's, and where it begins for those that share a clip."""
    takes = [take for take in store.select(split, original=True) if take.genre != "none"]
    clips = [take.clip for take in takes]
    return {take.clip if clips.count(take.clip) == 1 else f"{take.clip}@{take.start}": take for take in takes}


def _reader(
    path: Path, *, beats: SongCorrections = NO_CORRECTIONS, start: float = 0.0, longest: float | None = None
) -> Callable[[float | None], Song]:
    return lambda seconds: Song.load(path, corrections=beats, start=start, seconds=seconds or longest)


def _bundled(name: str, speed: float, bar: int, seconds: float | None) -> Song:
    """``seconds`` of the bundled song, looped after its last bar; its beats come alike from every bar on."""
    period = 60.0 / BUNDLED_TEMPO
    body = BUNDLED_BEATS * period
    length = (BUNDLED_FIRST + body) / speed if seconds is None else seconds
    samples, rate = _decoded(), ANALYSIS_SAMPLE_RATE
    first, last = (round(second * rate) for second in (BUNDLED_FIRST, BUNDLED_FIRST + body))
    begin = round(4 * bar * period * rate)
    wanted = begin + round(length * rate) * speed
    turns = max(0, int(np.ceil((wanted - last) / (last - first))))
    looped = np.concatenate((samples[:last], *([samples[first:last]] * turns), np.zeros(1, samples.dtype)))
    places = begin + np.arange(round(length * rate)) * speed
    played = np.interp(places, np.arange(len(looped)), looped).astype(np.float32)
    beats = np.arange(BUNDLED_FIRST, length * speed, period) / speed
    return Song.from_samples(played, rate, name=name, beat_times=beats, downbeat_times=beats[::4])


@lru_cache(maxsize=1)
def _decoded() -> np.ndarray:
    """Mono samples of the bundled song."""
    with as_file(files("longdance") / "assets" / f"{BUNDLED}.ogg") as path:
        return decode(path, sample_rate=ANALYSIS_SAMPLE_RATE)
