"""A user's own BVH files, with or without songs."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from longdance.data import bvh_folder
from longdance.prepare.paired import plan_paired
from longdance.prepare.silent import SilentSettings, with_standardised_curves
from longdance.prepare.stores import Dataset, Plan

REGISTER = {"dataset": {"bvh": {"make": "BVH", "about": "a folder of BVH files of your own", "order": 4}}}


class BVHSettings(SilentSettings):
    """What a store of the user's own BVH files holds, with or without songs."""

    held_out: Annotated[float, Field(ge=0, lt=0.5)] = 0.1
    """Share of each genre's clips for validation, and again for test."""


def plan(source: Path, settings: BVHSettings) -> Plan:
    """A folder of BVH files, with or without songs (see ``longdance.data.bvh_folder``)."""
    listing = bvh_folder.list_clips(source, held_out=settings.held_out)
    return plan_paired(listing, bvh_folder.read_motion, settings, bvh_folder.LICENCE, cut=with_standardised_curves)


BVH = Dataset(BVHSettings, plan)
