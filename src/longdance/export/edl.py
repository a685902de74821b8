"""Marks as an edit decision list (CMX 3600) with the comments from which DaVinci Resolve makes timeline markers.

An event of one frame stands for each frame with a mark; a comment below it holds colour, name and length in frames.
Times are counted from one hour, where Resolve's timelines begin, without dropping numbers.
"""

from itertools import groupby

from longdance.export.job import Job
from longdance.export.markers import KINDS, Marker, expect_marks
from longdance.files import atomic_write

REGISTER = {
    "format": {"edl": {"make": "write", "order": 22, "about": "markers for editing programs (CMX 3600)"}},
}

RATES = (24000 / 1001, 24.0, 25.0, 30000 / 1001, 30.0, 48.0, 50.0, 60000 / 1001, 60.0)
"""Frames per second that editing programs have."""
USUAL_RATE = 24.0
COLOURS = {"section": "Red", "phrase": "Purple", "bar": "Blue", "beat": "Cyan"}
MOST_EVENTS = 999
"""Numbers of events have three digits."""
FIRST_HOUR = 1


def write(job: Job) -> None:
    """Write all marks that fit; of very long dances beats are left out, then bars, which a comment says."""
    wanted = job.options.fps or job.motion.fps
    fps = next((rate for rate in RATES if abs(rate - wanted) < 2e-3), USUAL_RATE)
    marks, left_out = expect_marks(job.motion, job.path), []
    kinds = list(KINDS)
    while len(rows := _at_frames([mark for mark in marks if mark.kind in kinds], fps)) > MOST_EVENTS:
        left_out.append(kinds.pop())
    lines = [f"TITLE: {job.title or 'dance'}"[:70], "FCM: NON-DROP FRAME", ""]
    lines += [f"* FRAME RATE: {fps:.3f}"]
    lines += [f"* LEFT OUT, FOR THERE ARE MORE THAN {MOST_EVENTS}: {kind.upper()}S" for kind in left_out]
    for number, (frame, here) in enumerate(rows, 1):
        at, after = (timecode(each, fps) for each in (frame, frame + 1))
        name = ", ".join(mark.name for mark in here if mark.kind != "beat" or len(here) == 1)
        length = max(1, round(here[0].length * fps))
        lines += ["", f"{number:03d}  001      V     C        {at} {after} {at} {after}  "]
        lines += [f" |C:ResolveColor{COLOURS[here[0].kind]} |M:{_plain(name)} |D:{length}"]
    with atomic_write(job.path) as temporary:
        temporary.write_text("\r\n".join(lines) + "\r\n", encoding="utf-8", newline="")


def _at_frames(marks: list[Marker], fps: float) -> list[tuple[int, list[Marker]]]:
    """Frames with the marks on them, the weightiest first: an editing program has room for one marker a frame."""
    grouped = groupby(marks, key=lambda mark: round(mark.seconds * fps))
    return [(frame, sorted(here, key=lambda mark: KINDS.index(mark.kind))) for frame, here in grouped]


def timecode(frame: int, fps: float) -> str:
    """Hours, minutes, seconds and frames of a frame of the timeline, as many frames a second as the rate rounds to."""
    base = round(fps)
    seconds, rest = divmod(frame + FIRST_HOUR * 3600 * base, base)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{rest:02d}"


def _plain(name: str) -> str:
    """A name without what the comment's own grammar is made of."""
    return "".join(letter for letter in name if letter.isprintable() and letter != "|")
