"""Which edits there are and what each needs, known without loading any."""

from collections.abc import Mapping
from typing import Any

from longdance.errors import InputError
from longdance.registry import EDITS


def expect_complete(what: str, asked: Mapping[str, Any], *, called: Mapping[str, str] | None = None) -> None:
    """``InputError`` for an unknown edit, and where something that it needs is None, empty or missing.

    ``called`` are other names of fields, where people know them by others.
    """
    if what not in EDITS:
        raise InputError(f"what: expected an edit among {EDITS.names()}, got {what!r}")
    names: Mapping[str, str] = called or {}
    needs: tuple[str, ...] = EDITS.entry(what).facts.get("needs", ())
    missing = [names.get(name, name) for name in needs if asked.get(name) in (None, [], ())]
    if missing:
        raise InputError(f"expected {' and '.join(missing)} to {what.replace('_', ' ')}, got none")
