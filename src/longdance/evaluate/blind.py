"""A user study as in the papers: a page that plays pairs of dances without names, and the count of the answers.

The page holds everything and sends nothing: answers are saved as a file by the person who gave them. Which system is
on which side stands in a key beside the page, not in it.
"""

import base64
import hashlib
import html
import io
import json
import math
import string
from collections.abc import Sequence
from importlib.resources import files
from itertools import combinations
from pathlib import Path

import numpy as np

from longdance.errors import InputError
from longdance.evaluate.dances import dances_in
from longdance.evaluate.intervals import over_seeds
from longdance.export.sound import SOUND_RATE, find_song, song_stretch
from longdance.features.audio import mix_down
from longdance.files import atomic_write
from longdance.motion.motion import Motion
from longdance.progress import Progress

QUESTIONS = {
    "wins": "Which dance is better?",
    "genre": "Which one fits the genre of the music better?",
    "rhythm": "Which one fits the rhythm better?",
    "diversity": "Which one is more varied?",
}
"""Which of two is preferred. Source: the user study of Lodge (wins); the other three after EDMG's aspects."""
CHOICES = ("left", "right", "same")
ASPECTS = {
    "genre_mark": "How well does it fit the genre of the music?",
    "rhythm_mark": "How well does it fit the rhythm?",
    "diversity_mark": "How varied is it?",
}
"""What each dance gets a mark for. Source: EDMG, table 6 (genre matching, rhythm matching, diversity)."""
MARKS = range(1, 11)
FPS = 30.0


