"""Meeting what is kept: movement that was made anew, bent at its seams so that it joins what is around it.

Position, velocity and acceleration are those of the kept frames; nothing outside of the free frames changes.
"""

from dataclasses import replace

import numpy as np
import torch

from longdance.motion import rotations as rot
from longdance.motion.filters import runs
from longdance.motion.motion import Motion

SEAM = 0.8
"""Seconds of the edited stretch over which it is bent to meet what was kept."""
PACE = 3
"""Frames into an edited stretch over which its pace at a seam is measured."""


def met(dance: Motion, made: Motion, free: np.ndarray, *, first: int, joints: np.ndarray, path: bool) -> Motion:
    """``dance`` with the ``free`` frames of ``made``, which begins at frame ``first``, bent to meet the others.

    Position, velocity and acceleration are those of the kept frames at each seam, and what they differ by has faded
    after ``SEAM`` seconds; a difference of place on the floor is spread over the whole run, so that nobody glides.
    """
    root, rotations = dance.root_position.copy(), dance.rotations.copy()
    chosen = np.flatnonzero(joints)
    for begin, end in runs(free):
        run = slice(begin - first, end - first)
        before = _kept_beside(free, begin - 1, -1, first)
        after = _kept_beside(free, end, 1, first + made.frames - 1)

        def turned(frames: list[int], made=made, first=first) -> np.ndarray:
            there = made.rotations[[frame - first for frame in frames]]
            return _angles(dance.rotations[frames][:, chosen], there[:, chosen])

        def moved(frames: list[int], made=made, first=first) -> np.ndarray:
            return dance.root_position[frames] - made.root_position[[frame - first for frame in frames]]

        count = end - begin
        bend = torch.from_numpy(_bend(turned(before), turned(after), count, dance.fps))
        rotations[begin:end, chosen] = rot.matrix_from_axis_angle(bend).numpy() @ made.rotations[run][:, chosen]
        if path:
            root[begin:end] = made.root_position[run] + _led(moved(before), moved(after), count, dance.fps)
    return replace(dance, root_position=root, rotations=rotations)


def closed(made: Motion, free: np.ndarray) -> Motion:
    """``made`` without the jumps that a strongly guided denoiser leaves between held frames and its ``free`` ones.

    The free frames come to begin where the held ones were going, and to end where they go on from. This comes before
    smoothing, which would spread a jump over the held frames, where it could no longer be told from movement.
    """
    root, rotations = made.root_position.copy(), made.rotations.copy()
    last = made.frames - 1

    def apart(there: int, step: int, begin: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        """What the seam beside frame ``there`` lacks in place and pace, as ``_bend`` wants it: (3, ...) outwards.

        A jump dies away over some frames, so the pace of the free side is taken a little further in.
        """
        held, beyond = there + step, there + 2 * step
        inner = min(max(there - PACE * step, begin), end - 1)
        over = max(abs(inner - there), 1)
        went = (made.root_position[there] - made.root_position[inner]) / over
        turned = _angles(made.rotations[there], made.rotations[inner]) / over
        goes, turns = went, turned  # of a lone key frame any pace will do
        if 0 <= beyond <= last and not free[beyond]:
            goes = made.root_position[beyond] - made.root_position[held]
            turns = _angles(made.rotations[beyond], made.rotations[held])
        place = made.root_position[held] - goes - made.root_position[there]
        back = rot.matrix_from_axis_angle(torch.from_numpy(-turns)).numpy()
        angle = _angles(back @ made.rotations[held], made.rotations[there])
        pace, spin = went - goes, turned - turns
        outwards = np.arange(3.0)
        return place - outwards[:, None] * pace, angle - outwards[:, None, None] * spin

    for begin, end in runs(free):
        none = (np.zeros((0, 3)), np.zeros((0, len(made.skeleton), 3)))
        before = apart(begin, -1, begin, end) if begin > 0 else none
        after = apart(end - 1, 1, begin, end) if end <= last else none
        root[begin:end] += _led(before[0], after[0], end - begin, made.fps)
        bend = torch.from_numpy(_bend(before[1], after[1], end - begin, made.fps))
        rotations[begin:end] = rot.matrix_from_axis_angle(bend).numpy() @ made.rotations[begin:end]
    return replace(made, root_position=root, rotations=rotations)


def _kept_beside(free: np.ndarray, frame: int, step: int, edge: int) -> list[int]:
    """Up to three kept frames from a seam outwards, none beyond ``edge``."""
    found = []
    while len(found) < 3 and 0 <= frame < len(free) and (edge - frame) * step >= 0 and not free[frame]:
        found.append(frame)
        frame += step
    return found


def _bend(
    before: np.ndarray,
    after: np.ndarray,
    frames: int,
    fps: float,
    *,
    spread: bool = False,
) -> np.ndarray:
    """What to add to a run of frames, (frames, ...), given what its neighbours are apart on either side, (kept, ...).

    Neighbours are kept frames, none to three, the nearest first.

    Quintic in time: value, velocity and acceleration are those of the neighbours at the seam and zero after ``SEAM``
    seconds, or half the run. With ``spread`` the value goes from one side's to the other's over the whole run instead.
    """
    length = (frames + 1) / fps
    reach = min(SEAM, length / 2 if len(before) and len(after) else length)
    since = (np.arange(frames) + 1) / fps
    bend = np.zeros((frames, *before.shape[1:]))
    column = (slice(None), *[None] * (before.ndim - 1))
    for apart, away in ((before, since), (after, length - since)):
        if not len(apart):
            continue
        u = np.minimum(away / reach, 1.0)
        value = apart[0]
        steady = len(apart) == 3 and np.abs(apart).max() < 2.5  # nearer to a half turn, differences mean nothing
        velocity = (apart[0] - apart[1]) * fps if steady else 0 * value
        acceleration = (apart[0] - 2 * apart[1] + apart[2]) * fps**2 if steady else 0 * value
        if not spread:
            bend += (1 - u**3 * (10 - 15 * u + 6 * u**2))[column] * value
        bend += (reach * u * (1 - u**2 * (6 - 8 * u + 3 * u**2)))[column] * velocity
        bend += (reach**2 * 0.5 * u**2 * (1 - u) ** 3)[column] * acceleration
    if spread and len(before) + len(after):
        begin = before[0] if len(before) else after[0]
        end = after[0] if len(after) else before[0]
        u = since / length
        bend += begin + (u**3 * (10 - 15 * u + 6 * u**2))[column] * (end - begin)
    return bend


def _led(before: np.ndarray, after: np.ndarray, frames: int, fps: float) -> np.ndarray:
    """``_bend`` for the root, (frames, 3): what differs over the floor is spread over the whole run, height is not."""
    bend = _bend(before, after, frames, fps)
    bend[:, [0, 2]] = _bend(before, after, frames, fps, spread=True)[:, [0, 2]]
    return bend


def _angles(to: np.ndarray, of: np.ndarray) -> np.ndarray:
    """(..., 3) axis-angles from one set of rotations (..., 3, 3) to another."""
    return rot.axis_angle_from_matrix(torch.from_numpy(to @ np.swapaxes(of, -1, -2))).numpy()
