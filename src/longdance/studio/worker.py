"""The process that listens to songs, dances and writes files for the studio, apart from the server.

It keeps loaded models and the last songs, tells how far it is over a pipe, and stops when it is told to. Nothing that
happens here, not even its death, takes the server with it. Every task is a function of its arguments that writes whole
files and returns what the server is to remember.
"""

import errno
import json
import logging
import os
import re
import signal
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from longdance.choreography.edits.catalogue import EDITS
from longdance.errors import Cancelled, InputError
from longdance.studio.forms import Settings
from longdance.studio.poses import with_poses

DISK_FULL = "the disk is full, nothing was kept of this; free some space and try again"
BROKEN_INSIDE = "this went wrong inside the studio; its log in the terminal says how"
_REPORT_EVERY = 0.1
"""Seconds between two reports of progress."""

log = logging.getLogger(__name__)


def work(pipe: Connection, models: Mapping[str, str]) -> None:
    """Do what comes through the pipe, one task at a time, until it is closed; ``models`` are folders by name.

    In come ("do", number, task, arguments) and ("cancel", number); out go ("progress", number, done, total, what),
    ("ready", number, seconds) and at the end ("done", number, result), ("failed", number, why) or
    ("cancelled", number).
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's to handle
    tasks = Tasks(models)
    while True:
        try:
            message = pipe.recv()
        except (EOFError, OSError):
            return
        if message[0] != "do":
            continue  # too late to cancel
        _, number, task, arguments = message
        line = Line(pipe, number)
        try:
            answer = ("done", number, getattr(tasks, task)(line, **arguments))
        except Cancelled:
            answer = ("cancelled", number)
        except Exception as error:
            answer = ("failed", number, without_paths(told(error), arguments, models))
        try:
            pipe.send(answer)
        except OSError:
            return


def told(error: Exception) -> str:
    """What to tell a user of an error; what is nobody's mistake goes to the log."""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DISK_FULL
    if isinstance(error, MemoryError):
        return "this computer has too little memory for that; try a shorter stretch"
    log.error("a task of the studio failed", exc_info=error)
    return BROKEN_INSIDE


def without_paths(text: str, arguments: Mapping[str, Any], models: Mapping[str, str]) -> str:
    """The text without the folders of this computer, which are nobody's business in a browser."""
    for name, folder in models.items():
        text = text.replace(folder, name)
    for name, path in arguments.items():
        if isinstance(path, str) and os.path.isabs(path):
            text = text.replace(path, FILES.get(name, "a file"))
    return _PATH.sub("a file", text)


FILES = {
    "song": "the song", "uploaded": "the song", "parent": "the dance", "other": "the other dance",
    "character": "the character",
}  # fmt: skip
"""What files are called to people, by the argument that names them."""
_PATH = re.compile(r"(?<![\w.])(?:[A-Za-z]:\\|/)(?:[^\s/\\:;,'\"]+[/\\])+[^\s:;,'\"]*")


class Line:
    """How a task speaks to the server; every report asks as well whether to stop."""

    def __init__(self, pipe: Connection, number: int):
        self._pipe, self._number = pipe, number
        self._last = 0.0

    def progress(self, done: int, total: int, what: str) -> None:
        """Tell how far the task is; ``Cancelled`` if it is to stop, or if nobody listens any more."""
        try:
            while self._pipe.poll():
                if self._pipe.recv() == ("cancel", self._number):
                    raise Cancelled
            now = time.monotonic()
            if now - self._last >= _REPORT_EVERY or done >= total:
                self._last = now
                self._pipe.send(("progress", self._number, done, total, what))
        except (EOFError, OSError) as error:
            raise Cancelled from error

    def ready(self, seconds: float) -> None:
        """Tell how much of the dance can be played by now."""
        try:
            self._pipe.send(("ready", self._number, seconds))
        except OSError as error:
            raise Cancelled from error


