"""A library of phrases: recorded takes, and where in them phrases of some counts begin and end, in one compact file.

A phrase is a stretch of a take between two of its beats; takes are stored once, phrases that overlap share them. The
mirrored twin of a phrase is the same stretch with left and right swapped, so it takes no room. Where phrases are cut is
in `cutting`, where libraries are kept in `shelf`.
"""

import json
import os
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Float

from longdance.errors import InputError, by_likeness
from longdance.files import atomic_write
from longdance.motion import rotations as rot
from longdance.motion.motion import UNREADABLE, Motion
from longdance.motion.skeleton import SMPL24

FORMAT = 1
FPS = 30.0
"""Frames per second of the takes in a library."""
TURN_UNIT, PLACE_UNIT = np.pi / 32767, 1e-4
"""Radians and metres of one step of the stored numbers."""
LARGEST = 500_000_000
"""Bytes that a file may unpack to: thirty hours of dance."""


@dataclass(frozen=True, kw_only=True)
class Phrase:
    """Counts ``marks[0]`` to ``marks[-1]`` of a take."""

    name: str
    """The take's clip, the beat of it at which the phrase begins, and "/4" behind it if it has four counts."""
    take: int
    """Number of the take in the library."""
    marks: tuple[float, ...]
    """(counts + 1,) fractional frames of the take: its beats, as measured from the movement."""

    @property
    def counts(self) -> int:
        """Beats that it lasts."""
        return len(self.marks) - 1

    @property
    def tempo_bpm(self) -> float:
        """As it was danced."""
        return 60.0 * FPS * self.counts / (self.marks[-1] - self.marks[0])


@dataclass(frozen=True, kw_only=True)
class TakeFacts:
    """What is known of a take beside its movement."""

    clip: str
    genre: str
    movements: tuple[str, ...]
    """Names of the catalogue, and the source's own words where it has none."""
    source: str = ""
    steady: bool = True
    """Whether it keeps a beat; others were cut at pauses."""
    frames: int = 0


class Cut(NamedTuple):
    """A take with its phrases, as it comes into a library."""

    facts: TakeFacts
    motion: Motion
    marks: Sequence[tuple[float, ...]]
    """Of each phrase."""
    names: Sequence[str]


