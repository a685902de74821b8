"""Dances that come with their music: what every reader of such a data set hands over, and SMPL poses as a ``Motion``.

Readers list clips (``PairedClip``) and read one clip's movement; cutting, encoding and storing belong to
``longdance.train.prepare``.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from longdance.data.open import face_forward
from longdance.errors import InputError
from longdance.motion import rotations as rot
from longdance.motion.motion import Motion
from longdance.motion.skeleton import SMPL24

SMPL_LEG_LENGTH = 0.777
"""Metres from hip to ankle along the bones of SMPL's mean body; our skeleton's proportions are its own."""
FLOOR_PERCENTILE = 5.0
"""Share of frames, in percent, in which the lower foot may be below the floor: capture noise, not standing."""
LARGEST_SPEED = 30.0
"""Metres per second at which nobody travels; capture errors of real sequences stay below."""

AUDIO_ENDINGS = (".wav", ".mp3", ".flac", ".ogg", ".m4a")


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
    """SMPL poses (22 or 24 joints) and body translation in metres, y up, as a ``Motion`` on our skeleton.

    The path is scaled by the ratio of leg lengths, so that feet which stood still stand still on our legs; the floor is
    put where the lower foot rests; the dance starts above x = z = 0 and faces +z on average. Hands that the data lack
    are straight.
    """
    full = np.broadcast_to(np.eye(3), (len(rotations), len(SMPL24), 3, 3)).copy()
    full[:, : rotations.shape[1]] = rotations
    motion = Motion(translation * (SMPL24.leg_length / SMPL_LEG_LENGTH), full, fps=fps)
    feet = [SMPL24.index(name) for name in ("left_ankle", "right_ankle", "left_foot", "right_foot")]
    clearance = (motion.joints()[:, feet, 1] - SMPL24.rest_positions[feet, 1]).min(1)
    floor = float(np.percentile(clearance, FLOOR_PERCENTILE))
    return face_forward(replace(motion, root_position=motion.root_position - np.array([0.0, floor, 0.0])))


def checked(path: Path, what: str, values: np.ndarray, shape: tuple[int | None, ...]) -> np.ndarray:
    """The values as float64; ``InputError`` names the file, the field and the first frame where they cannot be used.

    None in ``shape`` stands for the number of frames, at least one.
    """
    wanted = f"({', '.join('frames' if size is None else str(size) for size in shape)})"
    if (
        values.ndim != len(shape)
        or any(size not in (None, found) for size, found in zip(shape, values.shape, strict=True))
        or not values.size
        or values.dtype.kind not in "fiu"
    ):
        raise InputError(
            f"{path}: expected numbers of shape {wanted} in {what}, got {values.dtype} {values.shape}; "
            "try downloading the file again"
        )
    values = values.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(1))
    if len(bad):
        raise InputError(
            f"{path}: expected finite numbers in {what}, got NaN or infinity in {len(bad)} of {len(values)} frames, "
            f"first in frame {bad[0]}; try downloading the file again, or leave it out"
        )
    return values


def without_leaps(path: Path, translation: np.ndarray, fps: float) -> np.ndarray:
    """The translation in metres; ``InputError`` where the body leaps as no body does, a sign of wrong units."""
    steps = np.linalg.norm(np.diff(translation, axis=0), axis=1)
    if len(steps) and steps.max() * fps > LARGEST_SPEED:
        raise InputError(
            f"{path}: expected a path in metres, got a leap of {steps.max():.1f} m after frame {steps.argmax()}; "
            "try downloading the file again, or leave it out"
        )
    return translation


def axis_angle_matrices(values: np.ndarray) -> np.ndarray:
    """(frames, joints, 3) axis-angle in radians to (frames, joints, 3, 3)."""
    return rot.matrix_from_axis_angle(torch.from_numpy(values)).numpy()


def find_song(folders: list[Path], names: tuple[str, ...]) -> Path | None:
    """The first audio file of one of the names, in the order of names, then folders, then endings."""
    for name in names:
        for folder in folders:
            for ending in AUDIO_ENDINGS:
                path = folder / f"{name}{ending}"
                if path.is_file():
                    return path
    return None
