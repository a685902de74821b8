"""Dances of recorded phrases (edmg phrases): beats, music response, joins, words, form, and a library of foreign clips.

    python benchmarks/phrases.py --songs FOLDER --data STORE -o benchmarks/results/phrases.json [--parts music,words]

FOLDER holds songs with their true beats beside them, as for response.py; of these ten are danced to in three genres
with two seeds, strictly (phrases 1), which takes no network. Judges of genre and words never see a take of the plan:
training takes are dealt out in two halves, each half judges dances of the other.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from common import real_dances, write_report
from response import GENRES, PIECES, SEEDS, mean, physical, song_of

import longdance
from longdance.choreography.phrases.candidates import Candidates
from longdance.choreography.phrases.dancing import candidates_of
from longdance.choreography.phrases.form import bars_of
from longdance.choreography.phrases.laying import Laid, lay
from longdance.choreography.phrases.library import Library
from longdance.choreography.phrases.plan import Plan
from longdance.choreography.phrases.planner import Planner, Wanted
from longdance.choreography.phrases.shelf import FOLDER_VARIABLE, add_library, open_library
from longdance.choreography.phrases.sources import Source
from longdance.choreography.words import Words
from longdance.data.store import Store
from longdance.evaluate.measure import JUDGED_SECONDS
from longdance.features.song import Song
from longdance.features.text import resolve_prompt
from longdance.metrics.exchange import exchange, exchange_in_beats, pose_distance
from longdance.metrics.genre import GenreClassifier, windows_of
from longdance.metrics.phrases import join_measures, recorded_share
from longdance.metrics.response import MOVEMENT_CUTOFF
from longdance.metrics.retrieval import RetrievalEvaluator, r_precision
from longdance.metrics.rhythm import beat_alignment_test
from longdance.motion.filters import low_pass
from longdance.motion.motion import Motion

sys.path.append(str(Path(__file__).parent.parent))  # where tools lie
from tools.soundtracks.composer import compose

FPS = 30.0
SHIFTS = 1000
"""Of the beats, in the test of chance."""


def danced(library: Library, song: Song, genre: str, seed: int, *, movement: str | None = None) -> Laid:
    """A dance by plan, as recorded but for the joins."""
    bars = bars_of(song)
    words = Words(genre, (movement,) if movement else (), None)
    known = candidates_of(library, frozenset({genre}))
    planner = Planner(known, bars, [Wanted(genre, words)] * len(bars), tempo_bpm=song.tempo_bpm, seed=seed)
    return lay(planner.plan(), library, song, frames=song.frames(FPS), fps=FPS)


def recoded(folder: Path, name: str, seconds: float) -> Song:
    """The same piece, 6 dB quieter and through a lossy codec, with its true beats."""
    quiet = song_of(folder, name, seconds, gain=0.5)
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "song.ogg"
        samples = quiet.decode(22050)
        soundfile.write(path, samples, 22050, format="OGG", subtype="VORBIS")
        samples, rate = soundfile.read(path, dtype="float32")
    return Song.from_samples(
        samples, rate, name=name, beat_times=quiet.beat_times, downbeat_times=quiet.downbeat_times
    )


def music(folder: Path, store: Store, seconds: float) -> dict:
    """Beats, exchange, joins and bodies, by genre."""
    library, found = open_library(), {}
    songs = {piece: song_of(folder, piece, seconds) for piece in PIECES}
    again = recoded(folder, PIECES[0], seconds)
    takes = real_dances(store, "train")
    for genre in GENRES:
        laid = {(piece, seed): danced(library, song, genre, seed) for piece, song in songs.items() for seed in SEEDS}
        dances = {key: each.motion.joints() for key, each in laid.items()}
        beats = {piece: song.beat_times for piece, song in songs.items()}
        apart = {piece: pose_distance(dances[piece, 0], dances[piece, 1]) for piece in PIECES}
        by_seed = float(np.mean(list(apart.values())))
        copy = danced(library, again, genre, SEEDS[0]).motion.joints()
        p_values = {
            piece: [beat_p(dances[piece, seed], beats[piece], seed) for seed in SEEDS] for piece in PIECES
        }
        real = [motion.joints()[: round(seconds * FPS)] for own, motion in takes.values() if own == genre]
        joins = [join_measures(dances[key], FPS, [(j.begin, j.end) for j in each.joins]) for key, each in laid.items()]
        joins = [each for each in joins if each.joins]
        counts = [each.joins for each in joins]
        own = Candidates.of(library, (genre,))
        found[genre] = {
            "phrases": len(own.phrases) // 2,
            "exchange": exchange(dances),
            "exchange_in_beats": exchange_in_beats(dances, beats, FPS),
            "quieter_recoded_copy": pose_distance(copy, dances[PIECES[0], SEEDS[0]]) / by_seed,
            "seeds_apart_m": by_seed,
            "real_takes_apart_m": float(np.mean([pose_distance(a, b) for a, b in combinations(real, 2)])),
            "p_values": p_values,
            "songs_below_0.01": sum(values[0] < 0.01 for values in p_values.values()),
            "joins": {
                "count": sum(counts),
                "acceleration_over_p99": float(np.average([each.acceleration for each in joins], weights=counts)),
                "within_p99": float(np.average([each.within for each in joins], weights=counts)),
                "sliding_in_joins": float(np.nanmean([e.sliding_in_joins for e in joins])),
                "sliding_elsewhere": float(np.nanmean([e.sliding_elsewhere for e in joins])),
            },
            "recorded_share": float(np.mean([recorded_share(dances[p, 0], FPS, library) for p in PIECES[:1]])),
            "dances": mean([physical(joints, FPS) for joints in dances.values()]),
            "takes": mean([physical(joints, FPS) for joints in real]),
        }
        print(genre, json.dumps(found[genre]), flush=True)
    return found


def others(folder: Path, seconds: float) -> dict:
    """Beats of the pieces in the folder that are not among the ten, by genre: nothing was tuned on them."""
    library, found = open_library(), {}
    pieces = sorted({path.stem for path in folder.glob("*.ogg")} - set(PIECES))
    songs = {piece: song_of(folder, piece, seconds) for piece in pieces}
    for genre in GENRES:
        p_values = {
            piece: [beat_p(danced(library, song, genre, seed).motion.joints(), song.beat_times, seed) for seed in SEEDS]
            for piece, song in songs.items()
        }
        below = {limit: sum(values[0] < limit for values in p_values.values()) for limit in (0.01, 0.05)}
        found[genre] = {"songs": len(songs), "p_values": p_values}
        found[genre] |= {f"songs_below_{limit:g}": count for limit, count in below.items()}
        print(genre, json.dumps(found[genre]), flush=True)
    return found


def beat_p(joints: np.ndarray, beats: np.ndarray, seed: int) -> float:
    """Share of shifted beats that the dance meets as well."""
    moved = low_pass(joints, FPS, cutoff=MOVEMENT_CUTOFF)
    return round(beat_alignment_test(moved, beats, FPS, shifts=SHIFTS, seed=seed).p_value, 4)


def halves(library: Library) -> Iterator[tuple[Library, set[str]]]:
    """The library without one half of its takes, and the clips of that half, which may judge; both ways round.

    Takes of a genre go to either half in turn; a couple's two takes of one dance go together.
    """
    clips: dict[str, list[str]] = {}
    for take in library.takes:
        clips.setdefault(take.genre, []).append(take.clip)
    first: set[str] = set()
    for names in clips.values():
        dances = sorted({name.replace("61_", "60_") for name in names})
        chosen = set(dances[::2])
        first |= {name for name in names if name.replace("61_", "60_") in chosen}
    every = {name for names in clips.values() for name in names}
    for judging in (first, every - first):
        yield library.without(judging), judging


def words(folder: Path, store: Store, seconds: float) -> dict:
    """Genre accuracy and R-precision of plans and of real dances that the judges have not seen, each way round.

    Real are the held-out clips, and the takes of the half that plans are made of, which for these judges are held out
    as well. Genres and movements count equally, however many dances show them.
    """
    shipped, rows = open_library(), []
    train, held_out = real_dances(store, "train"), real_dances(store, "test") | real_dances(store, "val")
    movements = {take.clip: take.movements for take in store.takes}
    songs = [song_of(folder, piece, seconds) for piece in PIECES[:4]]
    for library, judging in halves(shipped):
        seen = {clip: pair for clip, pair in train.items() if clip in judging}
        others = {take.clip: train[take.clip] for take in shipped.takes if take.clip not in judging}
        classifier = GenreClassifier.fit(*zip(*windows_by_genre(seen), strict=True), FPS)
        genres = sorted(set(library.genres) & set(classifier.genres))
        named = {"real, held out": held_out, "real, of the plan's half": others}
        dances = {
            title: [(genre, motion.joints()) for genre, motion in clips.values() if genre in genres]
            for title, clips in named.items()
        }
        dances["plan"] = [
            (genre, danced(library, song, genre, seed).motion.joints())
            for genre in genres for song in songs for seed in SEEDS
        ]  # fmt: skip
        accuracy = {
            title: by_kind([(genre, float(genre == likeliest(classifier, joints))) for genre, joints in each])
            for title, each in dances.items()
        }
        labelled = shown_in(seen, movements)
        names = sorted({key for key, _ in labelled})
        texts = {key: resolve_prompt(key[0], (key[1],), include_hidden=True).embeddings[-1] for key in names}
        evaluator = RetrievalEvaluator.fit(
            [window for _, window in labelled], np.stack([texts[key] for key, _ in labelled]),
            [str(key) for key, _ in labelled], FPS,
        )  # fmt: skip
        every = evaluator.embed_text(np.stack([texts[key] for key in names]))
        both = {key for key, _ in shown_in(others, movements)} & set(names)
        examples = {title: shown_in(clips, movements) for title, clips in named.items()}
        examples["plan"] = [
            (key, window)
            for key in sorted(both) for song in songs[:2]
            for window in judged(danced(library, song, key[0], 0, movement=key[1]).motion.joints())
        ]  # fmt: skip
        precision = {
            title: by_kind([(key, found(evaluator, every, names, key, window)) for key, window in pairs if key in both])
            for title, pairs in examples.items()
        }
        rows.append({
            "judging_takes": len(judging), "genres": genres, "movements": len(names), "pool": min(32, len(names)),
            "asked_movements": sorted(" ".join(key) for key in both),
            "genre_accuracy": accuracy, "r_precision_top3": precision,
        })  # fmt: skip
        print(json.dumps(rows[-1]), flush=True)
    return {"halves": rows}


def windows_by_genre(clips: dict) -> list[tuple[np.ndarray, str]]:
    """Every window of some dances with its genre."""
    return [(window, genre) for genre, motion in clips.values() for window in judged(motion.joints())]


def shown_in(clips: dict, movements: dict) -> list[tuple[tuple[str, str], np.ndarray]]:
    """((genre, movement), window) for every window of some dances and every movement of its label."""
    return [
        ((genre, name), window)
        for clip, (genre, motion) in clips.items() for name in movements[clip] for window in judged(motion.joints())
    ]  # fmt: skip


def found(
    evaluator: RetrievalEvaluator, every: np.ndarray, names: list, key: tuple[str, str], window: np.ndarray
) -> float:
    """Whether the text asked for is among the three nearest of 32, on average over which others there are."""
    motion, own = evaluator.embed_motion([window], FPS), np.array([names.index(key)])
    return float(np.mean([r_precision(motion, every, own, pool=32, rng=np.random.default_rng(k)) for k in range(3)]))


def by_kind(values: list[tuple[object, float]]) -> dict:
    """The mean over kinds of what each scores, its standard error over them, and the scores."""
    kinds: dict[str, list[float]] = {}
    for kind, value in values:
        kinds.setdefault(" ".join(kind) if isinstance(kind, tuple) else str(kind), []).append(value)
    scores = {kind: float(np.mean(own)) for kind, own in sorted(kinds.items())}
    spread = float(np.std(list(scores.values())) / np.sqrt(max(len(scores), 1))) if scores else float("nan")
    average = float(np.mean(list(scores.values()))) if scores else float("nan")
    return {"mean": average, "standard_error": spread, "count": len(values), "kinds": scores}


def judged(joints: np.ndarray) -> list[np.ndarray]:
    """Windows that judges see."""
    return windows_of(joints, FPS, seconds=JUDGED_SECONDS, hop=JUDGED_SECONDS / 2)


def likeliest(classifier: GenreClassifier, joints: np.ndarray) -> str:
    """The genre that a dance is taken for."""
    found = classifier.predict_dance(joints, FPS, seconds=JUDGED_SECONDS)
    return max(found, key=lambda genre: found[genre])


def form() -> dict:
    """Chorus against chorus and chorus against verse, in songs composed as verse, chorus, verse, chorus."""
    library, rows = open_library(), []
    for number, (style, bpm) in enumerate((("commercial", 112.0), ("salsa", 96.0), ("freestyle", 124.0))):
        bars = 12
        length = 4 * bars * 60 / bpm
        beats = np.arange(4 * bars) * 60 / bpm
        verse, chorus = (
            compose(beats, seconds=length, style=kind, seed=seed)
            for kind, seed in ((style, 10 + number), ("modern" if style == "salsa" else "salsa", 20 + number))
        )
        samples = np.concatenate((verse, chorus, verse, chorus))
        times = np.arange(16 * bars) * 60 / bpm
        song = Song.from_samples(samples, 22050, name=style, beat_times=times, downbeat_times=times[::4])
        for genre in ("commercial", "freestyle"):
            laid = danced(library, song, genre, 0)
            joints = laid.motion.joints()
            size = round(length * FPS)
            parts = [joints[round(k * length * FPS) :][: size - 1] for k in range(4)]
            alike = lambda a, b: min(pose_distance(a, b, turned=True), pose_distance(a, flipped(b), turned=True))  # noqa: E731
            rows.append({
                "music": style, "genre": genre, "letters": "".join(bar.letter for bar in bars_of(song)),
                "chorus_chorus_m": alike(parts[1], parts[3]), "verse_verse_m": alike(parts[0], parts[2]),
                "chorus_verse_m": float(np.mean([alike(parts[a], parts[b]) for a in (1, 3) for b in (0, 2)])),
            })  # fmt: skip
            print(json.dumps(rows[-1]), flush=True)
    return {"songs": rows}


def flipped(joints: np.ndarray) -> np.ndarray:
    """The mirror image of joints."""
    from longdance.motion.skeleton import SMPL24

    return joints[:, SMPL24.mirror_index] * np.array([-1.0, 1.0, 1.0])


def foreign(store: Store, folder: Path) -> dict:
    """Five held-out clips as a user's own: a library of them, choreographed to three minutes of music."""
    kinds = ("commercial", "freestyle", "broadway")
    clips = [clip for clip in store.select("test", original=True) if clip.genre in kinds][:5]
    with tempfile.TemporaryDirectory() as temporary:
        os.environ[FOLDER_VARIABLE] = str(Path(temporary) / "libraries")
        sources = []
        for take in clips:
            path = Path(temporary) / f"{take.clip}.bvh"
            store.layout.decode(store.motion_of(take), store.fps).save(path)
            sources.append(Source(path, take.clip, ""))
        clock, used = time.perf_counter(), time.process_time()
        made = add_library("foreign", sources)
        took = {"library_wall_s": time.perf_counter() - clock, "library_cpu_s": time.process_time() - used}
        model = longdance.load("edmg")
        songs = sorted(folder.glob("*.ogg"), key=lambda path: -path.stat().st_size)
        clock, used = time.perf_counter(), time.process_time()
        dance = model.generate(songs[0], seconds=180, phrases=1.0, library="foreign")
        took |= {"dance_wall_s": time.perf_counter() - clock, "dance_cpu_s": time.process_time() - used}
        return {
            "clips": [take.clip for take in clips], "phrases": len(made.library.phrases), "failed": made.failed,
            "dance_seconds": dance.seconds, **took,
            "recorded_share": recorded_share(dance.joints()[:900], FPS, made.library),
        }  # fmt: skip


