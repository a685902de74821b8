"""What comes from strangers: other pages, damaged and hostile files, tricks with names, requests out of order."""

import concurrent.futures
import errno
import gzip
import io
import os
import struct
import zipfile
from pathlib import Path

import httpx
import pytest
import soundfile
from fastapi.testclient import TestClient

from longdance.studio import audio, projects, uploads
from longdance.studio.app import create_app
from longdance.studio.jobs import MOST_WAITING
from longdance.studio.studio import Studio, StudioConfig
from studio.conftest import ended, project_with_song, until, upload

FORM = "multipart/form-data; boundary=x"
JSON_POST = {"headers": {"content-type": "application/json"}}


@pytest.fixture
def studio(tiny_model, tmp_path):
    """A studio of its own whose process is not started unless a test makes it."""
    opened = Studio(StudioConfig(folder=tmp_path / "projects", models={"tiny": tiny_model}, largest_upload=1_000_000))
    yield opened
    opened.close()


@pytest.fixture
def client(studio):
    return TestClient(create_app(studio), base_url="http://localhost:8700", raise_server_exceptions=False)


def no_path_in(text: str, *folders: Path) -> bool:
    return not any(part in text for part in ("/tmp", "site-packages", "Traceback", os.getcwd(), *map(str, folders)))


# --- who may come in ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "10.0.0.1"])
def test_names_that_were_made_to_point_here_are_refused(client, host):
    answer = client.get("/api/projects", headers={"host": host})
    assert answer.status_code == 421
    assert "error" in answer.json()


@pytest.mark.parametrize("host", ["localhost", "localhost:9000", "127.0.0.1:8700", "[::1]:8700", "127.0.0.2"])
def test_this_computer_s_own_names_are_taken(client, host):
    assert client.get("/api/projects", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"origin": "null"}, {"origin": "http://localhost:8701"},
     {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}],
)  # fmt: skip
def test_other_pages_change_nothing(client, headers):
    for method, path in (("POST", "/api/projects"), ("PATCH", "/api/projects/0"), ("DELETE", "/api/projects/0")):
        assert client.request(method, path, headers=headers).status_code == 403


def test_its_own_page_may_change_things(client):
    headers = {"origin": "http://localhost:8700", "sec-fetch-site": "same-origin"}
    answer = client.delete("/api/projects/0", headers=headers)
    assert answer.status_code == 404


@pytest.fixture
def guarded(tiny_model, tmp_path):
    config = StudioConfig(folder=tmp_path / "guarded", models={"tiny": tiny_model}, host="0.0.0.0", token="sesame-open")
    opened = Studio(config)
    yield TestClient(create_app(opened), base_url="http://192.168.1.5:8700")
    opened.close()


def test_without_the_token_nothing_is_told(guarded):
    for path in ("/", "/web/studio.css", "/api/projects", "/api/models", "/api/jobs/0/events", "/nothing"):
        assert guarded.get(path).status_code == 401
        assert guarded.get(f"{path}?token=sesame").status_code == 401
        assert guarded.get(path, headers={"authorization": "Bearer sesame-opens"}).status_code == 401
        assert guarded.get(path, headers={"cookie": "longdance-studio=sesame"}).status_code == 401


def test_the_token_opens_once_and_for_all(guarded):
    assert guarded.get("/api/projects", headers={"authorization": "Bearer sesame-open"}).status_code == 200
    assert guarded.get("/api/projects").status_code == 401  # a program says it every time
    first = guarded.get("/api/projects?token=sesame-open")
    assert first.status_code == 200
    cookie = first.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert guarded.get("/api/projects").status_code == 200  # a browser keeps it


def test_a_name_that_is_not_ours_is_refused_elsewhere_too(guarded):
    headers = {"authorization": "Bearer sesame-open", "host": "evil.example"}
    assert guarded.get("/api/projects", headers=headers).status_code == 421


def test_pages_may_load_from_here_alone(client):
    headers = client.get("/api/projects").headers
    assert headers["content-security-policy"].startswith("default-src 'self'")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


