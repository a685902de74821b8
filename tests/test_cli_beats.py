"""``longdance beats``, for people and for machines."""

import json

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from click_track import RATE, click_track
from longdance.cli import app


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    path = tmp_path_factory.mktemp("songs") / "song.wav"
    beats = np.arange(0.3, 29.5, 60 / 110)
    soundfile.write(path, click_track(beats, seconds=30.0, seed=1), RATE)
    return path


def told(song, *options: str) -> dict:
    result = CliRunner().invoke(app, ["beats", str(song), "--json", *options])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_machines_get_one_object(song):
    said = told(song)
    keys = {"tempo_bpm", "beat_times", "downbeat_times", "meter", "confidence", "kind", "alternatives", "sections"}
    assert keys <= set(said)
    assert said["tempo_bpm"] == pytest.approx(110, rel=0.005)
    assert (said["kind"], said["meter"]) == ("even", 4)
    assert 0.9 < said["confidence"] <= 1
    assert set(said["downbeat_times"]) <= set(said["beat_times"])
    assert said["sections"][-1]["end"] == pytest.approx(30.0, abs=0.01)
    assert all({"tempo_bpm", "fit"} == set(other) for other in said["alternatives"])


def test_corrections_are_taken(song, tmp_path):
    assert told(song, "--bpm", "half")["tempo_bpm"] == pytest.approx(55, rel=0.005)
    assert told(song, "--bpm", "110", "--meter", "3")["meter"] == 3
    moved = told(song, "--beat-offset", "3.1")
    assert min(abs(time - 3.1) for time in moved["downbeat_times"]) < 1e-3
    (tmp_path / "own.txt").write_text("1.0\n1.5\n2.0\n")
    assert told(song, "--beats", str(tmp_path / "own.txt"))["beat_times"] == [1.0, 1.5, 2.0]


def test_people_get_a_few_lines_and_a_guess_is_called_one(song, tmp_path):
    said = CliRunner().invoke(app, ["beats", str(song)]).stdout
    assert "110.0 BPM" in said
    assert "4 in a bar" in said
    soundfile.write(tmp_path / "silence.wav", np.zeros(3 * 8000), 8000)
    assert "guess" in CliRunner().invoke(app, ["beats", str(tmp_path / "silence.wav")]).stdout


@pytest.mark.parametrize("options", [("--bpm", "third"), ("--bpm", "5"), ("--meter", "5")])
def test_impossible_corrections_are_wrong_usage(song, options):
    assert CliRunner().invoke(app, ["beats", str(song), *options]).exit_code == 2
