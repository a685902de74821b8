"""Turns that take no time, spread over the frames around them."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from longdance.cleanup.passage import Passage
from longdance.cleanup.step import Filter
from longdance.motion import rotations as rot
from longdance.motion.motion import Motion

FLIP_SPEED = 45.0
"""Radians per second beyond which a joint does not turn but flip."""
FLIP_TIME = 0.15
"""Seconds before and after a flip over which the turn is spread."""


def without_flips(motion: Motion) -> Motion:
    """The motion with turns that take no time spread over the frames around them.

    A denoiser that cannot decide which way a dancer faces changes its mind from one frame to the next. No filter mends
    that: the mean of two opposite rotations is none.
    """
    rotations = torch.from_numpy(motion.rotations)
    steps = rot.axis_angle_from_matrix(rotations[1:] @ rotations[:-1].transpose(-1, -2)).norm(dim=-1) * motion.fps
    flips = (steps > FLIP_SPEED).numpy()
    if not flips.any():
        return motion
    spread, reach = motion.rotations.copy(), max(1, round(FLIP_TIME * motion.fps))
    for joint in np.flatnonzero(flips.any(0)):
        taken = np.zeros(motion.frames, bool)
        for frame in np.flatnonzero(flips[:, joint]):
            taken[max(0, frame - reach + 1) : frame + reach + 1] = True
        edges = np.diff(np.pad(taken, 1).astype(int))
        for begin, end in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
            first, last = max(int(begin) - 1, 0), min(int(end), motion.frames - 1)
            share = torch.linspace(0, 1, last - first + 1, dtype=rotations.dtype)
            before, after = (rotations[at, joint].expand(len(share), 3, 3) for at in (first, last))
            spread[first : last + 1, joint] = rot.slerp(before, after, share).numpy()
    return replace(motion, rotations=spread)


@dataclass
class FlipsSpread(Filter):
    """Takes flips out of a dance."""

    reach: float = 2 * FLIP_TIME

    def whole(self, passage: Passage) -> Passage:
        """The passage without flips."""
        return passage.moved(without_flips(passage.motion))
