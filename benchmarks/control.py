"""Do words steer the dance? Genres by a classifier, movements by retrieval; both fitted on real training clips alone.

    python benchmarks/control.py --model edmg --data STORE --songs FOLDER -o benchmarks/results/control.json

For every trained genre: dances to every song and seed, the confusion table of what the classifier names them. For every
trained movement with enough footage: dances that ask for it, and R-precision among 32 movement descriptions. The same
measures of real held-out clips stand beside, as what the instruments can reach.
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
from common import genre_classifier, real_dances, songs_in, write_report

from longdance.choreography.edmg import EDMG
from longdance.choreography.pretrained import load
from longdance.data.store import Store
from longdance.features.song import Song
from longdance.features.text import resolve_prompt
from longdance.metrics.genre import GenreClassifier, windows_of
from longdance.metrics.retrieval import RetrievalEvaluator, multimodal_distance, r_precision
from longdance.motion.motion import Motion

WINDOW = 4.0
"""Seconds of the windows that both instruments see."""


def genre_table(model: EDMG, songs: list[Song], classifier: GenreClassifier, *, seeds: int) -> dict:
    """Confusion of prompted (rows) and named genres, and the accuracy with its standard error."""
    confusion: dict[str, Counter] = {}
    for genre in model.checkpoint.config.genres:
        row = confusion[genre] = Counter()
        for song in songs:
            for seed in range(seeds):
                row[named(classifier, model.generate(song, genre=genre, seed=seed))] += 1
        print(genre, dict(row), flush=True)
    return accuracy_of(confusion)


def named(classifier: GenreClassifier, dance: Motion) -> str:
    """The likeliest genre of a dance."""
    likely = classifier.predict_dance(dance.joints(), dance.fps, seconds=WINDOW)
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


def movement_windows(store: Store, split: str) -> list[tuple[tuple[str, str], np.ndarray]]:
    """((genre, movement), window of joints) of every real dance of a split, once per movement of its label."""
    pairs = []
    for take in store.select(split, original=True):
        if take.genre != "none":
            motion = store.layout.decode(store.motion_of(take), store.fps)
            for window in windows_of(motion.joints(), motion.fps, seconds=WINDOW):
                pairs += [((take.genre, movement), window) for movement in take.movements]
    return pairs


def retrieval(model: EDMG, store: Store, songs: list[Song], *, pool: int) -> dict:
    """R-precision (top 3) and multimodal distance of generated dances and of real held-out clips."""
    encoder = model.checkpoint.config.text_encoder
    embed = lambda name: resolve_prompt(*_asked(name), encoder_name=encoder).embeddings[-1]  # noqa: E731
    train = movement_windows(store, "train")
    texts = {name: embed(name) for name, _ in train}
    evaluator = RetrievalEvaluator.fit(
        [window for _, window in train], np.stack([texts[n] for n, _ in train]), [str(n) for n, _ in train], store.fps
    )
    held_out = [(n, w) for split in ("val", "test") for n, w in movement_windows(store, split) if n in texts]
    generated = []
    for name in texts:
        for song in songs:
            dance = model.generate(song, genre=name[0], movement=name[1])
            generated += [(name, w) for w in windows_of(dance.joints(), dance.fps, seconds=WINDOW)]
    found = {"movements": len(texts), "pool": min(pool, len(texts)), "chance": 3 / min(pool, len(texts))}
    names, every = list(texts), evaluator.embed_text(np.stack(list(texts.values())))
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
    classifier = genre_classifier(real_dances(store, "train"))
    songs = [Song.load(path, start=20, seconds=arguments.seconds) for path in songs_in(arguments.songs)]
    real: dict[str, Counter] = {}
    for split in ("val", "test"):
        for genre, motion in real_dances(store, split).values():
            real.setdefault(genre, Counter())[named(classifier, motion)] += 1
    report = {
        "model": model.checkpoint.config.recipe,
        "trained_steps": model.checkpoint.config.trained_steps,
        "genres_of_real_held_out_clips": accuracy_of(real),
        "genres": genre_table(model, songs, classifier, seeds=arguments.genre_seeds),
    }
    if arguments.movement_songs:
        report["movements"] = retrieval(model, store, songs[: arguments.movement_songs], pool=32)
    write_report(arguments.out, report)


def _asked(name: tuple[str, str]) -> tuple[str, tuple[str, ...]]:
    return name[0], (name[1],)


if __name__ == "__main__":
    main()
