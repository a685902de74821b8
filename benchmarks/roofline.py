"""Where a denoising step of the paper-sized PMD spends its time, and how near each part is to what the machine can do.

    export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=2000000000
    OMP_NUM_THREADS=1 python benchmarks/roofline.py --dtype bfloat16 -o benchmarks/results/roofline-bfloat16.json

Every part of one block, and what lies outside the blocks, runs on its own on inputs of the right size (two batch rows
of 600 frames). Its floating-point operations and bytes are counted operator by operator: products, convolutions and
attention by their formulas, every other operator as one operation per element; bytes as all inputs and outputs of all
operators, as if nothing stayed in a cache. What the part could reach is the smaller of the arithmetic peak (a large
matrix product) and bytes through memory (a stream triad), both measured in the same run. A share above 100 % means
that caches served more than memory could have. CPU seconds of one process, on a GPU wall seconds.
Source: Williams, Waterman and Patterson 2009.
"""

import argparse
import math
import statistics
from collections.abc import Callable
from pathlib import Path

import torch
from common import write_report
from length import random_conditions, seconds_of
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from longdance.models.edge import EDGEDenoiser, EDGEDenoiserConfig
from longdance.models.pmd import ParallelMambaDenoiser, PMDConfig, normed_projection
from longdance.models.ssd import ssd

ROWS, FRAMES = 2, 600
# Under inference mode operators would arrive here undivided: counts need torch.no_grad.
VIEWS = {"view", "_unsafe_view", "t", "transpose", "slice", "split", "split_with_sizes", "expand", "unsqueeze",
         "select", "detach", "permute", "as_strided", "alias", "squeeze", "unbind", "empty", "empty_like",
         "new_empty", "_reshape_alias", "lift_fresh"}  # fmt: skip
MOVES = {"clone", "copy_", "_to_copy", "cat", "stack", "constant_pad_nd", "flip", "index", "fill_", "zero_", "zeros",
         "new_zeros", "triu", "tril", "where", "arange", "repeat"}  # fmt: skip
"""Operators that move bytes and compute nothing."""


class Count(TorchDispatchMode):
    """Adds up operations and bytes of everything that runs inside."""

    def __init__(self):
        super().__init__()
        self.operations, self.bytes = 0, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        name = function.overloadpacket.__name__
        if name not in VIEWS:
            given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
            made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
            self.bytes += sum(tensor.numel() * tensor.element_size() for tensor in given + made)
            self.operations += operations(name, given, made)
        return result


def operations(name: str, given: list[torch.Tensor], made: list[torch.Tensor]) -> int:
    """Floating-point operations of one operator; a multiplication with an addition counts as two."""
    if name in ("mm", "bmm", "addmm", "baddbmm"):
        return 2 * made[0].numel() * given[-1].shape[-2]
    if name in ("convolution", "mkldnn_convolution", "cudnn_convolution"):
        return 2 * made[0].numel() * math.prod(given[1].shape[1:])
    if name.startswith("_scaled_dot_product"):
        query, key = given[0], given[1]
        return 4 * query.numel() * key.shape[-2]
    return made[0].numel() if made and name not in MOVES else 0


def median_seconds(step: Callable[[], object], *, device: str, repeats: int) -> float:
    """Median after a warm-up."""
    step()
    return statistics.median(seconds_of(step, device=device) for _ in range(repeats))


def peaks(device: str, dtype: torch.dtype) -> dict[str, float]:
    """GFLOP/s of a large product and GB/s of a triad, the best of several tries."""
    size = 2048 if device == "cpu" else 8192
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    product = min(seconds_of(lambda: left @ right, device=device) for _ in range(8))
    a, b, c = (torch.ones(2**25 if device == "cpu" else 2**28, device=device) for _ in range(3))
    triad = min(seconds_of(lambda: torch.add(b, c, alpha=3.0, out=a), device=device) for _ in range(8))
    return {"gflops": 2 * size**3 / product / 1e9, "gb_per_second": 3 * a.numel() * 4 / triad / 1e9}


