"""A model as the systems that are compared: what its networks do, with energies in the sampler, and after cleanup.

A model's name alone means its networks with the sampling of its recipe: energies off, no phrases, nothing after them
but EDMG's second stage, which is part of EDMG. Rows whose requests differ only in what follows the sampler share one
sample.
"""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from longdance.choreography.dancer import Dancer
from longdance.choreography.devices import device_of
from longdance.choreography.long.stretches import Sampling
from longdance.choreography.prepared import Generated, Prepared
from longdance.choreography.request import DanceRequest
from longdance.errors import InputError
from longdance.evaluate.dances import Dance, of_motion
from longdance.evaluate.songs import COMPOSED, SPEEDS, Source, TestSong, bundled
from longdance.features.song import Song
from longdance.features.spectrum import MFCC_BANDS, TIMBRE_RATE
from longdance.metrics.exchange import exchange, exchange_in_beats
from longdance.models.folders import WEIGHTS, parts_of, shipped
from longdance.models.strengths import OFF
from longdance.motion.motion import Motion
from longdance.progress import Progress

EXCHANGED_SONGS, EXCHANGED_WORDS, EXCHANGE_SEEDS, EXCHANGE_SECONDS = 3, 3, (0, 1), 10.0
"""Most songs and genres that are exchanged, the seeds they are exchanged with, and how long these dances are."""


class Version(NamedTuple):
    """A model in one row of the report."""

    key: str
    """``pmd``, ``model``, ``guided``, ``cleaned`` or ``phrases``."""
    about: str
    """What it is, in words."""
    request: DanceRequest


@dataclass(frozen=True, eq=False, kw_only=True)
class Danced:
    """What a model danced in one row."""

    dances: list[Dance]
    exchanged: dict[str, float]
    """``exchange`` and the like; empty where nothing was exchanged."""


def versions(model: Dancer, name: str, request: DanceRequest) -> dict[str, Version]:
    """The rows of a model by their names, each with the request that its dances are drawn by.

    ``request`` says how all are drawn; without its ``trm`` or ``cleanup`` rows that have these are left out, and its
    ``energy`` (the model's own if None) is that of the rows guided and cleaned. Its ``phrases`` give one more row.
    """
    plain = request.raw().changed(energy="off")
    found: dict[str, Version] = {}
    trm = model.trm is not None and request.trm
    if model.trm is not None:
        found[f"{name} (PMD)"] = Version("pmd", "the first stage alone, energies off", plain)
    if model.trm is None or trm:
        about = "both stages, PMD and TRM, energies off" if trm else "the networks, energies off"
        found[name] = Version("model", about, plain.changed(trm=trm))
    base = name if model.trm is None or trm else f"{name} (PMD)"
    guided = request.raw().changed(energy=request.energy, trm=trm, parabola=request.parabola)
    if model.energy_for(request) != OFF:
        found[f"{base} guided"] = Version("guided", "the same with energies in the sampler", guided)
        after = "what generate makes: energies, then cleanup"
    else:
        after = "what generate makes: cleanup"
    if request.cleanup:
        found[f"{base} cleaned"] = Version("cleaned", after, guided.changed(cleanup=True))
    if request.phrases > 0:
        about = f"led by recorded phrases ({request.phrases:g}), then as generate: no dance of the networks alone"
        found[f"{base} phrases"] = Version("phrases", about, request)
    return found


def heard_apart(tests: Sequence[TestSong], hears: str) -> list[TestSong]:
    """The tests that a model can tell apart by what it hears: the same dance twice would count twice."""
    found: dict[tuple, TestSong] = {}
    for test in tests:
        words = {"music": (), "genre": (test.genre,)}.get(hears, (test.genre, test.movements))
        found.setdefault((id(test.song), *words), test)
    return list(found.values())


def identity(system: str | Path) -> str:
    """A digest of a model's files: two trainings of one recipe are two models."""
    folder = WEIGHTS / str(system) if str(system) in shipped() else Path(system)
    digest = hashlib.sha256()
    for part in parts_of(folder):
        for path in sorted(part.iterdir()):
            if path.name == "config.json" or path.suffix == ".safetensors":
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def dance_rows(
    model: Dancer,
    key: str,
    rows: dict[str, Version],
    tests: Sequence[TestSong],
    *,
    seeds: Sequence[int],
    words: bool,
    folder: Path,
    report: Progress,
    what: str = "dancing",
) -> tuple[dict[str, list[Dance]], dict[str, str]]:
    """Every song danced with every seed in every row, read from the folder where it was done before; and what failed.

    ``key`` is the model's ``identity``; each row has a folder of its own in ``folder``.
    """
    found: dict[str, list[Dance]] = {name: [] for name in rows}
    failed: dict[str, str] = {}
    total, done = len(tests) * len(seeds), 0
    for seed in seeds:
        for test in tests:
            report(done, total, f"{model.name} {what}")
            done += 1
            try:
                motions = _rows_of(model, key, rows, test, seed, words=words, folder=folder)
            except InputError as error:
                failed[f"{model.name}: {test.name}, seed {seed}"] = str(error)
                continue
            for name, motion in motions.items():
                dance = of_motion(motion, name=f"{test.name}-{seed}", path=_path(folder, rows[name], test, seed))
                # Whatever was said to the model, it is judged by what the held-out dance shows.
                level = loudness_of(test.song, dance.fps, len(dance.joints))
                found[name].append(
                    replace(dance, genre=test.genre, movements=test.movements, loudness=level, song=test.source.name)
                )
    report(total, total, f"{model.name} {what}")
    return found, failed


