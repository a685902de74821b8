"""FineDance: ``motion/001.npy`` (frames, 315), ``label_json/001.json`` and ``music_wav/001.wav`` as published.

A motion row is the body's translation (3) and 52 joints in 6D (312): 22 body joints of SMPL, then 30 of the hands,
which are not used. 30 frames per second, y up, metres.

Source: Li et al. 2023 (FineDance); the dances left out and the seconds without dance are those of Lodge's release.
"""

import json
import os
import re
from pathlib import Path

from longdance.data.catalogue import load_catalogue
from longdance.data.open import face_forward
from longdance.data.paired import Listing, PairedClip, find_song
from longdance.errors import InputError
from longdance.motion.motion import Motion
from longdance.motion.smpl_files import finedance_motion, read_array

MUSIC_FOLDERS = ("music_wav", "music")

LICENCE = (
    "Motion and music from FineDance (Li et al. 2023), published for research only: weights trained on it are bound by "
    "its terms."
)


def _ids(*numbers: int) -> frozenset[str]:
    return frozenset(f"{number:03}" for number in numbers)


TESTS = {
    "genre": _ids(12, 36, 37, 63, 65, 92, 98, 109, 120, 130, 132, 137, 143, 144, 161, 179, 193, 198, 204, 211),
    "dancer": _ids(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 124, 126, 128, 130, 132),
}
"""Test dances of FineDance@Genre, on which the papers report, and of FineDance@Dancer."""
VALIDATION = {
    "genre": frozenset(),
    "dancer": _ids(115, 117, 119, 121, 122, 135, 137, 139, 141, 143, 145, 147),
}
"""Validation dances; none are published for FineDance@Genre."""
LEFT_OUT = _ids(116, 117, 118, 119, 120, 121, 122, 123, 202)
"""Dances with faulty movement; 120 is a test song of FineDance@Genre all the same, for its music."""
OPENINGS = {
    "004": 8.0, "005": 10.0, "010": 0.1, "014": 0.1, "067": 6.0, "105": 19.0, "110": 14.0, "113": 29.0, "153": 52.0,
    "211": 22.0,
}  # fmt: skip
"""Seconds at the beginning in which hardly anything happens."""

GENRES = {
    "breaking": "breaking", "popping": "popping", "locking": "locking", "hiphop": "middle-hip-hop",
    "urban": "la-hip-hop", "choreography": "la-hip-hop", "jazz": "street-jazz",
    "tai": "dai", "dai": "dai", "uighur": "uyghur", "wei": "uyghur", "hmong": "miao", "miao": "miao",
    "hantang": "han-tang", "shenyun": "shen-yun", "kun": "kunqu", "dunhuang": "dunhuang", "korean": "korean",
    "chinese": "chinese",
}  # fmt: skip
"""The data set's own words for a genre (``style2``, in lower case) to the catalogue's, in which studio choreography to
songs goes by LA-style hip-hop."""


def catalogue_genre(style: str) -> str:
    """Canonical genre of the data set's word for it; ``InputError`` for a word that is not known."""
    name = GENRES.get(style.strip().lower().replace(" ", ""))
    if name is None or name not in load_catalogue():
        raise InputError(
            f"expected one of FineDance's genres ({', '.join(GENRES)}), got {style!r}; try downloading the labels again"
        )
    return name


def split_of(clip: str, rule: str) -> str | None:
    """The split of a dance by FineDance@Genre (``genre``) or FineDance@Dancer (``dancer``); None if it is left out."""
    if clip in LEFT_OUT:
        return None
    if clip in TESTS[rule]:
        return "test"
    return "val" if clip in VALIDATION[rule] else "train"


def list_clips(source: str | os.PathLike, *, rule: str = "genre") -> Listing:
    """Every dance of the data set by the split ``rule``; missing, extra and misnamed files are named."""
    source = Path(source)
    if rule not in TESTS:
        raise InputError(f"expected the split rule genre or dancer, got {rule!r}")
    motions = source / "motion"
    if not motions.is_dir():
        raise InputError(
            f"{source}: expected the unpacked FineDance with the folders motion, label_json and music_wav, found no "
            "motion; try the folder that holds all three"
        )
    songs = [folder for folder in (source / name for name in MUSIC_FOLDERS) if folder.is_dir()]
    clips: list[PairedClip] = []
    failed: dict[str, str] = {}
    left_out = 0
    for path in sorted(motions.iterdir()):
        try:
            if path.suffix != ".npy" or not re.fullmatch(r"\d{3}", path.stem):
                raise InputError(f"{path}: expected only files such as 001.npy in motion; try moving it elsewhere")
            split = split_of(path.stem, rule)
            if split is None:
                left_out += 1
                continue
            clips.append(_clip(path, split, songs, source))
        except InputError as error:
            failed[path.stem] = str(error)
    notes = [f"{left_out} dances with faulty movement were left out, as in Lodge"] if left_out else []
    return Listing(clips, failed, notes)


def _clip(path: Path, split: str, songs: list[Path], source: Path) -> PairedClip:
    song = find_song(songs, (path.stem,))
    if song is None:
        places = songs[0] if songs else source / MUSIC_FOLDERS[0]
        raise InputError(f"{places / path.stem}.wav: expected the music of {path.name}, found none; try adding it")
    label = source / "label_json" / f"{path.stem}.json"
    try:
        record = json.loads(label.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{label}: expected the label of {path.name} ({error}); try downloading it again") from error
    if not isinstance(record, dict) or not isinstance(record.get("style2"), str):
        raise InputError(f"{label}: expected the genre under style2; try downloading it again")
    try:
        genre = catalogue_genre(record["style2"])
    except InputError as error:
        raise InputError(f"{label}: {error}") from error
    return PairedClip(
        clip=path.stem, path=path, song=song, split=split, genre=genre, start=OPENINGS.get(path.stem, 0.0)
    )


def read_motion(path: str | os.PathLike) -> Motion:
    """A dance at 30 fps on our skeleton; ``InputError`` names the file and what is missing, misshapen or NaN."""
    path = Path(path)
    return face_forward(finedance_motion(path, read_array(path)))
