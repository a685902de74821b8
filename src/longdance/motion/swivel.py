"""Legs that a capture turned half round their line from hip to ankle, turned back."""

import numpy as np

from longdance.motion.directions import apply, turn_about, turn_between, unit
from longdance.motion.landmarks import Landmarks

HIGHEST_RATE = 60.0
"""Frames per second at which leaps are looked for."""
LEAP = 15.0
"""Thigh lengths per second that a knee or a toe moves about its leg's line without seeming to leap."""
LARGEST_CALM = 0.35
"""The same at most from frame to frame, at low frame rates."""
STRAIGHT = 0.05
"""Of the thigh's length that a knee is off the line from hip to ankle; a straighter leg does not tell its side."""
SUSPICION = 0.02
"""What it costs to take a frame for turned, at 60 frames per second, where nothing speaks for either."""


def unswivel(landmarks: Landmarks, side: str) -> None:
    """Turn back, in place, the frames in which a leg is swivelled half round its line from hip to ankle.

    Captures of raised or straight legs have stretches of frames where the knee is on the wrong side. The cheapest
    sequence of kept and turned frames is found, where leaps of the knee and the toes cost most, and knees that bend
    backwards and toes that point backwards cost a little. What most of a clip shows is how the leg is: then nothing is
    turned.
    """
    points = landmarks.positions
    hip, knee, ankle = (points[f"{side}_{joint}"] for joint in ("hip", "knee", "ankle"))
    axis = unit(ankle - hip)
    # Every frame of a higher rate may be one that was interpolated across a leap.
    stride = max(1, round(landmarks.fps / HIGHEST_RATE))
    seen = np.unique(np.append(np.arange(0, len(axis), stride), len(axis) - 1))
    hips = unit(points["left_hip"] - points["right_hip"])
    size = np.linalg.norm(knee - hip, axis=-1).mean()
    out = _across(knee - hip, axis) / size
    spokes = [out]
    behind = 2 * _backwards(out, axis, hips, STRAIGHT)
    if f"{side}_foot" in points:
        toes = _across(points[f"{side}_foot"] - ankle, axis) / size
        spokes.append(toes)
        behind = behind + 0.5 * _backwards(toes, axis, hips, STRAIGHT)
    seconds = stride / landmarks.fps
    unary = np.stack((np.maximum(behind, 0), np.maximum(-behind, 0) + SUSPICION), -1)[seen] * 60 * seconds
    calm = min(LEAP * seconds, LARGEST_CALM)
    # Leaps from frame to frame if neither or both, or just one of the two frames is turned.
    carry = turn_between(axis[seen[:-1]], axis[seen[1:]])
    same, other = (
        sum(
            40 * np.maximum(np.linalg.norm(s[seen[1:]] - sign * apply(carry, s[seen[:-1]]), axis=-1) - calm, 0) ** 2
            for s in spokes
        )
        for sign in (1, -1)
    )
    turned = _cheapest(unary, np.asarray(same), np.asarray(other))
    if not turned.any() or turned.mean() > 0.5:
        return
    angles = _angles(turned, seen, out, axis)
    where = angles != 0
    turn = turn_about(axis[where], angles[where])
    for joint in ("knee", "foot", "heel"):
        name = f"{side}_{joint}"
        if name in points:
            points[name][where] = hip[where] + apply(turn, points[name][where] - hip[where])
    for joint in ("hip", "knee", "ankle", "foot"):
        name = f"{side}_{joint}"
        if name in landmarks.rotations:
            landmarks.rotations[name] = landmarks.rotations[name].copy()
            landmarks.rotations[name][where] = turn @ landmarks.rotations[name][where]


def _angles(turned: np.ndarray, seen: np.ndarray, out: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """(frames,) radians to turn a leg by: half round where it is ``turned`` among the frames ``seen``.

    Frames between a turned one and one that is not are led from one to the other.
    """
    at = np.searchsorted(seen, np.arange(len(out)), side="right") - 1
    after = np.minimum(at + 1, len(seen) - 1)
    angles = np.pi * turned[at]
    for t in np.flatnonzero((turned[at] != turned[after]) & (seen[at] < np.arange(len(out)))):
        share = (t - seen[at[t]]) / (seen[after[t]] - seen[at[t]])
        wanted = np.zeros(3)
        for weight, k in ((1 - share, at[t]), (share, after[t])):
            there = seen[k]
            wanted += weight * (-1 if turned[k] else 1) * turn_between(axis[there], axis[t]) @ out[there]
        angles[t] = np.arctan2(np.cross(out[t], wanted) @ axis[t], out[t] @ wanted)
    return angles


def _across(vectors: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """The part of each vector that is perpendicular to a unit axis."""
    return vectors - (vectors * axis).sum(-1, keepdims=True) * axis


def _backwards(spokes: np.ndarray, axis: np.ndarray, hips: np.ndarray, dead: float) -> np.ndarray:
    """(frames,) how far (frames, 3) spokes about a leg's axis point behind the pelvis; shorter than ``dead``: zero."""
    length = np.linalg.norm(spokes, axis=-1)
    return (np.cross(axis, unit(spokes)) * hips).sum(-1) * np.maximum(length - dead, 0)


def _cheapest(unary: np.ndarray, same: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(frames,) booleans of the cheapest sequence of two states.

    ``unary`` (frames, 2) are the states' costs, ``same`` and ``other`` (frames - 1,) those of keeping and changing.
    """
    cost, came = unary[0], np.zeros((len(unary), 2), dtype=int)
    for t in range(1, len(unary)):
        step = cost[:, None] + np.array([[same[t - 1], other[t - 1]], [other[t - 1], same[t - 1]]])
        came[t] = step.argmin(0)
        cost = step.min(0) + unary[t]
    state = np.zeros(len(unary), dtype=int)
    state[-1] = cost.argmin()
    for t in range(len(unary) - 1, 0, -1):
        state[t - 1] = came[t, state[t]]
    return state.astype(bool)
