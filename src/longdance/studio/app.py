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
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from pydantic import Field, ValidationError
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from longdance.choreography.pretrained import WEIGHTS, parts_of, shipped
from longdance.data.catalogue import find_genre, genre_names, load_catalogue
from longdance.data.search import search
from longdance.errors import InputError
from longdance.export.endings import FORMATS, file_ending
from longdance.export.naming import NAMINGS
from longdance.files import atomic_write
from longdance.models.adapter import holds_adapter
from longdance.studio import tracks, uploads
from longdance.studio.guard import Guard
from longdance.studio.jobs import ENDED, WORKER_DIED, Job, Lane, State, TooManyJobs
from longdance.studio.projects import (
    CLOSED,
    LONGEST_NAME,
    MOST_TAKES,
    Model,
    NotThere,
    OutOfTurn,
    Projects,
    ProjectState,
    Score,
    Seconds,
    Settings,
    TakeState,
    Words,
    new_id,
    now,
    shown_name,
    told_fault,
)
from longdance.studio.worker import BROKEN_INSIDE, DISK_FULL

LARGEST_UPLOAD = 200_000_000
"""Bytes."""
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


@dataclass(frozen=True, kw_only=True)
class StudioConfig:
    """How a studio is started."""

    folder: Path
    """Where projects lie."""
    host: str = "127.0.0.1"
    token: str | None = None
    """What a browser must know to come in; None for everybody who reaches the port."""
    models: Mapping[str, Path] = field(default_factory=lambda: {name: WEIGHTS / name for name in shipped()})
    """Folders of models by the name that the page shows."""
    largest_upload: int = LARGEST_UPLOAD
    """Bytes."""


class Changes(Model):
    """What can be changed of a project; settings that are not named stay."""

    name: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)] | None = None
    settings: dict[str, Any] | None = None
    score: Score | None = None


class Asked(Model):
    """What can be said when a dance is asked for."""

    settings: dict[str, Any] | None = None
    score: Score | None = None


class Renamed(Model):
    """A take's new name."""

    name: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]


Ranges = Annotated[list[Annotated[list[Seconds], Field(min_length=2, max_length=2)]], Field(max_length=200)]


class EditAsked(Words):
    """An edit of a take; times are seconds of the song."""

    what: Literal["redo", "in_between", "go_on", "from_here_on", "blend", "mirror", "tempo"]
    begin: Annotated[Seconds | None, Field(alias="from")] = None
    end: Annotated[Seconds | None, Field(alias="to")] = None
    keep: Ranges = Field(default_factory=list)
    joints: Annotated[str, Field(max_length=500)] = "all"
    keep_feet: bool = False
    seconds: Annotated[float, Field(gt=0, le=7200)] | None = None
    at: Seconds | None = None
    other: Annotated[str, Field(max_length=40)] | None = None
    bpm: Annotated[float, Field(ge=20, le=400)] | None = None
    seed: Annotated[int, Field(ge=0, le=2**53 - 1)] | None = None
    model: Annotated[str, Field(max_length=120)] | None = None


NEEDED = {
    "redo": ("begin", "end"), "in_between": ("keep",), "go_on": ("seconds",), "from_here_on": ("at",),
    "blend": ("at", "other"), "mirror": (), "tempo": ("bpm",),
}  # fmt: skip
"""Fields that an edit cannot do without."""


