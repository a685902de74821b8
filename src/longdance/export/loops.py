"""Dances changed as a whole before they are written: on one spot, or so that the end runs into the beginning."""

from dataclasses import replace

import numpy as np
import torch

from longdance.errors import InputError
from longdance.motion import moments
from longdance.motion import rotations as rot
from longdance.motion.directions import turn_about
from longdance.motion.filters import smoothstep
from longdance.motion.ik import lock_feet
from longdance.motion.motion import Motion

CROSSFADE = 0.5
"""Seconds over which a loop's end passes into its beginning."""


def in_place(motion: Motion) -> Motion:
    """The dance without travel: the pelvis stays above the origin; its height and all rotations are kept."""
    root = motion.root_position.copy()
    root[:, [0, 2]] = 0.0
    return replace(motion, root_position=root)


def looped(motion: Motion, *, crossfade: float | int = CROSSFADE) -> Motion:
    """The dance as a cycle: its last frame is its first, and the movement flows through it.

    The beginning is faded out of what follows the end, ``crossfade`` seconds long; travel and turning that would
    leap are taken out evenly over the whole length, and standing feet are set again. Where the tempo is known the
    cycle lasts whole beats. ``InputError`` for a dance shorter than four times the fade.
    """
    fade = round(crossfade * motion.fps)
    if motion.frames < max(4 * fade, 8):
        raise InputError(f"expected at least {4 * crossfade:g} s to make a loop of, got {motion.seconds:.2f} s")
    cycle = _cycle_frames(motion.frames - fade, motion)
    # 1. Take out the travel and the turn from the first frame to the one a cycle later.
    motion = motion.slice(0, cycle + fade)
    root, rotations = motion.root_position.copy(), motion.rotations.copy()
    turn = _heading(rotations[cycle, 0] @ rotations[0, 0].T)
    share = np.arange(len(root)) / cycle
    ground = root - root[0] * [1.0, 0.0, 1.0]
    back = turn_about(np.broadcast_to([0.0, 1.0, 0.0], ground.shape), -turn * share)
    rotations[:, 0] = back @ rotations[:, 0]
    ground = (back @ ground[..., None])[..., 0]
    drift = (ground[cycle] - ground[0]) * [1.0, 0.0, 1.0]
    root = ground - share[:, None] * drift + root[0] * [1.0, 0.0, 1.0]
    # 2. Fade what comes after the cycle into its beginning; smoothly, so that speeds meet as well.
    weight = smoothstep(np.arange(fade) / fade)
    root[:fade] = (1 - weight)[:, None] * root[cycle : cycle + fade] + weight[:, None] * root[:fade]
    fraction = torch.from_numpy(np.repeat(weight[:, None], rotations.shape[1], 1))
    after, before = (torch.from_numpy(part.copy()) for part in (rotations[cycle : cycle + fade], rotations[:fade]))
    rotations[:fade] = rot.slerp(after, before, fraction).numpy()
    # 3. Feet that stand are set on two rounds, so that the seam is nothing special, and one of them is cut out.
    twice = Motion(
        np.concatenate((root[:cycle], root[:cycle])),
        np.concatenate((rotations[:cycle], rotations[:cycle])),
        fps=motion.fps,
        skeleton=motion.skeleton,
    )
    twice = lock_feet(twice)
    middle = cycle // 2
    order = np.concatenate((np.arange(cycle, cycle + middle), np.arange(middle, cycle)))
    order = np.append(order, cycle)
    meta = moments.cut(motion.meta, 0.0, cycle / motion.fps)
    return replace(twice, root_position=twice.root_position[order], rotations=twice.rotations[order], meta=meta)


def _cycle_frames(available: int, motion: Motion) -> int:
    """Frames of the longest cycle of whole beats, or all that are available where no tempo is known."""
    tempo = motion.meta.get("tempo_bpm")
    if isinstance(tempo, int | float) and 20 <= tempo <= 400:
        beat = motion.fps * 60 / tempo
        beats = int(available / beat)
        if beats:
            return round(beats * beat)
    return available


def _heading(rotation: np.ndarray) -> float:
    """Radians about the vertical that a rotation (3, 3) turns what lies on the floor."""
    return float(np.arctan2(rotation[0, 2] - rotation[2, 0], rotation[0, 0] + rotation[2, 2]))