# --- paths and names ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["/web/../app.py", "/web/%2e%2e%2fapp.py", "/web/..%5capp.py", "/web//etc/passwd", "/web/.hidden", "/web/",
     "/api/projects/..%2f..%2fetc", "/api/projects/%00", "/api/projects/.studio-lock", "/api/jobs/..%2f",
     "/api/projects/" + "a" * 5000, "/docs", "/openapi.json"],
)  # fmt: skip
def test_no_path_leads_out(client, studio, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert no_path_in(answer.text, studio.projects.folder)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../../etc/passwd", "passwd"),
        ("C:\\Windows\\song.mp3", "song.mp3"),
        ("/absolute/song.mp3", "song.mp3"),
        ("..", "song"),
        ("a\x1b[31m\r\nb.mp3", "a[31mb.mp3"),
        ("x" * 4000 + ".mp3", "x" * projects.LONGEST_NAME),
        ("<img src=x onerror=alert(1)>.mp3", "<img src=x onerror=alert(1)>.mp3"),
        ("CON", "CON"),
    ],
)
def test_names_of_files_are_shown_and_nothing_else(name, shown):
    assert projects.shown_name(name, "song") == shown


def test_a_file_lands_in_its_project_whatever_it_is_called(running, song):
    studio, client = running
    made = upload(client, song, name="../../outside.wav").json()
    until(lambda: client.get(f"/api/projects/{made['id']}").json()["song"]["state"] == "ready")
    assert made["song"]["name"] == "outside.wav"
    assert not list(studio.projects.folder.parent.rglob("outside*"))
    inside = {path.name for path in (studio.projects.folder / made["id"]).iterdir()}
    assert inside == {"project.json", "song.flac", "takes"}


# --- files -------------------------------------------------------------------------------------------------------


def zip_bomb() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("song.wav", bytes(20_000_000))
    return file.getvalue()


def wav(rate: int = 44100, channels: int = 1, samples: int = 0, claimed: int | None = None) -> bytes:
    """A WAV of silence whose header says what it is told to."""
    data = bytes(2 * channels * samples)
    size = len(data) if claimed is None else claimed
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, rate * channels * 2 & 0xFFFFFFFF, channels * 2, 16)
    head = b"RIFF" + struct.pack("<I", min(36 + size, 0xFFFFFFFF)) + b"WAVE" + form
    return head + struct.pack("<4sI", b"data", size) + data


PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
HOSTILE = {
    "empty": b"",
    "text": b"this is no song",
    "noise": bytes(range(256)) * 400,
    "zip bomb": zip_bomb(),
    "gzip bomb": gzip.compress(bytes(5_000_000)),
    "playlist": PLAYLIST,
    "ffconcat": b"ffconcat version 1.0\nfile /etc/passwd\n",
    "xml bomb": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "x">]><MPD>&b;</MPD>',
    "session": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n",
    "header alone": wav(),
    "no rate": wav(rate=0, samples=100),
    "no channels": wav(channels=0, samples=100),
    "huge claim": wav(samples=10, claimed=0xFFFFFFF0),
    "cut ogg": b"OggS\x00\x02" + bytes(60),
    "pickle": b"\x80\x04\x95\x1c\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_is_no_song_is_refused_in_a_sentence(running, name):
    studio, client = running
    made = upload(client, HOSTILE[name], name=f"{name}.mp3")
    assert made.status_code == 201
    address = f"/api/projects/{made.json()['id']}"
    told = ended(client, made.json()["song"]["job"])
    assert told["state"] == "failed"
    assert told["error"].startswith("expected")
    assert no_path_in(told["error"], studio.projects.folder)
    # Nothing is left of it.
    until(lambda: not (studio.projects.folder / made.json()["id"]).exists())
    assert client.get(address).status_code == 404
    assert client.post(f"{address}/generate", json={}).status_code == 404


def test_playlists_would_be_followed_if_they_were_not_refused(tmp_path, song):
    # What the refusal is for: FFmpeg itself opens what a playlist names.
    import av

    (tmp_path / "secret.wav").write_bytes(song)
    playlist = tmp_path / "uploaded"
    playlist.write_text("ffconcat version 1.0\nfile secret.wav\n")
    with av.open(str(playlist)) as followed:
        assert followed.streams.audio
    with pytest.raises(audio.InputError, match="expected a song"):
        audio.listen(playlist, tmp_path / "song.flac", progress=lambda *_: None)


def test_a_song_that_lasts_too_long_is_refused_while_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(audio, "LONGEST", 20.0)
    # Silence packs well: a small file can last for hours, and need not say so.
    soundfile.write(tmp_path / "long.flac", [0.0] * (30 * 8000), 8000)
    for name, claims in (("whole", True), ("quiet about it", False)):
        content = bytearray((tmp_path / "long.flac").read_bytes())
        if not claims:
            content[21] &= 0xF0  # the number of samples in STREAMINFO: 36 bits, 0 for unknown
            content[22:26] = bytes(4)
        (tmp_path / name).write_bytes(content)
        with pytest.raises(audio.InputError, match="at most"):
            audio.listen(tmp_path / name, tmp_path / "song.flac", progress=lambda *_: None)
    assert not (tmp_path / "song.flac").exists()
    assert not list(tmp_path.glob(".*"))


