"""Dances to be measured, from whatever wrote them: our files, BVH, and the files of other systems.

Everything ends up as joints in metres, y up, on the floor y = 0. Pickles are read without running anything in them.
"""

import hashlib
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from longdance.data.aistpp import read_motion
from longdance.errors import InputError
from longdance.metrics.contact import ANKLES, BALLS
from longdance.metrics.joints import JOINT_COUNTS, UP
from longdance.motion.filters import interpolate, low_pass, sample_times
from longdance.motion.layout import LAYOUTS
from longdance.motion.motion import Motion
from longdance.motion.safe_pickle import read_pickle
from longdance.motion.skeleton import SMPL24
from longdance.motion.smpl_files import AIST_FPS, FLOOR_PERCENTILE, checked, read_array

ENDINGS = (".npz", ".pkl", ".npy", ".bvh")
AMASS = ".amass.npz"
EDGE_FPS = 30.0
LAYOUT_OF_WIDTH = {layout.width: layout for layout in LAYOUTS.values()}
WIDTHS = {3 * count: count for count in JOINT_COUNTS}
"""Columns of flattened joints to how many joints they are."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Dance:
    """One dance as metrics see it, with what was asked for."""

    name: str
    joints: np.ndarray
    """(frames, 22 or 24, 3) metres, y up, floor at y = 0."""
    fps: float
    beat_times: tuple[float, ...] | None = None
    """Seconds of the music's beats after the first frame; None where nothing is known of the music."""
    genre: str | None = None
    movements: tuple[str, ...] = ()
    seed: int = 0
    song: str | None = None
    cost: float | None = None
    """Seconds of computing per second of dance, where that was measured."""
    loudness: np.ndarray | None = field(default=None, repr=False)
    """(frames,) decibel of the music at each frame; None where its sound is not at hand."""
    path: Path | None = field(default=None, repr=False)

    @property
    def seconds(self) -> float:
        """Length."""
        return len(self.joints) / self.fps

    def fingerprint(self) -> str:
        """Changes whenever a measure could."""
        digest = hashlib.sha256(np.ascontiguousarray(self.joints, dtype=np.float32).tobytes())
        digest.update(repr((self.fps, self.beat_times, self.genre, self.movements)).encode())
        if self.loudness is not None:
            digest.update(np.ascontiguousarray(self.loudness, dtype=np.float32).tobytes())
        return digest.hexdigest()

    def at_rate(self, fps: float) -> "Dance":
        """The same dance at another frame rate; what the lower of the two rates cannot hold is filtered out."""
        if fps == self.fps:
            return self
        joints = self.joints if fps > self.fps else low_pass(self.joints, self.fps, cutoff=0.4 * fps)
        at = sample_times(len(joints), self.fps, fps)
        level = None if self.loudness is None else np.interp(at, np.arange(len(self.loudness)), self.loudness)
        return replace(self, joints=interpolate(joints, at), fps=fps, loudness=level)


def of_motion(motion: Motion, *, name: str, path: Path | None = None) -> Dance:
    """A dance of ours with what its record says; ``InputError`` for a skeleton that is not SMPL's."""
    names = motion.skeleton.names
    if len(names) not in JOINT_COUNTS or names != SMPL24.names[: len(names)]:
        raise InputError(f"{name}: expected a dance on SMPL's 22 or 24 joints, got {', '.join(names[:3])}, ...")
    meta = motion.meta
    beats, movements = meta.get("beat_times"), meta.get("movements")
    evaluation = meta.get("evaluation")
    asked = evaluation if isinstance(evaluation, dict) else {}
    usable = isinstance(beats, list) and all(isinstance(beat, int | float) for beat in beats)
    return Dance(
        name=name,
        joints=motion.joints(),
        fps=motion.fps,
        beat_times=tuple(float(beat) for beat in beats) if usable and beats else None,
        genre=_text(asked.get("genre", meta.get("genre"))),
        movements=tuple(map(str, movements)) if isinstance(movements, list) else (),
        seed=meta["seed"] if isinstance(meta.get("seed"), int) else 0,
        song=_text(asked.get("song", meta.get("song"))),
        cost=asked["cost"] if isinstance(asked.get("cost"), float) else None,
        path=path,
    )


