"""The page on reproducing the papers' tables: its numbers are the stored ones, its commands exist."""

import re
import shlex
from pathlib import Path

import pytest

from longdance.cli import app
from longdance.metrics.tables import PAPERS, paper_tables
from longdance.train.overrides import override
from longdance.train.prepare import DATASETS
from longdance.train.recipes import RECIPES

PAGE = Path(__file__).parents[1] / "docs" / "reproduce.md"

if not PAGE.is_file():
    pytest.skip("no documentation beside the tests", allow_module_level=True)

TEXT = PAGE.read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line, comments=True)
    for block in re.findall(r"```sh\n(.*?)```", TEXT, flags=re.DOTALL)
    for line in block.splitlines()
    if re.match(r"(\w+=\S+ )?(\S*/)?longdance ", line)
]


@pytest.mark.parametrize("paper", PAPERS)
def test_every_table_is_there_with_the_papers_numbers(paper):
    for table in paper_tables(paper).values():
        assert table.beside({}) in TEXT
        assert all(note in TEXT for note in table.notes)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_names_what_exists_and_settings_that_fit(words):
    words = words[next(i for i, word in enumerate(words) if word.endswith("longdance")) + 1 :]
    command, name, *rest = words
    settings = [word for word in rest if "=" in word]
    if command == "prepare":
        override(DATASETS[name].settings(), settings)
    elif command == "train":
        override(RECIPES[name](), settings)
    else:
        assert command in {"evaluate"} | {entry.callback.__name__ for entry in app.registered_commands}


def test_every_recipe_of_the_papers_data_is_on_the_page():
    papers = [name for name in RECIPES if name.endswith(("-aistpp", "-finedance")) and name.count("-") == 1]
    for name in (*papers, "without-lim", "without-pmm", "forward-only", "ablation-full"):
        assert f"longdance train {name} " in TEXT
