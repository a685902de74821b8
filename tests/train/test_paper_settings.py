"""Recipes named after the papers' data sets are what the papers print, and the page that says so is up to date."""

from pathlib import Path

import pytest
from tools.recipe_page import page

from longdance.train.ablations import edmg_aistpp
from longdance.train.paper_settings import PAPER_SETTINGS, departures, differences, flat
from longdance.train.recipes import edmg_open, tiny

PAGE = Path(__file__).resolve().parents[2] / "docs" / "recipes.md"


@pytest.mark.parametrize("recipe", PAPER_SETTINGS, ids=lambda recipe: recipe().recipe)
def test_a_recipe_named_after_a_data_set_is_the_papers(recipe):
    assert departures(recipe) == []


def test_a_departure_is_told():
    def changed():
        paper = edmg_aistpp()
        return paper.model_copy(update={"network": paper.network.model_copy(update={"heads": 64}), "ema": 0.9})

    PAPER_SETTINGS[changed] = PAPER_SETTINGS[edmg_aistpp]
    try:
        assert {found.field: (found.ours, found.theirs) for found in departures(changed)} == {
            "network.heads": (64, 128),
            "ema": (0.9, 0.0),
        }
    finally:
        del PAPER_SETTINGS[changed]


def test_differences_are_all_fields_that_differ():
    open_recipe, paper = edmg_open(), edmg_aistpp()
    found = {each.field: (each.ours, each.theirs) for each in differences(open_recipe, paper)}
    assert found["network.direction"] == ("bidirectional", "forward")
    assert "network.lim_stride" not in found
    left, right = flat(open_recipe), flat(paper)
    assert set(found) == {name for name in left if left[name] != right.get(name)}
    assert differences(tiny(), tiny()) == []


def test_the_page_of_recipes_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python tools/recipe_page.py"
