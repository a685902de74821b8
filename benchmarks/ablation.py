"""What EDMG's parts are worth: the same dances with and without TRM, LIM, PMM and the second direction of the scan.

    python benchmarks/ablation.py --data STORE --songs FOLDER --trm edmg --runs RUNS -o benchmarks/results/ablation.json

Two tables. With and without TRM: one model with its module. The other parts: RUNS holds the trained ablation recipes
(`full`, `without-lim`, `without-pmm`, `forward-only`), small networks that differ in the named part alone. All dances
are as the networks make them: neither bent to the beats nor held on the floor. Songs are held out, seeds are shared,
real training dances are what Frechet distances compare with. A page of tables goes beside the JSON.
"""

import argparse
import time
from pathlib import Path

import torch
from common import environment, songs_in, write_report

from longdance.choreography.dancer import Dancer
from longdance.choreography.pretrained import load
from longdance.data.store import Store
from longdance.evaluate.dances import of_motion
from longdance.evaluate.measure import Protocol, measure, row
from longdance.evaluate.songs import real_dances
from longdance.features.song import Song
from longdance.files import atomic_write
from longdance.models.conditions import Conditions

GENRES = ("salsa", "commercial", "modern", "breaking", "freestyle")
RECIPES = ("full", "without-lim", "without-pmm", "forward-only")
COLUMNS = {
    "fid_k_corrected": "FID_k",
    "fid_g_corrected": "FID_g",
    "div_k_corrected": "Div_k",
    "physical_foot_contact": "PFC",
    "physical_body_contact": "PBC",
    "mean_jerk": "jerk m/s^3",
    "mean_joint_speed": "speed m/s",
    "foot_skating_cm_per_second": "skating cm/s",
}
BATCH, WINDOW = 8, 150


def dances(model: Dancer, songs: list[Song], trm: bool, count: int) -> list:
    """Measures of ``count`` dances: songs in turn, genres in turn, one seed each, the same for every row."""
    protocol = Protocol(fps=model.fps, judged=False, window=5.0)
    found = []
    for seed in range(count):
        song, genre = songs[seed % len(songs)], GENRES[seed // len(songs) % len(GENRES)]
        motion = model.generate(song, genre=genre, seed=seed, trm=trm, cleanup=False)
        found.append(measure(of_motion(motion, name=f"{genre}-{seed}"), protocol))
    return found


def training_step_seconds(model: Dancer, *, repeats: int = 3) -> float:
    """CPU seconds of a forward and a backward pass over a batch of windows, in bf16 where the recipe trains so."""
    network, config = model.checkpoint.network, model.checkpoint.network.config
    network.train().requires_grad_(True)
    given = Conditions(
        torch.randn(BATCH, WINDOW, config.music_channels),
        torch.randn(BATCH, 2, config.text_width),
        torch.ones(BATCH, 2, dtype=torch.bool),
        torch.ones(BATCH, dtype=torch.bool),
    )
    taken = []
    for _ in range(repeats + 1):
        clock = time.process_time()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            clean = network(torch.randn(BATCH, WINDOW, config.features), torch.full((BATCH,), 500), given)
        clean.float().square().mean().backward()
        taken.append(time.process_time() - clock)
    network.eval().requires_grad_(False)
    return min(taken[1:])


def table(rows: dict[str, dict]) -> str:
    """Markdown."""
    extra = ("parameters", "training_step_cpu_seconds")
    lines = ["| | " + " | ".join((*COLUMNS.values(), "parameters", "CPU s per training step")) + " |"]
    lines.append("|---|" + "---|" * (len(COLUMNS) + len(extra)))
    for name, found in rows.items():
        cells = [f"{found[key]['value']:.2f} ± {found[key]['margin']:.2f}" for key in COLUMNS]
        cells += [f"{found['parameters'] / 1e6:.2f} M", f"{found['training_step_cpu_seconds']:.2f}"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run everything; write JSON and Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--songs", required=True, type=Path)
    parser.add_argument("--trm", default="edmg")
    parser.add_argument("--runs", required=True, type=Path)
    parser.add_argument("--dances", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("-o", "--out", required=True, type=Path)
    arguments = parser.parse_args()

    store = Store.open(arguments.data)
    songs = [
        Song.load(path, start=start, seconds=arguments.seconds)
        for start in (5.0, 25.0)
        for path in songs_in(arguments.songs)
    ]
    protocol = Protocol(fps=store.fps, judged=False, window=5.0)
    real = [measure(dance, protocol) for dance in real_dances(store, "train")]

    def measured(name: str, model: Dancer, trm: bool) -> dict:
        found = row(name, dances(model, songs, trm, arguments.dances), real)
        own = {key: {"value": e.value, "margin": e.margin} for key in COLUMNS for e in (found.estimates[key],)}
        own["parameters"] = sum(p.numel() for p in model.checkpoint.network.parameters())
        own["training_step_cpu_seconds"] = training_step_seconds(model)
        own["trained_steps"] = model.checkpoint.config.trained_steps
        print(name, {key: round(value["value"], 3) for key, value in own.items() if key in COLUMNS}, flush=True)
        return own

    model = load(arguments.trm)
    refined = {
        "full": measured("full", model, True),
        "without TRM": measured("without TRM", model, False),
    }
    parts = {
        name: measured(name, load(arguments.runs / name), False)
        for name in RECIPES
        if (arguments.runs / name / "config.json").is_file()
    }
    report = {"dances": arguments.dances, "seconds": arguments.seconds, "refinement": refined, "parts": parts}
    write_report(arguments.out, report)
    page = arguments.out.with_suffix(".md")
    steps = next(iter(parts.values()))["trained_steps"] if parts else 0
    lines = [
        "# What EDMG's parts are worth\n",
        f"{arguments.dances} dances of {arguments.seconds:g} s to held-out songs per row, as the networks make them;",
        "intervals of 95 % over dances.\n",
        f"## {arguments.trm}, with and without TRM\n",
        table(refined),
        f"## Small networks after {steps} steps each\n",
        table(parts),
        f"{environment()['date']}, {environment()['hardware']}",
    ]
    with atomic_write(page) as temporary:
        temporary.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
