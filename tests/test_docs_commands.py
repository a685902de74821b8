"""The README and the pages of docs: every command on them is one, with options that exist and settings that fit."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from longdance.cli import app
from longdance.registry import DATASETS, RECIPES
from longdance.train.overrides import override

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("README.md"), *ROOT.glob("docs/**/*.md")])
COMMANDS = typer.main.get_command(app).commands
GROUPED = [own for command in COMMANDS.values() for own in getattr(command, "commands", {}).values()]
EVERY_OPTION = {
    name for command in (*COMMANDS.values(), *GROUPED) for p in command.params for name in (*p.opts, *p.secondary_opts)
}
OTHER_OPTIONS = {"--extra-index-url", "--no-deps", "--help"}
"""Of pip, and of every command."""
TOOLS = "".join(path.read_text("utf-8") for path in sorted([*ROOT.glob("tools/*.py"), *ROOT.glob("benchmarks/*.py")]))

if not PAGES:
    pytest.skip("no documentation beside the tests", allow_module_level=True)


def commands_of(text: str) -> list[list[str]]:
    """The words after ``longdance`` of every command in blocks of code."""
    blocks = re.findall(r"```(?:sh|bash|console)\n(.*?)```", text, flags=re.DOTALL)
    indented = re.findall(r"^    (longdance .*)$", text, flags=re.MULTILINE)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()] + indented
    found = []
    for line in lines:
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"\w+=\S*", words[0]):  # a variable of the environment
            words.pop(0)
        if words and words[0].rpartition("/")[2] == "longdance":
            found.append(words[1:])
    return found


CASES = {f"{page.name}: {' '.join(words)}": words for page in PAGES for words in commands_of(page.read_text("utf-8"))}


def test_commands_are_found_on_the_pages():
    assert len(CASES) > 60
    assert {"generate", "edit", "export", "prepare", "train", "evaluate", "catalogue"} <= {w[0] for w in CASES.values()}


@pytest.mark.parametrize("words", CASES.values(), ids=CASES.keys())
def test_every_command_is_one(words):
    name, *rest = words
    command = COMMANDS[name]
    if own := getattr(command, "commands", None):
        name, command, rest = rest[0], own[rest[0]], rest[1:]
    context = command.make_context(name, list(rest))  # checks options and their values
    assert not context.args
    settings = [word for word in rest if re.fullmatch(r"[\w.]+=\S*", word)]
    if name == "prepare":
        override(DATASETS[rest[0]].settings(), settings)
    elif name == "train":
        override(RECIPES[rest[0]](), settings)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_that_pages_mention_exist(page):
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    mentions = re.findall(r"`([^`\n]+)`", text)
    assert {code.split()[1] for code in mentions if code.startswith("longdance ")} <= {"--help", *COMMANDS}
    options = {option for code in mentions for option in re.findall(r"(?<!\S)--[a-z][\w-]*", code)}
    assert not {option for option in options - EVERY_OPTION - OTHER_OPTIONS if f'"{option}"' not in TOOLS}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_pages_name_exist(page):
    text = page.read_text("utf-8")
    linked = [target for target in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in target]
    named = re.findall(r"`((?:benchmarks|tools|docs|src|tests)/[\w./-]+\.\w+)`", text)
    missing = [target for target in linked if not (page.parent / target).exists()]
    assert not missing + [name for name in named if not (ROOT / name).exists()]
