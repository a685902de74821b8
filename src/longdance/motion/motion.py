"""``Motion``: a dance or any other movement, with its frame rate and skeleton, and its file format."""

import json
import lzma
import os
import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch

from longdance.errors import InputError
from longdance.files import atomic_write
from longdance.motion import filters, moments
from longdance.motion import rotations as rot
from longdance.motion.kinematics import forward_kinematics
from longdance.motion.skeleton import SMPL22, SMPL24, Skeleton


@dataclass(frozen=True, eq=False)
class Motion:
    """Root position (frames, 3) in metres and local rotations (frames, joints, 3, 3) at ``fps``; y is up.

    ``meta`` is any JSON-able description (model, seed, song, genre, beat times, ...).
    """

    root_position: np.ndarray
    rotations: np.ndarray
    fps: float
    skeleton: Skeleton = SMPL24
    meta: dict = field(default_factory=dict)

    def __post_init__(self):
        shape = (len(self.root_position), len(self.skeleton), 3, 3)
        if self.root_position.shape != (shape[0], 3) or self.rotations.shape != shape:
            raise ValueError(
                f"expected root (frames, 3) and rotations {shape}, "
                f"got {self.root_position.shape} and {self.rotations.shape}"
            )
        object.__setattr__(self, "root_position", np.ascontiguousarray(self.root_position, dtype=np.float64))
        object.__setattr__(self, "rotations", np.ascontiguousarray(self.rotations, dtype=np.float64))
        object.__setattr__(self, "fps", float(self.fps))

    def __repr__(self) -> str:
        about = [f"{self.frames} frames", f"{self.seconds:.2f} s at {self.fps:g} fps", f"{len(self.skeleton)} joints"]
        about += [str(self.meta[key]) for key in ("genre", "song") if isinstance(self.meta.get(key), str)]
        return f"Motion({', '.join(about)})"

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.root_position)

    @property
    def seconds(self) -> float:
        """Length in seconds; every frame lasts 1 / fps."""
        return self.frames / self.fps

    def forward_kinematics(self) -> tuple[np.ndarray, np.ndarray]:
        """Joint positions (frames, joints, 3) in metres and global rotations (frames, joints, 3, 3)."""
        positions, matrices = forward_kinematics(
            torch.from_numpy(self.root_position), torch.from_numpy(self.rotations), self.skeleton
        )
        return positions.numpy(), matrices.numpy()

    def joints(self) -> np.ndarray:
        """Joint positions (frames, joints, 3) in metres, y up."""
        return self.forward_kinematics()[0]

    def global_rotations(self) -> np.ndarray:
        """World rotation of every joint (frames, joints, 3, 3)."""
        return self.forward_kinematics()[1]

    def slice(self, start: int, stop: int) -> "Motion":
        """Frames ``start`` to ``stop`` (exclusive)."""
        return replace(
            self, root_position=self.root_position[start:stop], rotations=self.rotations[start:stop]
        )

    @classmethod
    def joined(cls, pieces: Sequence["Motion"]) -> "Motion":
        """Consecutive pieces of one movement as one; what is known of it is the first one's.

        Beats and downbeats (``moments.TIMES``, seconds from the first frame of each piece) and plans are joined.
        ``ValueError`` for no pieces, or pieces with another frame rate or skeleton.
        """
        if not pieces or any(p.fps != pieces[0].fps or p.skeleton is not pieces[0].skeleton for p in pieces):
            raise ValueError("expected pieces of one frame rate and skeleton")
        meta = dict(pieces[0].meta)
        begins = np.cumsum([0, *(piece.frames for piece in pieces[:-1])]) / pieces[0].fps
        for key in moments.TIMES:
            if all(key in piece.meta for piece in pieces):
                found = [(begin, p.meta[key]) for begin, p in zip(begins, pieces, strict=True)]
                meta[key] = [round(float(begin + time), 4) for begin, times in found for time in times]
        if (plan := moments.joined_plan([piece.meta for piece in pieces], begins.tolist())) is not None:
            meta["plan"] = plan
        return replace(
            pieces[0],
            root_position=np.concatenate([piece.root_position for piece in pieces]),
            rotations=np.concatenate([piece.rotations for piece in pieces]),
            meta=meta,
        )

    def low_pass(self, cutoff: float) -> "Motion":
        """The motion without what is faster than ``cutoff`` hertz, root and rotations alike, without delay."""
        return replace(
            self,
            root_position=filters.low_pass(self.root_position, self.fps, cutoff=cutoff),
            rotations=filters.low_pass_rotations(self.rotations, self.fps, cutoff=cutoff),
        )

    def resample(self, fps: float) -> "Motion":
        """The same movement at another frame rate: spline for the root, slerp for rotations.

        What is above 0.4 of the lower of the two rates is filtered out: before lowering, so that capture noise does not
        alias; after raising, because slerp turns with a kink at every frame it passes through.
        """
        if fps == self.fps or self.frames < 2:
            return replace(self, fps=fps)
        root, rotations = self.root_position, self.rotations
        if fps < self.fps:
            root = filters.low_pass(root, self.fps, cutoff=0.4 * fps)
            rotations = filters.low_pass_rotations(rotations, self.fps, cutoff=0.4 * fps)
        at = filters.sample_times(self.frames, self.fps, fps)
        root, rotations = filters.interpolate(root, at), filters.interpolate_rotations(rotations, at)
        if fps > self.fps:
            rotations = filters.low_pass_rotations(rotations, fps, cutoff=0.4 * self.fps)
        return replace(self, root_position=root, rotations=rotations, fps=fps)

    def first_joints(self, skeleton: Skeleton) -> "Motion":
        """The motion of a skeleton whose joints are the first of this one's, such as SMPL's 22 of its 24."""
        return replace(self, rotations=self.rotations[:, : len(skeleton)], skeleton=skeleton)

    def mirror(self) -> "Motion":
        """Left and right swapped by reflection in the plane x = 0."""
        flip = np.array([-1.0, 1.0, 1.0])
        rotations = self.rotations[:, self.skeleton.mirror_index] * np.outer(flip, flip)
        return replace(self, root_position=self.root_position * flip, rotations=rotations)

    def turn(self, yaw: float) -> "Motion":
        """The whole dance turned about the vertical axis through the origin by ``yaw`` radians (left positive)."""
        turn = rot.matrix_from_axis_angle(torch.tensor([0.0, yaw, 0.0], dtype=torch.float64)).numpy()
        rotations = self.rotations.copy()
        rotations[:, 0] = turn @ rotations[:, 0]
        return replace(self, root_position=self.root_position @ turn.T, rotations=rotations)

    def save(self, path: str | os.PathLike) -> None:
        """Write the dance; the ending names the format (npz here, others through ``longdance.export``)."""
        path = Path(path)
        if path.suffix.lower() != ".npz" or path.name.lower().endswith(".amass.npz"):
            # The one look upwards: users save any format from the Motion they hold.
            from longdance.export.formats import export

            export(self, path)
            return
        arrays = {
            "poses": rot.axis_angle_from_matrix(torch.from_numpy(self.rotations)).numpy().astype(np.float32),
            "trans": self.root_position.astype(np.float32),
            "fps": np.float64(self.fps),
            "joint_names": np.array(self.skeleton.names),
            "parents": np.array(self.skeleton.parents),
            "offsets": self.skeleton.offsets.astype(np.float32),
            "up": np.array("y"),
            "meta": np.array(json.dumps(self.meta)),
        }
        with atomic_write(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike,
        *,
        fps: float | None = None,
        up: str | None = None,
        actor: int | None = None,
        bones: Mapping[str, str] | None = None,
    ) -> "Motion":
        """Read a dance from any file that holds one, as ``longdance.motion.dance_files.read_dance`` has it.

        ``InputError`` names the file and what is wrong with it.
        """
        from longdance.motion.dance_files import read_dance

        return read_dance(path, fps=fps, up=up, actor=actor, bones=bones)


