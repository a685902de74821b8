"""Beats, bars, sections and phrases as a table (CSV)."""

import csv

from longdance.export.job import Job
from longdance.export.markers import expect_marks
from longdance.export.sound import song_start
from longdance.files import atomic_write

REGISTER = {
    "format": {"csv": {"make": "write", "order": 20, "about": "beats, bars, sections, phrases as a table"}},
}

COLUMNS = ("seconds", "frame", "song_seconds", "kind", "name", "length", "bar", "beat")


def write(job: Job) -> None:
    """Write a row for every mark: seconds from the first frame, the nearest frame from 0, seconds of the song."""
    motion = job.motion
    start, marks = song_start(motion), expect_marks(motion, job.path)
    with atomic_write(job.path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for mark in marks:
            bar, beat = ("" if value is None else value for value in (mark.bar, mark.beat))
            frame, length = round(mark.seconds * motion.fps), f"{mark.length:.4f}"
            row = (f"{mark.seconds:.4f}", frame, f"{start + mark.seconds:.4f}", mark.kind, mark.name, length, bar, beat)
            table.writerow(row)
