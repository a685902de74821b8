"""The energies a dance is drawn by: stops on beats, speed with loudness, on the floor, standing still, clear limbs.

Each is a function of joints (batch, frames, joints, 3) in metres, y up, that returns one number for each row: an
integral over the row's time, in seconds. What it takes from the music or from the prediction as given, such as which
feet stand, is a separate argument and has no gradient. How strongly and when each acts is in `energies`.
"""

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import max_pool1d, pad

from longdance.motion.body import penetration_depths
from longdance.motion.contacts import REST_HEIGHTS, clearances
from longdance.motion.skeleton import Skeleton

Joints = Float[Tensor, "batch frames joints 3"]
Value = Float[Tensor, " batch"]

SMOOTH = 0.05
"""Seconds, standard deviation of the Gaussian that positions are seen through where speeds count: a stop is a stop of
movement, not of trembling, and a pull that changed from frame to frame would itself be trembling."""
REST_SPEED = 0.05
"""Metres per second: slower joints hardly count as moving."""
SOFTNESS = 0.02
"""Metres within which several parts of the body share in being the lowest."""
BELOW_FLOOR = 4.0
"""How many times dearer it is to be under the floor than above it."""
GRAVITY = 9.81
FALL_TIME = 0.1
"""Seconds before and after a moment over which its acceleration is measured."""
FALLING = 0.5
"""Share of gravity at which the pelvis must fall for nothing to carry it."""
LOW, LOW_EDGE = 0.06, 0.015
"""Metres above its rest height at which a joint counts half as standing, and how soft that edge is."""
UNLABELLED = 0.05
"""How much a low joint without a contact label counts beside a labelled one."""
FAST = 1.5
"""Metres per second at which a sliding joint counts a quarter: it swings rather than stands."""


def rest_energy(joints: Joints, weight: Float[Tensor, "batch steps"], fps: float) -> Value:
    """The body's log speed, weighed: low where it rests while ``weight`` is positive and moves while it is negative.

    Both as seen in the room and from the pelvis, so that neither a gliding body nor waving arms stop alone. With
    weights that sum to zero, being slower or faster throughout changes nothing.
    """
    seen = smoothed_speed(joints, fps).log() + smoothed_speed(joints[:, :, 1:] - joints[:, :, :1], fps).log()
    return (weight * seen).sum(-1) / (2 * fps)


def smoothed_speed(joints: Joints, fps: float) -> Float[Tensor, "batch steps"]:
    """Mean speed of the joints, m/s, from each frame to the next, without what is faster than ``SMOOTH``."""
    square = _velocity(joints, fps).square().sum(-1)
    return (square + REST_SPEED**2).sqrt().mean(-1)


def floor_energy(joints: Joints, flight: Float[Tensor, "batch frames"], skeleton: Skeleton) -> Value:
    """Squared metres by which the lowest part of the body is above the floor, and any is below it.

    Being above costs nothing in ``flight``. The sum is over frames.
    """
    above = clearances(joints, skeleton)
    lowest = (torch.softmax(-above / SOFTNESS, -1) * above).sum(-1)
    hovering = (1 - flight) * lowest.clamp_min(0).square()
    sunken = BELOW_FLOOR * above.clamp_max(0).square().sum(-1)
    return (hovering + sunken).sum(-1)


def in_flight(joints: Joints, fps: float) -> Float[Tensor, "batch frames"]:
    """1 where the pelvis falls freely, or nearly so, as it does in a leap; 0 where something must carry the body.

    A body that falls for long has leapt high: that flights are short follows.
    """
    frames, reach = joints.shape[1], max(1, round(FALL_TIME * fps))
    if frames <= 2 * reach:
        return joints.new_zeros(joints.shape[:2])
    height = (_gaussian(frames, SMOOTH * fps, joints.dtype, joints.device) @ joints[:, :, 0, 1:2])[..., 0]
    bend = height[:, 2 * reach :] - 2 * height[:, reach:-reach] + height[:, : -2 * reach]
    falling = (-bend * (fps / reach) ** 2 > FALLING * GRAVITY).to(joints.dtype)
    # From where it begins to be seen to where it ends.
    grown = max_pool1d(falling, 2 * reach + 1, stride=1, padding=reach)
    return pad(grown, (reach, reach))


def sliding_energy(joints: Joints, standing: Float[Tensor, "batch steps parts"], index: list[int], fps: float) -> Value:
    """Squared speed over the floor, (m/s)^2, of the joints ``index`` as far as they are ``standing``.

    What is fast counts less and less (Geman and McClure's weights), so that a swinging foot is left alone.
    """
    square = _velocity(joints[:, :, index][..., [0, 2]], fps).square().sum(-1)
    return (standing * square / (1 + square / FAST**2)).mean(-1).sum(-1) / fps


def standing(
    joints: Joints, contacts: Float[Tensor, "batch frames parts"], names: tuple[str, ...], skeleton: Skeleton
) -> Float[Tensor, "batch steps parts"]:
    """How much each named joint stands from each frame to the next, 0 to 1, by its predicted label and its height."""
    rest = joints.new_tensor([REST_HEIGHTS[name] for name in names])
    above = joints[:, :, [skeleton.index(name) for name in names], 1] - rest
    stands = torch.sigmoid((LOW - above) / LOW_EDGE) * (UNLABELLED + (1 - UNLABELLED) * contacts.clamp(0, 1))
    return torch.minimum(stands[:, 1:], stands[:, :-1])


def penetration_energy(joints: Joints) -> Value:
    """Squared metres by which limbs are inside of one another; the sum is over pairs and frames."""
    return penetration_depths(joints).clamp_min(0).square().sum((-1, -2))


def _velocity(points: Float[Tensor, "batch frames points axes"], fps: float) -> Tensor:
    """(batch, steps, points, axes) m/s of points whose places are smoothed over time."""
    steps = _difference(points.shape[1], SMOOTH * fps, points.dtype, points.device)
    return (steps @ points.flatten(2) * fps).unflatten(2, points.shape[2:])


@lru_cache(maxsize=16)
def _gaussian(frames: int, deviation: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    at = torch.arange(frames, dtype=torch.float64)
    weights = torch.exp(-((at[:, None] - at) ** 2) / (2 * deviation**2))
    return (weights / weights.sum(1, keepdim=True)).to(device, dtype)


@lru_cache(maxsize=16)
def _difference(frames: int, deviation: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    return _gaussian(frames, deviation, torch.float64, torch.device("cpu")).diff(dim=0).to(device, dtype)
