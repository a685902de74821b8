"""Captures begin and end with the dancer waiting: that is cut off."""

from dataclasses import replace

import numpy as np
from scipy import ndimage

from longdance.motion.contacts import speeds
from longdance.motion.motion import Motion


def without_still_ends(motion: Motion, *, threshold: float = 0.12, margin: float = 0.4) -> Motion:
    """The motion from shortly before it begins to move until shortly after it stops.

    Captures begin and end with the dancer waiting; a model that learns from that waits too. Still is a mean joint
    speed, averaged over half a second, below ``threshold`` m/s; ``margin`` seconds of it are left. A motion that never
    moves stays as it is.
    """
    pace = speeds(motion.joints(), motion.fps).mean(1)
    pace = ndimage.uniform_filter1d(pace, max(1, round(0.5 * motion.fps)))
    moving = np.flatnonzero(pace >= threshold).tolist()
    if not moving:
        return motion
    kept = round(margin * motion.fps)
    trimmed = motion.slice(max(0, moving[0] - kept), min(motion.frames, moving[-1] + 1 + kept))
    origin = trimmed.root_position[0] * np.array([1.0, 0.0, 1.0])
    return replace(trimmed, root_position=trimmed.root_position - origin)
