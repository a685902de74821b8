"""Write the API reference: one Markdown page per public module, from signatures and docstrings.

    python tools/api_reference.py build/docs/api

The source is parsed, not imported: shapes stay as they are written, and nothing has to be installed.
"""

import argparse
import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src"

PUBLIC: dict[str, tuple[str, ...]] = {
    "Making and changing dances": (
        "longdance.choreography.pretrained",
        "longdance.choreography.request",
        "longdance.choreography.dancer",
        "longdance.choreography.generators.lodge",
        "longdance.choreography.score",
        "longdance.choreography.score_file",
        "longdance.choreography.edit",
        "longdance.choreography.refinement",
        "longdance.cleanup.pipeline",
        "longdance.errors",
    ),
    "Movement": (
        "longdance.motion.motion",
        "longdance.motion.skeleton",
        "longdance.motion.layout",
        "longdance.motion.rotations",
        "longdance.motion.kinematics",
        "longdance.motion.filters",
        "longdance.motion.contacts",
        "longdance.motion.bvh",
        "longdance.motion.retarget",
        "longdance.motion.ik",
    ),
    "Music and words": (
        "longdance.features.song",
        "longdance.features.audio",
        "longdance.features.music",
        "longdance.features.text",
        "longdance.features.text_embeddings",
        "longdance.features.text_encoders",
        "longdance.data.catalogue",
    ),
    "Files for other programs": (
        "longdance.export.formats",
        "longdance.export.takes",
        "longdance.export.markers",
        "longdance.export.groups",
        "longdance.export.hands",
        "longdance.export.vmc",
        "longdance.export.rig",
        "longdance.export.video",
    ),
    "Measuring": (
        "longdance.metrics.features",
        "longdance.metrics.distribution",
        "longdance.metrics.rhythm",
        "longdance.metrics.body",
        "longdance.metrics.contact",
        "longdance.metrics.physical",
        "longdance.metrics.response",
        "longdance.metrics.retrieval",
        "longdance.metrics.report",
    ),
    "Networks and diffusion": (
        "longdance.models.ssd",
        "longdance.models.conditions",
        "longdance.models.pmd",
        "longdance.models.trm",
        "longdance.models.checkpoint",
        "longdance.diffusion.noise",
        "longdance.diffusion.sampler",
        "longdance.diffusion.guidance",
        "longdance.diffusion.constraints",
        "longdance.diffusion.energies",
        "longdance.diffusion.energy_terms",
        "longdance.diffusion.losses",
    ),
    "Data and training": (
        "longdance.data.store",
        "longdance.prepare.stores",
        "longdance.prepare.open",
        "longdance.prepare.aistpp",
        "longdance.prepare.finedance",
        "longdance.prepare.bvh",
        "longdance.train.recipes",
        "longdance.train.loop",
    ),
}
"""Public modules by subject, in the order of the pages."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Entry:
    """A public class, function, method or constant of a module."""

    name: str
    """Dotted within the module, such as ``Motion.load``."""
    kind: str
    """class, function, property or constant."""
    signature: str
    text: str
    """Docstring, without indentation; empty where there is none."""
    arrays: tuple[str, ...] = ()
    """Parameters that are arrays and whose annotation states no shape."""


def main() -> None:
    """Write every page and the index."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path, help="folder of the pages")
    folder = parser.parse_args().out
    written = write_reference(folder)
    print(f"{folder}: {len(written)} pages")


def write_reference(folder: Path) -> list[Path]:
    """Write ``index.md`` and one page per module into the folder; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    index = ["# API reference", "", "What `import longdance` offers at once: `load`, `Motion`, `Song`, `metrics`,"]
    index += ["`InputError`. The modules behind, by subject:", ""]
    written = [folder / "index.md"]
    for subject, modules in PUBLIC.items():
        index += [f"## {subject}", "", "| module | holds |", "|---|---|"]
        for module in modules:
            path = folder / f"{page_name(module)}.md"
            path.write_text(page(module), encoding="utf-8")
            written.append(path)
            summary = first_sentence(ast.get_docstring(tree_of(module)) or "")
            index.append(f"| [`{module}`]({path.name}) | {summary} |")
        index.append("")
    written[0].write_text("\n".join(index), encoding="utf-8")
    return written


def page_name(module: str) -> str:
    """File name of a module's page, without its ending."""
    return module.removeprefix("longdance.").replace(".", "-")


def page(module: str) -> str:
    """The Markdown page of a module."""
    lines = [f"# {module}", "", prose(ast.get_docstring(tree_of(module)) or ""), ""]
    for entry in entries(module):
        level = "###" if "." in entry.name else "##"
        lines += [f"{level} {entry.name}", "", "```python", entry.signature, "```", ""]
        if entry.text:
            lines += [prose(entry.text), ""]
    return "\n".join(lines)


def prose(text: str) -> str:
    """A docstring as Markdown: indented stretches stay as they are, everything else cannot be taken for HTML."""
    return "\n".join(line if line.startswith("    ") else re.sub(r"<(?=\w)", "&lt;", line) for line in text.split("\n"))


