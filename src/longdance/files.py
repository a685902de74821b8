"""Files that are written whole or not at all, and where a user's own lie."""

import glob
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

AUDIO_ENDINGS = (
    ".wav", ".mp3", ".ogg", ".oga", ".opus", ".flac", ".m4a", ".aac", ".wma", ".aif", ".aiff",
    ".mp4", ".mkv", ".mov", ".webm", ".avi",
)  # fmt: skip
"""Endings of files that may hold a song: sound, and films with sound."""
CACHE_VARIABLE = "LONGDANCE_CACHE"
"""Variable of the environment that names the folder of what took long to compute."""


@contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[Path]:
    """Context that hands out a temporary name beside ``path`` and moves it there only if all went well."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem[:40]}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(path: str | os.PathLike) -> None:
    """Remove temporary files beside ``path`` that ``atomic_write`` could not, because its process was killed.

    Only for one who knows that nobody else is writing ``path``.
    """
    path = Path(path)
    for temporary in path.parent.glob(f".{glob.escape(path.stem[:40])}-{'?' * 8}{glob.escape(path.suffix)}"):
        temporary.unlink(missing_ok=True)


def checksum(path: str | os.PathLike) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def user_data_folder(kind: str, variable: str) -> Path:
    """Where a user's things of a ``kind`` lie: where ``variable`` of the environment says, else in the usual place."""
    import platformdirs

    named = os.environ.get(variable)
    return Path(named) if named else platformdirs.user_data_path("longdance", appauthor=False) / kind


def user_cache_folder(kind: str) -> Path:
    """Where what took long to compute is kept: below ``CACHE_VARIABLE`` if set, else in the usual place."""
    import platformdirs

    named = os.environ.get(CACHE_VARIABLE)
    return (Path(named) if named else platformdirs.user_cache_path("longdance", appauthor=False)) / kind
