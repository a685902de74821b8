"""Where libraries of phrases are kept: the shipped one in the package, a user's own in the user's data folder."""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from longdance.choreography.phrases.cutting import cut
from longdance.choreography.phrases.library import Cut, Library, TakeFacts
from longdance.choreography.phrases.sources import Source
from longdance.data.open import CUTOFF, bridge_leaps, face_forward
from longdance.errors import InputError, by_likeness
from longdance.files import user_data_folder
from longdance.motion.dance_files import read_dance
from longdance.motion.ik import lock_feet
from longdance.motion.motion import Motion
from longdance.motion.skeleton import SMPL24
from longdance.progress import Progress

SHIPPED = "open"
"""Name of the library that comes with the package."""
SHIPPED_FILE = Path(__file__).parents[2] / "assets" / "phrases" / f"{SHIPPED}.npz"
FOLDER_VARIABLE = "LONGDANCE_LIBRARIES"
"""Environment variable that names the folder of the user's libraries."""
ENDING = ".npz"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
OWN_LICENCE = "Motion of the person who made this library."


def libraries_folder() -> Path:
    """Where a user's libraries are."""
    return user_data_folder("libraries", FOLDER_VARIABLE)


def library_names() -> list[str]:
    """The shipped library first, then the user's."""
    own = sorted(path.stem for path in libraries_folder().glob(f"*{ENDING}") if path.is_file())
    return [SHIPPED, *(name for name in own if name != SHIPPED)]


def open_library(name: str | None = None) -> Library:
    """A library by name, the shipped one where None; ``InputError`` with those that there are."""
    path = library_file(name)
    return _opened(path, path.stat().st_mtime_ns)


def library_file(name: str | None = None) -> Path:
    """The file of a library by name, of the shipped one where None; ``InputError`` with those that there are."""
    if name is None or name == SHIPPED:
        return SHIPPED_FILE
    path = libraries_folder() / f"{_checked(name)}{ENDING}"
    if not path.is_file():
        known = by_likeness(name, library_names())
        say = "`longdance library add` makes one"
        raise InputError(f"expected a library among {', '.join(known)}, got {name!r}; {say}")
    return path


@lru_cache(maxsize=4)
def _opened(path: Path, _changed: int) -> Library:
    return Library.load(path, name=path.stem)


def remove_library(name: str) -> Path:
    """Remove one of the user's libraries; ``InputError`` for an unknown one, and for the shipped one."""
    if name == SHIPPED:
        raise InputError(f"expected a library of your own, got {name}, which comes with the package")
    path = libraries_folder() / f"{_checked(name)}{ENDING}"
    if not path.is_file():
        raise InputError(f"expected a library among {', '.join(library_names()[1:]) or 'none'}, got {name!r}")
    path.unlink()
    return path


class Added(NamedTuple):
    """What came of making a library."""

    path: Path
    library: Library
    failed: list[str]
    """Files that could not be used, and why."""


def add_library(
    name: str,
    sources: Sequence[Source],
    *,
    read: Callable[[Path], Motion] = read_dance,
    licence: str = OWN_LICENCE,
    progress: Progress | None = None,
) -> Added:
    """Make one of the user's libraries of files; one of that name is replaced.

    ``read`` makes a motion of a file. Files that cannot be used are left out and named; ``InputError`` if none can.
    """
    if name == SHIPPED:
        raise InputError(f"expected a name of your own for the library, got {name}, which is the shipped one's")
    path, failed, cuts = libraries_folder() / f"{_checked(name)}{ENDING}", [], []
    for number, source in enumerate(sources):
        if progress is not None:
            progress(number, len(sources), source.path.name)
        try:
            made = cut(cleaned(read(source.path)), _facts(source))
        except InputError as error:
            text = str(error)
            failed.append(text if str(source.path) in text else f"{source.path}: {text}")
            continue
        if made.marks:
            cuts.append(made)
        else:
            failed.append(f"{source.path}: expected at least four counts of dance, found none; try a longer take")
    if not cuts:
        raise InputError(f"expected a file with a phrase for the library {name}; " + "; ".join(failed[:3]))
    library = Library.of(name, cuts, licence=licence)
    library.save(path)
    return Added(path, library, failed)


def cleaned(motion: Motion) -> Motion:
    """A foreign take on our skeleton, cleaned as the open data are, facing +z on average.

    ``InputError`` for joints that are not SMPL's.
    """
    count = len(motion.skeleton)
    if motion.skeleton.names != SMPL24.names[:count] or count < 22:
        raise InputError(f"expected the joints of SMPL, got {', '.join(motion.skeleton.names[:3])}, ...")
    if motion.frames < 4:
        raise InputError(f"expected some seconds of dance, got {motion.frames} frames")
    motion = on_smpl24(motion)
    return face_forward(lock_feet(bridge_leaps(motion).low_pass(CUTOFF)))


def on_smpl24(motion: Motion) -> Motion:
    """A motion of SMPL's first joints on our proportions: legs scale the path, joints that it lacks rest."""
    if motion.skeleton is SMPL24:
        return motion
    count = len(motion.skeleton)
    rotations = np.tile(np.eye(3), (motion.frames, len(SMPL24), 1, 1))
    rotations[:, :count] = motion.rotations[:, : len(SMPL24)]
    root = motion.root_position * (SMPL24.leg_length / motion.skeleton.leg_length)
    root[:, 1] += SMPL24.rest_root_height - motion.skeleton.rest_root_height * (
        SMPL24.leg_length / motion.skeleton.leg_length
    )
    return Motion(root, rotations, fps=motion.fps, skeleton=SMPL24, meta=motion.meta)


def shipped_library(takes: Iterable[tuple[TakeFacts, Motion]], licence: str) -> Library:
    """The library that is shipped, of takes that were cleaned already."""
    cuts: list[Cut] = [made for facts, motion in takes if (made := cut(motion, facts)).marks]
    return Library.of(SHIPPED, cuts, licence=licence)


def _facts(source: Source) -> TakeFacts:
    return TakeFacts(clip=source.clip, genre=source.genre, movements=source.movements, source=source.path.name)


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InputError(f"expected letters, digits, -, _ and . in a library's name, got {name!r}")
    return name
