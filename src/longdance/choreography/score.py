"""Choreography written down: a timeline file that says from when to when a dance is to be what.

Here belong reading and checking a score file, and laying it on the beats of a song. What denoising makes of it is in
`timeline`. The format is described in ``docs/score.md``.

Files come from anyone: they are parsed to plain nodes, of which none is turned into an object, aliases are refused,
and size and depth are limited.
"""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import yaml

from longdance.choreography.request import Words
from longdance.choreography.timeline import PlacedPose, Span, Timeline
from longdance.data.catalogue import find_genre
from longdance.diffusion.guidance import Guidance
from longdance.errors import InputError
from longdance.features.song import Song
from longdance.features.text import TextPrompt
from longdance.motion.layout import Layout
from longdance.motion.motion import Motion
from longdance.motion.rotations import matrix_from_axis_angle
from longdance.motion.skeleton import SMPL24

Unit = Literal["seconds", "beats", "bars"]
Snap = Literal["beat", "downbeat", "none"]
Resolve = Callable[[Words], TextPrompt]
"""Raises ``InputError`` for words that are not known."""

UNITS, SNAPS = ("seconds", "beats", "bars"), ("beat", "downbeat", "none")
LARGEST_FILE = 256_000
"""Bytes."""
MOST_NODES, DEEPEST, MOST_ENTRIES, MOST_POSES, LONGEST_TEXT = 20_000, 8, 1000, 200, 2000
BEATS_PER_BAR = 4
CROSSFADE = 0.5
"""Seconds that a change takes, if the file does not say."""
EASE = 0.4
"""Seconds before and after a pose over which the dance is drawn to it, if the file does not say."""


class Moment(NamedTuple):
    """A time as it was written: seconds from the beginning, or beats or bars counted from 1."""

    unit: Unit
    value: float
    beat: float = 1.0
    """The beat within the bar, from 1; of bars only."""
    line: int = 0

    def __str__(self) -> str:
        if self.unit == "seconds":
            return f"{self.value:g} s"
        name = f"{self.unit.removesuffix('s')} {self.value:g}"
        return name if self.beat == 1 else f"{name} beat {self.beat:g}"


NO_WORDS = Words()


