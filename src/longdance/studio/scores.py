"""The timeline as a score file, and back; the format is described in ``docs/score.md``."""

from uuid import uuid4

import numpy as np
import yaml

from longdance.choreography.score import Score, snap, time_of
from longdance.choreography.score_file import parse_score
from longdance.errors import InputError
from longdance.features import spectrum
from longdance.features.pulse import Pulse
from longdance.features.song import Song
from longdance.studio.forms import Block, Blocks
from longdance.studio.states import ProjectState

_NAME = "the score"


def written(score: Blocks) -> str:
    """The blocks as YAML, in seconds of the song, where they lie."""
    entries = []
    for block in score.blocks:
        entry: dict = {"from": round(block.begin, 4), "to": round(block.end, 4)}
        if block.genre:
            entry["genre"] = block.genre
        if block.movements:
            entry["movements"] = list(block.movements)
        if block.prompt:
            entry["text"] = block.prompt
        entries.append(entry)
    return yaml.safe_dump({"unit": "seconds", "snap": "none", "timeline": entries}, allow_unicode=True, sort_keys=False)


def read(text: str, project: ProjectState) -> Blocks:
    """The blocks of a score file, laid on the project's song; ``InputError`` names the line that is at fault.

    What the timeline has no place for is refused: poses, and guidance or energies of an entry.
    """
    score: Score = parse_score(text, name=_NAME)
    if score.guidance or score.energy or any(each.guidance or each.energy or each.poses for each in score.entries):
        raise InputError("expected a score of words alone, got poses, guidance or energies; try longdance generate")
    song = _song_of(project)
    begins = [time_of(entry.begin, song) for entry in score.entries]
    blocks = []
    for entry, begin in zip(score.entries, begins, strict=True):
        follows = min((other for other in begins if other > begin), default=song.seconds)
        end = follows if entry.end is None else time_of(entry.end, song)
        begin, end = snap(begin, song, entry.snap), snap(end, song, entry.snap)
        if begin >= end:
            continue  # after the song's end, or between two beats
        words = entry.words if any(entry.words) else score.words
        movements = list(words.movements)
        blocks.append(
            Block(id=uuid4().hex, begin=begin, end=end, genre=words.genre, movements=movements, prompt=words.text)
        )
    if not blocks:
        raise InputError("expected a score with entries within the song, got none")
    return Blocks(blocks=blocks)


def _song_of(project: ProjectState) -> Song:
    """The project's song as far as its beats go."""
    laid = project.beats_laid
    pulse = Pulse(
        beats=np.array(laid.beats), downbeats=np.array(laid.downbeats), meter=laid.meter, tempo_bpm=laid.tempo_bpm,
        kind="even", confidence=laid.confidence,
    )  # fmt: skip
    nothing = spectrum.measure_spectra(iter([np.zeros(1, np.float32)]), 1.0)
    return Song(
        project.song.name, project.song.seconds, pulse, nothing, source_rate=1, decode=lambda rate: np.zeros(0)
    )
