"""Draws what a score asked for and, above it, what genre a classifier sees, second by second.

    python tools/plot_score.py DANCE.npz --data STORE -o timeline.png

The dance is one that `longdance generate --score` made (its npz keeps the timeline). The classifier is fitted on real
training clips of the prepared store, as in `benchmarks/dances.py`, which takes about a minute; `--classifier FILE`
keeps it for the next picture. Beside the picture a JSON file holds the readings and their agreement with the score.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from longdance.data.store import Store
from longdance.files import atomic_write
from longdance.metrics.genre import GenreClassifier, windows_of
from longdance.motion.motion import Motion

WINDOW = 4.0
"""Seconds of dance around each second that the classifier sees."""
MARGIN_SECONDS = 2.0
"""Readings nearer to a change than this see both sides and are left out of the agreement."""
COLOURS = (
    "#4e79a7", "#f28e2b", "#e15759", "#76b7b2", "#59a14f", "#edc948", "#b07aa1", "#ff9da7", "#9c755f", "#bab0ac",
)  # fmt: skip
INK, PAPER, QUIET = "#222222", "#ffffff", "#dddddd"


def fitted(store: Store) -> GenreClassifier:
    """The classifier of the training dances' genres."""
    windows, labels = [], []
    for take in store.select("train", original=True):
        if take.genre == "none":
            continue
        motion = store.layout.decode(store.motion_of(take), store.fps)
        for window in windows_of(motion.joints(), motion.fps, seconds=WINDOW):
            windows.append(window)
            labels.append(take.genre)
    return GenreClassifier.fit(windows, labels, store.fps)


