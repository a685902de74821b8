"""Jobs that are cancelled, whose process dies, or for which the studio is closed."""

import concurrent.futures
import os
import signal

import pytest

from longdance.studio import jobs
from longdance.studio.studio import StudioConfig
from studio.conftest import ended, project_with_song, served, until, upload

pytestmark = pytest.mark.alone


def long_dance(client, project: dict) -> dict:
    """A job that takes minutes if nobody ends it."""
    asked = client.post(f"/api/projects/{project['id']}/generate", json={"settings": {"steps": 1000, "seconds": None}})
    assert asked.status_code == 202, asked.text
    return asked.json()


def take_of(client, project: dict, take: str) -> dict:
    return next(each for each in client.get(f"/api/projects/{project['id']}").json()["takes"] if each["id"] == take)


def files_of(studio, project: dict) -> set[str]:
    return {path.name for path in (studio.projects.folder / project["id"]).rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def project(running, song) -> dict:
    _, client = running
    return project_with_song(client, song)


def test_a_cancelled_job_stops_and_leaves_nothing(running, project):
    studio, client = running
    asked = long_dance(client, project)
    until(lambda: client.get(f"/api/jobs/{asked['job']}").json()["stage"] == "denoising")
    pid = studio.dancing.worker_pid
    client.post(f"/api/jobs/{asked['job']}/cancel")
    assert ended(client, asked["job"])["state"] == "cancelled"
    assert take_of(client, project, asked["take"])["state"] == "cancelled"
    assert files_of(studio, project) == {"project.json", "song.flac"}
    assert studio.dancing.worker_pid == pid  # it stopped by itself, with its model still loaded
    assert client.get(f"/api/projects/{project['id']}/takes/{asked['take']}/motion").status_code == 409


def test_a_killed_worker_fails_its_job_and_is_replaced(running, project):
    studio, client = running
    asked = long_dance(client, project)
    until(lambda: client.get(f"/api/jobs/{asked['job']}").json()["stage"] == "denoising")
    os.kill(studio.dancing.worker_pid, signal.SIGKILL)
    told = ended(client, asked["job"])
    assert told["state"] == "failed"
    assert told["error"] == jobs.WORKER_DIED
    assert take_of(client, project, asked["take"])["error"] == jobs.WORKER_DIED
    again = client.post(f"/api/projects/{project['id']}/generate", json={"settings": {"steps": 1, "seconds": 1}}).json()
    assert ended(client, again["job"])["state"] == "done"


def test_a_worker_that_does_not_react_is_killed(running, project, monkeypatch):
    studio, client = running
    monkeypatch.setattr(jobs, "PATIENCE", 0.5)
    asked = long_dance(client, project)
    until(lambda: client.get(f"/api/jobs/{asked['job']}").json()["stage"] == "denoising")
    os.kill(studio.dancing.worker_pid, signal.SIGSTOP)
    client.post(f"/api/jobs/{asked['job']}/cancel")
    assert ended(client, asked["job"])["state"] == "cancelled"
    assert studio.dancing.worker_pid is None


def test_jobs_wait_for_each_other_up_to_a_number(running, project):
    _, client = running
    first = long_dance(client, project)
    until(lambda: client.get(f"/api/jobs/{first['job']}").json()["state"] == "running")
    waiting = [long_dance(client, project) for _ in range(jobs.MOST_WAITING)]
    before = client.get(f"/api/projects/{project['id']}").json()
    refused = client.post(f"/api/projects/{project['id']}/generate", json={})
    assert refused.status_code == 429
    assert "cancel" in refused.json()["error"]
    assert client.get(f"/api/projects/{project['id']}").json() == before
    for asked in waiting:
        assert client.get(f"/api/jobs/{asked['job']}").json()["state"] == "queued"
        client.post(f"/api/jobs/{asked['job']}/cancel")
        assert ended(client, asked["job"])["state"] == "cancelled"
    client.post(f"/api/jobs/{first['job']}/cancel")
    assert ended(client, first["job"])["state"] == "cancelled"


def test_undoing_a_dance_under_way_stops_it(running, project):
    _, client = running
    asked = long_dance(client, project)
    client.post(f"/api/projects/{project['id']}/undo")
    assert ended(client, asked["job"])["state"] == "cancelled"


def test_a_project_deleted_under_way_is_gone(running, song):
    studio, client = running
    project = project_with_song(client, song)
    asked = long_dance(client, project)
    until(lambda: client.get(f"/api/jobs/{asked['job']}").json()["state"] == "running")
    assert client.delete(f"/api/projects/{project['id']}").status_code == 204
    assert ended(client, asked["job"])["state"] in ("cancelled", "failed")
    assert client.get(f"/api/projects/{project['id']}").status_code == 404
    assert not (studio.projects.folder / project["id"]).exists()


def test_everything_is_there_after_a_restart_and_what_was_under_way_has_failed(tiny_model, song, tmp_path):
    config = StudioConfig(folder=tmp_path / "projects", models={"tiny": tiny_model})
    with served(config) as (_, client):
        project = project_with_song(client, song)
        address = f"/api/projects/{project['id']}"
        client.patch(address, json={"score": {"blocks": [{"from": 0, "to": 2, "genre": "disco"}]}})
        finished = client.post(f"{address}/generate", json={"settings": {"steps": 1, "seconds": 1}}).json()
        assert ended(client, finished["job"])["state"] == "done"
        motion = client.get(f"{address}/takes/{finished['take']}/motion").content
        cut_off = long_dance(client, project)
        until(lambda: client.get(f"/api/jobs/{cut_off['job']}").json()["state"] == "running")
        before = client.get(address).json()
    with served(config) as (studio, client):
        after = client.get(address).json()
        assert {key: after[key] for key in ("id", "name", "created", "song", "settings", "score", "history")} == {
            key: before[key] for key in ("id", "name", "created", "song", "settings", "score", "history")
        }
        states = {take["id"]: take["state"] for take in after["takes"]}
        assert states == {finished["take"]: "ready", cut_off["take"]: "failed"}
        told = client.get(f"/api/jobs/{cut_off['job']}").json()
        assert told["state"] == "failed"
        assert "closed" in told["error"]
        assert "event: end" in client.get(f"/api/jobs/{cut_off['job']}/events").text
        assert client.get(f"{address}/takes/{finished['take']}/motion").content == motion
        assert files_of(studio, project) == {
            "project.json", "song.flac", f"{finished['take']}.npz", f"{finished['take']}.track"
        }  # fmt: skip
        # What the page plays is made anew from the dance where it was lost.
        studio.projects.track_file(project["id"], finished["take"]).write_bytes(b"\x04\x00\x00\x00nope")
        again = client.get(f"{address}/takes/{finished['take']}/motion").content
        assert len(again) == len(motion)


def test_a_song_is_heard_while_a_download_is_being_written(running, danced, song):
    studio, client = running
    address = f"/api/projects/{danced['id']}/takes/{danced['takes'][0]['id']}/download"
    assert client.get(address, params={"format": "bvh"}).status_code == 200  # its process is there
    os.kill(studio.files.worker_pid, signal.SIGSTOP)
    try:
        with concurrent.futures.ThreadPoolExecutor() as pool:
            download = pool.submit(client.get, address, params={"format": "glb"})
            until(lambda: studio.queue(danced["id"]))
            assert studio.queue(danced["id"])[0]["what"] == "export"
            made = upload(client, song).json()
            until(lambda: client.get(f"/api/projects/{made['id']}").json()["song"]["state"] == "ready")
            assert not download.done()
            os.kill(studio.files.worker_pid, signal.SIGCONT)
            assert download.result().status_code == 200
    finally:
        os.kill(studio.files.worker_pid, signal.SIGCONT)
    client.delete(f"/api/projects/{made['id']}")
