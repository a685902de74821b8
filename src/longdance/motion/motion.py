"""``Motion``: a dance or any other movement, with its frame rate and skeleton, and its file format."""

import json
import os
import tempfile
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from longdance.errors import InputError
from longdance.motion import filters
from longdance.motion import rotations as rot
from longdance.motion.kinematics import forward_kinematics
from longdance.motion.skeleton import SMPL24, Skeleton


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

    def resample(self, fps: float) -> "Motion":
        """The same movement at another frame rate: spline for the root, slerp for rotations.

        Before lowering the rate both are low-passed at 0.4 of the new rate, so that capture noise does not alias.
        """
        if fps == self.fps or self.frames < 2:
            return replace(self, fps=fps)
        root, rotations = self.root_position, self.rotations
        if fps < self.fps:
            root = filters.low_pass(root, self.fps, cutoff=0.4 * fps)
            rotations = filters.low_pass_rotations(rotations, self.fps, cutoff=0.4 * fps)
        at = filters.sample_times(self.frames, self.fps, fps)
        return replace(
            self,
            root_position=filters.interpolate(root, at),
            rotations=filters.interpolate_rotations(rotations, at),
            fps=fps,
        )

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
        if path.suffix.lower() != ".npz":
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
        with atomic_write(path) as temporary:
            with open(temporary, "wb") as file:
                np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Motion":
        """Read a dance from npz or BVH; ``InputError`` names the file and what is wrong with it."""
        path = Path(path)
        if not path.is_file():
            raise InputError(f"{path}: expected a dance file (.npz or .bvh), found none")
        if path.suffix.lower() == ".bvh":
            from longdance.motion.bvh import load_bvh_motion

            return load_bvh_motion(path)
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
            raise InputError(f"{path}: expected a longdance npz, could not read it ({error})") from error
        return cls._from_arrays(arrays, path)

    @classmethod
    def _from_arrays(cls, arrays: dict[str, np.ndarray], path: Path) -> "Motion":
        missing = {"poses", "trans", "fps", "joint_names"} - arrays.keys()
        if missing:
            raise InputError(f"{path}: expected the keys poses, trans, fps, joint_names; missing {sorted(missing)}")
        names = tuple(str(name) for name in arrays["joint_names"])
        skeleton = SMPL24
        if names != SMPL24.names:
            known = names == SMPL24.names[: len(names)]
            if "offsets" in arrays and "parents" in arrays:
                skeleton = Skeleton(names, tuple(int(p) for p in arrays["parents"]), arrays["offsets"])
            elif known:
                skeleton = Skeleton(names, SMPL24.parents[: len(names)], SMPL24.offsets[: len(names)])
            else:
                raise InputError(f"{path}: expected SMPL joint names or a stored skeleton, got {names[:3]}...")
        poses, trans = arrays["poses"], arrays["trans"]
        if poses.shape != (len(trans), len(skeleton), 3) or trans.shape != (len(poses), 3):
            raise InputError(
                f"{path}: expected poses (frames, {len(skeleton)}, 3) and trans (frames, 3), "
                f"got {poses.shape} and {trans.shape}"
            )
        fps = float(arrays["fps"])
        if not (np.isfinite(poses).all() and np.isfinite(trans).all() and fps > 0):
            raise InputError(f"{path}: expected finite numbers and a positive fps")
        try:
            meta = json.loads(str(arrays["meta"])) if "meta" in arrays else {}
        except json.JSONDecodeError as error:
            raise InputError(f"{path}: expected JSON in the key meta ({error})") from error
        rotations = rot.matrix_from_axis_angle(torch.from_numpy(poses.astype(np.float64))).numpy()
        return cls(trans.astype(np.float64), rotations, fps=fps, skeleton=skeleton, meta=meta)


class atomic_write:
    """Context that hands out a temporary name beside ``path`` and moves it there only if all went well."""

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)

    def __enter__(self) -> Path:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=self.path.parent, prefix=f".{self.path.stem[:40]}-", suffix=self.path.suffix
        )
        os.close(handle)
        self.temporary = Path(name)
        return self.temporary

    def __exit__(self, kind, error, trace) -> None:
        if kind is None:
            os.chmod(self.temporary, 0o644)
            os.replace(self.temporary, self.path)
        else:
            self.temporary.unlink(missing_ok=True)
