"""Reading and checking a score file; the format is described in ``docs/score.md``.

Files come from anyone: they are parsed to plain nodes, of which none is turned into an object, aliases are refused,
and size and depth are limited.
"""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from longdance.choreography.score import (
    BEATS_PER_BAR,
    CROSSFADE,
    SNAPS,
    UNITS,
    Danced,
    Entry,
    KeyPose,
    Moment,
    Score,
    Unit,
    refuse_disorder,
    refuse_overlaps,
)
from longdance.choreography.words import Words
from longdance.data.catalogue import find_genre
from longdance.diffusion.guidance import Guidance
from longdance.errors import InputError
from longdance.models.strengths import STRONGEST, Strengths
from longdance.motion.motion import Motion
from longdance.motion.rotations import matrix_from_axis_angle
from longdance.motion.skeleton import SMPL24

LARGEST_FILE = 1_000_000
"""Bytes."""
MOST_NODES, DEEPEST, MOST_ENTRIES, MOST_POSES, LONGEST_TEXT = 30_000, 8, 4000, 200, 2000
YES, NO = ("yes", "true"), ("no", "false")
EASE = 0.4
"""Seconds before and after a pose over which the dance is drawn to it, if the file does not say."""


def load_score(path: str | os.PathLike) -> Score:
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
    return parse_score(text, name=str(path), folder=path.parent)


def parse_score(text: str, *, name: str = "score", folder: Path | None = None) -> Score:
    """Read a score from YAML (or JSON) text; without a ``folder`` it may not name pose files."""
    if len(text) > LARGEST_FILE:
        raise InputError(f"{name}: expected a score of at most {LARGEST_FILE // 1000} kB, got {len(text)} letters")
    return _Reader(name, folder).score(_compose(text, name))


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
        known = ("unit", "snap", "crossfade", "genre", "movements", "text", "guidance", "energy", "timeline")
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
            refuse_disorder(self.name, timed)
            refuse_overlaps(self.name, timed)
        return Score(
            name=self.name,
            entries=entries,
            words=self.words(fields, ""),
            guidance=self.guidance(fields.get("guidance"), "guidance"),
            energy=self.energy(fields.get("energy"), "energy"),
            crossfade=self.number(fields.get("crossfade"), "crossfade", 0.0, 5.0, CROSSFADE),
        )

    def entry(self, node: yaml.Node, path: str, *, unit: Any, beat: Any) -> Entry:
        known = (
            "from", "to", "genre", "movements", "text", "guidance", "energy", "snap", "poses", "phrase", "mirror",
            "counts",
        )  # fmt: skip
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
            energy=self.energy(fields.get("energy"), f"{path}.energy"),
            snap=own,
            poses=tuple(
                self.pose(pose, f"{path}.poses[{number}]", unit=unit, beat=own) for number, pose in enumerate(poses, 1)
            ),
            danced=self.danced(fields, path, node),
            line=node.start_mark.line + 1,
        )

    def danced(self, fields: dict[str, yaml.Node], path: str, node: yaml.Node) -> Danced | None:
        """The recorded phrase that an entry names."""
        if "phrase" not in fields:
            if more := [name for name in ("mirror", "counts") if name in fields]:
                raise self.wrong(fields[more[0]], f"{path}.{more[0]}", "expected a phrase beside it, got none")
            return None
        return Danced(
            phrase=self.plain(fields["phrase"], f"{path}.phrase"),
            mirrored=self.choice(fields.get("mirror"), f"{path}.mirror", YES + NO, NO[0]) in YES,
            counts=round(self.number(fields.get("counts"), f"{path}.counts", 1, 64, 0, whole=True)),
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

    def energy(self, node: yaml.Node | None, path: str) -> dict[str, float]:
        if node is None:
            return {}
        fields = self.mapping(node, path, Strengths._fields)
        return {key: self.number(value, f"{path}.{key}", 0.0, STRONGEST, 1.0) for key, value in fields.items()}

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
