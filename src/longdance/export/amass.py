"""AMASS npz: the SMPL-H parameters that the SMPL add-ons of Blender, Maya and Unity open; z up.

``trans`` is the place of the pelvis. Bodies of SMPL hang their pelvis a little beside it and have legs of their own
length, so they stand some centimetres off the floor.
"""

import os

import numpy as np
import torch

from longdance.export.job import Job
from longdance.export.takes import Z_UP
from longdance.files import atomic_write
from longdance.motion import rotations as rot
from longdance.motion.motion import Motion
from longdance.motion.smpl_files import OWN_SKELETON

REGISTER = {
    "format": {
        "amass": {"make": "write", "order": 8, "about": "SMPL-H poses", "ending": "amass.npz", "up": ("z",)},
    },
}

BODY_JOINTS, SMPLH_JOINTS, SHAPE_NUMBERS, SOFT_TISSUE_NUMBERS = 22, 52, 16, 8


def save_amass(motion: Motion, path: str | os.PathLike) -> None:
    """Write ``poses`` (frames, 156) axis-angle, ``trans`` (frames, 3) metres, ``mocap_framerate`` and the rest.

    Fingers rest; our hand joints have no counterpart. The shape is SMPL's mean, the gender neutral.
    """
    rotations = motion.rotations[:, :BODY_JOINTS].copy()
    # Only the first joint's frame is the world's: all others stay as they are under a turned root.
    rotations[:, 0] = Z_UP @ rotations[:, 0]
    poses = np.zeros((motion.frames, SMPLH_JOINTS, 3))
    poses[:, :BODY_JOINTS] = rot.axis_angle_from_matrix(torch.from_numpy(rotations)).numpy()
    arrays = {
        "poses": poses.reshape(motion.frames, -1),
        "trans": motion.root_position @ Z_UP.T,
        "betas": np.zeros(SHAPE_NUMBERS),
        "dmpls": np.zeros((motion.frames, SOFT_TISSUE_NUMBERS)),
        "gender": np.array("neutral"),
        # Both spellings are in use: AMASS of SMPL-H and of SMPL-X.
        "mocap_framerate": np.float64(motion.fps),
        "mocap_frame_rate": np.float64(motion.fps),
        # For ourselves, so that the path comes back as it was; other readers pass over it.
        "skeleton": np.array(OWN_SKELETON),
    }
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)


def write(job: Job) -> None:
    """Write one dance as the format has it."""
    save_amass(job.motion, job.path)
