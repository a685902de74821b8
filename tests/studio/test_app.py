"""What a page can do with the studio: songs in, dances out, and nothing lost on the way."""

import io
import json
import struct
import zipfile

import numpy as np
import pytest
import soundfile

from longdance.motion.motion import Motion
from longdance.motion.rotations import matrix_from_quaternion
from studio.conftest import ended, project_with_song, until


def read_track(content: bytes) -> tuple[dict, np.ndarray, np.ndarray, np.ndarray]:
    """Header, roots (frames, 3), quaternions x y z w (frames, joints, 4), contacts (frames, 4), as a page reads."""
    size = struct.unpack("<I", content[:4])[0]
    header = json.loads(content[4 : 4 + size])
    frames, joints, at = header["frames"], len(header["joints"]), 4 + size
    roots = np.frombuffer(content, "<f4", 3 * frames, at).reshape(frames, 3)
    at += roots.nbytes
    turns = np.frombuffer(content, "<f4", 4 * joints * frames, at).reshape(frames, joints, 4)
    at += turns.nbytes
    contacts = np.frombuffer(content, np.uint8, 4 * frames, at).reshape(frames, 4)
    assert at + contacts.nbytes == len(content)
    return header, roots, turns, contacts


# --- songs -------------------------------------------------------------------------------------------------------


def test_a_song_is_listened_to_and_its_beats_are_told(danced):
    song = danced["song"]
    assert song["state"] == "ready"
    assert song["name"] == "my song.wav"
    assert song["seconds"] == pytest.approx(8.0, abs=0.01)
    assert song["tempo_bpm"] == pytest.approx(120, rel=0.02)
    assert np.diff(song["beats"]) == pytest.approx(np.full(len(song["beats"]) - 1, 0.5), abs=0.06)
    assert set(song["downbeats"]) <= set(song["beats"])
    assert song["sections"][0]["from"] == 0
    assert song["sections"][-1]["to"] == pytest.approx(song["seconds"], abs=1e-3)


def test_the_waveform_is_that_of_the_song(danced, song):
    peaks = np.array(danced["song"]["peaks"])
    samples, _ = soundfile.read(io.BytesIO(song))
    assert peaks[:, 0].min() == pytest.approx(samples.min(), abs=0.01)
    assert peaks[:, 1].max() == pytest.approx(samples.max(), abs=0.01)
    # Where it is loudest is the same place.
    assert peaks[:, 1].argmax() / len(peaks) == pytest.approx(samples.argmax() / len(samples), abs=0.01)


def test_a_browser_gets_the_song_to_the_sample(running, danced, song):
    _, client = running
    answer = client.get(f"/api/projects/{danced['id']}/song")
    assert answer.headers["content-type"] == "audio/flac"
    given, rate = soundfile.read(io.BytesIO(song))
    heard, heard_rate = soundfile.read(io.BytesIO(answer.content))
    assert rate == heard_rate
    np.testing.assert_allclose(heard, given, atol=1e-4)


def test_a_part_of_the_song_can_be_asked_for(running, danced):
    _, client = running
    address = f"/api/projects/{danced['id']}/song"
    whole = client.get(address).content
    part = client.get(address, headers={"range": "bytes=100-299"})
    assert part.status_code == 206
    assert part.content == whole[100:300]
    assert part.headers["content-range"] == f"bytes 100-299/{len(whole)}"
    assert client.get(address, headers={"range": f"bytes={len(whole) + 5}-"}).status_code == 416


# --- takes -------------------------------------------------------------------------------------------------------


def test_a_dance_is_made_and_recorded(danced):
    (take,) = danced["takes"]
    assert take["state"] == "ready"
    assert take["seconds"] == pytest.approx(3.0, abs=0.05)
    assert take["record"]["model"] == "tiny"
    assert take["record"]["genre"] == "salsa"
    assert take["record"]["song"] == "my song.wav"


