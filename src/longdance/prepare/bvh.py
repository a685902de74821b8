"""A user's own BVH files, with or without songs."""

import os
from typing import Annotated

from pydantic import Field

from longdance.data import bvh_folder
from longdance.prepare.paired import prepare_paired
from longdance.prepare.silent import SilentSettings, with_standardised_curves
from longdance.prepare.stores import Dataset, Outcome, check
from longdance.progress import Progress

REGISTER = {"dataset": {"bvh": {"make": "BVH", "about": "a folder of BVH files of your own", "order": 4}}}


class BVHSettings(SilentSettings):
    """What a store of the user's own BVH files holds, with or without songs."""

    held_out: Annotated[float, Field(ge=0, lt=0.5)] = 0.1
    """Share of each genre's clips for validation, and again for test."""


def prepare_bvh(
    source: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    settings: BVHSettings | None = None,
    workers: int | None = None,
    ray: str | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Read a folder of BVH files, with or without songs (see ``longdance.data.bvh_folder``), into a store.

    As with ``prepare_open`` a second run does nothing, a run cut short goes on, broken files are left out and named.
    """
    settings = settings or BVHSettings()
    check(settings)
    return prepare_paired(
        bvh_folder.list_clips(source, held_out=settings.held_out),
        bvh_folder.read_motion,
        folder,
        source=source,
        settings=settings,
        licence=bvh_folder.LICENCE,
        cut=with_standardised_curves,
        workers=workers,
        ray=ray,
        progress=progress,
    )


BVH = Dataset(BVHSettings, prepare_bvh)
