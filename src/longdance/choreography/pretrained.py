"""Models by name: the shipped ones, and any folder that holds a run or a checkpoint."""

import os
from pathlib import Path

from longdance.choreography.edmg import EDMG
from longdance.errors import InputError
from longdance.models.checkpoint import Checkpoint

WEIGHTS = Path(__file__).resolve().parent.parent / "weights"


def shipped() -> tuple[str, ...]:
    """Names of the models whose weights come with the package."""
    return tuple(sorted(path.parent.name for path in WEIGHTS.glob("*/config.json")))


def load(name: str | os.PathLike = "edmg") -> EDMG:
    """A shipped model by name, or the model in a folder (a training run, or a checkpoint).

    ``InputError`` for a name or folder that holds none.
    """
    folder = WEIGHTS / str(name) if str(name) in shipped() else Path(name)
    if not (folder / "config.json").is_file():
        known = " or ".join((*shipped(), "a folder with a trained model"))
        raise InputError(f"{name}: expected {known}")
    return EDMG(Checkpoint.load(folder), name=Path(name).name)
