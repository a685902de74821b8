"""Dances that come with their music: what every reader of such a data set hands over, and SMPL poses as a ``Motion``.

Readers list clips (``PairedClip``) and read one clip's movement; cutting, encoding and storing belong to
``longdance.prepare.paired``.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from longdance.data.open import face_forward
from longdance.files import AUDIO_ENDINGS
from longdance.motion.motion import Motion
from longdance.motion.smpl_files import motion_of_smpl


@dataclass(frozen=True, kw_only=True)
class PairedClip:
    """One dance of a data set with its music."""

    clip: str
    path: Path
    song: Path | None
    """The music; None where the dance came without."""
    split: str
    genre: str
    """A canonical genre name of the catalogue."""
    movements: tuple[str, ...] = ()
    start: float = 0.0
    """Seconds at the beginning of dance and music that are left out."""


class Listing(NamedTuple):
    """What a data set's folder holds."""

    clips: list[PairedClip]
    failed: dict[str, str]
    """Name of a file or clip that cannot be used to the reason and the remedy."""
    notes: list[str]


def smpl_motion(
    translation: Float[np.ndarray, "frames 3"],
    rotations: Float[np.ndarray, "frames joints 3 3"],
    fps: float | int,
) -> Motion:
    """``motion_of_smpl``, starting above x = z = 0 and facing +z on average, as all data sets do."""
    return face_forward(motion_of_smpl(translation, rotations, float(fps)))


def find_song(folders: list[Path], names: tuple[str, ...]) -> Path | None:
    """The first audio file of one of the names, in the order of names, then folders, then endings."""
    for name in names:
        for folder in folders:
            for ending in AUDIO_ENDINGS:
                path = folder / f"{name}{ending}"
                if path.is_file():
                    return path
    return None
