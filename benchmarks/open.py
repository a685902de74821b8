"""The open benchmark: every system on the held-out songs of the open data, at three lengths. See docs/benchmark.md.

    longdance prepare open --source DATA -o STORE
    python benchmarks/open.py --data STORE --songs SONGS --systems edmg lodge edge ... -o benchmarks/results/open.json

A model has a row for its networks alone, with energies in the sampler, and cleaned, as in ``longdance evaluate``. SONGS
holds songs with beats that are known from elsewhere (NAME.ogg, NAME.beats); without it all dance to the bundled song.
Dances are kept in ``--work`` and used again, so an interrupted run goes on; a system that cannot be loaded is named and
left out. ``--cost`` takes a JSON file of system to what its training took, which goes into the table as it is.
"""

import argparse
import json
from pathlib import Path

from common import environment, write_report

from longdance.choreography.request import DanceRequest
from longdance.data.store import Store
from longdance.errors import InputError
from longdance.evaluate.measure import Protocol
from longdance.evaluate.report import ARROWS, as_record, cell, heading, measure_of, ordered, shown_title
from longdance.evaluate.report import write_report as write_pages
from longdance.evaluate.run import Asked, Evaluation, evaluate
from longdance.files import atomic_write

PARTS = {
    "10 s at 60 fps": {"seconds": 10.0, "fps": 60.0, "variants": ("bailando", "corrected")},
    "34 s at 30 fps": {"seconds": 1024 / 30, "fps": 30.0, "variants": ("lodge", "corrected")},
    "3 min at 30 fps": {"seconds": 180.0, "fps": 30.0, "variants": ("lodge", "corrected"), "songs": 4, "seeds": 1},
}
"""Lengths and rates of EDMG and Lodge, and one that shows whether a dance lasts."""


def main() -> None:
    """Run everything and write JSON and Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--systems", nargs="+", required=True, help="names of models, or folders")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--songs", type=Path, help="folder of songs, NAME.beats beside; the bundled song if none")
    parser.add_argument("--steps", type=int, help="of diffusion models; each one's own if not given")
    parser.add_argument("--most-songs", type=int, help="at most so many songs, for a trial")
    parser.add_argument("--no-exchange", action="store_true", help="leave out the dances that exchange songs and words")
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--seconds", type=float, help="instead of the parts' own lengths, for a trial")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--cost", type=Path, help="JSON: system to training cost in words")
    parser.add_argument("--work", type=Path, default=Path("open-benchmark"))
    parser.add_argument("-o", "--out", required=True, type=Path)
    arguments = parser.parse_args()
    store = Store.open(arguments.data)
    cost = json.loads(arguments.cost.read_text()) if arguments.cost else {}
    systems, failed = usable(arguments.systems)
    report: dict = {"failed": failed, "training_cost": cost, "parts": {}}
    pages = ["# Open benchmark", "", ", ".join(f"{key}: {value}" for key, value in environment().items()), ""]
    for part in arguments.parts:
        settings = PARTS[part]
        found = evaluate(
            systems,
            store,
            arguments.work / part.replace(" ", "-"),
            protocol=Protocol(fps=settings["fps"], variants=settings["variants"], joints=22),
            asked=Asked(
                seeds=tuple(range(min(arguments.seeds, settings.get("seeds", arguments.seeds)))),
                seconds=arguments.seconds or settings["seconds"],
                request=DanceRequest(steps=arguments.steps, device=arguments.device),
                songs=arguments.most_songs or settings.get("songs"),
                exchange=not arguments.no_exchange,
            ),
            songs=arguments.songs,
            progress=lambda done, total, what, part=part: print(part, what, total, flush=True) if not done else None,
        )
        write_pages(found, arguments.work / part.replace(" ", "-"))
        record = as_record(found)
        for row in record["rows"].values():  # of single dances the report in --work tells
            row.pop("each", None)
        report["parts"][part] = record
        failed |= found.failed
        pages += [f"## {part}", "", *heading(found), "", *table(found, cost), ""]
        write_report(arguments.out, report)
    if failed:
        pages += ["## Left out", "", *(f"- {name}: {reason}" for name, reason in failed.items())]
    with atomic_write(arguments.out.with_suffix(".md")) as temporary:
        temporary.write_text("\n".join(pages) + "\n", encoding="utf-8")


def usable(systems: list[str]) -> tuple[list[str], dict[str, str]]:
    """The systems that can be loaded, and what is wrong with the others."""
    from longdance.choreography.pretrained import load

    good, failed = [], {}
    for system in systems:
        try:
            load(system)
            good.append(system)
        except InputError as error:
            failed[system] = str(error)
    return good, failed


def table(found: Evaluation, cost: dict[str, str]) -> list[str]:
    """One line per row, one column per measure, with what training cost the row's system."""
    keys = ordered(found)
    titles = " | ".join(f"{shown_title(key)} {ARROWS[measure_of(key).better]}" for key in keys)
    lines = [f"| system | dances | training | {titles} |", "|---|---|---|" + "---|" * len(keys)]
    systems = {row: name for name, about in found.about["systems"].items() for row in about.get("rows", [name])}
    for row in found.rows:
        trained = cost.get(systems.get(row.name, row.name), "–")
        cells = " | ".join(cell(row, key) for key in keys)
        lines.append(f"| {row.name} | {row.dances} | {trained} | {cells} |")
    return lines


if __name__ == "__main__":
    main()
