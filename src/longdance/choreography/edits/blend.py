"""One dance that becomes another one."""

from dataclasses import replace

import numpy as np

from longdance.choreography.dancer import Dancer
from longdance.choreography.edits.making import Part, all_joints, nearest_beat, noted, remade
from longdance.choreography.request import DanceRequest
from longdance.errors import InputError
from longdance.motion.directions import heading
from longdance.motion.motion import Motion
from longdance.progress import Progress

REGISTER = {
    "edit": {"blend": {"make": "blend", "about": "become another dance", "order": 5, "needs": ("at", "other")}},
}
BLEND = 1.0
"""Seconds before and after a beat in which one dance becomes another."""


def blend(
    first: Motion,
    dancer: Dancer,
    request: DanceRequest,
    *,
    other: Motion,
    at: float,
    progress: Progress | None = None,
) -> Motion:
    """``first`` until the beat nearest to ``at`` seconds, ``other`` after it, ``BLEND`` seconds on either side new.

    Both are dances to the same song; ``other`` is turned and moved to where ``first`` stands on that beat, and
    otherwise unchanged.
    """
    if other.skeleton.names != first.skeleton.names:
        raise InputError("expected two dances with the same joints; try retargeting one of them")
    if other.meta.get("start", 0.0) != first.meta.get("start", 0.0):
        raise InputError("expected two dances that begin at the same second of the song; try another dance")
    second = other.resample(first.fps)
    at = nearest_beat(first, at)
    frame = round(at * first.fps)
    if not 0 < frame < min(first.frames, second.frames) - 1:
        raise InputError(f"expected a beat within both dances, got {at:.2f} s of {first.seconds:.1f} and "
                         f"{second.seconds:.1f} s")  # fmt: skip
    turned = second.turn(float(heading(first.rotations[frame, 0]) - heading(second.rotations[frame, 0])))
    shift = (first.root_position[frame] - turned.root_position[frame]) * np.array([1.0, 0.0, 1.0])
    both = replace(
        first,
        root_position=np.concatenate((first.root_position[:frame], turned.root_position[frame:] + shift)),
        rotations=np.concatenate((first.rotations[:frame], turned.rotations[frame:])),
    )
    free = np.abs(np.arange(both.frames) - frame) < round(BLEND * first.fps)
    edited = remade(both, dancer, request, Part(free, all_joints(first)), progress=progress)
    return noted(edited, {"blended_at": round(at, 4), "with": second.meta.get("song"), "seed": request.seed})
