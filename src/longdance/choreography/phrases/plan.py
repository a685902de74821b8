"""A plan: which phrase is danced from which beat on. It is a document, that people and pages change block by block."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace

import numpy as np

from longdance.choreography.phrases.form import Beats, beat_time
from longdance.errors import InputError

HOLD = "hold"
"""What a block is called in which the dancer keeps the pose it came to."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """A phrase on some beats of the song, counted from 0, the first one heard."""

    beat: float
    beats: float
    phrase: str
    """Name in the library, or ``HOLD``."""
    counts: int = 0
    """How many of the phrase's counts are danced, from its first; 0 in a hold."""
    mirrored: bool = False
    locked: bool = False
    """Whether a new plan keeps it."""
    letter: str = ""
    """Of the section of the song."""

    @property
    def end(self) -> float:
        """The beat on which the next block begins."""
        return self.beat + self.beats

    @property
    def holds(self) -> bool:
        """Whether nothing is danced."""
        return self.phrase == HOLD


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Blocks that follow each other without gaps."""

    library: str
    blocks: tuple[Block, ...]
    seed: int = 0

    def __post_init__(self):
        if not any(not block.holds for block in self.blocks):
            raise InputError("expected a plan with at least one phrase, got none")
        for before, after in zip(self.blocks, self.blocks[1:], strict=False):
            if abs(before.end - after.beat) > 1e-6:
                raise InputError(
                    f"expected phrases that follow each other, got one that ends on beat {before.end + 1:g} and one "
                    f"that begins on beat {after.beat + 1:g}"
                )

    def record(self, song: Beats) -> dict:
        """As it is kept with a dance: times are seconds of the song's stretch."""
        return {"library": self.library, "seed": self.seed, "phrases": rows_of(self.blocks, song)}

    def times(self, song: Beats) -> np.ndarray:
        """(blocks, 2) seconds at which each begins and ends."""
        return times_of(self.blocks, song)

    @classmethod
    def of_record(cls, record: object) -> "Plan":
        """The plan in a dance's record; ``InputError`` where there is none or it is damaged."""
        if not isinstance(record, dict) or not record.get("phrases"):
            raise InputError("expected a dance made with --phrases, which has a plan in its record; found no plan")
        try:
            known = [field.name for field in fields(Block)]
            blocks = tuple(Block(**{name: row[name] for name in known}) for row in record["phrases"])
            return cls(library=str(record["library"]), blocks=blocks, seed=int(record["seed"]))
        except (TypeError, KeyError, ValueError) as error:
            raise InputError(f"expected a plan in the dance's record, could not read it ({error})") from error

    def block(self, number: int) -> Block:
        """A block, counted from 1; ``InputError`` beyond the last one."""
        if not 1 <= number <= len(self.blocks):
            raise InputError(f"expected a phrase from 1 to {len(self.blocks)}, got {number}")
        return self.blocks[number - 1]

    def changed(self, number: int, **changes) -> "Plan":
        """The plan with another block in place of one, counted from 1."""
        self.block(number)
        return replace(self, blocks=_put(self.blocks, number - 1, replace(self.blocks[number - 1], **changes)))

    def swapped(self, number: int, phrase: str, *, counts: int, mirrored: bool = False) -> "Plan":
        """The plan with another phrase of so many ``counts`` in a block; no more of them than the block has beats.

        Of a phrase with fewer counts than beats each lasts longer.
        """
        block = self.block(number)
        whole = max(1, round(block.beats))
        used = counts if counts <= whole or counts % whole == 0 else whole
        return self.changed(number, phrase=phrase, counts=used, mirrored=mirrored)

    def mirrored(self, number: int) -> "Plan":
        """The plan with left and right exchanged in a block."""
        block = self._danced(number)
        return self.changed(number, mirrored=not block.mirrored)

    def repeated(self, number: int) -> "Plan":
        """The plan with the phrase of a block again in the next one, as much of it as that has room for."""
        block = self._danced(number)
        following = self.block(number + 1) if number < len(self.blocks) else None
        if following is None:
            raise InputError(f"expected a phrase with one after it to repeat it in, got {number}, the last one")
        counts = max(1, min(block.counts, round(block.counts / block.beats * following.beats)))
        return self.changed(number + 1, phrase=block.phrase, counts=counts, mirrored=block.mirrored)

    def reordered(self, order: Sequence[int]) -> "Plan":
        """The plan with its blocks in another order, numbers from 1; each keeps its length."""
        if sorted(order) != list(range(1, len(self.blocks) + 1)):
            raise InputError(f"expected every number from 1 to {len(self.blocks)} once, got {list(order)}")
        beat, blocks = self.blocks[0].beat, []
        for number in order:
            blocks.append(replace(self.blocks[number - 1], beat=beat))
            beat = blocks[-1].end
        return replace(self, blocks=tuple(blocks))

    def locked(self, number: int, locked: bool = True) -> "Plan":
        """The plan with a block that a new plan keeps, or may change again."""
        return self.changed(number, locked=locked)

    def _danced(self, number: int) -> Block:
        block = self.block(number)
        if block.holds:
            raise InputError(f"expected a phrase, got {number}, in which the pose is held")
        return block


def times_of(blocks: Sequence[Block], song: Beats) -> np.ndarray:
    """(blocks, 2) seconds at which each begins and ends."""
    return beat_time(song, np.array([(block.beat, block.end) for block in blocks]).reshape(-1, 2))


def rows_of(blocks: Sequence[Block], song: Beats) -> list[dict]:
    """Blocks as a dance's record has them."""
    return [
        asdict(block) | {"from": round(float(begin), 4), "to": round(float(end), 4)}
        for block, (begin, end) in zip(blocks, times_of(blocks, song), strict=True)
    ]


def _put(blocks: tuple[Block, ...], at: int, block: Block) -> tuple[Block, ...]:
    return (*blocks[:at], block, *blocks[at + 1 :])
