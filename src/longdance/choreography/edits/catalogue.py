"""Which edits there are and what each needs, known without loading any."""

from collections.abc import Mapping
from typing import Any

from longdance.errors import InputError
from longdance.registry import Registry

EDITS = Registry("edit", "choreography.edits")
"""Names of edits; ``needs`` and ``takes`` are fields they cannot and can do without, ``model`` whether one makes
something anew."""


def expect_complete(what: str, asked: Mapping[str, Any]) -> None:
    """``InputError`` for an unknown edit, and where something that it needs is None, empty or missing."""
    if what not in EDITS:
        raise InputError(f"expected an edit among {EDITS.names()}, got {what!r}")
    missing = [name for name in EDITS.entry(what).facts.get("needs", ()) if asked.get(name) in (None, [], ())]
    if missing:
        raise InputError(f"expected {' and '.join(missing)} to {what.replace('_', ' ')}, got none")