@dataclass(frozen=True, kw_only=True, eq=False)
class KeyPose:
    """A pose to be in at a moment."""

    at: Moment
    snap: Snap
    ease: float
    """Seconds."""
    root_height: float
    """Metres."""
    rotations: np.ndarray
    """(joints, 3, 3)"""
    joint_names: tuple[str, ...]
    line: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Entry:
    """One line of the score; ``end`` is open (None) where it lasts until the next entry or the end."""

    begin: Moment
    end: Moment | None
    words: Words
    guidance: dict[str, float]
    """What the entry says of ``Guidance``."""
    snap: Snap
    poses: tuple[KeyPose, ...] = ()
    line: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Score:
    """A score as written; ``on`` lays it on a song."""

    name: str
    """The file, for messages."""
    entries: tuple[Entry, ...]
    words: Words = NO_WORDS
    """Asked for wherever the timeline asks for nothing."""
    guidance: dict[str, float] = field(default_factory=dict)
    crossfade: float = CROSSFADE

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Score":
        """Read a score file; poses are looked for beside it. ``InputError`` names file, line and field."""
        path = Path(path)
        try:
            with open(path, "rb") as file:
                content = file.read(LARGEST_FILE + 1)
        except OSError as error:
            raise InputError(f"{path}: expected a score file, could not read it ({error.strerror})") from error
        if len(content) > LARGEST_FILE:
            raise InputError(f"{path}: expected a score of at most {LARGEST_FILE // 1000} kB, got a larger file")
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
            raise InputError(f"{path}, line {line}: expected UTF-8 text; try saving the file as UTF-8") from error
        return cls.parse(text, name=str(path), folder=path.parent)

    @classmethod
    def parse(cls, text: str, *, name: str = "score", folder: Path | None = None) -> "Score":
        """Read a score from YAML (or JSON) text; without a ``folder`` it may not name pose files."""
        if len(text) > LARGEST_FILE:
            raise InputError(f"{name}: expected a score of at most {LARGEST_FILE // 1000} kB, got {len(text)} letters")
        return _Reader(name, folder).score(_compose(text, name))

    def prompts(self, resolve: Resolve) -> list[TextPrompt | None]:
        """The prompt of every entry, None where it has no words; ``InputError`` names the line."""
        prompts: list[TextPrompt | None] = []
        for entry in self.entries:
            try:
                prompts.append(resolve(entry.words) if any(entry.words) else None)
            except InputError as error:
                raise InputError(f"{self.name}, line {entry.line}: {error}") from error
        return prompts

    def on(
        self,
        song: Song,
        layout: Layout,
        fps: float,
        *,
        prompts: Sequence[TextPrompt | None],
        otherwise: TextPrompt,
        guidance: Guidance,
    ) -> tuple[Timeline, tuple[str, ...]]:
        """The timeline of a dance to ``song``, and notes for the user.

        ``prompts`` are those of ``prompts``; ``otherwise`` fills gaps and entries without words. Changes are moved to
        the nearest beat or downbeat unless the score says otherwise; the song's beginning and end count as both.
        ``InputError`` for entries that overlap, and for entries that hold no beat.
        """
        frames = max(1, song.frames(fps))
        guidance = guidance._replace(**self.guidance)
        placed = self._placed(song)
        gap = Span(0, frames, otherwise, guidance, self.words.text)
        spans: list[Span] = []
        cursor, poses, notes = 0, [], []
        for entry, prompt, begin, end in sorted(
            ((entry, prompt, *times) for entry, prompt, times in zip(self.entries, prompts, placed, strict=True)),
            key=lambda item: item[2],
        ):
            if begin >= song.seconds:
                notes.append(f"{self.name}, line {entry.line}: the song ends before {entry.begin}; left out")
                continue
            first, last = max(round(begin * fps), cursor), min(round(end * fps), frames)
            if last <= first:
                raise InputError(
                    f"{self.name}, line {entry.line}: expected at least a beat between from and to, got {entry.begin} "
                    f"to {entry.end or 'the next'}, which both fall on {begin:.2f} s; try a longer entry, or snap: none"
                )
            if first > cursor:
                spans.append(Span(cursor, first, gap.text, gap.guidance, gap.prompt))
            words = entry.words if prompt is not None else self.words
            own = guidance._replace(**entry.guidance)
            spans.append(Span(first, last, otherwise if prompt is None else prompt, own, words.text))
            for pose in entry.poses:
                if time_of(pose.at, song) > song.seconds:
                    notes.append(f"{self.name}, line {pose.line}: the song ends before {pose.at}; left out")
                else:
                    poses.append(self._posed(pose, song, layout, fps))
            cursor = last
        if cursor < frames:
            spans.append(Span(cursor, frames, gap.text, gap.guidance, gap.prompt))
        fade = max(2, round(self.crossfade * fps))
        return Timeline(tuple(spans), fade, tuple(poses)).joined(), tuple(notes)

    def _placed(self, song: Song) -> list[tuple[float, float]]:
        """Seconds of every entry's beginning and end, snapped; checked for order and overlaps."""
        begins = [time_of(entry.begin, song) for entry in self.entries]
        ends = [song.seconds if entry.end is None else time_of(entry.end, song) for entry in self.entries]
        order = sorted(range(len(begins)), key=begins.__getitem__)
        for here, following in zip(order, [*order[1:], None], strict=True):
            if self.entries[here].end is None:
                ends[here] = max(song.seconds, begins[here] + 1) if following is None else begins[following]
        _refuse_disorder(self.name, list(zip(self.entries, begins, ends, strict=True)))
        snapped = []
        for entry, begin, end in zip(self.entries, begins, ends, strict=True):
            # Where two entries touch, the change is the later one's beginning.
            follower = next((other for other, at in zip(self.entries, begins, strict=True) if at == end), entry)
            inside = begin < song.seconds
            snapped.append((snap(begin, song, entry.snap) if inside else begin, snap(end, song, follower.snap)))
        # Units mix, so what overlaps by less than the way to the beat is meant to touch.
        _refuse_overlaps(self.name, [(entry, *times) for entry, times in zip(self.entries, snapped, strict=True)])
        return snapped

    def _posed(self, pose: KeyPose, song: Song, layout: Layout, fps: float) -> PlacedPose:
        names = layout.skeleton.names
        if pose.joint_names[: len(names)] != names:
            raise InputError(
                f"{self.name}, line {pose.line}, field 'poses': expected a pose of the {len(names)} joints "
                f"{', '.join(names[:3])}, ..., got {len(pose.joint_names)} others; try a dance of this model"
            )
        at = snap(time_of(pose.at, song), song, pose.snap)
        rotations = pose.rotations[: len(names)]
        frame = min(round(at * fps), max(1, song.frames(fps)) - 1)  # the song's end is its last frame
        return PlacedPose(frame, pose.root_height, rotations, max(1, round(pose.ease * fps)))


