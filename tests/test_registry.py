"""What is added by adding a file is found wherever names are shown, without an import of what is heavy."""

import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from choreography.test_dancer import checkpoint_of, song_of
from conftest import swaying
from longdance import registry
from longdance.choreography.capabilities import capabilities
from longdance.choreography.edit import edited
from longdance.choreography.generators.edmg import edmg
from longdance.choreography.pretrained import load
from longdance.cli import app
from longdance.diffusion.sampler import DDIM
from longdance.errors import InputError
from longdance.export.endings import file_ending, format_of, stem_of
from longdance.export.formats import export
from longdance.models.checkpoint import Checkpoint, CheckpointConfig, build
from longdance.models.pmd import ParallelMambaDenoiser, PMDConfig
from longdance.prepare.silent import SilentSettings, silent_takes
from longdance.prepare.stores import Dataset, Job, Plan
from longdance.registry import (
    DANCERS,
    DATASETS,
    DENOISERS,
    EDITS,
    FORMATS,
    FORWARD_NETWORKS,
    RECIPES,
    SAMPLERS,
    Registry,
)
from longdance.studio.cards import model_card
from longdance.train.recipes import tiny

ALL = (SAMPLERS, DENOISERS, FORWARD_NETWORKS, DANCERS, EDITS, DATASETS, FORMATS, RECIPES)


class DummyConfig(PMDConfig):
    """A network that is added."""


class DummyNetwork(ParallelMambaDenoiser):
    """A network that is added."""


class Still(DDIM):
    """A sampler that is added."""


def a_recipe():
    """A recipe that is added."""
    return tiny()


def stilled(dance, *, at):
    """An edit that is added."""
    return replace(dance, root_position=np.repeat(dance.root_position[round(at * dance.fps)][None], dance.frames, 0))


def dummy(checkpoint, *, name="dummy"):
    """A dancer that is added."""
    return replace(edmg(checkpoint, name=name), kind="dummy")


def swaying_takes(settings):
    """The work of a data set that is added."""
    return silent_takes("swaying", "train", "disco", (), swaying(90, 30.0), settings), {}


def plan_dummy(source, settings):
    """A data set that is added."""
    return Plan([Job("swaying", ("swaying",), swaying_takes, (settings,))], "made up", [])


def write_dummy(job):
    """A format that is added."""
    job.path.write_text(f"{job.motion.frames} frames, {job.up} up")


DUMMIES = Dataset(SilentSettings, plan_dummy)


@pytest.fixture
def added():
    """Adds to a registry until the test ends."""
    made: list[tuple[Registry, str]] = []

    def add(where: Registry, name: str, make: str, **facts) -> None:
        where.add(name, f"{__name__}:{make}", about="a dummy", **facts)
        made.append((where, name))

    yield add
    for where, name in made:
        where.remove(name)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("each", ALL, ids=lambda each: each.kind)
def test_every_entry_names_something_that_is_there(each):
    assert len(each)
    for entry in each.entries():
        assert each[entry.name] is getattr(import_module(entry.module), entry.make)
        if "config" in entry.facts:
            assert hasattr(import_module(entry.module), entry.facts["config"])