def test_more_than_two_channels_become_one(tmp_path):
    (tmp_path / "many.wav").write_bytes(wav(channels=6, samples=44100, rate=44100))
    audio.listen(tmp_path / "many.wav", tmp_path / "song.flac", progress=lambda *_: None)
    assert soundfile.info(tmp_path / "song.flac").channels == 1


def test_too_much_is_refused_before_and_while_it_comes(client, studio):
    large = bytes(1_200_000)
    assert upload(client, large).status_code == 413

    def quietly():  # without a length in front
        yield b'--x\r\nContent-Disposition: form-data; name="song"; filename="a"\r\n\r\n'
        for _ in range(13):
            yield bytes(100_000)
        yield b"\r\n--x--\r\n"

    answer = client.post("/api/projects", content=quietly(), headers={"content-type": FORM})
    assert answer.status_code == 413
    assert client.patch("/api/projects/0", content=bytes(3_000_000), **JSON_POST).status_code == 413
    assert not list(studio.projects.folder.glob(".in-*"))
    assert client.get("/api/projects").json() == []


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", FORM),
        (b"--y\r\n", FORM),
        (b'--x\r\nContent-Disposition: form-data; name="song"; filename="a"\r\n\r\nhalf', FORM),
        (b"--x\r\nnonsense", FORM),
        (b"--x--", "multipart/form-data"),
        (b"{}", "application/json"),
        (b"song=a", "application/x-www-form-urlencoded"),
        (b"--x\r\n" + b"h: " + b"v" * 20_000 + b"\r\n\r\n\r\n--x--", FORM),
        (b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\n' + b"n" * 20_000 + b"\r\n--x--\r\n",
         FORM),
        (b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nno song\r\n--x--\r\n', FORM),
        (2 * b'--x\r\nContent-Disposition: form-data; name="song"; filename="a"\r\n\r\nsong\r\n' + b"--x--\r\n",
         FORM),
    ],
)  # fmt: skip
def test_broken_forms_leave_nothing(client, studio, content, kind):
    answer = client.post("/api/projects", content=content, headers={"content-type": kind})
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"].startswith("expected")
    assert {path.name for path in studio.projects.folder.iterdir()} == {".studio-lock"}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"[" * 100_000, b'{"name": "\\ud800"}', b'{"settings": {"\\ud800": 1}}', b'{"name": 1}',
     b'{"settings": {"seed": 1e400}}', b'{"settings": {"start": NaN}}', b'{"score": {"blocks": [{}]}}', b"\xff\xfe",
     b'{"settings": {"__proto__": {}}}', b'{"name": ""}', b'{"takes": []}'],
)  # fmt: skip
def test_broken_json_is_told_in_json(running, danced, body):
    _, client = running
    answer = client.patch(f"/api/projects/{danced['id']}", content=body, **JSON_POST)
    assert answer.status_code in (400, 422), answer.text
    assert isinstance(answer.json()["error"], str)
    assert no_path_in(answer.text)
    assert client.get(f"/api/projects/{danced['id']}").json()["history"] == danced["history"]


def test_requests_out_of_order_are_told_so(client, studio, song):
    for method, path in (
        ("GET", "/api/projects/0123456789abcdef"),
        ("POST", "/api/projects/0123456789abcdef/undo"),
        ("POST", "/api/projects/0123456789abcdef/generate"),
        ("GET", "/api/jobs/0123456789abcdef"),
        ("POST", "/api/jobs/0123456789abcdef/cancel"),
        ("GET", "/api/jobs/0123456789abcdef/events"),
    ):
        answer = client.request(method, path, json={} if method == "POST" else None)
        assert answer.status_code == 404, (method, path)
        assert "error" in answer.json()
    (studio.projects.folder / "song").write_bytes(song)
    waiting = studio.projects.create(studio.projects.folder / "song", name="x", song_name="x")
    for method, path in (("POST", "generate"), ("GET", "song"), ("POST", "undo"), ("POST", "redo")):
        answer = client.request(method, f"/api/projects/{waiting.id}/{path}", json={} if method == "POST" else None)
        assert answer.status_code == 409, path
    for path in ("motion", "download?format=bvh"):
        assert client.get(f"/api/projects/{waiting.id}/takes/{waiting.id}/{path}").status_code == 404
    assert client.get("/api/projects", params={"x": "y"}).status_code == 200
    assert client.put("/api/projects").status_code == 405


