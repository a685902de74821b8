"""A character given as a BVH file: its hierarchy and rest pose are kept, its movement is replaced."""

import os
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from longdance.errors import InputError
from longdance.export.rig import dance_on_rig, find_bones
from longdance.export.rig_rest import Rig
from longdance.motion.bvh import MOVING_CHANNELS, TURNING_CHANNELS, BvhFile, read_bvh, write_bvh
from longdance.motion.motion import Motion


def bvh_bones(
    path: str | os.PathLike, *, actor: int | None = None
) -> tuple[tuple[str, ...], tuple[int, ...], np.ndarray]:
    """Names, parents and places (bones, 3) at rest of a file's joints, of one ``actor`` from 1."""
    bvh = read_bvh(path, actor=actor)
    return bvh.names, bvh.parents, bvh.rest_places()


def bvh_rig(bvh: BvhFile, bones: Mapping[str, str] | None = None) -> Rig:
    """The bones of a file at rest, where nothing is turned."""
    places = bvh.rest_places()
    matrices = np.tile(np.eye(4), (len(places), 1, 1))
    matrices[:, :3, 3] = places
    return Rig(
        names=bvh.names,
        parents=bvh.parents,
        nodes=matrices,
        found=find_bones(bvh.names, bvh.parents, places, bones),
        jointed=np.ones(len(places), dtype=bool),
        # At rest the root is often at the origin, with the feet below; in movements the floor is at zero.
        floor=0.0,
    )


def save_on_bvh(
    motion: Motion,
    rig_path: str | os.PathLike,
    path: str | os.PathLike,
    *,
    bones: Mapping[str, str] | None = None,
    hands: bool = True,
) -> None:
    """Write the dance on the skeleton of a BVH file, in that file's units and axes."""
    bvh = read_bvh(rig_path)
    try:
        dance = dance_on_rig(motion, bvh_rig(bvh, bones), hands=hands)
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
