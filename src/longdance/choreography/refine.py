"""After denoising: meet the beats, smooth what no body does, and let standing feet stand."""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from longdance.choreography.footing import CONTACT_ORDER as CONTACT_ORDER
from longdance.choreography.footing import follow_feet, stances
from longdance.choreography.timing import align_to_beats
from longdance.motion.ik import lock_feet
from longdance.motion.motion import Motion


class RefineConfig(BaseModel):
    """What refinement does; ``None`` switches the smoothing off."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    meet_beats: bool = True
    """Whether time is bent so that pauses fall on the beats."""
    cutoff: float | None = 5.0
    """Hertz of the zero-phase low-pass on root and rotations."""
    lock_feet: bool = True
    """Whether the root is led by standing feet, and these are held in place on the floor."""
    contact_threshold: float = 0.5
    """Predicted contact above which a foot joint stands whatever it does; others stand while low and slow."""


def refine(
    motion: Motion,
    contacts: np.ndarray | None,
    config: RefineConfig,
    *,
    beat_times: Sequence[float] | np.ndarray = (),
) -> Motion:
    """The motion on the beat, smoothed, with standing feet locked.

    ``beat_times`` are seconds from the first frame; ``contacts`` (frames, 4) are predicted labels in [0, 1] in
    ``CONTACT_ORDER``; without them they are measured. Bones keep their lengths: only rotations and the root change.
    """
    if config.cutoff is not None:
        motion = motion.low_pass(config.cutoff)
    if config.meet_beats:  # after smoothing: noise pauses nowhere and everywhere
        motion, contacts = align_to_beats(motion, np.asarray(beat_times), contacts)
    if config.lock_feet:
        motion = follow_feet(motion, contacts)
        standing = stances(motion)
        if contacts is not None:
            standing |= contacts > config.contact_threshold
        motion = lock_feet(motion, standing)
    return motion
