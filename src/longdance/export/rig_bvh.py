"""A character given as a BVH file: its hierarchy and rest pose are kept, its movement is replaced."""

import os
from dataclasses import replace

import numpy as np

from longdance.errors import InputError
from longdance.export.rig import dance_on_rig, find_bones
from longdance.export.rig_rest import Rig
from longdance.motion.bvh import MOVING_CHANNELS, TURNING_CHANNELS, BvhFile, read_bvh, write_bvh
from longdance.motion.motion import Motion


def read_bvh_rig(path: str | os.PathLike) -> tuple[BvhFile, Rig]:
    """The file and its bones at rest, where nothing is turned. ``InputError`` names the file."""
    bvh = read_bvh(path)
    places = bvh.offsets.copy()
    for joint, parent in enumerate(bvh.parents):
        if parent >= 0:
            places[joint] += places[parent]
    matrices = np.tile(np.eye(4), (len(places), 1, 1))
    matrices[:, :3, 3] = places
    try:
        # At rest the root is often at the origin, with the feet below; in movements the floor is at zero.
        found = find_bones(bvh.names)
        jointed = np.ones(len(places), dtype=bool)
        return bvh, Rig(names=bvh.names, parents=bvh.parents, nodes=matrices, found=found, jointed=jointed, floor=0.0)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def save_on_bvh(motion: Motion, rig_path: str | os.PathLike, path: str | os.PathLike) -> None:
    """Write the dance on the skeleton of a BVH file, in that file's units and axes."""
    bvh, rig = read_bvh_rig(rig_path)
    try:
        dance = dance_on_rig(motion, rig)
    except InputError as error:
        raise InputError(f"{rig_path}: {error}") from error
    positions = np.repeat(bvh.offsets[None], motion.frames, axis=0)
    positions[:, dance.pelvis] = dance.place
    rotations = np.broadcast_to(np.eye(3), (motion.frames, len(bvh.names), 3, 3)).copy()
    channels = []
    for joint, written in enumerate(bvh.channels):
        order = tuple(channel for channel in written if channel.endswith("rotation"))
        order = order if len(order) == 3 else TURNING_CHANNELS
        moves = joint == dance.pelvis or bvh.parents[joint] < 0
        channels.append((*MOVING_CHANNELS[:3], *order) if moves else order)
        if joint in dance.rotations:
            rotations[:, joint] = dance.rotations[joint]
    danced = replace(bvh, channels=tuple(channels), positions=positions, rotations=rotations, fps=motion.fps)
    write_bvh(danced, path)
