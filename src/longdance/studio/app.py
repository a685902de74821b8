"""The studio's server: what a page may ask for, and the answers.

Here belong routes and nothing they do: projects are kept by ``projects``, work is done by ``jobs`` in a process of its
own, and ``guard`` stands before all of it.
"""

import contextlib
import errno
import logging
import os
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, cast
from urllib.parse import quote

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from longdance.data.catalogue import find_genre
from longdance.data.search import search
from longdance.errors import InputError
from longdance.studio import scores, uploads
from longdance.studio.cards import catalogue_card, model_card, what_lacks
from longdance.studio.events import followed, job_events, one_event, project_events, streamed
from longdance.studio.forms import BeatsForm, ProjectForm, ScoreForm, Settings, told_fault
from longdance.studio.guard import Guard
from longdance.studio.jobs import TooManyJobs
from longdance.studio.plans import plan_routes
from longdance.studio.projects import NotThere, OutOfTurn, safe_name, shown_name
from longdance.studio.studio import Studio, require_song
from longdance.studio.takes import character_routes, download_route, take_routes
from longdance.studio.worker import BROKEN_INSIDE, DISK_FULL

ROOM_TO_KEEP = 100_000_000
"""Bytes of the disk that an upload must leave free."""
WEB = Path(__file__).parent / "web"
KINDS = {
    ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
    ".json": "application/json", ".svg": "image/svg+xml", ".png": "image/png", ".webp": "image/webp",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2", ".wasm": "application/wasm", ".glb": "model/gltf-binary", ".txt": "text/plain",
}  # fmt: skip

log = logging.getLogger(__name__)


# --- routes ------------------------------------------------------------------------------------------------------


def create_app(studio: Studio) -> FastAPI:
    """The application for a studio, which is closed with it."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(studio.close)

    app = FastAPI(title="longdance studio", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    config = studio.config
    app.add_middleware(Guard, host=config.host, token=config.token, largest_upload=config.largest_upload)
    _answer_errors(app)
    _page_routes(app)
    _catalogue_routes(app, studio)
    _project_routes(app, studio)
    _song_routes(app, studio)
    take_routes(app, studio)
    download_route(app, studio)
    plan_routes(app, studio)
    character_routes(app, studio)
    _job_routes(app, studio)
    return app


def _answer_errors(app: FastAPI) -> None:
    """Every error is a sentence in JSON, without a word about this computer's folders."""

    def answer(status: int, why: str) -> JSONResponse:
        return JSONResponse({"error": why}, status)

    for kind, status in ((InputError, 422), (NotThere, 404), (OutOfTurn, 409), (TooManyJobs, 429)):
        app.add_exception_handler(kind, lambda _, error, status=status: answer(status, str(error)))
    app.add_exception_handler(ValidationError, lambda _, error: answer(422, told_fault(cast(ValidationError, error))))
    # Nobody is there to read this.
    app.add_exception_handler(ClientDisconnect, lambda _, error: answer(400, "the request was cut off"))

    def no_such_page(_: Request, error: Exception) -> JSONResponse:
        error = cast(HTTPException, error)
        return answer(error.status_code, str(error.detail))

    def not_understood(_: Request, error: Exception) -> JSONResponse:
        problem = cast(RequestValidationError, error).errors()[0]
        where = [str(part) for part in problem["loc"] if part not in ("body", "query", "path")]
        told = re.sub(r"blocks\.(\d+)", lambda found: f"block {int(found[1]) + 1}", ".".join(where))
        message = problem["msg"].removeprefix("Value error, ")
        return answer(422, f"{told}: {message}" if told else message)

    app.add_exception_handler(HTTPException, no_such_page)
    app.add_exception_handler(RequestValidationError, not_understood)

    def broken(_: Request, error: Exception) -> JSONResponse:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return answer(507, DISK_FULL)
        log.error("a request failed", exc_info=error)
        return answer(500, BROKEN_INSIDE)

    app.add_exception_handler(OSError, broken)
    app.add_exception_handler(Exception, broken)


def _page_routes(app: FastAPI) -> None:
    files = {path.name: path for path in WEB.glob("*") if path.is_file() and not path.name.startswith(".")}

    def served(name: str) -> FileResponse:
        if name not in files:
            raise HTTPException(404, "there is no such file")
        return FileResponse(files[name], media_type=KINDS.get(files[name].suffix, "application/octet-stream"))

    @app.get("/")
    def page() -> FileResponse:
        return served("index.html")

    @app.get("/web/{name}")
    def file(name: str) -> FileResponse:
        return served(name)


