"""Training in several processes: the same as in one, and killed in the middle it ends as if it had not been."""

import json

import pytest
import torch
from safetensors.torch import load_file

from longdance.models.discriminator import DiscriminatorConfig
from longdance.models.lodge_local import LocalDenoiserConfig
from longdance.train.batches import BatchConfig
from longdance.train.lodge import LodgeLocalConfig
from longdance.train.overrides import override
from longdance.train.recipes import tiny
from processes import KILLED, train_in_processes, train_until_rename

SMALL = ["network.width=32", "network.state=8", "batch.size=2", "batch.window=40", "precision=32-true"]


def state(run):
    return load_file(run / "last" / "state.safetensors")


def same_files(one, other):
    """Whether two runs hold the same checkpoint, the same state, and no other files but logs."""
    names = {path.relative_to(one) for path in one.rglob("*") if path.is_file() and "events" not in path.name}
    others = {path.relative_to(other) for path in other.rglob("*") if path.is_file() and "events" not in path.name}
    return names == others and all((one / name).read_bytes() == (other / name).read_bytes() for name in names)


def test_two_killed_processes_go_on_to_what_one_process_with_both_batches_gets(small_store, tmp_path):
    config = override(tiny(), [*SMALL, "steps=5", "checkpoint_every=2", "validate_every=5"])
    assert train_in_processes(config, small_store, tmp_path / "one", accumulate=2) == [0]
    assert train_in_processes(config, small_store, tmp_path / "two", processes=2) == [0, 0]
    assert KILLED in train_in_processes(config, small_store, tmp_path / "killed", processes=2, kill_at=3)
    assert state(tmp_path / "killed")["step"] == 2
    assert train_in_processes(config, small_store, tmp_path / "killed", processes=2, resume=True) == [0, 0]
    assert same_files(tmp_path / "killed", tmp_path / "two")
    one, two = state(tmp_path / "one"), state(tmp_path / "two")
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-4, atol=1e-6, msg=name)
    assert json.loads((tmp_path / "two" / "last" / "state.json").read_text())["batches_per_step"] == 2


def test_a_network_and_its_adversary_train_in_two_processes_as_in_one(small_store, tmp_path):
    config = LodgeLocalConfig(
        recipe="test",
        network=LocalDenoiserConfig(music_channels=12, width=16, depth=1, feedforward=16, attention_heads=2),
        adversary=DiscriminatorConfig(width=8, depth=1, feedforward=8, attention_heads=2),
        batch=BatchConfig(size=2, window=32),
        music_encoder="plan",
        precision="32-true",
        steps=2,
    )
    assert train_in_processes(config, small_store, tmp_path / "one", accumulate=2) == [0]
    assert train_in_processes(config, small_store, tmp_path / "two", processes=2) == [0, 0]
    one, two = state(tmp_path / "one"), state(tmp_path / "two")
    assert any(name.startswith("discriminator.") for name in one)
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-3, atol=1e-5, msg=name)


@pytest.mark.parametrize("rename", [2, 4, 6])
def test_a_run_killed_while_it_writes_goes_on_to_the_same_files(small_store, tmp_path, whole_run, rename):
    config, whole = whole_run
    assert train_until_rename(config, small_store, tmp_path / "killed", rename) == [KILLED]
    assert train_in_processes(config, small_store, tmp_path / "killed", resume=True) == [0]
    assert same_files(tmp_path / "killed", whole)


@pytest.fixture(scope="module")
def whole_run(small_store, tmp_path_factory):
    """A run of two steps and two checkpoints, four files each."""
    config = override(tiny(), [*SMALL, "steps=2", "checkpoint_every=1"])
    folder = tmp_path_factory.mktemp("runs") / "whole"
    assert train_in_processes(config, small_store, folder) == [0]
    return config, folder
