"""Formats and the names of files in them; light enough for the command line to import at once."""

import os
from pathlib import Path

from longdance.errors import InputError
from longdance.registry import FORMATS

__all__ = ["FORMATS", "file_ending", "format_of", "is_format", "stem_of"]


def file_ending(form: str) -> str:
    """What the name of a file of the format ends in, without the leading dot."""
    return FORMATS.entry(form).facts.get("ending", form)


def _named(path: Path) -> tuple[str, str] | None:
    """The format and the ending that a file's name has; of several endings the longest."""
    name, fits = path.name.lower(), []
    for entry in FORMATS.entries():
        for ending in (file_ending(entry.name), *entry.facts.get("aliases", ())):
            if name.endswith(f".{ending}"):
                fits.append((entry.name, ending))
    return max(fits, key=lambda fit: len(fit[1]), default=None)


def is_format(path: str | os.PathLike) -> bool:
    """Whether a file's name ends as one of ``FORMATS`` does."""
    return _named(Path(path)) is not None


def format_of(path: str | os.PathLike) -> str:
    """The format that a file's name asks for; ``InputError`` for an ending that is none of ``FORMATS``."""
    named = _named(Path(path))
    if named is None:
        endings = ", ".join(file_ending(each) for each in FORMATS)
        raise InputError(f"{path}: expected a file ending among {endings}, got {Path(path).suffix or 'none'}")
    return named[0]


def stem_of(path: str | os.PathLike) -> str:
    """The file's name without what names its format."""
    name, named = Path(path).name, _named(Path(path))
    return Path(name).stem if named is None else name[: -len(named[1]) - 1]