def motion_of_arrays(arrays: dict[str, np.ndarray], path: Path, *, fps: float | None = None) -> Motion:
    """The dance of the arrays of one of our files; ``fps`` where the file's is wrong."""
    missing = {"poses", "trans", "fps", "joint_names"} - arrays.keys()
    if missing:
        raise InputError(f"{path}: expected the keys poses, trans, fps, joint_names; missing {sorted(missing)}")
    skeleton = _read_skeleton(arrays, path)
    trans = _read_numbers(arrays, path, "trans", None, 3)
    if not len(trans):
        raise InputError(f"{path}: expected a dance with at least one frame, got none")
    poses = _read_numbers(arrays, path, "poses", len(trans), len(skeleton), 3)
    fps = float(_read_numbers(arrays, path, "fps")) if fps is None else fps
    if not LOWEST_FPS < fps < HIGHEST_FPS:
        raise InputError(f"{path}: expected fps between {LOWEST_FPS:g} and {HIGHEST_FPS:g}, got {fps:g}")
    up = str(arrays.get("up", "y"))
    if up != "y":
        raise InputError(f"{path}: expected y to point up, got {up!r}; try turning the dance where it was made")
    try:
        meta = json.loads(str(arrays.get("meta", "{}")))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected JSON in the key meta ({error})") from error
    if not isinstance(meta, dict):
        raise InputError(f"{path}: expected a JSON object in the key meta, got {type(meta).__name__}")
    rotations = rot.matrix_from_axis_angle(torch.from_numpy(poses)).numpy()
    return Motion(trans, rotations, fps=fps, skeleton=skeleton, meta=meta)


