"""After denoising: take off the jitter, meet the beats, and let standing feet stand.

The Temporal Refinement Module works on positions; inverse kinematics brings them back to rotations, so that every
format and measure sees one motion whose bones keep their lengths. A low-pass takes what the module leaves, or does its
work where a model has none. Feet come last: time that is bent, and smoothing, would set locked feet sliding again.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict

from longdance.choreography.footing import CONTACT_ORDER as CONTACT_ORDER
from longdance.choreography.footing import follow_feet, grounded, stances
from longdance.choreography.timing import align_to_beats
from longdance.models.trm import Refiner
from longdance.motion import rotations as rot
from longdance.motion.ik import lock_feet, solve_ik
from longdance.motion.motion import Motion


class RefineConfig(BaseModel):
    """What refinement does; ``None`` switches the smoothing off."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    meet_beats: bool = True
    """Whether time is bent so that pauses fall on the beats."""
    use_module: bool = True
    """Whether the model's Temporal Refinement Module smooths, if it has one."""
    cutoff: float | None = 5.0
    """Hertz of the zero-phase low-pass on root and rotations, after the module if there is one: it lowers jerk by a
    fifth more."""
    lock_feet: bool = True
    """Whether the dance is put on the floor, its root led by standing feet, and these are held in place."""
    contact_threshold: float = 0.5
    """Predicted contact above which a low foot joint stands at any speed; others stand while low and slow."""


def refine(
    motion: Motion,
    contacts: np.ndarray | None,
    config: RefineConfig,
    *,
    beat_times: Sequence[float] | np.ndarray = (),
    refiner: Refiner | None = None,
) -> Motion:
    """The motion on the beat, smoothed, with standing feet locked.

    ``beat_times`` are seconds from the first frame; ``contacts`` (frames, 4) are predicted labels in [0, 1] in
    ``CONTACT_ORDER``; without them they are measured. Bones keep their lengths: only rotations and the root change.
    """
    module = refiner if config.use_module else None
    if module is not None or config.cutoff is not None:
        motion = without_flips(motion)
    if module is not None:
        motion = smoothed(motion, module)
    if config.cutoff is not None:
        motion = motion.low_pass(config.cutoff)
    if config.lock_feet:
        motion = follow_feet(grounded(motion), contacts)
    if config.meet_beats:  # after smoothing and leading the root: noise and gliding hide where a dance pauses
        motion, contacts = align_to_beats(motion, np.asarray(beat_times), contacts)
    if config.lock_feet:
        labelled = None if contacts is None else contacts > config.contact_threshold
        motion = lock_feet(motion, stances(motion, labelled))
    return motion


# --- flips --------------------------------------------------------------------------------------------------

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


# --- the Temporal Refinement Module -------------------------------------------------------------------------

ROWS = 64
"""Windows that go through the module at once; bounds memory."""
STRETCH = 1800
"""Frames whose rotations are solved for together; bounds memory."""
MARGIN = 30
"""Frames on either side of a stretch that are solved for as well, so that its ends fit its neighbours'."""
INITIAL_CUTOFF = 5.0
"""Hertz of the low-pass after which the search for rotations begins: what positions leave open, such as the twist of
straight limbs, has to be smooth as well."""


def smoothed(motion: Motion, refiner: Refiner, *, within: slice | None = None) -> Motion:
    """The motion whose joints are as near as its bones allow to the positions that the module gives.

    Of a part of the motion if only the frames ``within`` are wanted; the module sees all. ``ValueError`` if the motion
    has another frame rate or other joints than the module.
    """
    config = refiner.config.network
    if motion.fps != config.fps or len(motion.skeleton) != config.joints:
        raise ValueError(
            f"expected {config.fps} fps and {config.joints} joints, got {motion.fps} and {len(motion.skeleton)}"
        )
    targets = refined_positions(motion.joints(), refiner)
    initial = motion.low_pass(INITIAL_CUTOFF)
    if within is not None:
        targets, initial = targets[within], initial.slice(within.start, within.stop)
        motion = initial
    root, rotations = initial.root_position.copy(), initial.rotations.copy()
    for begin in range(0, motion.frames, STRETCH):
        end = min(begin + STRETCH, motion.frames)
        low, high = max(0, begin - MARGIN), min(end + MARGIN, motion.frames)
        solved = solve_ik(
            targets[low:high], motion.skeleton, fps=motion.fps, initial=initial.slice(low, high), iterations=5
        )
        kept = slice(begin - low, end - low)
        root[begin:end], rotations[begin:end] = solved.root_position[kept], solved.rotations[kept]
    return replace(motion, root_position=root, rotations=rotations)


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
