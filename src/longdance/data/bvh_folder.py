"""A user's own dances: BVH files in folders named by genre, with or without a song of the same name beside them.

    mydances/salsa/first.bvh  first.mp3     a salsa with its music
    mydances/breaking/six-step/take1.bvh    a breaking clip of one movement
"""

import hashlib
import math
import os
from dataclasses import replace
from pathlib import Path

from longdance.data.catalogue import find_genre, find_movements
from longdance.data.open import CUTOFF, bridge_leaps, face_forward
from longdance.data.paired import Listing, PairedClip, find_song
from longdance.errors import InputError
from longdance.motion.bvh import load_bvh_motion
from longdance.motion.ik import lock_feet
from longdance.motion.motion import Motion

LICENCE = "Motion and music of the person who prepared this store."


def list_clips(source: str | os.PathLike, *, held_out: float = 0.1) -> Listing:
    """Every ``.bvh`` under ``source`` with its genre, movement and song.

    The first folder names the genre, a second one the movement, both as the catalogue knows them. Of every genre, about
    the share ``held_out`` goes to each of validation and test, chosen by the files' names, and at least one clip stays
    for training.
    """
    source = Path(source)
    if not source.is_dir():
        raise InputError(f"{source}: expected a folder of BVH files, found none")
    paths = sorted(path for path in source.rglob("*") if path.suffix.lower() == ".bvh" and path.is_file())
    if not paths:
        raise InputError(f"{source}: expected .bvh files in folders named by genre, found none")
    clips: list[PairedClip] = []
    failed: dict[str, str] = {}
    for path in paths:
        name = path.relative_to(source).with_suffix("").as_posix()
        try:
            genre, movements = _labels(path, source)
        except InputError as error:
            failed[name] = f"{path}: {error}"
            continue
        song = find_song([path.parent], (path.stem,))
        clips.append(
            PairedClip(clip=name, path=path, song=song, split="train", genre=genre, movements=movements)
        )
    return Listing(_held_out(clips, held_out), failed, [])


def read_motion(path: str | os.PathLike) -> Motion:
    """A BVH file on our skeleton, cleaned as the open data are, facing +z on average from above x = z = 0.

    ``InputError`` names a file that cannot be read.
    """
    return face_forward(lock_feet(bridge_leaps(load_bvh_motion(path)).low_pass(CUTOFF)))


def _labels(path: Path, source: Path) -> tuple[str, tuple[str, ...]]:
    folders = path.relative_to(source).parent.parts
    if not folders:
        raise InputError("expected it in a folder named by its genre; try moving it into one")
    genre = find_genre(folders[0]).genre
    if len(folders) == 1:
        return genre.name, ()
    found = [match.movement for match in find_movements(folders[1], genre)]
    own = [movement.name for movement in found if movement.genre == genre.name]
    if not own:
        raise InputError(
            f"expected a movement of {genre.name} as the name of its folder, got {folders[1]!r}; "
            f"try `longdance catalogue {genre.name}`"
        )
    return genre.name, (own[0],)


def _held_out(clips: list[PairedClip], share: float) -> list[PairedClip]:
    """Splits dealt out by the digest of the names: adding a clip hardly moves the others."""
    result = {clip.clip: clip for clip in clips}
    for genre in {clip.genre for clip in clips}:
        names = sorted(
            (clip.clip for clip in clips if clip.genre == genre),
            key=lambda name: hashlib.sha256(name.encode()).digest(),
        )
        count = min(math.floor(share * len(names) + 0.5), (len(names) - 1) // 2)
        for split, chosen in (("test", names[:count]), ("val", names[count : 2 * count])):
            for name in chosen:
                result[name] = replace(result[name], split=split)
    return [result[clip.clip] for clip in clips]
