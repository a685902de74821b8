"""The studio's server: what a page may ask for, and the answers.

Here belong routes and nothing they do: projects are kept by ``projects``, work is done by ``jobs`` in a process of its
own, and ``guard`` stands before all of it.
"""

import asyncio
import contextlib
import errno
import json
import logging
import os
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, cast

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from pydantic import ValidationError
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from longdance.data.catalogue import find_genre
from longdance.data.search import search
from longdance.errors import InputError
from longdance.export.endings import FORMATS, file_ending
from longdance.export.naming import NAMINGS
from longdance.files import atomic_write
from longdance.studio import tracks, uploads
from longdance.studio.cards import catalogue_card, model_card
from longdance.studio.forms import EditForm, GenerateForm, NameForm, ProjectForm, Settings, told_fault
from longdance.studio.guard import Guard
from longdance.studio.jobs import ENDED, WORKER_DIED, Job, TooManyJobs
from longdance.studio.projects import NotThere, OutOfTurn, Projects, TakeState, shown_name
from longdance.studio.studio import Studio, ready_take, require_song
from longdance.studio.worker import BROKEN_INSIDE, DISK_FULL

ROOM_TO_KEEP = 100_000_000
"""Bytes of the disk that an upload must leave free."""
WEB = Path(__file__).parent / "web"
KINDS = {
    ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
    ".json": "application/json", ".svg": "image/svg+xml", ".png": "image/png", ".ico": "image/x-icon",
    ".woff2": "font/woff2", ".wasm": "application/wasm", ".glb": "model/gltf-binary", ".txt": "text/plain",
}  # fmt: skip
_LOOK = 0.1
"""Seconds between two looks at a job that somebody follows."""
_ALIVE = 15.0
"""Seconds after which a silent stream of events says that it is still there."""

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
    _take_routes(app, studio)
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

    @app.get("/api/projects/{project}/song")
    @app.get("/api/projects/{project}/song.wav")
    def song(project: str) -> FileResponse:
        require_song(projects.get(project))
        return FileResponse(projects.song_file(project), media_type="audio/flac")


def _take_routes(app: FastAPI, studio: Studio) -> None:
    projects = studio.projects

    @app.post("/api/projects/{project}/generate", status_code=202)
    def generate(project: str, asked: GenerateForm) -> dict:
        return studio.generate(project, asked)

    @app.post("/api/projects/{project}/takes/{take}/edit", status_code=202)
    def edit(project: str, take: str, asked: EditForm) -> dict:
        return studio.edit(project, take, asked)

    @app.patch("/api/projects/{project}/takes/{take}")
    def rename(project: str, take: str, renamed: NameForm) -> dict:
        projects.take(project, take)
        with projects.changing(project) as state:
            state.takes[take].name = shown_name(renamed.name, state.takes[take].name)
        return projects.take(project, take).model_dump()

    @app.delete("/api/projects/{project}/takes/{take}", status_code=204)
    def remove(project: str, take: str) -> None:
        projects.take(project, take)
        with projects.changing(project, undoable=True) as state:
            state.shown.remove(take)
        studio.cancel_unseen(projects.get(project))

    @app.get("/api/projects/{project}/takes/{take}/motion")
    def motion(project: str, take: str, first: Annotated[int, Query(alias="from", ge=0)] = 0) -> Response:
        state = projects.take(project, take)
        if state.state not in ("running", "ready"):
            raise OutOfTurn(f"{state.name} was not finished; make another one")
        return Response(_track(projects, state, project, first), media_type="application/octet-stream")

    @app.get("/api/projects/{project}/takes/{take}/download")
    async def download(
        request: Request,
        project: str,
        take: str,
        form: Annotated[str, Query(alias="format")],
        fps: Annotated[float | None, Query(ge=1, le=240)] = None,
        names: str = "smpl",
        in_place: bool = False,
        loop: bool = False,
        with_song: bool = False,
    ) -> Response:
        form = {"amass.npz": "amass"}.get(form, form)
        if form not in FORMATS:
            raise InputError(f"expected a format among {', '.join(FORMATS)}, got {form!r}")
        if names not in NAMINGS:
            raise InputError(f"expected names among {', '.join(NAMINGS)}, got {names!r}")
        state, shown = ready_take(projects.get(project), take), projects.get(project).name
        bundled = with_song and form not in ("mp4", "html")
        stack = contextlib.ExitStack()
        room = stack.enter_context(projects.workroom())
        try:
            job = Job(
                project=project, take=take, what="export", task="export", finish=lambda *_: None,
                arguments={
                    "take": str(projects.take_file(project, take)),
                    "song": str(projects.song_file(project)),
                    "target": str(room / f"dance.{file_ending(form)}"),
                    "bundle": str(room / "dance.zip") if bundled else None,
                    "options": {"fps": fps, "naming": names, "in_place": in_place, "loop": loop},
                },
            )  # fmt: skip
            studio.media.submit(job)
            await _followed(request, studio, job)
            ending = "zip" if bundled else file_ending(form)
            name = re.sub(r'[\\/:*?"<>|]+', "-", f"{shown} - {state.name}")
            return FileResponse(
                job.result["file"],
                media_type="application/octet-stream",
                filename=f"{name}.{ending}",
                background=BackgroundTask(stack.close),
            )
        except BaseException:
            stack.close()
            raise


