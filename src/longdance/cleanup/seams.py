"""Movement eased where segments meet that did not see each other."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from longdance.cleanup.passage import Passage
from longdance.cleanup.step import Filter
from longdance.motion import rotations as rot
from longdance.motion.motion import Motion

SEAM_TIME, SEAM_CUTOFF = 0.3, 3.0
"""Seconds on either side of a seam, and hertz: faster movement is taken off there."""


def eased(motion: Motion, seams: Sequence[int]) -> Motion:
    """The motion with its fast movement faded out around ``seams``, frames that begin a segment.

    Where two segments meet they share poses but not accelerations, and a jolt there would show as one.
    """
    if not seams:
        return motion
    low = motion.low_pass(SEAM_CUTOFF)
    reach, weight = SEAM_TIME * motion.fps, np.zeros(motion.frames)
    for seam in seams:
        near = slice(max(0, seam - int(np.ceil(reach))), seam + int(np.ceil(reach)))
        away = np.abs(np.arange(motion.frames)[near] - (seam - 0.5)) / reach
        weight[near] = np.maximum(weight[near], 0.5 + 0.5 * np.cos(np.pi * np.minimum(away, 1.0)))
    turned = rot.slerp(
        torch.from_numpy(motion.rotations), torch.from_numpy(low.rotations), torch.from_numpy(weight)[:, None]
    )
    root = motion.root_position + weight[:, None] * (low.root_position - motion.root_position)
    return replace(motion, root_position=root, rotations=turned.numpy())


@dataclass
class SeamsEased(Filter):
    """Eases a dance at its seams."""

    reach: float = SEAM_TIME + 1.0

    def whole(self, passage: Passage) -> Passage:
        """The passage eased."""
        return passage.moved(eased(passage.motion, [seam - passage.first for seam in passage.seams]))
