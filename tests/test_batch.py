"""Dances to many songs: each once, and the same files whatever is killed in the middle."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from click_track import RATE, click_track
from longdance.batch import MANIFEST, Manifest, Order, Record, Task, dance_all
from longdance.choreography.request import DanceRequest
from longdance.errors import InputError
from longdance.features.audio import write_audio
from longdance.motion.motion import Motion
from processes import KILLED, kill_at_rename, run_all

NAMES = ("a", "b", "c")


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """Three short songs."""
    folder = tmp_path_factory.mktemp("songs")
    for number, name in enumerate(NAMES):
        samples = click_track(np.arange(0.2, 2, 0.4 + 0.05 * number), seconds=2.0, seed=number)
        write_audio(folder / f"{name}.wav", samples, RATE)
    return folder


@pytest.fixture(scope="module")
def order(tiny_model):
    return Order(model=str(tiny_model), request=DanceRequest(steps=1, seconds=1.0, bpm=120.0, beat_offset=0.0).raw())


def tasks(songs: Path, out: Path, names=NAMES) -> list[Task]:
    return [Task(songs / f"{name}.wav", (out / name / "x.npz", out / name / "x.bvh")) for name in names]


@pytest.fixture(scope="module")
def whole(order, songs, tmp_path_factory):
    """The folder of a run that nothing disturbed."""
    out = tmp_path_factory.mktemp("whole")
    # In a process like those that are killed below: sums over other numbers of threads round otherwise.
    assert run_all(dance_until_rename, [(order, songs, out, 0, 1)]) == [0]
    return out


def contents(folder: Path) -> dict:
    """Every file below a folder; of the manifest what does not depend on the clock."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    read = {name: path.read_bytes() for name, path in found.items() if name != MANIFEST}
    lines = [json.loads(line) for line in (folder / MANIFEST).read_text().splitlines()]
    return read | {MANIFEST: [{key: value for key, value in line.items() if key != "seconds"} for line in lines]}


def dance_until_rename(order, songs, out, rename, workers) -> None:
    torch.set_num_threads(1)
    if rename:
        kill_at_rename(rename)
    dance_all(order, tasks(songs, out), out, resume=True, workers=workers)


def test_every_song_has_its_files_and_one_line(whole, order, songs):
    found = contents(whole)
    assert set(found) == {MANIFEST} | {f"{name}/x.{ending}" for name in NAMES for ending in ("npz", "bvh")}
    assert [Path(line["song"]).stem for line in found[MANIFEST]] == list(NAMES)
    assert {line["state"] for line in found[MANIFEST]} == {"done"}
    assert {line["settings"] for line in found[MANIFEST]} == {order.fingerprint()}
    assert found[MANIFEST][0]["facts"]["seconds"] == 1.0


@pytest.mark.parametrize("rename", [2, 3, 7])
def test_a_run_killed_at_any_rename_goes_on_to_the_same_files(whole, order, songs, tmp_path, rename):
    assert run_all(dance_until_rename, [(order, songs, tmp_path, rename, 1)]) == [KILLED]
    done = [json.loads(line)["song"] for line in manifest_lines(tmp_path)]
    assert len(done) == (rename - 1) // 2
    assert run_all(dance_until_rename, [(order, songs, tmp_path, 0, 1)]) == [0]
    assert contents(tmp_path) == contents(whole)


def manifest_lines(folder: Path) -> list[str]:
    path = folder / MANIFEST
    return path.read_text().splitlines() if path.is_file() else []


def test_a_finished_batch_does_nothing_and_a_changed_song_or_setting_is_done_again(whole, order, songs, tmp_path):
    shutil.copytree(whole, tmp_path / "out")
    shutil.copytree(songs, tmp_path / "songs")
    out, told = tmp_path / "out", []
    tell = lambda record: told.append(Path(record.song).stem)  # noqa: E731
    asked = tasks(songs, out)
    dance_all(order, asked, out, resume=True, told=tell)
    assert told == []
    (out / "b" / "x.bvh").unlink()
    dance_all(order, asked, out, resume=True, told=tell)
    assert told == ["b"]
    dance_all(replace(order, request=order.request.changed(seed=1)), asked[:1], out, resume=True, told=tell)
    assert told == ["b", "a"]
    dance_all(order, asked[2:], out, told=tell)
    assert told == ["b", "a", "c"]
    others = tasks(tmp_path / "songs", out / "others", ("a",))
    dance_all(order, others, out, told=tell)
    shutil.copy(songs / "b.wav", tmp_path / "songs" / "a.wav")
    dance_all(order, others, out, resume=True, told=tell)
    assert told[3:] == ["a", "a"]


def test_a_song_that_cannot_be_read_is_recorded_and_tried_again(whole, order, songs, tmp_path):
    shutil.copytree(songs, tmp_path / "songs")
    good = (tmp_path / "songs" / "b.wav").read_bytes()
    (tmp_path / "songs" / "b.wav").write_bytes(b"noise")
    out = tmp_path / "out"
    records = dance_all(order, tasks(tmp_path / "songs", out), out)
    assert [record.state for record in records] == ["done", "failed", "done"]
    assert "b.wav" in records[1].error
    (tmp_path / "songs" / "b.wav").write_bytes(good)
    told = []
    dance_all(order, tasks(tmp_path / "songs", out), out, resume=True, told=told.append)
    assert [Path(record.song).stem for record in told] == ["b"]
    made, expected = (Motion.load(folder / "b" / "x.npz").joints() for folder in (out, whole))
    np.testing.assert_allclose(made, expected, atol=1e-3)  # of another process, whose sums round otherwise


def test_a_torn_line_and_lines_that_lead_elsewhere_are_passed_over(tmp_path):
    def record(song: str, output: str) -> Record:
        return Record(song=song, sha256="0", settings="0", state="done", outputs=(output,), seconds=1.0)

    manifest = Manifest(tmp_path / MANIFEST)
    manifest.append(record("/a.wav", "a/x.npz"))
    manifest.append(record("/evil.wav", "../../x.npz"))
    with open(tmp_path / MANIFEST, "ab") as file:
        file.write(record("/b.wav", "b/x.npz").model_dump_json().encode()[:25])
    manifest = Manifest(tmp_path / MANIFEST)
    assert set(manifest.records) == {"/a.wav"}
    manifest.append(record("/c.wav", "c/x.npz"))
    assert Manifest(tmp_path / MANIFEST).folders() == {"/a.wav": "a", "/c.wav": "c"}


def test_a_model_that_does_not_exist_is_told_before_any_song(songs, tmp_path):
    with pytest.raises(InputError, match="bolero"):
        dance_all(Order(model="bolero"), tasks(songs, tmp_path), tmp_path)
    assert not (tmp_path / MANIFEST).exists()