def time_of(moment: Moment, song: Song) -> float:
    """Seconds of a moment in a song. Before the first and after the last beat or downbeat the tempo goes on."""
    if moment.unit == "seconds":
        return moment.value
    if moment.unit == "beats":
        return _time_at(song.beat_times, moment.value - 1, song)
    if not len(song.downbeat_times):
        return _time_at(song.beat_times, (moment.value - 1) * BEATS_PER_BAR + moment.beat - 1, song)
    bar = _time_at(song.downbeat_times, moment.value - 1, song, beats=BEATS_PER_BAR)
    if moment.beat == 1:
        return bar
    return _time_at(song.beat_times, float(song.beat_position(np.array([bar]))[0]) + moment.beat - 1, song)


def snap(time: float, song: Song, to: Snap) -> float:
    """The nearest beat or downbeat in seconds; the song's beginning and end count as both."""
    if to == "none":
        return min(time, song.seconds)
    marks = song.beat_times if to == "beat" else song.downbeat_times
    marks = np.concatenate(([0.0], marks[(marks > 0) & (marks < song.seconds)], [song.seconds]))
    return float(marks[np.abs(marks - time).argmin()])


def _time_at(marks: np.ndarray, index: float, song: Song, *, beats: int = 1) -> float:
    """Seconds of a fractional index among ``marks``, of which each lasts ``beats`` beats."""
    period = beats * 60.0 / song.tempo_bpm
    if not len(marks):
        return index * period
    last = len(marks) - 1
    if index < 0:
        return float(marks[0] + index * period)
    if index > last:
        return float(marks[-1] + (index - last) * period)
    return float(np.interp(index, np.arange(len(marks)), marks))


def _refuse_disorder(name: str, timed: list[tuple[Entry, float, float]]) -> None:
    """``InputError`` for an entry that ends before it begins."""
    for entry, begin, end in timed:
        if end <= begin:
            got = entry.end or "the next entry"
            raise InputError(f"{name}, line {entry.line}, field 'to': expected a time after {entry.begin}, got {got}")


def _refuse_overlaps(name: str, timed: list[tuple[Entry, float, float]]) -> None:
    """``InputError`` for two entries of which one begins before the other has ended."""
    timed = sorted(timed, key=lambda item: item[1])
    for (entry, _, end), (other, begin, _) in pairwise(timed):
        if begin < end - 1e-6:
            raise InputError(
                f"{name}: expected entries that do not overlap, got line {entry.line} ({entry.begin} to {entry.end}) "
                f"and line {other.line} (from {other.begin}); try ending the first where the second begins"
            )


# --- reading -------------------------------------------------------------------------------------------------


def _compose(text: str, name: str) -> yaml.Node:
    """The only document as plain nodes; nothing is constructed."""
    try:
        depth = 0
        for count, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
            line = event.start_mark.line + 1
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
                raise InputError(f"{name}, line {line}: expected no anchors and aliases (& and *); try writing it out")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST or count > MOST_NODES:
                raise InputError(f"{name}, line {line}: expected a score, got something far larger or deeper nested")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise InputError(f"{name}{where}: expected YAML, {error.problem or error.context}") from error
    except yaml.YAMLError as error:  # letters that no YAML file may hold
        raise InputError(f"{name}: expected YAML, {str(error).splitlines()[0]}") from error
    if node is None:
        raise InputError(f"{name}: expected a score with a timeline, got an empty file")
    return node


