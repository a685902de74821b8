"""Inverse kinematics: feet that stand still, whole bodies that meet joint targets."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import linalg, ndimage
from torch import Tensor

from longdance.motion import filters
from longdance.motion import rotations as rot
from longdance.motion.contacts import HEEL_LIMIT, speeds
from longdance.motion.directions import turn_about, unit
from longdance.motion.kinematics import forward_kinematics
from longdance.motion.limbs import FULL_EXTENSION, legs, pelvis_shift, reach_ankles
from longdance.motion.motion import Motion
from longdance.motion.skeleton import BALL_HEIGHT, Skeleton

# --- feet that stand still ----------------------------------------------------------------------------------

HOLD = 3.0
"""Seconds for which a foot is held against a drift of the motion; the longer a stance, the softer."""
BLEND = 0.08
"""Seconds over which a correction fades in and out beside a stance."""
NEAR = 0.05
"""Metres above its standing height up to which a foot joint can stand, when contacts are detected here."""
SLOW = (0.35, 0.6)
"""Metres per second below which it then stands: the median speed of low feet, kept between these bounds."""
PELVIS_FADE = 0.4
"""Seconds in which a pelvis that was moved otherwise before comes to where it should be now."""
FIRM = 1e4
"""How much closer than smooth a standing foot is to the floor: the weight of its height and pitch."""


def lock_feet(motion: Motion, contacts: np.ndarray | None = None) -> Motion:
    """The motion with feet that neither slide nor sink: the clean-up after generation or capture.

    ``contacts`` (frames, 4) booleans: left ankle (heel), left foot (ball), right ankle, right foot; by
    default detected. A foot joint in contact is held in one place on the floor; a foot with both keeps its
    heading and lies flat. Corrections fade in and out with continuous acceleration; legs follow by
    ``reach_ankles``. Everywhere feet are kept above the floor.
    """
    return motion if motion.frames < 3 else lock_feet_on(motion, contacts, None)[0]


def lock_feet_on(
    motion: Motion, contacts: np.ndarray | None, begun: "Locking | None"
) -> tuple[Motion, "Locking"]:
    """``lock_feet`` for a motion of three frames or more whose first frames were locked before, and what was done.

    The corrections that were ``begun`` stay, and those of the later frames go on from them smoothly. ``contacts``
    (frames, 4) are found if not given.
    """
    skeleton, fps = motion.skeleton, motion.fps
    positions, turns = motion.forward_kinematics()
    if contacts is None:
        contacts = detect_contacts(positions, fps, skeleton=skeleton)
    if contacts.shape != (motion.frames, 4):
        raise ValueError(f"expected contacts ({motion.frames}, 4), got {contacts.shape}")
    ankles, feet, corrections = [], [], []
    for side, leg in enumerate(legs(skeleton)):
        ankle, rotation, correction = _locked_foot(
            positions[:, leg.foot],
            turns[:, leg.ankle],
            skeleton.offsets[leg.foot],
            _steady(contacts[:, 2 * side], fps),
            _steady(contacts[:, 2 * side + 1], fps),
            fps,
            None if begun is None else begun.feet[:, side],
        )
        ankles.append(ankle)
        feet.append(rotation)
        corrections.append(correction)
    ankles, feet = np.stack(ankles, 1), np.stack(feet, 1)
    hips = positions[:, [leg.hip for leg in legs(skeleton)]]
    pelvis = pelvis_shift(hips, ankles, FULL_EXTENSION * skeleton.leg_length, fps)
    if begun is not None:
        pelvis = filters.going_on(pelvis, begun.pelvis, round(PELVIS_FADE * fps))
    done = reach_ankles(motion, ankles, foot_rotations=feet, pelvis=pelvis)
    return done, Locking(np.stack(corrections, 1), pelvis)


@dataclass(frozen=True, eq=False)
class Locking:
    """What locking did to each frame."""

    feet: np.ndarray
    """(frames, 2, 5) of the left and right foot: pitch and heading (radians), place along x and z, height (metres)."""
    pelvis: np.ndarray
    """(frames, 3) metres."""

    def slice(self, start: int, stop: int) -> "Locking":
        """Frames ``start`` to ``stop`` (exclusive)."""
        return Locking(self.feet[start:stop], self.pelvis[start:stop])


def detect_contacts(positions: np.ndarray, fps: float, *, skeleton: Skeleton) -> np.ndarray:
    """(frames, 4) booleans, ordered as for ``lock_feet``: which foot joints are low and slow."""
    tracks = [track for leg in legs(skeleton) for track in (leg.ankle, leg.foot)]
    heights = [BALL_HEIGHT - skeleton.offsets[leg.foot][1] * heel for leg in legs(skeleton) for heel in (1, 0)]
    speed = speeds(filters.low_pass(positions[:, tracks], fps, cutoff=min(6.0, fps / 4)), fps)
    low = positions[:, tracks, 1] < np.array(heights) + NEAR
    # The feet of a real dance are still while they stand; those of a generated one may slide all the time, and
    # the slower half of it is meant to be the standing.
    limit = np.clip(np.median(speed[low]), *SLOW) if low.any() else SLOW[0]
    return low & (speed < limit)


def _steady(contact: np.ndarray, fps: float) -> np.ndarray:
    """Contacts (frames,) without gaps shorter than 0.07 s and without stances shorter than 0.1 s."""
    gap, stance = (max(1, round(seconds * fps)) for seconds in (0.07, 0.1))
    padded = np.pad(contact.astype(bool), gap, mode="edge")
    closed = ndimage.binary_closing(padded, np.ones(gap + 1))[gap:-gap] | contact.astype(bool)
    runs = np.zeros(len(closed), dtype=np.int32)
    ndimage.label(closed, output=runs)
    return closed & (np.bincount(runs)[runs] >= stance)


def solve_going_on(bands: np.ndarray, right: np.ndarray, begun: np.ndarray | None) -> np.ndarray:
    """Solution of a symmetric system with five diagonals, (3, frames) upper bands, whose beginning is known."""
    if begun is None or not len(begun):
        return linalg.solveh_banded(bands, right)
    known = len(begun)
    if known >= len(right):
        return begun[: len(right)]
    right = right[known:].copy()
    right[0] -= bands[1, known] * begun[-1]
    if known > 1:
        right[0] -= bands[0, known] * begun[-2]
    if len(right) > 1:
        right[1] -= bands[0, known + 1] * begun[-1]
    return np.concatenate((begun, linalg.solveh_banded(bands[:, known:], right)))


def resting(
    frames: int,
    width: int,
    held: list[tuple[np.ndarray, np.ndarray]],
    fps: float,
    begun: np.ndarray | None = None,
    *,
    blend: float = BLEND,
) -> np.ndarray:
    """Smallest smooth offsets (frames, width) after which tracks rest, the first of them as ``begun``.

    Minimises |offset|^2 + (blend fps)^4 |second difference of the offset|^2 + (HOLD fps)^2 |step of a held
    track with its offset|^2. ``held`` lists tracks (frames, width) with booleans (frames,) of when they rest;
    ``blend`` is in seconds. For three frames or more.
    """
    bands = _fading(frames, fps, blend)
    right = np.zeros((frames, width))
    for track, rest in held:
        stiff = (rest[1:] & rest[:-1]) * (HOLD * fps) ** 2
        bands[2, 1:] += stiff
        bands[2, :-1] += stiff
        bands[1, 1:] -= stiff
        pull = stiff[:, None] * np.diff(track, axis=0)
        right[1:] -= pull
        right[:-1] += pull
    return solve_going_on(bands, right, begun)


def reaching(errors: np.ndarray, wanted: np.ndarray, fps: float, begun: np.ndarray | None = None) -> np.ndarray:
    """Smallest smooth offsets (frames,) that are ``errors`` where ``wanted`` and fade to zero elsewhere.

    ``wanted`` (frames,) is from 0 to 1, or true and false. For three frames or more.
    """
    bands = _fading(len(errors), fps)
    bands[2] += FIRM * wanted
    return solve_going_on(bands, FIRM * wanted * errors, begun)


def _fading(frames: int, fps: float, blend: float = BLEND) -> np.ndarray:
    """Upper bands (3, frames) of the quadratic form |offset|^2 + (blend fps)^4 |second difference|^2."""
    bands = np.zeros((3, frames))
    bands[2] = 1.0
    weights = (1.0, -2.0, 1.0)
    for i, first in enumerate(weights):
        for j, second in enumerate(weights[i:], i):
            bands[2 - (j - i), j : j + frames - 2] += (blend * fps) ** 4 * first * second
    return bands


def _locked_foot(
    ball: np.ndarray,
    rotation: np.ndarray,
    offset: np.ndarray,
    heel_rests: np.ndarray,
    ball_rests: np.ndarray,
    fps: float,
    begun: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ankle positions (frames, 3), foot rotations (frames, 3, 3) of one foot that rests when told, and corrections.

    Corrections (frames, 5) are as in ``Locking``; the first of them are as ``begun``.
    """
    flat = heel_rests & ball_rests
    pitched, turned, moved, raised = (
        (None,) * 4 if begun is None else (begun[:, 0], begun[:, 1:2], begun[:, 2:4], begun[:, 4])
    )
    up = np.array([0.0, 1.0, 0.0])
    # 1. Pitch: level while flat.
    ahead = rotation @ np.array([0.0, 0.0, 1.0])
    across = unit(np.cross(up, ahead))
    pitch = np.arcsin(np.clip(ahead[:, 1], -1, 1))
    level = reaching(np.where(flat, pitch, 0.0), flat, fps, pitched)
    rotation = turn_about(across, level) @ rotation
    # 2. Heading: constant while flat.
    ahead = rotation @ np.array([0.0, 0.0, 1.0])
    heading = np.unwrap(np.arctan2(ahead[:, 0], ahead[:, 2]))[:, None]
    turn = resting(len(ball), 1, [(heading, flat)], fps, turned)[:, 0]
    rotation = turn_about(np.broadcast_to(up, ahead.shape), turn) @ rotation
    # 3. Place: whatever rests does not move over the floor.
    hung = rotation @ offset
    ground = ball[:, [0, 2]]
    move = resting(len(ball), 2, [(ground, ball_rests), (ground - hung[:, [0, 2]], heel_rests)], fps, moved)
    place = ball.copy()
    place[:, [0, 2]] += move
    # 4. Height: what rests is on the floor, nothing is below it.
    sole = BALL_HEIGHT - offset[1]
    need = np.where(ball_rests, BALL_HEIGHT - ball[:, 1], sole - (ball - hung)[:, 1])
    lift = reaching(np.where(heel_rests | ball_rests, need, 0.0), heel_rests | ball_rests, fps, raised)
    place[:, 1] += lift
    lowest = np.minimum(place[:, 1] - BALL_HEIGHT, (place - hung)[:, 1] - HEEL_LIMIT)
    place[:, 1] += _kept_above(lowest) - lowest
    return place - hung, rotation, np.column_stack((level, turn, move, lift))


