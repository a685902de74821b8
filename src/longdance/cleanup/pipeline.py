"""The steps in their order, for a whole dance, a stream, and an edit.

Feet come last: smoothing, and a root that is led, would set locked feet sliding again. Nothing bends a dance's time to
the beats: that is the network's, or an energy's in its sampler.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from longdance.cleanup.feet import FeetLocked
from longdance.cleanup.flips import FlipsSpread
from longdance.cleanup.floor import OnFloor
from longdance.cleanup.passage import Passage
from longdance.cleanup.root import RootLed
from longdance.cleanup.smoothing import LowPassed
from longdance.cleanup.step import Chain, Filter
from longdance.motion.motion import Motion

STEPS: tuple[Callable[[], Any], ...] = (FlipsSpread, LowPassed, OnFloor, RootLed, FeetLocked)
"""Filters first, which see a little around a frame, then what weighs a whole dance."""
BEHIND = 8.0
"""Seconds before the frames to be given out that are looked at again."""
AHEAD = (0.7, 2.0)
"""Least and greatest seconds after them that are looked at, where filters reach less far."""
AHEAD_SHARE = 0.25
"""Between these, the share of what has been made: the first frames come soon, later ones are seen in more context."""


@dataclass(frozen=True)
class Cleanup:
    """What is done to a dance after its model, step by step."""

    steps: tuple[Any, ...] = field(default_factory=lambda: tuple(make() for make in STEPS))

    def after(self, *steps: Any) -> "Cleanup":
        """The same after steps of a model's own."""
        return Cleanup((*steps, *self.steps))

    def without(self, *kinds: type) -> "Cleanup":
        """The same but for the steps of some kinds."""
        return Cleanup(tuple(step for step in self.steps if not isinstance(step, kinds)))

    def only(self, *kinds: type) -> "Cleanup":
        """The steps of some kinds alone, in their order."""
        return Cleanup(tuple(step for step in self.steps if isinstance(step, kinds)))

    def whole(self, passage: Passage) -> Passage:
        """A dance, or a passage of one, cleaned. Bones keep their lengths: only rotations and the root change."""
        for step in self.steps:
            passage = step.whole(passage)
        return passage

    def stream(self) -> "CleanupStream":
        """The same for a dance that comes piece by piece."""
        return CleanupStream(self)


NO_CLEANUP = Cleanup(())


class CleanupStream:
    """Takes a dance in pieces, gives it back cleaned in others. One object cleans one dance.

    A frame is given out once no filter can change it any more; steps that weigh a whole dance go on smoothly from what
    they decided for the frames given out before. Memory is that of some seconds.
    """

    def __init__(self, cleanup: Cleanup):
        fresh = [replace(step) for step in cleanup.steps]
        filters = tuple(step for step in fresh if isinstance(step, Filter))
        self._filter = Chain(filters=filters) if filters else None
        self._decisions = [step for step in fresh if not isinstance(step, Filter)]
        self._kept: Passage | None = None
        """Filtered frames that are still looked at."""
        self._done = 0
        """Frames given out."""

    def more(self, piece: Passage, *, last: bool) -> Motion:
        """The frames that are settled now, perhaps none; with ``last`` all that are left."""
        if self._filter is not None:
            piece = self._filter.more(piece, last=last)
        if not self._decisions:
            return piece.motion
        if self._kept is not None:
            piece = self._kept.followed_by(piece)
        self._kept, passage = piece, piece
        if not piece.frames:
            return piece.motion
        for step in self._decisions:
            passage = step.more(passage, last=last)
        fps, stop = passage.motion.fps, passage.stop
        until = stop if last else stop - round(np.clip(AHEAD_SHARE * stop / fps, *AHEAD) * fps)
        if until <= self._done:
            return passage.motion.slice(0, 0)
        given = passage.between(self._done, until).motion
        self._done = until
        kept = max(passage.first, until - round(BEHIND * fps))
        for step in reversed(self._decisions):
            kept, until = step.settle(kept, until)
        self._kept = self._kept.between(kept, piece.stop)
        return given
