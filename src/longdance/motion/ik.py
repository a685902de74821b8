"""Inverse kinematics: legs that reach given ankles, feet that stand still, and whole bodies that meet joint targets."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from scipy import linalg, ndimage

from longdance.motion import filters
from longdance.motion import rotations as rot
from longdance.motion.contacts import speeds
from longdance.motion.kinematics import local_rotations
from longdance.motion.motion import Motion
from longdance.motion.skeleton import BALL_HEIGHT, SMPL24, Skeleton

FULL_EXTENSION = 0.998
"""Fraction of the leg's length beyond which a leg is not stretched."""


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) scaled to length one; zero vectors stay zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def turn_between(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Smallest rotations (..., 3, 3) that turn one direction into the other."""
    source, target = np.broadcast_arrays(source, target)
    pair = (torch.from_numpy(np.ascontiguousarray(v, dtype=np.float64)) for v in (source, target))
    return rot.rotation_between(*pair).numpy()


def turn_about(axes: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Rotations (..., 3, 3) by ``angles`` (...) radians about unit ``axes`` (..., 3)."""
    return rot.matrix_from_axis_angle(torch.from_numpy(axes * angles[..., None])).numpy()


def apply(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Rotated vectors (..., 3)."""
    return (matrices @ np.asarray(vectors)[..., None])[..., 0]


def smooth_track(values: np.ndarray, weights: np.ndarray, stiffness: np.ndarray) -> np.ndarray:
    """The track (frames, ...) near ``values`` that changes little where it is stiff.

    Minimises the sum of ``weights`` (frames,) times squared distances from the values and ``stiffness``
    (frames - 1,) times squared steps between neighbours: a tridiagonal system.
    """
    bands = np.zeros((2, len(values)))
    bands[1] = weights
    bands[1, :-1] += stiffness
    bands[1, 1:] += stiffness
    bands[0, 1:] = -stiffness
    flat = values.reshape(len(values), -1)
    return linalg.solveh_banded(bands, weights[:, None] * flat).reshape(values.shape)


@dataclass(frozen=True)
class _Leg:
    """Indices of one leg's joints."""

    hip: int
    knee: int
    ankle: int
    foot: int


def _legs(skeleton: Skeleton) -> tuple[_Leg, _Leg]:
    left, right = (
        _Leg(*(skeleton.index(f"{side}_{joint}") for joint in ("hip", "knee", "ankle", "foot")))
        for side in ("left", "right")
    )
    return left, right


def reach_ankles(
    motion: Motion, ankles: np.ndarray, *, foot_rotations: np.ndarray | None = None, shift_pelvis: bool = True
) -> Motion:
    """The motion with its legs bent and swung so that the ankles are at (frames, 2, 3) metres, left then right.

    The knee keeps its plane and the leg its twist, so nothing flips. ``foot_rotations`` (frames, 2, 3, 3) are the
    world rotations of the ankle joints, by default those that the motion has. Where a leg is too short the pelvis
    moves towards the ankle, smoothly in time; what is then still out of reach is left stretched towards the target.
    """
    skeleton, legs = motion.skeleton, _legs(motion.skeleton)
    positions, turns = (array.copy() for array in motion.forward_kinematics())
    root = motion.root_position
    if foot_rotations is None:
        foot_rotations = turns[:, [leg.ankle for leg in legs]]
    reach = FULL_EXTENSION * skeleton.leg_length
    if shift_pelvis:
        root = root + _pelvis_shift(positions[:, [leg.hip for leg in legs]], ankles, reach, motion.fps)
    shift = root - motion.root_position
    for side, leg in enumerate(legs):
        hip, knee, ankle = (positions[:, j] + shift for j in (leg.hip, leg.knee, leg.ankle))
        wanted = ankles[:, side] - hip
        thigh_length = np.linalg.norm(skeleton.offsets[leg.knee])
        shin_length = np.linalg.norm(skeleton.offsets[leg.ankle])
        distance = np.clip(np.linalg.norm(wanted, axis=-1), 0.12 * reach, reach)
        # 1. Bend the knee to the distance. The hinge is the axis of the present bend; a straight or slightly
        #    overstretched leg takes the thigh's own.
        thigh, shin = unit(knee - hip), unit(ankle - knee)
        own = turns[:, leg.hip] @ np.array([1.0, 0.0, 0.0])
        cross = np.cross(thigh, shin)
        bent = np.clip(np.linalg.norm(cross, axis=-1, keepdims=True) / 0.5 - 0.3, 0, 1)
        hinge = np.where((cross * own).sum(-1, keepdims=True) < 0, 2 * bent - 1, 1.0) * cross + 0.05 * own
        hinge = unit(hinge - (hinge * thigh).sum(-1, keepdims=True) * thigh)
        inner = (thigh_length**2 + shin_length**2 - distance**2) / (2 * thigh_length * shin_length)
        bend = np.pi - np.arccos(np.clip(inner, -1, 1))
        present = np.arctan2((cross * hinge).sum(-1), (thigh * shin).sum(-1))
        bending = turn_about(hinge, bend - present)
        line = thigh_length * thigh + shin_length * apply(bending, shin)
        # 2. Swing the whole leg onto the line from hip to target.
        swing = turn_between(line, wanted)
        turns[:, leg.hip] = swing @ turns[:, leg.hip]
        turns[:, leg.knee] = swing @ bending @ turns[:, leg.knee]
        toes = np.swapaxes(turns[:, leg.ankle], -1, -2) @ turns[:, leg.foot]
        turns[:, leg.ankle] = foot_rotations[:, side]
        turns[:, leg.foot] = foot_rotations[:, side] @ toes
    rotations = local_rotations(torch.from_numpy(turns), skeleton).numpy()
    return replace(motion, root_position=root, rotations=rotations)


def _pelvis_shift(hips: np.ndarray, ankles: np.ndarray, reach: float, fps: float) -> np.ndarray:
    """(frames, 3) metres by which the pelvis moves so that both legs reach; smooth in time."""
    shift = np.zeros((len(hips), 3))
    for _ in range(4):
        for side in (0, 1):
            line = hips[:, side] + shift - ankles[:, side]
            length = np.linalg.norm(line, axis=-1, keepdims=True)
            shift -= line / np.maximum(length, 1e-9) * np.maximum(length - reach, 0)
    if not shift.any():
        return shift
    # The maximum over a neighbourhood, then an average over the same: never less than the need at its peak.
    width = max(1, round(0.1 * fps))
    size = np.linalg.norm(shift, axis=-1)
    bound = ndimage.maximum_filter1d(size, 2 * width + 1, mode="nearest")
    smooth = ndimage.uniform_filter1d(bound, 2 * width + 1, mode="nearest")
    direction = unit(ndimage.gaussian_filter1d(shift, width, axis=0, mode="nearest"))
    return direction * smooth[:, None]


# --- feet that stand still --------------------------------------------------------------------------------------

HOLD = 3.0
"""Seconds for which a foot is held in place against a drift of the motion; the longer a stance, the softer."""
BLEND = 0.08
"""Seconds over which a correction fades in and out beside a stance."""
NEAR = 0.05
"""Metres above its standing height up to which a foot joint can stand, when contacts are detected here."""
SLOW = 0.4
"""Metres per second below which it then stands; generated feet slide, so it is more than for a real one."""


def lock_feet(motion: Motion, contacts: np.ndarray | None = None) -> Motion:
    """The motion with feet that neither slide nor sink: the clean-up after generation or capture.

    ``contacts`` (frames, 4) booleans: left ankle (heel), left foot (ball), right ankle, right foot; by default
    detected. A foot joint in contact is held in one place on the floor; a foot with both keeps its heading and lies
    flat. Corrections fade in and out with continuous acceleration; legs follow by ``reach_ankles``. Everywhere feet
    are kept above the floor.
    """
    if motion.frames < 3:
        return motion
    skeleton, fps = motion.skeleton, motion.fps
    positions, turns = motion.forward_kinematics()
    if contacts is None:
        contacts = detect_contacts(positions, fps, skeleton=skeleton)
    if contacts.shape != (motion.frames, 4):
        raise ValueError(f"expected contacts ({motion.frames}, 4), got {contacts.shape}")
    ankles, feet = [], []
    for side, leg in enumerate(_legs(skeleton)):
        ankle, rotation = _locked_foot(
            positions[:, leg.foot],
            turns[:, leg.ankle],
            skeleton.offsets[leg.foot],
            _steady(contacts[:, 2 * side], fps),
            _steady(contacts[:, 2 * side + 1], fps),
            fps,
        )
        ankles.append(ankle)
        feet.append(rotation)
    return reach_ankles(motion, np.stack(ankles, 1), foot_rotations=np.stack(feet, 1))


def detect_contacts(positions: np.ndarray, fps: float, *, skeleton: Skeleton) -> np.ndarray:
    """(frames, 4) booleans, in the order of ``lock_feet``, of joint positions (frames, joints, 3): low and slow."""
    columns = []
    for leg in _legs(skeleton):
        flat = BALL_HEIGHT - skeleton.offsets[leg.foot][1]
        for joint, height in ((leg.ankle, flat), (leg.foot, BALL_HEIGHT)):
            speed = speeds(filters.low_pass(positions[:, joint], fps, cutoff=8.0), fps)
            columns.append((positions[:, joint, 1] < height + NEAR) & (speed < SLOW))
    return np.stack(columns, 1)


def _steady(contact: np.ndarray, fps: float) -> np.ndarray:
    """Contacts (frames,) without gaps shorter than 0.07 s and without stances shorter than 0.1 s."""
    gap, stance = (max(1, round(seconds * fps)) for seconds in (0.07, 0.1))
    padded = np.pad(contact.astype(bool), gap, mode="edge")
    closed = ndimage.binary_closing(padded, np.ones(gap + 1))[gap:-gap] | contact.astype(bool)
    runs, count = ndimage.label(closed)
    sizes = np.bincount(runs, minlength=count + 1)
    return closed & (sizes[runs] >= stance)


def _offsets(values: np.ndarray, held: list[tuple[np.ndarray, np.ndarray]], fps: float) -> np.ndarray:
    """Smallest smooth offsets (frames, n) after which tracks rest.

    Minimises |offset|^2 + (BLEND fps)^4 |second difference of the offset|^2 + (HOLD fps)^2 |step of a held track|^2.
    ``values`` gives the shape; ``held`` lists tracks (frames, n) with booleans (frames,) of when each is to rest.
    """
    frames = len(values)
    bands = np.zeros((3, frames))
    right = np.zeros((frames, values.shape[1]))
    bands[2] = 1.0
    smooth = (BLEND * fps) ** 4
    for shift, weights in ((0, (1.0, -2.0, 1.0)),):
        count = frames - 2
        for i, a in enumerate(weights):
            for j, b in enumerate(weights):
                if j >= i:
                    start = j + shift
                    bands[2 - (j - i), start : start + count] += smooth * a * b
    for track, rest in held:
        step = (rest[1:] & rest[:-1]) * (HOLD * fps) ** 2
        bands[2, 1:] += step
        bands[2, :-1] += step
        bands[1, 1:] -= step
        pull = step[:, None] * np.diff(track, axis=0)
        right[1:] -= pull
        right[:-1] += pull
    return linalg.solveh_banded(bands, right)


def _reached(error: np.ndarray, wanted: np.ndarray, fps: float) -> np.ndarray:
    """Smallest smooth offsets (frames,) that are ``error`` wherever ``wanted``, and fade to zero elsewhere."""
    bands = np.zeros((3, len(error)))
    bands[2] = 1.0 + wanted * 1e4
    smooth, weights = (BLEND * fps) ** 4, (1.0, -2.0, 1.0)
    for i, a in enumerate(weights):
        for j in range(i, 3):
            bands[2 - (j - i), j : j + len(error) - 2] += smooth * a * weights[j]
    return linalg.solveh_banded(bands, 1e4 * wanted * error)


def _locked_foot(
    ball: np.ndarray,
    rotation: np.ndarray,
    offset: np.ndarray,
    heel_rests: np.ndarray,
    ball_rests: np.ndarray,
    fps,
) -> tuple[np.ndarray, np.ndarray]:
    """Ankle positions (frames, 3) and foot rotations (frames, 3, 3) of one foot that rests when told."""
    flat = heel_rests & ball_rests
    up = np.array([0.0, 1.0, 0.0])
    # 1. Pitch: level while flat.
    ahead = rotation @ np.array([0.0, 0.0, 1.0])
    across = unit(np.cross(up, ahead))
    pitch = np.arcsin(np.clip(ahead[:, 1], -1, 1))
    level = _reached(np.where(flat, pitch, 0.0), flat, fps)
    rotation = turn_about(across, level) @ rotation
    # 2. Heading: constant while flat.
    ahead = rotation @ np.array([0.0, 0.0, 1.0])
    heading = np.unwrap(np.arctan2(ahead[:, 0], ahead[:, 2]))[:, None]
    turn = _offsets(heading, [(heading, flat)], fps)[:, 0]
    rotation = turn_about(np.broadcast_to(up, ahead.shape), turn) @ rotation
    # 3. Place: whatever rests does not move over the floor.
    hung = rotation @ offset
    ground = ball[:, [0, 2]]
    move = _offsets(ground, [(ground, ball_rests), (ground - hung[:, [0, 2]], heel_rests)], fps)
    place = ball.copy()
    place[:, [0, 2]] += move
    # 4. Height: what rests is on the floor, nothing is below it.
    sole = BALL_HEIGHT - offset[1]
    need = np.where(ball_rests, BALL_HEIGHT - ball[:, 1], sole - (ball - hung)[:, 1])
    place[:, 1] += _reached(np.where(heel_rests | ball_rests, need, 0.0), heel_rests | ball_rests, fps)
    lowest = np.minimum(place[:, 1] - BALL_HEIGHT, (place - hung)[:, 1] - HEEL_LIMIT)
    place[:, 1] += _above(lowest) - lowest
    return place - hung, rotation


HEEL_LIMIT = 0.045
"""Metres above the floor below which no ankle can be, however the foot lies."""


def _above(heights: np.ndarray, ease: float = 0.004) -> np.ndarray:
    """Heights (metres) kept above zero, with a smooth transition below ``ease``."""
    return np.where(heights > ease, heights, ease * np.exp(np.minimum(heights / ease - 1, 0)))
