"""Standing feet held in place."""

from dataclasses import dataclass, field

import numpy as np

from longdance.cleanup.passage import Passage
from longdance.motion.ik import Locking, lock_feet, lock_feet_on
from longdance.motion.stances import stances

CONTACT_THRESHOLD = 0.5
"""Predicted contact above which a low foot joint stands at any speed; others stand while low and slow."""


@dataclass
class FeetLocked:
    """Holds the feet of a dance where they stand."""

    _standing: np.ndarray = field(default_factory=lambda: np.zeros((0, 4), bool), init=False, repr=False)
    """(frames, 4) decided for the first frames that are looked at."""
    _locking: Locking | None = field(default=None, init=False, repr=False)
    _fresh: tuple[int, np.ndarray, Locking | None] = field(
        default_factory=lambda: (0, np.zeros((0, 4), bool), None), init=False, repr=False
    )

    def whole(self, passage: Passage) -> Passage:
        """The passage with standing feet held."""
        return passage.moved(lock_feet(passage.motion, stances(passage.motion, _labelled(passage))))

    def more(self, passage: Passage, *, last: bool) -> Passage:
        """The passage with standing feet held, in its first frames as before."""
        motion, standing, locking = passage.motion, np.zeros((passage.frames, 4), bool), None
        if passage.frames >= 3:
            standing = stances(motion, _labelled(passage))
            standing[: len(self._standing)] = self._standing
            motion, locking = lock_feet_on(motion, standing, self._locking)
        self._fresh = (passage.first, standing, locking)
        return passage.moved(motion)

    def settle(self, kept: int, until: int) -> tuple[int, int]:
        """As of ``Decision``."""
        first, standing, locking = self._fresh
        self._standing = standing[kept - first : until - first]
        self._locking = None if locking is None else locking.slice(kept - first, until - first)
        return kept, until


def _labelled(passage: Passage) -> np.ndarray | None:
    return None if passage.contacts is None else passage.contacts > CONTACT_THRESHOLD
