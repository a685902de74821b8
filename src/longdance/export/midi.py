"""Marks as a standard MIDI file (format 1): a tempo map on which every beat is a quarter note, markers, clicks.

Source: Standard MIDI Files 1.0, MIDI Manufacturers Association.
"""

import struct
from itertools import pairwise

import numpy as np

from longdance.errors import InputError
from longdance.export.job import Job
from longdance.export.markers import Marker, expect_marks, meter_of
from longdance.files import atomic_write

REGISTER = {
    "format": {"mid": {"make": "write", "order": 21, "about": "tempo map, markers, clicks", "aliases": ("midi",)}},
}

TICKS = 480
"""Per quarter note, which is a beat."""
SIXTEENTH = TICKS // 4
TOLERANCE = 1e-3
"""Seconds by which a beat may lie beside the tempo map before the tempo changes."""
CLICK_CHANNEL, HIGH_CLICK, LOW_CLICK = 9, 76, 77
"""General MIDI's percussion channel and its two wood blocks: downbeats and other beats."""
SHORTEST = 2e-3
"""Seconds before the first beat that count as none."""


def write(job: Job) -> None:
    """Write the file; ``InputError`` for a dance of fewer than two beats."""
    marks = expect_marks(job.motion, job.path)
    beats = [mark for mark in marks if mark.kind == "beat"]
    if len(beats) < 2:
        raise InputError(f"{job.path}: expected two beats or more to tell a tempo from, got {len(beats)}")
    grid = TempoMap([mark.seconds for mark in beats])
    bars = _map_track(grid, beats, meter_of(job.motion), job.title)
    tracks = [bars, _marker_track(grid, marks), _click_track(grid, beats)]
    head = struct.pack(">4sIHHH", b"MThd", 6, 1, len(tracks), TICKS)
    with atomic_write(job.path) as temporary:
        temporary.write_bytes(head + b"".join(tracks))


class TempoMap:
    """Ticks of times: beats lie a quarter note apart, the first after as many sixteenths as fit before it.

    The tempo changes where the beats leave the present one by more than ``TOLERANCE``, as seldom as that allows.
    """

    def __init__(self, beats: list[float]):
        step = float(np.median(np.diff(beats)))
        self.lead = 0 if beats[0] < SHORTEST else max(1, round(beats[0] / step * 4)) * SIXTEENTH
        self.changes: list[tuple[int, int]] = []
        """Ticks and the microseconds of a quarter note from there on."""
        time = 0.0
        if self.lead:
            time = self._change(0, beats[0] / self.lead * TICKS, self.lead, 0.0)
        first = 0
        while first < len(beats) - 1:
            least, most, stop = 0.0, np.inf, first + 1
            while stop < len(beats):
                low, high = ((beats[stop] + side * TOLERANCE - time) / (stop - first) for side in (-1, 1))
                if max(least, low) > min(most, high) and stop > first + 1:
                    break
                least, most, stop = max(least, low), min(most, high), stop + 1
            quarters = stop - 1 - first
            time = self._change(self.lead + first * TICKS, (least + most) / 2, quarters * TICKS, time)
            first += quarters

    def _change(self, tick: int, seconds: float, ticks: int, time: float) -> float:
        """Note a tempo of so many seconds a quarter note; the time after some ticks of it is returned."""
        micros = min(max(1, round(seconds * 1e6)), 2**24 - 1)
        if not self.changes or self.changes[-1][1] != micros:
            self.changes.append((tick, micros))
        return time + micros * 1e-6 * ticks / TICKS

    def tick(self, seconds: float) -> int:
        """The tick nearest to a time."""
        begin = 0.0
        for (tick, micros), following in pairwise([*self.changes, None]):
            length = micros * 1e-6 / TICKS
            end = np.inf if following is None else begin + (following[0] - tick) * length
            if seconds < end:
                return tick + max(0, round((seconds - begin) / length))
            begin = end
        raise AssertionError("the last tempo has no end")


def _map_track(grid: TempoMap, beats: list[Marker], meter: int, title: str | None) -> bytes:
    """Name, tempi, and bars: the first one as long as what comes before the first downbeat."""
    events = [(tick, 0x51, micros.to_bytes(3, "big")) for tick, micros in grid.changes]
    upbeat = next((index for index, mark in enumerate(beats) if mark.beat == 1), 0)
    begin = grid.lead + upbeat * TICKS
    if begin:
        events.append((0, 0x58, bytes((min(begin // SIXTEENTH, 255), 4, 24, 8))))
    events.append((begin, 0x58, bytes((meter, 2, 24, 8))))
    return _track([(0, 0x03, (title or "dance").encode()), *events])


def _marker_track(grid: TempoMap, marks: list[Marker]) -> bytes:
    named = [(grid.tick(mark.seconds), 0x06, mark.name.encode()) for mark in marks if mark.kind != "beat"]
    return _track([(0, 0x03, b"markers"), *named])


def _click_track(grid: TempoMap, beats: list[Marker]) -> bytes:
    events: list[tuple[int, int, bytes]] = [(0, 0x03, b"beats")]
    for number, mark in enumerate(beats):
        tick, note = grid.lead + number * TICKS, HIGH_CLICK if mark.beat == 1 else LOW_CLICK
        events.append((tick, 0, bytes((0x90 | CLICK_CHANNEL, note, 112 if mark.beat == 1 else 80))))
        events.append((tick + SIXTEENTH, 0, bytes((0x80 | CLICK_CHANNEL, note, 0))))
    return _track(events)


def _track(events: list[tuple[int, int, bytes]]) -> bytes:
    """A chunk of events (tick, kind, data); kind 0 is a message of a channel, others are meta events."""
    content, now = b"", 0
    for tick, kind, data in [*sorted(events, key=lambda event: event[0]), (None, 0x2F, b"")]:
        tick = now if tick is None else tick
        meta = bytes((0xFF, kind)) + _variable(len(data)) if kind else b""
        content, now = content + _variable(tick - now) + meta + data, tick
    return struct.pack(">4sI", b"MTrk", len(content)) + content


def _variable(number: int) -> bytes:
    """A number in groups of seven bits, all but the last marked."""
    groups = [number & 0x7F]
    while number := number >> 7:
        groups.append(0x80 | number & 0x7F)
    return bytes(reversed(groups))
