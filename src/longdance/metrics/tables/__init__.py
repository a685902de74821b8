"""The papers' tables as data (JSON files beside this one), so that a report can put paper and own numbers together."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Literal

from longdance.errors import InputError

PAPERS = ("edmg", "lodge")


@dataclass(frozen=True)
class Column:
    """What a column of numbers measures."""

    key: str
    """Name by which own results give it, such as ``fid_k``."""
    title: str
    better: Literal["lower", "higher", "none"]


@dataclass(frozen=True, kw_only=True)
class PaperTable:
    """One table of a paper."""

    paper: str
    number: int
    title: str
    data: str
    """The data set."""
    columns: tuple[Column, ...]
    rows: Mapping[str, Mapping[str, float | None]]
    """Name of a method to its numbers by column key; None where the paper has none."""
    notes: tuple[str, ...]

    def beside(self, own: Mapping[str, Mapping[str, float]]) -> str:
        """The table in Markdown, every number of the paper with our own beside it, blank where there is none.

        ``own`` maps rows to numbers by column key; rows that the paper does not have come last. ``InputError`` for a
        key that is no column.
        """
        known = {column.key for column in self.columns}
        strange = sorted({key for numbers in own.values() for key in numbers} - known)
        if strange:
            raise InputError(
                f"expected columns of table {self.number} of {self.paper} ({', '.join(sorted(known))}), "
                f"got {', '.join(strange)}"
            )
        arrow = {"lower": " ↓", "higher": " ↑", "none": ""}
        head = ["Method"]
        for column in self.columns:
            head += [f"{column.title}{arrow[column.better]}", "own"]
        lines = [head, ["---"] * len(head)]
        for name in dict.fromkeys((*self.rows, *own)):
            cells = [name]
            for column in self.columns:
                paper, ours = self.rows.get(name, {}).get(column.key), own.get(name, {}).get(column.key)
                cells += ["" if value is None else f"{value:g}" for value in (paper, ours)]
            lines.append(cells)
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


@lru_cache(maxsize=len(PAPERS))
def paper_tables(paper: str) -> Mapping[int, PaperTable]:
    """The tables of a paper (``edmg`` or ``lodge``) by number; ``InputError`` for another name."""
    if paper not in PAPERS:
        raise InputError(f"expected a paper among {', '.join(PAPERS)}, got {paper!r}")
    record = json.loads((files(__name__) / f"{paper}.json").read_text(encoding="utf-8"))
    return {
        table["number"]: PaperTable(
            paper=paper,
            number=table["number"],
            title=table["title"],
            data=table["data"],
            columns=tuple(Column(**column) for column in table["columns"]),
            rows={row["name"]: row["values"] for row in table["rows"]},
            notes=tuple(table["notes"]),
        )
        for table in record["tables"]
    }
