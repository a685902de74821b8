"""Files of a user's own dances, with what is known of each: from a table, from the folders they lie in, or as told."""

import csv
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from longdance.data.catalogue import find_genre, movements_of_label
from longdance.errors import InputError
from longdance.motion.dance_files import DANCE_ENDINGS

MOST_FILES = 5000


class Source(NamedTuple):
    """A file to take phrases from, and what is known of it."""

    path: Path
    clip: str
    genre: str
    """A genre of the catalogue, or empty for one's own, which goes with any."""
    movements: tuple[str, ...] = ()


def sources_in(
    folder: Path,
    *,
    genre: str | None = None,
    labels: Path | None = None,
    endings: Collection[str] = DANCE_ENDINGS,
) -> list[Source]:
    """Every dance file below ``folder``.

    ``labels`` is a CSV with the columns file, genre and movement (either of the latter may be missing or empty), files
    seen from ``folder``. Where it says nothing, ``genre`` holds; where that is None, the name of the first folder, if
    the catalogue knows it. ``InputError`` for a folder without dances and for tables that cannot be read.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder of dances ({', '.join(sorted(endings))}), found none")
    told = {} if labels is None else _read_labels(labels)
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in endings and path.is_file())
    if not paths:
        raise InputError(f"{folder}: expected dances ({', '.join(sorted(endings))}), found none")
    if len(paths) > MOST_FILES:
        raise InputError(f"{folder}: expected at most {MOST_FILES} dances, found {len(paths)}; try a folder of fewer")
    known = find_genre(genre).genre.name if genre else None
    found, taken = [], set()
    for path in paths:
        place = path.relative_to(folder)
        own, movement = told.get(place.as_posix(), told.get(path.name, ("", "")))
        name = find_genre(own).genre.name if own else known or _of_folder(place)
        clip = "".join(letter if letter.isalnum() or letter in "_-." else "_" for letter in path.stem) or "take"
        if clip in taken:
            clip = f"{clip}-{len(taken) + 1}"
        taken.add(clip)
        words = movements_of_label(name, movement) if movement else ()
        found.append(Source(path, clip, name, tuple(words)))
    return found


def _of_folder(place: Path) -> str:
    if len(place.parts) < 2:
        return ""
    try:
        return find_genre(place.parts[0]).genre.name
    except InputError:
        return ""


def _read_labels(path: Path) -> dict[str, tuple[str, str]]:
    """File names to genre and movement."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if "file" not in (rows.fieldnames or ()):
                raise InputError(f"{path}: expected the columns file, genre and movement; got {rows.fieldnames}")
            return {
                (row["file"] or "").strip(): ((row.get("genre") or "").strip(), (row.get("movement") or "").strip())
                for row in rows
            }
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: expected a readable table of labels ({error})") from error
