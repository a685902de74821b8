"""One denoising step of the paper-sized networks over 150 to 4800 frames: time and peak memory.

    export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=2000000000
    OMP_NUM_THREADS=1 python benchmarks/length.py -o benchmarks/results/length.json
    OMP_NUM_THREADS=1 python benchmarks/length.py --dtype bfloat16 --networks pmd edge --frames 600 2400 -o FILE

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
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from common import environment
from torch import nn

from longdance.choreography.generators.edge import MUSIC_GUIDANCE
from longdance.diffusion.guidance import Guidance, guided
from longdance.files import atomic_write
from longdance.models.conditions import Conditions
from longdance.models.edge import EDGEDenoiser, EDGEDenoiserConfig
from longdance.models.pmd import ParallelMambaDenoiser, PMDConfig
from longdance.models.precision import multiplies_bf16

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


def measure(networks: dict[str, nn.Module], frames: int, arguments: argparse.Namespace, device: str) -> list[dict]:
    """A row for every network: time and memory of a step over ``frames``."""
    steps = {name: step_of(name, network, frames, device=device) for name, network in networks.items()}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        if frames == min(arguments.frames) or device != "cpu":  # a CPU needs no more warming up than this
            step()
    for _ in range(arguments.repeats):
        for name, step in steps.items():
            if sum(times[name]) < arguments.patience:
                times[name].append(seconds_of(step, device=device))
    return [
        {
            "network": name,
            "frames": frames,
            "seconds": statistics.median(taken),
            "fastest": min(taken),
            "slowest": max(taken),
            "repeats": len(taken),
            "peak_mib": peak_memory(steps[name], device=device),
        }
        for name, taken in times.items()
    ]


def ratios(rows: list[dict]) -> dict[str, float]:
    """Of times: networks to EDGE at a length, and a length to its quarter."""
    seconds = {(row["network"], row["frames"]): row["seconds"] for row in rows}
    found = {}
    for (name, frames), value in seconds.items():
        if name != "edge" and ("edge", frames) in seconds:
            found[f"{name} / edge at {frames}"] = value / seconds["edge", frames]
        if (name, frames // 4) in seconds:
            found[f"{name}: {frames} / {frames // 4} frames"] = value / seconds[name, frames // 4]
    return found


def main() -> None:
    """Measure and write a list of rows, anew after every length."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--frames", nargs="+", type=int, default=list(FRAMES))
    parser.add_argument("--longest-sequential", type=int, default=max(FRAMES), help="frames; beyond it is not run")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--patience", type=float, default=60.0, help="seconds after which a case is not repeated")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="of weights")
    parser.add_argument("-o", "--out", required=True, type=Path)
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    dtype = getattr(torch, arguments.dtype)
    networks = {name: NETWORKS[name]().eval().to(device, dtype) for name in arguments.networks}
    circumstances = {
        "dtype": arguments.dtype,
        "bf16_in_hardware": multiplies_bf16(device),
        "threads": torch.get_num_threads(),
        "malloc": {name: value for name, value in os.environ.items() if name.startswith("MALLOC_")},
        "clock": "CPU seconds of the process" if device == "cpu" else "wall seconds",
        **environment(),
    }
    rows: list[dict] = []
    for frames in sorted(arguments.frames):
        now = {
            name: network
            for name, network in networks.items()
            if name != SEQUENTIAL or frames <= arguments.longest_sequential
        }
        with torch.inference_mode():
            found = measure(now, frames, arguments, device)
        for row in found:
            print({name: round(value, 4) if isinstance(value, float) else value for name, value in row.items()})
        rows += [row | {"parameters": parameters(networks[row["network"]])} | circumstances for row in found]
        with atomic_write(arguments.out) as temporary:
            temporary.write_text(json.dumps(rows, indent=1) + "\n")
    print({name: round(ratio, 3) for name, ratio in ratios(rows).items()})


def parameters(network: nn.Module) -> int:
    """How many weights a network has."""
    return sum(each.numel() for each in network.parameters())


if __name__ == "__main__":
    main()
