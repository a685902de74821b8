"""Beats, bars, sections and phrases of a dance as marks on its time line, read from its record."""

from typing import NamedTuple

import numpy as np

from longdance.errors import InputError
from longdance.export.sound import beat_times
from longdance.motion import moments
from longdance.motion.motion import Motion

KINDS = ("section", "phrase", "bar", "beat")
"""What a mark may stand for, the weightiest first."""


class Marker(NamedTuple):
    """A mark: ``seconds`` after the first frame, and how long what begins there lasts (0 for a moment).

    ``bar`` counts from 1, 0 is the upbeat before the first; ``beat`` counts within the bar. None where the record does
    not say.
    """

    seconds: float
    kind: str
    name: str
    length: float = 0.0
    bar: int | None = None
    beat: int | None = None


def markers(motion: Motion) -> list[Marker]:
    """All marks of a dance in the order of time, at one time the weightiest first; ``InputError`` for false beats."""
    beats = beat_times(motion)
    found = [*_counted(motion, beats)]
    for row in moments.spans_of(motion.meta, "sections"):
        name = f"section {row.get('label', '')}".strip()
        found.append(Marker(row["begin"], "section", name, row["end"] - row["begin"]))
    found += phrases(motion)
    found = [mark for mark in found if 0 <= mark.seconds < motion.seconds]
    return sorted(found, key=lambda mark: (mark.seconds, KINDS.index(mark.kind)))


def expect_marks(motion: Motion, path: object) -> list[Marker]:
    """The marks, of which there must be some; ``InputError`` names the file that cannot be written."""
    found = markers(motion)
    if not found:
        raise InputError(f"{path}: expected beats in the dance's record, got none; try a dance by longdance")
    return found


def _counted(motion: Motion, beats: list[float]) -> list[Marker]:
    """Beats with their place in the bar, and bars with their length."""
    bars = moments.times_of(motion.meta, "downbeat_times")
    if not bars or not beats:
        return [Marker(time, "beat", "beat") for time in beats]
    times = np.array(beats)
    firsts = sorted({int(np.abs(times - bar).argmin()) for bar in bars})
    meter = meter_of(motion)
    found = []
    for index, time in enumerate(beats):
        bar = int(np.searchsorted(firsts, index, side="right"))
        beat = index - firsts[bar - 1] + 1 if bar else meter - (firsts[0] - index) + 1
        if bar and beat == 1:
            end = beats[firsts[bar]] if bar < len(firsts) else motion.seconds
            found.append(Marker(time, "bar", f"bar {bar}", end - time, bar, 1))
        found.append(Marker(time, "beat", f"{bar}.{beat}", 0.0, bar, beat))
    return found


def meter_of(motion: Motion) -> int:
    """Beats in a bar, 4 where the record does not say."""
    meter = motion.meta.get("meter")
    return meter if isinstance(meter, int) and 1 <= meter <= 32 else 4


def phrases(motion: Motion) -> list[Marker]:
    """The phrases of the plan in the dance's record, as ``choreography.phrases.plan`` writes it."""
    plan = motion.meta.get("plan")
    rows = plan.get("phrases") if isinstance(plan, dict) else None
    found = []
    for row in rows if isinstance(rows, list) else ():
        begin, end, name = (row.get(key) for key in ("from", "to", "phrase")) if isinstance(row, dict) else 3 * (None,)
        if moments.is_seconds(begin) and moments.is_seconds(end) and end > begin:
            found.append(Marker(float(begin), "phrase", f"phrase {name}", float(end - begin)))
    return found
