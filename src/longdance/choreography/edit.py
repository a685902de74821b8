"""Changing a dance that is there: redo a stretch, in-between key frames, go on, blend, mirror, another tempo.

The edits themselves are in ``edits``; here is what commands and pages need to know of them all.
"""

from typing import Any

from longdance.choreography.dancer import Dancer
from longdance.choreography.edits.blend import BLEND as BLEND
from longdance.choreography.edits.blend import blend as blend
from longdance.choreography.edits.catalogue import EDITS, expect_complete
from longdance.choreography.edits.go_on import go_on as go_on
from longdance.choreography.edits.making import LOWER as LOWER
from longdance.choreography.edits.making import free_joints as free_joints
from longdance.choreography.edits.making import nearest_beat as nearest_beat
from longdance.choreography.edits.making import song_of as song_of
from longdance.choreography.edits.phrase import change_phrase as change_phrase
from longdance.choreography.edits.phrase import dance_again as dance_again
from longdance.choreography.edits.phrase import dance_plan as dance_plan
from longdance.choreography.edits.redo import from_here_on as from_here_on
from longdance.choreography.edits.redo import in_between as in_between
from longdance.choreography.edits.redo import redo as redo
from longdance.choreography.edits.whole import at_tempo as at_tempo
from longdance.choreography.edits.whole import mirror as mirror
from longdance.choreography.request import DanceRequest
from longdance.motion.motion import Motion
from longdance.progress import Progress


def edited(
    dance: Motion,
    what: str,
    *,
    dancer: Dancer | None = None,
    request: DanceRequest | None = None,
    progress: Progress | None = None,
    **asked: Any,
) -> Motion:
    """The dance after the edit ``what``, a key of ``EDITS``, with what that takes of ``asked``.

    ``dancer`` and ``request`` are for edits that make something anew. ``InputError`` where something needed is missing.
    """
    expect_complete(what, asked)
    facts = EDITS.entry(what).facts
    given = {name: asked[name] for name in (*facts.get("needs", ()), *facts.get("takes", ())) if name in asked}
    if not facts.get("model", True):
        return EDITS[what](dance, **given)
    return EDITS[what](dance, dancer, request, **given, progress=progress)
