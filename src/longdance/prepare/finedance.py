"""FineDance as published: whole dances with their songs."""

from pathlib import Path
from typing import Literal

from longdance.data import finedance
from longdance.prepare.paired import PairedSettings, plan_paired
from longdance.prepare.stores import Dataset, Plan

REGISTER = {"dataset": {"finedance": {"make": "FINEDANCE", "about": "FineDance as published", "order": 3}}}


class FineDanceSettings(PairedSettings):
    """What a store of FineDance holds: whole dances."""

    split: Literal["genre", "dancer"] = "genre"
    """FineDance@Genre, on which the papers report, or FineDance@Dancer."""


def plan(source: Path, settings: FineDanceSettings) -> Plan:
    """FineDance (see ``longdance.data.finedance`` for the folder) as whole dances."""
    listing = finedance.list_clips(source, rule=settings.split)
    return plan_paired(listing, finedance.read_motion, settings, finedance.LICENCE)


FINEDANCE = Dataset(FineDanceSettings, plan)
