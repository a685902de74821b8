"""What is asked of a dance: one object from the command line, a page or Python down to the denoiser.

Every field stands here once, with its default, its bounds and the words that help texts show. Nothing here imports
torch: menus and ``--help`` are made of these fields.
"""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

from longdance.choreography.words import Words
from longdance.errors import InputError
from longdance.models.strengths import written

if TYPE_CHECKING:
    from longdance.choreography.score import Score
    from longdance.diffusion.guidance import Guidance
    from longdance.features.pulse import SongCorrections
    from longdance.features.song import Song

    AnySong = str | os.PathLike | Song | None
    AnyScore = str | os.PathLike | Score | None
    AnyFile = str | os.PathLike | None
else:
    AnySong = AnyScore = AnyFile = Any

Names = str | Sequence[str] | None
"""One name, several or none; kept as a tuple."""
Energy = str | Mapping[str, float] | None
"""Strengths of energies by name, or as ``models.strengths.written`` spells them; kept as that."""
CUES = ("soft_level", "mirror", "beat_align", "parabola")
"""Fields that say how primitives lead."""
MORE, LODGE = "More options", "Options of Lodge"
"""Panels of help texts after the first one."""
LARGEST_SEED = 2**63 - 1


@dataclass(frozen=True)
class Option:
    """How a field is asked for: what it means to people, and where its value may lie."""

    help: str
    least: float | None = None
    most: float | None = None
    panel: str | None = MORE
    """Heading it stands under in help texts; None is the first, with what everyone needs."""