AMASS_KEYS = ("mocap_framerate", "mocap_frame_rate", "mocap_fps", "skeleton")
LOWEST_FPS, HIGHEST_FPS = 1e-4, 1e5
MOST_JOINTS, MOST_NUMBERS = 1000, 2**26
"""Of a file that is read; the numbers in one array are enough for eight hours of dance at 30 fps."""
LARGEST_MEMBER = {"poses.npy": 8 * MOST_NUMBERS, "trans.npy": 8 * MOST_NUMBERS}
LARGEST_OTHER = 2**24
"""Bytes that a member of the archive may unpack to. A small archive can hold any number of zeros."""

UNREADABLE = (
    *(OSError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error, lzma.LZMAError),
    *(ValueError, TypeError, SyntaxError, tokenize.TokenError, OverflowError, MemoryError),
)
"""What zipfile (first row) and numpy's reader of array headers (second row) raise for damaged files."""


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a dance file, whatever they hold; nothing pickled is opened."""
    keys = ("poses", "trans", "fps", "joint_names", "parents", "offsets", "up", "meta", *AMASS_KEYS)
    try:
        # Not by np.load, which leaves a broken zip open and takes other kinds of files as well.
        with open(path, "rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as archive:
            for member in cast(zipfile.ZipFile, archive.zip).infolist():
                if member.file_size > (most := LARGEST_MEMBER.get(member.filename, LARGEST_OTHER)):
                    raise InputError(
                        f"{path}: expected at most {most / 1e6:.0f} MB in {member.filename}, got "
                        f"{member.file_size / 1e6:.0f} MB; try cutting the dance"
                    )
            return {key: np.asarray(archive[key]) for key in keys if key in archive}
    except UNREADABLE as error:
        raise InputError(f"{path}: expected a longdance npz, could not read it ({error})") from error


def _read_numbers(arrays: dict[str, np.ndarray], path: Path, key: str, *shape: int | None) -> np.ndarray:
    """Float64 of the shape, in which None stands for any length; finite and of a size that calculations bear."""
    array, limit = arrays[key], np.float64(1e6)
    if array.size > MOST_NUMBERS:
        raise InputError(f"{path}: expected at most {MOST_NUMBERS} numbers in the key {key}, got {array.shape}")
    fits = array.ndim == len(shape) and all(
        length in (None, found) for length, found in zip(shape, array.shape, strict=True)
    )
    if not fits or array.dtype.kind not in "fiu" or not ((array > -limit) & (array < limit)).all():
        wanted = f"({', '.join('frames' if length is None else str(length) for length in shape)})"
        raise InputError(
            f"{path}: expected finite numbers of shape {wanted} below {limit:g} in the key {key}, "
            f"got {array.dtype} {array.shape}"
        )
    return array.astype(np.float64)


def _read_skeleton(arrays: dict[str, np.ndarray], path: Path) -> Skeleton:
    """The stored skeleton, or SMPL's first joints in our proportions where none is stored or it is the same."""
    names = arrays["joint_names"]
    if names.dtype.kind != "U" or names.ndim != 1 or not 0 < len(names) == len(np.unique(names)):
        raise InputError(f"{path}: expected joint names, each once, got {names.dtype} {names.shape}")
    names = tuple(names.tolist())
    count = len(names)
    if count > MOST_JOINTS:
        raise InputError(f"{path}: expected at most {MOST_JOINTS} joints, got {count}")
    default = None
    if names == SMPL24.names[:count]:
        default = {22: SMPL22, 24: SMPL24}.get(count) or Skeleton(
            names, SMPL24.parents[:count], SMPL24.offsets[:count]
        )
    if "offsets" in arrays and "parents" in arrays:
        parents = tuple(_read_numbers(arrays, path, "parents", count).tolist())
        offsets = _read_numbers(arrays, path, "offsets", count, 3)
        if parents[0] != -1 or any(parent not in range(joint) for joint, parent in enumerate(parents) if joint):
            raise InputError(f"{path}: expected parents that precede their joints, the first -1, got {parents[:8]}...")
        if default is None or parents != default.parents or not np.allclose(offsets, default.offsets, atol=1e-6):
            return Skeleton(names, tuple(int(parent) for parent in parents), offsets)
    if default is None:
        raise InputError(f"{path}: expected SMPL joint names or a stored skeleton, got {names[:3]}...")
    return default