class Studio:
    """Everything that lasts as long as the server."""

    def __init__(self, config: StudioConfig):
        if not config.models:
            raise InputError("expected at least one model to dance with, found none")
        self.config = config
        self.projects = Projects(config.folder)
        models = {name: str(folder) for name, folder in config.models.items()}
        self.dancing, self.media = Lane("dancing", models), Lane("media", models)

    def close(self) -> None:
        """Stop all work and let go of the folder."""
        self.dancing.close()
        self.media.close()
        self.projects.close()

    # --- songs ---

    def begin_project(self, uploaded: Path, *, name: str | None, file_name: str) -> ProjectState:
        """A project of an uploaded song, which is listened to next."""
        song_name = shown_name(file_name, "song")
        title = shown_name(name, "") or shown_name(Path(song_name).stem, "song")
        project = self.projects.create(uploaded, name=title, song_name=song_name)
        files = {"uploaded": self.projects.upload_file(project.id), "target": self.projects.song_file(project.id)}
        job = Job(
            project=project.id, what="listen", task="listen", finish=self._song_ended,
            arguments={key: str(path) for key, path in files.items()},
        )  # fmt: skip
        try:
            with self.projects.changing(project.id) as changed:
                changed.song.job = job.id
                if changed.settings.model not in self.config.models:
                    changed.settings.model = next(iter(self.config.models))
                self.media.submit(job)
        except (TooManyJobs, OSError):
            self.media.cancel(job)
            self.projects.delete(project.id)
            raise
        return self.projects.get(project.id)

    def _song_ended(self, job: Job, state: State, error: str | None) -> None:
        def note(project: ProjectState) -> None:
            if state == "done":
                for key, value in job.result.items():
                    setattr(project.song, key, value)
                project.song.state, project.song.error = "ready", None
            else:
                project.song.state, project.song.error = "failed", error or "the song was not listened to"

        self.projects.sweep(job.project, "uploaded", keep=())
        self.projects.sweep(job.project, "song", keep=(".flac",) if state == "done" else ())
        self.projects.note_end(job.project, note)

    # --- dances ---

    def changed_settings(self, project: ProjectState, given: dict[str, Any] | None) -> Settings:
        """The project's settings with those that are given; ``InputError`` for a model that is not here."""
        if given is None:
            return project.settings
        settings = Settings.model_validate(project.settings.model_dump() | given)
        self.folder_of(settings.model)
        return settings

    def folder_of(self, model: str) -> Path:
        """Where a model lies; ``InputError`` for a name that is not shown."""
        if model not in self.config.models:
            raise InputError(f"expected a model among {', '.join(self.config.models)}, got {model!r}")
        return self.config.models[model]

    def generate(self, number: str, asked: Asked) -> dict:
        """Put a dance in the queue."""

        def prepare(project: ProjectState) -> Job:
            project.settings = self.changed_settings(project, asked.settings)
            if asked.score is not None:
                project.score = asked.score
            settings = project.settings
            self.folder_of(settings.model)
            if settings.start >= project.song.seconds:
                raise InputError(
                    f"expected start within the song's {project.song.seconds:.1f} s, got {settings.start:g}"
                )
            job = self._take_job(project, what="generate", parent=None, start=settings.start)
            job.arguments |= {
                "name": project.song.name,
                "settings": settings.model_dump(),
                "blocks": project.score.model_dump(by_alias=True)["blocks"],
            }
            return job

        return self._queue(number, prepare)

    def edit(self, number: str, parent: str, asked: EditAsked) -> dict:
        """Put a change of a take in the queue; what comes of it is a new take."""
        missing = [name for name in NEEDED[asked.what] if getattr(asked, name) in (None, [])]
        if missing:
            told = " and ".join("from" if name == "begin" else "to" if name == "end" else name for name in missing)
            raise InputError(f"expected {told} to {asked.what.replace('_', ' ')}, got none")
        begin, end = asked.begin or 0.0, asked.end or 0.0
        if asked.what == "redo" and not begin < end:
            raise InputError(f"expected to after from, got {begin:g} to {end:g} s")

        def prepare(project: ProjectState) -> Job:
            files = {"parent": self.projects.take_file(number, _ready(project, parent).id), "other": None}
            if asked.what == "blend":
                files["other"] = self.projects.take_file(number, _ready(project, asked.other).id)
            take = project.takes[parent]
            if asked.what == "redo" and not (end > take.start and begin < take.start + take.seconds):
                raise InputError(
                    f"expected a stretch of {take.name}, which is danced from {take.start:g} to "
                    f"{take.start + take.seconds:g} s, got {begin:g} to {end:g} s"
                )
            settings = project.settings.model_dump()
            made_by = str(take.record.get("model"))
            model = asked.model or (made_by if made_by in self.config.models else project.settings.model)
            self.folder_of(model)
            settings["model"] = model
            wish = asked.model_dump(by_alias=True)
            wish["seed"] = project.settings.seed if asked.seed is None else asked.seed
            job = self._take_job(project, what=asked.what, parent=parent, start=take.start)
            job.arguments |= {"settings": settings, "wish": wish}
            job.arguments |= {key: None if path is None else str(path) for key, path in files.items()}
            return job

        return self._queue(number, prepare)

    def _queue(self, number: str, prepare: Callable[[ProjectState], Job]) -> dict:
        """Put the job that ``prepare`` makes in the queue, and its take in the project: both or neither."""
        job: Job | None = None
        try:
            with self.projects.changing(number, undoable=True) as project:
                _require_song(project)
                job = prepare(project)
                self.dancing.submit(job)
        except OSError:  # nobody would find its take
            if job is not None:
                self.dancing.cancel(job)
            raise
        return {"job": job.id, "take": job.take}

    def _take_job(self, project: ProjectState, *, what: str, parent: str | None, start: float) -> Job:
        """A new take in the project, and the job that is to make it."""
        if len(project.shown) >= MOST_TAKES:
            raise OutOfTurn(f"a project holds at most {MOST_TAKES} takes; delete some of them")
        task = "generate" if what == "generate" else "edit"
        take = new_id()
        job = Job(project=project.id, take=take, what=what, task=task, finish=self._take_ended, arguments={})
        project.takes[take] = TakeState(
            id=take, name=f"take {len(project.takes) + 1}", parent=parent, made=now(), what=what,
            job=job.id, start=start,
        )  # fmt: skip
        project.shown.append(take)
        folder = self.projects.takes_folder(project.id)
        job.arguments |= {
            "song": str(self.projects.song_file(project.id)),
            "take": str(folder / f"{take}.npz"),
            "track": str(folder / f"{take}.track"),
        }
        return job

    def _take_ended(self, job: Job, state: State, error: str | None) -> None:
        def note(project: ProjectState) -> None:
            take = project.takes.get(job.take or "")
            if take is None:
                return
            if state == "done":
                take.state = "ready"
                for key, value in job.result.items():
                    setattr(take, key, value)
            else:
                take.state, take.error = "cancelled" if state == "cancelled" else "failed", error

        self.projects.sweep(job.project, f"takes/{job.take}", keep=(".npz", ".track") if state == "done" else ())
        self.projects.note_end(job.project, note)

    def cancel_unseen(self, project: ProjectState) -> None:
        """Stop making takes that were undone or deleted."""
        for take in project.takes.values():
            if take.state == "running" and take.id not in project.shown:
                job = self.dancing.find(take.job)
                if job is not None:
                    self.dancing.cancel(job)

    def delete(self, number: str) -> None:
        """Remove a project and stop what is done for it."""
        project = self.projects.get(number)
        wanted = [project.song.job, *(take.job for take in project.takes.values())]
        self.projects.delete(number)
        for lane in (self.dancing, self.media):
            for job in filter(None, map(lane.find, filter(None, wanted))):
                lane.cancel(job)

    # --- jobs ---

    def job(self, number: str) -> Job | None:
        """A job of this run of the studio."""
        return self.dancing.find(number) or self.media.find(number)

    def lane_of(self, job: Job) -> Lane:
        """The queue that a job is in."""
        return self.dancing if self.dancing.find(job.id) is job else self.media

    def past_job(self, number: str) -> dict:
        """What is known of a job of an earlier run; ``NotThere`` if nothing is."""
        for project in self.projects.all():
            told = {"id": number, "project": project.id, "done": 0, "total": 1, "stage": ""}
            if project.song.job == number:
                state = "done" if project.song.state == "ready" else "failed"
                return told | {
                    "take": None, "what": "listen", "state": state, "seconds_ready": 0.0, "error": project.song.error,
                }  # fmt: skip
            for take in project.takes.values():
                if take.job == number:
                    state = {"ready": "done", "running": "failed"}.get(take.state, take.state)
                    return told | {
                        "take": take.id, "what": take.what, "state": state, "seconds_ready": take.seconds,
                        "error": take.error or (CLOSED if take.state == "running" else None),
                    }  # fmt: skip
        raise NotThere("there is no such job; it may be long over, reload the page")