def parts_of(network: ParallelMambaDenoiser, device: str, dtype: torch.dtype) -> dict[str, tuple[int, Callable]]:
    """Part to how often a step runs it, and a call that runs it once."""
    config, block = network.config, network.blocks[0]
    width, inner, heads, state = config.width, block.mixer.inner, config.heads, config.state
    random = lambda *shape: torch.randn(ROWS, *shape, device=device).to(dtype)  # noqa: E731
    tokens, short, wide = random(FRAMES, width), random(FRAMES // 2, width), random(FRAMES, inner)
    mixed, memory, condition = random(FRAMES, block.mixer.convolved), random(FRAMES // 2 + 2, width), random(width)
    seconds = torch.arange(FRAMES // 2, device=device) / 30.0
    dt = nn.functional.softplus(random(FRAMES, heads).float() - 3)
    A, B, C = -torch.linspace(1, 16, heads, device=device), random(FRAMES, state), random(FRAMES, state)
    x = wide.unflatten(-1, (heads, -1))
    depth, directions, output = config.depth, block.mixer.directions, block.mixer.output
    conditions = random_conditions(network, FRAMES, batch=ROWS, device=device)
    return {
        "mixer: input projection": (depth, lambda: block.mixer.input(tokens)),
        "mixer: short convolution, SiLU": (depth, lambda: nn.functional.silu(block.mixer.convolution(mixed))),
        "mixer: scan, one direction": (depth * directions, lambda: ssd(x, dt, A, B, C, chunk=config.chunk)),
        "mixer: gate": (depth, lambda: wide * nn.functional.silu(wide)),
        "mixer: norm, output projection": (
            depth, lambda: normed_projection(wide, block.mixer.norm.weight, output.weight, output.bias)
        ),
        "local information module": (depth, lambda: block.local(tokens)),
        "attention to the music": (depth, lambda: block.attention(short, seconds, memory, seconds)),
        "adaptive instance norm": (depth, lambda: block.adain(tokens, condition)),
        "music encoder": (1, lambda: network.music(conditions.music, conditions.keep_music)),
    }  # fmt: skip


def judged(call: Callable[[], object], peak: dict[str, float], *, device: str, repeats: int) -> dict[str, float]:
    """Operations, bytes, time of one call, and the share of what the roofline allows."""
    with Count() as count:
        call()
    seconds = median_seconds(call, device=device, repeats=repeats)
    attainable = min(peak["gflops"], count.operations / count.bytes * peak["gb_per_second"])
    reached = count.operations / seconds / 1e9
    return {
        "gflop": count.operations / 1e9,
        "mb": count.bytes / 1e6,
        "operations_per_byte": count.operations / count.bytes,
        "seconds": seconds,
        "gflops": reached,
        "gb_per_second": count.bytes / seconds / 1e9,
        "bound": "arithmetic" if attainable == peak["gflops"] else "memory",
        "share_of_roofline": reached / attainable,
    }


def main() -> None:
    """Measure and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="of weights")
    parser.add_argument("-o", "--out", required=True, type=Path)
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = getattr(torch, arguments.dtype)
    torch.manual_seed(0)
    with torch.no_grad():
        peak = peaks(device, dtype)
        print(peak, flush=True)
        pmd = ParallelMambaDenoiser(PMDConfig()).eval().to(device, dtype)
        edge = EDGEDenoiser(EDGEDenoiserConfig(fps=60.0)).eval().to(device, dtype)
        parts = {}
        for name, (times, call) in parts_of(pmd, device, dtype).items():
            parts[name] = {"times": times, **judged(call, peak, device=device, repeats=arguments.repeats)}
            print(name, {key: v if isinstance(v, str) else round(v, 4) for key, v in parts[name].items()}, flush=True)
        whole = {}
        step = torch.full((ROWS,), 500, device=device)
        for name, network in (("pmd", pmd), ("edge", edge)):
            noisy = torch.randn(ROWS, FRAMES, network.config.features, device=device)
            conditions = random_conditions(network, FRAMES, batch=ROWS, device=device)
            call = lambda network=network, noisy=noisy, given=conditions: network(noisy, step, given)  # noqa: E731
            whole[name] = judged(call, peak, device=device, repeats=arguments.repeats)
            print(name, whole[name], flush=True)
    report = {
        "threads": torch.get_num_threads(),
        "precision": arguments.dtype,
        "clock": "CPU seconds of the process" if device == "cpu" else "wall seconds",
        "rows": ROWS,
        "frames": FRAMES,
        "peaks": peak,
        "parts": parts,
        "whole_step": whole,
    }
    write_report(arguments.out, report)


if __name__ == "__main__":
    main()
