"""The studio itself: what may be done with projects, and the work that it puts in queues.

Here belongs what is allowed when, and what becomes of work that has ended. Projects are kept by ``projects``, work is
done by ``jobs`` in a process of its own, and what a browser may ask for is in ``app``.
"""

import contextlib
import os
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from longdance.choreography.edits.catalogue import expect_complete
from longdance.choreography.phrases.shelf import library_names
from longdance.errors import InputError
from longdance.models.folders import WEIGHTS, shipped
from longdance.motion.motion import Motion
from longdance.studio import poses
from longdance.studio.forms import (
    LARGEST_SEED,
    BeatsForm,
    Blocks,
    EditForm,
    GenerateForm,
    PoseForm,
    Settings,
    WordsForm,
)
from longdance.studio.jobs import Job, Lane, State, TooManyJobs
from longdance.studio.projects import (
    CLOSED,
    MOST_TAKES,
    NotThere,
    OutOfTurn,
    Projects,
    new_id,
    now,
    shown_name,
)
from longdance.studio.states import Laid, ProjectState, TakeState

DEMO_SONG = Path(__file__).parents[1] / "assets" / "demo_song.ogg"
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
        # Apart, so that nobody who listens to a song waits for a dance or a video.
        self.dancing, self.media, self.files = (Lane(name, models) for name in ("dancing", "media", "files"))
        self.lanes = (self.dancing, self.media, self.files)
        self.closing = threading.Event()
        self._dance = lru_cache(maxsize=2)(Motion.load)

    def close(self) -> None:
        """Stop all work and let go of the folder."""
        self.closing.set()
        for lane in self.lanes:
            lane.close()
        self.projects.close()

    # --- songs ---

    def begin_project(self, uploaded: Path, *, name: str | None, file_name: str) -> ProjectState:
        """A project of an uploaded song, which is listened to next."""
        song_name = shown_name(file_name, "song")
        title = shown_name(name, "") or shown_name(Path(song_name).stem, "song")
        project = self.projects.create(uploaded, name=title, song_name=song_name)
        job = self._listen_job(project)
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
        return changed  # a file that is no song may have taken its project with it by now

    def begin_demo(self) -> ProjectState:
        """A project of the song that comes with the package."""
        copy = self.projects.upload_path()
        try:
            shutil.copyfile(DEMO_SONG, copy)
            return self.begin_project(copy, name="Demo song", file_name=DEMO_SONG.name)
        finally:
            copy.unlink(missing_ok=True)

    def _listen_job(self, project: ProjectState) -> Job:
        files = {"uploaded": self.projects.upload_file(project.id), "target": self.projects.song_file(project.id)}
        return Job(
            project=project.id, what="listen", task="listen", finish=self._song_ended,
            arguments={key: str(path) for key, path in files.items()},
        )  # fmt: skip

    def _song_ended(self, job: Job, state: State, error: str | None) -> None:
        """A song that could not be used leaves no project; its job says why."""

        def note(project: ProjectState) -> None:
            for key, value in job.result["song"].items():
                setattr(project.song, key, value)
            project.song.state, project.song.error = "ready", None
            project.lay(Laid.model_validate(job.result["laid"]))

        self.projects.sweep(job.project, "uploaded", keep=())
        self.projects.sweep(job.project, "song", keep=(".flac",) if state == "done" else ())
        if state == "done" or self.closing.is_set():
            self.projects.note_end(job.project, note if state == "done" else _cut_off)
        else:
            with contextlib.suppress(NotThere):
                self.projects.delete(job.project)

    def lay_job(self, number: str, asked: BeatsForm) -> Job:
        """Set the beats right: a job in the queue, whose end lays them and snaps the score anew."""
        project = self.projects.get(number)
        require_song(project)

        def ended(job: Job, state: State, error: str | None) -> None:
            if state == "done":
                with self.projects.changing(number, undoable=True) as changed:
                    changed.lay(Laid.model_validate(job.result))

        job = Job(
            project=number, what="beats", task="lay", finish=ended,
            arguments={
                "song": str(self.projects.song_file(number)),
                "corrections": project.beats_laid.corrections,
                "asked": asked.model_dump(),
            },
        )  # fmt: skip
        return self.media.submit(job)

    # --- dances ---

    def changed_settings(self, project: ProjectState, given: dict[str, Any] | None) -> Settings:
        """The project's settings with those that are given; ``InputError`` for a model that is not here."""
        if given is None:
            return project.settings
        settings = Settings.model_validate(project.settings.model_dump() | given)
        self.folder_of(settings.model)
        if given.get("library") is not None and settings.library not in library_names():
            raise InputError(f"expected a library among {', '.join(library_names())}, got {settings.library!r}")
        return settings

    def folder_of(self, model: str) -> Path:
        """Where a model lies; ``InputError`` for a name that is not shown."""
        if model not in self.config.models:
            raise InputError(f"expected a model among {', '.join(self.config.models)}, got {model!r}")
        return self.config.models[model]

    def generate(self, number: str, asked: GenerateForm) -> dict:
        """Put a dance in the queue, or several that differ in their seeds."""

        def prepare(project: ProjectState) -> list[Job]:
            project.settings = self.changed_settings(project, asked.settings)
            if asked.score is not None:
                project.score = asked.score
            settings = project.settings
            self.folder_of(settings.model)
            if settings.start >= project.song.seconds:
                raise InputError(
                    f"expected start within the song's {project.song.seconds:.1f} s, got {settings.start:g}"
                )
            jobs = []
            for number in range(asked.takes):
                own = settings.model_copy(update={"seed": (settings.seed + number) % (LARGEST_SEED + 1)})
                job = self._take_job(project, what="generate", parent=None, start=settings.start, settings=own)
                job.arguments |= {
                    "name": project.song.name,
                    "settings": own.model_dump(),
                    "blocks": project.score.model_dump(by_alias=True)["blocks"],
                }
                jobs.append(job)
            return jobs

        return self._queue(number, prepare)

    def edit(self, number: str, parent: str, asked: EditForm) -> dict:
        """Put a change of a take in the queue; what comes of it is a new take."""
        what, fields, posed = asked.what, asked.fields(), []
        if what == "pose":
            what, posed = "redo", self._solved(number, parent, asked)
            fields |= self._around(number, parent, asked)
        expect_complete(what, fields, called={"stretches": "from and to"})
        begin, end = asked.begin or 0.0, asked.end or 0.0
        if asked.what == "redo" and not begin < end:
            raise InputError(f"expected to after from, got {begin:g} to {end:g} s")

        def prepare(project: ProjectState) -> list[Job]:
            files = {"parent": self.projects.take_file(number, ready_take(project, parent).id), "other": None}
            if asked.what == "blend":
                files["other"] = self.projects.take_file(number, ready_take(project, asked.other).id)
            take = project.takes[parent]
            if asked.what == "redo" and not (end > take.start and begin < take.start + take.seconds):
                raise InputError(
                    f"expected a stretch of {take.name}, which is danced from {take.start:g} to "
                    f"{take.start + take.seconds:g} s, got {begin:g} to {end:g} s"
                )
            words = asked.model_dump(include={"genre", "movements", "prompt"})
            job = self._edit_job(project, take, asked.what, model=asked.model, seed=asked.seed, words=words)
            job.arguments |= {"what": what, "asked": fields, "poses": posed}
            job.arguments |= {key: None if path is None else str(path) for key, path in files.items()}
            return [job]

        return self._queue(number, prepare)

    def dance_plan(self, number: str, parent: str, what: str, plan: dict, *, seed: int | None) -> dict:
        """Put a take by a changed plan (as records have it) in the queue; ``what`` is the edit that dances it."""

        def prepare(project: ProjectState) -> list[Job]:
            take = ready_take(project, parent)
            job = self._edit_job(project, take, what, model=None, seed=seed, words=WordsForm().model_dump())
            project.takes[job.take].record = {"plan": plan}  # seen while it is being danced
            job.arguments |= {"what": what, "asked": EditForm(what=what).fields() | {"plan": plan}, "poses": []}
            job.arguments |= {"parent": str(self.projects.take_file(number, parent)), "other": None}
            return [job]

        return self._queue(number, prepare)

    def _edit_job(
        self, project: ProjectState, take: TakeState, what: str, *, model: str | None, seed: int | None, words: dict
    ) -> Job:
        """The job that is to change a take, by the model that made it if nothing else is asked for."""
        made_by = str(take.record.get("model"))
        model = model or (made_by if made_by in self.config.models else project.settings.model)
        self.folder_of(model)
        settings = (take.settings or project.settings).model_dump() | words | {"model": model}
        settings["seed"] = project.settings.seed if seed is None else seed
        job = self._take_job(
            project, what=what, parent=take.id, start=take.start, settings=take.settings, score=take.score
        )
        job.arguments["settings"] = settings
        return job

    def _around(self, number: str, take: str, asked: EditForm) -> dict:
        """What is made anew around key poses, and the poses themselves as what is kept, in seconds of the song."""
        state = ready_take(self.projects.get(number), take)
        if not asked.poses:
            raise InputError("expected key poses, got none; drag a hand or a foot first")
        end = state.start + state.seconds
        times = sorted(pose.at for pose in asked.poses)
        around = [(max(state.start, at - asked.around), min(end, at + asked.around)) for at in times]
        return {"stretches": around, "keep": [*fields_keep(asked), *((at, at) for at in times)]}

    def _solved(self, number: str, take: str, asked: EditForm) -> list[dict]:
        return [self.pose(number, take, pose) | {"at": pose.at} for pose in asked.poses]

    def pose(self, number: str, take: str, asked: PoseForm) -> dict:
        """A pose of a take with hands, feet and hips where they are wanted, as ``poses.told`` tells it."""
        ready_take(self.projects.get(number), take)
        dance = self._dance(self.projects.take_file(number, take))
        return poses.told(poses.reached(dance, poses.frame_at(dance, asked.at), asked.wanted))

    def _queue(self, number: str, prepare: Callable[[ProjectState], list[Job]]) -> dict:
        """Put the jobs that ``prepare`` makes in the queue, and their takes in the project: all or none."""
        jobs: list[Job] = []
        try:
            with self.projects.changing(number, undoable=True) as project:
                require_song(project)
                jobs = prepare(project)
                for job in jobs:
                    self.dancing.submit(job)
        except (OSError, TooManyJobs):  # nobody would find their takes
            for job in jobs:
                self.dancing.cancel(job)
            raise
        return {"job": jobs[0].id, "take": jobs[0].take, "takes": [job.take for job in jobs]}

    def _take_job(
        self, project: ProjectState, *, what: str, parent: str | None, start: float, settings: Settings | None,
        score: Blocks | None = None,
    ) -> Job:  # fmt: skip
        """A new take in the project, and the job that is to make it."""
        if len(project.shown) >= MOST_TAKES:
            raise OutOfTurn(f"a project holds at most {MOST_TAKES} takes; delete some of them")
        task = "generate" if what == "generate" else "edit"
        take = new_id()
        job = Job(project=project.id, take=take, what=what, task=task, finish=self._take_ended, arguments={})
        project.takes[take] = TakeState(
            id=take, name=f"take {len(project.takes) + 1}", parent=parent, made=now(), what=what, job=job.id,
            start=start, settings=settings, score=project.score if parent is None else score,
        )  # fmt: skip
        project.shown.append(take)
        folder, laid = self.projects.takes_folder(project.id), project.beats_laid
        job.arguments |= {
            "song": str(self.projects.song_file(project.id)),
            "take": str(folder / f"{take}.npz"),
            "track": str(folder / f"{take}.track"),
            # Exactly the beats that the page shows, where somebody set them right.
            "beats": {"beats": laid.beats, "downbeats": laid.downbeats} if laid.corrections else None,
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
        for lane in self.lanes:
            for job in filter(None, map(lane.find, filter(None, wanted))):
                lane.cancel(job)

    # --- characters ---

    def bring_character(self, number: str, uploaded: Path, file_name: str) -> None:
        """Let the character of an uploaded file dance; ``InputError`` for what is none, or cannot be retargeted."""
        called = shown_name(file_name, "character")
        if Path(called).suffix.lower() not in (".glb", ".vrm"):
            raise InputError(f"expected a character as .glb or .vrm, got {Path(called).suffix or called!r}")
        with uploaded.open("rb") as file:
            if file.read(4) != b"glTF":
                raise InputError(f"{called}: expected a binary glTF file, got another kind")
        takes = self.projects.takes_folder(number)
        for old in (*takes.parent.glob("character.*"), *takes.glob("*.dressed.glb")):
            old.unlink(missing_ok=True)
        with self.projects.changing(number) as project:
            project.character = called
        os.replace(uploaded, self.projects.character_file(number))

    def dress_job(self, number: str, take: str) -> Job | None:
        """A job that writes the character as it dances a take; None where that is there. ``OutOfTurn`` without one."""
        if self.projects.get(number).character is None:
            raise OutOfTurn("this project has no character; bring one first")
        target = self.projects.dressed_file(number, take)
        if target.is_file():
            return None
        files = {
            "take": self.projects.take_file(number, take),
            "character": self.projects.character_file(number), "target": target,
        }  # fmt: skip
        return Job(
            project=number, take=take, what="dress", task="dress", finish=lambda *_: None,
            arguments={key: str(path) for key, path in files.items()},
        )  # fmt: skip

    # --- jobs ---

    def job(self, number: str) -> Job | None:
        """A job of this run of the studio."""
        return next(filter(None, (lane.find(number) for lane in self.lanes)), None)

    def lane_of(self, job: Job) -> Lane:
        """The queue that a job is in."""
        return next(lane for lane in self.lanes if lane.find(job.id) is job)

    def queue(self, number: str) -> list[dict]:
        """What is under way for a project, each with what it waits for, in the order in which it will be done."""
        return [told for lane in self.lanes for told in lane.queue(number)]

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


def fields_keep(asked: EditForm) -> list[tuple[float, float]]:
    return [(first, last) for first, last in asked.keep]


def _cut_off(project: ProjectState) -> None:
    project.song.state, project.song.error = "failed", CLOSED


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