def write_page(
    folders: Sequence[Path],
    out: Path,
    *,
    song: Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Path:
    """A page of all pairs of systems on every dance that both have, shuffled by ``seed``; the key beside it.

    A system is a folder of dances (.npz, .bvh), the same song under the same file name in every one, or a single
    dance. ``song`` is heard with all of them; if it is not given, the dance's own where it lies beside it.
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{out}: expected a name ending in .html")
    systems = _systems(folders)
    pairs = [
        (name, one, other)
        for one, other in combinations(systems, 2)
        for name in sorted(systems[one].keys() & systems[other].keys())
    ]
    if not pairs:
        raise InputError("expected two systems with dances of the same names, found no pair")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(pairs))
    swapped = rng.random(len(pairs)) < 0.5
    shown, key = [], []
    sounds: dict[str, str] = {}
    for number, index in enumerate(order):
        name, one, other = pairs[index]
        sides = (other, one) if swapped[index] else (one, other)
        if progress is not None:
            progress(number, len(pairs), "pairs")
        motions = [Motion.load(systems[side][name]) for side in sides]
        seconds = min(motion.seconds for motion in motions)
        heard = song or find_song(motions[0], [systems[side][name].parent for side in sides])
        label = f"{heard} {motions[0].meta.get('start', 0)} {seconds:.2f}"
        if heard is not None and label not in sounds:
            sounds[label] = _mp3(song_stretch(motions[0], heard)[: round(seconds * SOUND_RATE)])
        shown.append({"dances": [_packed(m, seconds) for m in motions], "sound": _place(sounds, label)})
        key.append({"name": name, "left": sides[0], "right": sides[1]})
    study = hashlib.sha256(json.dumps([key, seed]).encode()).hexdigest()[:12]
    skeleton = Motion.load(next(iter(next(iter(systems.values())).values()))).skeleton
    facts = {
        "study": study, "fps": FPS, "pairs": shown, "sounds": list(sounds.values()), "questions": QUESTIONS,
        "aspects": ASPECTS, "marks": list(MARKS),
        "parents": list(skeleton.parents),
    }  # fmt: skip
    template = string.Template((files("longdance.evaluate") / "blind.html").read_text(encoding="utf-8"))
    with atomic_write(out) as temporary:
        page = template.substitute(title=html.escape(out.stem), facts=json.dumps(facts).replace("<", "\\u003c"))
        temporary.write_text(page, encoding="utf-8")
    beside = out.with_suffix(".key.json")
    with atomic_write(beside) as temporary:
        temporary.write_text(json.dumps({"study": study, "seed": seed, "pairs": key}, indent=1) + "\n")
    if progress is not None:
        progress(len(pairs), len(pairs), "pairs")
    return beside


def write_tally(paths: Sequence[Path], out: Path) -> str:
    """Count the answers (files that pages saved) by the key of their study; the table, which is written as well.

    ``InputError`` where the key is missing, or a file is none or of another study.
    """
    records = {path: _record(path) for path in paths}
    keys = [record for record in records.values() if "pairs" in record]
    answers = {path: record for path, record in records.items() if "answers" in record}
    if len(keys) != 1 or not answers:
        raise InputError("expected one key (.key.json, beside the page) and at least one file of answers")
    key = keys[0]
    wins: dict[tuple[str, str], dict[str, list[float]]] = {}
    marks: dict[str, dict[str, list[int]]] = {}
    for path, record in answers.items():
        if record.get("study") != key["study"]:
            raise InputError(f"{path}: expected answers to the study {key['study']}, got {record.get('study')}")
        for answer in record["answers"]:
            number, question, choice = (answer.get(name) for name in ("pair", "question", "choice"))
            if not isinstance(number, int) or not 0 <= number < len(key["pairs"]):
                raise InputError(f"{path}: expected an answer about a pair of the study, got {answer}")
            pair = key["pairs"][number]
            aspect, _, side = str(question).partition(" ")
            if aspect in ASPECTS and side in ("left", "right") and choice in MARKS:
                marks.setdefault(pair[side], {}).setdefault(aspect, []).append(choice)
            elif question in QUESTIONS and choice in CHOICES:
                left = {"left": 1.0, "right": 0.0, "same": 0.5}[choice]
                for own, other, won in ((pair["left"], pair["right"], left), (pair["right"], pair["left"], 1 - left)):
                    wins.setdefault((own, other), {}).setdefault(question, []).append(won)
            else:
                raise InputError(f"{path}: expected a choice or a mark from 1 to 10 for a question asked, got {answer}")
    table = "\n".join(part for part in (_table(wins, people=len(answers)), _marks(marks)) if part)
    with atomic_write(out) as temporary:
        temporary.write_text(table, encoding="utf-8")
    return table


def wilson(wins: float, count: int, *, quantile: float = 1.96) -> tuple[float, float]:
    """95 per cent interval of a share. Source: Wilson 1927; a tie counts as half of a win."""
    share, square = wins / count, quantile**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    reach = quantile / (1 + square / count) * math.sqrt(share * (1 - share) / count + square / (4 * count**2))
    return middle - reach, middle + reach


def _table(wins: dict[tuple[str, str], dict[str, list[float]]], *, people: int) -> str:
    lines = [
        f"Share of comparisons won, a tie being half; in brackets the 95 % interval (Wilson). People: {people}.",
        "",
        "| system | against | comparisons | " + " | ".join(QUESTIONS) + " |",
        "|---|---|---|" + "---|" * len(QUESTIONS),
    ]
    for system in sorted({own for own, _ in wins}):
        others = sorted(other for own, other in wins if own == system)
        for other in ["all", *others] if len(others) > 1 else others:
            chosen = [wins[system, name] for name in (others if other == "all" else [other])]
            cells = []
            for question in QUESTIONS:
                votes = [vote for part in chosen for vote in part.get(question, [])]
                low, high = wilson(sum(votes), len(votes)) if votes else (math.nan, math.nan)
                cells.append(f"{sum(votes) / len(votes):.1%} ({low:.0%} to {high:.0%})" if votes else "–")
            count = max(sum(len(part.get(question, [])) for part in chosen) for question in QUESTIONS)
            lines.append(f"| {system} | {other} | {count} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _marks(marks: dict[str, dict[str, list[int]]]) -> str:
    """Mean mark of each system, with Student's interval; nothing if none was given."""
    if not marks:
        return ""
    titles = {"genre_mark": "genre matching", "rhythm_mark": "rhythm matching", "diversity_mark": "diversity"}
    lines = [
        "Marks from 1 to 10, as in EDMG's table 6; behind ± half of the 95 % interval over answers.",
        "",
        "| system | marks | " + " | ".join(titles[aspect] for aspect in ASPECTS) + " |",
        "|---|---|" + "---|" * len(ASPECTS),
    ]
    for system, given in sorted(marks.items()):
        cells = []
        for aspect in ASPECTS:
            found = over_seeds(given.get(aspect, []))
            margin = f" ± {found.margin:.2f}" if math.isfinite(found.margin) else ""
            cells.append(f"{found.value:.2f}{margin}" if math.isfinite(found.value) else "–")
        count = max(len(given.get(aspect, [])) for aspect in ASPECTS)
        lines.append(f"| {system} | {count} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _systems(folders: Sequence[Path]) -> dict[str, dict[str, Path]]:
    """System to dance to file; a single file is a system whose only dance pairs with other single files."""
    systems: dict[str, dict[str, Path]] = {}
    for folder in folders:
        name = folder.stem if folder.is_file() else folder.name
        while name in systems:
            name += "'"
        if folder.is_file():
            systems[name] = {"dance": folder}
        else:
            found = [path for path in dances_in(folder) if path.suffix.lower() in (".npz", ".bvh")]
            systems[name] = {path.relative_to(folder).with_suffix("").as_posix(): path for path in found}
        if not systems[name]:
            raise InputError(f"{folder}: expected dances (.npz, .bvh), found none")
    return systems


def _packed(motion: Motion, seconds: float) -> str:
    """Joints in millimetres, facing the viewer, from above the middle of the floor: base64 of int16."""
    joints = motion.resample(FPS).joints()[: round(seconds * FPS)]
    joints = joints - joints[:, :1].mean(axis=0) * np.array([1.0, 0.0, 1.0])
    return base64.b64encode(np.round(np.clip(joints, -30, 30) * 1000).astype("<i2").tobytes()).decode()


def _mp3(samples: np.ndarray) -> str:
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples if samples.shape[1] <= 2 else mix_down(samples, SOUND_RATE), SOUND_RATE, format="MP3")
    return base64.b64encode(file.getvalue()).decode()


def _place(sounds: dict[str, str], label: str) -> int | None:
    return list(sounds).index(label) if label in sounds else None


def _record(path: Path) -> dict:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected a key or answers as JSON ({error})") from error
    if not isinstance(record, dict) or not isinstance(record.get("pairs", record.get("answers")), list):
        raise InputError(f"{path}: expected a key or answers of a blind study")
    return record
