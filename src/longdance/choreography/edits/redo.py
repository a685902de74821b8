"""Stretches made anew, in-betweens of key frames, and something else from a beat on."""

from collections.abc import Sequence
from typing import Any

from longdance.choreography.dancer import Dancer
from longdance.choreography.edits.making import Part, Range, frames_of, free_joints, nearest_beat, noted, remade
from longdance.choreography.request import DanceRequest
from longdance.errors import InputError
from longdance.motion.filters import runs
from longdance.motion.motion import Motion
from longdance.progress import Progress

REGISTER = {
    "edit": {
        "redo": {
            "make": "redo", "about": "make stretches anew", "order": 1, "needs": ("stretches",),
            "takes": ("keep", "joints", "keep_feet"),
        },
        "in_between": {
            "make": "in_between", "about": "a dance through key frames", "order": 2, "needs": ("keep",),
            "takes": ("joints", "keep_feet"),
        },
        "from_here_on": {
            "make": "from_here_on", "about": "something else from a beat on", "order": 4, "needs": ("at",),
        },
    },
}  # fmt: skip


def redo(
    dance: Motion,
    dancer: Dancer,
    request: DanceRequest,
    *,
    stretches: Sequence[Range],
    keep: Sequence[Range] = (),
    joints: str | Sequence[str] = "all",
    keep_feet: bool = False,
    progress: Progress | None = None,
) -> Motion:
    """The dance with the stretches made anew, but for what lies in ``keep``; a (t, t) there keeps one key frame.

    ``joints`` (all, upper, lower, or names) are free, the others stay as they are; ``keep_feet`` makes everything but
    where the feet are. The song of the request begins where the dance does; words that it does not give are those that
    the dance was made with. ``InputError`` for a dance that the model has no joints for, and where nothing is left to
    do.
    """
    free = frames_of(stretches, dance) & ~frames_of(keep, dance)
    if not free.any():
        raise InputError("expected a stretch of the dance to make anew, got none; try --redo from:to within the dance")
    what = free_joints(joints, dance.skeleton)
    edited = remade(dance, dancer, request, Part(free, what, keep_feet), progress=progress)
    ranges = [[round(float(a) / dance.fps, 4), round(float(b) / dance.fps, 4)] for a, b in runs(free)]
    names = [name for name, chosen in zip(dance.skeleton.names, what, strict=True) if chosen]
    return noted(
        edited,
        {"redo": ranges, "joints": "all" if what.all() else names, "keep_feet": keep_feet, "seed": request.seed,
         "genre": request.genre, "prompt": request.prompt},
    )  # fmt: skip


def in_between(
    dance: Motion, dancer: Dancer, request: DanceRequest, *, keep: Sequence[Range], **options: Any
) -> Motion:
    """A dance through the given ranges or key frames (t, t) of ``dance``; options are those of ``redo``."""
    return redo(dance, dancer, request, stretches=[(0.0, dance.seconds)], keep=keep, **options)


def from_here_on(dance: Motion, dancer: Dancer, request: DanceRequest, *, at: float, **options: Any) -> Motion:
    """The dance with something else, such as another genre, from the beat nearest to ``at`` seconds to its end."""
    return redo(dance, dancer, request, stretches=[(nearest_beat(dance, at), dance.seconds)], **options)
