"""Edits of a whole dance that no model is needed for: its mirror image, another tempo."""

from dataclasses import replace

import numpy as np

from longdance.choreography.edits.making import noted
from longdance.choreography.record import timeline_of
from longdance.errors import InputError
from longdance.motion import filters, moments
from longdance.motion.motion import Motion

REGISTER = {
    "edit": {
        "mirror": {"make": "mirror", "about": "exchange left and right", "order": 6, "model": False},
        "tempo": {"make": "at_tempo", "about": "another tempo", "order": 7, "needs": ("bpm",), "model": False},
    },
}
TEMPO_RANGE = (0.5, 2.0)
"""Least and greatest ratio of a new tempo to the old one."""


def mirror(dance: Motion) -> Motion:
    """The dance in a mirror: left and right exchanged."""
    return noted(dance.mirror(), {"mirrored": True})


def at_tempo(dance: Motion, bpm: float) -> Motion:
    """The dance at another tempo: the same movement, faster or slower, its beats with it.

    ``InputError`` where the dance does not know its tempo, or for less than half and more than twice of it. The song no
    longer fits; the record says so.
    """
    tempo = dance.meta.get("tempo_bpm")
    if not isinstance(tempo, int | float) or isinstance(tempo, bool) or not tempo > 0:
        raise InputError("expected a dance that knows its tempo (tempo_bpm in its record); try a dance by longdance")
    ratio = bpm / tempo
    if not TEMPO_RANGE[0] <= ratio <= TEMPO_RANGE[1]:
        low, high = (tempo * edge for edge in TEMPO_RANGE)
        raise InputError(f"expected a tempo from {low:.0f} to {high:.0f} BPM for this dance, got {bpm:g}")
    frames = max(1, round(dance.frames / ratio))
    at = np.minimum(np.arange(frames) * ratio, dance.frames - 1)
    timeline_of(dance)  # of the form that it should have
    meta = moments.cut(dance.meta, 0.0, frames * ratio / dance.fps, speed=ratio)
    meta |= {"tempo_bpm": round(float(bpm), 3), "song": None, "song_path": None}
    moved = replace(
        dance,
        root_position=filters.interpolate(dance.root_position, at),
        rotations=filters.interpolate_rotations(dance.rotations, at),
        meta=meta,
    )
    return noted(moved, {"tempo_from": round(float(tempo), 3), "tempo_to": round(float(bpm), 3)})
