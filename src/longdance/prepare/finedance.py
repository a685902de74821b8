"""FineDance as published: whole dances with their songs."""

import os
from typing import Literal

from longdance.data import finedance
from longdance.prepare.paired import PairedSettings, prepare_paired
from longdance.prepare.stores import Dataset, Outcome, check
from longdance.progress import Progress

REGISTER = {"dataset": {"finedance": {"make": "FINEDANCE", "about": "FineDance as published", "order": 3}}}


class FineDanceSettings(PairedSettings):
    """What a store of FineDance holds: whole dances."""

    split: Literal["genre", "dancer"] = "genre"
    """FineDance@Genre, on which the papers report, or FineDance@Dancer."""


def prepare_finedance(
    source: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    settings: FineDanceSettings | None = None,
    workers: int | None = None,
    ray: str | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Read FineDance (see ``longdance.data.finedance`` for the folder) into a store of whole dances.

    As with ``prepare_open`` a second run does nothing, a run cut short goes on, broken files are left out and named.
    """
    settings = settings or FineDanceSettings()
    check(settings)
    return prepare_paired(
        finedance.list_clips(source, rule=settings.split),
        finedance.read_motion,
        folder,
        source=source,
        settings=settings,
        licence=finedance.LICENCE,
        workers=workers,
        ray=ray,
        progress=progress,
    )


FINEDANCE = Dataset(FineDanceSettings, prepare_finedance)