@pytest.mark.parametrize(
    "query",
    [{"format": "exe"}, {}, {"format": "bvh", "fps": 1e9}, {"format": "bvh", "fps": "nan"}, {"format": "../x"},
     {"format": "bvh", "names": "/etc/passwd"}, {"format": "bvh", "in_place": "perhaps"}],
)  # fmt: skip
def test_downloads_of_impossible_files_are_refused(running, danced, query):
    studio, client = running
    answer = client.get(f"/api/projects/{danced['id']}/takes/{danced['takes'][0]['id']}/download", params=query)
    assert answer.status_code == 422
    assert no_path_in(answer.text, studio.projects.folder)
    assert not list(studio.projects.folder.glob(".out-*"))


def test_the_catalogue_is_searched_whatever_is_typed(client):
    assert client.get("/api/catalogue/search", params={"q": "six stp"}).status_code == 200
    for typed in ("", "\x00", "🕺" * 50, "a" * 200, "(((", "%", "salsa"):
        assert client.get("/api/catalogue/search", params={"q": typed}).status_code == 200
    assert client.get("/api/catalogue/search", params={"q": "a" * 201}).status_code == 422


# --- much at once, and no room --------------------------------------------------------------------------------------


def test_ten_at_once_all_get_in(running, song):
    _, client = running
    with httpx.Client(base_url=client.base_url, timeout=60) as other, concurrent.futures.ThreadPoolExecutor(10) as many:
        answers = list(many.map(lambda number: upload(other, song, name=f"{number}.wav"), range(MOST_WAITING)))
    assert [answer.status_code for answer in answers] == [201] * 10
    made = {answer.json()["id"]: answer.json()["name"] for answer in answers}
    assert sorted(made.values()) == sorted(str(number) for number in range(10))
    until(lambda: all(client.get(f"/api/projects/{number}").json()["song"]["state"] == "ready" for number in made))


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_told_and_nothing_is_half_written(client, studio, song, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
        early = upload(client, song)
    assert early.status_code == 507
    assert "disk is full" in early.json()["error"]
    with monkeypatch.context() as patched:
        patched.setattr(uploads._Parts, "_data", full)
        assert upload(client, song).status_code == 507
    with monkeypatch.context() as patched:
        patched.setattr(projects, "atomic_write", full)
        assert upload(client, song).status_code == 507
    assert {path.name for path in studio.projects.folder.iterdir()} == {".studio-lock"}
    assert client.get("/api/projects").json() == []


def test_changes_that_could_not_be_written_were_not_made(running, song, monkeypatch):
    _, client = running
    project = project_with_song(client, song)
    address = f"/api/projects/{project['id']}"
    with monkeypatch.context() as patched:
        patched.setattr(projects, "atomic_write", full)
        assert client.patch(address, json={"settings": {"seed": 9}}).status_code == 507
        assert client.post(f"{address}/generate", json={}).status_code == 507
        assert client.post(f"{address}/undo").status_code == 507
    assert client.get(address).json() == project
    # A dance that ends while the disk is full is not shown as under way for ever.
    asked = client.post(f"{address}/generate", json={}).json()
    with monkeypatch.context() as patched:
        patched.setattr(projects, "atomic_write", full)
        ended(client, asked["job"])
    assert client.get(address).json()["takes"][0]["state"] == "ready"


# --- the folder --------------------------------------------------------------------------------------------------


def test_two_studios_do_not_share_a_folder(studio, tiny_model):
    with pytest.raises(projects.InputError, match="another studio"):
        Studio(StudioConfig(folder=studio.projects.folder, models={"tiny": tiny_model}))


def test_damaged_projects_are_left_alone_and_the_others_open(tiny_model, tmp_path, caplog):
    folder = tmp_path / "projects"
    damaged = {"0" * 16: b"{", "1" * 16: b'{"id": "../../x"}', "2" * 16: b"[]", "3" * 16: b"\xff"}
    for name, content in damaged.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "project.json").write_bytes(content)
    (folder / "my own files").mkdir()
    (folder / ("4" * 16)).mkdir()  # an upload that was cut off
    (folder / f".in-{'5' * 16}").write_bytes(b"half")
    config = StudioConfig(folder=folder, models={"tiny": tiny_model})
    studio = Studio(config)
    try:
        assert studio.projects.all() == []
        assert len(caplog.records) == len(damaged)
        assert {path.name for path in folder.iterdir()} == {*damaged, "my own files", ".studio-lock"}
    finally:
        studio.close()
