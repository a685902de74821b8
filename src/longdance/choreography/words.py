"""Words as they were written; what a network makes of them is in ``conditioning``."""

from typing import NamedTuple


class Words(NamedTuple):
    """What a dance is asked to be, as it was written."""

    genre: str | None = None
    movements: tuple[str, ...] = ()
    text: str | None = None
