"""Does every measure move as it should when a real dance is damaged in a known way?

    python benchmarks/sanity.py --data STORE -o benchmarks/results/sanity.json

The held-out real dances against themselves, backwards, frozen, jittered, slid, sunk, floated, with shifted beats, to
the beats of another song, and bent onto these. A page of tables goes beside the JSON; measures that miss the damage are
named there. Exchange is tried on dancers who ignore the song, with and without bent time, and on one who heeds it.
"""

import argparse
import math
import tempfile
from pathlib import Path

from common import environment, write_report

from longdance.data.store import Store
from longdance.evaluate.distortions import AGAINST, DISTORTIONS, EXPECTED, heeding, ignoring, moves_as
from longdance.evaluate.measure import Protocol, measured, row
from longdance.evaluate.report import title_of
from longdance.evaluate.songs import real_dances
from longdance.files import atomic_write
from longdance.metrics.exchange import exchange, exchange_in_beats


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
    verdicts = {}
    for name, expected in EXPECTED.items():
        plain, after = values[AGAINST.get(name, "itself")], values[name]
        verdicts[name] = {
            key: {
                "expected": way, "before": plain[key], "after": after[key],
                "holds": moves_as(way, plain[key], after[key]),
            }
            for key, way in expected.items()
        }  # fmt: skip
    clean = {n: {k: v if math.isfinite(v) else None for k, v in part.items()} for n, part in values.items()}
    heard = exchanged(real)
    write_report(arguments.out, {"dances": len(real), "values": clean, "verdicts": verdicts, "exchange": heard})
    with atomic_write(arguments.out.with_suffix(".md")) as temporary:
        temporary.write_text(page(values, verdicts, len(real), heard), encoding="utf-8")


def exchanged(dances: list) -> dict[str, dict[str, float]]:
    """Exchange of dancers whose answer to the song is known."""
    fps = dances[0].fps
    tried = {
        "ignores the song": ignoring(dances, bending=False),
        "ignores the song, time bent to its beats": ignoring(dances, bending=True),
        "dances anew to every song": heeding(dances),
    }
    return {
        name: {"exchange": exchange(danced), "exchange_in_beats": exchange_in_beats(danced, beats, fps)}
        for name, (danced, beats) in tried.items()
    }


def page(values: dict, verdicts: dict, dances: int, heard: dict) -> str:
    """The tables, for people."""
    lines = ["# Sanity of the measures", "", f"{dances} held-out real dances. {environment()['date']}.", ""]
    lines += ["| damage | measure | should be | before | after | |", "|---|---|---|---|---|---|"]
    for name, part in verdicts.items():
        for key, verdict in part.items():
            said = "" if verdict["holds"] else "**blind or misled**"
            numbers = f"{verdict['before']:.4g} | {verdict['after']:.4g}"
            lines.append(f"| {name} | {title_of(key)} | {verdict['expected']} | {numbers} | {said} |")
    lines += ["", "Time that is bent is compared with another song.", ""]
    lines += ["| dancer | exchange, seconds | exchange, beats |", "|---|---|---|"]
    for name, found in heard.items():
        lines.append(f"| {name} | {found['exchange']:.3g} | {found['exchange_in_beats']:.3g} |")
    lines += ["", "| measure | " + " | ".join(values) + " |", "|---|" + "---|" * len(values)]
    for key in values["itself"]:
        cells = " | ".join(f"{part.get(key, math.nan):.4g}" for part in values.values())
        lines.append(f"| {title_of(key)} | {cells} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
