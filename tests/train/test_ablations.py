"""Recipes of EDMG's tables: each differs from the whole by its named part alone, and trains."""

import pytest

from longdance.data.store import Store
from longdance.models.pmd import ParallelMambaDenoiser, PMDConfig
from longdance.registry import RECIPES
from longdance.train.loop import train
from longdance.train.overrides import override

PART = {
    "without-lim": {"local": False},
    "without-pmm": {"mixer": "sequential", "state": 16},
    "both-directions": {"direction": "bidirectional"},
    "ablation-without-lim": {"local": False},
    "ablation-without-pmm": {"mixer": "sequential"},
    "ablation-forward-only": {"direction": "forward"},
}

ABLATIONS = {entry.name: RECIPES[entry.name] for entry in RECIPES.entries() if entry.module.endswith("ablations")}


def test_every_recipe_goes_by_its_own_name():
    assert {name: RECIPES[name]().recipe for name in ABLATIONS} == {name: name for name in ABLATIONS}


@pytest.mark.parametrize("name", PART)
def test_only_the_named_part_differs(name):
    whole = ABLATIONS["ablation-full" if name.startswith("ablation") else "edmg-aistpp"]().model_dump()
    whole["network"] |= PART[name]
    whole["recipe"] = name
    assert ABLATIONS[name]().model_dump() == whole


def test_the_papers_numbers():
    config = ABLATIONS["edmg-aistpp"]()
    network = config.network
    assert (network.width, network.heads, network.state, network.lim_stride) == (512, 128, 64, 2)
    assert (network.attention_heads, network.dropout, network.fps) == (4, 0.1, 60)
    assert (config.batch.size, config.batch.window, config.learning_rate) == (32, 600, 2e-4)
    assert (config.diffusion_steps, config.batch.drop_all + config.batch.drop_text) == (1000, 0.25)
    finedance = ABLATIONS["edmg-finedance"]()
    assert finedance.batch.window / finedance.network.fps == 10


def test_without_lim_has_fewer_parameters_and_the_scan_in_one_direction_too():
    def parameters(name: str) -> int:
        return sum(p.numel() for p in ParallelMambaDenoiser(ABLATIONS[name]().network).parameters())

    whole = parameters("ablation-full")
    assert parameters("ablation-without-lim") < whole
    assert parameters("ablation-forward-only") < whole


@pytest.mark.parametrize("name", sorted(PART))
def test_each_trains_a_few_steps_and_its_weights_load(name, small_store, tmp_path):
    import longdance

    config = override(
        ABLATIONS[name](),
        ["network.width=16", "network.depth=1", "network.heads=4", "network.attention_heads=2", "network.fps=30",
         "network.music_channels=12", "music_encoder=plan", "network.text_width=384",
         "text_encoder=all-MiniLM-L6-v2", "batch.size=2", "batch.window=20", "steps=2",
         "precision=32-true"],
    )  # fmt: skip
    train(config, Store.open(small_store), tmp_path / "run")
    loaded = longdance.load(str(tmp_path / "run")).checkpoint.config
    assert loaded.recipe == name
    network = PMDConfig.model_validate(loaded.network)
    # Sizes are this test's own.
    wanted = {field: value for field, value in PART[name].items() if field != "state"}
    assert {field: getattr(network, field) for field in wanted} == wanted
