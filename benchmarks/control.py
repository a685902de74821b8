"""Do words steer the dance? Genres by a classifier, movements by retrieval; both fitted on real training clips alone.

    python benchmarks/control.py --model edmg --data STORE --songs FOLDER -o benchmarks/results/control.json

For every trained genre: dances before cleanup to every song and seed, the confusion table of what the classifier names
them. For every trained movement with enough footage: dances that ask for it, and R-precision among 32 movement
descriptions. The same measures of real held-out clips stand beside, as what the instruments can reach.
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
from common import songs_in, write_report

from longdance.choreography.dancer import Dancer
from longdance.choreography.pretrained import load
from longdance.data.store import Store
from longdance.errors import InputError
from longdance.evaluate.dances import Dance, of_motion
from longdance.evaluate.measure import JUDGED_SECONDS, Judges, judged_windows
from longdance.evaluate.songs import real_dances
from longdance.features.song import Song
from longdance.metrics.genre import GenreClassifier
from longdance.metrics.retrieval import multimodal_distance, r_precision


def genre_table(model: Dancer, songs: list[Song], classifier: GenreClassifier, *, seeds: int) -> dict:
    """Confusion of prompted (rows) and named genres, and the accuracy with its standard error."""
    confusion: dict[str, Counter] = {}
    for genre in model.checkpoint.config.genres:
        row = confusion[genre] = Counter()
        for song in songs:
            for seed in range(seeds):
                dance = model.generate(song, genre=genre, seed=seed, cleanup=False)
                row[named(classifier, of_motion(dance, name=genre))] += 1
        print(genre, dict(row), flush=True)
    return accuracy_of(confusion)


def named(classifier: GenreClassifier, dance: Dance) -> str:
    """The likeliest genre of a dance."""
    likely = classifier.predict_dance(dance.joints, dance.fps, seconds=JUDGED_SECONDS)
    return max(likely, key=lambda genre: likely[genre])


def accuracy_of(confusion: dict[str, Counter]) -> dict:
    """The table with its accuracy: over all dances, and the mean over genres."""
    total = sum(sum(row.values()) for row in confusion.values())
    right = sum(row[genre] for genre, row in confusion.items())
    share = right / total
    return {
        "dances": total,
        "accuracy": share,
        "standard_error": float(np.sqrt(share * (1 - share) / total)),
        "mean_over_genres": float(np.mean([row[g] / sum(row.values()) for g, row in confusion.items()])),
        "chance": 1 / len(confusion),
        "confusion": {genre: dict(row) for genre, row in confusion.items()},
    }


def movement_windows(store: Store, split: str) -> list[tuple[tuple[str | None, str], np.ndarray]]:
    """((genre, movement), window of joints) of every real dance of a split, once per movement of its label."""
    return [
        ((dance.genre, movement), window)
        for dance in real_dances(store, split)
        for window in judged_windows(dance)
        for movement in dance.movements
    ]


def retrieval(model: Dancer, judges: Judges, songs: list[Song], *, pool: int) -> dict:
    """R-precision (top 3) and multimodal distance of generated dances and of real held-out clips."""
    if judges.retrieval is None:
        raise InputError(f"{judges.store.folder}: expected at least two movements in the training dances")
    (evaluator, every), names, store = judges.retrieval, list(judges.texts), judges.store
    held_out = [(n, w) for split in ("val", "test") for n, w in movement_windows(store, split) if n in judges.texts]
    generated = []
    for name in names:
        for song in songs:
            dance = model.generate(song, genre=name[0], movement=name[1], cleanup=False)
            dance = of_motion(dance, name=str(name))
            generated += [(name, window) for window in judged_windows(dance)]
    found = {"movements": len(names), "pool": min(pool, len(names)), "chance": 3 / min(pool, len(names))}
    train = movement_windows(store, "train")
    for title, pairs in (("real_train", train), ("real_held_out", held_out), ("generated", generated)):
        motion = evaluator.embed_motion([window for _, window in pairs], store.fps)
        own = np.array([names.index(name) for name, _ in pairs])
        found[title] = {
            "windows": len(pairs),
            "r_precision_top3": r_precision(motion, every, own, pool=pool, rng=np.random.default_rng(0)),
            "multimodal_distance": multimodal_distance(every[own], motion),
        }
        print(title, found[title], flush=True)
    return found


def main() -> None:
    """Run everything and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="edmg")
    parser.add_argument("--data", required=True)
    parser.add_argument("--songs", required=True, type=Path)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--genre-seeds", type=int, default=5, help="dances per song and genre")
    parser.add_argument("--movement-songs", type=int, default=1, help="songs, and so dances, per movement; 0 for none")
    parser.add_argument("-o", "--out", required=True, type=Path)
    arguments = parser.parse_args()

    model, store = load(arguments.model), Store.open(arguments.data)
    judges = Judges(store)
    if judges.classifier is None:
        raise InputError(f"{store.folder}: expected at least two genres in the training dances")
    songs = [Song.load(path, start=20, seconds=arguments.seconds) for path in songs_in(arguments.songs)]
    real: dict[str, Counter] = {}
    for split in ("val", "test"):
        for dance in real_dances(store, split):
            real.setdefault(str(dance.genre), Counter())[named(judges.classifier, dance)] += 1
    report = {
        "model": model.checkpoint.config.recipe,
        "trained_steps": model.checkpoint.config.trained_steps,
        "genres_of_real_held_out_clips": accuracy_of(real),
        "genres": genre_table(model, songs, judges.classifier, seeds=arguments.genre_seeds),
    }
    if arguments.movement_songs:
        report["movements"] = retrieval(model, judges, songs[: arguments.movement_songs], pool=32)
    write_report(arguments.out, report)


if __name__ == "__main__":
    main()
