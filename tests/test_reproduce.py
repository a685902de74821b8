"""The page on reproducing the papers' tables: its numbers are the stored ones, its recipes are all there."""

from pathlib import Path

import pytest

from longdance.metrics.tables import PAPERS, paper_tables
from longdance.registry import RECIPES

PAGE = Path(__file__).parents[1] / "docs" / "reproduce.md"

if not PAGE.is_file():
    pytest.skip("no documentation beside the tests", allow_module_level=True)

TEXT = PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("paper", PAPERS)
def test_every_table_is_there_with_the_papers_numbers(paper):
    for table in paper_tables(paper).values():
        assert table.beside({}) in TEXT
        assert all(note in TEXT for note in table.notes)


def test_every_recipe_of_the_papers_data_is_on_the_page():
    papers = [name for name in RECIPES if name.endswith(("-aistpp", "-finedance")) and name.count("-") == 1]
    for name in (*papers, "without-lim", "without-pmm", "both-directions", "ablation-full"):
        assert f"longdance train {name} " in TEXT
