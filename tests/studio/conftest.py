"""A studio with an untrained tiny model, behind a real server, and songs to give it."""

import contextlib
import io
import threading
import time
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
import soundfile
import uvicorn

from click_track import RATE, click_track
from longdance.studio.app import create_app
from longdance.studio.studio import Studio, StudioConfig

PATIENCE = 240.0


@pytest.fixture(scope="session")
def song() -> bytes:
    """Eight seconds at 120 BPM as WAV."""
    samples = click_track(np.arange(0.25, 8, 0.5), seconds=8.0, seed=1)
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="WAV")
    return file.getvalue()


@contextlib.contextmanager
def served(config: StudioConfig) -> Iterator[tuple[Studio, httpx.Client]]:
    """A studio behind uvicorn on a free port of this computer, and a client for it."""
    studio = Studio(config)
    server = uvicorn.Server(uvicorn.Config(create_app(studio), port=0, log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client:
            yield studio, client
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def running(tiny_model, tmp_path_factory):
    """(studio, client) that tests share: what they lay down is in projects of their own."""
    config = StudioConfig(folder=tmp_path_factory.mktemp("projects"), models={"tiny": tiny_model})
    with served(config) as both:
        yield both


def upload(client: httpx.Client, song: bytes, name: str = "my song.wav", **fields) -> httpx.Response:
    return client.post("/api/projects", files={"song": (name, song)}, data=fields)


def until(check, *, patience: float = PATIENCE):
    """What ``check`` returns as soon as it is true."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if found := check():
            return found
        time.sleep(0.05)
    raise AssertionError("expected this to happen in time")


def project_with_song(client: httpx.Client, song: bytes) -> dict:
    """A project whose song has been listened to, set for quick dances."""
    made = upload(client, song)
    assert made.status_code == 201, made.text
    address = f"/api/projects/{made.json()['id']}"
    until(lambda: client.get(address).json()["song"]["state"] != "analysing")
    changed = client.patch(address, json={"settings": {"model": "tiny", "steps": 2, "seconds": 3}})
    assert changed.status_code == 200, changed.text
    return changed.json()


def project_with_plan(client: httpx.Client) -> dict:
    """A project with a take of salsa phrases, 19 seconds of a song of 20."""
    file = io.BytesIO()
    soundfile.write(file, click_track(np.arange(0.25, 20, 0.5), seconds=20.0, seed=1), RATE, format="WAV")
    project = project_with_song(client, file.getvalue())
    address = f"/api/projects/{project['id']}"
    asked = client.post(f"{address}/generate", json={"settings": {"genre": "salsa", "phrases": 1, "seconds": 19}})
    assert ended(client, asked.json()["job"])["state"] == "done"
    return client.get(address).json()


def ended(client: httpx.Client, job: str) -> dict:
    """A job after its end."""
    states = ("done", "failed", "cancelled")
    return until(lambda: (told := client.get(f"/api/jobs/{job}").json())["state"] in states and told)


@pytest.fixture(scope="session")
def danced(running, song) -> dict:
    """A project of the shared studio with one take; not to be changed."""
    _, client = running
    project = project_with_song(client, song)
    answer = client.post(f"/api/projects/{project['id']}/generate", json={"settings": {"genre": "salsa"}})
    assert answer.status_code == 202, answer.text
    told = ended(client, answer.json()["job"])
    assert told["state"] == "done", told
    return client.get(f"/api/projects/{project['id']}").json()