def first_sentence(text: str) -> str:
    """The first sentence of a docstring on one line, fit for a cell of a table."""
    paragraph = " ".join(text.split("\n\n")[0].split())
    return re.split(r"(?<=[.!?]) ", paragraph)[0].replace("|", "\\|")


def tree_of(module: str) -> ast.Module:
    """The parsed source of a module."""
    path = SOURCE.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(path.read_text(encoding="utf-8"))


def entries(module: str) -> Iterator[Entry]:
    """Public constants with a docstring, functions, and classes with their public methods, as they come in the file."""
    body = tree_of(module).body
    for node, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, Function) and public(node.name):
            yield function_entry(node, node.name)
        elif isinstance(node, ast.ClassDef) and public(node.name):
            yield from class_entries(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            text = string_of(following)
            if isinstance(target, ast.Name) and public(target.id) and text:
                yield Entry(target.id, "constant", shortened(ast.unparse(node)), text)


def class_entries(node: ast.ClassDef) -> Iterator[Entry]:
    """A class with its fields, then its public methods and properties."""
    bases = ", ".join(ast.unparse(base) for base in (*node.bases, *(keyword.value for keyword in node.keywords)))
    lines = [f"class {node.name}({bases})" if bases else f"class {node.name}"]
    arrays = []
    for item, following in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and public(item.target.id):
            comment = " ".join((string_of(following) or "").split())
            if shapeless(item.annotation) and not states_shape(comment):
                arrays.append(item.target.id)
            lines.append(f"    {shortened(ast.unparse(item))}" + (f"  # {comment}" if comment else ""))
    yield Entry(node.name, "class", "\n".join(lines), ast.get_docstring(node) or "", tuple(arrays))
    for item in node.body:
        if isinstance(item, Function) and (public(item.name) or item.name in ("forward", "__call__")):
            yield function_entry(item, f"{node.name}.{item.name}")


def function_entry(node: Function, name: str) -> Entry:
    """A function, method or property."""
    marks = [ast.unparse(mark) for mark in node.decorator_list]
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    is_property = any(mark.rsplit(".")[-1] in ("property", "cached_property") for mark in marks)
    given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    arrays = tuple(argument.arg for argument in given if argument.annotation and shapeless(argument.annotation))
    if is_property:
        signature = f"{node.name}{returns.replace(' -> ', ': ')}"
    else:
        signature = f"{node.name}({ast.unparse(node.args)}){returns}"
        if len(signature) > 100:
            signature = f"{node.name}(\n    " + ",\n    ".join(arguments(node.args)) + f",\n){returns}"
    kept = [f"@{mark}" for mark in marks if mark in ("classmethod", "staticmethod", "abstractmethod")]
    text = ast.get_docstring(node) or ""
    return Entry(name, "property" if is_property else "function", "\n".join((*kept, signature)), text, arrays)


def arguments(node: ast.arguments) -> list[str]:
    """Every argument as it is written, one by one, with the marks for positional and keyword-only ones."""
    positional = [*node.posonlyargs, *node.args]
    defaults = [None] * (len(positional) - len(node.defaults)) + list(node.defaults)
    texts = []
    for number, (argument, default) in enumerate(zip(positional, defaults, strict=True), start=1):
        texts.append(with_default(argument, default))
        if number == len(node.posonlyargs):
            texts.append("/")
    if node.vararg:
        texts.append(f"*{ast.unparse(node.vararg)}")
    elif node.kwonlyargs:
        texts.append("*")
    texts += [with_default(*pair) for pair in zip(node.kwonlyargs, node.kw_defaults, strict=True)]
    return [*texts, f"**{ast.unparse(node.kwarg)}"] if node.kwarg else texts


def with_default(argument: ast.arg, default: ast.expr | None) -> str:
    """``name: annotation = default``."""
    equals = " = " if argument.annotation else "="
    return ast.unparse(argument) + (f"{equals}{ast.unparse(default)}" if default is not None else "")


def public(name: str) -> bool:
    """Whether a name is meant for others."""
    return not name.startswith("_")


def string_of(node: ast.stmt | None) -> str:
    """The text of a bare string that follows a constant or a field."""
    bare = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return node.value.value.strip() if bare else ""


def shortened(text: str, most: int = 100) -> str:
    """One line of source, cut where it is long."""
    return text if len(text) <= most else text[: most - 4].rstrip() + " ..."


def shapeless(annotation: ast.expr) -> bool:
    """Whether an annotation is an array or tensor without a shape (jaxtyping states one)."""
    text = ast.unparse(annotation)
    return bool(re.fullmatch(r"(np\.ndarray|torch\.Tensor|Tensor)( \| None)?", text))


def states_shape(text: str) -> bool:
    """Whether a text names a shape such as ``(frames, joints, 3)`` or ``(..., 3)``."""
    return bool(re.search(r"\((?:\.\.\.|[\w*+ ]+),(?: ?(?:\.\.\.|[\w*+ /]+),?)*\)", text))


if __name__ == "__main__":
    main()
