"""The height of the dance: raised or lowered, slowly, to where it touches the floor."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from longdance.cleanup.passage import Passage
from longdance.cleanup.step import Correction
from longdance.motion.contacts import clearance_of
from longdance.motion.filters import going_on
from longdance.motion.motion import Motion
from longdance.motion.stances import CONTACT_ORDER, above_standing, foot_tracks

FLOOR_TIME = 3.0
"""Seconds over which something of a dancer comes to touch the floor; leaps are shorter."""
FLOOR_SHARE = 0.1
"""Share of that time during which the dancer is as low, or lower."""
FLOOR_MARGIN = 0.02
"""Metres off the floor that are left as they are."""
OTHER_HEIGHT = 0.05
"""Metres of joints other than the feet's above the floor that they lie on."""
LIFT_SECONDS = 0.1
"""Within which a body is raised to a moment in which it would sink."""
FLOOR_FADE = 1.5
"""Seconds in which, in a stream, the floor's height goes from what it was taken for to what it is."""


def grounded(motion: Motion) -> Motion:
    """The motion raised or lowered, slowly, to where it touches the floor.

    A denoiser may tell the height of the root wrong for a whole dance: the dancer then floats, and no foot ever stands,
    or wades. Real dances stay where they are, to the millimetre, leaps and floor work included.
    """
    if motion.frames < 3:
        return motion
    return lowered(motion, height_off_floor(motion))


def height_off_floor(motion: Motion) -> np.ndarray:
    """(frames,) metres by which the dancer is too high, slowly changing, or, for moments, too low.

    What sinks into the floor is raised first, moment by moment: else a few deep frames would lift all around them.
    """
    above = clearance_of(motion.joints(), motion.skeleton)
    lift = lift_over(np.maximum(-above - FLOOR_MARGIN, 0.0), motion.fps)
    return floor_height(lowered(motion, -lift)) - lift


def lift_over(sunk: np.ndarray, fps: float) -> np.ndarray:
    """(frames,) metres, smooth in time, that raise a body at least to where it has ``sunk`` (frames,) from."""
    reach = LIFT_SECONDS * fps
    widest = ndimage.maximum_filter1d(sunk, 2 * round(reach) + 1, mode="nearest")
    return ndimage.gaussian_filter1d(widest, reach / 2, mode="nearest")


def lowered(motion: Motion, height: np.ndarray) -> Motion:
    """The motion with its root lowered by (frames,) metres."""
    root = motion.root_position.copy()
    root[:, 1] -= height
    return replace(motion, root_position=root)


def floor_height(motion: Motion) -> np.ndarray:
    """(frames,) metres at which the floor lies for the dancer; zero where it is nearly where it should be."""
    height = motion.joints()[..., 1] - OTHER_HEIGHT
    feet = [motion.skeleton.index(name) for name in CONTACT_ORDER]
    height[:, feet] = above_standing(foot_tracks(motion), motion.skeleton)
    size = round(FLOOR_TIME * motion.fps)
    floor = ndimage.percentile_filter(height.min(1), 100 * FLOOR_SHARE, size=size, mode="nearest")
    floor = np.sign(floor) * np.maximum(np.abs(floor) - FLOOR_MARGIN, 0)
    for _ in range(2):
        floor = ndimage.uniform_filter1d(floor, max(1, size // 2), mode="nearest")
    return floor


@dataclass
class OnFloor(Correction):
    """Puts a dance on the floor."""

    def values(self, passage: Passage, begun: np.ndarray | None) -> np.ndarray:
        """(frames,) metres at which the floor lies."""
        height = height_off_floor(passage.motion)
        return height if begun is None else going_on(height, begun, round(FLOOR_FADE * passage.motion.fps))

    def laid(self, motion: Motion, values: np.ndarray) -> Motion:
        """The motion lowered."""
        return lowered(motion, values)
