"""Prepared stores: encoded motion and music features of many takes, memory-mapped, ready to cut windows from.

A store is a folder with ``store.json`` (what is inside and how it was made), ``motion.npy`` (frames, width) and
``music.npy`` (frames, channels). ``store.json`` is written last: a folder without it is not a store.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from longdance.errors import InputError
from longdance.files import atomic_write
from longdance.motion.layout import LAYOUTS, Layout, Normaliser, centred, translated
from longdance.motion.motion import UNREADABLE

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Take:
    """A stretch of movement with its music. Clips appear as several takes: mirrored, at other tempi."""

    clip: str
    split: str
    genre: str
    movements: tuple[str, ...]
    frames: int
    start: int
    """First row in ``motion.npy``."""
    music_start: int
    """First row in ``music.npy``; mirrored takes share their twin's music where there is some."""
    mirrored: bool = False
    variant: int = 0
    """0 is the clip as captured; others differ in tempo."""
    silent: bool = False
    """Whether there is no music: the rhythm plan in its place was measured from the movement."""
    beat_times: tuple[float, ...] = field(default=(), repr=False)
    song: str = ""
    """File of the music that it was danced to; empty where there is none, or where an older version prepared it."""
    song_start: float = 0.0
    """Second of the song at which the take begins."""


@dataclass(frozen=True, eq=False)
class Store:
    """A store opened for reading: ``motion`` (frames, width) and ``music`` (frames, channels) of all takes in a row."""

    folder: Path
    fps: float
    layout: Layout
    music_encoder: str
    takes: tuple[Take, ...]
    motion: np.ndarray
    music: np.ndarray
    fingerprint: str
    licence: str
    _translated: dict[str, np.ndarray] = field(default_factory=dict, init=False, repr=False)
    """Motion in other layouts, by their names."""

    @classmethod
    def open(cls, folder: str | os.PathLike) -> "Store":
        """Open a prepared folder; ``InputError`` if it is none or was made by another version."""
        folder = Path(folder)
        record = _read_record(folder)
        if record is None:
            raise InputError(f"{folder}: expected a prepared store; make one with `longdance prepare`")
        try:
            takes = tuple(
                Take(**{**t, "movements": tuple(t["movements"]), "beat_times": tuple(t["beat_times"])})
                for t in record["takes"]
            )
            store = cls(
                folder=folder,
                fps=float(record["fps"]),
                layout=LAYOUTS[record["layout"]],
                music_encoder=record["music_encoder"],
                takes=takes,
                motion=np.load(folder / "motion.npy", mmap_mode="r"),
                music=np.load(folder / "music.npy", mmap_mode="r"),
                fingerprint=record["fingerprint"],
                licence=record["licence"],
            )
        except (AttributeError, *UNREADABLE) as error:
            raise InputError(f"{folder}: the store is damaged ({error}); prepare it again") from error
        return store

    def select(self, split: str, *, original: bool = False) -> list[Take]:
        """The takes of a split; ``original`` leaves out mirrored and tempo-changed copies."""
        return [
            take
            for take in self.takes
            if take.split == split and not (original and (take.mirrored or take.variant))
        ]

    def motion_of(self, take: Take, layout: Layout | None = None) -> np.ndarray:
        """(frames, width) float32 features of a take, in the store's layout or another that its motion can be told in.

        ``InputError`` for a layout with joints that the store does not have.
        """
        motion = self.motion
        if layout is not None and layout is not self.layout:
            if layout.name not in self._translated:
                self._translated[layout.name] = translated(self.motion, self.layout, layout)
            motion = self._translated[layout.name]
        return motion[take.start : take.start + take.frames]

    def music_of(self, take: Take) -> np.ndarray:
        """(frames, channels) float32 music features of a take."""
        return self.music[take.music_start : take.music_start + take.frames]

    @cached_property
    def music_statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and scale (channels,) of the music features of the training takes."""
        rows = np.concatenate([self.music_of(take) for take in self.select("train") if not take.mirrored])
        return rows.mean(0), np.maximum(rows.std(0), 1e-3)

    @cached_property
    def normaliser(self) -> Normaliser:
        """Statistics of the training takes, root position relative to each five-second stretch's start."""
        stretch = round(5 * self.fps)
        rows = [
            centred(np.array(self.motion_of(take)[begin : begin + stretch]), self.layout)
            for take in self.select("train")
            for begin in range(0, take.frames, stretch)
        ]
        return Normaliser.fit(np.concatenate(rows), self.layout)


def is_prepared(folder: str | os.PathLike, fingerprint: str) -> bool:
    """Whether the folder holds a store made from exactly these inputs and settings."""
    record = _read_record(Path(folder))
    return record is not None and record.get("fingerprint") == fingerprint


def write_store(
    folder: str | os.PathLike,
    *,
    fps: float,
    layout: Layout,
    music_encoder: str,
    fingerprint: str,
    licence: str,
    settings: dict,
    parts: list[tuple[list[dict], np.ndarray, np.ndarray]],
) -> None:
    """Write a store from its parts: (takes with starts relative to the part, motion rows, music rows)."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "store.json").unlink(missing_ok=True)
    takes, motion_rows, music_rows = [], 0, 0
    for records, motion, music in parts:
        for record in records:
            start, music_start = record["start"] + motion_rows, record["music_start"] + music_rows
            takes.append(asdict(Take(**{**record, "start": start, "music_start": music_start})))
        motion_rows, music_rows = motion_rows + len(motion), music_rows + len(music)
    arrays = {"motion": [motion for _, motion, _ in parts], "music": [music for _, _, music in parts]}
    for name, rows in arrays.items():
        with atomic_write(folder / f"{name}.npy") as temporary, open(temporary, "wb") as file:
            np.save(file, np.concatenate(rows).astype(np.float32))
    record = {
        "format": FORMAT,
        "fps": fps,
        "layout": layout.name,
        "music_encoder": music_encoder,
        "fingerprint": fingerprint,
        "licence": licence,
        "settings": settings,
        "takes": takes,
    }
    with atomic_write(folder / "store.json") as temporary:
        temporary.write_text(json.dumps(record))


def _read_record(folder: Path) -> dict | None:
    try:
        record = json.loads((folder / "store.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and record.get("format") == FORMAT else None
