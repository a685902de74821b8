"""Routes of takes, and of the character that dances them."""

import contextlib
import logging
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Query, Request
from fastapi.responses import FileResponse, Response
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool

from longdance.errors import InputError
from longdance.export.endings import FORMATS, file_ending
from longdance.export.naming import NAMINGS
from longdance.files import atomic_write
from longdance.studio import tracks, uploads
from longdance.studio.events import followed
from longdance.studio.forms import EditForm, GenerateForm, PoseForm, TakeForm
from longdance.studio.jobs import Job
from longdance.studio.projects import OutOfTurn, Projects, safe_name, shown_name
from longdance.studio.states import TakeState
from longdance.studio.studio import Studio, ready_take

log = logging.getLogger(__name__)

CHARACTERS = (".glb", ".vrm")
"""Endings of characters that a page can show."""


def take_routes(app: FastAPI, studio: Studio) -> None:
    """What may be asked of takes: making, changing, playing and taking them away."""
    projects = studio.projects

    @app.post("/api/projects/{project}/generate", status_code=202)
    def generate(project: str, asked: GenerateForm) -> dict:
        return studio.generate(project, asked)

    @app.post("/api/projects/{project}/takes/{take}/edit", status_code=202)
    def edit(project: str, take: str, asked: EditForm) -> dict:
        return studio.edit(project, take, asked)

    @app.patch("/api/projects/{project}/takes/{take}")
    def change(project: str, take: str, asked: TakeForm) -> dict:
        projects.take(project, take)
        with projects.changing(project) as state:
            changed = state.takes[take]
            if asked.name is not None:
                changed.name = shown_name(asked.name, changed.name)
            if asked.mark is not None:
                changed.mark = None if asked.mark == "none" else asked.mark
        return projects.take(project, take).model_dump(by_alias=True)

    @app.post("/api/projects/{project}/takes/{take}/pose")
    def pose(project: str, take: str, asked: PoseForm) -> dict:
        return studio.pose(project, take, asked)

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


def download_route(app: FastAPI, studio: Studio) -> None:
    """Takes as files of any format."""
    projects = studio.projects

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
            studio.files.submit(job)
            await followed(request, studio.files, job)
            ending = "zip" if bundled else file_ending(form)
            name = safe_name(f"{shown} - {state.name}")
            return FileResponse(
                job.result["file"],
                media_type="application/octet-stream",
                filename=f"{name}.{ending}",
                background=BackgroundTask(stack.close),
            )
        except BaseException:
            stack.close()
            raise


def character_routes(app: FastAPI, studio: Studio) -> None:
    """The character that is shown instead of the mannequin: put in, taken out, dressed in a take."""
    projects = studio.projects

    @app.post("/api/projects/{project}/character")
    async def bring(request: Request, project: str) -> dict:
        projects.get(project)
        target = projects.upload_path()
        try:
            form = await uploads.receive(request, target, file_field="character")
            if form.file_name is None:
                raise InputError("expected a character, got a form without one; choose a file")
            await run_in_threadpool(studio.bring_character, project, target, form.file_name)
        finally:
            target.unlink(missing_ok=True)
        return projects.get(project).told()

    @app.delete("/api/projects/{project}/character")
    def send_away(project: str) -> dict:
        with projects.changing(project) as state:
            state.character = None
        return projects.get(project).told()

    @app.get("/api/projects/{project}/takes/{take}/character.glb")
    async def dressed(request: Request, project: str, take: str) -> Response:
        ready_take(projects.get(project), take)
        job = studio.dress_job(project, take)
        if job is not None:
            await followed(request, studio.files, studio.files.submit(job))
        return FileResponse(projects.dressed_file(project, take), media_type="model/gltf-binary")


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
