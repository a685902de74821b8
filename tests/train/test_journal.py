"""What a training tells a person: means of what went by, and how it ended."""

import logging

import pytest
import torch
from typer.testing import CliRunner

from longdance.cli import app
from longdance.train.journal import Journal, in_time
from longdance.train.task import KEPT


def test_a_run_in_lines(tmp_path, caplog):
    caplog.set_level(logging.INFO, "longdance.train")
    journal = Journal(tmp_path, begin=0, steps=40)
    for done in range(1, 41):
        terms = {"total": torch.tensor(float(done)), "joints": torch.tensor(0.5)}
        journal.step(done, {KEPT: terms, "adversary": {"total": torch.tensor(9.0)}}, {KEPT: 1.0, "adversary": 2.0})
        if done in (20, 40):
            journal.validated(done, {"total": 3.0 if done == 20 else 4.0})
    journal.validated(40, {})
    journal.close()
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0].startswith("step 10 of 40: loss 10 (joints 0.5); ")
    assert "step 20: validation 3" in lines
    assert lines[-1].startswith("40 steps in 0 s, loss 40, validation 4 (lowest 3 at step 20); checkpoint in ")
    assert str(tmp_path) in lines[-1]
    assert list((tmp_path / "tensorboard").iterdir())


def test_a_resumed_run_says_what_it_did(tmp_path, caplog):
    caplog.set_level(logging.INFO, "longdance.train")
    journal = Journal(tmp_path, begin=7, steps=9)
    for done in (8, 9):
        journal.step(done, {KEPT: {"total": torch.tensor(1.0)}}, {KEPT: 1.0})
    journal.close()
    assert "2 steps in 0 s after the first 7, loss 1; checkpoint" in caplog.records[-1].getMessage()


@pytest.mark.parametrize(("seconds", "words"), [(5.4, "5 s"), (75, "1 min 15 s"), (7300, "2 h 1 min")])
def test_times_for_people(seconds, words):
    assert in_time(seconds) == words


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning:lightning")
def test_the_command_tells_losses_and_what_to_type_next(small_store, tmp_path):
    small = ["network.width=32", "network.state=8", "batch.size=2", "batch.window=40", "precision=32-true", "steps=2"]
    found = CliRunner().invoke(app, ["train", "tiny", "--data", str(small_store), "-o", str(tmp_path / "run"), *small])
    assert found.exit_code == 0
    told = found.stderr.splitlines()
    assert sum(line.startswith("step 2 of 2: loss ") for line in told) == 1
    assert any(line.startswith("step 2: validation ") for line in told)
    assert any("2 steps in " in line and f"checkpoint in {tmp_path / 'run'}" in line for line in told)
    assert f"next: longdance generate SONG --model {tmp_path / 'run'}" in told
    assert found.stdout.splitlines() == [str(tmp_path / "run")]
