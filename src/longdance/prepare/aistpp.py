"""AIST++ as published, cut into takes as EDMG does. Source: EDMG section 4.1 and table 1."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from longdance.data import aistpp
from longdance.prepare.paired import PairedSettings, plan_paired
from longdance.prepare.parts import Part
from longdance.prepare.stores import Dataset, Plan

REGISTER = {"dataset": {"aistpp": {"make": "AISTPP", "about": "AIST++ as published", "order": 2}}}

TABLE_SHARE = 0.7
"""Share of the takes in EDMG's table 1 from which on a genre counts as complete, and is brought to that number."""


class AISTPPSettings(PairedSettings):
    """What a store of AIST++ holds. Defaults are the paper's (EDMG section 4.1) but for the music encoder (Jukebox)."""

    fps: Annotated[float, Field(gt=0, le=240)] = 60.0
    window_seconds: Annotated[float, Field(gt=0, le=60)] = 10.0
    """Length of the takes; shorter dances are repeated to it, longer ones cut."""
    windows: Literal["table1", "consecutive"] = "table1"
    """Either as many takes per genre as EDMG's table 1 counts, spread evenly over its sequences, or simply one after
    the other."""


def plan(source: Path, settings: AISTPPSettings) -> Plan:
    """AIST++ (see ``longdance.data.aistpp`` for the folder) as takes of ten seconds.

    Where the whole data set is there, notes put the number of takes of each genre beside EDMG's table 1.
    """
    frames = round(settings.window_seconds * settings.fps)
    return plan_paired(
        aistpp.list_clips(source),
        aistpp.read_motion,
        settings,
        aistpp.LICENCE,
        least_frames=frames,
        cut=lambda parts: takes_of_windows(parts, frames, settings),
    )


def takes_of_windows(parts: list[Part], window: int, settings: AISTPPSettings) -> tuple[list[Part], list[str]]:
    """Clips cut into takes of one window each, and the number of takes per genre beside EDMG's table 1."""
    clips = [record for records, *_ in parts for record in records]
    starts = {id(record): aistpp.consecutive_windows(record["frames"], window) for record in clips}
    notes = []
    for code, entry in aistpp.GENRES.items():
        own = [record for record in clips if record["clip"].startswith(code) and not record["mirrored"]]
        if not own:
            continue
        count = sum(len(starts[id(record)]) for record in own)
        if settings.windows == "table1" and count >= TABLE_SHARE * entry.windows:
            # In the order of names: a song's file name must not decide what is kept.
            own.sort(key=lambda record: record["clip"])
            spread = aistpp.spread_windows([record["frames"] for record in own], window, entry.windows)
            chosen = {record["clip"]: begins for record, begins in zip(own, spread, strict=True)}
            for record in clips:
                if record["clip"] in chosen:
                    starts[id(record)] = chosen[record["clip"]]
            count = sum(map(len, spread))
        notes.append(f"{entry.title}: {count} takes (EDMG's table 1: {entry.windows})")
    cut = []
    for records, motion, music in parts:
        takes = [_cut(record, begin, window, settings.fps) for record in records for begin in starts[id(record)]]
        cut.append((takes, motion, music))
    kept = Counter(record["split"] for records, *_ in cut for record in records)
    notes.append("takes: " + ", ".join(f"{count} {split}" for split, count in kept.items()))
    return cut, notes


def _cut(record: dict, begin: int, frames: int, fps: float) -> dict:
    """The record of a stretch of a take."""
    beats = np.array(record["beat_times"]) - begin / fps
    return {
        **record,
        "frames": frames,
        "start": record["start"] + begin,
        "music_start": record["music_start"] + begin,
        "beat_times": tuple(round(float(t), 4) for t in beats[(beats >= 0) & (beats < frames / fps)]),
        "song_start": record.get("song_start", 0.0) + begin / fps,
    }


AISTPP = Dataset(AISTPPSettings, plan)
