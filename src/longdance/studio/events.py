"""What happens while somebody looks: how jobs go on and projects change, as server-sent events."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator

from fastapi.responses import StreamingResponse
from starlette.exceptions import HTTPException
from starlette.requests import Request

from longdance.errors import InputError
from longdance.studio.jobs import ENDED, WORKER_DIED, Job, Lane
from longdance.studio.projects import NotThere
from longdance.studio.studio import Studio
from longdance.studio.worker import BROKEN_INSIDE, DISK_FULL

_LOOK = 0.1
"""Seconds between two looks at what somebody follows."""
_ALIVE = 15.0
"""Seconds after which a silent stream of events says that it is still there."""


def streamed(events: AsyncIterator[str]) -> StreamingResponse:
    """The answer that goes on until the events end."""
    return StreamingResponse(events, media_type="text/event-stream", headers={"x-accel-buffering": "no"})


async def project_events(studio: Studio, project: str) -> AsyncIterator[str]:
    """``jobs``: what is under way for a project; ``changed``: when it has changed; ``gone``: why it is no more."""
    seen: dict[str, str] = {}
    silent, song_job = 0.0, studio.projects.get(project).song.job
    while not studio.closing.is_set():
        try:
            state = studio.projects.get(project)
        except NotThere:
            job = studio.job(song_job) if song_job else None
            failed = job is not None and job.state == "failed"
            yield _event("gone", json.dumps({"error": job.error if job is not None and failed else None}))
            return
        told = {"jobs": json.dumps(studio.queue(project)), "changed": json.dumps({"updated": state.updated})}
        for name, data in told.items():
            if seen.get(name) != data:
                seen[name], silent = data, 0.0
                yield _event(name, data)
        if silent >= _ALIVE:
            silent = 0.0
            yield ": still here\n\n"
        await asyncio.sleep(_LOOK)
        silent += _LOOK


async def job_events(job: Job, closing: threading.Event) -> AsyncIterator[str]:
    """How a job goes on, from the present state to its end."""
    seen, silent = -1, 0.0
    while not closing.is_set():
        version, told = job.version, job.told()
        if told["state"] in ENDED:
            yield _event("progress", json.dumps(told)) + _event("end", json.dumps(told))
            return
        if version != seen:
            seen, silent = version, 0.0
            yield _event("progress", json.dumps(told))
        elif silent >= _ALIVE:
            silent = 0.0
            yield ": still here\n\n"
        await asyncio.sleep(_LOOK)
        silent += _LOOK


async def one_event(told: dict) -> AsyncIterator[str]:
    """A job that is over."""
    yield _event("progress", json.dumps(told)) + _event("end", json.dumps(told))


def _event(name: str, data: str) -> str:
    return f"event: {name}\ndata: {data}\n\n"


async def followed(request: Request, lane: Lane, job: Job) -> None:
    """Wait for a job; it is cancelled if whoever asked goes away. Raises what a failed job has to say."""
    while job.state not in ENDED:
        if await request.is_disconnected():
            lane.cancel(job)
        await asyncio.sleep(_LOOK / 2)
    if job.state == "done":
        return
    if job.error in (WORKER_DIED, BROKEN_INSIDE):
        raise HTTPException(500, job.error)
    if job.error == DISK_FULL:
        raise HTTPException(507, DISK_FULL)
    raise InputError(job.error or "this was cancelled")
