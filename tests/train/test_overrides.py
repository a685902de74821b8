"""Command-line settings."""

import pytest

from longdance.errors import InputError
from longdance.registry import RECIPES
from longdance.train.overrides import override
from longdance.train.recipes import tiny


def test_nested_fields_are_set_and_others_kept():
    config = override(tiny(), ["steps=7", "network.width=96", "precision=32-true", "batch.drop_text=0.5"])
    assert (config.steps, config.network.width, config.precision, config.batch.drop_text) == (7, 96, "32-true", 0.5)
    assert config.network.depth == tiny().network.depth


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("steps", "key=value"),
        ("stepz=3", "unknown key"),
        ("network.widht=3", "unknown key"),
        ("nettwork.width=3", "expected an existing group"),
        ("steps=many", "steps"),
        ("precision=8-bit", "precision"),
        ("losses.joints=1e9", "losses.joints"),
        ("losses.contact=-0.3", "losses.contact"),
        ("losses.velocity=nan", "losses.velocity"),
        ("importance_cap=0", "importance_cap"),
    ],
)
def test_mistakes_are_named(setting, message):
    with pytest.raises(InputError, match=message):
        override(tiny(), [setting])


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_survive_a_round_trip_through_json(name):
    config = RECIPES[name]()
    assert type(config).model_validate_json(config.model_dump_json()) == config
    assert config.recipe == name


def test_the_paper_recipe_has_the_papers_numbers():
    config = RECIPES["edmg-aistpp"]()
    network = config.network
    assert (network.width, network.heads, network.state, network.lim_stride) == (512, 128, 64, 2)
    assert (network.attention_heads, network.dropout, config.diffusion_steps) == (4, 0.1, 1000)
    assert (config.learning_rate, config.batch.size, config.batch.window, network.fps) == (2e-4, 32, 600, 60)
    assert config.batch.drop_all + config.batch.drop_text == pytest.approx(0.25)