def _catalogue_routes(app: FastAPI, studio: Studio) -> None:
    models = [model_card(name, folder) for name, folder in studio.config.models.items()]

    @app.get("/api/models")
    def list_models() -> list[dict]:
        return models

    @app.get("/api/able")
    def able() -> dict:
        return what_lacks()

    @app.get("/api/settings")
    def settings() -> dict:
        return Settings().model_dump()

    @app.get("/api/catalogue")
    def catalogue() -> list[dict]:
        return catalogue_card(frozenset(genre for model in models for genre in model["genres"]))

    @app.get("/api/catalogue/search")
    def find(q: Annotated[str, Query(max_length=200)] = "", genre: str | None = None) -> list[dict]:
        hits = [
            {"genre": hit.movement.genre, "movement": hit.movement.name, "score": round(hit.score, 3)}
            for hit in search(q, genre=genre)
        ]
        try:
            meant = find_genre(q).genre.name
        except InputError:
            return hits
        return [{"genre": meant, "movement": None, "score": max([100.0, *(hit["score"] for hit in hits)])}, *hits]


def _project_routes(app: FastAPI, studio: Studio) -> None:
    projects = studio.projects

    @app.post("/api/projects", status_code=201)
    async def create(request: Request) -> dict:
        length = int(request.headers.get("content-length", 0))
        # What is uploaded lies beside its decoded copy for a while.
        if shutil.disk_usage(projects.folder).free < 2 * length + ROOM_TO_KEEP:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        target = projects.upload_path()
        try:
            form = await uploads.receive(request, target, file_field="song")
            if form.file_name is None:
                raise InputError("expected a song, got a form without one; choose a file")
            made = await run_in_threadpool(
                studio.begin_project, target, name=form.fields.get("name"), file_name=form.file_name
            )
        finally:
            target.unlink(missing_ok=True)
        return made.told()

    @app.post("/api/projects/demo", status_code=201)
    def create_demo() -> dict:
        return studio.begin_demo().told()

    @app.get("/api/projects")
    def list_projects() -> list[dict]:
        return [
            {
                "id": project.id,
                "name": project.name,
                "updated": project.updated,
                "seconds": project.song.seconds,
                "state": project.song.state,
            }
            for project in projects.all()
        ]

    @app.get("/api/projects/{project}")
    def show(project: str) -> dict:
        return projects.get(project).told()

    @app.patch("/api/projects/{project}")
    def change(project: str, changes: ProjectForm) -> dict:
        with projects.changing(project, undoable=True) as state:
            if changes.name is not None:
                state.name = shown_name(changes.name, state.name)
            state.settings = studio.changed_settings(state, changes.settings)
            if changes.score is not None:
                state.score = changes.score
        return projects.get(project).told()

    @app.delete("/api/projects/{project}", status_code=204)
    def delete(project: str) -> None:
        studio.delete(project)

    @app.post("/api/projects/{project}/undo")
    def undo(project: str) -> dict:
        state = projects.step(project, back=True)
        studio.cancel_unseen(state)
        return state.told()

    @app.post("/api/projects/{project}/redo")
    def redo(project: str) -> dict:
        return projects.step(project, back=False).told()

    @app.get("/api/projects/{project}/events")
    def events(project: str) -> StreamingResponse:
        projects.get(project)
        return streamed(project_events(studio, project))


def _song_routes(app: FastAPI, studio: Studio) -> None:
    """The song of a project, its beats, and the score that is laid on them."""
    projects = studio.projects

    @app.post("/api/projects/{project}/beats")
    async def lay(request: Request, project: str, asked: BeatsForm) -> dict:
        await followed(request, studio.media, studio.lay_job(project, asked))
        return projects.get(project).told()

    @app.get("/api/projects/{project}/score.yaml")
    def score(project: str) -> Response:
        state = projects.get(project)
        name = f"{safe_name(state.name)}.yaml"
        return Response(
            scores.written(state.score), media_type="application/yaml",
            headers={"content-disposition": f"attachment; filename*=utf-8''{quote(name)}"},
        )  # fmt: skip

    @app.post("/api/projects/{project}/score.yaml")
    def read_score(project: str, asked: ScoreForm) -> dict:
        state = projects.get(project)
        require_song(state)
        blocks = scores.read(asked.text, state)
        with projects.changing(project, undoable=True) as changed:
            changed.score = blocks
        return projects.get(project).told()

    @app.get("/api/projects/{project}/song")
    @app.get("/api/projects/{project}/song.wav")
    def song(project: str) -> FileResponse:
        require_song(projects.get(project))
        return FileResponse(projects.song_file(project), media_type="audio/flac")


def _job_routes(app: FastAPI, studio: Studio) -> None:
    @app.get("/api/jobs/{number}")
    def show(number: str) -> dict:
        job = studio.job(number)
        return studio.past_job(number) if job is None else job.told()

    @app.post("/api/jobs/{number}/cancel")
    def cancel(number: str) -> dict:
        job = studio.job(number)
        if job is None:
            return studio.past_job(number)
        studio.lane_of(job).cancel(job)
        return job.told()

    @app.get("/api/jobs/{number}/events")
    def events(number: str) -> StreamingResponse:
        job = studio.job(number)
        stream = one_event(studio.past_job(number)) if job is None else job_events(job, studio.closing)
        return streamed(stream)