class Tasks:
    """What the studio can be asked for. Paths come from the server alone, never from a browser."""

    def __init__(self, models: Mapping[str, str]):
        self._models = dict(models)
        self._model = lru_cache(maxsize=2)(self._load_model)
        self._song = lru_cache(maxsize=2)(_load_song)

    def listen(self, line: Line, *, uploaded: str, target: str) -> dict:
        """Make a song of what was uploaded, see ``audio.listen``."""
        from longdance.studio.audio import listen

        return listen(Path(uploaded), Path(target), progress=line.progress)

    def lay(self, line: Line, *, song: str, corrections: dict, asked: dict) -> dict:
        """Set the beats of ``song`` right, see ``beats.set_right``."""
        from longdance.studio.beats import set_right, told
        from longdance.studio.forms import BeatsForm

        line.progress(0, 1, "listening")
        heard = self._song(song, 0.0, None, None)
        return told(*set_right(heard, _corrections(corrections), BeatsForm.model_validate(asked)))

    def generate(
        self, line: Line, *, song: str, name: str, settings: dict, blocks: list[dict], beats: dict | None, take: str,
        track: str,
    ) -> dict:  # fmt: skip
        """Dance to ``song`` (a file, called ``name`` in the record) and write the files ``take`` and ``track``."""
        from longdance.choreography.request import DanceRequest

        line.progress(0, 1, "loading the model")
        model = self._model(settings["model"])
        asked = Settings.model_validate(settings).request()
        begin, seconds = asked.pop("start"), asked.pop("seconds")
        line.progress(0, 1, "listening")
        heard = replace(self._song(song, begin, seconds, _corrections(beats)), name=name)
        request = DanceRequest(song=heard, score=score_of(blocks, begin, seconds) if blocks else None, **asked)
        dance = _collected(model.stream(request, progress=line.progress), Path(track), line)
        return _kept(dance, Path(take))

    def edit(
        self, line: Line, *, song: str, parent: str, other: str | None, what: str, settings: dict, asked: dict,
        beats: dict | None, poses: list[dict], take: str, track: str,
    ) -> dict:  # fmt: skip
        """Make the edit ``what`` of the dance in the file ``parent``, and write the files ``take`` and ``track``.

        ``asked`` are fields of the edit, in seconds of the song; ``poses`` are put into the dance before.
        """
        from longdance.choreography.edit import edited, song_of
        from longdance.choreography.phrases.plan import Plan
        from longdance.choreography.request import DanceRequest
        from longdance.motion.motion import Motion

        line.progress(0, 1, "reading the dance")
        dance, given = with_poses(Motion.load(parent), poses), {}
        begin = float(dance.meta.get("start", 0.0))
        asked = asked | {
            "stretches": _after(begin, asked["stretches"]), "keep": _after(begin, asked["keep"]),
            "at": None if asked["at"] is None else asked["at"] - begin,
            "other": None if other is None else Motion.load(other),
        }  # fmt: skip
        if (plan := asked.get("plan")) is not None:
            asked["plan"] = Plan.of_record(plan)
        if EDITS.entry(what).facts.get("model", True):
            line.progress(0, 1, "loading the model")
            model = self._model(settings["model"])
            line.progress(0, 1, "listening")
            drawn = {name: value for name, value in Settings.model_validate(settings).request().items()
                     if name not in ("start", "seconds")}  # fmt: skip
            # A plan is laid on the very beats that it was made for.
            length = None if plan is None else settings["seconds"]
            measured = beats is not None or plan is not None
            heard = self._song(song, begin, length, _corrections(beats)) if measured else song_of(dance, song)
            given = {"dancer": model, "request": DanceRequest(song=heard, **drawn)}
        made = edited(dance, what, **given, progress=line.progress, **asked)
        return _kept(_collected(iter([made]), Path(track), line), Path(take))

    def dress(self, line: Line, *, take: str, character: str, target: str) -> dict:
        """Write the character of a file as it dances ``take``, for the page to show; ``target`` is a GLB file."""
        from longdance.export.formats import export
        from longdance.export.takes import ExportOptions
        from longdance.motion.motion import Motion

        line.progress(0, 1, "dressing the dancer")
        export(Motion.load(take), target, options=ExportOptions(rig=character), progress=line.progress)
        return {"file": target}

    def export(
        self, line: Line, *, take: str, song: str, target: str, options: dict, bundle: str | None
    ) -> dict:
        """Write the dance ``take`` to ``target``, whose ending names the format; with its WAV in a zip ``bundle``."""
        from longdance.export.formats import export
        from longdance.export.takes import ExportOptions
        from longdance.motion.motion import Motion

        line.progress(0, 1, "reading the dance")
        dance = Motion.load(take)
        fits = dance.meta.get("song") is not None
        if bundle is not None and not fits:
            raise InputError("expected a dance at the song's own tempo to bring the song along; leave the song out")
        written = export(
            dance,
            target,
            options=ExportOptions(**options, quality="full", wav=bundle is not None),
            song_path=song if fits else None,
            progress=line.progress,
        )
        if bundle is None:
            return {"file": target}
        # What is in there is compressed already, or small beside the sound.
        with zipfile.ZipFile(bundle, "w", zipfile.ZIP_STORED) as archive:
            for path in written:
                archive.write(path, path.name)
        return {"file": bundle}

    def _load_model(self, name: str):
        from longdance.choreography.pretrained import load

        # Under the name that the studio gives it, so that no record holds a folder.
        return replace(load(self._models[name]), name=name)