def _require_song(project: ProjectState) -> None:
    if project.song.state == "analysing":
        raise OutOfTurn("the song is still being listened to; wait until it is ready")
    if project.song.state == "failed":
        raise OutOfTurn("the song could not be used; make a project with another one")


def _ready(project: ProjectState, take: str | None) -> TakeState:
    if take not in project.shown:
        raise NotThere("there is no such take; it may have been deleted, reload the page")
    state = project.takes[take]
    if state.state != "ready":
        raise OutOfTurn(f"{state.name} is not ready; wait for it, or choose another take")
    return state


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
    def change(project: str, changes: Changes) -> dict:
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
        _require_song(projects.get(project))
        return FileResponse(projects.song_file(project), media_type="audio/flac")


def _take_routes(app: FastAPI, studio: Studio) -> None:
    projects = studio.projects

    @app.post("/api/projects/{project}/generate", status_code=202)
    def generate(project: str, asked: Asked) -> dict:
        return studio.generate(project, asked)

    @app.post("/api/projects/{project}/takes/{take}/edit", status_code=202)
    def edit(project: str, take: str, asked: EditAsked) -> dict:
        return studio.edit(project, take, asked)

    @app.patch("/api/projects/{project}/takes/{take}")
    def rename(project: str, take: str, renamed: Renamed) -> dict:
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
        state, shown = _ready(projects.get(project), take), projects.get(project).name
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


