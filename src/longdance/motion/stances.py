"""Which feet stand on the floor when: by height and speed with hysteresis, in metres and metres per second."""

from typing import cast

import numpy as np
from scipy import ndimage

from longdance.motion import filters
from longdance.motion.contacts import speeds
from longdance.motion.motion import Motion
from longdance.motion.skeleton import BALL_HEIGHT, Skeleton

CONTACT_ORDER = ("left_ankle", "left_foot", "right_ankle", "right_foot")
"""Joints of contact labels: heel and ball of either foot."""
LOW, RAISED = 0.05, 0.08
"""Metres above its standing height up to which a foot joint comes to stand, and beyond which it stands no more."""
SLOW = (0.25, 0.6)
"""Bounds in m/s of the speed below which a foot comes to stand; between them it is the median speed of low feet, so
that the slower half of what a sliding dance does near the floor is taken for its stances. It stands no more at twice
that speed."""
TRUST_TIME = 4.0
"""Seconds around a contact label over which labels of raised feet are counted against it."""
STEADY = 6.0
"""Hertz of the low-pass on foot tracks; jitter's speed would hide every stance."""


def stances(motion: Motion, labelled: np.ndarray | None = None) -> np.ndarray:
    """(frames, 4) booleans in ``CONTACT_ORDER``: which foot joints stand, by height and speed with hysteresis.

    Joints ``labelled`` as standing do so whatever their speed while they are low. Above that a label is believed only
    where most labels of that joint, a few seconds around, are on low feet: a denoiser that has not learnt what a step
    is in some genre labels feet in the air, and pulling these down drags everything over the floor.
    """
    if motion.frames < 3:
        return np.zeros((motion.frames, len(CONTACT_ORDER)), bool)
    feet = foot_tracks(motion)
    speed, height = speeds(feet, motion.fps), above_standing(feet, motion.skeleton)
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


def foot_tracks(motion: Motion) -> np.ndarray:
    """(frames, 4, 3) metres of the foot joints without jitter."""
    tracks = motion.joints()[:, [motion.skeleton.index(name) for name in CONTACT_ORDER]]
    return filters.low_pass(tracks, motion.fps, cutoff=min(STEADY, motion.fps / 4))


def above_standing(feet: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """(frames, 4) metres above where each joint is while its foot stands flat."""
    standing = [
        BALL_HEIGHT - (skeleton.offsets[skeleton.index(name.replace("ankle", "foot"))][1] if "ankle" in name else 0.0)
        for name in CONTACT_ORDER
    ]
    return feet[..., 1] - np.array(standing)
