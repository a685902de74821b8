"""Dances that other people keep as SMPL's poses: AMASS npz, AIST++ and EDGE pkl, FineDance and Lodge npy.

What belongs here: arrays of such files as a ``Motion`` on our skeleton. What does not: which file is which
(``longdance.motion.dance_files``) and data sets as folders (``longdance.data``).
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from longdance.errors import InputError
from longdance.motion import rotations as rot
from longdance.motion.motion import UNREADABLE, Motion
from longdance.motion.skeleton import SMPL24
from longdance.motion.support import SUNK, lowest

SMPL_LEG_LENGTH = 0.777
"""Metres from hip to ankle along the bones of SMPL's mean body; our skeleton's proportions are its own."""
FLOOR_PERCENTILE = 5.0
"""Share of frames, in percent, in which the lower foot may be below the floor: capture noise, not standing."""
LARGEST_SPEED = 30.0
"""Metres per second at which nobody travels; capture errors of real sequences stay below."""

AIST_FPS, EDGE_FPS, FINEDANCE_FPS = 60.0, 30.0, 30.0
"""Frames per second of files that do not state it."""
BODY_JOINTS, FINEDANCE_JOINTS = 22, 52
Z_TO_Y = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
"""Turns z up into y up."""
POSES_OF_WIDTH = {3 * joints: joints for joints in (22, 24, 52, 55)}
"""Columns of axis-angle poses (SMPL's body, SMPL, SMPL-H, SMPL-X) to their joints."""


def motion_of_smpl(
    translation: Float[np.ndarray, "frames 3"], rotations: Float[np.ndarray, "frames joints 3 3"], fps: float
) -> Motion:
    """SMPL poses (22 joints or more) and body translation in metres, y up, as a ``Motion`` on our skeleton.

    The path is scaled by the ratio of leg lengths, so that feet which stood still stand still on our legs; the floor is
    put where the lower foot rests, or under the body of a dancer who is lower than that for long. Hands that the data
    lack are straight.
    """
    full = np.broadcast_to(np.eye(3), (len(rotations), len(SMPL24), 3, 3)).copy()
    joints = min(rotations.shape[1], len(SMPL24)) if rotations.shape[1] != FINEDANCE_JOINTS else BODY_JOINTS
    full[:, :joints] = rotations[:, :joints]
    motion = Motion(translation * (SMPL24.leg_length / SMPL_LEG_LENGTH), full, fps=fps)
    feet = [SMPL24.index(name) for name in ("left_ankle", "right_ankle", "left_foot", "right_foot")]
    places = motion.joints()
    clearance = (places[:, feet, 1] - SMPL24.rest_positions[feet, 1]).min(1)
    floor = float(np.percentile(clearance, FLOOR_PERCENTILE))
    under = lowest({name: places[:, index] for index, name in enumerate(SMPL24.names)})
    under = float(np.percentile(under, FLOOR_PERCENTILE))
    floor = under if under < floor - SUNK else floor
    return replace(motion, root_position=motion.root_position - np.array([0.0, floor, 0.0]))


def y_up(motion_root: np.ndarray, rotations: np.ndarray, up: str) -> tuple[np.ndarray, np.ndarray]:
    """Translation (frames, 3) and local rotations (frames, joints, 3, 3) of a world with ``up`` "y" or "z", y up."""
    if up == "y":
        return motion_root, rotations
    turned = rotations.copy()
    turned[:, 0] = Z_TO_Y @ rotations[:, 0]
    return motion_root @ Z_TO_Y.T, turned


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


def _poses(path: Path, name: str, values: object, widths: Mapping[int, int]) -> np.ndarray:
    """(frames, joints, 3, 3) of axis-angle poses, flat or by joints."""
    poses = np.asarray(values)
    if poses.ndim == 3:
        poses = poses.reshape(len(poses), -1)
    if poses.ndim != 2 or poses.shape[1] not in widths:
        known = ", ".join(map(str, widths))
        raise InputError(
            f"{path}: expected poses of {known} columns in {name}, got {poses.dtype} {poses.shape}; "
            "try downloading it again"
        )
    poses = checked(path, name, poses, (None, poses.shape[1]))
    return axis_angle_matrices(poses.reshape(len(poses), widths[poses.shape[1]], 3))


def amass_motion(path: Path, arrays: Mapping[str, np.ndarray], *, fps: float | None, up: str | None) -> Motion:
    """The arrays of an AMASS file (SMPL-H or SMPL-X), z up unless told; our own exports come back as they were."""
    rates = [arrays[key] for key in ("mocap_framerate", "mocap_frame_rate", "fps", "mocap_fps") if key in arrays]
    if fps is None:
        if not rates:
            raise InputError(f"{path}: expected the frame rate in mocap_framerate, got none; give it by --source-fps")
        fps = float(checked(path, "mocap_framerate", np.atleast_1d(rates[0]), (1,))[0])
    if not 0 < fps < 1e5:
        raise InputError(f"{path}: expected frames per second above zero, got {fps:g}")
    rotations = _poses(path, "poses", arrays["poses"], POSES_OF_WIDTH)
    translation = checked(path, "trans", np.asarray(arrays["trans"]), (len(rotations), 3))
    translation, rotations = y_up(translation, rotations, up or "z")
    if "skeleton" not in arrays or str(arrays["skeleton"]) != OWN_SKELETON:
        return motion_of_smpl(without_leaps(path, translation, fps), rotations[:, :BODY_JOINTS], fps)
    full = np.broadcast_to(np.eye(3), (len(rotations), len(SMPL24), 3, 3)).copy()
    full[:, :BODY_JOINTS] = rotations[:, :BODY_JOINTS]
    return Motion(translation, full, fps=fps)


OWN_SKELETON = "longdance"
"""What our AMASS files hold under ``skeleton``: their path is that of our skeleton, not of SMPL's."""


def aist_motion(path: Path, record: object, *, fps: float | None = None) -> Motion:
    """A sequence of AIST++: ``smpl_poses``, ``smpl_trans`` and ``smpl_scaling``, y up, 60 frames per second."""
    held = record if isinstance(record, dict) else {}
    wanted = ("smpl_poses", "smpl_trans", "smpl_scaling")
    missing = [key for key in wanted if not isinstance(held.get(key), np.ndarray)]
    if missing:
        raise InputError(
            f"{path}: expected arrays under {', '.join(wanted)}, missing {', '.join(missing)}; try a file of motions, "
            "not of keypoints"
        )
    rotations = _poses(path, "smpl_poses", held["smpl_poses"], {72: 24})
    translation = checked(path, "smpl_trans", held["smpl_trans"], (len(rotations), 3))
    scaling = checked(path, "smpl_scaling", np.atleast_1d(held["smpl_scaling"]), (1,))
    if scaling[0] <= 0:
        raise InputError(f"{path}: expected a positive smpl_scaling, got {scaling[0]}; try downloading it again")
    fps = fps or AIST_FPS
    # Dividing by the scaling leaves SMPL's mean body in metres.
    return motion_of_smpl(without_leaps(path, translation / scaling[0], fps), rotations, fps)


def edge_motion(path: Path, record: Mapping, *, fps: float | None, up: str | None) -> Motion:
    """A dance of EDGE or POPDG: ``smpl_poses`` and ``smpl_trans``, z up unless told, 30 frames per second."""
    rotations = _poses(path, "smpl_poses", record["smpl_poses"], {72: 24, 66: 22})
    translation = checked(path, "smpl_trans", np.asarray(record["smpl_trans"]), (len(rotations), 3))
    translation, rotations = y_up(translation, rotations, up or "z")
    fps = fps or EDGE_FPS
    return motion_of_smpl(without_leaps(path, translation, fps), rotations, fps)


def finedance_motion(path: Path, values: np.ndarray, *, fps: float | None = None, up: str | None = None) -> Motion:
    """Rows of FineDance: translation (3) and 52 joints in 6D, with or without four contacts in front; y up."""
    if values.ndim == 2 and values.shape[1] == 4 + 3 + 6 * FINEDANCE_JOINTS:
        values = values[:, 4:]  # with the contacts that FineDance's own preparation puts in front
    values = checked(path, "the array", values, (None, 3 + 6 * FINEDANCE_JOINTS))
    sixd = values[:, 3:].reshape(-1, FINEDANCE_JOINTS, 6)[:, :BODY_JOINTS]
    lengths = np.linalg.norm(sixd.reshape(-1, BODY_JOINTS, 2, 3), axis=-1)
    if lengths.min() < 0.1:
        frame = int(np.unravel_index(lengths.argmin(), lengths.shape)[0])
        raise InputError(
            f"{path}: expected rotations in 6D, got a row of zeros in frame {frame}; try downloading it again"
        )
    rotations = rot.matrix_from_6d(torch.from_numpy(sixd)).numpy()
    fps = fps or FINEDANCE_FPS
    translation, rotations = y_up(without_leaps(path, values[:, :3], fps), rotations, up or "y")
    return motion_of_smpl(translation, rotations, fps)


LARGEST_ARRAY = 2**29
"""Bytes of an ``.npy`` file."""


def read_array(path: Path) -> np.ndarray:
    """The numbers of an ``.npy`` file; ``InputError`` names it. Nothing pickled is opened."""
    try:
        if path.stat().st_size > LARGEST_ARRAY:
            raise InputError(f"{path}: expected at most {LARGEST_ARRAY} bytes; try cutting the dance")
        values = np.load(path, allow_pickle=False)
    except UNREADABLE as error:
        raise InputError(
            f"{path}: expected an npy file, an array of numbers ({error}); try saving or downloading it again"
        ) from error
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu":
        raise InputError(f"{path}: expected an npy file of numbers, got something else")
    return values
