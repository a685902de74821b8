"""Reading and writing BVH files, the plain-text motion capture format.

The reader keeps what the file says: its own joint names, units and axes. Turning such a file into our
skeleton is ``longdance.motion.retarget``'s work. Position channels replace a joint's OFFSET, as every
common reader has it.
"""

import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from longdance.errors import InputError
from longdance.files import atomic_write
from longdance.motion import rotations as rot
from longdance.motion.bvh_text import BvhText, read_lines
from longdance.motion.motion import Motion
from longdance.motion.skeleton import SMPL22, SMPL24, Skeleton

UNITS_PER_METRE = (1.0, 100.0, 1000.0, 39.3701, 10.0)
"""Metres, centimetres, millimetres, inches, decimetres."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class BvhFile:
    """A BVH file in its own units and axes.

    ``parents`` (-1 for the root) precede children. ``offsets`` (joints, 3); ``channels`` per joint as
    written. ``positions`` (frames, joints, 3) place a joint in its parent's frame: its OFFSET, or its
    position channels. ``rotations`` (frames, joints, 3, 3) are relative to the parent. ``end_parents`` and
    ``end_offsets`` (ends, 3) are the End Sites.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: np.ndarray
    channels: tuple[tuple[str, ...], ...]
    end_parents: tuple[int, ...]
    end_offsets: np.ndarray
    positions: np.ndarray
    rotations: np.ndarray
    fps: float

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.rotations)

    def rest_places(self) -> np.ndarray:
        """Places (joints, 3) while no joint is turned."""
        places = self.offsets.copy()
        for joint, parent in enumerate(self.parents):
            if parent >= 0:
                places[joint] += places[parent]
        return places

    def forward_kinematics(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """World positions (frames, joints, 3), rotations (frames, joints, 3, 3), ends (frames, ends, 3)."""
        places, turns = np.empty_like(self.positions), np.empty_like(self.rotations)
        for joint, parent in enumerate(self.parents):
            if parent < 0:
                places[:, joint], turns[:, joint] = self.positions[:, joint], self.rotations[:, joint]
            else:
                turns[:, joint] = turns[:, parent] @ self.rotations[:, joint]
                step = turns[:, parent] @ self.positions[:, joint, :, None]
                places[:, joint] = places[:, parent] + step[..., 0]
        hung = list(self.end_parents)
        ends = places[:, hung] + (turns[:, hung] @ self.end_offsets[None, :, :, None])[..., 0]
        return places, turns, ends


def read_bvh(path: str | os.PathLike, *, actor: int | None = None) -> BvhFile:
    """Read a BVH file: any channel order, position channels on any joint, any line ends.

    Of several dancers in one file the ``actor``, from 1, is read, by default the first, which is then said in the log.
    ``InputError`` names the file and the line. The time taken is linear in the file's size.
    """
    path = Path(path)
    text = BvhText(path, read_lines(path))
    values, fps = text.read_motion()
    if actor is None and len(text.actors) > 1:
        log.warning("%s: has %d dancers, the first is read; --actor K reads another", path, len(text.actors))
    if not 1 <= (actor or 1) <= len(text.actors):
        raise InputError(f"{path}: expected an actor from 1 to {len(text.actors)}, got {actor}")
    bounds = [*text.actors, len(text.names)]
    first, stop = bounds[(actor or 1) - 1 : (actor or 1) + 1]
    count, frames = stop - first, len(values)
    if not sum(map(len, text.channels[first:stop])):
        raise InputError(f"{path}: expected joints with CHANNELS, got none in actor {actor or 1}")
    offsets = np.array(text.offsets[first:stop], dtype=np.float64)
    positions = np.repeat(offsets[None], frames, axis=0)
    rotations = np.broadcast_to(np.eye(3), (frames, count, 3, 3)).copy()
    by_order: dict[str, list[tuple[int, list[int]]]] = {}
    column = sum(map(len, text.channels[:first]))
    for joint, channels in enumerate(text.channels[first:stop]):
        turning = []
        for channel in channels:
            if channel.endswith("position"):
                positions[:, joint, "xyz".index(channel[0])] = values[:, column]
            else:
                turning.append((channel[0], column))
            column += 1
        if turning:
            order = "".join(axis for axis, _ in turning)
            by_order.setdefault(order, []).append((joint, [index for _, index in turning]))
    for order, members in by_order.items():
        angles = np.deg2rad(np.stack([values[:, columns] for _, columns in members], axis=1))
        turns = rot.matrix_from_euler(torch.from_numpy(angles), order).numpy()
        rotations[:, [joint for joint, _ in members]] = turns
    ends = [end for end, parent in enumerate(text.end_parents) if first <= parent < stop]
    return BvhFile(
        names=tuple(text.names[first:stop]),
        parents=tuple(parent - first if parent >= 0 else -1 for parent in text.parents[first:stop]),
        offsets=offsets,
        channels=tuple(text.channels[first:stop]),
        end_parents=tuple(text.end_parents[end] - first for end in ends),
        end_offsets=np.array([text.end_offsets[end] for end in ends], dtype=np.float64).reshape(-1, 3),
        positions=positions,
        rotations=rotations,
        fps=fps,
    )


def load_bvh_motion(
    path: str | os.PathLike,
    *,
    actor: int | None = None,
    fps: float | None = None,
    up: str | None = None,
    bones: dict[str, str] | None = None,
) -> Motion:
    """A BVH file as a ``Motion`` in metres, y up.

    A file with exactly our joint names and a rest pose like ours is taken over as it is; any other is
    retargeted to the SMPL24 skeleton. ``actor`` chooses among several dancers, from 1; ``fps`` is the true frame rate
    where the file's is wrong; ``up`` ("y" or "z") the upward axis where it is not what the file's rest pose tells;
    ``bones`` maps our joint names to the file's. ``InputError`` names the file.
    """
    bvh = read_bvh(path, actor=actor)
    bvh = bvh if fps is None else replace(bvh, fps=fps)
    exact = _own_motion(bvh) if bones is None and up != "z" else None
    if exact is not None:
        return exact
    from longdance.motion.retarget import retarget_bvh

    try:
        return retarget_bvh(bvh, up=up, bones=bones)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _own_motion(bvh: BvhFile) -> Motion | None:
    own = next((s for s in (SMPL24, SMPL22) if sorted(s.names) == sorted(bvh.names)), None)
    if own is None:
        return None
    order = [bvh.names.index(name) for name in own.names]
    parents = tuple(order.index(bvh.parents[j]) if bvh.parents[j] >= 0 else -1 for j in order)
    moved = any(c.endswith("position") for j, row in enumerate(bvh.channels) if bvh.parents[j] >= 0 for c in row)
    if parents != own.parents or moved:
        return None
    offsets = bvh.offsets[order]
    offsets[0] = 0.0
    lengths = np.linalg.norm(offsets[1:], axis=1) * np.linalg.norm(own.offsets[1:], axis=1)
    if (lengths == 0).any() or ((offsets[1:] * own.offsets[1:]).sum(1) < 0.8 * lengths).any():
        return None
    scale = next((u for u in UNITS_PER_METRE if np.allclose(offsets / u, own.offsets, atol=2e-5)), None)
    if scale is None:
        longer = Skeleton(own.names, own.parents, offsets).leg_length / own.leg_length
        scale = min(UNITS_PER_METRE[:4], key=lambda unit: abs(np.log(longer / unit)))
        own = Skeleton(own.names, own.parents, offsets / scale)
    return Motion(bvh.positions[:, order[0]] / scale, bvh.rotations[:, order], fps=bvh.fps, skeleton=own)


def save_bvh(motion: Motion, path: str | os.PathLike, *, scale: float = 1.0) -> None:
    """Write a BVH file: ``scale`` units per metre (100 for centimetres), y up, rotations in ZXY order.

    The joints keep the skeleton's names and rest pose; head, hands and toes get End Sites.
    """
    skeleton = motion.skeleton
    offsets = skeleton.offsets * scale
    positions = np.repeat(offsets[None], motion.frames, axis=0)
    positions[:, 0] = motion.root_position * scale
    ends = end_sites(skeleton)
    bvh = BvhFile(
        names=skeleton.names,
        parents=skeleton.parents,
        offsets=offsets,
        channels=(MOVING_CHANNELS, *[TURNING_CHANNELS] * (len(skeleton) - 1)),
        end_parents=tuple(ends),
        end_offsets=np.array(list(ends.values())).reshape(-1, 3) * scale,
        positions=positions,
        rotations=motion.rotations,
        fps=motion.fps,
    )
    write_bvh(bvh, path)


TURNING_CHANNELS = ("zrotation", "xrotation", "yrotation")
MOVING_CHANNELS = ("xposition", "yposition", "zposition", *TURNING_CHANNELS)


def write_bvh(bvh: BvhFile, path: str | os.PathLike) -> None:
    """Write a file as it is, in its own units, axes and channels; the frame time carries the true frame rate.

    Every joint has three rotation channels, in any order.
    """
    text: list[str] = ["HIERARCHY"]
    columns: list[np.ndarray] = []
    offsets = _told_apart(bvh)

    def write(joint: int, depth: int) -> None:
        indent = "\t" * depth
        channels = bvh.channels[joint]
        order = "".join(channel[0] for channel in channels if channel.endswith("rotation")).upper()
        rotations = torch.from_numpy(np.ascontiguousarray(bvh.rotations[:, joint]))
        angles = np.rad2deg(rot.euler_from_matrix(rotations, order).numpy())
        for channel in channels:
            axis = channel[0]
            at_axis = bvh.positions[:, joint, "xyz".index(axis)]
            columns.append(at_axis if channel.endswith("position") else angles[:, order.index(axis.upper())])
        shown = " ".join(channel.capitalize() for channel in channels)
        text.append(f"{indent}{'ROOT' if bvh.parents[joint] < 0 else 'JOINT'} {bvh.names[joint]}")
        text.append(f"{indent}{{")
        text.append(f"{indent}\tOFFSET {_numbers(offsets[joint])}")
        text.append(f"{indent}\tCHANNELS {len(channels)} {shown}".rstrip())
        for child, parent in enumerate(bvh.parents):
            if parent == joint:
                write(child, depth + 1)
        for end, parent in zip(bvh.end_offsets, bvh.end_parents, strict=True):
            if parent == joint:
                inner = f"{indent}\t"
                text.extend((f"{inner}End Site", f"{inner}{{", f"{inner}\tOFFSET {_numbers(end)}", f"{inner}}}"))
        text.append(f"{indent}}}")

    write(0, 0)
    rows = np.stack(columns, axis=1)
    text.extend(("MOTION", f"Frames: {bvh.frames}", f"Frame Time: {1 / bvh.fps:.10f}"))
    row_format = " ".join(["%.6f"] * rows.shape[1])
    text.extend(row_format % tuple(row) for row in rows.tolist())
    with atomic_write(path) as temporary:
        temporary.write_text("\n".join(text) + "\n", encoding="utf-8")


def _told_apart(bvh: BvhFile) -> np.ndarray:
    """The offsets, some of them two millionths off.

    Blender's importer takes a joint for joined to its parent's tail where its offset equals the parent's plus the mean
    of all children's, and then moves it there. Our own chest and neck meet that condition.
    """
    offsets = bvh.offsets.copy()
    for joint in range(len(offsets)):
        children = [child for child, parent in enumerate(bvh.parents) if parent == joint]
        for child in children if len(children) > 1 else ():
            tail = bvh.offsets[joint] + bvh.offsets[children].mean(0)
            if np.abs(tail - bvh.offsets[child]).max() < 1e-6:
                offsets[child, 1] += 2e-6
    return offsets


def _numbers(values: np.ndarray) -> str:
    return " ".join(f"{value:.6f}" for value in values)


def end_sites(skeleton: Skeleton) -> dict[int, np.ndarray]:
    """For every joint without a child, where its bone ends (metres): crown, fingertips, tip of the toes."""
    return {joint: _end_site(skeleton, joint) for joint, below in enumerate(skeleton.children) if not below}


def _end_site(skeleton: Skeleton, joint: int) -> np.ndarray:
    """Where a bone without a child ends (metres): crown, fingertips, tip of the toes."""
    name = skeleton.names[joint]
    if name == "head":
        return np.array([0.0, 0.16, 0.0])
    if name.endswith("foot"):
        return np.array([0.0, 0.0, 0.07])
    return skeleton.offsets[joint] * (1.1 if name.endswith("hand") else 0.6)
