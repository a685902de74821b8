"""How strongly a dance is drawn by each energy, by name; what people write is read here. Imports no torch."""

from collections.abc import Mapping
from typing import NamedTuple

from longdance.errors import InputError

STRONGEST = 10.0
"""Beyond that a dance is torn apart."""


class Strengths(NamedTuple):
    """Of each energy; 0 is none, 1 the measured default: as strong as leaves the rest of a dance as good as without."""

    beats: float = 0.0
    """Stops on beats, stronger on downbeats."""
    loudness: float = 0.0
    """Faster where the music is louder, over about a second."""
    floor: float = 0.0
    """Something touches the floor but in leaps, nothing is below it."""
    feet: float = 0.0
    """What stands does not slide."""
    self: float = 0.0
    """No limb is inside the body."""

    def changed(self, asked: str | None) -> "Strengths":
        """The same but for what is asked, as ``written`` gives it."""
        if asked is None:
            return self
        found = self
        for part in asked.split(","):
            name, given, value = part.partition("=")
            found = found._replace(**{name: float(value)}) if given else NAMED[name]
        return found

    def record(self) -> dict[str, float]:
        """Those that are not zero, by name."""
        return {name: value for name, value in self._asdict().items() if value}


OFF, USUAL = Strengths(), Strengths(beats=1.0, loudness=1.0, floor=1.0, feet=1.0, self=1.0)
NAMED = {"off": OFF, "usual": USUAL}
"""What may stand before single energies."""


def written(asked: str | Mapping[str, float]) -> str:
    """What is asked for in one spelling: ``off`` or ``usual`` if they were, then NAME=STRENGTH, with commas between.

    ``InputError`` for unknown names and strengths out of bounds.
    """
    if not isinstance(asked, str):
        asked = ",".join(f"{name}={value}" for name, value in asked.items())
    parts = []
    for part in asked.split(","):
        name, given, value = (piece.strip() for piece in part.partition("="))
        if not given and name in NAMED and not parts:
            parts.append(name)
            continue
        if not given or name not in Strengths._fields:
            known = ", ".join(Strengths._fields)
            raise InputError(f"expected NAME=STRENGTH for energy, NAME among {known}, or off or usual; got {part!r}")
        try:
            strength = float(value)
        except ValueError:
            strength = -1.0
        if not 0 <= strength <= STRONGEST:
            raise InputError(f"expected a strength from 0 to {STRONGEST:g} for {name}, got {value!r}; 1 is usual")
        parts.append(f"{name}={strength:g}")
    return ",".join(parts)
