"""Any file of a dance as a ``Motion``: ours, BVH, and those of other systems and data sets.

Everything that reads a dance goes through ``read_dance``, by ``Motion.load``.
"""

import logging
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from longdance.errors import InputError
from longdance.motion.bvh import load_bvh_motion
from longdance.motion.landmarks import Landmarks, upright
from longdance.motion.layout import LAYOUTS
from longdance.motion.motion import Motion, motion_of_arrays, read_arrays
from longdance.motion.retarget import fit_landmarks
from longdance.motion.safe_pickle import read_pickle
from longdance.motion.skeleton import SMPL24
from longdance.motion.smpl_files import (
    EDGE_FPS,
    FINEDANCE_JOINTS,
    aist_motion,
    amass_motion,
    checked,
    edge_motion,
    finedance_motion,
    read_array,
)

DANCE_ENDINGS = (".npz", ".bvh", ".pkl", ".npy")
JOINT_COUNTS = (22, 24)
PLAIN_LAYOUTS = {layout.width: layout for layout in LAYOUTS.values() if not layout.grounded}
FINEDANCE_WIDTHS = (3 + 6 * FINEDANCE_JOINTS, 4 + 3 + 6 * FINEDANCE_JOINTS)
log = logging.getLogger(__name__)


def read_dance(
    path: str | os.PathLike,
    *,
    fps: float | None = None,
    up: str | None = None,
    actor: int | None = None,
    bones: Mapping[str, str] | None = None,
) -> Motion:
    """A dance from a file, on our skeleton, in metres, y up; ``InputError`` names the file and what is wrong with it.

    ``.npz`` is ours or AMASS's (``poses`` of SMPL, SMPL-H or SMPL-X, ``trans``, ``mocap_framerate``; z up), ``.bvh``
    any with a human's joints, ``.pkl`` AIST++'s (``smpl_poses``, ``smpl_trans``, ``smpl_scaling``; 60 fps), EDGE's or
    POPDG's (without scaling; z up, 30 fps) or joints. ``.npy`` are features of Lodge or EDGE (139 or 151 columns),
    FineDance's (315 or 319 columns), or joints (frames, 22 or 24, 3) in SMPL's order, flattened or not, which are
    followed by inverse kinematics. Pickles are read without running anything in them.

    ``fps`` is the true frame rate and ``up`` ("y" or "z") the upward axis where the file does not say or is wrong;
    ``actor`` (from 1) and ``bones`` (our joint names to the file's) are for BVH.
    """
    path = Path(path)
    if not os.path.isfile(path):  # unlike the method of Path, false for a name that is too long
        raise InputError(f"{path}: expected a dance file ({', '.join(DANCE_ENDINGS)}), found none")
    if up not in (None, "y", "z"):
        raise InputError(f"expected the upward axis y or z, got {up!r}")
    if fps is not None and not 0.1 <= fps <= 1000:
        raise InputError(f"expected a frame rate from 0.1 to 1000, got {fps:g}")
    ending = path.suffix.lower()
    if ending == ".bvh":
        return load_bvh_motion(path, actor=actor, fps=fps, up=up, bones=bones)
    if actor not in (None, 1) or bones is not None:
        raise InputError(f"{path}: expected a BVH file to choose an actor or name bones of, got {ending or 'none'}")
    if ending == ".pkl":
        return _of_pickle(path, fps, up)
    if ending == ".npy":
        return _of_array(path, read_array(path), fps, up)
    arrays = read_arrays(path)
    if "poses" in arrays and "joint_names" not in arrays:
        if "trans" not in arrays:
            raise InputError(f"{path}: expected the keys poses and trans, got {', '.join(sorted(arrays))}")
        return amass_motion(path, arrays, fps=fps, up=up)
    return motion_of_arrays(arrays, path, fps=fps)


def _of_pickle(path: Path, fps: float | None, up: str | None) -> Motion:
    record = read_pickle(path)
    if isinstance(record, np.ndarray):
        return _of_array(path, record, fps, up)
    held = record if isinstance(record, dict) else {}
    if "smpl_poses" in held and "smpl_scaling" in held:
        return aist_motion(path, held, fps=fps)
    if "smpl_poses" in held and "smpl_trans" in held:
        return edge_motion(path, held, fps=fps, up=up)
    if isinstance(held.get("full_pose"), np.ndarray):
        return _of_array(path, held["full_pose"], fps or EDGE_FPS, up or "z")
    for key in ("pred_position", "joints", "keypoints3d"):
        if isinstance(held.get(key), np.ndarray):
            return _of_array(path, held[key], fps, up)
    raise InputError(
        f"{path}: expected a dance as AIST++ (smpl_poses, smpl_trans, smpl_scaling) or EDGE (smpl_poses, smpl_trans, "
        "full_pose) write it; try saving the joints as .npy"
    )


def _of_array(path: Path, array: np.ndarray, fps: float | None, up: str | None) -> Motion:
    if array.ndim == 3 and array.shape[0] == 1 and array.shape[2] != 3:
        array = array[0]  # a batch of one
    if array.ndim == 2 and array.shape[1] in FINEDANCE_WIDTHS:
        return finedance_motion(path, array, fps=fps, up=up)
    if array.ndim == 2 and array.shape[1] in PLAIN_LAYOUTS:
        features = checked(path, "the array", array, (None, array.shape[1]))
        return PLAIN_LAYOUTS[array.shape[1]].decode(features, fps or EDGE_FPS)
    if array.ndim == 2 and array.shape[1] in [3 * count for count in JOINT_COUNTS]:
        array = array.reshape(len(array), -1, 3)
    if array.ndim != 3 or array.shape[1] not in JOINT_COUNTS or array.shape[2] != 3:
        known = ", ".join(map(str, (*(3 * count for count in JOINT_COUNTS), *PLAIN_LAYOUTS, *FINEDANCE_WIDTHS)))
        raise InputError(f"{path}: expected joints (frames, 22 or 24, 3) or {known} columns, got {array.shape}")
    joints = checked(path, "joints", array, (None, array.shape[1], 3))
    if fps is None:
        log.warning("%s: taken for %g frames per second; --source-fps says otherwise", path, EDGE_FPS)
    try:
        return motion_of_joints(joints, fps or EDGE_FPS, up=up)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def motion_of_joints(joints: np.ndarray, fps: float, *, up: str | None = None) -> Motion:
    """The movement of our skeleton that follows joints (frames, 22 or 24, 3) of any size, in SMPL's order.

    Without ``up`` the axis along which the body stands is up.
    """
    points = {name: joints[:, index].astype(np.float64) for index, name in enumerate(SMPL24.names[: joints.shape[1]])}
    points |= {"spine_base": points["spine1"], "chest": points["spine3"]}
    for name in ("spine1", "spine2", "spine3"):
        del points[name]
    return fit_landmarks(upright(Landmarks(points, {}, fps), up))
