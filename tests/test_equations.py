"""The page of equations: every name on it exists, and every equation and printed setting of the papers has a row."""

import importlib
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "equations.md"

if not PAGE.is_file():
    pytest.skip("no documentation beside the tests", allow_module_level=True)

TEXT = PAGE.read_text(encoding="utf-8")
PARTS = "choreography|cleanup|data|diffusion|evaluate|features|metrics|models|motion|train"
NAMES = sorted(set(re.findall(rf"`((?:{PARTS})\.[A-Za-z0-9_.]+)`", TEXT)))


def exists(name: str) -> bool:
    """Whether a dotted name is a module, something in one, or a field of a class."""
    path, module, rest = name.split("."), None, []
    for length in range(len(path), 0, -1):
        try:
            module = importlib.import_module("longdance." + ".".join(path[:length]))
        except ModuleNotFoundError:
            continue
        rest = path[length:]
        break
    value = module
    for part in rest:
        fields = {**getattr(value, "model_fields", {}), **getattr(value, "__dataclass_fields__", {})}
        if hasattr(value, part):
            value = getattr(value, part)
        elif part in fields:
            value = fields[part]
        else:
            return False
    return module is not None


@pytest.mark.parametrize("name", NAMES)
def test_every_name_exists(name):
    assert exists(name)


def test_the_check_sees_what_is_not_there():
    assert len(NAMES) > 80
    assert exists("models.pmd.PMDConfig.width")
    assert not exists("models.pmd.PMDConfig.breadth")
    assert not exists("diffusion.losses.no_such_loss")
    # No name is written in a way that the check passes over.
    assert not re.findall(r"`[a-z_0-9]+\.[A-Z][A-Za-z]*\.?[a-z_]*`", TEXT)


@pytest.mark.parametrize(("paper", "equations"), [("EDMG", range(1, 14)), ("Lodge", range(1, 11))])
def test_every_equation_has_a_row(paper, equations):
    section = TEXT.split(f"## {paper}\n")[1].split("### Hyper")[0]
    rows = re.findall(r"^\| (\d+) \|", section, re.MULTILINE)
    assert rows == [str(number) for number in equations]


def test_every_printed_setting_is_on_the_page():
    from longdance.train.paper_settings import PAPER_SETTINGS

    recipes = (PAGE.parent / "recipes.md").read_text(encoding="utf-8")
    for settings in PAPER_SETTINGS.values():
        for setting in settings:
            assert setting.field in TEXT or f"`{setting.field}`" in recipes
