"""Write docs/recipes.md from the configurations: python tools/recipe_page.py."""

from pathlib import Path

from longdance.train.ablations import edmg_aistpp
from longdance.train.paper_settings import PAPER_SETTINGS, as_markdown, departures, differences
from longdance.train.recipes import (
    edmg_open,
    lodge_global_finedance,
    lodge_global_open,
    lodge_local_finedance,
    lodge_local_open,
)

INTRODUCTION = """# Recipes and the papers' settings

This page is made from the configurations by `tools/recipe_page.py`; a test fails when it is out of date.

Recipes named after the papers' data sets hold every setting that the papers print. Settings that a paper leaves open
(EDMG's depth, loss weights, number of steps and guidance weights; Lodge's sizes, batch and loss weights) are fields
whose docstrings say where their defaults come from. The open recipes are ours; what they do otherwise comes at the end.
"""
PAIRS = (
    (edmg_open, edmg_aistpp),
    (lodge_global_open, lodge_global_finedance),
    (lodge_local_open, lodge_local_finedance),
)


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION, "## As the papers print them\n"]
    for recipe, settings in PAPER_SETTINGS.items():
        wrong = {found.field for found in departures(recipe)}
        rows = [
            (each.source, each.what, f"`{each.field}`", each.value, "no" if each.field in wrong else "yes")
            for each in settings
        ]
        parts.append(as_markdown(f"`{recipe().recipe}`", ("source", "setting", "field", "value", "equal"), rows))
    parts.append("## What the open recipes do otherwise\n")
    for ours, theirs in PAIRS:
        rows = [(f"`{found.field}`", found.ours, found.theirs) for found in differences(ours(), theirs())]
        names = ours().recipe, theirs().recipe
        header = ("field", *(f"`{name}`" for name in names))
        parts.append(as_markdown(f"`{names[0]}` against `{names[1]}`", header, rows))
    return "\n".join(parts)


if __name__ == "__main__":
    target = Path(__file__).resolve().parents[1] / "docs" / "recipes.md"
    target.write_text(page(), encoding="utf-8")
    print(target)