def test_what_the_page_plays_is_what_is_downloaded(running, danced, tmp_path):
    _, client = running
    address = f"/api/projects/{danced['id']}/takes/{danced['takes'][0]['id']}"
    header, roots, turns, contacts = read_track(client.get(f"{address}/motion").content)
    (tmp_path / "dance.npz").write_bytes(client.get(f"{address}/download", params={"format": "npz"}).content)
    dance = Motion.load(tmp_path / "dance.npz")
    assert header["final"]
    assert header["fps"] == dance.fps
    assert header["joints"] == list(dance.skeleton.names)
    np.testing.assert_allclose(roots, dance.root_position, atol=1e-5)
    import torch

    played = matrix_from_quaternion(torch.from_numpy(np.roll(turns, 1, axis=-1).copy())).numpy()
    np.testing.assert_allclose(played, dance.rotations, atol=1e-4)
    assert set(np.unique(contacts)) <= {0, 1}
    rest = read_track(client.get(f"{address}/motion", params={"from": 30}).content)
    assert rest[0]["from"] == 30
    np.testing.assert_array_equal(rest[1], roots[30:])


def test_the_song_comes_along_in_a_zip(running, danced):
    _, client = running
    address = f"/api/projects/{danced['id']}/takes/{danced['takes'][0]['id']}/download"
    answer = client.get(address, params={"format": "bvh", "names": "mixamo", "with_song": True})
    assert answer.status_code == 200, answer.text
    assert ".zip" in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert sorted(archive.namelist()) == ["dance.bvh", "dance.wav"]
        assert b"mixamorig:Hips" in archive.read("dance.bvh")
        sound, rate = soundfile.read(io.BytesIO(archive.read("dance.wav")))
        assert len(sound) / rate == pytest.approx(danced["takes"][0]["seconds"], abs=0.01)


def test_the_beginning_plays_while_the_rest_is_computed(running, song):
    _, client = running
    project = project_with_song(client, song)
    settings = {"steps": 20, "seconds": None}
    asked = client.post(f"/api/projects/{project['id']}/generate", json={"settings": settings}).json()
    address = f"/api/projects/{project['id']}/takes/{asked['take']}/motion"
    early = until(lambda: (track := read_track(client.get(address).content))[0]["frames"] and track)
    assert not early[0]["final"]
    assert client.get(f"/api/jobs/{asked['job']}").json()["state"] == "running"
    assert client.get(f"/api/jobs/{asked['job']}").json()["seconds_ready"] > 0
    assert ended(client, asked["job"])["state"] == "done"
    whole = read_track(client.get(address).content)
    frames = early[0]["frames"]
    assert whole[0]["final"]
    assert frames < whole[0]["frames"] == pytest.approx(8 * whole[0]["fps"], abs=2)
    # What was played is what is kept: to the precision of the dance's file.
    np.testing.assert_array_equal(early[1], whole[1][:frames])
    np.testing.assert_array_equal(early[2], whole[2][:frames])


def test_events_tell_of_a_dance_from_beginning_to_end(running, song):
    _, client = running
    project = project_with_song(client, song)
    job = client.post(f"/api/projects/{project['id']}/generate", json={}).json()["job"]
    names, told = [], []
    with client.stream("GET", f"/api/jobs/{job}/events") as events:
        assert events.headers["content-type"].startswith("text/event-stream")
        for line in events.iter_lines():
            if line.startswith("event: "):
                names.append(line.removeprefix("event: "))
            if line.startswith("data: "):
                told.append(json.loads(line.removeprefix("data: ")))
    assert set(names[:-1]) == {"progress"}
    assert names[-1] == "end"
    assert told[-1]["state"] == "done"
    assert told[-1]["seconds_ready"] == pytest.approx(3.0, abs=0.05)
    # Whoever comes later, after a reload, is told how it ended.
    again = client.get(f"/api/jobs/{job}/events").text
    assert "event: end" in again
    assert '"done"' in again
