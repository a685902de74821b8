"""What cleanup steps hand to each other: frames of a dance, with what they need to know of them."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from longdance.motion.motion import Motion


@dataclass(frozen=True, eq=False)
class Passage:
    """Frames of a dance from frame ``first`` of it on."""

    motion: Motion
    contacts: Float[np.ndarray, "frames 4"] | None = None
    """Predicted labels in [0, 1], in the order of ``motion.stances.CONTACT_ORDER``; measured where None."""
    seams: tuple[int, ...] = ()
    """Frames of the dance that begin a segment which did not see the one before."""
    first: int = 0

    @property
    def frames(self) -> int:
        """How many there are."""
        return self.motion.frames

    @property
    def stop(self) -> int:
        """The frame of the dance after the last one."""
        return self.first + self.frames

    def moved(self, motion: Motion) -> "Passage":
        """The same with another motion of as many frames."""
        return replace(self, motion=motion)

    def between(self, start: int, stop: int) -> "Passage":
        """Frames ``start`` to ``stop`` (exclusive) of the dance."""
        a, b = start - self.first, stop - self.first
        return replace(
            self,
            motion=self.motion.slice(a, b),
            contacts=None if self.contacts is None else self.contacts[a:b],
            first=start,
        )

    def followed_by(self, later: "Passage") -> "Passage":
        """This passage and the next one as one."""
        contacts = None
        if self.contacts is not None and later.contacts is not None:
            contacts = np.concatenate((self.contacts, later.contacts))
        return replace(
            self,
            motion=Motion.joined([self.motion, later.motion]),
            contacts=contacts,
            seams=(*self.seams, *later.seams),
        )
