"""Where models lie and what a folder holds, told from its ``config.json`` without loading anything."""

import json
import os
from pathlib import Path

from longdance.errors import InputError

WEIGHTS = Path(__file__).resolve().parent.parent / "weights"
GLOBAL, LOCAL = "global", "local"
"""Folders of Lodge's two stages within a model's folder; also what tells their noise apart."""


def shipped() -> tuple[str, ...]:
    """Names of the models whose weights come with the package."""
    return tuple(sorted({folder.name for folder in WEIGHTS.glob("*") if parts_of(folder)}))


def parts_of(folder: Path) -> tuple[Path, ...]:
    """The checkpoints that make the model in a folder: one, or Lodge's two; none for a folder without a model."""
    if (folder / "config.json").is_file():
        return (folder,)
    stages = (folder / GLOBAL, folder / LOCAL)
    return stages if all((stage / "config.json").is_file() for stage in stages) else ()


def folder_of(name: str | os.PathLike) -> Path:
    """Where a model lies, shipped or not; ``InputError`` for a name or folder that holds none."""
    folder = WEIGHTS / str(name) if str(name) in shipped() else Path(name)
    if not parts_of(folder):
        known = " or ".join((*shipped(), "a folder with a trained model"))
        raise InputError(f"{name}: expected {known}")
    return folder


def record_of(folder: Path) -> dict:
    """What the checkpoint of a folder (of a Lodge, its local stage) says of itself; ``InputError`` if unreadable."""
    path = parts_of(folder)[-1] / "config.json" if parts_of(folder) else folder / "config.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected the configuration of a model ({error})") from error
    if not isinstance(record, dict):
        raise InputError(f"{path}: expected the configuration of a model, got {type(record).__name__}")
    return record


def kind_of(folder: Path) -> str:
    """The kind of network that dances: lodge for its two stages, else what the record names; '' where it names none."""
    if len(parts_of(folder)) > 1:
        return "lodge"
    record = record_of(folder)
    return str(record.get("denoiser") or record.get("generator") or "")