def kept(path: Path) -> GenreClassifier:
    """A classifier that `keep` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        return GenreClassifier(
            genres=tuple(stored["genres"].tolist()),
            centre=stored["centre"],
            spread=stored["spread"],
            weights=stored["weights"],
        )


def keep(classifier: GenreClassifier, path: Path) -> None:
    """Write a classifier to an npz file."""
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        np.savez(
            file,
            genres=np.array(classifier.genres),
            centre=classifier.centre,
            spread=classifier.spread,
            weights=classifier.weights,
        )


def readings(dance: Motion, classifier: GenreClassifier) -> np.ndarray:
    """(seconds, genres) probabilities from the window around the middle of each second."""
    joints, half = dance.joints(), WINDOW / 2
    seconds = int(dance.seconds)
    centres = np.clip(np.arange(seconds) + 0.5, half, max(half, dance.seconds - half))
    windows = [joints[max(0, round((c - half) * dance.fps)) : round((c + half) * dance.fps)] for c in centres]
    return classifier.predict_proba(windows, dance.fps)


def agreement(timeline: list[dict], probabilities: np.ndarray, genres: tuple[str, ...]) -> dict:
    """How often the likeliest genre is the one asked for, per entry and over all, away from changes."""
    rows = []
    for part in timeline:
        if part["genre"] not in genres:
            continue
        begin, end = part["from"] + MARGIN_SECONDS * (part["from"] > 0), part["to"] - MARGIN_SECONDS
        chosen = [s for s in range(len(probabilities)) if begin <= s + 0.5 <= end]
        if chosen:
            likely = probabilities[chosen].argmax(1)
            wanted = genres.index(part["genre"])
            rows.append(
                {
                    "from": part["from"],
                    "to": part["to"],
                    "genre": part["genre"],
                    "seconds": len(chosen),
                    "right": int((likely == wanted).sum()),
                    "mean_probability": round(float(probabilities[chosen, wanted].mean()), 3),
                    "likeliest_over_all": genres[int(probabilities[chosen].mean(0).argmax())],
                }
            )
    total = sum(row["seconds"] for row in rows)
    right = sum(row["right"] for row in rows)
    return {"entries": rows, "share_of_seconds_right": round(right / max(total, 1), 3), "chance": 1 / len(genres)}


def draw(timeline: list[dict], probabilities: np.ndarray, genres: tuple[str, ...], title: str) -> Image.Image:
    """Readings as stacked bars, the likeliest genre as a strip, the score below, on one time axis."""
    seconds = max(len(probabilities), 1)
    step = max(4, min(24, 1400 // seconds))
    left, top, tall, strip, written = 130, 50, 260, 34, 52
    width, height = left + seconds * step + 30, top + tall + strip + written + 130
    image = Image.new("RGB", (width, height), PAPER)
    pen, font, small = ImageDraw.Draw(image), ImageFont.load_default(16), ImageFont.load_default(13)
    colours = {genre: COLOURS[i % len(COLOURS)] for i, genre in enumerate(genres)}
    pen.text((left, 14), title, fill=INK, font=font)
    for second, row in enumerate(probabilities):
        x, y = left + second * step, float(top)
        for genre, share in zip(genres, row, strict=True):
            pen.rectangle((x, y, x + step - 1, y + share * tall), fill=colours[genre])
            y += share * tall
        y = top + tall + 6
        pen.rectangle((x, y, x + step - 1, y + strip - 8), fill=colours[genres[int(row.argmax())]])
    below = top + tall + strip
    for part in timeline:
        x, end = left + part["from"] * step, left + min(part["to"], seconds) * step
        pen.rectangle((x, below, end - 1, below + written), fill=colours.get(part["genre"], QUIET), outline=PAPER)
        movements = ", ".join(part["movements"]) or part["prompt"] or ""
        for line, text in enumerate((part["genre"] or "music alone", movements)):
            while text and pen.textlength(text, font=small) > end - x - 8:
                text = text[:-1]
            pen.text((x + 5, below + 7 + 20 * line), text, fill=INK, font=small)
        pen.line((x, top, x, below + written), fill=INK)
    for second in range(0, seconds + 1, 10):
        x = left + second * step
        pen.line((x, below + written, x, below + written + 5), fill=INK)
        pen.text((x - 8, below + written + 8), f"{second}", fill=INK, font=small)
    for y, text in ((top + tall / 2, "classifier"), (top + tall + 8, "likeliest"), (below + 16, "written")):
        pen.text((12, y), text, fill=INK, font=font)
    x, y = left, below + written + 40
    for genre in genres:
        pen.rectangle((x, y, x + 14, y + 14), fill=colours[genre])
        pen.text((x + 19, y - 1), genre, fill=INK, font=small)
        x += 34 + int(pen.textlength(genre, font=small))
    return image


def main() -> None:
    """One dance to one picture and one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("dance", type=Path)
    parser.add_argument("--data", type=Path, help="prepared store of the open data, to fit the classifier on")
    parser.add_argument("--classifier", type=Path, help="npz that keeps the fitted classifier")
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    dance = Motion.load(arguments.dance)
    if "timeline" not in dance.meta:
        parser.error(f"{arguments.dance} was not made with a score")
    if arguments.classifier is not None and arguments.classifier.is_file():
        classifier = kept(arguments.classifier)
    elif arguments.data is not None:
        classifier = fitted(Store.open(arguments.data))
        if arguments.classifier is not None:
            keep(classifier, arguments.classifier)
    else:
        parser.error("expected --data, or --classifier with a file that is there")
    probabilities = readings(dance, classifier)
    timeline, genres = dance.meta["timeline"], classifier.genres
    title = f"{dance.meta.get('song', '')} - {dance.meta.get('score', '')} - {dance.meta.get('model', '')}"
    with atomic_write(arguments.out) as temporary:
        draw(timeline, probabilities, genres, title).save(temporary)
    found = agreement(timeline, probabilities, genres)
    report = {**found, "genres": genres, "timeline": timeline, "per_second": probabilities.round(4).tolist()}
    with atomic_write(arguments.out.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(report, indent=1))
    for row in found["entries"]:
        print(json.dumps(row))
    print(f"right in {found['share_of_seconds_right']:.0%} of the seconds, by chance {found['chance']:.0%}")


if __name__ == "__main__":
    main()
