"""Does every measure move as it should when a real dance is damaged in a known way?

    python benchmarks/sanity.py --data STORE -o benchmarks/results/sanity.json

The held-out real dances against themselves, backwards, frozen, jittered, slid, sunk, and with shifted beats. A page of
tables goes beside the JSON; measures that miss the damage are named there.
"""

import argparse
import math
import tempfile
from pathlib import Path

from common import environment, write_report

from longdance.data.store import Store
from longdance.evaluate.distortions import DISTORTIONS, EXPECTED, moves_as
from longdance.evaluate.measure import Protocol, measured, row
from longdance.evaluate.report import title_of
from longdance.evaluate.songs import real_dances
from longdance.files import atomic_write


def main() -> None:
    """Measure everything and write JSON and Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "longdance-sanity")
    parser.add_argument("-o", "--out", required=True, type=Path)
    arguments = parser.parse_args()
    store = Store.open(arguments.data)
    protocol = Protocol(fps=store.fps, judged=False)

    def measures(dances):
        return [measured(dance, protocol, None, arguments.cache, context=store.fingerprint) for dance in dances]

    reference, real = measures(real_dances(store, "train")), real_dances(store, arguments.split)
    values: dict[str, dict[str, float]] = {}
    for name, damage in DISTORTIONS.items():
        found = row(name, measures([damage(dance) for dance in real]), reference)
        values[name] = {key: estimate.value for key, estimate in found.estimates.items()}
        print(name, flush=True)
    plain = values["itself"]
    verdicts = {
        name: {
            key: {"expected": way, "before": plain[key], "after": values[name][key],
                  "holds": moves_as(way, plain[key], values[name][key])}
            for key, way in expected.items()
        }
        for name, expected in EXPECTED.items()
    }  # fmt: skip
    clean = {n: {k: v if math.isfinite(v) else None for k, v in part.items()} for n, part in values.items()}
    write_report(arguments.out, {"dances": len(real), "values": clean, "verdicts": verdicts})
    with atomic_write(arguments.out.with_suffix(".md")) as temporary:
        temporary.write_text(page(values, verdicts, len(real)), encoding="utf-8")


def page(values: dict, verdicts: dict, dances: int) -> str:
    """Both tables, for people."""
    lines = ["# Sanity of the measures", "", f"{dances} held-out real dances. {environment()['date']}.", ""]
    lines += ["| damage | measure | should be | before | after | |", "|---|---|---|---|---|---|"]
    for name, part in verdicts.items():
        for key, verdict in part.items():
            said = "" if verdict["holds"] else "**blind or misled**"
            numbers = f"{verdict['before']:.4g} | {verdict['after']:.4g}"
            lines.append(f"| {name} | {title_of(key)} | {verdict['expected']} | {numbers} | {said} |")
    lines += ["", "| measure | " + " | ".join(values) + " |", "|---|" + "---|" * len(values)]
    for key in values["itself"]:
        cells = " | ".join(f"{part.get(key, math.nan):.4g}" for part in values.values())
        lines.append(f"| {title_of(key)} | {cells} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
