"""What a browser may say of a dance, checked on the way in. Settings are made of the fields of ``DanceRequest``."""

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, field_validator, model_validator

from longdance.choreography.request import OPTIONS, DanceRequest
from longdance.errors import InputError
from longdance.models.strengths import STRONGEST

MOST_BLOCKS, MOST_MOVEMENTS, LONGEST_TEXT, LONGEST_NAME = 500, 20, 500, 120
SHORTEST_BLOCK = 0.1
"""Seconds."""
LONGEST_SONG = 100_000
"""Seconds."""
LARGEST_SCORE = 256_000
"""Letters of a score file."""
MOST_POSES = 50
MOST_AT_ONCE = 4
"""Takes that are asked for together."""
LARGEST_SEED = 2**53 - 1
"""A browser's numbers hold no more."""
Seconds = Annotated[float, Field(ge=0, le=LONGEST_SONG)]
Genre = Annotated[str, Field(min_length=1, max_length=80)]
Text = Annotated[str, Field(max_length=LONGEST_TEXT)]
Movements = Annotated[list[Annotated[str, Field(min_length=1, max_length=120)]], Field(max_length=MOST_MOVEMENTS)]
Point = Annotated[list[Annotated[float, Field(ge=-1000, le=1000)]], Field(min_length=3, max_length=3)]
Ranges = Annotated[list[Annotated[list[Seconds], Field(min_length=2, max_length=2)]], Field(max_length=200)]


class Model(BaseModel):
    """Checked on the way in; unknown fields are refused, so that slips of the pen do not pass unseen."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, populate_by_name=True)


class WordsForm(Model):
    """What a dance is asked to be; names are those of the catalogue."""

    genre: Genre | None = None
    movements: Movements = []
    prompt: Text | None = None

    def words(self) -> dict[str, Any]:
        """Fields of a ``DanceRequest``."""
        return {"genre": self.genre, "movement": tuple(self.movements), "prompt": self.prompt}

    @field_validator("genre", "prompt")
    @classmethod
    def _nothing_is_none(cls, text: str | None) -> str | None:
        return text if text is not None and text.strip() else None

    @model_validator(mode="after")
    def _known(self) -> "WordsForm":
        from longdance.data.catalogue import find_genre

        if self.genre is not None:
            try:
                find_genre(self.genre)
            except InputError as error:
                raise ValueError(f"genre: {error}") from error
        return self


Strength = Annotated[float, Field(ge=0, le=STRONGEST)] | None
"""Of an energy; the model's own if None."""


class _Settings(WordsForm):
    """How a dance is made."""

    model: Annotated[str, Field(max_length=120)] = "edmg"
    beats: Strength = None
    loudness: Strength = None
    floor: Strength = None
    """Of the energies that have a slider; that for the floor holds standing feet as well."""

    @model_validator(mode="before")
    @classmethod
    def _as_stored_before(cls, given: Any) -> Any:
        """Projects of earlier versions had one switch for everything after the sampler."""
        if isinstance(given, dict) and "refine" in given:
            given = dict(given)
            refine = given.pop("refine")
            given = {"trm": refine, "cleanup": refine} | given
        return given

    def request(self) -> dict[str, Any]:
        """Fields of a ``DanceRequest``, but for the song."""
        slid = {"beats": self.beats, "loudness": self.loudness, "floor": self.floor, "feet": self.floor}
        energy = {name: strength for name, strength in slid.items() if strength is not None}
        return {name: getattr(self, name) for name in ASKED} | self.words() | {"energy": energy or None}


ASKED = (
    "seed", "steps", "seconds", "start", "music_guidance", "text_guidance", "phrases", "library", "trm", "cleanup",
)  # fmt: skip
"""Fields of a request that a page may set."""


def _asked(name: str) -> tuple[Any, Any]:
    """The type, with its bounds, and the default of a field of a request."""
    option, kind = OPTIONS[name], get_type_hints(DanceRequest)[name]
    most = LARGEST_SEED if name == "seed" else option.most
    bounds: dict[str, Any] = {key: bound for key, bound in (("ge", option.least), ("le", most)) if bound is not None}
    if name in ("seconds", "start"):
        bounds["le"] = LONGEST_SONG
    return Annotated[kind, Field(**bounds)], getattr(DanceRequest(), name)


_FIELDS: dict[str, Any] = {name: _asked(name) for name in ASKED}
if TYPE_CHECKING:

    class Settings(_Settings):
        """How a dance is made; fields of a request are added below."""

        start: float = 0.0
        seconds: float | None = None
        seed: int = 0
else:
    Settings = create_model("Settings", __base__=_Settings, **_FIELDS)


class Block(WordsForm):
    """A stretch of the timeline, in seconds of the song."""

    id: Annotated[str, Field(max_length=40)] = ""
    begin: Annotated[Seconds, Field(alias="from")]
    end: Annotated[Seconds, Field(alias="to")]


