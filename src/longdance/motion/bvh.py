"""Reading and writing BVH files, the plain-text motion capture format.

The reader keeps what the file says: its own joint names, units and axes. Turning such a file into our
skeleton is ``longdance.motion.retarget``'s work. Position channels replace a joint's OFFSET, as every
common reader has it.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from longdance.errors import InputError
from longdance.files import atomic_write
from longdance.motion import rotations as rot
from longdance.motion.motion import Motion
from longdance.motion.skeleton import SMPL22, SMPL24, Skeleton

UNITS_PER_METRE = (1.0, 100.0, 1000.0, 39.3701, 10.0)
"""Metres, centimetres, millimetres, inches, decimetres."""
LARGEST_NUMBER = 1e9
"""Of any unit or degrees; what calculations bear."""


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


class _Header:
    """The HIERARCHY section, read line by line into flat lists."""

    def __init__(self, path: Path, lines: list[str]):
        self.path, self.lines, self.at = path, lines, 0
        self.names: list[str] = []
        self.parents: list[int] = []
        self.offsets: list[np.ndarray | None] = []
        self.channels: list[tuple[str, ...]] = []
        self.end_parents: list[int] = []
        self.end_offsets: list[np.ndarray] = []
        self._read()

    def error(self, expected: str, line: int | None = None) -> InputError:
        number = self.at if line is None else line
        got = self.lines[number - 1].strip()[:60] if 0 < number <= len(self.lines) else "the end of the file"
        return InputError(f"{self.path}, line {number}: expected {expected}, got {got!r}")

    def words(self) -> list[str]:
        """The next line that is not empty; braces at its ends become words of their own."""
        while self.at < len(self.lines):
            line = self.lines[self.at]
            self.at += 1
            words = line.replace("{", " { ").replace("}", " } ").split()
            if words:
                return words
        self.at = len(self.lines) + 1
        raise self.error("the hierarchy to be closed and a MOTION section")

    def _numbers(self, words: list[str]) -> np.ndarray:
        try:
            values = np.array([float(word) for word in words])
        except ValueError:
            values = np.empty(0)
        if values.shape != (3,) or not (np.abs(values) < LARGEST_NUMBER).all():
            raise self.error(f"OFFSET and three numbers below {LARGEST_NUMBER:g}")
        return values

    def _read(self) -> None:
        if not any(map(str.strip, self.lines)) or self.words()[0].upper() != "HIERARCHY":
            raise self.error("a BVH file that starts with HIERARCHY")
        stack: list[int] = []  # open joints; an open End Site is on top as -1
        pending: list[str] = []
        while True:
            words = pending or self.words()
            pending = []
            key = words[0].upper()
            if key == "MOTION":
                if stack or not self.names:
                    raise self.error("a complete hierarchy before MOTION")
                return
            if key in ("ROOT", "JOINT"):
                if (
                    (key == "ROOT") != (not self.names)
                    or (stack and stack[-1] < 0)
                    or (self.names and not stack)
                ):
                    raise self.error("one ROOT, and every JOINT inside it")
                opened = "{" in words
                name = " ".join(words[1 : words.index("{") if opened else None])
                if not name:
                    raise self.error(f"a name after {key}")
                self.parents.append(stack[-1] if stack else -1)
                self.names.append(name)
                self.offsets.append(None)
                self.channels.append(())
                pending = self._open(words)
                stack.append(len(self.names) - 1)
            elif key == "END":
                if not stack or stack[-1] < 0:
                    raise self.error("an End Site inside a joint")
                self.end_parents.append(stack[-1])
                self.end_offsets.append(np.zeros(3))
                pending = self._open(words)
                stack.append(-1)
            elif key == "OFFSET" and stack:
                values = self._numbers(words[1:4])
                pending = words[4:]
                if stack[-1] < 0:
                    self.end_offsets[-1] = values
                else:
                    self.offsets[stack[-1]] = values
            elif key == "CHANNELS" and stack and stack[-1] >= 0:
                pending = self._channels(words, stack[-1])
            elif key == "}" and stack:
                closed = stack.pop()
                if closed >= 0 and self.offsets[closed] is None:
                    raise self.error(f"an OFFSET in joint {self.names[closed]}")
                pending = words[1:]
            else:
                raise self.error("JOINT, End Site, OFFSET, CHANNELS, a brace or MOTION")

    def _open(self, words: list[str]) -> list[str]:
        """Take the opening brace from this line or the next; what follows it on the line is returned."""
        if "{" not in words:
            words = self.words()
            if words[0] != "{":
                raise self.error("{")
        return words[words.index("{") + 1 :]

    def _channels(self, words: list[str], joint: int) -> list[str]:
        try:
            count = int(words[1])
        except (IndexError, ValueError) as error:
            raise self.error("CHANNELS and their number") from error
        channels = tuple(word.lower() for word in words[2 : 2 + max(count, 0)])
        known = all(c[:1] in "xyz" and c[1:] in ("position", "rotation") for c in channels)
        if not 0 <= count <= 6 or len(channels) != count or not known or len(set(channels)) != count:
            raise self.error("CHANNELS, their number, and as many of Xposition ... Zrotation")
        self.channels[joint] = channels
        return words[2 + count :]


def read_bvh(path: str | os.PathLike) -> BvhFile:
    """Read a BVH file: any channel order, position channels on any joint, any line ends.

    ``InputError`` names the file and the line. The time taken is linear in the file's size.
    """
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise InputError(f"{path}: expected a readable BVH file ({error.strerror})") from error
    lines = text.splitlines()
    header = _Header(path, lines)
    frames, frame_time = _motion_head(header)
    width = sum(map(len, header.channels))
    values = _motion_values(header, frames, width)

    count = len(header.names)
    offsets = np.array(header.offsets, dtype=np.float64)
    positions = np.repeat(offsets[None], frames, axis=0)
    rotations = np.broadcast_to(np.eye(3), (frames, count, 3, 3)).copy()
    by_order: dict[str, list[tuple[int, list[int]]]] = {}
    column = 0
    for joint, channels in enumerate(header.channels):
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
        rotations[:, [joint for joint, _ in members]] = rot.matrix_from_euler(
            torch.from_numpy(angles), order
        ).numpy()
    return BvhFile(
        names=tuple(header.names),
        parents=tuple(header.parents),
        offsets=offsets,
        channels=tuple(header.channels),
        end_parents=tuple(header.end_parents),
        end_offsets=np.array(header.end_offsets, dtype=np.float64).reshape(-1, 3),
        positions=positions,
        rotations=rotations,
        fps=_frame_rate(frame_time),
    )


def _motion_head(header: _Header) -> tuple[int, float]:
    words = " ".join(header.words()).replace(":", " : ").split()
    try:
        if [words[0].lower(), words[1]] != ["frames", ":"]:
            raise ValueError
        frames = int(words[2])
    except (IndexError, ValueError) as error:
        raise header.error("Frames: and their number") from error
    if frames < 1:
        raise header.error("at least one frame")
    words = " ".join(header.words()).replace(":", " : ").split()
    try:
        if [word.lower() for word in words[:3]] != ["frame", "time", ":"]:
            raise ValueError
        frame_time = float(words[3])
    except (IndexError, ValueError) as error:
        raise header.error("Frame Time: and seconds") from error
    if not (1e-5 < frame_time < 1e4):
        raise header.error("a frame time between 0.00001 and 10000 seconds")
    return frames, frame_time


def _motion_values(header: _Header, frames: int, width: int) -> np.ndarray:
    """(frames, width) channel values; rows may be broken over several lines."""
    if width == 0:
        raise InputError(f"{header.path}: expected joints with CHANNELS, got none")
    start = header.at
    words = " ".join(header.lines[start:]).split()
    if len(words) != frames * width:
        raise InputError(
            f"{header.path}, line {start + 1}: expected {frames} frames of {width} numbers, "
            f"got {len(words)} numbers in all; the file may be cut short"
        )
    try:
        values = np.array(words, dtype=np.float64)
    except ValueError:
        values = np.full(1, np.nan)
    if not (np.abs(values) < LARGEST_NUMBER).all():
        for number, line in enumerate(header.lines[start:], start + 1):
            for word in line.split():
                try:
                    good = abs(float(word)) < LARGEST_NUMBER
                except ValueError:
                    good = False
                if not good:
                    raise InputError(
                        f"{header.path}, line {number}: expected numbers below {LARGEST_NUMBER:g}, got {word[:60]!r}"
                    )
    return values.reshape(frames, width)


def _frame_rate(frame_time: float) -> float:
    """Frames per second; a whole number where the file's rounded frame time means one."""
    fps = 1.0 / frame_time
    whole = round(fps)
    # Six decimals of 1/120 are off by 4e-5 of it; 23.976 is off 24 by 1e-3 and stays.
    return float(whole) if whole and abs(fps / whole - 1) < 2e-4 else fps


def load_bvh_motion(path: str | os.PathLike) -> Motion:
    """A BVH file as a ``Motion`` in metres, y up.

    A file with exactly our joint names and a rest pose like ours is taken over as it is; any other is
    retargeted to the SMPL24 skeleton. ``InputError`` names the file.
    """
    bvh = read_bvh(path)
    exact = _own_motion(bvh)
    if exact is not None:
        return exact
    from longdance.motion.retarget import retarget_bvh

    try:
        return retarget_bvh(bvh)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _own_motion(bvh: BvhFile) -> Motion | None:
    own = next((s for s in (SMPL24, SMPL22) if sorted(s.names) == sorted(bvh.names)), None)
    if own is None:
        return None
    order = [bvh.names.index(name) for name in own.names]
    parents = tuple(order.index(bvh.parents[j]) if bvh.parents[j] >= 0 else -1 for j in order)
    moved = any(
        c.endswith("position") for j, row in enumerate(bvh.channels) if bvh.parents[j] >= 0 for c in row
    )
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
