"""What a studio remembers of a project: the song, its beats, the score, the takes, and the steps that can be undone.

Here belong the shapes of ``project.json``. Files are kept by ``projects``, and what may be done is in ``studio``.
"""

from typing import Any, Literal
from uuid import uuid4

from pydantic import Field, model_validator

from longdance.studio.forms import SHORTEST_BLOCK, Block, Blocks, Model, Settings

FORMAT = 1
HEARD = "heard"
"""Key of the beats as they were heard."""
_ON_BEAT = 0.02
"""Seconds from a beat within which an end of a block was snapped to it."""


class SongState(Model):
    """The song as the page sees it."""

    state: Literal["analysing", "ready", "failed"] = "analysing"
    name: str
    seconds: float = 0.0
    sections: list[dict[str, Any]] = Field(default_factory=list)
    peaks: list[list[float]] = Field(default_factory=list)
    suggested: dict[str, str] | None = None
    """The genre that fits, and why."""
    error: str | None = None
    job: str | None = None


class Laid(Model):
    """Beats and bars of the song, as they were heard or as somebody set them right."""

    corrections: dict[str, Any] = Field(default_factory=dict)
    """Fields of ``SongCorrections`` that say something; empty for what was heard."""
    tempo_bpm: float = 0.0
    meter: int = 4
    kind: str = "even"
    confidence: float = 1.0
    doubts: list[str] = Field(default_factory=list)
    """What to know before trusting the beats, in words."""
    alternatives: list[dict[str, float]] = Field(default_factory=list)
    """Other tempi: tempo_bpm, and fit against 1 for the one that was chosen."""
    beats: list[float] = Field(default_factory=list)
    downbeats: list[float] = Field(default_factory=list)


class TakeState(Model):
    """A dance, or the attempt at one."""

    id: str
    name: str
    parent: str | None = None
    made: str
    what: str
    state: Literal["running", "ready", "failed", "cancelled"] = "running"
    job: str
    seconds: float = 0.0
    fps: float = 0.0
    frames: int = 0
    start: float = 0.0
    """Second of the song at which it begins."""
    record: dict[str, Any] = Field(default_factory=dict)
    settings: Settings | None = None
    """What was asked for; None for takes of earlier versions and for edits without a model."""
    score: Blocks | None = None
    """The score it was generated with."""
    mark: Literal["star", "reject"] | None = None
    error: str | None = None


class Snapshot(Model):
    """What can be undone: everything that a user lays down, not what is computed."""

    settings: Settings
    score: Blocks
    takes: list[str]
    """Ids of the takes that are shown, in order."""
    beats: str = HEARD
    """Key of the beats that are laid."""


class History(Model):
    """States before and after the present one, oldest first."""

    undo: list[Snapshot] = Field(default_factory=list)
    redo: list[Snapshot] = Field(default_factory=list)


class ProjectState(Model):
    """What ``project.json`` holds."""

    format: int = FORMAT
    id: str
    name: str
    created: str
    updated: str
    song: SongState
    settings: Settings = Settings()
    score: Blocks = Blocks()
    shown: list[str] = Field(default_factory=list)
    takes: dict[str, TakeState] = Field(default_factory=dict)
    history: History = History()
    laid: dict[str, Laid] = Field(default_factory=dict)
    """Beats by a key; those that were heard are under ``HEARD``."""
    beats: str = HEARD
    """Key of the beats that hold."""
    character: str | None = None
    """What the character's file is called that is shown instead of the mannequin; it lies in the project's folder."""

    @model_validator(mode="before")
    @classmethod
    def _as_stored_before(cls, given: Any) -> Any:
        """Projects of earlier versions kept the beats in the song."""
        song = given.get("song") if isinstance(given, dict) else None
        if not isinstance(song, dict) or "beats" not in song:
            return given
        song = dict(song)
        old = {key: song.pop(key) for key in ("tempo_bpm", "beats", "downbeats") if key in song}
        guess = song.pop("tempo_is_guess", False)
        return given | {"song": song, "laid": {HEARD: old | {"kind": "guessed" if guess else "even"}}}

    @property
    def beats_laid(self) -> Laid:
        """The beats that hold."""
        return self.laid.get(self.beats) or Laid()

    def lay(self, beats: Laid) -> None:
        """Let other beats hold; blocks whose ends lay on beats move to the nearest of the new ones."""
        key = HEARD if not beats.corrections else uuid4().hex
        before, self.laid[key], self.beats = self.beats_laid.beats, beats, key
        self.score = snapped_anew(self.score, before, beats.beats)

    def restore(self, state: Snapshot) -> None:
        """Take a step of the history."""
        self.settings, self.score, self.shown, self.beats = state.settings, state.score, state.takes, state.beats

    def forget_unused_beats(self) -> None:
        """Drop beats that no step of the history can bring back."""
        used = {HEARD, self.beats, *(state.beats for state in (*self.history.undo, *self.history.redo))}
        self.laid = {key: beats for key, beats in self.laid.items() if key in used}

    def snapshot(self) -> Snapshot:
        """The present state, for undoing."""
        return Snapshot(
            settings=self.settings.model_copy(deep=True),
            score=self.score.model_copy(deep=True),
            takes=list(self.shown),
            beats=self.beats,
        )

    def told(self) -> dict:
        """What a page is told."""
        laid = self.beats_laid.model_dump()
        laid["corrected"] = bool(laid.pop("corrections"))
        return {
            "id": self.id,
            "name": self.name,
            "created": self.created,
            "updated": self.updated,
            "song": self.song.model_dump() | laid | {"tempo_is_guess": self.beats_laid.kind == "guessed"},
            "settings": self.settings.model_dump(),
            "score": self.score.model_dump(by_alias=True),
            "character": self.character,
            "takes": [self.takes[take].model_dump(by_alias=True) for take in self.shown],
            "history": {"undo": len(self.history.undo), "redo": len(self.history.redo)},
        }


def snapped_anew(score: Blocks, before: list[float], after: list[float]) -> Blocks:
    """The score with those ends that lay on a beat moved to the nearest of the new beats, if blocks stay apart."""

    def moved(time: float) -> float:
        if not before or not after or min(abs(beat - time) for beat in before) > _ON_BEAT:
            return time
        return min(after, key=lambda beat: abs(beat - time))

    blocks: list[Block] = []
    for block in sorted(score.blocks, key=lambda block: block.begin):
        begin, end = moved(block.begin), moved(block.end)
        begin = max(begin, blocks[-1].end if blocks else 0.0)
        if end < begin + SHORTEST_BLOCK:
            later = [beat for beat in after if beat >= begin + SHORTEST_BLOCK]
            end = later[0] if later else begin + SHORTEST_BLOCK
        blocks.append(block.model_copy(update={"begin": begin, "end": end}))
    return Blocks(blocks=blocks)
