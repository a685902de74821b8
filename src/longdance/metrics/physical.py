"""What a body does, in metres and seconds: speed, jerk, feet on the floor, floor penetration, standing still.

These are the measures to judge a dance by. None depends on the frame rate beyond what sampling loses, and
each says its unit. The published metrics with their per-frame units live in the sibling modules.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import percentile_filter, uniform_filter1d

from longdance.errors import InputError
from longdance.metrics.joints import HORIZONTAL, ROOT, UP, checked_joints, relative_to_root
from longdance.motion.contacts import REST_HEIGHTS, clearance_of
from longdance.motion.skeleton import SMPL22, SMPL24

TOUCH, LIFT = 0.03, 0.05
"""Metres above its rest height up to which a joint touches down, and beyond which it lifts off."""
SKATING_SPEED = 0.10
"""Metres per second above which a foot in contact skates."""
FEET = (("left_ankle", "left_foot"), ("right_ankle", "right_foot"))
HANDS = (("left_wrist", "left_hand"), ("right_wrist", "right_hand"))
KNEES = (("left_knee",), ("right_knee",))
"""Limbs that bodies stand on, each with the joints that may touch the floor."""
OFF_FLOOR = 0.05
"""Metres above its rest height from which a part of the body no longer touches the floor."""
OWN_FLOOR_TIME, OWN_FLOOR_SHARE = 3.0, 0.1
"""Seconds over which a dancer comes down to its own floor, and the share of them spent there at least."""
STILL_SPEED = 0.05
"""Metres per second of mean joint speed below which a body counts as standing still."""


def mean_joint_speed(
    joints: Float[np.ndarray, "frames joints 3"], fps: float | int, *, root_relative: bool = False
) -> float:
    """Mean speed over joints and frames in m/s; with ``root_relative``, as seen from the pelvis.

    ``joints`` (frames, joints, 3) metres, at least two frames.
    """
    joints = _seen_from(checked_joints(joints, fps), root_relative=root_relative)
    return float(_speeds(joints, fps).mean())


def mean_jerk(
    joints: Float[np.ndarray, "frames joints 3"], fps: float | int, *, root_relative: bool = False
) -> float:
    """Mean magnitude over joints and frames of the third derivative of position in m/s³, by differences.

    ``joints`` (frames, joints, 3) metres, at least four frames. Capture noise grows with the cube of the
    frame rate: compare dances at the same rate only.
    """
    joints = _seen_from(checked_joints(joints, fps, least_frames=4), root_relative=root_relative)
    return float(np.linalg.norm(np.diff(joints, n=3, axis=0), axis=-1).mean() * fps**3)


def floor_contacts(
    joints: Float[np.ndarray, "frames joints 3"], fps: float | int
) -> Bool[np.ndarray, "frames 2 2"]:
    """Whether left and right (axis 1) ankle and ball of the foot (axis 2) stand on the floor at y = 0.

    A joint touches down within 3 cm of its standing height (ankle 8 cm, ball 2 cm) and leaves when it rises
    more than 5 cm above it; in between it keeps its state. Height alone decides, so a foot that slides is
    in contact.
    """
    joints = checked_joints(joints, fps)
    return np.stack([_touches(joints, feet) for feet in FEET], axis=1)


class FootSkating(NamedTuple):
    """How feet slide while they stand on the floor; NaN, NaN, 0 for a dance that never touches it."""

    speed_cm_per_second: float
    """Mean horizontal speed of a foot in contact."""
    ratio: float
    """Share of the contact during which the foot is faster than 10 cm/s."""
    contact_share: float
    """Share of the time, averaged over both feet, that a foot is in contact."""


def foot_skating(joints: Float[np.ndarray, "frames joints 3"], fps: float | int) -> FootSkating:
    """Sliding of the feet over the floor, both feet together.

    ``joints`` (frames, joints, 3) metres, y up. A foot is in contact from one frame to the next while its
    ankle or its ball (``floor_contacts``) is on the floor in both. Its speed is that of the slower of the
    touching joints, so turning on the ball or on the heel is no skating.
    """
    speeds = sliding(checked_joints(joints, fps), fps, FEET)
    speed, touches = speeds[np.isfinite(speeds)], np.isfinite(speeds)
    if not speed.size:
        return FootSkating(float("nan"), float("nan"), 0.0)
    return FootSkating(100 * float(speed.mean()), float((speed > SKATING_SPEED).mean()), float(touches.mean()))


class Standing(NamedTuple):
    """How what a body stands on slides, and how often that is a hand or a knee."""

    speed_cm_per_second: float
    """Mean horizontal speed of feet, hands and knees while they are on the floor; NaN if none ever is."""
    hands_share: float
    """Share of the time in which a hand is on the floor."""
    knees_share: float
    """Share of the time in which a knee is."""


def standing(joints: Float[np.ndarray, "frames joints 3"], fps: float | int) -> Standing:
    """``foot_skating`` of feet, hands and knees together: dancers stand on all of them.

    ``joints`` (frames, joints, 3) metres, y up. A wrist or hand is on the floor as a foot is, within 3 cm of its rest
    height (``motion.contacts.REST_HEIGHTS``), until it rises more than 5 cm above it; so is a knee.
    """
    joints = checked_joints(joints, fps)
    feet, hands, knees = (sliding(joints, fps, limbs) for limbs in (FEET, HANDS, KNEES))
    every = np.concatenate((feet, hands, knees), axis=1)
    speed = every[np.isfinite(every)]
    shares = [float(np.isfinite(limbs).any(axis=1).mean()) for limbs in (hands, knees)]
    return Standing(100 * float(speed.mean()) if speed.size else float("nan"), *shares)


class FloorPenetration(NamedTuple):
    """Metres that the lowest joint is below the floor; 0 where nothing is."""

    mean: float
    deepest: float


def floor_penetration(joints: Float[np.ndarray, "frames joints 3"], fps: float | int) -> FloorPenetration:
    """Depth in metres of each frame's lowest joint under y = 0: mean over all frames, and greatest."""
    depth = np.maximum(-checked_joints(joints, fps, least_frames=1)[..., UP].min(axis=1), 0)
    return FloorPenetration(float(depth.mean()), float(depth.max()))


