"""The documentation: its links lead somewhere, its Python means something, and the public names are described."""

import ast
import importlib
import re
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
TOOLS = ROOT / "tools"
if not (TOOLS / "build_docs.py").is_file():
    pytest.skip("no documentation beside the tests", allow_module_level=True)

sys.path.insert(0, str(TOOLS))
try:
    import api_reference
    import build_docs
finally:
    sys.path.remove(str(TOOLS))

SOURCES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "LICENSE-WEIGHTS.md"]
MODULES = [module for modules in api_reference.PUBLIC.values() for module in modules]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


# --- links ---------------------------------------------------------------------------------------------------


def prose(text: str) -> str:
    """A page without its blocks and spans of code."""
    return re.sub(r"`[^`\n]+`", "`code`", build_docs.FENCE.sub("", text))


@cache
def anchors(path: Path) -> set[str]:
    """Anchors of a page's headings, as both code hosts and the site's Markdown make them."""
    found: set[str] = set()
    for title in re.findall(r"^#{1,6} +(.+?)\s*$", build_docs.FENCE.sub("", path.read_text("utf-8")), re.MULTILINE):
        bare = re.sub(r"[`*]|\]\([^)]*\)|\[", "", title).lower()
        kept = re.sub(r"[^\w\s-]", "", bare).strip()
        anchor = re.sub(r"\s", "-", kept)
        if re.sub(r"[-\s]+", "-", kept) == anchor:  # where the two agree; other headings cannot be linked to
            found.add(anchor)
    return found


def broken_links(page: Path) -> list[str]:
    broken = []
    for target in [match.group(2) for match in build_docs.LINK.finditer(prose(page.read_text("utf-8")))]:
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.is_file() or (anchor and anchor not in anchors(path)):
            broken.append(target)
    return broken