@dataclass(frozen=True, eq=False)
class Library:
    """Takes and their phrases."""

    name: str
    licence: str
    takes: tuple[TakeFacts, ...]
    phrases: tuple[Phrase, ...]
    turns: np.ndarray = field(repr=False)
    """(frames, 72) int16: steps of rotation vectors from frame to frame, each take from zero."""
    places: np.ndarray = field(repr=False)
    """(frames, 3) int16: steps of the root."""
    _motions: dict[int, Motion] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def of(cls, name: str, cuts: Iterable[Cut], *, licence: str) -> "Library":
        """A library of takes at ``FPS`` on SMPL24."""
        takes, phrases, turns, places = [], [], [], []
        for number, cut in enumerate(cuts):
            vectors = rot.axis_angle_from_matrix(torch.from_numpy(cut.motion.rotations)).numpy()
            turns.append(_steps(vectors.reshape(len(vectors), -1) / TURN_UNIT).astype(np.int64).astype(np.int16))
            places.append(_steps(cut.motion.root_position / PLACE_UNIT).astype(np.int16))
            takes.append(TakeFacts(**(asdict(cut.facts) | {"frames": cut.motion.frames})))
            phrases += [
                Phrase(name=title, take=number, marks=tuple(round(float(mark), 2) for mark in marks))
                for title, marks in zip(cut.names, cut.marks, strict=True)
            ]
        if not phrases:
            raise InputError(f"expected at least one phrase of four counts for the library {name}, found none")
        return cls(name, licence, tuple(takes), tuple(phrases), np.concatenate(turns), np.concatenate(places))

    @property
    def genres(self) -> dict[str, int]:
        """Genres, and how many phrases of each there are."""
        found: dict[str, int] = {}
        for phrase in self.phrases:
            genre = self.takes[phrase.take].genre
            found[genre] = found.get(genre, 0) + 1
        return dict(sorted(found.items()))

    def motion(self, take: int) -> Motion:
        """A take as it was recorded."""
        if take not in self._motions:
            begin = int(self._begins[take])
            rows = slice(begin, begin + self.takes[take].frames)
            # Rotation vectors wrap around as they are summed; the path is longer than 16 bits.
            turns = np.cumsum(self.turns[rows], axis=0, dtype=np.int16).astype(np.float64) * TURN_UNIT
            places = np.cumsum(self.places[rows], axis=0, dtype=np.int64) * PLACE_UNIT
            matrices = rot.matrix_from_axis_angle(torch.from_numpy(turns.reshape(len(turns), len(SMPL24), 3)))
            self._motions[take] = Motion(places, matrices.numpy(), fps=FPS, skeleton=SMPL24)
        return self._motions[take]

    def facts(self, phrase: Phrase) -> TakeFacts:
        """Those of a phrase's take."""
        return self.takes[phrase.take]

    def phrase(self, name: str) -> Phrase:
        """The phrase of a name; ``InputError`` with the nearest names for an unknown one."""
        if name not in self._by_name:
            near = ", ".join(by_likeness(name, self._by_name)[:4])
            raise InputError(f"expected a phrase of the library {self.name}, got {name!r}; try {near}")
        return self._by_name[name]

    def without(self, clips: Iterable[str]) -> "Library":
        """The same without the phrases of some clips."""
        left_out = set(clips)
        kept = tuple(phrase for phrase in self.phrases if self.takes[phrase.take].clip not in left_out)
        return Library(self.name, self.licence, self.takes, kept, self.turns, self.places)

    @cached_property
    def _by_name(self) -> dict[str, Phrase]:
        return {phrase.name: phrase for phrase in self.phrases}

    @cached_property
    def _begins(self) -> Float[np.ndarray, " takes"]:
        return np.cumsum([0.0, *(take.frames for take in self.takes)])[:-1]

    def save(self, path: str | os.PathLike) -> None:
        """Write the file."""
        record = {
            "format": FORMAT,
            "licence": self.licence,
            "takes": [asdict(take) for take in self.takes],
            "phrases": [[phrase.name, phrase.take, list(phrase.marks)] for phrase in self.phrases],
        }
        with atomic_write(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, turns=self.turns, places=self.places, record=np.array(json.dumps(record)))

    @classmethod
    def load(cls, path: str | os.PathLike, *, name: str | None = None) -> "Library":
        """Read the file; ``InputError`` if it is damaged or none."""
        path = Path(path)
        try:
            with open(path, "rb") as opened, np.lib.npyio.NpzFile(opened, allow_pickle=False) as file:
                members = cast(zipfile.ZipFile, file.zip).infolist()
                if sum(member.file_size for member in members) > LARGEST:
                    raise ValueError(f"more than {LARGEST / 1e6:.0f} MB")
                turns, places, text = file["turns"], file["places"], str(file["record"])
            record = json.loads(text)
            if record["format"] != FORMAT:
                raise ValueError(f"made by another version, format {record['format']}; make it again")
            takes = tuple(TakeFacts(**{**take, "movements": tuple(take["movements"])}) for take in record["takes"])
            phrases = tuple(
                Phrase(name=str(title), take=int(take), marks=tuple(float(mark) for mark in marks))
                for title, take, marks in record["phrases"]
            )
            frames = sum(take.frames for take in takes)
            if turns.shape != (frames, 3 * len(SMPL24)) or places.shape != (frames, 3) or turns.dtype != np.int16:
                raise ValueError(f"expected {frames} frames, got {turns.shape} and {places.shape}")
            if any(not _inside(phrase, takes) for phrase in phrases) or not phrases:
                raise ValueError("phrases outside of their takes")
            return cls(name or path.stem, str(record["licence"]), takes, phrases, turns, places)
        except (*UNREADABLE, TypeError, AttributeError, RecursionError) as error:
            raise InputError(f"{path}: expected a library of phrases, could not read it ({error})") from error


def _inside(phrase: Phrase, takes: Sequence[TakeFacts]) -> bool:
    marks = np.asarray(phrase.marks)
    within = 0 <= phrase.take < len(takes) and len(marks) > 2 and bool(np.isfinite(marks).all())
    return within and marks[0] >= 0 and marks[-1] <= takes[phrase.take].frames - 1 and bool((np.diff(marks) > 0).all())


def _steps(values: np.ndarray) -> np.ndarray:
    """(frames, ...) whole numbers that sum up to the rounded values."""
    return np.diff(np.round(values), axis=0, prepend=0.0)
