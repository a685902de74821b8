"""`longdance studio` as a user starts and ends it."""

import functools
import os
import re
import signal
import socket
import subprocess
import sys

import httpx
import pytest
from typer.testing import CliRunner

from longdance.cli import INTERRUPTED, SOME_FAILED, app, main
from longdance.errors import InputError
from longdance.studio.projects import default_folder
from longdance.studio.server import serve

pytestmark = pytest.mark.alone


def started(*arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "longdance", "studio", "--port", "0", *arguments]
    # Whoever runs the tests in the background ignores interrupts, and children would inherit that.
    listens = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=listens)


def test_the_studio_opens_tells_its_address_and_closes_when_interrupted(tmp_path):
    with started("--projects", str(tmp_path / "projects"), "--host", "0.0.0.0") as studio:
        try:
            line = studio.stderr.readline()
            port, token = re.search(r"http://\S+:(\d+)/\?token=(\S+)", line).groups()
            address = f"http://127.0.0.1:{port}"
            assert httpx.get(f"{address}/api/models").status_code == 401
            bearer = {"authorization": f"Bearer {token}"}
            names = [model["name"] for model in httpx.get(f"{address}/api/models", headers=bearer, timeout=60).json()]
            assert "edmg" in names
            genres = httpx.get(f"{address}/api/catalogue", headers=bearer, timeout=60).json()
            assert "salsa" in [genre["name"] for genre in genres]
        finally:
            studio.send_signal(signal.SIGINT)
        assert studio.wait(timeout=60) == INTERRUPTED
        assert str(tmp_path / "projects") in studio.stderr.read()


def test_the_studio_ends_quietly_while_pages_follow_and_work_is_under_way(tmp_path, song):
    with started("--projects", str(tmp_path / "projects")) as studio:
        try:
            address = re.search(r"http://\S+:\d+", studio.stderr.readline())[0]
            made = httpx.post(f"{address}/api/projects", files={"song": ("a.wav", song)}, timeout=60).json()
            with httpx.stream("GET", f"{address}/api/projects/{made['id']}/events", timeout=60) as events:
                lines = events.iter_lines()
                assert next(lines).startswith("event:")
                studio.send_signal(signal.SIGINT)
                list(lines)  # ends by itself
        except BaseException:
            studio.kill()
            raise
        said = studio.stderr.read()
        assert studio.wait(timeout=60) == INTERRUPTED
        assert "Traceback" not in said
        assert "ERROR" not in said


def calling(tmp_path, **options):
    told = {"host": "127.0.0.1", "port": 0, "projects": tmp_path / "projects", "token": None, "models": []}
    serve(**(told | options), say=lambda _: None)


def test_a_port_that_is_taken_is_told(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match="try another --port"):
            calling(tmp_path, port=taken.getsockname()[1])


@pytest.mark.parametrize("token", ["", "short", "with spaces in it", "ümlaut-token", "a\r\nSet-Cookie: b"])
def test_a_token_must_fit_into_an_address_and_a_cookie(tmp_path, token):
    with pytest.raises(InputError, match="token"):
        calling(tmp_path, token=token)


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(InputError, match="trained model"):
        calling(tmp_path, models=[tmp_path])
    # The projects are free for the next studio.
    with pytest.raises(InputError, match="trained model"):
        calling(tmp_path, models=[tmp_path])


def test_a_projects_folder_that_cannot_be_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="projects"):
        calling(tmp_path, projects=tmp_path / "file" / "projects")


def test_without_its_packages_the_studio_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.setattr(sys, "argv", ["longdance", "studio", "--projects", str(tmp_path / "projects")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == SOME_FAILED
    assert "longdance[studio]" in capsys.readouterr().err


def test_the_command_is_described():
    told = CliRunner().invoke(app, ["studio", "--help"])
    assert told.exit_code == 0
    assert "--projects" in told.output


@pytest.mark.skipif(os.name == "nt", reason="folders of another platform")
def test_projects_lie_where_the_platform_keeps_data(monkeypatch, tmp_path):
    monkeypatch.delenv("LONGDANCE_PROJECTS", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "longdance" / "projects"
    monkeypatch.setenv("LONGDANCE_PROJECTS", str(tmp_path / "mine"))
    assert default_folder() == tmp_path / "mine"
