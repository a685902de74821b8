"""Jitter taken off a dance."""

from dataclasses import dataclass

from longdance.cleanup.passage import Passage
from longdance.cleanup.step import Filter

CUTOFF = 5.0
"""Hertz of the zero-phase low-pass on root and rotations. After the Temporal Refinement Module it lowers jerk by a
fifth more; a model without one has nothing else against jitter. Tuned on dances of the shipped EDMG."""


@dataclass
class LowPassed(Filter):
    """Smooths root and rotations."""

    reach: float = 0.4
    cutoff: float = CUTOFF

    def whole(self, passage: Passage) -> Passage:
        """The passage without what is faster than the cutoff."""
        return passage.moved(passage.motion.low_pass(self.cutoff))
