"""Plans of takes that are danced by recorded phrases, and the libraries that phrases are taken from.

Every change but a lock makes a new take. What a plan is, and what can be done with it, is in ``choreography.phrases``.
"""

from dataclasses import asdict
from functools import lru_cache
from typing import Annotated, Any

import numpy as np
from fastapi import FastAPI, Query
from fastapi.responses import Response

from longdance.choreography.phrases.fitting import fits
from longdance.choreography.phrases.library import Library
from longdance.choreography.phrases.plan import Plan
from longdance.choreography.phrases.preview import preview
from longdance.choreography.phrases.shelf import SHIPPED, library_names, open_library
from longdance.errors import InputError
from longdance.studio import tracks
from longdance.studio.forms import PlanForm
from longdance.studio.projects import NotThere, OutOfTurn
from longdance.studio.states import TakeState
from longdance.studio.studio import Studio, ready_take
from longdance.studio.worker import without_paths

Name = Annotated[str, Query(max_length=200)]


def plan_routes(app: FastAPI, studio: Studio) -> None:
    """What may be asked of plans and libraries."""
    projects = studio.projects

    @app.get("/api/libraries")
    def libraries() -> list[dict]:
        return [{"name": name, "shipped": name == SHIPPED} for name in library_names()]

    @app.get("/api/libraries/{name}")
    def library(name: str) -> dict:
        return library_card(_library(name))

    @app.get("/api/libraries/{name}/motion")
    def motion(name: str, phrase: Name, mirrored: bool = False) -> Response:
        return Response(_preview(_library(name), phrase, mirrored), media_type="application/octet-stream")

    @app.get("/api/projects/{project}/takes/{take}/phrases/{number}")
    def fitting(project: str, take: str, number: int, genre: Name | None = None) -> list[dict]:
        state = ready_take(projects.get(project), take)
        plan, tempo = _plan(state), state.record.get("tempo_bpm")
        chosen = _library(plan.library)
        genres = chosen.genres if genre is None else [genre]
        if not isinstance(tempo, int | float) or not tempo > 0:
            raise InputError("expected a dance that knows its song's tempo, got none")
        return [
            {"name": fit.phrase, "mirrored": fit.mirrored, "cost": round(fit.cost, 3), "pace": round(fit.pace, 3)}
            for fit in fits(chosen, plan, number, genres=genres, tempo_bpm=tempo)
        ]

    @app.post("/api/projects/{project}/takes/{take}/plan", status_code=202)
    def change(project: str, take: str, asked: PlanForm) -> dict:
        return change_plan(studio, project, take, asked)

    @app.patch("/api/projects/{project}/takes/{take}/plan/{number}")
    def lock(project: str, take: str, number: int, locked: bool) -> dict:
        ready_take(projects.get(project), take)
        with projects.changing(project) as state:
            kept = state.takes[take]
            _plan(kept).block(number)
            kept.record["plan"]["phrases"][number - 1]["locked"] = locked
        return projects.take(project, take).model_dump(by_alias=True)


def change_plan(studio: Studio, number: str, take: str, asked: PlanForm) -> dict:
    """Put a take by a changed plan in the queue; ``InputError`` for a change that its plan does not allow."""
    state = ready_take(studio.projects.get(number), take)
    if state.record.get("song") is None:
        raise OutOfTurn(f"{state.name} is at another tempo than the song; change the take it was made from")
    plan = _changed(_plan(state), asked)
    record = {"library": plan.library, "seed": plan.seed, "phrases": _rows(state, plan)}
    again = asked.do == "again"
    return studio.dance_plan(number, take, "plan_again" if again else "plan", record, seed=asked.seed)


def _changed(plan: Plan, asked: PlanForm) -> Plan:
    if asked.do == "again":
        return plan
    if asked.number is None:
        raise InputError("expected the number of a phrase, got none")
    if asked.do == "mirror":
        return plan.mirrored(asked.number)
    if asked.do == "repeat":
        return plan.repeated(asked.number)
    if asked.do == "move":
        plan.block(asked.number)
        order = [other for other in range(1, len(plan.blocks) + 1) if other != asked.number]
        if asked.to is None or not 1 <= asked.to <= len(plan.blocks):
            raise InputError(f"expected a place from 1 to {len(plan.blocks)}, got {asked.to}")
        return plan.reordered([*order[: asked.to - 1], asked.number, *order[asked.to - 1 :]])
    if asked.phrase is None:
        raise InputError("expected the name of a phrase, got none")
    phrase = _library(plan.library).phrase(asked.phrase)
    return plan.swapped(asked.number, phrase.name, counts=phrase.counts, mirrored=asked.mirrored)


def _plan(take: TakeState) -> Plan:
    if not isinstance(take.record.get("plan"), dict):
        raise OutOfTurn(f"{take.name} has no plan; only dances by recorded phrases have one")
    return Plan.of_record(take.record["plan"])


def _rows(take: TakeState, plan: Plan) -> list[dict]:
    """The blocks of a changed plan of a take as its record will have them, before it has been danced."""
    old = take.record["plan"]["phrases"]
    beats = [row["beat"] for row in old] + [old[-1]["beat"] + old[-1]["beats"]]
    times = [row["from"] for row in old] + [old[-1]["to"]]

    def time(beat: float) -> float:
        return round(float(np.interp(beat, beats, times)), 4)

    return [asdict(block) | {"from": time(block.beat), "to": time(block.end)} for block in plan.blocks]


def _library(name: str) -> Library:
    if name not in library_names():
        raise NotThere(f"expected a library among {', '.join(library_names())}, got {name!r}")
    try:
        return open_library(name)
    except InputError as error:
        raise InputError(without_paths(str(error), {}, {})) from error


@lru_cache(maxsize=2)
def library_card(library: Library) -> dict[str, Any]:
    """What a page shows of a library: its phrases by name, with what they are."""
    rows = [
        {
            "name": phrase.name,
            "genre": library.facts(phrase).genre,
            "movements": list(library.facts(phrase).movements),
            "counts": phrase.counts,
            "tempo_bpm": round(phrase.tempo_bpm, 1),
        }
        for phrase in library.phrases
    ]
    return {"name": library.name, "licence": library.licence, "phrases": rows}


@lru_cache(maxsize=64)
def _preview(library: Library, phrase: str, mirrored: bool) -> bytes:
    """The phrase by itself, as ``tracks.read`` gives it out."""
    return tracks.whole(preview(library, library.phrase(phrase), mirrored=mirrored))
