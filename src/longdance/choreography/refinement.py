"""EDMG's second stage at work: the Temporal Refinement Module's positions as rotations of a body with its own lengths.

The module works on positions; inverse kinematics brings them back to rotations, so that every format and measure sees
one motion whose bones keep their lengths. It is part of the model, and comes before any cleanup.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float

from longdance.cleanup.flips import without_flips
from longdance.cleanup.floor import lift_over, lowered
from longdance.cleanup.passage import Passage
from longdance.models.trm import Refiner
from longdance.motion.contacts import clearance_of
from longdance.motion.ik import solve_ik
from longdance.motion.motion import Motion

ROWS = 64
"""Windows that go through the module at once; bounds memory."""
STRETCH = 1800
"""Frames whose rotations are solved for together; bounds memory."""
MARGIN = 30
"""Frames on either side of a stretch that are solved for as well, so that its ends fit its neighbours'."""


def smoothed(motion: Motion, refiner: Refiner, *, within: slice | None = None) -> Motion:
    """The motion whose joints are as near as its bones allow to the positions that the module gives.

    Flips are taken out first, which the module would smear over its window. Neither that nor the way back to rotations
    puts a part of the body below the floor that was not below it. Of a part of the motion if only the frames ``within``
    are wanted; the module sees all. ``ValueError`` if the motion has another frame rate or other joints than the
    module.
    """
    config = refiner.config.network
    if motion.fps != config.fps or len(motion.skeleton) != config.joints:
        raise ValueError(
            f"expected {config.fps} fps and {config.joints} joints, got {motion.fps} and {len(motion.skeleton)}"
        )
    even = without_flips(motion)
    targets = refined_positions(even.joints(), refiner)
    if within is not None:
        targets = targets[within]
        even, motion = (each.slice(within.start, within.stop) for each in (even, motion))
    root, rotations = even.root_position.copy(), even.rotations.copy()
    for begin in range(0, motion.frames, STRETCH):
        end = min(begin + STRETCH, motion.frames)
        low, high = max(0, begin - MARGIN), min(end + MARGIN, motion.frames)
        solved = solve_ik(targets[low:high], even.slice(low, high), iterations=5)
        kept = slice(begin - low, end - low)
        root[begin:end], rotations[begin:end] = solved.root_position[kept], solved.rotations[kept]
    return lifted(replace(motion, root_position=root, rotations=rotations), motion)


def lifted(motion: Motion, before: Motion) -> Motion:
    """The motion raised, smoothly, where a part of the body went below the floor that was not below it ``before``."""
    above, was = (clearance_of(each.joints(), each.skeleton) for each in (motion, before))
    lift = lift_over(np.maximum(np.minimum(was, 0.0) - above, 0.0), motion.fps)
    return lowered(motion, -lift)


def refined_positions(
    positions: Float[np.ndarray, "frames joints 3"], refiner: Refiner
) -> Float[np.ndarray, "frames joints 3"]:
    """What the module makes of joint positions in metres, of any length.

    Windows overlap by half or more and are blended with weights that sum to one, smallest at a window's ends, where
    the module sees one side only. A motion shorter than a window is continued at its end by turning it about its last
    frame.
    """
    window, frames = refiner.config.network.window, len(positions)
    padded = positions
    while len(padded) < window:
        beyond = 2 * padded[-1] - padded[-2 : -2 - (window - len(padded)) : -1] if len(padded) > 1 else padded
        padded = np.concatenate((padded, beyond))
    padded = padded[: max(window, frames)]
    starts = [*range(0, len(padded) - window, window // 2), len(padded) - window]
    fade = np.minimum(np.arange(window) + 1, window - np.arange(window))[:, None, None] / window
    total, weight = np.zeros_like(padded), np.zeros((len(padded), 1, 1))
    for first in range(0, len(starts), ROWS):
        some = starts[first : first + ROWS]
        # Relative to where the window begins: single precision is fine for metres, not for kilometres.
        origin = np.stack([padded[start, :1] for start in some])[:, None]
        cut = np.stack([padded[start : start + window] for start in some]) - origin
        with torch.no_grad():
            refined = refiner.network(torch.from_numpy(cut).float()).double().numpy() + origin
        for start, track in zip(some, refined, strict=True):
            total[start : start + window] += fade * track
            weight[start : start + window] += fade
    return (total / weight)[:frames]


REACH = 0.4
"""Seconds beyond which the search for rotations does not reach."""


@dataclass
class Refinement:
    """A refiner applied to a dance, whole or piece by piece. An object that is fed by ``more`` refines one dance."""

    refiner: Refiner
    _raw: Passage | None = field(default=None, init=False, repr=False)
    _given: int = field(default=0, init=False, repr=False)

    def whole(self, passage: Passage) -> Passage:
        """The passage refined."""
        return passage.moved(smoothed(passage.motion, self.refiner))

    def more(self, passage: Passage, *, last: bool) -> Passage:
        """The frames that are settled now, perhaps none; they follow those before."""
        raw = passage if self._raw is None else self._raw.followed_by(passage)
        window, reach = self.refiner.config.network.window, round(REACH * raw.motion.fps)
        hop = window // 2
        # The module's windows lie where they would in the whole dance; the last ones need the dance's end.
        windows = (raw.frames - window) // hop if raw.frames >= window else -1
        known = raw.stop if last else raw.first + windows * hop + window
        stop = known if last else max(self._given, known - (window - hop))
        if stop > self._given:
            low, high = max(raw.first, self._given - 2 * reach), min(known, stop + reach)
            motion = raw.motion.slice(0, known - raw.first)
            motion = smoothed(motion, self.refiner, within=slice(low - raw.first, high - raw.first))
            begin = self._given
            settled = replace(raw.between(low, high), motion=motion).between(begin, stop)
            needed = stop - 3 * reach - (window - hop)
            raw = raw.between(max(raw.first, needed // hop * hop), raw.stop)
        else:
            settled = raw.between(stop, stop)
        self._raw, self._given = raw, stop
        return replace(settled, seams=passage.seams)
