"""A plan as a score file, to be read, changed and danced again."""

import json
import os
from pathlib import Path

from longdance.choreography.phrases.plan import HOLD, Plan
from longdance.choreography.phrases.shelf import SHIPPED
from longdance.errors import InputError
from longdance.files import atomic_write
from longdance.motion.motion import Motion


def plan_text(dance: Motion) -> str:
    """The score of a dance by plan: its phrases block by block; ``InputError`` for a dance without a plan."""
    plan, meta = Plan.of_record(dance.meta.get("plan")), dance.meta
    own = "" if plan.library == SHIPPED else f" --library {plan.library}"
    lines = [
        f"# Phrases for {_plain(meta.get('song'))}, beats counted from 1. Change it and dance it again:",
        f"#   longdance generate SONG --score THIS_FILE --phrases {meta.get('phrases', 1.0):g}{own}",
        "# A phrase is a name that `longdance library show` lists, or hold; mirror exchanges left and right;",
        "# counts are how many of the phrase's are danced.",
        "unit: beats",
        "snap: none",
        *_words(meta),
        "timeline:",
    ]
    for block, row in zip(plan.blocks, meta["plan"]["phrases"], strict=True):
        what = [f"from: {block.beat + 1:g}", f"to: {block.end + 1:g}", f"phrase: {_quoted(block.phrase)}"]
        if block.phrase != HOLD:
            what += [f"mirror: {'yes' if block.mirrored else 'no'}", f"counts: {block.counts}"]
        what += _words_at(meta, row["from"])
        place = f"{int(row['from'] // 60)}:{row['from'] % 60:04.1f}"
        lines.append(f"  - {{{', '.join(what)}}}  # {place} {_plain(block.letter)}".rstrip())
    return "\n".join(lines) + "\n"


def write_plan(dance: Motion, path: str | os.PathLike) -> None:
    """The score of a dance by plan in a file; ``InputError`` for a dance without a plan."""
    path, text = Path(path), plan_text(dance)
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _words(meta: dict) -> list[str]:
    """What was asked for the whole dance, as fields of a score."""
    if meta.get("timeline"):
        return []
    said = {"genre": meta.get("genre"), "movements": meta.get("movements"), "text": meta.get("prompt")}
    return [f"{name}: {_quoted(value)}" for name, value in said.items() if value]


def _words_at(meta: dict, seconds: float) -> list[str]:
    """What a score asked for at a moment, as fields of an entry."""
    spans = meta.get("timeline") or ()
    span = next((each for each in spans if each["from"] <= max(seconds, 0.0) + 1e-3 < each["to"]), None)
    if span is None:
        return []
    said = {"genre": span.get("genre"), "movements": span.get("movements"), "text": span.get("prompt")}
    return [f"{name}: {_quoted(value)}" for name, value in said.items() if value]


def _quoted(value: object) -> str:
    """As YAML reads it, on one line: JSON is YAML."""
    if not isinstance(value, str | list):
        raise InputError(f"expected words in the dance's record, got {value!r}")
    return json.dumps(value, ensure_ascii=False)


def _plain(value: object) -> str:
    return "".join(letter for letter in str(value or "") if letter.isprintable())