_TIME = re.compile(
    r"(?P<minutes>\d{1,4}):(?P<rest>\d{1,2}(?:\.\d+)?)"
    r"|(?P<number>\d{1,6}(?:\.\d+)?)\s*(?P<unit>s|sec|seconds|beats?|bars?)?"
    r"|beat\s+(?P<beat>\d{1,6}(?:\.\d+)?)"
    r"|bar\s+(?P<bar>\d{1,6}(?:\.\d+)?)(?:\s*,?\s*beat\s+(?P<inner>\d{1,2}(?:\.\d+)?))?"
)


@dataclass(frozen=True)
class _Reader:
    """Nodes to a ``Score``; every error names file, line and field."""

    name: str
    folder: Path | None

    def wrong(self, node: yaml.Node, path: str, message: str) -> InputError:
        where = f"{self.name}, line {node.start_mark.line + 1}"
        return InputError(f"{where}, field {path!r}: {message}" if path else f"{where}: {message}")

    def score(self, node: yaml.Node) -> Score:
        known = ("unit", "snap", "crossfade", "genre", "movements", "text", "guidance", "timeline")
        fields = self.mapping(node, "", known)
        if "timeline" not in fields:
            raise self.wrong(node, "timeline", "expected a list of entries, got none")
        unit = self.choice(fields.get("unit"), "unit", UNITS, "seconds")
        beat = self.choice(fields.get("snap"), "snap", SNAPS, "beat")
        items = self.sequence(fields["timeline"], "timeline", MOST_ENTRIES)
        if not items:
            raise self.wrong(fields["timeline"], "timeline", "expected at least one entry, got an empty list")
        entries = tuple(
            self.entry(item, f"timeline[{number}]", unit=unit, beat=beat) for number, item in enumerate(items, 1)
        )
        if sum(len(entry.poses) for entry in entries) > MOST_POSES:
            raise self.wrong(fields["timeline"], "timeline", f"expected at most {MOST_POSES} poses")
        for same in UNITS:  # what needs no song to be seen is said before one is decoded
            timed = [
                (entry, _comparable(entry.begin), _comparable(entry.end))
                for entry in entries
                if entry.end is not None and entry.begin.unit == entry.end.unit == same
            ]
            _refuse_disorder(self.name, timed)
            _refuse_overlaps(self.name, timed)
        return Score(
            name=self.name,
            entries=entries,
            words=self.words(fields, ""),
            guidance=self.guidance(fields.get("guidance"), "guidance"),
            crossfade=self.number(fields.get("crossfade"), "crossfade", 0.0, 5.0, CROSSFADE),
        )

    def entry(self, node: yaml.Node, path: str, *, unit: Any, beat: Any) -> Entry:
        known = ("from", "to", "genre", "movements", "text", "guidance", "snap", "poses")
        fields = self.mapping(node, path, known)
        if "from" not in fields:
            raise self.wrong(node, f"{path}.from", "expected where the entry begins, got nothing; try from: 0")
        to = fields.get("to")
        own = self.choice(fields.get("snap"), f"{path}.snap", SNAPS, beat)
        begin = self.moment(fields["from"], f"{path}.from", unit)
        poses = self.sequence(fields["poses"], f"{path}.poses", MOST_POSES) if "poses" in fields else []
        return Entry(
            begin=begin,
            end=None if to is None or self.plain(to, f"{path}.to") == "end" else self.moment(to, f"{path}.to", unit),
            words=self.words(fields, f"{path}."),
            guidance=self.guidance(fields.get("guidance"), f"{path}.guidance"),
            snap=own,
            poses=tuple(
                self.pose(pose, f"{path}.poses[{number}]", unit=unit, beat=own) for number, pose in enumerate(poses, 1)
            ),
            line=node.start_mark.line + 1,
        )

    def pose(self, node: yaml.Node, path: str, *, unit: Any, beat: Any) -> KeyPose:
        fields = self.mapping(node, path, ("at", "pose", "file", "frame", "time", "ease"))
        if "at" not in fields or ("pose" in fields) == ("file" in fields):
            raise self.wrong(node, path, "expected at, and either pose (a name) or file (a dance)")
        if "pose" in fields:
            name = self.plain(fields["pose"], f"{path}.pose").lower()
            if name not in POSES:
                raise self.wrong(fields["pose"], f"{path}.pose", f"expected one of {', '.join(POSES)}, got {name!r}")
            motion, frame = POSES[name](), 0
        else:
            motion, frame = self.posed(fields, path)
        return KeyPose(
            at=self.moment(fields["at"], f"{path}.at", unit),
            snap=beat,
            ease=self.number(fields.get("ease"), f"{path}.ease", 0.0, 2.0, EASE),
            root_height=float(motion.root_position[frame, 1]),
            rotations=motion.rotations[frame],
            joint_names=motion.skeleton.names,
            line=node.start_mark.line + 1,
        )

    def posed(self, fields: dict[str, yaml.Node], path: str) -> tuple[Motion, int]:
        """The dance that a pose is taken from, and its frame."""
        written = self.plain(fields["file"], f"{path}.file")
        if self.folder is None:
            raise self.wrong(fields["file"], f"{path}.file", "expected a named pose: this score has no folder of files")
        try:
            motion = Motion.load(self.folder / written)
        except InputError as error:
            raise self.wrong(fields["file"], f"{path}.file", str(error)) from error
        if ("frame" in fields) == ("time" in fields):
            raise self.wrong(fields["file"], path, "expected frame (from 0) or time (seconds) beside file")
        if "frame" in fields:
            return motion, int(self.number(fields["frame"], f"{path}.frame", 0, motion.frames - 1, 0, whole=True))
        time = self.number(fields["time"], f"{path}.time", 0.0, motion.seconds, 0.0)
        return motion, min(round(time * motion.fps), motion.frames - 1)

    def words(self, fields: dict[str, yaml.Node], path: str) -> Words:
        genre = self.plain(fields["genre"], f"{path}genre") if "genre" in fields else None
        if genre is not None:
            try:
                find_genre(genre)
            except InputError as error:
                raise self.wrong(fields["genre"], f"{path}genre", str(error)) from error
        movements: tuple[str, ...] = ()
        if "movements" in fields:
            node = fields["movements"]
            parts = [node] if isinstance(node, yaml.ScalarNode) else self.sequence(node, f"{path}movements", 20)
            movements = tuple(self.plain(part, f"{path}movements") for part in parts)
        text = self.plain(fields["text"], f"{path}text") if "text" in fields else None
        return Words(genre, movements, text)

    def guidance(self, node: yaml.Node | None, path: str) -> dict[str, float]:
        if node is None:
            return {}
        fields = self.mapping(node, path, Guidance._fields)
        return {
            key: self.number(value, f"{path}.{key}", 0.0, 1.0 if key == "until" else 30.0, 1.0)
            for key, value in fields.items()
        }

    def moment(self, node: yaml.Node, path: str, unit: Any) -> Moment:
        written = self.plain(node, path).lower()
        line = node.start_mark.line + 1
        match = _TIME.fullmatch(written)
        found: Moment | None = None
        if written == "start":
            found = Moment("seconds", 0.0)
        elif match is None:
            found = None
        elif match["minutes"] is not None:
            found = Moment("seconds", 60 * float(match["minutes"]) + float(match["rest"]))
        elif match["number"] is not None:
            meant: dict[str, Unit] = {"bea": "beats", "bar": "bars"}
            found = Moment(meant.get((match["unit"] or unit)[:3], "seconds"), float(match["number"]))
        elif match["beat"] is not None:
            found = Moment("beats", float(match["beat"]))
        else:
            found = Moment("bars", float(match["bar"]), float(match["inner"] or 1))
        if found is None:
            raise self.wrong(
                node, path, f"expected a time such as 12.5, 1:05, beat 33, bar 9 or bar 9 beat 3, got {written!r}"
            )
        if found.unit != "seconds" and min(found.value, found.beat) < 1:
            raise self.wrong(node, path, f"expected {found.unit} counted from 1, got {written!r}")
        return found._replace(line=line)

    def mapping(self, node: yaml.Node, path: str, known: Sequence[str]) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            raise self.wrong(node, path, f"expected fields such as {known[0]}: ..., got {_kind(node)}")
        fields: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = self.plain(key, path)
            name = {"movement": "movements"}.get(name, name) if "movements" in known else name
            inner = f"{path}.{name}" if path else name
            if name not in known:
                raise self.wrong(key, inner, f"expected one of {', '.join(known)}")
            if name in fields:
                first = fields[name].start_mark.line + 1
                raise self.wrong(key, inner, f"expected the field once, got it in line {first} as well")
            fields[name] = value
        return fields

    def sequence(self, node: yaml.Node, path: str, most: int) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode):
            raise self.wrong(node, path, f"expected a list, got {_kind(node)}")
        if len(node.value) > most:
            raise self.wrong(node, path, f"expected at most {most} of them, got {len(node.value)}")
        return node.value

    def plain(self, node: yaml.Node, path: str) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self.wrong(node, path, f"expected a word or a number, got {_kind(node)}")
        if not node.tag.startswith("tag:yaml.org,2002:") or "python" in node.tag:
            raise self.wrong(node, path, f"expected a word or a number without a tag, got {node.tag}")
        value = node.value.strip()
        if not value:
            raise self.wrong(node, path, "expected a word or a number, got nothing")
        if len(value) > LONGEST_TEXT:
            raise self.wrong(node, path, f"expected at most {LONGEST_TEXT} letters, got {len(value)}")
        return value

    def choice(self, node: yaml.Node | None, path: str, known: Sequence[str], default: str) -> Any:
        if node is None:
            return default
        value = self.plain(node, path).lower()
        if value not in known:
            raise self.wrong(node, path, f"expected {' or '.join(known)}, got {value!r}")
        return value

    def number(
        self, node: yaml.Node | None, path: str, least: float, most: float, default: float, *, whole: bool = False
    ) -> float:
        if node is None:
            return default
        written = self.plain(node, path)
        kind = "a whole number" if whole else "a number"
        try:
            value = float(int(written)) if whole else float(written)
        except (ValueError, OverflowError) as error:
            raise self.wrong(node, path, f"expected {kind}, got {written!r}") from error
        if not least <= value <= most:
            raise self.wrong(node, path, f"expected {kind} from {least:g} to {most:g}, got {written}")
        return value


