"""Cutting a take into phrases: at its counts where it keeps a beat, at its pauses where it does not.

Salsa is heard at half the rate of its steps, so that four of its beats are the eight steps that dancers count, which
thus stay whole.
"""

from typing import NamedTuple

import numpy as np

from longdance.choreography.phrases.library import FPS, Cut, TakeFacts
from longdance.choreography.phrases.rests import nearest_rests, rests_of
from longdance.features.beats import beats_of_motion
from longdance.features.rhythm_plan import settled_count, standardised
from longdance.motion.contacts import speeds
from longdance.motion.motion import Motion
from longdance.motion.still_ends import without_still_ends

EIGHT, FOUR = 8, 4
CLEAR = 0.1
"""Clarity of the beat from which on a take is counted; others are cut at pauses."""
UNEVEN = 1.7
"""Longest over shortest beat of a phrase: beyond it the beats were not heard right."""
NEAR = 0.07
"""Seconds within which a beat is moved to where the whole body is slowest."""
LEAST_SPEED = 0.08
"""Metres per second of mean joint speed below which nobody dances."""


class Counted(NamedTuple):
    """Beats of a take, and at which of them phrases begin."""

    marks: np.ndarray
    """(beats,) frames."""
    begins: np.ndarray
    """(beats,) booleans: a phrase begins there."""
    steady: bool


def counted(motion: Motion) -> Counted:
    """The beats of a take by its movement, and where phrases begin."""
    beats = beats_of_motion(motion.joints(), motion.fps)
    rests, number = rests_of(motion.joints(), motion.fps), np.arange(len(beats.beat_times))
    marks = nearest_rests(beats.beat_times * motion.fps, rests, NEAR * motion.fps)
    if beats.clarity >= CLEAR:
        first = settled_count(motion, beats.beat_times, standardised(beats.strength, least=0.05))
        return Counted(marks, (number + first) % FOUR == 0, True)
    # The chain of beats lands on pauses; phrases begin at those that are clearer than their neighbours.
    padded = np.pad(beats.strength, 1, constant_values=-1.0)
    return Counted(marks, (beats.strength >= padded[:-2]) & (beats.strength > padded[2:]), False)


def cut(motion: Motion, facts: TakeFacts) -> Cut:
    """A take at any rate with its phrases, none if it is too short or nobody dances in it."""
    motion = without_still_ends(motion).resample(FPS)
    if motion.frames < 2 * FPS:
        return Cut(facts, motion, (), ())
    beats = counted(motion)
    pace = speeds(motion.joints(), motion.fps).mean(1)
    found: list[tuple[float, ...]] = []
    names: list[str] = []
    for counts in (EIGHT, FOUR):
        # The second half of an eight and the first of the next are an eight as well.
        for begin in np.flatnonzero(beats.begins):
            marks = beats.marks[begin : begin + counts + 1]
            if len(marks) <= counts or marks[-1] > motion.frames - 1:
                continue
            steps = np.diff(marks)
            if steps.max() > UNEVEN * steps.min() or pace[int(marks[0]) : int(marks[-1]) + 1].mean() < LEAST_SPEED:
                continue
            found.append(tuple(marks))
            names.append(f"{facts.clip}:{begin}" + ("" if counts == EIGHT else f"/{counts}"))
    known = TakeFacts(
        clip=facts.clip, genre=facts.genre, movements=facts.movements, source=facts.source, steady=beats.steady
    )
    return Cut(known, motion, found, names)
