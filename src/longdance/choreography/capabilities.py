"""What kinds of dancers there are and what each can do, known without loading any."""

from dataclasses import dataclass
from typing import Any, Literal

from longdance.registry import DANCERS


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a dancer can do beyond dancing to a song."""

    streams: bool = False
    """Gives a dance out while it is made."""
    plans_ahead: bool = False
    """Needs to know the whole song before it begins."""
    edits: bool = False
    """Makes stretches of a dance anew."""
    joints: bool = False
    """Makes some joints anew while others stay."""
    guided: bool = False
    """Is a diffusion: steps, samplers and guidance mean something to it."""
    batches: bool = False
    """Makes several dances as one batch."""
    led: bool = False
    """Has soft primitives that can be led."""
    hears: Literal["words", "genre", "music"] = "words"
    """words (and music), genre (and music), or music alone."""


def capabilities(kind: str) -> Capabilities:
    """Those of a kind of dancer, a key of ``DANCERS``; ``KeyError`` for unknown ones."""
    facts: dict[str, Any] = dict(DANCERS.entry(kind).facts)
    facts.pop("order", None)
    return Capabilities(**facts)
