"""How time grows with length: one denoising step of the paper-sized PMD over 150 to 4800 frames.

    OMP_NUM_THREADS=1 python benchmarks/length.py -o benchmarks/results/length.json

Median and spread of several repetitions after a warm-up, float32, in CPU seconds of one thread, so that a busy machine
counts less. Linear cost means t(2400) / t(600) near 4.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch
from common import write_report

from longdance.models.pmd import Conditions, ParallelMambaDenoiser, PMDConfig

FRAMES = (150, 300, 600, 1200, 2400, 4800)


def seconds_per_step(network: ParallelMambaDenoiser, frames: int, *, repeats: int) -> list[float]:
    """CPU time of single forward passes over a window of ``frames``, batch 1."""
    config = network.config
    conditions = Conditions(
        torch.randn(1, frames, config.music_channels),
        torch.randn(1, 2, config.text_width),
        torch.ones(1, 2, dtype=torch.bool),
        torch.ones(1, dtype=torch.bool),
    )
    noisy, step = torch.randn(1, frames, config.features), torch.tensor([500])
    times = []
    for _ in range(repeats + 1):
        clock = time.process_time()
        network(noisy, step, conditions)
        times.append(time.process_time() - clock)
    return times[1:]


def main() -> None:
    """Measure and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("-o", "--out", required=True, type=Path)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    network = ParallelMambaDenoiser(PMDConfig()).eval()
    rows = {}
    with torch.no_grad():
        for frames in FRAMES:
            times = seconds_per_step(network, frames, repeats=arguments.repeats)
            rows[frames] = {"median": statistics.median(times), "fastest": min(times), "slowest": max(times)}
            print(frames, rows[frames], flush=True)
    ratio = rows[2400]["median"] / rows[600]["median"]
    longer = rows[4800]["median"] / rows[1200]["median"]
    print(f"t(2400) / t(600) = {ratio:.2f}, t(4800) / t(1200) = {longer:.2f}")
    report = {
        "threads": torch.get_num_threads(),
        "network": network.config.model_dump(),
        "parameters": sum(p.numel() for p in network.parameters()),
        "seconds_per_step": rows,
        "ratio_2400_600": ratio,
        "ratio_4800_1200": longer,
    }
    write_report(arguments.out, report)


if __name__ == "__main__":
    main()
