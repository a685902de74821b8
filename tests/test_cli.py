"""The command line: what a user types, what comes out, and how mistakes are told."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from click_track import RATE, click_track
from longdance.cli import INTERRUPTED, SOME_FAILED, WRONG_USAGE, app, main
from longdance.cli.generate import find_songs, numbered, song_folder
from longdance.errors import InputError
from longdance.features.audio import write_audio
from longdance.metrics.report import facts
from longdance.motion.motion import Motion


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """A folder with two songs and a file that only claims to be one."""
    folder = tmp_path_factory.mktemp("songs")
    for name, tempo in (("fast", 0.4), ("slow", 0.6)):
        beats = np.arange(0.2, 4, tempo)
        samples = click_track(beats, seconds=4.0, seed=1)
        write_audio(folder / f"{name}.wav", samples, RATE)
    (folder / "broken.mp3").write_bytes(b"this is no music")
    (folder / "notes.txt").write_text("not a song")
    return folder


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def generate(tiny_model, *arguments):
    return run("generate", "--model", tiny_model, "--steps", 1, "--format", "npz,bvh", *arguments)


def test_one_song_becomes_one_dance_in_every_format(tiny_model, songs, tmp_path):
    result = generate(tiny_model, songs / "fast.wav", "--genre", "salsa", "--seconds", 2, "--json", "-o", tmp_path)
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)["dances"][0]
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["fast.bvh", "fast.npz"]
    dance, opened = Motion.load(tmp_path / "fast.npz"), Motion.load(tmp_path / "fast.bvh")
    assert dance.frames == record["seconds"] * record["fps"] == 60
    assert dance.meta["genre"] == "salsa"
    np.testing.assert_allclose(dance.joints(), opened.joints(), atol=1e-4)


def test_a_file_name_decides_the_format(tiny_model, songs, tmp_path):
    result = generate(tiny_model, songs / "slow.wav", "--seconds", 1, "--fps", 60, "-o", tmp_path / "mine.bvh")
    assert result.exit_code == 0, result.output
    assert [path.name for path in tmp_path.iterdir()] == ["mine.bvh"]
    assert Motion.load(tmp_path / "mine.bvh").fps == pytest.approx(60)


def test_several_takes_are_dances_of_consecutive_seeds_in_numbered_files(tiny_model, songs, tmp_path):
    asked = (songs / "fast.wav", "--seconds", 1, "--seed", 7)
    result = generate(tiny_model, *asked, "-n", 2, "--json", "-o", tmp_path)
    assert result.exit_code == 0, result.output
    names = [f"fast-{take}.{kind}" for take in "12" for kind in ("bvh", "npz")]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert len(json.loads(result.stdout)["dances"]) == 2
    first, second = (Motion.load(tmp_path / f"fast-{n}.npz") for n in "12")
    assert (first.meta["seed"], second.meta["seed"]) == (7, 8)
    assert not np.allclose(first.joints(), second.joints())
    alone = generate(tiny_model, *asked[:-1], 8, "-o", tmp_path / "alone.npz")
    assert alone.exit_code == 0, alone.output
    np.testing.assert_array_equal(Motion.load(tmp_path / "alone.npz").rotations, second.rotations)
    assert numbered(tmp_path / "mine.amass.npz", 3) == tmp_path / "mine-3.amass.npz"
    assert generate(tiny_model, songs, "-n", 2, "-o", tmp_path / "many").exit_code == WRONG_USAGE


def test_a_folder_dances_through_skips_what_is_broken_and_says_so(tiny_model, songs, tmp_path):
    result = generate(tiny_model, songs, "--seconds", 1, "-o", tmp_path)
    assert result.exit_code == SOME_FAILED
    assert sorted(path.parent.name for path in tmp_path.glob("*/*.npz")) == ["fast", "slow"]
    assert "broken.mp3" in result.stderr
    assert "2 of 3 songs" in result.stderr
    assert not list(tmp_path.glob("**/.*"))  # no temporary file stays


def test_facts_leave_out_beats_after_the_last_frame():
    still = np.tile(np.eye(3), (30, 24, 1, 1))
    dance = Motion(np.tile([0.0, 0.93, 0.0], (30, 1)), still, fps=30, meta={"beat_times": [0.99]})
    assert "beat_alignment" not in facts(dance)
    assert "beat_alignment" in facts(replace(dance, meta={"beat_times": [0.5, 0.99]}))


def test_the_same_seed_gives_the_same_file(tiny_model, songs, tmp_path):
    for name in ("one", "two"):
        generate(tiny_model, songs / "fast.wav", "--seconds", 1, "--seed", 4, "-o", tmp_path / f"{name}.npz")
    first, second = Motion.load(tmp_path / "one.npz"), Motion.load(tmp_path / "two.npz")
    assert np.array_equal(first.rotations, second.rotations)
    assert np.array_equal(first.root_position, second.root_position)


@pytest.mark.parametrize(
    "arguments",
    [
        ("generate",),
        ("generate", "x.wav", "--format", "docx"),
        ("generate", "x.wav", "--steps", "0"),
        ("generate", "x.wav", "y.wav", "-o", "one.bvh"),
        ("prepare", "quadrilles", "--source", ".", "-o", "store"),
        ("train", "no-such-recipe", "--data", ".", "-o", "run"),
        ("no-such-command",),
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_wrong_usage_exits_with_two(arguments):
    assert run(*arguments).exit_code == WRONG_USAGE


def test_an_empty_folder_is_wrong_usage(tmp_path):
    assert run("generate", tmp_path).exit_code == WRONG_USAGE


def test_an_unknown_model_is_named(songs, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["longdance", "generate", str(songs / "fast.wav"), "--model", "bolero"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == SOME_FAILED
    assert "bolero" in capsys.readouterr().err


def test_an_interrupt_is_told_and_has_its_own_code(monkeypatch, capsys):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr("longdance.cli.app", interrupt)
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == INTERRUPTED
    assert "stopped" in capsys.readouterr().err


def test_export_writes_another_format(tmp_path, tiny_model, songs):
    generate(tiny_model, songs / "fast.wav", "--seconds", 1, "-o", tmp_path / "dance.npz")
    result = run("export", tmp_path / "dance.npz", "-o", tmp_path / "other.bvh")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "other.bvh").is_file()
    unknown = run("export", tmp_path / "dance.npz", "-o", tmp_path / "other.docx")
    assert isinstance(unknown.exception, InputError)


def test_catalogue_lists_genres_and_movements():
    assert "salsa" in run("catalogue").stdout
    assert "pirouette" in run("catalogue", "modern").stdout


def test_songs_of_one_name_get_folders_of_their_own(tmp_path):
    taken: set[str] = set()
    folders = [song_folder(tmp_path, tmp_path / part / "song.mp3", many=True, taken=taken) for part in "abc"]
    assert [folder.name for folder in folders] == ["song", "song-2", "song-3"]


def test_folders_give_songs_only(songs):
    assert [path.name for path in find_songs([songs])] == ["broken.mp3", "fast.wav", "slow.wav"]


def test_help_answers_at_once_and_loads_nothing_heavy():
    code = "import sys, longdance.cli; print([m for m in ('torch', 'librosa', 'scipy', 'numpy') if m in sys.modules])"
    clock = time.perf_counter()
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
    assert time.perf_counter() - clock < 10


def test_takes_of_one_name_are_numbered_in_one_file(tmp_path):
    still = Motion(np.zeros((30, 3)), np.tile(np.eye(3), (30, 24, 1, 1)), fps=30)
    for folder in "ab":
        still.save(tmp_path / folder / "dance.npz")
    result = run("export", tmp_path / "a" / "dance.npz", tmp_path / "b" / "dance.npz", "-o", tmp_path / "takes.glb")
    assert result.exit_code == 0, result.output
    assert b'"name":"dance-2"' in (tmp_path / "takes.glb").read_bytes()


def test_a_song_beside_the_dance_is_found_and_its_stretch_written(tmp_path, songs):
    meta = {"song": "fast.wav", "start": 0.5}
    still = Motion(np.zeros((30, 3)), np.tile(np.eye(3), (30, 24, 1, 1)), fps=30, meta=meta)
    still.save(tmp_path / "dance.npz")
    alone = run("export", tmp_path / "dance.npz", "-o", tmp_path / "out" / "d.bvh", "--wav")
    assert isinstance(alone.exception, InputError)
    (tmp_path / "fast.wav").write_bytes((songs / "fast.wav").read_bytes())
    result = run("export", tmp_path / "dance.npz", "-o", tmp_path / "out" / "d.bvh", "--wav")
    assert result.exit_code == 0, result.output
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == ["d.bvh", "d.wav"]


def test_threads_are_told_not_to_spin_for_long_before_torch_starts_them():
    ask = (
        "import os, sys; sys.argv = ['longdance', 'catalogue']; from longdance.cli import main\n"
        "try: main()\n"
        "except SystemExit: print('told', 'torch' in sys.modules, os.environ['GOMP_SPINCOUNT'])"
    )
    for given, expected in ({}, "3000"), ({"GOMP_SPINCOUNT": "7"}, "7"):
        environment = {key: value for key, value in os.environ.items() if key != "GOMP_SPINCOUNT"} | given
        told = subprocess.run([sys.executable, "-c", ask], env=environment, capture_output=True, text=True, check=True)
        assert told.stdout.splitlines()[-1] == f"told False {expected}"