@dataclass(frozen=True, kw_only=True)
class DanceRequest:
    """A dance that is wanted; ``InputError`` for values that no model could take.

    What is None is left to the song (length, tempo) or is the model's own (steps, sampler, guidance, cues).
    """

    song: AnySong = None
    """A file, or a song that was measured; the stretch and corrections of the latter are its own."""
    genre: Annotated[str | None, Option("See `longdance catalogue`.", panel=None)] = None
    movement: Annotated[Names, Option("A movement of the genre; may be repeated.", panel=None)] = ()
    prompt: Annotated[str | None, Option("Free words about the dance.", panel=None)] = None
    score: Annotated[AnyScore, Option("A timeline of what to dance when; see docs/score.md.", panel=None)] = None
    """The words then fill its gaps."""
    start: Annotated[float, Option("Second of the song to begin at.", 0, panel=None)] = 0.0
    seconds: Annotated[float | None, Option("Length; the rest of the song if not given.", 0.1, panel=None)] = None
    phrases: Annotated[
        float, Option("How strictly recorded phrases lead: 0 not at all, 1 as recorded but for joins.", 0, 1, None)
    ] = 0.0
    library: Annotated[
        str | None, Option("Whose phrases: those shipped if not given, or your own; see `longdance library`.")
    ] = None
    seed: Annotated[int, Option("Another seed, another dance.", 0, LARGEST_SEED, panel=None)] = 0
    bpm: Annotated[float | str | None, Option("Beats per minute, or half or double of those heard.", 20, 400)] = None
    beat_offset: Annotated[float | None, Option("Second of a beat that begins a bar.")] = None
    meter: Annotated[int | None, Option("Beats in a bar: 3 or 4.", 3, 4)] = None
    beats: Annotated[AnyFile, Option("A file of your own beats: seconds, one a line.")] = None
    steps: Annotated[int | None, Option("Denoising steps; the model's own if not given.", 1, 1000)] = None
    sampler: Annotated[str | None, Option("How noise is taken off; the model's own if not given.")] = None
    music_guidance: Annotated[
        float | None, Option("How strongly the music leads; 1 is plain, the model's own if not given.", 0, 30)
    ] = None
    text_guidance: Annotated[
        float | None, Option("How strongly the words lead; 1 is plain, the model's own if not given.", 0, 30)
    ] = None
    guidance_until: Annotated[
        float | None, Option("Noise level, as a share of the schedule, below which nothing is guided.", 0, 1)
    ] = None
    energy: Annotated[
        Energy,
        Option(
            "NAME=STRENGTH,...: how the sampler is drawn to the beats, the loudness, the floor, feet that stand, limbs "
            "clear of the body (self). 1 is usual, 0 none; `off` and `usual` are for all; the model's own if not given."
        ),
    ] = None
    trm: Annotated[bool, Option("EDMG's second stage, the Temporal Refinement Module, where the model has one.")] = True
    cleanup: Annotated[bool, Option("Smooth, put on the floor, let standing feet stand.")] = True
    soft_level: Annotated[float | None, Option("How long soft primitives lead; 0 not at all.", 0, 1, LODGE)] = None
    mirror: Annotated[bool | None, Option("Dance soft primitives to both sides.", panel=LODGE)] = None
    beat_align: Annotated[bool | None, Option("Put soft primitives on beats.", panel=LODGE)] = None
    parabola: Annotated[
        bool | None, Option("Lay a parabola through each primitive, which the paper does not.", panel=LODGE)
    ] = None
    device: Annotated[str, Option("cpu, cuda, cuda:N, or auto: cuda where there is one.")] = "auto"

    def __post_init__(self):
        movement = self.movement
        object.__setattr__(self, "movement", (movement,) if isinstance(movement, str) else tuple(movement or ()))
        object.__setattr__(self, "bpm", as_tempo(self.bpm))
        if self.bpm is not None and self.beats is not None:
            raise InputError("expected either beats or bpm, got both; try leaving out bpm")
        if self.energy is not None:
            object.__setattr__(self, "energy", written(self.energy))
        for name, option in OPTIONS.items():
            value = getattr(self, name)
            if value is not None and isinstance(value, Real) and not isinstance(value, bool):
                expect_within(name, value, option)

    @property
    def words(self) -> Words:
        """Genre, movements and free text."""
        return Words(self.genre, tuple(self.movement or ()), self.prompt)

    @property
    def cues(self) -> dict[str, float | bool]:
        """What it says of how primitives lead."""
        asked = {name: getattr(self, name) for name in CUES}
        return {name: value for name, value in asked.items() if value is not None}

    @property
    def guided(self) -> dict[str, float]:
        """What it says of guidance, by the fields of ``Guidance``."""
        asked = {"music": self.music_guidance, "text": self.text_guidance, "until": self.guidance_until}
        return {name: value for name, value in asked.items() if value is not None}

    def guidance(self, own: "Guidance") -> "Guidance":
        """The weights asked for, those of the model where nothing is."""
        return own._replace(**self.guided)

    @property
    def corrections(self) -> "SongCorrections":
        """What it says of the song's beats; ``InputError`` for a file without beats."""
        from longdance.features.pulse import SongCorrections

        said = {"beat_offset": self.beat_offset, "meter": self.meter}
        if self.beats is not None:
            return SongCorrections.from_file(self.beats, **said)
        return SongCorrections(bpm=self.bpm, **said)  # pyright: ignore[reportArgumentType]: checked by as_tempo

    def uncorrected(self) -> "DanceRequest":
        """The same request, for a song whose stretch and beats are settled."""
        return replace(self, start=0.0, seconds=None, bpm=None, beat_offset=None, meter=None, beats=None)

    def changed(self, **changes: Any) -> "DanceRequest":
        """The same request but for some fields."""
        return replace(self, **changes)

    def raw(self) -> "DanceRequest":
        """The same request for what the sampler gives, nothing after it."""
        return replace(self, trm=False, cleanup=False, parabola=False, phrases=0.0)

    def load_song(self) -> "Song":
        """The stretch of the song, heard and measured; ``InputError`` for songs that cannot be read."""
        from longdance.features.song import Song

        song = self.song
        if song is None:
            raise InputError("expected a song to dance to, got none")
        if not isinstance(song, Song):
            return Song.load(song, corrections=self.corrections, start=self.start, seconds=self.seconds)
        if self != self.uncorrected():
            raise InputError("expected the stretch and its beats where the Song is loaded, not beside it")
        return song

    def record(self) -> dict[str, Any]:
        """All that was asked for as plain JSON values, but for the song; files by their names."""
        asked = {name: getattr(self, name) for name in OPTIONS}
        return {name: os.fspath(each) if isinstance(each, os.PathLike) else each for name, each in asked.items()}


def as_tempo(written: float | str | None) -> float | str | None:
    """Beats per minute, ``half``, ``double`` or nothing; ``InputError`` for other words."""
    if not isinstance(written, str) or written in ("half", "double"):
        return written
    try:
        return float(written)
    except ValueError:
        raise InputError(f"expected a number, half or double for bpm, got {written!r}") from None


def expect_within(name: str, value: Any, option: Option) -> None:
    """``InputError`` for a number outside of an option's bounds."""
    low, high = option.least, option.most
    if math.isfinite(value) and (low is None or value >= low) and (high is None or value <= high):
        return
    if low is None and high is None:
        expected = "a finite number"
    elif high is None:
        expected = f"at least {low:g}"
    else:
        expected = f"{low:g} to {high:g}"
    raise InputError(f"expected {expected} for {name}, got {value:g}")


OPTIONS: Mapping[str, Option] = {
    name: part
    for name, hint in get_type_hints(DanceRequest, include_extras=True).items()
    for part in get_args(hint)
    if isinstance(part, Option)
}
"""Fields that people may be asked for, in the order of help texts."""
