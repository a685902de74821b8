"""The studio itself: what may be done with projects, and the work that it puts in queues.

Here belongs what is allowed when, and what becomes of work that has ended. Projects are kept by ``projects``, work is
done by ``jobs`` in a process of its own, and what a browser may ask for is in ``app``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from longdance.choreography.edits.catalogue import expect_complete
from longdance.errors import InputError
from longdance.models.folders import WEIGHTS, shipped
from longdance.studio.forms import EditForm, GenerateForm, Settings
from longdance.studio.jobs import Job, Lane, State, TooManyJobs
from longdance.studio.projects import (
    CLOSED,
    MOST_TAKES,
    NotThere,
    OutOfTurn,
    Projects,
    ProjectState,
    TakeState,
    new_id,
    now,
    shown_name,
)

LARGEST_UPLOAD = 200_000_000
"""Bytes."""


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

    def generate(self, number: str, asked: GenerateForm) -> dict:
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

    def edit(self, number: str, parent: str, asked: EditForm) -> dict:
        """Put a change of a take in the queue; what comes of it is a new take."""
        expect_complete(asked.what, asked.fields(), called={"stretches": "from and to"})
        begin, end = asked.begin or 0.0, asked.end or 0.0
        if asked.what == "redo" and not begin < end:
            raise InputError(f"expected to after from, got {begin:g} to {end:g} s")

        def prepare(project: ProjectState) -> Job:
            files = {"parent": self.projects.take_file(number, ready_take(project, parent).id), "other": None}
            if asked.what == "blend":
                files["other"] = self.projects.take_file(number, ready_take(project, asked.other).id)
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
            settings |= asked.model_dump(include={"genre", "movements", "prompt"})
            settings["seed"] = project.settings.seed if asked.seed is None else asked.seed
            job = self._take_job(project, what=asked.what, parent=parent, start=take.start)
            job.arguments |= {"what": asked.what, "settings": settings, "asked": asked.fields()}
            job.arguments |= {key: None if path is None else str(path) for key, path in files.items()}
            return job

        return self._queue(number, prepare)

    def _queue(self, number: str, prepare: Callable[[ProjectState], Job]) -> dict:
        """Put the job that ``prepare`` makes in the queue, and its take in the project: both or neither."""
        job: Job | None = None
        try:
            with self.projects.changing(number, undoable=True) as project:
                require_song(project)
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


def require_song(project: ProjectState) -> None:
    if project.song.state == "analysing":
        raise OutOfTurn("the song is still being listened to; wait until it is ready")
    if project.song.state == "failed":
        raise OutOfTurn("the song could not be used; make a project with another one")


def ready_take(project: ProjectState, take: str | None) -> TakeState:
    if take not in project.shown:
        raise NotThere("there is no such take; it may have been deleted, reload the page")
    state = project.takes[take]
    if state.state != "ready":
        raise OutOfTurn(f"{state.name} is not ready; wait for it, or choose another take")
    return state
