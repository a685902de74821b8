"""What a cleanup step is: one object that cleans a whole dance, or one that comes piece by piece."""

from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from longdance.cleanup.passage import Passage
from longdance.motion.motion import Motion


class Step(Protocol):
    """A step of the cleanup. An object that is fed by ``more`` cleans one dance; ``dataclasses.replace`` makes a new
    one for the next."""

    def whole(self, passage: Passage) -> Passage:
        """The passage cleaned, all of it at hand."""
        ...

    def more(self, passage: Passage, *, last: bool) -> Passage:
        """Of a dance that comes piece by piece, what can be told by now; with ``last`` nothing follows."""
        ...


@dataclass
class Filter:
    """A step that sees ``reach`` seconds on either side of a frame and no more.

    Given a piece, it gives back the frames that no later ones can change.
    """

    reach: float
    _kept: Passage | None = field(default=None, init=False, repr=False)
    _given: int = field(default=0, init=False, repr=False)
    """Frames of the dance that were given back."""

    def whole(self, passage: Passage) -> Passage:
        """The passage filtered."""
        raise NotImplementedError

    def more(self, passage: Passage, *, last: bool) -> Passage:
        """The frames that are settled now, perhaps none; they follow those before."""
        kept = passage if self._kept is None else self._kept.followed_by(passage)
        reach = int(np.ceil(self.reach * kept.motion.fps))
        stop = kept.stop if last else max(self._given, kept.stop - reach)
        settled = self.whole(kept).between(self._given, stop)
        begin = max(kept.first, stop - 2 * reach)
        seams = tuple(seam for seam in kept.seams if seam >= begin)
        self._kept = replace(kept.between(begin, kept.stop), seams=seams)
        self._given = stop
        return replace(settled, seams=passage.seams)


@dataclass
class Chain(Filter):
    """Filters one after the other as one, so that a frame waits for the one that sees furthest, not for each."""

    reach: float = field(default=0.0, init=False)
    filters: tuple[Filter, ...] = ()

    def __post_init__(self):
        self.reach = max(each.reach for each in self.filters)

    def whole(self, passage: Passage) -> Passage:
        """The passage after all filters."""
        for each in self.filters:
            passage = each.whole(passage)
        return passage


class Decision(Step, Protocol):
    """A step that weighs a whole dance: what it decided for frames that were given out stays, later ones go on from it.

    ``more`` is given all frames that are still looked at, from the first one that ``settle`` asked to keep, and gives
    back all of them; what it decides holds once ``settle`` says so.
    """

    def settle(self, kept: int, until: int) -> tuple[int, int]:
        """Frames of its output before ``until`` were given out, those from ``kept`` on are looked at again.

        The same two frames of its input.
        """
        ...


@dataclass
class Correction:
    """A decision that is one value a frame, which is laid upon the motion."""

    _begun: np.ndarray | None = field(default=None, init=False, repr=False)
    """Values decided for the first frames that are looked at."""
    _fresh: np.ndarray | None = field(default=None, init=False, repr=False)
    _first: int = field(default=0, init=False, repr=False)

    def values(self, passage: Passage, begun: np.ndarray | None) -> np.ndarray:
        """(frames, ...) for every frame of a passage of three or more; the first of them are ``begun``."""
        raise NotImplementedError

    def laid(self, motion: Motion, values: np.ndarray) -> Motion:
        """The motion with the values laid upon it."""
        raise NotImplementedError

    def whole(self, passage: Passage) -> Passage:
        """The passage corrected; one of fewer than three frames stays as it is."""
        if passage.frames < 3:
            return passage
        return passage.moved(self.laid(passage.motion, self.values(passage, None)))

    def more(self, passage: Passage, *, last: bool) -> Passage:
        """The passage corrected, in its first frames as before."""
        if passage.frames < 3:
            return passage
        self._first, self._fresh = passage.first, self.values(passage, self._begun)
        return passage.moved(self.laid(passage.motion, self._fresh))

    def settle(self, kept: int, until: int) -> tuple[int, int]:
        """As of ``Decision``."""
        if self._fresh is not None:
            self._begun = self._fresh[kept - self._first : until - self._first]
        return kept, until