def streams(folder: Path) -> dict:
    """Dances given out while the song is heard, beside those of the same songs heard whole; one thread, seconds."""
    model, library, rows = longdance.load("edmg"), open_library(), []
    for path in sorted(folder.glob("*.ogg")):
        for genre in GENRES:
            asked = {"genre": genre, "phrases": 1.0}
            clock, pieces, first = time.process_time(), [], 0.0
            for piece in model.stream(path, **asked):
                first = first or time.process_time() - clock
                pieces.append(piece)
            took = {"first_piece_cpu_s": first, "cpu_s": time.process_time() - clock}
            clock = time.process_time()
            dances = {"stream": Motion.joined(pieces), "whole": model.generate(path, **asked)}
            took["whole_cpu_s"] = time.process_time() - clock
            row = {"song": path.stem, "genre": genre, "first_piece_s": pieces[0].seconds, "pieces": len(pieces)} | took
            for name, dance in dances.items():
                song = told(dance)
                plan = Plan.of_record(dance.meta["plan"])
                laid = lay(plan, library, song, frames=dance.frames, fps=FPS)
                joins = join_measures(dance.joints(), FPS, [(join.begin, join.end) for join in laid.joins])
                row[name] = {
                    "p": beat_p(dance.joints(), song.beat_times, 0), "joins": joins.joins, "air": joins.air_share,
                    "acceleration_over_p99": joins.acceleration, "within_p99": joins.within,
                    "sliding_in_joins": joins.sliding_in_joins, "sliding_elsewhere": joins.sliding_elsewhere,
                }  # fmt: skip
            rows.append(row)
            print(json.dumps(row), flush=True)
    return {"dances": rows}


class Told(NamedTuple):
    """The beats that a dance's record tells."""

    beat_times: np.ndarray
    tempo_bpm: float


def told(dance: Motion) -> Told:
    """Those of a dance."""
    return Told(np.array(dance.meta["beat_times"]), dance.meta["tempo_bpm"])


def main() -> None:
    """Dance, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--songs", type=Path, required=True)
    parser.add_argument("--whole-songs", type=Path, help="Folder of songs for streams.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--parts", default="music,words,form,foreign")
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    store = Store.open(given.data)
    report = json.loads(given.output.read_text()) if given.output.is_file() else {}
    parts = {
        "music": lambda: music(given.songs, store, given.seconds),
        "others": lambda: others(given.songs, given.seconds),
        "words": lambda: words(given.songs, store, given.seconds),
        "form": form,
        "foreign": lambda: foreign(store, given.songs),
        "streams": lambda: streams(given.whole_songs),
    }
    for name in given.parts.split(","):
        report[name] = parts[name]()
        write_report(given.output, report)


if __name__ == "__main__":
    main()
