"""Work that takes its time: jobs in a queue, done one after the other by a process of their own.

A job that is cancelled is asked to stop, and its process killed if it does not. A process that dies fails its job and
is replaced for the next one.
"""

import contextlib
import logging
import multiprocessing
import secrets
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from longdance.errors import LongdanceError
from longdance.studio.worker import work

State = Literal["queued", "running", "done", "failed", "cancelled"]
ENDED = ("done", "failed", "cancelled")
MOST_WAITING = 10
REMEMBERED = 500
"""Jobs that have ended and can still be asked for."""
PATIENCE = 5.0
"""Seconds that a cancelled job may take to stop by itself."""
WORKER_DIED = (
    "the process that computes was ended from outside, perhaps because memory ran out; try again, or a shorter stretch"
)

CALLED = {"listen": "a song being heard", "beats": "beats being laid", "export": "an export", "dress": "a character"}
"""Jobs as they are called to people; all others make dances."""

log = logging.getLogger(__name__)


class TooManyJobs(LongdanceError):
    """The queue is full."""


@dataclass(kw_only=True, eq=False)
class Job:
    """A piece of work and how far it is. ``lane`` alone changes it."""

    id: str = field(default_factory=lambda: secrets.token_hex(8))
    project: str
    take: str | None = None
    what: str
    task: str
    arguments: dict[str, Any]
    finish: Callable[["Job", State, str | None], None] = field(repr=False)
    """Called once when the job has ended, with how and why, before anybody is told so."""
    state: State = "queued"
    done: int = 0
    total: int = 1
    stage: str = ""
    seconds_ready: float = 0.0
    error: str | None = None
    result: Any = None
    wanted: bool = True
    """Whether nobody has cancelled it."""
    version: int = 0
    """Grows with every change."""

    def told(self) -> dict:
        """What a page is told."""
        return {
            key: getattr(self, key)
            for key in ("id", "project", "take", "what", "state", "done", "total", "stage", "seconds_ready", "error")
        }


class Lane:
    """A queue and the process that works it off."""

    def __init__(self, name: str, models: Mapping[str, str]):
        self._models = dict(models)
        self._waiting: deque[Job] = deque()
        self._jobs: dict[str, Job] = {}
        self._changed = threading.Condition()
        self._closing = False
        self._process: Any = None
        self._pipe: Any = None
        self._thread = threading.Thread(target=self._run, name=f"studio-{name}", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> Job:
        """Put a job at the end of the queue; ``TooManyJobs`` if that is full."""
        with self._changed:
            if len(self._waiting) >= MOST_WAITING:
                raise TooManyJobs(f"{MOST_WAITING} jobs are waiting already; let one of them end or cancel it")
            ended = [other for other in self._jobs.values() if other.state in ENDED]
            for old in ended[: max(0, len(ended) - REMEMBERED)]:
                del self._jobs[old.id]
            self._jobs[job.id] = job
            self._waiting.append(job)
            self._changed.notify_all()
        return job

    def find(self, number: str) -> Job | None:
        """The job of this id, if it is remembered."""
        with self._changed:
            return self._jobs.get(number)

    def queue(self, project: str) -> list[dict]:
        """Jobs of a project that have not ended, in order; those that wait say what is before them, and how many."""
        with self._changed:
            waiting = list(self._waiting)
            running = [job for job in self._jobs.values() if job.state == "running"]
        told = [job.told() for job in running if job.project == project]
        for place, job in enumerate(waiting):
            if job.project != project:
                continue
            before = [*running, *waiting[:place]]
            behind = CALLED.get(before[0].what, "a dance") if before else ""
            more = f" and {len(before) - 1} more" if len(before) > 1 else ""
            stage = f"waiting behind {behind}{more}" if before else "about to begin"
            told.append(job.told() | {"stage": stage})
        return told

    def cancel(self, job: Job) -> None:
        """Ask a job to stop; a job that has ended stays as it is."""
        with self._changed:
            job.wanted = False
            if job in self._waiting:
                self._waiting.remove(job)
                waiting = True
            else:
                waiting = False
            self._changed.notify_all()
        if waiting:
            self._end(job, "cancelled")

    @property
    def worker_pid(self) -> int | None:
        """The process that works, if there is one."""
        return None if self._process is None else self._process.pid

    def close(self) -> None:
        """Stop working; what was not finished fails."""
        with self._changed:
            self._closing = True
            left = list(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
        for job in left:
            self._end(job, "failed", error="the studio was closed")
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if self._closing:
                    break
                job = self._waiting.popleft()
                job.state = "running"
                job.version += 1
            try:
                self._work(job)
            except Exception as error:  # a defect here must not stop the queue
                log.error("a job of the studio failed", exc_info=error)
                self._stop_process()
                self._end(job, "failed", error="this went wrong inside the studio; its log in the terminal says how")
        self._stop_process()

    def _work(self, job: Job) -> None:
        """Have the process do a job and follow it to its end."""
        self._start_process()
        asked_to_stop_at: float | None = None
        try:
            self._pipe.send(("do", job.id, job.task, job.arguments))
            while True:
                if self._closing:
                    self._stop_process()
                    return self._end(job, "failed", error="the studio was closed")
                if not job.wanted:
                    if asked_to_stop_at is None:
                        asked_to_stop_at = time.monotonic()
                        self._pipe.send(("cancel", job.id))
                    elif time.monotonic() - asked_to_stop_at > PATIENCE:
                        self._stop_process()
                        return self._end(job, "cancelled")
                if not self._pipe.poll(0.1):
                    if not self._process.is_alive() and not self._pipe.poll():
                        raise EOFError
                    continue
                kind, number, *rest = self._pipe.recv()
                if number != job.id:
                    continue
                if kind == "progress":
                    done, total, stage = rest
                    self._update(job, done=done, total=total, stage=stage)
                elif kind == "ready":
                    self._update(job, seconds_ready=rest[0])
                elif kind == "done":
                    job.result = rest[0]
                    return self._end(job, "done")
                elif kind == "cancelled":
                    return self._end(job, "cancelled")
                else:
                    return self._end(job, "failed", error=rest[0])
        except (EOFError, OSError):
            self._stop_process()
            if job.wanted:
                return self._end(job, "failed", error=WORKER_DIED)
            return self._end(job, "cancelled")

    def _start_process(self) -> None:
        if self._process is not None and self._process.is_alive():
            return
        self._stop_process()
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=work, args=(other, self._models), daemon=True)
        with _deaf_to_interrupts():
            self._process.start()
        other.close()

    def _stop_process(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.join()
        self._process.close()
        self._pipe.close()
        self._process = self._pipe = None

    def _update(self, job: Job, **changes: Any) -> None:
        with self._changed:
            for key, value in changes.items():
                setattr(job, key, value)
            job.version += 1

    def _end(self, job: Job, state: State, *, error: str | None = None) -> None:
        try:
            job.finish(job, state, error)
        except Exception as problem:  # told in the log; whoever waits for the job must not wait for ever
            log.error("the end of a job could not be written down", exc_info=problem)
            state, error = "failed", error or "the result could not be written down; is the disk full?"
        self._update(job, state=state, error=error)


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes begun in here never see Ctrl-C, which is the server's to handle: not even while they import."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
