"""A whole evaluation of a folder, small: rows, files, what is broken, what is cached; models by a stand-in."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from conftest import swaying
from longdance.choreography import pretrained
from longdance.choreography.dancer import Dancer
from longdance.cli import app
from longdance.data.store import Store
from longdance.errors import InputError
from longdance.evaluate import measure as measuring
from longdance.evaluate import run
from longdance.evaluate.dances import Dance
from longdance.evaluate.measure import Protocol, row
from longdance.evaluate.report import write_report
from longdance.evaluate.songs import TestSong, continued, real_dances
from longdance.features.song import Song
from longdance.motion.skeleton import SMPL22


@pytest.fixture
def folder(tmp_path):
    for name, tempo in (("clip4", 1.1), ("b", 0.8), ("c", 1.4)):
        swaying(150, 30.0, tempo_hz=tempo).save(tmp_path / "dances" / f"{name}.npz")
    (tmp_path / "dances" / "broken.npz").write_text("no dance")
    return tmp_path / "dances"


def test_a_folder_of_dances(small_store, folder, tmp_path, monkeypatch):
    store, protocol = Store.open(small_store), Protocol(fps=30.0, window=2.0, hop=1.0)
    found = run.evaluate([folder], store, tmp_path / "report", protocol=protocol)
    assert [r.name for r in found.rows] == ["ground truth", "other song", "dances"]
    assert found.rows[2].dances == 3
    assert list(found.failed) == [str(folder / "broken.npz")]
    own = {m.name: m.values for m in found.rows[2].measures}
    assert "beat_alignment" in own["clip4"]  # named after a held-out dance
    assert "beat_alignment" not in own["b"]
    for path in write_report(found, tmp_path / "report"):
        assert path.stat().st_size > 100
        if path.suffix == ".png":
            Image.open(path).verify()
    record = json.loads((tmp_path / "report" / "report.json").read_text())
    assert record["rows"]["dances"]["dances"] == 3
    text = (tmp_path / "report" / "report.md").read_text()
    assert "broken.npz" in text
    assert re.search(r"Lodge \(DDPM\) \|.* 45.56", text)

    def fail(*_):
        raise AssertionError("measured again")

    monkeypatch.setattr(measuring, "measure", fail)
    again = run.evaluate([folder], store, tmp_path / "report", protocol=protocol)
    assert again.rows[2].estimates["mean_jerk"] == found.rows[2].estimates["mean_jerk"]


def test_dances_without_hands_are_compared_by_the_joints_that_all_have(small_store, tmp_path):
    store, whole = Store.open(small_store), swaying(150, 30.0)
    handless = replace(whole, rotations=whole.rotations[:, :22], skeleton=SMPL22)
    for name, dance in (("whole", whole), ("handless", handless)):
        for file in ("a", "b"):
            dance.save(tmp_path / name / f"{file}.npz")
    folders = [tmp_path / "whole", tmp_path / "handless"]
    protocol = Protocol(fps=30.0, window=2.0, hop=1.0, judged=False)
    found = run.evaluate(folders, store, tmp_path / "all", protocol=protocol)
    assert np.isfinite(found.rows[2].estimates["fid_k_corrected"].value)
    assert np.isnan(found.rows[3].estimates["fid_k_corrected"].value)
    assert "--joints 22" in found.notes[0]
    found = run.evaluate(folders, store, tmp_path / "common", protocol=replace(protocol, joints=22))
    one, other = (found.rows[k].estimates["fid_k_corrected"].value for k in (2, 3))
    assert one == pytest.approx(other, rel=1e-6)
    assert not found.notes


def test_the_command_names_what_is_broken(small_store, folder, tmp_path):
    command = ["evaluate", str(folder), "--data", str(small_store), "-o", str(tmp_path / "out"), "--window", "2"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 1
    assert "broken.npz" in result.output
    assert (tmp_path / "out" / "report.md").is_file()


class StandIn(Dancer):
    """Dances without a network."""

    def __init__(self):
        config = SimpleNamespace(recipe="none", trained_steps=0, fps=30.0)
        super().__init__(None, kind="pmd", name="stand-in")
        object.__setattr__(self, "made", [])
        object.__setattr__(self, "known", SimpleNamespace(config=config))

    @property
    def checkpoint(self):
        return self.known

    def generate(self, request):
        song, seed = request.song, request.seed
        self.made.append((song.name, seed, request.genre))
        motion = swaying(round(song.seconds * 30), 30.0, phase=seed)
        motion.meta.update(seed=seed, beat_times=[float(t) for t in song.beat_times], genre=request.genre)
        return motion


def test_a_model_dances_once(small_store, tmp_path, monkeypatch):
    model, store = StandIn(), Store.open(small_store)
    monkeypatch.setattr(run, "_model", lambda system: model)
    monkeypatch.setattr(run, "identity", lambda system: "abc")
    asked = run.Asked(seeds=(0, 1), seconds=3.0)
    protocol = Protocol(fps=30.0, window=2.0, hop=1.0, judged=False)
    found = run.evaluate(["stand-in"], store, tmp_path, protocol=protocol, asked=asked)
    assert model.made == [("clip4.wav", 0, "disco"), ("clip4.wav", 1, "disco")]
    assert found.rows[2].estimates["cost"].value > 0
    assert (tmp_path / "songs" / "clip4.wav").is_file()
    run.evaluate(["stand-in"], store, tmp_path, protocol=protocol, asked=asked)
    assert len(model.made) == 2
    (tmp_path / "dances" / "stand-in" / "clip4-0.npz").write_bytes(b"cut short")
    run.evaluate(["stand-in"], store, tmp_path, protocol=protocol, asked=asked)
    assert len(model.made) == 3


@pytest.mark.parametrize(("songs", "chosen"), [(None, "abcde"), (9, "abcde"), (3, "ace"), (1, "a")])
def test_fewer_songs_are_evenly_chosen(songs, chosen, tmp_path, monkeypatch):
    song = Song.from_samples(np.zeros(22050, np.float32), 22050, name="silence.wav")
    found = [TestSong(name=name, song=song) for name in "abcde"]
    monkeypatch.setattr(run, "songs_of", lambda folder, real, seconds: (found, {}))
    asked = run.Asked(songs=songs)
    assert "".join(test.name for test in run._songs([], tmp_path, asked, tmp_path, {}, [])) == chosen


def test_no_model_and_no_dances(small_store, tmp_path):
    with pytest.raises(InputError, match="nothing"):
        run.evaluate([tmp_path / "nothing"], Store.open(small_store), tmp_path / "out")
    assert "nothing" not in pretrained.shipped()


def test_a_constant_column_does_not_drown_the_others(small_store):
    store, protocol = Store.open(small_store), Protocol(fps=30.0, window=2.0, hop=1.0)
    reference = [measuring.measure(dance, protocol) for dance in real_dances(store, "train")]
    turned = np.random.default_rng(0).normal(scale=0.05, size=(150, 24, 3)) + swaying(150, 30.0).joints()
    other = [measuring.measure(Dance(name=f"{i}", joints=turned, fps=30.0), protocol) for i in range(3)]
    assert row("x", other, reference).estimates["fid_g_corrected"].value < 1e6


def test_beats_go_on():
    np.testing.assert_allclose(continued(np.array([0.5, 1.0, 2.0]), 5.0), [0.5, 1.0, 2.0, 2.5, 3.5, 4.0])
    np.testing.assert_allclose(continued(np.array([0.5, 1.0, 2.0]), 1.5), [0.5, 1.0])
