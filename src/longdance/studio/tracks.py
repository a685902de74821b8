"""What the page plays: root positions, quaternions and contacts of a dance, frame by frame, in a file that may grow.

A track file is a header (its length as a little-endian uint32, then JSON) and one record per frame, so that it can be
appended to while a dance is computed, and read from any frame on.
"""

import json
import os
import struct
from pathlib import Path

import numpy as np
import torch

from longdance.errors import InputError
from longdance.motion.contacts import foot_contacts
from longdance.motion.motion import Motion
from longdance.motion.rotations import quaternion_from_matrix
from longdance.motion.skeleton import Skeleton

CONTACTS = ("left_ankle", "right_ankle", "left_foot", "right_foot")
"""Columns of the contacts, in this order."""
_LARGEST_HEADER = 1_000_000


def header_of(motion: Motion) -> dict:
    """What a page needs beside the frames: fps, joints, parents, offsets (metres)."""
    skeleton = motion.skeleton
    return {
        "fps": motion.fps,
        "joints": list(skeleton.names),
        "parents": [int(parent) for parent in skeleton.parents],
        "offsets": np.round(skeleton.offsets, 6).tolist(),
    }


def frames_of(motion: Motion) -> bytes:
    """One record per frame: float32 root (3) in metres, float32 quaternions x, y, z, w (joints, 4), uint8 contacts."""
    records = np.zeros(motion.frames, _record(len(motion.skeleton)))
    records["root"] = motion.root_position
    quaternions = quaternion_from_matrix(torch.from_numpy(motion.rotations)).numpy()
    records["turns"] = np.roll(quaternions, -1, axis=-1)
    records["contacts"] = _contacts(motion)
    return records.tobytes()


def begin(path: Path, motion: Motion) -> None:
    """Start a track file with the frames there are so far; replaces any other of the name."""
    header = json.dumps(header_of(motion)).encode()
    path.write_bytes(struct.pack("<I", len(header)) + header + frames_of(motion))


def append(path: Path, motion: Motion) -> None:
    """More frames of the same dance."""
    with open(path, "ab") as file:
        file.write(frames_of(motion))


def read(path: str | os.PathLike, *, first: int, final: bool) -> bytes:
    """The frames from ``first`` on, as a page reads them: header with its length, then roots, turns, contacts.

    ``InputError`` for a file that is none; a record that is still being written is left for the next time.
    """
    with open(path, "rb") as file:
        size = struct.unpack("<I", file.read(4).ljust(4, b"\0"))[0]
        try:
            header = json.loads(file.read(min(size, _LARGEST_HEADER)))
            record = _record(len(header["joints"]))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError("expected the frames of a dance, got a damaged file") from error
        held = (os.fstat(file.fileno()).st_size - 4 - size) // record.itemsize
        first = min(first, held)
        file.seek(4 + size + first * record.itemsize)
        content = file.read((held - first) * record.itemsize)
    records = np.frombuffer(content[: len(content) // record.itemsize * record.itemsize], record)
    return _answer(header, records, first=first, final=final)


def whole(motion: Motion) -> bytes:
    """All of a dance at once, as ``read`` gives it out."""
    records = np.frombuffer(frames_of(motion), _record(len(motion.skeleton)))
    return _answer(header_of(motion), records, first=0, final=True)


def nothing_yet() -> bytes:
    """What a page reads of a dance of which no frame is ready."""
    return _packed({"fps": 0.0, "joints": [], "parents": [], "offsets": [], "frames": 0, "from": 0, "final": False})


def _answer(header: dict, records: np.ndarray, *, first: int, final: bool) -> bytes:
    parts = (records["root"].tobytes(), records["turns"].tobytes(), records["contacts"].tobytes())
    return _packed(header | {"frames": len(records), "from": first, "final": final}, *parts)


def _packed(header: dict, *parts: bytes) -> bytes:
    """The header with its length, padded so that the numbers begin where a page can look at them without a copy."""
    told = json.dumps(header).encode()
    told += b" " * (-len(told) % 4)
    return b"".join((struct.pack("<I", len(told)), told, *parts))


def _record(joints: int) -> np.dtype:
    return np.dtype([("root", "<f4", 3), ("turns", "<f4", (joints, 4)), ("contacts", "u1", 4)])


def _contacts(motion: Motion) -> np.ndarray:
    """(frames, 4); none for skeletons without these joints."""
    skeleton: Skeleton = motion.skeleton
    if not motion.frames or not set(CONTACTS) <= set(skeleton.names):
        return np.zeros((motion.frames, 4), bool)
    return foot_contacts(motion.joints(), motion.fps, skeleton=skeleton, joint_names=CONTACTS)
