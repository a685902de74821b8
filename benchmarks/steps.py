"""Quality against denoising steps: the plain model and its few-step adapter, from twenty steps down to one.

    python benchmarks/steps.py --data STORE --songs FOLDER -o benchmarks/results/steps.json

Every row dances the same songs with the same genres, seeds and refinement; real training dances are what Frechet
distances compare with. Cost is CPU time per second of dance, of the denoising alone and of everything after the song
is read. Rows that the report already holds are not made again, so an interrupted run goes on. A page with the table
goes beside the JSON.
"""

import argparse
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from common import environment, songs_in, write_report

from longdance.choreography.dancer import Dancer
from longdance.choreography.pretrained import load
from longdance.data.store import Store
from longdance.evaluate.dances import of_motion
from longdance.evaluate.measure import Judges, Protocol, Row, measure, row
from longdance.evaluate.songs import real_dances
from longdance.features.song import Song
from longdance.files import atomic_write

GENRES = ("salsa", "commercial", "modern", "breaking", "broadway", "disco", "westcoast", "social")
REAL = "real dances, held out"
STARTS = (5.0, 25.0)
"""Seconds of the songs from which is danced."""
COLUMNS = {
    "fid_k_corrected": ("FID_k", 2),
    "fid_g_corrected": ("FID_g", 2),
    "div_k_corrected": ("Div_k", 2),
    "foot_skating_cm_per_second": ("skating cm/s", 2),
    "mean_jerk": ("jerk m/s^3", 1),
    "mean_joint_speed": ("speed m/s", 2),
    "beat_alignment": ("BAS", 3),
    "genre_recognised": ("genre", 2),
}


@dataclass(frozen=True)
class Way:
    """One row: a model and how it is sampled."""

    model: str
    steps: int
    sampler: str = "dpm2m"
    until: float = 0.0
    """Noise level below which guidance is left out."""

    @property
    def name(self) -> str:
        """As it stands in the table."""
        guided = "" if not self.until else ", unguided" if self.until == 1 else f", guided above {self.until:g}"
        return f"{self.model}, {self.steps} {self.sampler}{guided}"

    def evaluations(self, guided: bool) -> int:
        """Rows of a window that go through the network."""
        if not guided:
            return self.steps
        levels = [1 - i / self.steps for i in range(self.steps)]
        return sum(2 if level > self.until else 1 for level in levels)


def ways(plain: str, fast: str | None) -> list[Way]:
    """The curve of the plain model, cheaper guidance, and the curve of the distilled one."""
    found = [Way(plain, steps) for steps in (20, 10, 6, 4, 2, 1)]
    found += [Way(plain, 6, until=0.5), Way(plain, 4, until=1.0)]
    if fast is not None:
        found += [Way(fast, steps, "ddim") for steps in (6, 4, 2, 1)]
    return found


def danced(model: Dancer, way: Way, songs: list[Song], count: int) -> tuple[list, dict[str, float]]:
    """``count`` dances, songs and genres in turn, and CPU seconds per second of dance."""
    dances, denoising, everything, seconds, gaps = [], 0.0, 0.0, 0.0, []
    for seed in range(count):
        clock = time.process_time()
        last = [clock]

        def told(done: int, total: int, what: str, last=last) -> None:
            last[0] = time.process_time()

        # Another pairing of songs and genres every time round.
        genre = GENRES[(seed + seed // len(GENRES)) % len(GENRES)]
        motion = model.generate(
            songs[seed % len(songs)], genre=genre, seed=seed, steps=way.steps, sampler=way.sampler,
            guidance_until=way.until, progress=told,
        )  # fmt: skip
        everything += time.process_time() - clock
        denoising += last[0] - clock
        seconds += motion.frames / motion.fps
        gaps.append(motion.meta["seam_gap"])
        dances.append(of_motion(motion, name=f"{genre}-{seed}"))
    cost = {"denoising": denoising / seconds, "everything": everything / seconds, "seam_gap": float(np.mean(gaps))}
    return dances, cost


def values_of(found: Row) -> dict:
    """What the table shows of a row, with the margins."""
    return {key: {"value": e.value, "margin": e.margin} for key in COLUMNS for e in (found.estimates[key],)}


def table(rows: dict[str, dict]) -> str:
    """Markdown."""
    heads = [title for title, _ in COLUMNS.values()]
    heads += ["seam cm", "network rows per window", "CPU ms per s: denoising", "everything"]
    lines = ["| | " + " | ".join(heads) + " |", "|---|" + "---|" * len(heads)]
    for name, found in rows.items():
        cells = [f"{found[key]['value']:.{digits}f}" for key, (_, digits) in COLUMNS.items()]
        if "cost" in found:
            cost = found["cost"]
            cells += [f"{100 * cost['seam_gap']:.1f}", str(found["evaluations"])]
            cells += [f"{1000 * cost['denoising']:.0f}", f"{1000 * cost['everything']:.0f}"]
        else:
            cells += ["–"] * 4
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run everything; write JSON and Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--songs", required=True, type=Path)
    parser.add_argument("--plain", default="edmg")
    parser.add_argument("--fast", help="the distilled model, if there is one")
    parser.add_argument("--dances", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("-o", "--out", required=True, type=Path)
    arguments = parser.parse_args()

    asked = {"dances": arguments.dances, "seconds": arguments.seconds}
    report: dict = {**asked, "rows": {}}
    if arguments.out.is_file():
        before = json.loads(arguments.out.read_text())
        if {key: before[key] for key in asked} == asked:
            report["rows"] = before["rows"]

    store = Store.open(arguments.data)
    songs = [Song.load(path, start=s, seconds=arguments.seconds) for s in STARTS for path in songs_in(arguments.songs)]
    protocol, judges = Protocol(fps=store.fps, window=5.0), Judges(store)
    real = [measure(dance, replace(protocol, judged=False)) for dance in real_dances(store, "train")]
    if REAL not in report["rows"]:
        held_out = row(REAL, [measure(dance, protocol, judges) for dance in real_dances(store, "test")], real)
        report["rows"][REAL] = values_of(held_out)
    every = ways(arguments.plain, arguments.fast)
    for way in every:
        if way.name in report["rows"]:
            continue
        model = load(way.model)
        dances, cost = danced(model, way, songs, arguments.dances)
        found = row(way.name, [measure(dance, protocol, judges) for dance in dances], real)
        evaluations = way.evaluations(model.sampling.guided)
        report["rows"][way.name] = values_of(found) | {"cost": cost, "evaluations": evaluations}
        print(way.name, {key: round(found.estimates[key].value, 3) for key in COLUMNS}, flush=True)
        write_report(arguments.out, report)
    rows = {name: report["rows"][name] for name in (REAL, *(way.name for way in every))}
    head = ", ".join(f"{key}: {value}" for key, value in environment().items())
    with atomic_write(arguments.out.with_suffix(".md")) as temporary:
        temporary.write_text(f"# Quality against steps\n\n{head}\n\n{table(rows)}", encoding="utf-8")


if __name__ == "__main__":
    main()