async def _followed(request: Request, studio: Studio, job: Job) -> None:
    """Wait for a job; it is cancelled if whoever asked goes away. Raises what a failed job has to say."""
    while job.state not in ENDED:
        if await request.is_disconnected():
            studio.media.cancel(job)
        await asyncio.sleep(_LOOK / 2)
    if job.state == "done":
        return
    if job.error in (WORKER_DIED, BROKEN_INSIDE):
        raise HTTPException(500, job.error)
    if job.error == DISK_FULL:
        raise HTTPException(507, DISK_FULL)
    raise InputError(job.error or "this was cancelled")


def _track(projects: Projects, take: TakeState, project: str, first: int) -> bytes:
    """The frames of a take that there are, from ``first`` on."""
    track = projects.track_file(project, take.id)
    if take.state == "running":
        for path in (track.with_suffix(".growing"), track):
            with contextlib.suppress(FileNotFoundError):
                return tracks.read(path, first=first, final=False)
        return tracks.nothing_yet()
    try:
        return tracks.read(track, first=first, final=True)
    except (FileNotFoundError, InputError):
        return _track_anew(track, projects.take_file(project, take.id), first)


def _track_anew(track: Path, dance: Path, first: int) -> bytes:
    """Frames from the dance itself, where the file of them is lost or damaged."""
    from longdance.motion.motion import Motion

    try:
        motion = Motion.load(dance)
    except InputError as error:
        log.error("a take cannot be read", exc_info=error)
        raise OutOfTurn("this take's file is lost or damaged; make another one") from error
    with atomic_write(track) as temporary:
        tracks.begin(temporary, motion)
    return tracks.read(track, first=first, final=True)


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
        stream = _one_event(studio.past_job(number)) if job is None else _events(job)
        return StreamingResponse(stream, media_type="text/event-stream", headers={"x-accel-buffering": "no"})


async def _events(job: Job) -> AsyncIterator[str]:
    """How a job goes on, from the present state to its end."""
    seen, silent = -1, 0.0
    while True:
        version, told = job.version, job.told()
        if told["state"] in ENDED:
            yield _event("progress", told) + _event("end", told)
            return
        if version != seen:
            seen, silent = version, 0.0
            yield _event("progress", told)
        elif silent >= _ALIVE:
            silent = 0.0
            yield ": still here\n\n"
        await asyncio.sleep(_LOOK)
        silent += _LOOK


async def _one_event(told: dict) -> AsyncIterator[str]:
    yield _event("progress", told) + _event("end", told)


def _event(name: str, told: dict) -> str:
    return f"event: {name}\ndata: {json.dumps(told)}\n\n"