def read_dance(path: str | os.PathLike, *, fps: float | None = None, up: str = "y") -> Dance:
    """A dance from a file; ``InputError`` names the file and what is wrong with it.

    ``.npz`` and ``.bvh`` are ours or any BVH with a human's joints. ``.pkl`` may be AIST++'s (``smpl_poses``,
    ``smpl_trans``, ``smpl_scaling``; 60 fps), EDGE's and POPDG's (``full_pose``, z up; 30 fps), or an array. Arrays
    (``.npy``, ``.pkl``) are joints (frames, 22 or 24, 3) or flattened, as Bailando's, or the 139 or 151 features of
    Lodge and EDGE before normalisation. ``fps`` is needed for arrays of joints; ``up`` ("y" or "z") is theirs.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: expected a dance, found no file")
    if up not in ("y", "z"):
        raise InputError(f"expected up to be y or z, got {up!r}")
    ending = path.suffix.lower()
    if ending in (".npz", ".bvh"):
        dance = of_motion(Motion.load(path), name=path.stem, path=path)
    elif ending == ".pkl":
        dance = _of_pickle(path, fps, up)
    elif ending == ".npy":
        dance = _of_array(path, read_array(path), fps, up)
    else:
        raise InputError(f"{path}: expected a dance ending in {', '.join(ENDINGS)}")
    if len(dance.joints) < 8:
        raise InputError(f"{path}: expected at least eight frames, got {len(dance.joints)}")
    if not np.isfinite(dance.joints).all():
        raise InputError(f"{path}: expected finite positions, got NaN or infinity")
    return dance


def dances_in(folder: Path) -> list[Path]:
    """Every dance of a folder, at any depth, by name; one that lies there in several formats counts once.

    Of files that differ in their endings alone the first of ``ENDINGS`` is taken; ``.amass.npz`` is such an ending.
    """
    files = [path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS and path.is_file()]
    files.sort(key=lambda path: (path.name.lower().endswith(AMASS), ENDINGS.index(path.suffix.lower()), path))
    once: dict[Path, Path] = {}
    for path in files:
        plain = path.name[: -len(AMASS)] if path.name.lower().endswith(AMASS) else path.stem
        once.setdefault(path.with_name(plain), path)
    return sorted(once.values())


def _of_pickle(path: Path, fps: float | None, up: str) -> Dance:
    record = read_pickle(path)
    if isinstance(record, np.ndarray):
        return _of_array(path, record, fps, up)
    if isinstance(record, dict) and isinstance(record.get("full_pose"), np.ndarray):
        return _of_array(path, record["full_pose"], fps or EDGE_FPS, "z")
    if isinstance(record, dict) and "smpl_scaling" in record:
        motion = read_motion(path)
        return of_motion(replace(motion, fps=fps or AIST_FPS), name=path.stem, path=path)
    for key in ("pred_position", "joints", "keypoints3d"):
        if isinstance(record, dict) and isinstance(record.get(key), np.ndarray):
            return _of_array(path, record[key], fps, up)
    raise InputError(
        f"{path}: expected the joints of a dance (full_pose, pred_position, joints) or AIST++'s smpl_poses, smpl_trans "
        "and smpl_scaling; try saving the joints"
    )


def _of_array(path: Path, array: np.ndarray, fps: float | None, up: str) -> Dance:
    if array.ndim == 3 and array.shape[0] == 1 and array.shape[2] != 3:
        array = array[0]  # a batch of one
    if array.ndim == 2 and array.shape[1] in LAYOUT_OF_WIDTH:
        features = checked(path, "features", array, (None, array.shape[1]))
        layout = LAYOUT_OF_WIDTH[array.shape[1]]
        motion = layout.decode(features.astype(np.float32), fps or EDGE_FPS)
        return of_motion(motion, name=path.stem, path=path)
    if array.ndim == 2 and array.shape[1] in WIDTHS:
        array = array.reshape(len(array), -1, 3)
    if array.ndim != 3 or array.shape[1] not in JOINT_COUNTS or array.shape[2] != 3:
        known = ", ".join(map(str, (*WIDTHS, *LAYOUT_OF_WIDTH)))
        raise InputError(f"{path}: expected joints (frames, 22 or 24, 3) or {known} columns, got {array.shape}")
    if fps is None or not fps > 0:
        raise InputError(f"{path}: expected the frame rate of these joints; give it with --fps")
    joints = checked(path, "joints", array, (None, array.shape[1], 3))
    if up == "z":
        joints = np.stack((joints[..., 0], joints[..., 2], -joints[..., 1]), axis=-1)
    return Dance(name=path.stem, joints=on_floor(joints), fps=float(fps), path=path)


def on_floor(joints: np.ndarray) -> np.ndarray:
    """The joints (frames, joints, 3), y up, moved so that the lower foot rests on y = 0."""
    feet = [*ANKLES, *BALLS]
    clearance = (joints[:, feet, UP] - SMPL24.rest_positions[feet, UP]).min(axis=1)
    return joints - np.array([0.0, np.percentile(clearance, FLOOR_PERCENTILE), 0.0])


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