def _kept_above(heights: np.ndarray, ease: float = 0.002) -> np.ndarray:
    """Heights (metres) kept above zero, with a smooth transition below ``ease``."""
    return np.where(heights > ease, heights, ease * np.exp(np.minimum(heights / ease - 1, 0)))


# --- whole bodies -------------------------------------------------------------------------------------------


LIMB = 0.1
"""Metres that a radian of a joint counts for, where its smoothness is weighed against errors of places."""


def solve_ik(
    target_positions: np.ndarray,
    initial: Motion,
    *,
    weights: np.ndarray | None = None,
    smoothness: float = 0.005,
    iterations: int = 10,
) -> Motion:
    """The motion whose joints come as near as the bones allow to (frames, joints, 3) positions in metres.

    ``weights`` (joints,) or (frames, joints) say how much each target counts; 0 leaves a joint free.
    ``initial`` is where the search starts, and decides what positions leave open, such as the twist of
    straight limbs. ``smoothness`` is a time in seconds: an acceleration (m/s^2 of the root, rad/s^2 times LIMB of a
    joint) costs as much as an error of it times that time squared. ``ValueError`` for targets of another shape.

    Gauss-Newton with Levenberg's damping over all frames at once. Each step solves one sparse system: dense
    within a frame, coupled between frames by the smoothness, by conjugate gradients preconditioned with
    every frame's own Cholesky factor.
    """
    target = torch.from_numpy(np.ascontiguousarray(target_positions, dtype=np.float64))
    frames, joints = target.shape[:2]
    skeleton, fps = initial.skeleton, initial.fps
    if target.shape != (initial.frames, len(skeleton), 3):
        raise ValueError(f"expected targets ({initial.frames}, {len(skeleton)}, 3), got {tuple(target.shape)}")
    share = np.ones(joints) if weights is None else np.asarray(weights, dtype=np.float64)
    share = torch.from_numpy(np.broadcast_to(share, (frames, joints)).copy())
    root = torch.from_numpy(initial.root_position.copy())
    rotations = torch.from_numpy(initial.rotations.copy())
    # What squared second differences, of the root's place and of the turns, cost.
    bend = (smoothness * fps) ** 4 if frames > 2 else 0.0
    rough = (bend, LIMB**2 * bend)

    def cost(root: Tensor, rotations: Tensor) -> float:
        positions = forward_kinematics(root, rotations, skeleton)[0]
        error = (share * ((positions - target) ** 2).sum(-1)).sum()
        jolts = (_bends(part) for part in (root, _turns(rotations)))
        return float(error + sum(price * (jolt**2).sum() for price, jolt in zip(rough, jolts, strict=True)))

    damping, best = 1e-3, cost(root, rotations)
    accurate = 1e-8 * float(share.sum())  # a tenth of a millimetre
    for _ in range(iterations):
        step = _gauss_newton_step(root, rotations, target, share, skeleton, rough, damping)
        limit = (0.5 / step[1].norm(dim=-1).clamp_min(1e-9)).clamp_max(1.0)
        candidate = (root + step[0], rot.matrix_from_axis_angle(step[1] * limit[..., None]) @ rotations)
        reached = cost(*candidate)
        if reached < best:
            gain = 1 - reached / best
            (root, rotations), best, damping = candidate, reached, max(damping / 5, 3e-5)
            if gain < 2e-3 or best < accurate:
                break
        else:
            damping *= 20
    return replace(initial, root_position=root.numpy(), rotations=rotations.numpy())


