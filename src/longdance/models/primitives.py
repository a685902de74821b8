"""Where in a long stretch of dance Lodge's primitives lie: the plan that its global stage is built and trained for.

Source: Lodge sections 3.2, 3.4 and 4.1.
"""

import numpy as np
from pydantic import BaseModel, ConfigDict, PositiveInt, model_validator

PRIMITIVE_FRAMES = 8
"""Frames of a primitive (Lodge section 3.2)."""
HALF = PRIMITIVE_FRAMES // 2
"""Frames that a hard cue gives to each of the segments that meet in it (Lodge section 3.4)."""
SOFT_PER_SEGMENT = 2
"""Soft primitives per segment: 8 in 4 segments (Lodge section 4.1)."""
CLEARANCE = 8
"""Frames from a segment's ends within which no soft primitive is centred."""


class PrimitivePlan(BaseModel):
    """Where primitives lie in the ``frames`` that the global stage sees at once: all hard ones, then all soft ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    frames: PositiveInt = 1024
    """N, frames of music (Lodge table 7)."""
    segment: PositiveInt = 256
    """n, frames that the local stage dances at once; divides ``frames``."""
    soft_spacing: PositiveInt = 1
    """Frames from each frame of a soft primitive to its next; 4 makes the discrete primitives of Lodge table 6."""

    @model_validator(mode="after")
    def _segments_divide(self) -> "PrimitivePlan":
        if self.frames % self.segment:
            raise ValueError(f"expected segment to divide frames = {self.frames}, got {self.segment}")
        if self.share < 2 * self.clearance:
            raise ValueError(f"expected a segment of at least {4 * self.clearance} frames, got {self.segment}")
        return self

    @property
    def segments(self) -> int:
        """Segments in ``frames``."""
        return self.frames // self.segment

    @property
    def hard(self) -> int:
        """Hard primitives: one where segments meet, one at either end."""
        return self.segments + 1

    @property
    def soft(self) -> int:
        """Soft primitives."""
        return self.segments * SOFT_PER_SEGMENT

    @property
    def count(self) -> int:
        """All primitives; 13 with the paper's sizes."""
        return self.hard + self.soft

    @property
    def share(self) -> int:
        """Frames of a segment that belong to one soft primitive."""
        return self.segment // SOFT_PER_SEGMENT

    @property
    def clearance(self) -> int:
        """Frames from a segment's ends within which no soft primitive is centred."""
        return max(CLEARANCE, HALF * (self.soft_spacing + 1))

    def hard_starts(self) -> np.ndarray:
        """(hard,) first frames of the hard primitives: centred where segments meet, moved inside at both ends."""
        return np.clip(np.arange(self.hard) * self.segment - HALF, 0, self.frames - PRIMITIVE_FRAMES)

    def soft_frames(self, centre: int) -> np.ndarray:
        """(8,) frames of a soft primitive whose pose is reached at ``centre``."""
        return centre + (np.arange(PRIMITIVE_FRAMES) - HALF) * self.soft_spacing
