"""Rotations from directions: what a skeleton's joints must do so that its bones point as asked.

Plain arrays, batched over any leading axes; time comes first where a function looks along it.
"""

import numpy as np
import torch
from scipy import linalg

from longdance.motion import rotations as rot
from longdance.motion.filters import nearest_rotation


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) scaled to length one; zero vectors stay zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def turn_between(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Smallest rotations (..., 3, 3) that turn one direction into the other."""
    source, target = np.broadcast_arrays(source, target)
    pair = (torch.from_numpy(np.ascontiguousarray(v, dtype=np.float64)) for v in (source, target))
    return rot.rotation_between(*pair).numpy()


def turn_angle(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Angles (...) in radians, 0 to pi, of the turns from the ``first`` rotations (..., 3, 3) to the ``second``."""
    first, second = np.broadcast_arrays(first, second)
    pair = (torch.from_numpy(np.ascontiguousarray(m, dtype=np.float64)) for m in (first, second))
    return rot.geodesic_angle(*pair).numpy()


def turn_about(axes: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Rotations (..., 3, 3) by ``angles`` (...) radians about unit ``axes`` (..., 3)."""
    return rot.matrix_from_axis_angle(torch.from_numpy(axes * angles[..., None])).numpy()


def quaternion_track(turns: np.ndarray) -> np.ndarray:
    """(frames, 4) unit quaternions as x, y, z, w of (frames, 3, 3), without changes of sign from frame to frame."""
    found = rot.quaternion_from_matrix(torch.from_numpy(np.ascontiguousarray(turns))).numpy()
    flips = (found[1:] * found[:-1]).sum(-1) < 0
    signs = np.where(np.cumsum(np.concatenate(([False], flips))) % 2, -1.0, 1.0)
    return (found * signs[:, None])[:, [1, 2, 3, 0]]


def heading(rotations: np.ndarray) -> np.ndarray:
    """Angles (...) in radians about the vertical by which rotations (..., 3, 3) turn away from +z."""
    return np.asarray(np.arctan2(rotations[..., 0, 2], rotations[..., 2, 2]))


def apply(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Rotated vectors (..., 3)."""
    return (matrices @ np.asarray(vectors)[..., None])[..., 0]


def smooth_track(values: np.ndarray, weights: np.ndarray, stiffness: np.ndarray) -> np.ndarray:
    """The track (frames, ...) near ``values`` that changes little where it is stiff.

    Minimises the sum of ``weights`` (frames,) times squared distances from the values and ``stiffness``
    (frames - 1,) times squared steps between neighbours: a tridiagonal system.
    """
    if len(values) == 1:
        return values
    bands = np.zeros((2, len(values)))
    bands[1] = weights
    bands[1, :-1] += stiffness
    bands[1, 1:] += stiffness
    bands[0, 1:] = -stiffness
    flat = values.reshape(len(values), -1)
    return linalg.solveh_banded(bands, weights[:, None] * flat).reshape(values.shape)


def frame(first_axis: str, first: np.ndarray, second_axis: str, second: np.ndarray) -> np.ndarray:
    """Rotations (..., 3, 3) with the ``first_axis`` column along ``first``, the second near ``second``."""
    one = unit(np.asarray(first, dtype=np.float64))
    two = unit(second - (second * one).sum(-1, keepdims=True) * one)
    a, b = "xyz".index(first_axis), "xyz".index(second_axis)
    sign = 1.0 if (b - a) % 3 == 1 else -1.0
    columns = {a: one, b: two, 3 - a - b: sign * np.cross(one, two)}
    return np.stack([columns[i] for i in range(3)], -1)


def align(rest_one, rest_two, world_one: np.ndarray, world_two: np.ndarray) -> np.ndarray:
    """World rotations that carry the rest pair of directions to the world pair; the first exactly."""
    rest = frame("x", np.asarray(rest_one, dtype=float), "y", np.asarray(rest_two, dtype=float))
    return frame("x", world_one, "y", world_two) @ rest.T


def _cube_rotations() -> np.ndarray:
    """The 24 rotations that map axes to axes."""
    found = []
    for a in "xyz":
        for b in "xyz".replace(a, ""):
            for signs in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
                found.append(frame(a, signs[0] * np.eye(3)[0], b, signs[1] * np.eye(3)[1]))
    return np.array(found)


CUBE_ROTATIONS = _cube_rotations()
"""(24, 3, 3) the rotations that map axes to axes."""


def calibrated(
    rotations: np.ndarray, reference: np.ndarray, *, weights: np.ndarray | None = None, snap: float = 0.0
) -> np.ndarray | None:
    """``rotations`` (frames, 3, 3) with their unknown constant local frame replaced by that of the ``reference``.

    A constant within ``snap`` radians of a change of axes is taken to be that change. None when the two do not move
    together at all, over the frames that have ``weights``.
    """
    mean = np.average(np.swapaxes(rotations, -1, -2) @ reference, axis=0, weights=weights)
    if np.linalg.svd(mean, compute_uv=False)[-1] < 0.6:
        return None
    constant = nearest_rotation(mean)
    if snap:
        distance = turn_angle(CUBE_ROTATIONS, constant)
        if distance.min() < snap:
            constant = CUBE_ROTATIONS[distance.argmin()]
    return rotations @ constant


GUESSED, KNOWN = 0.01, 0.03
"""What the axis expected from the parent, or known from a rig, counts for; a limb bent by a right angle counts 1."""
SETTLING = 0.04
"""Seconds: a limb with weight 1 settles on its own axis in this time, a straighter one more slowly."""


def hinges(
    upper: np.ndarray, lower: np.ndarray, guess: np.ndarray, rotation: np.ndarray | None, fps: float
) -> np.ndarray:
    """Axes (frames, 3) about which a limb bends, perpendicular to ``upper``, also through straight poses.

    ``upper`` and ``lower`` are unit directions of the two bones, ``guess`` (frames, 3) a rough axis of any
    length, trusted where the limb is straight. A ``rotation`` (frames, 3, 3) of the upper bone tells the
    axis better, if the axes of bent poses are constant in its frame.
    """
    cross = np.cross(upper, lower)
    sine = np.linalg.norm(cross, axis=-1, keepdims=True)
    expected, trust = guess, GUESSED
    if rotation is not None:
        local = apply(np.swapaxes(rotation, -1, -2), cross * sine).sum(0) / max((sine**2).sum(), 1e-9)
        if np.linalg.norm(local) > 0.85:
            expected, trust = rotation @ unit(local), KNOWN
    # A slight bend against the expected axis is a limb stretched too far, not one that turned round.
    against = (cross * expected).sum(-1, keepdims=True) < 0
    slight = np.clip((40 - np.degrees(np.arctan2(sine, (upper * lower).sum(-1, keepdims=True)))) / 10, 0, 1)
    vote = np.where(against, 1 - 2 * slight, 1.0) * cross * sine + trust * expected
    vote = vote - (vote * upper).sum(-1, keepdims=True) * upper
    # Angles about the bone are counted from a direction carried along with it, which no pose makes singular.
    carried = np.empty_like(upper)
    carried[0] = np.cross(upper[0], np.eye(3)[abs(upper[0]).argmin()])
    steps = turn_between(upper[:-1], upper[1:])
    for t in range(len(steps)):
        carried[t + 1] = steps[t] @ carried[t]
    carried = unit(carried - (carried * upper).sum(-1, keepdims=True) * upper)
    aside = np.cross(upper, carried)
    # A limb that nothing is known of is given some axis.
    angle = np.stack(((vote * carried).sum(-1) + 1e-6, (vote * aside).sum(-1)), -1)
    # Smooth in time, each frame counting as much as its limb is bent.
    weight = sine[:, 0] ** 2 + trust
    smooth = unit(smooth_track(angle / weight[:, None], weight, np.full(len(upper) - 1, (SETTLING * fps) ** 2)))
    return smooth[:, :1] * carried + smooth[:, 1:] * aside


def limb_rotations(
    upper: np.ndarray,
    lower: np.ndarray,
    *,
    rest_upper: np.ndarray,
    rest_lower: np.ndarray,
    rest_hinge: np.ndarray,
    parent: np.ndarray,
    fps: float,
    source: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """World rotations (frames, 3, 3) of a limb's two bones from their unit directions (frames, 3).

    ``rest_...`` are both bones and the axis of the bend in the rest pose; ``parent`` (frames, 3, 3) the world
    rotations of the bone that the limb hangs on; ``source`` those of the upper bone in a source rig, in any
    constant local frame. Elbows and knees that bend backwards are eased off towards straight.
    """
    carried = parent @ unit(rest_upper)
    # Where the limb points against its rest direction the carried axis means nothing.
    trust = (1 + (carried * upper).sum(-1, keepdims=True)) / 2
    guess = trust * apply(turn_between(carried, upper) @ parent, rest_hinge)
    axes = hinges(upper, lower, guess, source, fps)
    bend = np.arctan2((np.cross(upper, lower) * axes).sum(-1), (upper * lower).sum(-1))
    ease = np.deg2rad(4)
    natural = np.where(bend > ease, bend, ease * np.exp(np.minimum(bend / ease - 1, 0)))
    lower = apply(turn_about(axes, natural - bend), lower)
    return align(rest_upper, rest_hinge, upper, axes), align(rest_lower, rest_hinge, lower, axes)