def exchanges(
    model: Dancer,
    key: str,
    rows: dict[str, Version],
    tests: Sequence[TestSong],
    *,
    seconds: float | None,
    words: bool,
    folder: Path,
    report: Progress,
) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """How much the song, and the words, change a dance of each row: dances of their own, few and short.

    Up to three of the songs, or the bundled song at three speeds where there is one or that one, with one test's words;
    and up to three genres to the first song. Two seeds each, ten seconds long at most.
    """
    length = min(EXCHANGE_SECONDS, seconds or EXCHANGE_SECONDS)
    sources = list({test.source.name: test.source for test in tests}.values())
    if len(sources) < 2 or all(source.beats == COMPOSED for source in sources):
        sources = [bundled(speed) for speed in SPEEDS]
    sources = [sources[k] for k in evenly(len(sources), EXCHANGED_SONGS)]
    genres = list(dict.fromkeys(test.genre for test in tests if test.genre))
    genres = [genres[k] for k in evenly(len(genres), EXCHANGED_WORDS)]
    songs = {source.name: source.load(length) for source in sources}
    other_songs = [_test(f"song-{k}", source, songs, genres[:1]) for k, source in enumerate(sources)]
    other_words = [_test(f"words-{genre}", sources[0], songs, [genre]) for genre in genres[1:]]
    if not words or model.capabilities.hears == "music":
        other_words = []
    made, failed = dance_rows(
        model, key, rows, [*other_songs, *other_words], seeds=EXCHANGE_SEEDS, words=words, folder=folder,
        report=report, what="exchanging songs and words",
    )  # fmt: skip
    found = {}
    for name, dances in made.items():
        by_song = {(d.song or "", d.seed): d for d in dances if d.name.startswith("song-")}
        by_words = {(d.genre or "", d.seed): d.joints for d in dances if d.song == sources[0].name}
        beats = {name: song.beat_times for name, song in songs.items()}
        joints = {pair: dance.joints for pair, dance in by_song.items()}
        found[name] = {
            "exchange": exchange(joints),
            "exchange_in_beats": exchange_in_beats(joints, beats, model.fps),
        }
        if other_words:
            found[name]["exchange_of_words"] = exchange(by_words)
    return found, failed


def evenly(count: int, most: int) -> list[int]:
    """Numbers below ``count``, at most ``most`` of them, from the first to the last."""
    return list(dict.fromkeys(np.linspace(0, count - 1, min(most, count)).round().astype(int).tolist()))


def loudness_of(song: Song, fps: float, frames: int) -> np.ndarray:
    """(frames,) decibel of a song at the dance's frames: the mean of its mel bands."""
    level = song.spectra.mfcc[:, 0] / np.sqrt(MFCC_BANDS)
    return np.interp(np.arange(frames) / fps, np.arange(len(level)) / TIMBRE_RATE, level)


def _test(name: str, source: Source, songs: dict[str, Song], genre: Sequence[str]) -> TestSong:
    return TestSong(name=name, source=source, song=songs[source.name], genre=genre[0] if genre else None)


def _path(folder: Path, version: Version, test: TestSong, seed: int) -> Path:
    return folder / version.key / f"{test.name}-{seed}.npz"


def _rows_of(
    model: Dancer, key: str, rows: dict[str, Version], test: TestSong, seed: int, *, words: bool, folder: Path
) -> dict[str, Motion]:
    """One song with one seed in every row: what is not kept is sampled, once for all rows that can share it."""
    found: dict[str, Motion] = {}
    samples: dict[tuple[Sampling, str], tuple[Prepared, Generated, float]] = {}
    told = {"genre": test.genre, "movement": test.movements} if words else {}
    for name, version in rows.items():
        path = _path(folder, version, test, seed)
        wanted = {
            "model": key, "row": version.key, "song": test.source.name, "song_seconds": round(test.song.seconds, 4),
            "beats": round(float(np.sum(test.song.beat_times)), 3), "words": words, "genre": test.genre,
            "request": json.loads(json.dumps(version.request.record())),
        }  # fmt: skip
        motion = _kept(path, wanted)
        if motion is None:
            request = version.request.changed(song=test.song, seed=seed, **told)
            drawn = model.expect_possible(request), str(request.cues if model.capabilities.led else "")
            # On a CPU other programs' work must not count; a GPU's work is not in the process's own time.
            clock = time.process_time if device_of(request.device) == "cpu" else time.perf_counter
            began, spent = clock(), 0.0
            if request.phrases > 0:
                motion = model.generate(request)
            else:
                if drawn not in samples:
                    prepared = model.prepare(request)
                    samples[drawn] = prepared, model.generator.generate(prepared, None), clock() - began
                prepared, made, spent = samples[drawn]
                began = clock()
                motion = model.finish(replace(prepared, request=request), made)
            cost = (spent + clock() - began) / motion.seconds
            motion = replace(motion, meta={**motion.meta, "evaluation": {**wanted, "cost": cost}})
            motion.save(path)
        found[name] = motion
    return found


def _kept(path: Path, wanted: dict) -> Motion | None:
    """The dance that an earlier run made so, if there is one."""
    if not path.is_file():
        return None
    try:
        motion = Motion.load(path)
    except InputError:
        return None  # damaged: made anew
    made = motion.meta.get("evaluation")
    return motion if isinstance(made, dict) and {k: v for k, v in made.items() if k != "cost"} == wanted else None