def test_registries_are_read_without_importing_anything_heavy():
    code = (
        "import sys; from longdance import registry as r\n"
        "print(sum(len(each) for each in vars(r).values() if isinstance(each, r.Registry)))\n"
        "from longdance.choreography.capabilities import capabilities; print(capabilities('lodge').edits)\n"
        "print([m for m in ('torch', 'numpy', 'scipy', 'pydantic') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    assert int(told[0]) == sum(map(len, ALL))
    assert told[1:] == ["True", "[]"]


def test_unknown_names_are_key_errors_and_added_ones_can_be_taken_back(added):
    with pytest.raises(KeyError):
        SAMPLERS["euler"]
    added(SAMPLERS, "still", "Still")
    assert list(SAMPLERS)[-1] == "still"
    assert SAMPLERS.entry("still").about == "a dummy"


def test_a_sampler_is_one_entry(added):
    model, song = edmg(checkpoint_of()), song_of(1.0)
    with pytest.raises(InputError, match="still"):
        model.generate(song, steps=2, sampler="still")
    added(SAMPLERS, "still", "Still")
    assert model.generate(song, steps=2, sampler="still").meta["sampler"] == "still"


def test_a_denoiser_and_its_dancer_are_one_entry_each(added, tmp_path):
    added(DENOISERS, "dummy", "DummyNetwork", config="DummyConfig")
    added(DANCERS, "dummy", "dummy", edits=True, guided=True)
    plain = checkpoint_of()
    config = DummyConfig.model_validate(plain.config.network)
    record = plain.config.model_dump() | {"denoiser": "dummy"}
    Checkpoint(
        CheckpointConfig.model_validate(record), build(config), plain.normaliser, plain.music_mean, plain.music_scale
    ).save(tmp_path / "mine")
    model = load(tmp_path / "mine")
    assert isinstance(model.checkpoint.network, DummyNetwork)
    assert (model.kind, model.capabilities) == ("dummy", capabilities("dummy"))
    assert model.generate(song_of(1.0), steps=1).frames == 20
    card = model_card("mine", tmp_path / "mine")
    assert (card["describes"], card["edits"], card["joints"]) == ("a dummy", True, False)
    assert "mine cannot make some joints anew" in card["cannot"]["joints"]


def test_an_edit_is_one_entry(added):
    with pytest.raises(InputError, match="redo"):
        edited(swaying(60, 30.0), "still", at=1.0)
    added(EDITS, "still", "stilled", needs=("at",), model=False)
    dance = edited(swaying(60, 30.0), "still", at=1.0, seconds=3.0)
    assert np.ptp(dance.root_position, axis=0).max() == 0
    with pytest.raises(InputError, match="expected at to still"):
        edited(swaying(60, 30.0), "still")


def test_a_recipe_and_a_data_set_are_one_entry_each(added, tmp_path):
    added(RECIPES, "a-recipe", "a_recipe")
    added(DATASETS, "dummies", "DUMMIES")
    assert "a-recipe" in run("train", "no-such", "--data", tmp_path, "-o", tmp_path).output.replace("\n", "")
    made = run("prepare", "dummies", "--source", tmp_path, "-o", tmp_path / "store", "--workers", "1")
    assert made.exit_code == 0, made.output
    assert "1 clips" in made.output


def test_a_format_is_one_entry(added, tmp_path):
    with pytest.raises(InputError, match="expected a file ending among"):
        format_of("a.dummy.txt")
    added(FORMATS, "dummy", "write_dummy", ending="dummy.txt", aliases=("dum",), up=("z", "y"))
    assert (format_of("a.dum"), format_of("a.b.dummy.TXT"), file_ending("dummy")) == ("dummy", "dummy", "dummy.txt")
    assert stem_of("a.b.dummy.txt") == "a.b"
    swaying(3, 30.0).save(tmp_path / "dance.npz")
    made = run("export", tmp_path / "dance.npz", "-o", tmp_path / "a.dum", "--up", "y")
    assert made.exit_code == 0, made.output
    assert (tmp_path / "a.dum").read_text() == "3 frames, y up"
    with pytest.raises(InputError, match="hold several"):
        export({"a": swaying(3, 30.0), "b": swaying(3, 30.0)}, tmp_path / "b.dum")
    assert "dummy" in run("generate", "--format", "nosuch", tmp_path / "song.wav").output


def test_a_file_in_its_folder_is_found(tmp_path, monkeypatch):
    (tmp_path / "diffusion").mkdir()
    (tmp_path / "diffusion" / "heun.py").write_text(
        'import torch_is_not_imported\n\nREGISTER = {\n    "sampler": {"heun": {"make": "Heun", "order": 5}},\n}\n'
    )
    (tmp_path / "diffusion" / "more.py").write_text('REGISTER = {"sampler": ("two_step",)}\n')
    monkeypatch.setattr(registry, "ROOT", tmp_path)
    found = Registry("sampler", "diffusion")
    assert [(e.name, e.module, e.make) for e in found.entries()] == [
        ("heun", "longdance.diffusion.heun", "Heun"), ("two-step", "longdance.diffusion.more", "two_step"),
    ]  # fmt: skip


def test_every_format_is_described_where_users_look():
    page = Path(__file__).parents[1] / "docs" / "export.md"
    if not page.is_file():
        pytest.skip("no documentation beside the tests")
    text = page.read_text("utf-8")
    assert [entry.name for entry in FORMATS.entries() if f"`{file_ending(entry.name)}`" not in text] == []
