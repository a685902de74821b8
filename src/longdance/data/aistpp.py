"""AIST++: official annotation files (``motions/*.pkl``, ``splits``, ``ignore_list.txt``) and the AIST music.

The folder is the unpacked annotations, with the music beside them in ``music`` (or ``wavs``, ``wav``, ``audio``,
``all_musics``), named by music (``mBR0.wav``) or by sequence. Sequences are named by genre, situation, camera, dancer,
music and choreography: ``gBR_sBM_cAll_d04_mBR0_ch01``. Cameras and keypoints are not used.

Source: Li et al. 2021 (AIST++), Tsuchida et al. 2019 (AIST); windows and counts from EDMG section 4.1 and table 1.
"""

import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from longdance.data.catalogue import Genre, load_catalogue
from longdance.data.open import face_forward
from longdance.data.paired import Listing, PairedClip, find_song
from longdance.errors import InputError
from longdance.motion.motion import Motion
from longdance.motion.safe_pickle import read_pickle
from longdance.motion.smpl_files import aist_motion

MUSIC_FOLDERS = ("music", "wavs", "wav", "audio", "all_musics")
SPLIT_FILES = {"train": "crossmodal_train.txt", "val": "crossmodal_val.txt", "test": "crossmodal_test.txt"}

LICENCE = (
    "Motion from AIST++ (annotations by Google LLC, CC BY 4.0), music and dances from the AIST Dance Video Database "
    "(its own terms of use, research only): weights trained on it are bound by them."
)

BASIC_CHOREOGRAPHIES = 10
"""Choreographies per genre in the basic dances (situation BM)."""
ADVANCED_CHOREOGRAPHIES = 21
"""Choreographies per genre in the advanced dances (situation FM): seven of each of three dancers."""


class GenreEntry(NamedTuple):
    """One of the ten genres."""

    title: str
    """As in EDMG's table 1."""
    windows: int
    """Sequences of ten seconds in EDMG's table 1."""


GENRES = {
    "gBR": GenreEntry("Breaking", 172),
    "gPO": GenreEntry("Popping", 158),
    "gLO": GenreEntry("Locking", 170),
    "gWA": GenreEntry("Waacking", 165),
    "gMH": GenreEntry("Medium Hip-hop", 160),
    "gLH": GenreEntry("LA-style Hip-hop", 168),
    "gHO": GenreEntry("House dance", 155),
    "gKR": GenreEntry("Krumping", 163),
    "gJS": GenreEntry("Street Jazz", 159),
    "gJB": GenreEntry("Ballet Jazz", 165),
}
"""Genre code of the sequence names to what it stands for. Source: Tsuchida et al. 2019; EDMG, table 1."""

_NAME = re.compile(r"(g[A-Z]{2})_s(BM|FM)_cAll_(d\d\d)_(m([A-Z]{2})\d)_ch(\d\d)")


class Sequence(NamedTuple):
    """What a sequence's name says."""

    genre: str
    """Code, such as gBR."""
    basic: bool
    """A basic choreography of the genre, or one of the dancer's own."""
    dancer: str
    music: str
    choreography: int
    """From 1."""


def parse_name(name: str) -> Sequence:
    """The parts of a sequence's name; ``InputError`` for a name of another form."""
    match = _NAME.fullmatch(name)
    if match is None or match[1] not in GENRES or int(match[6]) < 1:
        raise InputError(
            f"expected a sequence name such as gBR_sBM_cAll_d04_mBR0_ch01, got {name!r}; try the official file names"
        )
    return Sequence(match[1], match[2] == "BM", match[3], match[4], int(match[6]))


def catalogue_genre(code: str) -> Genre:
    """The catalogue's entry of a genre code; ``InputError`` if the catalogue lacks it."""
    for genre in load_catalogue().values():
        if genre.aist_code == code:
            return genre
    raise InputError(f"expected {GENRES[code].title} ({code}) in the catalogue; try adding a file to assets/catalogue")


def movements_of(sequence: Sequence, genre: Genre) -> tuple[str, ...]:
    """The fundamental movements that stand for a sequence: dealt out in catalogue order by choreography number.

    With n choreographies of the kind (ten basic, 21 advanced), choreography c gets every n-th movement from the c-th
    on, so that all movements occur, each with as few choreographies as possible, and music, dancer and split do not
    matter. Choreographies beyond the number of movements begin again at the first.

    The paper gives each window its genre's movement descriptions but not which; this rule is ours. It names movements
    of the genre and does not look at what is danced.
    """
    count = BASIC_CHOREOGRAPHIES if sequence.basic else ADVANCED_CHOREOGRAPHIES
    names = [movement.name for movement in genre.fundamentals]
    if not names:
        return ()
    first = (sequence.choreography - 1) % count % len(names)
    return tuple(names[first::count])


