"""Where a dance stands: which feet carry it when, and a root that moves with them.

A denoiser predicts the path of the root apart from the turning of the legs, and the two need not agree: the pelvis
glides while the legs step on the spot, so that no foot ever rests. Here the root is led so that standing feet stand,
and stances are told from what the feet then do as well as from the predicted labels. Holding the feet exactly in place
is left to ``motion.ik.lock_feet``.
"""

from dataclasses import replace
from typing import cast

import numpy as np
from scipy import ndimage

from longdance.motion import filters
from longdance.motion.contacts import foot_contacts, speeds
from longdance.motion.ik import solve_going_on
from longdance.motion.motion import Motion
from longdance.motion.skeleton import BALL_HEIGHT, Skeleton

CONTACT_ORDER = ("left_ankle", "left_foot", "right_ankle", "right_foot")
"""Joints of the contact labels, here and in ``refine``."""
LOW, RAISED = 0.05, 0.08
"""Metres above its standing height up to which a foot joint comes to stand, and beyond which it stands no more."""
SLOW = (0.25, 0.6)
"""Bounds in m/s of the speed below which a foot comes to stand; between them it is the median speed of low feet, so
that the slower half of what a sliding dance does near the floor is taken for its stances. It stands no more at twice
that speed."""
RESTING_SPEED = 0.7
"""Metres per second of a low foot at which it counts a quarter of a resting one in leading the root."""
TRUST_TIME = 4.0
"""Seconds around a contact label over which labels of raised feet are counted against it."""
UNLABELLED = 0.05
"""How much a low foot without a contact label counts beside a labelled one."""
SMOOTH = 0.1
"""Seconds: faster changes of the feet's slide do not move the root."""
TIE = 0.05
"""How firmly the root stays on its own path, against the same of a foot that slides at 1 m/s."""
ROUNDS = 4
"""Times the root is led and the resting feet are chosen anew; the choice settles after two or three."""


FLOOR_TIME = 3.0
"""Seconds over which something of a dancer comes to touch the floor; leaps are shorter."""
FLOOR_SHARE = 0.1
"""Share of that time during which the dancer is as low, or lower."""
FLOOR_MARGIN = 0.02
"""Metres off the floor that are left as they are."""
OTHER_HEIGHT = 0.05
"""Metres of joints other than the feet's above the floor that they lie on."""


def grounded(motion: Motion) -> Motion:
    """The motion raised or lowered, slowly, to where it touches the floor.

    A denoiser may tell the height of the root wrong for a whole dance: the dancer then floats, and no foot ever stands,
    or wades. Real dances stay where they are, to the millimetre, leaps and floor work included.
    """
    if motion.frames < 3:
        return motion
    return lowered(motion, floor_height(motion))


def lowered(motion: Motion, height: np.ndarray) -> Motion:
    """The motion with its root lowered by (frames,) metres."""
    root = motion.root_position.copy()
    root[:, 1] -= height
    return replace(motion, root_position=root)