def _comparable(moment: Moment) -> float:
    return moment.value + (moment.beat - 1) / BEATS_PER_BAR if moment.unit == "bars" else moment.value


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode):
        return repr(node.value[:40])
    return "a list" if isinstance(node, yaml.SequenceNode) else "fields"


# --- named poses ---------------------------------------------------------------------------------------------


def _pose(turns: dict[str, tuple[float, float, float]], *, knees: float = 0.0) -> Motion:
    """One frame: rotation vectors (radians) by joint, with knees bent by twice ``knees`` above flat feet."""
    vectors = np.zeros((len(SMPL24), 3))
    for joint, turn in turns.items():
        vectors[SMPL24.index(joint)] = turn
    for side in ("left", "right"):
        for joint, share in (("hip", -1), ("knee", 2), ("ankle", -1)):
            vectors[SMPL24.index(f"{side}_{joint}"), 0] = share * knees
    root = np.array([[0.0, SMPL24.rest_root_height - SMPL24.leg_length * (1 - np.cos(knees)), 0.0]])
    return Motion(root, matrix_from_axis_angle(torch.from_numpy(vectors)).numpy()[None], fps=30.0)


_HANGING = {"left_shoulder": (0.0, 0.0, -1.35), "right_shoulder": (0.0, 0.0, 1.35)}
_RAISED = {"left_shoulder": (0.0, 0.0, 1.25), "right_shoulder": (0.0, 0.0, -1.25)}
POSES: dict[str, Callable[[], Motion]] = {
    "stand": lambda: _pose(_HANGING),
    "arms out": lambda: _pose({}),
    "arms up": lambda: _pose(_RAISED),
    "crouch": lambda: _pose(_HANGING, knees=0.9),
}
"""Poses that a score may name."""
