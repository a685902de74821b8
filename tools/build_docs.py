"""Gather the pages of the documentation site into one folder, from which zensical builds it.

    python tools/build_docs.py build/docs && zensical build --strict

In the repository pages link to files outside ``docs``. Here those files are copied into the site and the links follow
them; the API reference is written beside.
"""

import argparse
import os
import re
import shutil
from pathlib import Path

from api_reference import write_reference

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"(?<!\\)(!?\[(?:[^\[\]]|\[[^\]]*\])*\]\()([^)\s]+)(\))")
"""A Markdown link or picture: before the target, the target, behind it."""
FENCE = re.compile(r"^(```|~~~).*?^\1\s*?$", flags=re.DOTALL | re.MULTILINE)


def main() -> None:
    """Gather everything anew."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path, help="folder to gather in; what is there is replaced")
    folder = parser.parse_args().out
    shutil.rmtree(folder, ignore_errors=True)
    gather(folder)
    print(f"{folder}: {sum(1 for _ in folder.rglob('*.md'))} pages")


def gather(folder: Path) -> None:
    """Copy ``docs`` and every file of the repository that it links to into the folder, and write the API reference."""
    docs = ROOT / "docs"
    waiting = sorted(path for path in docs.rglob("*") if path.is_file())
    places = {path: path.relative_to(docs) for path in waiting}
    places[ROOT / "README.md"] = Path("index.md")
    while waiting:
        path = waiting.pop()
        target = folder / places[path]
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix != ".md":
            shutil.copyfile(path, target)
            continue
        text, linked = relinked(path, places)
        target.write_text(text, encoding="utf-8")
        waiting += linked
    write_reference(folder / "api")


def relinked(page: Path, places: dict[Path, Path]) -> tuple[str, list[Path]]:
    """The page with its links as they are on the site, and files that it is the first to link to.

    ``places`` maps files of the repository to their place on the site and gets the new ones.
    """
    new: list[Path] = []

    def follow(match: re.Match) -> str:
        before, target, behind = match.groups()
        name, hash_sign, anchor = target.partition("#")
        path = (page.parent / name).resolve()
        if "://" in target or not name or not path.is_file() or ROOT not in path.parents:
            return match.group(0)
        if path not in places:
            places[path] = Path("files") / path.relative_to(ROOT)
            new.append(path)
        here = os.path.relpath(places[path], places[page].parent)
        return f"{before}{here}{hash_sign}{anchor}{behind}"

    text, cursor, parts = page.read_text(encoding="utf-8"), 0, []
    for fence in FENCE.finditer(text):
        parts += [LINK.sub(follow, text[cursor : fence.start()]), fence.group(0)]
        cursor = fence.end()
    return "".join((*parts, LINK.sub(follow, text[cursor:]))), new


if __name__ == "__main__":
    main()