def _turns(rotations: Tensor) -> Tensor:
    """(frames, joints, 3) rotation vectors whose differences are the turns from frame to frame, for small steps.

    Sums of the turns (radians, seen from the parent joint): their second differences are angular
    accelerations.
    """
    steps = rot.axis_angle_from_matrix(rotations[1:] @ rotations[:-1].transpose(-1, -2))
    return torch.nn.functional.pad(steps.cumsum(0), (0, 0, 0, 0, 1, 0))


def _bends(track: Tensor) -> Tensor:
    """Second differences (frames - 2, ...) along time."""
    return track[2:] - 2 * track[1:-1] + track[:-2]


def _gauss_newton_step(
    root: Tensor,
    rotations: Tensor,
    target: Tensor,
    share: Tensor,
    skeleton: Skeleton,
    rough: tuple[float, float],
    damping: float,
) -> tuple[Tensor, Tensor]:
    """Steps of the root (frames, 3) and, as rotation vectors seen from the parent, of the joints.

    A turn u of joint k about its place p_k moves every joint j below it by (G u) x (p_j - p_k), G being the
    world rotation of k's parent; that is the whole Jacobian.
    """
    frames, joints = target.shape[:2]
    positions, turns = forward_kinematics(root, rotations, skeleton)
    movers = [joint for joint in range(joints) if skeleton.children[joint]]
    pairs = [
        (column, joint)
        for column, mover in enumerate(movers)
        for joint in range(joints)
        if mover in _above(skeleton, joint)
    ]
    columns, moved = (torch.tensor(side) for side in zip(*pairs, strict=True))
    parents = torch.cat((torch.eye(3).to(turns).expand(frames, 1, 3, 3), turns), 1)
    frame_of = parents[:, [skeleton.parents[mover] + 1 for mover in movers]].float()
    # Single precision will do for a step, whose error the next one mends.
    arms = (positions[:, moved] - positions[:, torch.tensor(movers)[columns]]).float()
    blocks = torch.linalg.cross(frame_of.transpose(-1, -2)[:, columns], arms[..., None, :], dim=-1)
    jacobian = torch.zeros(frames, joints, 3, 1 + len(movers), 3)
    jacobian[..., 0, :] = torch.eye(3)
    jacobian[:, moved, :, 1 + columns] = blocks.transpose(-1, -2).transpose(0, 1)
    jacobian = jacobian.reshape(frames, 3 * joints, -1)
    share = share.float()
    weighted = jacobian * share.repeat_interleave(3, 1)[..., None]
    normal = weighted.transpose(-1, -2) @ jacobian
    gradient = (weighted.transpose(-1, -2) @ (positions - target).float().flatten(1)[..., None])[..., 0]
    size = normal.shape[-1]
    prices = torch.full((size,), rough[1], dtype=normal.dtype)
    prices[:3] = rough[0]
    if prices.any():
        track = torch.cat((root, _turns(rotations)[:, movers].flatten(1)), -1)
        gradient = gradient + _bends_adjoint(prices * _bends(track).float())

    def product(vector: Tensor) -> Tensor:
        result = (normal @ vector[..., None])[..., 0] + damping * vector
        return result + _bends_adjoint(prices * _bends(vector)) if prices.any() else result

    diagonal = torch.diag_embed((damping + 6 * prices).expand(frames, size))
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(normal + diagonal))
    solution = _conjugate_gradients(product, -gradient, inverse, steps=40 if prices.any() else 1).double()
    turned = torch.zeros(frames, joints, 3, dtype=solution.dtype)
    turned[:, movers] = solution[:, 3:].unflatten(-1, (len(movers), 3))
    return solution[:, :3], turned