class Airborne(NamedTuple):
    """How much of a dance nothing of the body touches the floor."""

    share: float
    """Share of frames in which the body's lowest part is more than 5 cm above y = 0."""
    own_floor_share: float
    """The same above the dance's own floor: where it comes down to within seconds, wherever that is."""
    longest_seconds: float
    """Longest time without a touch of y = 0."""


def airborne(joints: Float[np.ndarray, "frames joints 3"], fps: float | int) -> Airborne:
    """Time in the air, by the lowest of feet, hands, knees, elbows, seat, back and head, as thick as they are.

    ``joints`` (frames, joints, 3) metres. A dancer's own floor is the height below which the lowest part is during a
    tenth of the three seconds around, smoothed over the same time: hovering then counts nothing, hopping does.
    """
    height = body_clearance(joints, fps)
    window = max(1, round(OWN_FLOOR_TIME * fps))
    own = percentile_filter(height, 100 * OWN_FLOOR_SHARE, size=window, mode="nearest")
    own = uniform_filter1d(own, window, mode="nearest")
    off = height > OFF_FLOOR
    edges = np.flatnonzero(np.diff(np.concatenate(([False], off, [False])).astype(int)))
    longest = int((edges[1::2] - edges[::2]).max(initial=0))
    return Airborne(float(off.mean()), float((height - own > OFF_FLOOR).mean()), longest / fps)


def below_floor(joints: Float[np.ndarray, "frames joints 3"], fps: float | int) -> float:
    """Metres by which the body's lowest part, as thick as it is, is under y = 0 in the worst hundredth of frames."""
    return float(np.percentile(np.maximum(-body_clearance(joints, fps), 0), 99))


def still_share(
    joints: Float[np.ndarray, "frames joints 3"],
    fps: float | int,
    *,
    window: float | int = 0.5,
    threshold: float | int = STILL_SPEED,
) -> float:
    """Share of consecutive ``window`` (seconds) in which the mean joint speed is below ``threshold`` (m/s).

    A remainder shorter than a window is left out; a dance shorter than a window counts as one.
    """
    if not window > 0:
        raise InputError(f"expected a positive window, got {window}; try 0.5 seconds")
    speed = _speeds(checked_joints(joints, fps), fps).mean(axis=1)
    steps = min(max(round(window * fps), 1), len(speed))
    windows = speed[: len(speed) // steps * steps].reshape(-1, steps)
    return float((windows.mean(axis=1) < threshold).mean())


def root_height_range(joints: Float[np.ndarray, "frames joints 3"], fps: float | int) -> float:
    """Metres between the lowest and the highest pelvis of the dance."""
    return float(np.ptp(checked_joints(joints, fps, least_frames=1)[:, ROOT, UP]))


def body_clearance(joints: Float[np.ndarray, "frames joints 3"], fps: float | int) -> Float[np.ndarray, " frames"]:
    """(frames,) metres between the body's lowest part, as thick as it is, and y = 0; negative below it."""
    joints = checked_joints(joints, fps, least_frames=1)
    skeleton = SMPL24 if joints.shape[1] == len(SMPL24) else SMPL22
    return clearance_of(joints, skeleton)


def _seen_from(joints: np.ndarray, *, root_relative: bool) -> np.ndarray:
    return relative_to_root(joints) if root_relative else joints


def _touches(joints: np.ndarray, names: Sequence[str]) -> Bool[np.ndarray, "frames names"]:
    """Whether each joint is on the floor."""
    heights = joints[:, [SMPL24.index(name) for name in names], UP] - [REST_HEIGHTS[name] for name in names]
    return _hysteresis(heights, enter=TOUCH, leave=LIFT)


def sliding(joints: np.ndarray, fps: float | int, limbs: Sequence[Sequence[str]]) -> np.ndarray:
    """(frames - 1, limbs) horizontal m/s of the slower of the joints that touch the floor; NaN where none does.

    ``joints`` (frames, joints, 3) metres, y up; ``limbs`` name the joints of each that may touch, such as ``FEET``.
    """
    found = []
    for limb in limbs:
        names = [name for name in limb if SMPL24.index(name) < joints.shape[1]]  # SMPL's 22 joints have no hands
        touches = _touches(joints, names)
        track = joints[:, [SMPL24.index(name) for name in names]][..., HORIZONTAL]
        speed = np.where(touches[1:] & touches[:-1], _speeds(track, fps), np.inf).min(axis=-1)
        found.append(np.where(np.isfinite(speed), speed, np.nan))
    return np.stack(found, axis=1)


def _speeds(positions: np.ndarray, fps: float | int) -> np.ndarray:
    """(frames - 1, ...) m/s from each frame to the next; of (frames, ..., axes) metres."""
    return np.linalg.norm(np.diff(positions, axis=0), axis=-1) * fps


def _hysteresis(values: np.ndarray, *, enter: float, leave: float) -> np.ndarray:
    """True from falling to ``enter`` until rising above ``leave``, along axis 0; False before either."""
    decided = (values <= enter) | (values > leave)
    frames = np.arange(len(values)).reshape(-1, *[1] * (values.ndim - 1))
    latest = np.maximum.accumulate(np.where(decided, frames, 0), axis=0)
    return np.take_along_axis(values, latest, axis=0) <= enter