def list_clips(source: str | os.PathLike) -> Listing:
    """Every sequence of the official cross-modal splits that is not on the ignore list, sorted by music and name.

    Missing, extra and misnamed files are named; ``InputError`` where the folder is no AIST++ at all.
    """
    source = Path(source)
    motions = source / "motions"
    for needed in (motions, source / "splits"):
        if not needed.is_dir():
            raise InputError(
                f"{source}: expected the unpacked AIST++ annotations with the folders motions and splits, found no "
                f"{needed.name}; try the folder that holds both"
            )
    splits = _read_splits(source)
    ignored = _read_ignored(source)
    songs = [folder for folder in (source / name for name in MUSIC_FOLDERS) if folder.is_dir()]
    present = {path.name: path for path in sorted(motions.iterdir())}
    clips: list[PairedClip] = []
    failed: dict[str, str] = {}
    notes: list[str] = []
    for name, split in splits.items():
        path = present.pop(f"{name}.pkl", None)
        if name in ignored:
            continue
        try:
            clips.append(_clip(name, split, path or motions / f"{name}.pkl", songs, source))
        except InputError as error:
            failed[name] = str(error)
    outside = 0
    for file, path in present.items():
        try:
            if path.suffix != ".pkl":
                raise InputError(f"{path}: expected only .pkl files in motions; try moving it elsewhere")
            parse_name(path.stem)
            outside += path.stem not in ignored
        except InputError as error:
            failed[file] = str(error) if str(path) in str(error) else f"{path}: {error}"
    if ignored:
        notes.append(f"{len(ignored)} sequences are on the official ignore list")
    if outside:
        notes.append(f"{outside} sequences belong to no cross-modal split and were left out")
    clips.sort(key=lambda clip: (str(clip.song), clip.clip))
    return Listing(clips, failed, notes)


def _clip(name: str, split: str, path: Path, songs: list[Path], source: Path) -> PairedClip:
    sequence = parse_name(name)
    if not path.is_file():
        raise InputError(f"{path}: expected this file, which the split {split} lists, found none; try unpacking again")
    song = find_song(songs, (name, sequence.music))
    if song is None:
        places = songs[0] if songs else source / MUSIC_FOLDERS[0]
        raise InputError(f"{places / sequence.music}.wav: expected the music of {name}, found none; try adding it")
    genre = catalogue_genre(sequence.genre)
    return PairedClip(
        clip=name, path=path, song=song, split=split, genre=genre.name, movements=movements_of(sequence, genre)
    )


def _read_splits(source: Path) -> dict[str, str]:
    """Sequence name to split; ``InputError`` for a missing list and for a sequence in two of them."""
    splits: dict[str, str] = {}
    for split, file in SPLIT_FILES.items():
        for name in _lines(source / "splits" / file):
            if splits.setdefault(name, split) != split:
                raise InputError(
                    f"{source / 'splits' / file}: expected {name} in one split, got it in {splits[name]} as well; try "
                    "the official lists"
                )
    return splits


def _read_ignored(source: Path) -> set[str]:
    for path in (source / "ignore_list.txt", source / "splits" / "ignore_list.txt"):
        if path.is_file():
            return set(_lines(path))
    raise InputError(
        f"{source / 'ignore_list.txt'}: expected the official list of sequences with bad reconstructions, found none; "
        "try downloading it (it comes beside the annotations)"
    )


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected a list of sequence names ({error}); try downloading it again") from error


def read_motion(path: str | os.PathLike) -> Motion:
    """A sequence at 60 fps on our skeleton; ``InputError`` names the file and what is missing, misshapen or NaN."""
    path = Path(path)
    return face_forward(aist_motion(path, read_pickle(path)))


def spread_windows(frames: list[int], window: int, total: int) -> list[list[int]]:
    """First frames of ``total`` windows over takes of the given lengths: at least one in each, more in longer takes.

    Windows go one at a time to the take with the most frames per window it would then have, and lie evenly over their
    take, so they may overlap. If there are fewer windows than takes, evenly chosen takes get one each.
    """
    if total <= len(frames):
        chosen = {round((index + 0.5) * len(frames) / total - 0.5) for index in range(total)} if total else set()
        return [[0] if index in chosen else [] for index in range(len(frames))]
    counts = [1] * len(frames)
    for _ in range(total - len(frames)):
        counts[max(range(len(frames)), key=lambda index: frames[index] / (counts[index] + 1))] += 1
    return [
        [round(start) for start in np.linspace(0, max(0, length - window), count)]
        for length, count in zip(frames, counts, strict=True)
    ]


def consecutive_windows(frames: int, window: int) -> list[int]:
    """First frames of the windows that follow each other; a rest is left out, a short take is one window."""
    return list(range(0, max(1, frames // window) * window, window))
