"""One denoising step of the paper-sized networks over 150 to 4800 frames: time and peak memory.

    export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=2000000000
    OMP_NUM_THREADS=1 python benchmarks/length.py -o benchmarks/results/length.json

Three networks: PMD, the EDGE transformer, and PMD with the first Mamba's frame-by-frame scan in the place of its PMM.
A step is a guided prediction as a model makes it by default, one window and two batch rows, all of the network from
the music to the motion (in use the music is heard once for all steps). The networks take turns within every repetition,
so that whatever else the machine does hits all of them; medians count. On a CPU time is that of the process over all
its threads (with one thread, a busy neighbour counts little), on a GPU that of the wall. Peak memory is what a step
needs beyond the weights: resident memory of a process of its own (Linux), or the allocator's.

The settings of malloc have the GNU C library use freed memory again. By its defaults it hands back blocks of over
32 MiB, as PMD's are from 2400 frames on, and then a third of the step is the kernel zeroing pages.
"""

import argparse
import ctypes
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from common import write_report
from torch import nn

from longdance.choreography.generators.edge import MUSIC_GUIDANCE
from longdance.diffusion.guidance import Guidance, guided
from longdance.models.conditions import Conditions
from longdance.models.edge import EDGEDenoiser, EDGEDenoiserConfig
from longdance.models.pmd import ParallelMambaDenoiser, PMDConfig

FRAMES = (150, 300, 600, 1200, 2400, 4800)
SEQUENTIAL = "pmd without PMM"
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "pmd": lambda: ParallelMambaDenoiser(PMDConfig()),
    "edge": lambda: EDGEDenoiser(EDGEDenoiserConfig(fps=60.0)),
    SEQUENTIAL: lambda: ParallelMambaDenoiser(PMDConfig(mixer="sequential")),
}
WEIGHTS = {"edge": (MUSIC_GUIDANCE, MUSIC_GUIDANCE)}
"""Guidance weights of music and text where they are not the defaults."""
MEBIBYTE = 2**20


def random_conditions(network: nn.Module, frames: int, *, batch: int = 1, device: str = "cpu") -> Conditions:
    """Conditions of the right shapes."""
    config = network.config
    return Conditions(
        torch.randn(batch, frames, config.music_channels, device=device),
        torch.randn(batch, 2, config.text_width, device=device),
        torch.ones(batch, 2, dtype=torch.bool, device=device),
        torch.ones(batch, dtype=torch.bool, device=device),
    )


def step_of(name: str, network: nn.Module, frames: int, *, device: str) -> Callable[[], torch.Tensor]:
    """One guided prediction for a window."""
    music, text = WEIGHTS.get(name, (Guidance().music, Guidance().text))
    conditions = random_conditions(network, frames, device=device)
    noisy = torch.randn(1, frames, network.config.features, device=device)
    return lambda: guided(network, conditions, music_weight=music, text_weight=text)(noisy, 500)


def seconds_of(step: Callable[[], object], *, device: str) -> float:
    """Time of one call: of the process on a CPU, of the wall on a GPU."""
    if device != "cpu":
        torch.cuda.synchronize()
    clock = time.process_time if device == "cpu" else time.perf_counter
    start = clock()
    step()
    if device != "cpu":
        torch.cuda.synchronize()
    return clock() - start


def peak_memory(step: Callable[[], object], *, device: str) -> float:
    """MiB that a call needs beyond what is there before it."""
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        return (torch.cuda.max_memory_allocated() - before) / MEBIBYTE
    ctypes.CDLL(None).malloc_trim(0)  # free memory left behind would hide what the step needs
    context = multiprocessing.get_context("fork")
    answer = context.SimpleQueue()
    child = context.Process(target=_tell_peak, args=(step, answer))
    child.start()
    child.join()
    if child.exitcode:
        raise MemoryError(f"a process that measured memory ended with {child.exitcode}")
    return answer.get()


def _tell_peak(step: Callable[[], object], answer: multiprocessing.SimpleQueue) -> None:
    def resident(entry: str) -> float:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(entry))

    torch.set_num_threads(1)  # the parent's threads do not live on in a fork
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
    before = resident("VmRSS")
    with torch.inference_mode():
        step()
    answer.put(resident("VmHWM") - before)


