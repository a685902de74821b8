"""Dances by plan: what a request asks of phrases, planned and laid on its song, and handed to the network.

Strictly (1) the recorded frames are the dance, and what lies between them is blended from the two takes that meet, with
steps for the feet: measured, that is smoother and slides less than what the network paints there. Less strictly the
laid plan is what the denoiser is held to while there is more noise than 1 - strictness; then it is free.
"""

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch

from longdance.choreography.long.stretches import Held
from longdance.choreography.phrases.candidates import Candidates
from longdance.choreography.phrases.form import bars_of
from longdance.choreography.phrases.laying import Laid, lay
from longdance.choreography.phrases.library import Library
from longdance.choreography.phrases.plan import Block
from longdance.choreography.phrases.planner import DEFAULT_COSTS, RATES, Costs, Planner, Wanted
from longdance.choreography.phrases.shelf import SHIPPED, open_library
from longdance.choreography.timeline import Timeline
from longdance.choreography.words import Words
from longdance.features.song import Song
from longdance.motion.layout import Layout

ENOUGH = 30
"""Phrases that a genre has at least to be chosen where none is asked for."""


class Planned(NamedTuple):
    """What came of planning; nothing laid where there is nothing to dance by plan, and notes for people."""

    laid: Laid | None
    notes: tuple[str, ...]


def planned(
    song: Song,
    timeline: Timeline,
    *,
    frames: int,
    fps: float,
    seed: int,
    library: str | None = None,
    locked: Sequence[Block] = (),
    costs: Costs = DEFAULT_COSTS,
) -> Planned:
    """A plan for a song and what the timeline asks for, laid on it.

    Blocks that are ``locked`` stay. Where the library has no phrases of a genre asked for, nothing is laid, and a note
    says so. ``InputError`` for an unknown library.
    """
    opened = open_library(library)
    bars = bars_of(song)
    if not bars:
        return Planned(None, (NO_BAR,))
    wanted = [wanted_at(timeline, round(bar.time * fps)) for bar in bars]
    choice = choose(opened, song, {each.genre for each in wanted if each.genre is not None}, seed)
    if choice.candidates is None:
        return Planned(None, choice.notes)
    planner = Planner(choice.candidates, bars, wanted, tempo_bpm=song.tempo_bpm, seed=seed, costs=costs)
    plan = planner.plan(locked)
    return Planned(lay(plan, opened, song, frames=frames, fps=fps), choice.notes)


NO_BAR = "the song has no bar to lay a phrase on: danced by the network alone"


class Choice(NamedTuple):
    """What there is to dance; no candidates where the library has none, and notes for people."""

    candidates: Candidates | None
    notes: tuple[str, ...]


def choose(library: Library, song: Song, asked: Collection[str], seed: int) -> Choice:
    """The phrases of the genres asked for, else of the one that fits the song's tempo."""
    genres, have = set(asked), set(library.genres)
    missing = sorted(genres - have) if "" not in have else []
    if missing:
        text = f"no phrases of {', '.join(missing)} in the library {library.name} ({', '.join(sorted(have - {''}))})"
        return Choice(None, (f"{text}: danced by the network alone",))
    notes: list[str] = []
    if not genres and library.name == SHIPPED:
        genres = {genre_for(library, song, seed)}
        notes.append(f"no genre was asked for: phrases of {', '.join(genres)} fit the song's tempo")
    return Choice(candidates_of(library, frozenset(genres | {""}) if genres else frozenset(have)), tuple(notes))


@lru_cache(maxsize=8)
def candidates_of(library: Library, genres: frozenset[str]) -> Candidates:
    """The candidates of some genres, measured once."""
    found = Candidates.of(library, genres)
    assert found is not None  # the caller has seen that there are some
    return found


def genre_for(library: Library, song: Song, seed: int) -> str:
    """The genre whose phrases fit the tempo of a song best; the seed chooses among those that nearly do."""
    fits: dict[str, list[float]] = {}
    for phrase in library.phrases:
        away = min(abs(np.log2(song.tempo_bpm * rate / phrase.tempo_bpm)) for rate in RATES)
        fits.setdefault(library.facts(phrase).genre, []).append(float(away))
    known = sorted(genre for genre, away in fits.items() if len(away) >= ENOUGH) or sorted(fits)
    chance = np.random.default_rng(seed).uniform(0, 0.1, len(known))
    return known[int(np.argmin([np.mean(fits[genre]) + luck for genre, luck in zip(known, chance, strict=True)]))]


def held_by(laid: Laid, layout: Layout, strictness: float, frames: int) -> Held:
    """What a denoiser of ``frames`` is held to until the noise is less than 1 - ``strictness``: all but the joins."""
    track = torch.from_numpy(layout.encode(laid.motion.first_joints(layout.skeleton)))
    mask = torch.from_numpy(laid.recorded).float()[:, None].expand(-1, layout.width)
    beyond = max(0, frames - len(track))
    track = torch.cat((track, track[-1:].expand(beyond, -1)))[:frames]
    mask = torch.nn.functional.pad(mask, (0, 0, 0, beyond))[:frames]
    return Held(track, mask, until_noise_level=1.0 - strictness)


def wanted_at(timeline: Timeline, frame: int) -> Wanted:
    """What the timeline asks of the bar that begins at a frame."""
    span = next((span for span in timeline.spans if span.begin <= frame < span.end), timeline.spans[-1])
    return Wanted(span.text.genre, Words(span.text.genre, tuple(span.text.movements), span.prompt))
