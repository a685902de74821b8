"""Times that a dance's record (``Motion.meta``) holds, counted from its first frame: kept true when frames are taken.

``beat_times`` and ``downbeat_times`` are lists of seconds; ``sections`` a list of ``{"begin", "end", "label"}``,
``timeline`` a list of ``{"from", "to", ...}``, and ``plan`` has a list ``phrases`` of ``{"from", "to", "beat", ...}``,
whose beats are counted from the first. Records may be by another hand: what is not of this form is no time.
"""

import math
from typing import Any

TIMES = ("beat_times", "downbeat_times")
"""Keys of lists of seconds."""
SPANS = {"sections": ("begin", "end"), "timeline": ("from", "to")}
"""Keys of lists of records to what beginning and end are called in them."""


def is_seconds(value: Any) -> bool:
    """Whether it is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def times_of(meta: dict, key: str) -> list[float]:
    """The seconds under a key of ``TIMES``, in order; none where the record is by another hand."""
    found = meta.get(key)
    return sorted(float(t) for t in found) if isinstance(found, list) and all(map(is_seconds, found)) else []


def spans_of(meta: dict, key: str) -> list[dict]:
    """The records under a key of ``SPANS`` whose beginning and end are seconds."""
    return _spans(meta.get(key), SPANS[key])


def _spans(found: Any, ends: tuple[str, str]) -> list[dict]:
    rows = [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
    return [row for row in rows if all(is_seconds(row.get(end)) for end in ends)]


def cut(meta: dict, begin: float, end: float, *, speed: float = 1.0) -> dict:
    """The record of the frames between two times, played ``speed`` times as fast: times count from the first of them.

    The second of the song at which the dance begins (``start``) moves with it.
    """
    length, cut_meta = (end - begin) / speed, dict(meta)

    def moved(time: float) -> float:
        return round((time - begin) / speed, 4)

    for key in TIMES:
        if key in meta:
            cut_meta[key] = [moved(t) for t in times_of(meta, key) if t - begin >= -1e-9 and moved(t) < length]

    def kept(rows: list[dict], first: str, last: str) -> list[dict]:
        return [
            row | {first: max(moved(row[first]), 0.0), last: min(moved(row[last]), round(length, 4))}
            for row in rows
            if row[last] > begin and row[first] < end
        ]

    for key, (first, last) in SPANS.items():
        if key in meta:
            cut_meta[key] = kept(spans_of(meta, key), first, last)
    plan = meta.get("plan")
    if isinstance(plan, dict) and isinstance(plan.get("phrases"), list):
        gone = sum(t - begin < -1e-9 for t in times_of(meta, "beat_times"))
        phrases = kept(_spans(plan["phrases"], ("from", "to")), "from", "to")
        cut_meta["plan"] = plan | {
            "phrases": [row | {"beat": row["beat"] - gone} if is_seconds(row.get("beat")) else row for row in phrases]
        }
    if begin and is_seconds(meta.get("start")):
        cut_meta["start"] = round(float(meta["start"]) + begin, 4)
    return cut_meta


def joined_plan(metas: list[dict], begins: list[float]) -> dict | None:
    """The plan of pieces that follow each other, of whose dance they begin at some seconds; None if one has none."""
    plans = [meta.get("plan") for meta in metas]
    if not all(isinstance(plan, dict) and isinstance(plan.get("phrases"), list) for plan in plans):
        return None
    rows, beats = [], 0
    for meta, plan, begin in zip(metas, plans, begins, strict=True):
        for row in _spans(plan["phrases"], ("from", "to")):
            moved = {key: round(row[key] + begin, 4) for key in ("from", "to")}
            rows.append(row | moved | ({"beat": row["beat"] + beats} if is_seconds(row.get("beat")) else {}))
        beats += len(times_of(meta, "beat_times"))
    return plans[0] | {"phrases": rows}