def linear_fit(frames: list[int], values: list[float]) -> dict[str, float]:
    """Least-squares line and how much of the variance it explains."""
    slope, intercept = np.polyfit(frames, values, 1)
    left = np.square(np.polyval((slope, intercept), frames) - values).sum()
    return {
        "per_frame": float(slope),
        "constant": float(intercept),
        "r_squared": float(1 - left / np.square(np.asarray(values) - np.mean(values)).sum()),
    }


def measure(networks: dict[str, nn.Module], frames: int, arguments: argparse.Namespace, device: str) -> dict[str, dict]:
    """Name to time and memory of a step over ``frames``."""
    steps = {name: step_of(name, network, frames, device=device) for name, network in networks.items()}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        if frames == min(arguments.frames) or device != "cpu":  # a CPU needs no more warming up than this
            step()
    for _ in range(arguments.repeats):
        for name, step in steps.items():
            if sum(times[name]) < arguments.patience:
                times[name].append(seconds_of(step, device=device))
    rows = {}
    for name, taken in times.items():
        rows[name] = {
            "median": statistics.median(taken),
            "fastest": min(taken),
            "slowest": max(taken),
            "repeats": len(taken),
            "peak_mib": peak_memory(steps[name], device=device),
        }
        print(name, frames, {key: round(value, 4) for key, value in rows[name].items()}, flush=True)
    return rows


def summary(rows: dict[str, dict[int, dict[str, float]]]) -> dict[str, dict]:
    """Ratios between networks and lengths, and lines through each network's times and memory."""
    median = {name: {frames: row["median"] for frames, row in found.items()} for name, found in rows.items()}
    ratios: dict[str, float] = {}
    for name, own in median.items():
        for frames, value in own.items():
            if name != "edge" and frames in median.get("edge", {}):
                ratios[f"{name} / edge at {frames}"] = value / median["edge"][frames]
            if frames // 4 in own:
                ratios[f"{name}: {frames} / {frames // 4} frames"] = value / own[frames // 4]
    fits = {
        name: {key: linear_fit(list(found), [row[key] for row in found.values()]) for key in ("median", "peak_mib")}
        for name, found in rows.items()
        if len(found) > 2
    }
    return {"ratios": ratios, "linear_fits": fits}


def main() -> None:
    """Measure and write one JSON file, anew after every length."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--frames", nargs="+", type=int, default=list(FRAMES))
    parser.add_argument("--longest-sequential", type=int, default=max(FRAMES), help="frames; beyond it is not run")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--patience", type=float, default=60.0, help="seconds after which a case is not repeated")
    parser.add_argument("--bf16", action="store_true", help="under bf16 autocast, as models sample where it is fast")
    parser.add_argument("-o", "--out", required=True, type=Path)
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    networks = {name: NETWORKS[name]().eval().to(device) for name in arguments.networks}
    report = {
        "threads": torch.get_num_threads(),
        "malloc": {name: value for name, value in os.environ.items() if name.startswith("MALLOC_")},
        "precision": "bf16 autocast" if arguments.bf16 else "float32",
        "clock": "CPU seconds of the process" if device == "cpu" else "wall seconds",
        "networks": {name: network_card(network) for name, network in networks.items()},
    }
    rows: dict[str, dict[int, dict[str, float]]] = {name: {} for name in networks}
    for frames in sorted(arguments.frames):
        now = {
            name: network
            for name, network in networks.items()
            if name != SEQUENTIAL or frames <= arguments.longest_sequential
        }
        with torch.inference_mode(), torch.autocast(device, dtype=torch.bfloat16, enabled=arguments.bf16):
            found = measure(now, frames, arguments, device)
        for name, row in found.items():
            rows[name][frames] = row
        write_report(arguments.out, {**report, "rows": rows, **summary(rows)})
    print(summary(rows)["ratios"])


def network_card(network: nn.Module) -> dict:
    """Sizes of a network."""
    return {"parameters": sum(p.numel() for p in network.parameters()), **network.config.model_dump()}


if __name__ == "__main__":
    main()