class Blocks(Model):
    """What to dance when. Blocks do not overlap."""

    blocks: Annotated[list[Block], Field(max_length=MOST_BLOCKS)] = []

    @model_validator(mode="after")
    def _in_order(self) -> "Blocks":
        numbered = sorted(enumerate(self.blocks, 1), key=lambda item: item[1].begin)
        for number, block in numbered:
            if block.end < block.begin + SHORTEST_BLOCK:
                raise ValueError(f"block {number}: expected to after from, got {block.begin:g} to {block.end:g} s")
        for (number, block), (other, following) in pairwise(numbered):
            if following.begin < block.end - 1e-6:
                raise ValueError(f"blocks {number} and {other} overlap at {following.begin:g} s; move one of them")
        return self


class ProjectForm(Model):
    """What can be changed of a project; settings that are not named stay."""

    name: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)] | None = None
    settings: dict[str, Any] | None = None
    score: Blocks | None = None


class GenerateForm(Model):
    """What can be said when a dance is asked for."""

    settings: dict[str, Any] | None = None
    score: Blocks | None = None
    takes: Annotated[int, Field(ge=1, le=MOST_AT_ONCE)] = 1
    """How many, with seeds that follow each other."""


class TakeForm(Model):
    """What can be changed of a take."""

    name: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)] | None = None
    mark: Literal["star", "reject", "none"] | None = None


class BeatsForm(Model):
    """How the beats of the song are set right."""

    do: Literal["heard", "half", "double", "level", "shift", "meter", "taps", "own"]
    tempo_bpm: Annotated[float | None, Field(ge=20, le=400)] = None
    """Of a level."""
    beats: Annotated[float | None, Field(ge=-8, le=8)] = None
    """By which to shift."""
    meter: Annotated[int | None, Field(ge=3, le=4)] = None
    taps: Annotated[list[Annotated[float, Field(ge=0, le=LONGEST_SONG)]], Field(max_length=200)] = []
    """Seconds of each tap."""
    in_song: bool = False
    """Whether the taps are seconds of the song, so that they tell where its beats are as well."""
    text: Annotated[str, Field(max_length=1_000_000)] = ""
    """Lines of a file of beats."""


class ScoreForm(Model):
    """A score that is read into the timeline."""

    text: Annotated[str, Field(max_length=LARGEST_SCORE)]


class PoseForm(Model):
    """A pose of a take that is changed by where hands and feet are to be."""

    at: Seconds
    wanted: dict[Literal["left_wrist", "right_wrist", "left_ankle", "right_ankle", "pelvis"], Point] = {}
    """Metres."""


class EditForm(WordsForm):
    """An edit of a take; times are seconds of the song."""

    what: Annotated[str, Field(max_length=40)]
    begin: Annotated[Seconds | None, Field(alias="from")] = None
    end: Annotated[Seconds | None, Field(alias="to")] = None
    keep: Ranges = Field(default_factory=list)
    joints: Annotated[str, Field(max_length=500)] = "all"
    keep_feet: bool = False
    seconds: Annotated[float, Field(gt=0, le=7200)] | None = None
    at: Seconds | None = None
    other: Annotated[str, Field(max_length=40)] | None = None
    bpm: Annotated[float, Field(ge=20, le=400)] | None = None
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] | None = None
    model: Annotated[str, Field(max_length=120)] | None = None
    poses: Annotated[list[PoseForm], Field(max_length=MOST_POSES)] = []
    """Of ``pose``: key poses that the dance is to meet."""
    around: Annotated[float, Field(ge=0.2, le=20)] = 1.0
    """Seconds before and after each of them that are made anew."""

    def fields(self) -> dict[str, Any]:
        """What the edits of the catalogue take, as they call it, in seconds of the song."""
        given = self.begin is not None and self.end is not None
        return {
            "stretches": [(self.begin, self.end)] if given else [],
            "keep": [tuple(each) for each in self.keep],
            "joints": self.joints, "keep_feet": self.keep_feet, "at": self.at, "seconds": self.seconds,
            "other": self.other, "bpm": self.bpm,
        }  # fmt: skip


class PlanForm(Model):
    """A change of the plan of a take; phrases are numbered from 1."""

    do: Literal["swap", "mirror", "repeat", "move", "again"]
    number: Annotated[int | None, Field(ge=1, le=100_000)] = None
    """Which phrase; none for ``again``, a new plan around the locked ones."""
    phrase: Annotated[str, Field(max_length=200)] | None = None
    """Name of the one to swap it for."""
    mirrored: bool = False
    """Whether that is danced with left and right exchanged."""
    to: Annotated[int | None, Field(ge=1, le=100_000)] = None
    """The place to move it to."""
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] | None = None


def told_fault(error: ValidationError) -> str:
    """One sentence about the first thing that is wrong."""
    problem = error.errors()[0]
    where = ".".join(str(part + 1) if isinstance(part, int) else str(part) for part in problem["loc"])
    where = re.sub(r"blocks\.(\d+)\.?", r"block \1, ", where).removeprefix("score.").strip(", ")
    message = problem["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message
