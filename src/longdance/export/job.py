"""What a writer of a format is given: dances that were made ready, where to write them, and how."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from longdance.export.takes import Body, ExportOptions, Take, as_take, body, common_takes
from longdance.motion.motion import Motion
from longdance.progress import Progress


@dataclass(frozen=True, eq=False, kw_only=True)
class Job:
    """Dances by name, cut, resampled and so on as ``options`` ask; more than one only for formats that say so.

    ``up`` and ``unit`` are those of the file. Writers register by ``{"format": {...}}``, see ``registry.FORMATS``.
    """

    motions: Mapping[str, Motion]
    group: tuple[Motion, ...]
    """All dancers, the first of them ``motion``; one but for formats that hold groups."""
    path: Path
    options: ExportOptions
    up: str = "y"
    unit: str = "m"
    song_path: str | os.PathLike | None = None
    progress: Progress | None = None

    @property
    def motion(self) -> Motion:
        """The first of the dances."""
        return next(iter(self.motions.values()))

    @property
    def title(self) -> str | None:
        """Genre and movements, as a caption."""
        return title_of(self.motion)

    def takes(self) -> list[Take]:
        """The dances as tracks on one tree of joints; ``InputError`` if they are not on one skeleton."""
        named = self.motions.items()
        return common_takes([as_take(motion, self.options, name=name, up=self.up) for name, motion in named])

    def casts(self) -> list[list[Take]]:
        """For every animation of the file the tracks of each dancer; joints of others than the first have a number."""
        if len(self.group) == 1:
            return [[take] for take in self.takes()]
        takes = [as_take(motion, self.options, name=next(iter(self.motions)), up=self.up) for motion in self.group]
        return [[take if n == 1 else take.numbered(n) for n, take in enumerate(takes, 1)]]

    def figure(self, take: Take) -> Body | None:
        """The mannequin bound to a take's joints, unless the options want none."""
        return body(self.motion, take, up=self.up) if self.options.mesh else None


def title_of(motion: Motion) -> str | None:
    """Genre and movements, as a caption."""
    movements = motion.meta.get("movements")
    words = [motion.meta.get("genre"), *(movements if isinstance(movements, list | tuple) else ())]
    return ", ".join(word for word in words if word and isinstance(word, str)) or None