def _above(skeleton: Skeleton, joint: int) -> list[int]:
    """The joints between a joint and the root, the root with them."""
    chain = []
    while skeleton.parents[joint] >= 0:
        joint = skeleton.parents[joint]
        chain.append(joint)
    return chain


def _bends_adjoint(values: Tensor) -> Tensor:
    """The transpose of ``_bends``: (frames - 2, n) to (frames, n)."""
    padded = torch.nn.functional.pad(values, (0, 0, 2, 2))
    return padded[2:] - 2 * padded[1:-1] + padded[:-2]


def _conjugate_gradients(product: Callable[[Tensor], Tensor], right: Tensor, inverse: Tensor, *, steps: int) -> Tensor:
    """Solution (frames, n) of ``product``(x) = ``right``, preconditioned by every frame's ``inverse``."""
    solution, residual = torch.zeros_like(right), right
    scaled = (inverse @ residual[..., None])[..., 0]
    direction, size = scaled, (residual * scaled).sum()
    enough = 1e-5 * size
    for _ in range(steps):
        if size <= enough:
            break
        image = product(direction)
        length = size / (direction * image).sum()
        solution = solution + length * direction
        residual = residual - length * image
        scaled = (inverse @ residual[..., None])[..., 0]
        former, size = size, (residual * scaled).sum()
        direction = scaled + size / former * direction
    return solution