# --- what there is to choose from ----------------------------------------------------------------------------------


def model_card(name: str, folder: Path) -> dict:
    """What a page shows of a model; ``InputError`` for a folder that holds none."""
    parts = parts_of(folder)
    if not parts:
        raise InputError(f"{folder}: expected a folder with a trained model")
    try:
        config = json.loads((parts[-1] / "config.json").read_text(encoding="utf-8"))
        if holds_adapter(folder):
            return _adapted_card(name, config)
        kind = config.get("denoiser") or config["generator"]
        return {
            "name": name,
            "describes": DESCRIPTIONS.get(kind, kind),
            "fps": float(config["fps"]),
            "genres": [str(genre) for genre in config.get("genres", ())],
            "hears": [str(config["music_encoder"])],
            "edits": kind in ("pmd", "edge"),
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{parts[-1] / 'config.json'}: expected the configuration of a model ({error!r})") from error


def _adapted_card(name: str, config: dict) -> dict:
    """The card of a model that is another one in fewer steps."""
    base = str(config["adapts"])
    card = model_card(base, WEIGHTS / base if base in shipped() else Path(base))
    describes = f"{Path(base).name} distilled to {int(config['steps'])} denoising steps: dances soonest"
    return card | {"name": name, "describes": describes}


DESCRIPTIONS = {
    "pmd": "EDMG: dances window by window with a Parallel Mamba Denoiser; knows words; takes can be edited",
    "lodge-local": "Lodge: lays out key movements over the whole song first, then dances between them",
    "edge": "EDGE: a transformer that dances window by window; the baseline that EDMG is compared with",
}
"""What kinds of networks do, in a line."""


def catalogue_card(trained: frozenset[str]) -> list[dict]:
    """Genres and movements as a page shows them; ``trained`` are those that some model knows."""
    genres = [load_catalogue()[name] for name in genre_names()]
    return [
        {
            "name": genre.name,
            "title": genre.title,
            "aliases": list(genre.aliases),
            "describes": genre.description,
            "trained": genre.name in trained,
            "movements": [
                {
                    "name": movement.name,
                    "aliases": list(movement.aliases),
                    "describes": movement.description,
                    "counts": movement.counts,
                    "fundamental": movement.fundamental,
                    "shown_in_training": movement.trained,
                }
                for movement in genre.movements
            ],
        }
        for genre in genres
    ]
