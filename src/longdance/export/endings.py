"""Formats by name, and the names of files in them; light enough for the command line to import at once."""

import os
from pathlib import Path

from longdance.errors import InputError

FORMATS = ("npz", "bvh", "mp4", "glb", "vrma", "fbx", "usd", "amass", "html")
"""Formats that can be written, by the name that the command line takes."""

ENDINGS = {"amass": "amass.npz"}
"""What a file's name ends in, where that is not the format's name."""

ALIASES = {"usda": "usd", "usdc": "usd", "usdz": "usd", "htm": "html"}
"""Other endings that formats go by."""


def file_ending(form: str) -> str:
    """What the name of a file of the format ends in, without the leading dot."""
    return ENDINGS.get(form, form)


def _named(path: Path) -> str | None:
    for form, ending in ENDINGS.items():
        if path.name.lower().endswith(f".{ending}"):
            return form
    name = path.suffix.lower().removeprefix(".")
    name = ALIASES.get(name, name)
    return name if name in FORMATS else None


def is_format(path: str | os.PathLike) -> bool:
    """Whether a file's name ends as one of ``FORMATS`` does."""
    return _named(Path(path)) is not None


def format_of(path: str | os.PathLike) -> str:
    """The format that a file's name asks for; ``InputError`` for an ending that is none of ``FORMATS``."""
    form = _named(Path(path))
    if form is None:
        endings = ", ".join(file_ending(each) for each in FORMATS)
        raise InputError(f"{path}: expected a file ending among {endings}, got {Path(path).suffix or 'none'}")
    return form


def stem_of(path: str | os.PathLike) -> str:
    """The file's name without what names its format."""
    name = Path(path).name
    return name[: -len(ENDINGS[form]) - 1] if (form := format_of(path)) in ENDINGS else Path(name).stem
