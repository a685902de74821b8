"""What can be added by adding a file: samplers, exporters, datasets, networks, dancers, recipes, edits.

A module offers something by a literal at its top level:

    REGISTER = {"sampler": {"ddim": {"make": "DDIM", "about": "deterministic, first order"}}}

or, where names follow from attributes, ``REGISTER = {"recipe": ("edmg_open",)}``, which is called edmg-open.
Registries read such literals without importing the modules, so that ``--help`` and menus know every name and what it is
without waiting for torch. What is asked for is imported then.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent
_LITERAL = re.compile(r"^REGISTER = (\{[^\n]+\}$|\{\n.*?^\})", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Entry:
    """A name, and where what it stands for is found."""

    name: str
    module: str
    make: str
    """Attribute of the module."""
    about: str = ""
    """One line for people."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else is known without an import."""

    def load(self) -> Any:
        """The thing itself; its module is imported."""
        return getattr(import_module(self.module), self.make)


class Registry(Mapping[str, Any]):
    """Names of one kind of thing to the things, found in the modules of a package of longdance.

    ``registry[name]`` imports; ``registry.entry(name)`` and iteration do not. Names are in the order of their
    ``order`` facts, then of the alphabet.
    """

    def __init__(self, kind: str, package: str):
        self.kind, self.package = kind, package
        self._added: dict[str, Entry] = {}

    def add(self, name: str, target: str, *, about: str = "", **facts: Any) -> None:
        """Offer ``target`` ("module:attribute"), from wherever it is."""
        module, _, make = target.partition(":")
        self._added[name] = Entry(name, module, make, about, facts)

    def remove(self, name: str) -> None:
        """Take back what was offered by ``add``."""
        del self._added[name]

    def entry(self, name: str) -> Entry:
        """What is known of a name without an import; ``KeyError`` for unknown ones."""
        return self._entries()[name]

    def entries(self) -> list[Entry]:
        """All of them, in order."""
        return list(self._entries().values())

    def names(self, separator: str = ", ") -> str:
        """All names, for messages and help."""
        return separator.join(self)

    def __getitem__(self, name: str) -> Any:
        return self._entries()[name].load()

    def __contains__(self, name: object) -> bool:
        return name in self._entries()

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries())

    def __len__(self) -> int:
        return len(self._entries())

    def _entries(self) -> dict[str, Entry]:
        return self._found | self._added

    @cached_property
    def _found(self) -> dict[str, Entry]:
        found: list[Entry] = []
        for path in sorted(ROOT.joinpath(*self.package.split(".")).glob("*.py")):
            if literal := _LITERAL.search(path.read_text(encoding="utf-8")):
                module = f"longdance.{self.package}.{path.stem}"
                offered = ast.literal_eval(literal[1]).get(self.kind, {})
                if isinstance(offered, tuple):
                    offered = {make.replace("_", "-"): {"make": make} for make in offered}
                for name, facts in offered.items():
                    known = dict(facts)
                    found.append(Entry(name, module, known.pop("make"), known.pop("about", ""), known))
        found.sort(key=lambda entry: (entry.facts.get("order", 100), entry.name))
        return {entry.name: entry for entry in found}


SAMPLERS = Registry("sampler", "diffusion")
"""Step rules of the sampling loop; each call makes a fresh one."""
DENOISERS = Registry("denoiser", "models")
"""Networks that take (noisy, step, conditions) and return clean motion; ``config`` names their configuration."""
FORWARD_NETWORKS = Registry("forward", "models")
"""Networks that make a dance forward in time; ``config`` names their configuration."""
DANCERS = Registry("dancer", "choreography.generators")
"""Kinds of networks that dance to what makes a ``Dancer`` of their checkpoint."""
EDITS = Registry("edit", "choreography.edits")
"""Names of edits; ``needs`` and ``takes`` are fields they cannot and can do without, ``model`` whether one makes
something anew."""
DATASETS = Registry("dataset", "prepare")
"""Data sets that can be prepared."""
FORMATS = Registry("format", "export")
"""Formats by name, to functions of an ``export.job.Job``. ``ending`` of a file's name where it is not the format's,
``aliases`` other endings, ``up`` and ``unit`` axes and units it can have (the usual one first), ``sound`` whether it
holds the song, ``takes`` several dances, ``bones`` bones that can be named, and one on the floor,
``humanoid`` bones that must all be there, ``hands`` a mannequin whose hands bend,
``dancers`` groups."""
RECIPES = Registry("recipe", "train")
"""Functions that return a training's configuration."""
