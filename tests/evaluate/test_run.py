"""A whole evaluation of a folder, small: rows, files, what is broken, what is cached; models by a stand-in."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from conftest import swaying
from longdance.choreography import pretrained
from longdance.choreography.conditioning import Conditioner
from longdance.choreography.dancer import Dancer
from longdance.choreography.long.stretches import Sampling
from longdance.choreography.prepared import Generated, Prepared
from longdance.choreography.request import DanceRequest
from longdance.choreography.timeline import Timeline
from longdance.cli import app
from longdance.data.store import Store
from longdance.errors import InputError
from longdance.evaluate import measure as measuring
from longdance.evaluate import plots, run
from longdance.evaluate.dances import Dance
from longdance.evaluate.measure import Protocol, row
from longdance.evaluate.report import draw, write_report
from longdance.evaluate.songs import BARS, SPEEDS, bundled, continued, real_dances
from longdance.evaluate.systems import versions
from longdance.models.checkpoint import Checkpoint
from longdance.models.strengths import OFF, USUAL
from longdance.models.trm import Refiner
from longdance.motion.skeleton import SMPL22


@pytest.fixture
def folder(tmp_path):
    for name, tempo in (("clip4", 1.1), ("b", 0.8), ("c", 1.4)):
        swaying(150, 30.0, tempo_hz=tempo).save(tmp_path / "dances" / f"{name}.npz")
    (tmp_path / "dances" / "broken.npz").write_text("no dance")
    return tmp_path / "dances"


def test_a_folder_of_dances(small_store, folder, tmp_path, monkeypatch):
    store, protocol = Store.open(small_store), Protocol(fps=30.0, window=2.0)
    found = run.evaluate([folder], store, tmp_path / "report", protocol=protocol)
    assert [r.name for r in found.rows] == ["ground truth", "ground truth cleaned", "other song", "dances"]
    assert found.rows[3].dances == 3
    assert list(found.failed) == [str(folder / "broken.npz")]
    own = {m.name: m.values for m in found.rows[3].measures}
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
    assert "WINDOWS of 2 s" in text

    def fail(*_):
        raise AssertionError("measured again")

    monkeypatch.setattr(measuring, "measure", fail)
    again = run.evaluate([folder], store, tmp_path / "report", protocol=protocol)
    assert again.rows[3].estimates["mean_jerk"] == found.rows[3].estimates["mean_jerk"]


def test_dances_without_hands_are_compared_by_the_joints_that_all_have(small_store, tmp_path):
    store, whole = Store.open(small_store), swaying(150, 30.0)
    handless = replace(whole, rotations=whole.rotations[:, :22], skeleton=SMPL22)
    for name, dance in (("whole", whole), ("handless", handless)):
        for file in ("a", "b"):
            dance.save(tmp_path / name / f"{file}.npz")
    folders = [tmp_path / "whole", tmp_path / "handless"]
    protocol = Protocol(fps=30.0, window=2.0, judged=False)
    found = run.evaluate(folders, store, tmp_path / "all", protocol=protocol)
    assert np.isfinite(found.rows[3].estimates["fid_k_corrected"].value)
    assert np.isnan(found.rows[4].estimates["fid_k_corrected"].value)
    assert "--joints 22" in found.notes[0]
    found = run.evaluate(folders, store, tmp_path / "common", protocol=replace(protocol, joints=22))
    one, other = (found.rows[k].estimates["fid_k_corrected"].value for k in (3, 4))
    assert one == pytest.approx(other, rel=1e-6)
    assert not found.notes


def test_the_command_names_what_is_broken(small_store, folder, tmp_path):
    command = ["evaluate", str(folder), "--data", str(small_store), "-o", str(tmp_path / "out"), "--window", "2"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 1
    assert "broken.npz" in result.output
    assert (tmp_path / "out" / "report.md").is_file()


class StandIn:
    """A generator without a network: it sways, and counts how often."""

    def __init__(self, folder):
        self.made = []
        self.checkpoint = Checkpoint.load(folder)

    def generate(self, prepared, progress):
        song, seed = prepared.request.song, prepared.request.seed
        self.made.append((song.name, seed, prepared.request.genre, prepared.sampling.energy))
        motion = swaying(round(song.seconds * 30), 30.0, phase=seed, tempo_hz=float(np.mean(np.diff(song.beat_times))))
        return Generated(self.checkpoint.layout.encode(motion), {})


class Dancing(Dancer):
    """A dancer whose conditioner is left out."""

    def expect_possible(self, request):
        return replace(self.sampling, seed=request.seed, energy=self.sampling.energy.changed(request.energy))

    def prepare(self, request):
        beats = [float(time) for time in request.song.beat_times]
        meta = {"seed": request.seed, "beat_times": beats, "genre": request.genre}
        sampling = self.expect_possible(request)
        unused = [object.__new__(kind) for kind in (Timeline, Conditioner)]
        return Prepared(request, request.song, 0, unused[0], sampling, "cpu", unused[1], meta)


def stand_in(monkeypatch, folder, **settings):
    model = Dancing(StandIn(folder), kind="pmd", name="stand-in", **settings)
    monkeypatch.setattr(run, "_model", lambda system: model)
    monkeypatch.setattr(run, "identity", lambda system: "abc")
    return model, model.generator.made


QUICK = {"protocol": Protocol(fps=30.0, judged=False)}


def test_rows_of_a_model_share_samples_and_are_made_once(small_store, tiny_model, tmp_path, monkeypatch):
    _, made = stand_in(monkeypatch, tiny_model, sampling=Sampling(energy=USUAL))
    store, asked = Store.open(small_store), run.Asked(seeds=(0, 1), seconds=3.0, exchange=False, songs=1)
    found = run.evaluate(["stand-in"], store, tmp_path, asked=asked, **QUICK)
    assert [r.name for r in found.rows[3:]] == ["stand-in", "stand-in guided", "stand-in cleaned"]
    # One sample without energies, and one with them for two rows.
    assert made == [("demo_song", seed, "disco", energy) for seed in (0, 1) for energy in (OFF, USUAL)]
    assert found.rows[3].estimates["cost"].value > 0
    assert "composed" in " ".join(found.about["beats"])
    run.evaluate(["stand-in"], store, tmp_path, asked=asked, **QUICK)
    assert len(made) == 4
    next((tmp_path / "dances" / "stand-in" / "cleaned").glob("*-0.npz")).write_bytes(b"cut short")
    run.evaluate(["stand-in"], store, tmp_path, asked=asked, **QUICK)
    assert len(made) == 5


def test_without_energies_raw_and_cleaned_are_one_sample(small_store, tiny_model, tmp_path, monkeypatch):
    _, made = stand_in(monkeypatch, tiny_model)
    asked = run.Asked(seeds=(0,), seconds=3.0, exchange=False, songs=1)
    found = run.evaluate(["stand-in"], Store.open(small_store), tmp_path, asked=asked, **QUICK)
    assert [r.name for r in found.rows[3:]] == ["stand-in", "stand-in cleaned"]
    assert len(made) == 1
    raw, cleaned = (r.measures[0].values["shaking_cm_per_second"] for r in found.rows[3:])
    assert raw != cleaned


@pytest.mark.parametrize(
    ("request_", "names"),
    [
        (DanceRequest(), ["m (PMD)", "m", "m guided", "m cleaned"]),
        (DanceRequest(energy="off"), ["m (PMD)", "m", "m cleaned"]),
        (DanceRequest(cleanup=False), ["m (PMD)", "m", "m guided"]),
        (DanceRequest().raw(), ["m (PMD)", "m (PMD) guided"]),
        (DanceRequest(phrases=0.5), ["m (PMD)", "m", "m guided", "m cleaned", "m phrases"]),
    ],
)
def test_rows_of_edmg(request_, names, tiny_model):
    sampling = Sampling(energy=USUAL)
    model = Dancing(StandIn(tiny_model), kind="pmd", name="m", sampling=sampling, trm=object.__new__(Refiner))
    rows = versions(model, "m", request_)
    assert list(rows) == names
    first = rows["m (PMD)"].request
    assert (first.trm, first.cleanup, first.energy, first.parabola) == (False, False, "off", False)
    for name, row_of in rows.items():
        assert row_of.request.cleanup == name.endswith(("cleaned", "phrases"))
        assert (row_of.request.phrases > 0) == name.endswith("phrases")
        assert row_of.request.energy == ("off" if name in ("m (PMD)", "m") else request_.energy)


def test_exchange_is_measured_per_row_and_in_the_report(small_store, tiny_model, tmp_path, monkeypatch):
    _, made = stand_in(monkeypatch, tiny_model)
    asked = run.Asked(seeds=(0,), seconds=4.0)
    found = run.evaluate(["stand-in"], Store.open(small_store), tmp_path, asked=asked, **QUICK)
    tests = len(found.about["songs"])
    assert tests == len(BARS)
    assert len(made) == tests + 3 * 2
    assert {name for name, *_ in made[tests:]} == {source.name for source in map(bundled, SPEEDS)}
    write_report(found, tmp_path)
    rows = json.loads((tmp_path / "report.json").read_text())["rows"]
    for name in ("stand-in", "stand-in cleaned"):
        for key in ("exchange", "exchange_in_beats", "air_share", "longest_flight_s"):
            assert np.isfinite(rows[name]["measures"][key]["value"])
    text = (tmp_path / "report.md").read_text()
    assert "- stand-in: the networks, energies off" in text
    for line in text.splitlines():
        if line.startswith(("| beat alignment (", "| movement meets beats")):
            assert all("on shifted beats)" in each for each in line.split(" | ")[2:])


def test_no_panel_shows_beats_without_chance(small_store, folder, tmp_path, monkeypatch):
    shown = {}
    monkeypatch.setattr(plots, "draw_bars", lambda panels, names, path: shown.update(panels))
    found = run.evaluate([folder], Store.open(small_store), tmp_path / "report", **QUICK)
    draw(found, tmp_path)
    for title, values in shown.items():
        if title.startswith(("beat alignment (", "movement meets")):
            assert all(np.isfinite(beside) for value, _, beside in values if np.isfinite(value))


def test_no_model_and_no_dances(small_store, tmp_path):
    with pytest.raises(InputError, match="nothing"):
        run.evaluate([tmp_path / "nothing"], Store.open(small_store), tmp_path / "out")
    assert "nothing" not in pretrained.shipped()


def test_a_constant_column_does_not_drown_the_others(small_store):
    store, protocol = Store.open(small_store), Protocol(fps=30.0, window=2.0)
    reference = [measuring.measure(dance, protocol) for dance in real_dances(store, "train")]
    turned = np.random.default_rng(0).normal(scale=0.05, size=(150, 24, 3)) + swaying(150, 30.0).joints()
    other = [measuring.measure(Dance(name=f"{i}", joints=turned, fps=30.0), protocol) for i in range(3)]
    assert row("x", other, reference).estimates["fid_g_corrected"].value < 1e6


def test_beats_go_on():
    np.testing.assert_allclose(continued(np.array([0.5, 1.0, 2.0]), 5.0), [0.5, 1.0, 2.0, 2.5, 3.5, 4.0])
    np.testing.assert_allclose(continued(np.array([0.5, 1.0, 2.0]), 1.5), [0.5, 1.0])