def score_of(blocks: list[dict], begin: float, seconds: float | None):
    """The blocks of a timeline as a score of the stretch of the song that is danced to.

    Blocks lie where they were dropped: the page has moved them to the beats that it shows.
    """
    from longdance.choreography.request import Words
    from longdance.choreography.score import Entry, Moment, Score

    end = float("inf") if seconds is None else begin + seconds
    entries = [
        Entry(
            begin=Moment("seconds", max(block["from"], begin) - begin),
            end=Moment("seconds", min(block["to"], end) - begin),
            words=Words(block["genre"], tuple(block["movements"]), block["prompt"]),
            guidance={},
            energy={},
            snap="none",
            line=number,
        )
        for number, block in enumerate(blocks, 1)
        if block["to"] > begin and block["from"] < end
    ]
    return Score(name="timeline", entries=tuple(entries)) if entries else None


def _after(begin: float, ranges: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Ranges in seconds of the song as seconds of a dance that begins at ``begin``."""
    return [(max(0.0, first - begin), max(0.0, last - begin)) for first, last in ranges]


def _load_song(path: str, start: float, seconds: float | None, corrections):
    from longdance.features.song import NO_CORRECTIONS, Song

    return Song.load(path, start=start, seconds=seconds, corrections=corrections or NO_CORRECTIONS)


def _corrections(said: dict | None):
    """``SongCorrections`` of their fields; None for None."""
    from longdance.features.pulse import SongCorrections

    if said is None:
        return None
    lists = {name: tuple(said[name]) for name in ("beats", "downbeats") if said.get(name) is not None}
    return SongCorrections(**said | lists)


def _collected(pieces: Iterator, track: Path, line: Line):
    """The whole dance of its pieces, each of which can be played from ``track`` as soon as it is there."""
    from longdance.motion.motion import Motion
    from longdance.studio import tracks

    parts = []
    growing = track.with_suffix(".growing")
    try:
        for piece in pieces:
            if parts:
                tracks.append(growing, piece)
            else:
                tracks.begin(growing, piece)
            parts.append(piece)
            line.ready(round(sum(part.frames for part in parts) / piece.fps, 3))
        dance = parts[0] if len(parts) == 1 else Motion.joined(parts)
        # Contacts of frames at the seams are told from both sides now.
        tracks.begin(growing, dance)
        os.replace(growing, track)
    finally:
        growing.unlink(missing_ok=True)
    return dance


def _kept(dance, path: Path) -> dict:
    """Write the dance; what is worth remembering of it is returned."""
    dance.save(path)
    # JSON has no words for what is not finite.
    record = json.loads(json.dumps(dance.meta), parse_constant=lambda _: None)
    for known_of_song in ("beat_times", "downbeat_times", "sections"):
        record.pop(known_of_song, None)
    return {"seconds": round(dance.seconds, 4), "fps": dance.fps, "frames": dance.frames, "record": record}
