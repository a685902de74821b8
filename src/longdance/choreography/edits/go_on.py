"""A dance that goes on after its end."""

from dataclasses import replace

import numpy as np

from longdance.choreography.dancer import Dancer, moments_of
from longdance.choreography.edits.making import Part, all_joints, heard, noted, remade
from longdance.choreography.request import DanceRequest
from longdance.errors import InputError
from longdance.motion.motion import Motion
from longdance.progress import Progress

REGISTER = {
    "edit": {"go_on": {"make": "go_on", "about": "go on after the end", "order": 3, "needs": ("seconds",)}},
}


def go_on(
    dance: Motion,
    dancer: Dancer,
    request: DanceRequest,
    *,
    seconds: float,
    progress: Progress | None = None,
) -> Motion:
    """The dance continued by ``seconds``; ``InputError`` where the song ends before."""
    if not 0 < seconds < float("inf"):
        raise InputError(f"expected more than 0 s to go on for, got {seconds:g}")
    song = heard(dance, request)
    frames = dance.frames + max(1, round(seconds * dance.fps))
    if frames / dance.fps > song.seconds + 1 / dance.fps:
        left = song.seconds - dance.seconds
        raise InputError(f"expected at most the {max(left, 0):.1f} s that the song still lasts, got {seconds:g} s")
    more = frames - dance.frames
    longer = replace(
        dance,
        root_position=np.concatenate((dance.root_position, np.repeat(dance.root_position[-1:], more, axis=0))),
        rotations=np.concatenate((dance.rotations, np.repeat(dance.rotations[-1:], more, axis=0))),
        meta=dance.meta | moments_of(song, frames / dance.fps),
    )
    free = np.arange(frames) >= dance.frames
    edited = remade(longer, dancer, request.changed(song=song), Part(free, all_joints(dance)), progress=progress)
    return noted(edited, {"continued_from": round(dance.seconds, 4), "seed": request.seed})