@pytest.mark.parametrize("page", SOURCES, ids=name_of)
def test_links_of_the_repository_lead_to_files_and_headings(page):
    assert not broken_links(page)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The pages of the site, gathered."""
    folder = tmp_path_factory.mktemp("site")
    build_docs.gather(folder)
    return folder


def test_links_of_the_site_stay_inside_it(site):
    pages = sorted(site.rglob("*.md"))
    assert {str(page.relative_to(site)): broken_links(page) for page in pages if broken_links(page)} == {}
    targets = [match.group(2) for page in pages for match in build_docs.LINK.finditer(prose(page.read_text("utf-8")))]
    assert not [target for target in targets if target.startswith("../../")]


def test_every_page_of_the_navigation_is_there_and_every_page_of_ours_is_in_it(site):
    import tomllib

    def leaves(entry):
        if isinstance(entry, str):
            yield entry
        for inner in entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else ():
            yield from leaves(inner)

    settings = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))
    listed = set(leaves(settings["project"]["nav"]))
    assert not [page for page in listed if not (site / page).is_file()]
    ours = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    assert ours <= listed


def test_the_check_of_links_sees_what_is_broken(tmp_path):
    (tmp_path / "other.md").write_text("# A heading, here\n\n```\n# none\n```\n")
    page = tmp_path / "page.md"
    code = "`[d](gone.md)`\n```\n[e](gone.md)\n```\n"
    page.write_text("[a](other.md#a-heading-here) [b](other.md#none) [c](gone.md) " + code)
    assert broken_links(page) == ["other.md#none", "gone.md"]


def test_pictures_are_small():
    gallery = sorted((ROOT / "docs" / "images" / "gallery").iterdir())
    assert gallery
    assert sum(path.stat().st_size for path in gallery) < 1.2e6
    outlets = sorted((ROOT / "docs" / "images" / "outlets").iterdir())
    assert all(path.stat().st_size < 150e3 for path in outlets)
    assert (ROOT / "docs" / "images" / "teaser.webp").stat().st_size < 3e6
    shown = (ROOT / "docs" / "gallery.md").read_text("utf-8")
    assert all(f"images/gallery/{path.name}" in shown for path in gallery)


# --- Python --------------------------------------------------------------------------------------------------


def python_blocks() -> list:
    blocks = []
    for page in SOURCES:
        for number, text in enumerate(re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)):
            blocks.append(pytest.param(text, id=f"{name_of(page)}-{number}"))
    return blocks


def imported_names(tree: ast.Module) -> dict[str, str]:
    """Local names to dotted paths in the package."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.split(".")[0]
                names[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return {local: path for local, path in names.items() if path.split(".")[0] == "longdance"}


def found(path: str) -> object:
    """What a dotted path names; ``AttributeError`` if nothing."""
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        try:
            value = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            value = getattr(value, part)
        return value
    raise AttributeError(path)


def dotted(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (left := dotted(node.value)):
        return f"{left}.{node.attr}"
    return None


@pytest.mark.parametrize("text", python_blocks())
def test_python_compiles_and_names_what_the_package_has(text):
    import inspect

    tree = ast.parse(text)
    names = imported_names(tree)
    for path in names.values():
        found(path)
    for node in ast.walk(tree):
        whole = dotted(node) if isinstance(node, ast.Attribute) else None
        if whole and whole.split(".")[0] in names:
            found(".".join((names[whole.split(".")[0]], *whole.split(".")[1:])))
        called = dotted(node.func) if isinstance(node, ast.Call) else None
        if called and called.split(".")[0] in names:
            function = found(".".join((names[called.split(".")[0]], *called.split(".")[1:])))
            known = inspect.signature(function).parameters
            given = {keyword.arg for keyword in node.keywords if keyword.arg}
            assert given <= known.keys() or any(p.kind is p.VAR_KEYWORD for p in known.values()), given - known.keys()


def test_the_check_of_python_sees_what_is_not_there():
    with pytest.raises(AttributeError):
        found("longdance.Dancing")
    with pytest.raises(AssertionError):
        test_python_compiles_and_names_what_the_package_has("import longdance\nlongdance.load(model='edmg')\n")


@pytest.mark.parametrize("page", SOURCES, ids=name_of)
def test_scores_in_the_documentation_are_read(page, tmp_path):
    from longdance.choreography.score_file import parse_score

    for text in re.findall(r"^```yaml\n(.*?)^```", page.read_text("utf-8"), re.M | re.S):
        if "file:" not in text:
            assert parse_score(text).entries


# --- the reference -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_says_what_it_does_and_arrays_their_shapes(module):
    assert ast.get_docstring(api_reference.tree_of(module))
    for entry in api_reference.entries(module):
        # Described by their class and by ``StepRule``; shapes are in the annotations.
        known = entry.name.endswith(".forward") or re.fullmatch(r"(DDIM|DDPM|DPMSolver2M)\.step", entry.name)
        assert entry.text or known, f"{module}.{entry.name} has no docstring"
        assert not entry.arrays or api_reference.states_shape(entry.text), (
            f"{module}.{entry.name}: expected the shapes of {', '.join(entry.arrays)}, such as (frames, joints, 3)"
        )


def test_pages_show_signatures_fields_and_docstrings(site):
    page = (site / "api" / "motion-motion.md").read_text("utf-8")
    assert "## Motion" in page
    assert "root_position: np.ndarray" in page
    assert "### Motion.resample" in page
    assert "resample(self, fps: float) -> 'Motion'" in page
    assert "spline for the root, slerp for rotations" in page
    assert "_read_arrays" not in page


# --- papers of the repository --------------------------------------------------------------------------------


def test_the_citation_names_both_papers_as_the_readme_does():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    readme = " ".join((ROOT / "README.md").read_text("utf-8").replace("{", "").replace("}", "").split())
    assert [reference["year"] for reference in citation["references"]] == [2025, 2024]
    for reference in citation["references"]:
        assert reference["title"] in readme
        for author in reference["authors"]:
            assert f"{author['family-names']}, {author['given-names']}" in readme


def test_credits_of_the_weights_are_complete():
    text = " ".join((ROOT / "LICENSE-WEIGHTS.md").read_text("utf-8").split())
    for credit in ("mocap.cs.cmu.edu", "NSF EIA-0196217", "G1 Moves", "CC BY 4.0", "Experiential Technologies",
                   "Jasmine Coro and Mitch Chaiet"):  # fmt: skip
        assert credit in text
