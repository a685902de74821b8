"""Imports point one way: every layer may use itself and what lies below it."""

import ast
from pathlib import Path

import pytest

import longdance

ROOT = Path(longdance.__file__).parent
LAYERS = (
    ("errors", "files", "progress", "registry"),
    ("workers",),
    ("motion",),
    ("data",),
    ("features",),
    ("cleanup",),
    ("models",),
    ("diffusion",),
    ("choreography",),
    ("train", "prepare", "metrics", "export"),
    ("evaluate", "batch", "clips"),
    ("studio",),
    ("cli",),
    ("__main__",),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def module_level(tree: ast.AST):
    """All import statements that run when a module is imported: those outside of functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from module_level(node)


def imported(path: Path, root: Path = ROOT) -> set[str]:
    """Parts of the package (``motion``, ``cli``, ...) that a file imports at module level."""
    package = ("longdance", *path.relative_to(root).parent.parts)
    found = set()
    for node in module_level(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *([node.module] if node.module else [])))
            names = [f"{module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "longdance" and len(parts) > 1 and parts[1] != "__version__":
                found.add(parts[1])
    return found


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_to_lower_layers(path):
    own = part_of(path)
    assert own in LEVEL, f"{own} has no place among the layers"
    wrong = {name for name in imported(path) if name != own and LEVEL[name] >= LEVEL[own]}
    assert not wrong, f"{path.relative_to(ROOT)} imports {sorted(wrong)}, which do not lie below {own}"


def test_the_package_itself_imports_nothing_of_its_parts():
    assert not imported(ROOT / "__init__.py")


def test_the_check_sees_every_form_of_import(tmp_path):
    path = tmp_path / "motion" / "module.py"
    path.parent.mkdir()
    path.write_text(
        "import longdance.data.store\nfrom longdance import cli, __version__\nfrom ..train import loop\n"
        "from . import skeleton\nif True:\n    from longdance.export import video\n"
        "def later():\n    from longdance.studio import app\n"
    )
    assert imported(path, tmp_path) == {"data", "cli", "train", "motion", "export"}
