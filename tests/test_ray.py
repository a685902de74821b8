"""Batches on a Ray of this machine: the same dances as without, whatever was killed in the middle."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from click_track import RATE, click_track
from longdance.features.audio import write_audio

pytest.importorskip("ray.data")
pytestmark = [pytest.mark.slow, pytest.mark.alone]

NAMES = ("a", "b", "c", "d")


def command(model: Path, songs: Path, out: Path, *options: str) -> list[str]:
    fixed = ["--steps", "1", "--seconds", "1", "--bpm", "120", "--beat-offset", "0", "--raw", "--format", "npz"]
    named = [str(songs), "--model", str(model), "-o", str(out)]
    return [sys.executable, "-m", "longdance", "generate", *named, *fixed, *options]


def test_a_killed_driver_on_ray_goes_on_and_every_song_is_danced_once(tiny_model, tmp_path):
    songs = tmp_path / "songs"
    for number, name in enumerate(NAMES):
        samples = click_track(np.arange(0.2, 2, 0.4 + 0.05 * number), seconds=2.0, seed=number)
        write_audio(songs / f"{name}.wav", samples, RATE)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}

    killed, manifest = tmp_path / "killed", tmp_path / "killed" / "manifest.jsonl"
    run = command(tiny_model, songs, killed, "--ray", "local", "--workers", "1")
    with open(tmp_path / "told", "w") as told:
        driver = subprocess.Popen(run, env=environment, stdout=told, stderr=told)
    while not (manifest.is_file() and manifest.read_bytes().endswith(b"\n")):
        assert driver.poll() is None, (tmp_path / "told").read_text()
        time.sleep(0.02)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    recorded = [Path(json.loads(line)["song"]).stem for line in manifest.read_text().splitlines()]
    written = {name: (killed / name / f"{name}.npz").stat().st_mtime_ns for name in recorded}
    assert 1 <= len(recorded) < len(NAMES)
    subprocess.run([*run, "--resume"], env=environment, check=True, capture_output=True)
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    assert [Path(line["song"]).stem for line in lines] == list(NAMES)
    assert written == {name: (killed / name / f"{name}.npz").stat().st_mtime_ns for name in recorded}

    whole = tmp_path / "whole"
    subprocess.run(command(tiny_model, songs, whole), env=environment, check=True, capture_output=True)
    for name in NAMES:
        assert (killed / name / f"{name}.npz").read_bytes() == (whole / name / f"{name}.npz").read_bytes()