def floor_height(motion: Motion) -> np.ndarray:
    """(frames,) metres at which the floor lies for the dancer; zero where it is nearly where it should be."""
    height = motion.joints()[..., 1] - OTHER_HEIGHT
    height[:, [motion.skeleton.index(name) for name in CONTACT_ORDER]] = _heights(_feet(motion), motion.skeleton)
    size = round(FLOOR_TIME * motion.fps)
    floor = ndimage.percentile_filter(height.min(1), 100 * FLOOR_SHARE, size=size, mode="nearest")
    floor = np.sign(floor) * np.maximum(np.abs(floor) - FLOOR_MARGIN, 0)
    for _ in range(2):
        floor = ndimage.uniform_filter1d(floor, max(1, size // 2), mode="nearest")
    return floor


def follow_feet(motion: Motion, contacts: np.ndarray | None = None) -> Motion:
    """The motion with its root led over the floor so that standing feet slide as little as they can.

    ``contacts`` (frames, 4) are labels in [0, 1] in ``CONTACT_ORDER``, measured if not given. Only the root's
    horizontal place changes, and smoothly: the least squared sum of the standing feet's slide, of the shift and of its
    acceleration, with feet weighed anew by how still they have become (iteratively reweighted least squares with
    Geman and McClure's weights), so that a swinging foot does not pull.
    """
    return motion if motion.frames < 3 else led(motion, leading_shift(motion, contacts))


def led(motion: Motion, shift: np.ndarray) -> Motion:
    """The motion with its root shifted over the floor by (frames, 2) metres along x and z."""
    root = motion.root_position.copy()
    root[:, [0, 2]] += shift
    return replace(motion, root_position=root)


def leading_shift(motion: Motion, contacts: np.ndarray | None, begun: np.ndarray | None = None) -> np.ndarray:
    """(frames, 2) metres by which ``follow_feet`` leads the root; the first of them are as ``begun``."""
    feet, fps = _feet(motion), motion.fps
    if contacts is None:
        contacts = foot_contacts(motion.joints(), fps, skeleton=motion.skeleton, joint_names=CONTACT_ORDER)
    low = 1 / (1 + np.exp((_heights(feet, motion.skeleton) - LOW - 0.01) / 0.012))
    prior = low * (UNLABELLED + (1 - UNLABELLED) * np.clip(contacts, 0, 1))
    ground, weight = feet[..., [0, 2]], prior
    shift = np.zeros((motion.frames, 2))
    for _ in range(ROUNDS):
        shift = _leading_shift(ground, weight, fps, begun)
        weight = prior / (1 + (speeds(ground + shift[:, None], fps) / RESTING_SPEED) ** 2) ** 2
    return shift


def stances(motion: Motion, labelled: np.ndarray | None = None) -> np.ndarray:
    """(frames, 4) booleans in ``CONTACT_ORDER``: which foot joints stand, by height and speed with hysteresis.

    Joints ``labelled`` as standing do so whatever their speed while they are low. Above that a label is believed only
    where most labels of that joint, a few seconds around, are on low feet: a denoiser that has not learnt what a step
    is in some genre labels feet in the air, and pulling these down drags everything over the floor.
    """
    if motion.frames < 3:
        return np.zeros((motion.frames, len(CONTACT_ORDER)), bool)
    feet = _feet(motion)
    speed, height = speeds(feet, motion.fps), _heights(feet, motion.skeleton)
    low = height < LOW
    slow = np.clip(np.median(speed[low]), *SLOW) if low.any() else SLOW[0]
    comes, stays = low & (speed < slow), (height < RAISED) & (speed < 2 * slow)
    # Runs of `stays`, apart for every joint, of which some frame is in `comes`.
    connected = np.array([[0, 1, 0], [0, 1, 0], [0, 1, 0]])
    runs, count = cast(tuple[np.ndarray, int], ndimage.label(stays, structure=connected))
    begun = np.zeros(count + 1, bool)
    begun[runs[comes & stays]] = True
    standing = stays & begun[runs]
    if labelled is None:
        return standing
    raised = labelled & (height > RAISED)
    around = lambda marks: ndimage.uniform_filter1d(  # noqa: E731
        marks.astype(float), round(TRUST_TIME * motion.fps), axis=0, mode="nearest"
    )
    return standing | (labelled & (~raised | (around(raised) < 0.5 * around(labelled))))


def _feet(motion: Motion) -> np.ndarray:
    """(frames, 4, 3) metres of the foot joints without jitter, whose speed would hide every stance."""
    tracks = motion.joints()[:, [motion.skeleton.index(name) for name in CONTACT_ORDER]]
    return filters.low_pass(tracks, motion.fps, cutoff=min(6.0, motion.fps / 4))


def _heights(feet: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """(frames, 4) metres above where each joint is while its foot stands flat."""
    standing = [
        BALL_HEIGHT - (skeleton.offsets[skeleton.index(name.replace("ankle", "foot"))][1] if "ankle" in name else 0.0)
        for name in CONTACT_ORDER
    ]
    return feet[..., 1] - np.array(standing)


def _leading_shift(ground: np.ndarray, weight: np.ndarray, fps: float, begun: np.ndarray | None) -> np.ndarray:
    """(frames, 2) metres by which the root is led, for foot tracks (frames, 4, 2) that rest by (frames, 4) weights.

    Minimises TIE |shift|^2 + (SMOOTH fps)^4 |second difference of the shift|^2 + weight fps^2 |step of track with
    shift|^2, summed over frames and feet: one symmetric system with five diagonals.
    """
    frames = len(ground)
    bands = np.zeros((3, frames))
    bands[2] = TIE
    bend = (1.0, -2.0, 1.0)
    for i, first in enumerate(bend):
        for j, second in enumerate(bend[i:], i):
            bands[2 - (j - i), j : j + frames - 2] += (SMOOTH * fps) ** 4 * first * second
    rest = np.minimum(weight[1:], weight[:-1]) * fps**2
    stiff = rest.sum(1)
    bands[2, 1:] += stiff
    bands[2, :-1] += stiff
    bands[1, 1:] -= stiff
    pull = (rest[..., None] * np.diff(ground, axis=0)).sum(1)
    right = np.zeros((frames, 2))
    right[1:] -= pull
    right[:-1] += pull
    return solve_going_on(bands, right, begun)
