"""One denoising step by other runtimes than plain PyTorch: its time, and what each asks of those who use it.

    export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=2000000000
    pip install openvino onnx onnxruntime onnxscript
    OMP_NUM_THREADS=1 TORCHINDUCTOR_COMPILE_THREADS=1 python benchmarks/runtimes.py -o benchmarks/results/runtimes.json

Cases: the shipped `edmg` as it samples, with the music heard beforehand (three rows of 360 frames are one window in
guided sampling, 16 rows of 300 are a stretch of a long dance), and networks of the papers' sizes as in `length.py`, all
of the network. Runtimes: PyTorch in float32 and bf16, `torch.compile`, a package of AOTInductor, OpenVINO, ONNX
Runtime. Those whose packages or compilers are missing are left out, and said to be.

Runtimes of a case take turns in one process with one thread, so that whatever else the machine does hits all of them;
medians count, in CPU seconds of the process. The difference is that of the prediction from PyTorch's in float32, as a
share of its size. Memory is the peak of a first step and what a loaded model leaves resident, weights and all (Linux;
what a conversion in this process leaves behind is part of it for Inductor). Conversion counts the wall, compilers and
all.
"""

import argparse
import contextlib
import ctypes
import gc
import importlib.util
import json
import os
import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from common import environment
from length import MEBIBYTE, NETWORKS, random_conditions
from torch import Tensor, nn

from longdance.choreography.pretrained import load
from longdance.files import atomic_write
from longdance.models.conditions import Conditions
from longdance.models.precision import multiplies_bf16

STEP = 500
CASES: dict[str, tuple[str, int, int]] = {
    "edmg 3 x 360": ("edmg", 3, 360),
    "edmg 16 x 300": ("edmg", 16, 300),
    "pmd 2 x 600": ("pmd", 2, 600),
    "edge 2 x 600": ("edge", 2, 600),
    "pmd 2 x 2400": ("pmd", 2, 2400),
    "edge 2 x 2400": ("edge", 2, 2400),
}
"""Network, batch rows, frames."""
OTHER_FRAMES = 60
"""Frames fewer, to see whether a runtime takes windows of other lengths than the one that it was made for."""

Inputs = tuple[Tensor, ...]
Step = Callable[[Inputs], Tensor]


class Flat(nn.Module):
    """A network whose inputs are tensors, one beside the other, as other runtimes want them."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, noisy, step, music, text, text_mask, keep_music, *heard):
        """The prediction; ``heard`` is what the network made of the music, if it has been asked before."""
        return self.network(noisy, step, Conditions(music, text, text_mask, keep_music), heard or None)


class Made(NamedTuple):
    """A step by one runtime, and what it took."""

    step: Step
    convert_seconds: float = 0.0
    load_seconds: float = 0.0
    disk_mib: float = 0.0


class Runtime(NamedTuple):
    """How a runtime makes a step of a network and of inputs like those to come."""

    make: Callable[[nn.Module, Inputs, Path], Made]
    bf16: bool = True
    """Whether its network is given in bf16; OpenVINO chooses by itself."""
    packages: tuple[str, ...] = ()
    compiler: bool = False
    """Whether those who use it need a C++ compiler; AOTInductor's packages need one only where they are made."""
    unrolls: bool = False
    """Whether conversion takes far too long where a scan has many chunks."""


def eager(network: nn.Module, inputs: Inputs, folder: Path) -> Made:
    """PyTorch, operator by operator."""
    return Made(lambda given: network(*given))


def compiled(network: nn.Module, inputs: Inputs, folder: Path, **options: Any) -> Made:
    """``torch.compile`` with Inductor."""
    torch.compiler.reset()
    step = torch.compile(network, dynamic=False, options=options or None)
    start = time.perf_counter()
    step(*inputs)
    return Made(lambda given: step(*given), convert_seconds=time.perf_counter() - start)


def packaged(network: nn.Module, inputs: Inputs, folder: Path) -> Made:
    """AOTInductor: a library of compiled code, weights within."""
    start = time.perf_counter()
    path = torch._inductor.aoti_compile_and_package(
        torch.export.export(network, inputs), package_path=str(folder / "step.pt2"), inductor_configs={"freezing": True}
    )
    converted = time.perf_counter()
    step = torch._inductor.aoti_load_package(path)
    return Made(lambda given: step(*given), converted - start, time.perf_counter() - converted, _mebibytes(folder))


def openvino(network: nn.Module, inputs: Inputs, folder: Path, *, precision: str = "bf16") -> Made:
    """OpenVINO, from an exported float32 network, told to multiply in bf16."""
    import openvino as ov

    start = time.perf_counter()
    exported = _for_openvino(torch.export.export(network, inputs))
    converted_model = ov.convert_model(exported)
    names = [port.any_name for port in converted_model.inputs]
    wanted = _wanted(names, inputs)
    # Left open, lengths other than the exported one give wrong predictions and no error.
    converted_model.reshape({name: list(inputs[place].shape) for name, place in zip(names, wanted, strict=True)})
    ov.save_model(converted_model, folder / "step.xml", compress_to_fp16=False)
    converted = time.perf_counter()
    hints = {
        "INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": 1,
        "ENABLE_CPU_PINNING": False,
    }  # fmt: skip
    model = ov.Core().compile_model(folder / "step.xml", "CPU", hints)
    request, loaded = model.create_infer_request(), time.perf_counter()

    def step(given: Inputs) -> Tensor:
        arrays = {name: given[place].numpy() for name, place in zip(names, wanted, strict=True)}
        return torch.from_numpy(request.infer(arrays)[0])

    return Made(step, converted - start, loaded - converted, _mebibytes(folder))


def _for_openvino(exported: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """The same in simpler operators, with copies in the place of the one that OpenVINO's converter does not know."""
    from openvino.frontend.pytorch.torchdynamo.export_decompositions import ops_to_not_decompose
    from torch.export.decomp_utils import CustomDecompTable

    table = CustomDecompTable()
    for operator in ops_to_not_decompose():
        with contextlib.suppress(KeyError):
            table.pop(operator)
    simpler = exported.run_decompositions(table)
    for node in list(simpler.graph.nodes):
        if node.target is torch.ops.prims.copy_strided.default:
            node.target, node.args = torch.ops.aten.clone.default, node.args[:1]
    simpler.graph_module.recompile()
    return simpler


def onnx(network: nn.Module, inputs: Inputs, folder: Path) -> Made:
    """ONNX Runtime with all its optimisations."""
    import onnxruntime as ort

    start = time.perf_counter()
    torch.onnx.export(network, inputs, folder / "step.onnx", dynamo=True, verbose=False)
    converted = time.perf_counter()
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(folder / "step.onnx", options, providers=["CPUExecutionProvider"])
    loaded = time.perf_counter()
    names = [port.name for port in session.get_inputs()]
    wanted = _wanted(names, inputs)
    output = session.get_outputs()[0].name

    def step(given: Inputs) -> Tensor:
        values = {
            name: ort.OrtValue.ortvalue_from_numpy(given[place].numpy())
            if given[place].dtype != torch.bfloat16
            else ort.OrtValue.ortvalue_from_numpy_with_onnx_type(given[place].view(torch.uint16).numpy(), 16)
            for name, place in zip(names, wanted, strict=True)
        }
        return torch.from_numpy(session.run_with_ort_values([output], values)[0].numpy())

    return Made(step, converted - start, loaded - converted, _mebibytes(folder))


RUNTIMES = {
    "PyTorch float32": Runtime(eager, bf16=False),
    "PyTorch bf16": Runtime(eager),
    "torch.compile bf16": Runtime(compiled, compiler=True, unrolls=True),
    "torch.compile bf16, weights frozen": Runtime(
        lambda *given: compiled(*given, freezing=True, epilogue_fusion=True, cpp_wrapper=True),
        compiler=True, unrolls=True,
    ),
    "AOTInductor bf16": Runtime(packaged, unrolls=True),
    "OpenVINO bf16": Runtime(openvino, bf16=False, packages=("openvino",)),
    "OpenVINO float32": Runtime(
        lambda *given: openvino(*given, precision="f32"), bf16=False, packages=("openvino",)
    ),
    "ONNX Runtime float32": Runtime(onnx, bf16=False, packages=("onnxruntime", "onnxscript")),
    "ONNX Runtime bf16": Runtime(onnx, packages=("onnxruntime", "onnxscript")),
}  # fmt: skip


def _wanted(names: list[str], inputs: Inputs) -> list[int]:
    """Which of the inputs each input of a converted network is; those that it does not read have gone."""
    order = ["noisy", "step", "music", "text", "text_mask", "keep_music"]
    order += [f"heard_{number}" for number in range(len(inputs) - len(order))]
    if len(names) == len(order):  # none has gone, and converters may give names of their own
        return list(range(len(order)))
    return [order.index(name) for name in names]


def _first_line(error: Exception) -> str:
    first = (str(error).strip().splitlines() or [""])[0]
    return re.sub(r"/[^\s']*/", "", first)[:200]  # folders are one machine's


def _settled() -> float:
    """MiB resident once nothing freed is kept; the peak is counted from here."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return resident("VmRSS")


def _mebibytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / MEBIBYTE


@contextlib.contextmanager
def no_steep_heads() -> Iterator[None]:
    """Within, no head is looked at for forgetting too fast for a chunk: a choice by values has no place in a graph.

    The inputs here have no such heads, as the differences from the float32 predictions show.
    """
    with patch("longdance.models.ssd.bool", lambda _: False, create=True):
        yield


def network_of(name: str) -> nn.Module:
    """A shipped network, or one of the papers' sizes."""
    network = NETWORKS[name]() if name in NETWORKS else load(name).checkpoint.network
    return deepcopy(network).eval().requires_grad_(False)


def inputs_of(network: nn.Module, rows: int, frames: int, *, heard: bool) -> Inputs:
    """Noisy motion, step and conditions as guidance puts them together: without all, without text, with both."""
    generator_state = torch.random.get_rng_state()
    torch.manual_seed(frames)
    conditions = random_conditions(network, frames, batch=rows)
    noisy = torch.randn(rows, frames, network.config.features)
    torch.random.set_rng_state(generator_state)
    part = torch.arange(rows) * 3 // rows
    conditions = conditions._replace(keep_music=part > 0, text_mask=conditions.text_mask & (part > 1)[:, None])
    given = (noisy, torch.full((rows,), STEP), *conditions)
    return (*given, *network.hear(conditions)) if heard else given


def resident(entry: str) -> float:
    """MiB of this process: now (VmRSS) or at its peak (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(entry))


def prepare(runtime: Runtime, network: nn.Module, rows: int, frames: int, heard: bool) -> tuple[Made, Inputs, dict]:
    """A step by a runtime, its inputs, and what is known of it before it is timed."""
    if runtime.bf16:
        network = deepcopy(network).bfloat16()
    inputs = inputs_of(network, rows, frames, heard=heard)
    module = Flat(network).eval()
    before = _settled()
    folder = Path(tempfile.mkdtemp())
    try:
        with no_steep_heads() if runtime.make is not eager else contextlib.nullcontext():
            made = runtime.make(module, inputs, folder)
            loaded = _settled()
            made.step(inputs)
        facts = {"resident_mib": loaded - before, "step_mib": resident("VmHWM") - loaded}
        return made, inputs, facts
    finally:
        shutil.rmtree(folder)


def takes_other_frames(step: Step, network: nn.Module, fewer: Inputs) -> dict:
    """Whether a step is right for windows of another length than its own, and if not, what it says."""
    wanted = network(*fewer)
    try:
        with torch.compiler.set_stance("fail_on_recompile"):
            found = step(fewer)
    except Exception as error:  # every runtime has errors of its own
        return {"frames_vary": False, "with_other_frames": _first_line(error)}
    return {"frames_vary": found.shape == wanted.shape and difference(found, wanted) < 0.05}


def difference(found: Tensor, wanted: Tensor) -> float:
    """Size of the difference, as a share of the size of what is wanted."""
    return float((found.float() - wanted.float()).norm() / wanted.float().norm())


def measure(case: str, names: list[str], arguments: argparse.Namespace) -> list[dict]:
    """A row for every runtime of a case."""
    name, rows, frames = CASES[case]
    network, heard = network_of(name), name not in NETWORKS
    exact = Flat(network)(*inputs_of(network, rows, frames, heard=heard))
    steps: dict[str, Callable[[], Tensor]] = {}
    ways: dict[str, Made] = {}
    found: dict[str, dict] = {}
    for each in names:
        runtime = RUNTIMES[each]
        row: dict[str, Any] = {"case": case, "runtime": each}
        missing = [package for package in runtime.packages if not importlib.util.find_spec(package)]
        if missing:
            row["skipped"] = f"not installed: {', '.join(missing)}"
        elif runtime.unrolls and frames > arguments.longest_unrolled:
            row["skipped"] = f"conversion takes too long beyond {arguments.longest_unrolled} frames"
        else:
            try:
                made, inputs, facts = prepare(runtime, network, rows, frames, heard)
                ways[each] = made
                steps[each] = lambda made=made, inputs=inputs: made.step(inputs)
                row |= {**made._asdict(), **facts}
                row.pop("step")
                row["user_needs_compiler"] = runtime.compiler
            except Exception as error:  # every runtime has errors of its own, and the others are still of interest
                row["failed"] = f"{type(error).__name__}: {_first_line(error)}"
        print(row, flush=True)
        found[each] = row
    times: dict[str, list[float]] = {each: [] for each in steps}
    for _ in range(arguments.repeats + 1):
        for each, step in steps.items():
            start = time.process_time()
            step()
            times[each].append(time.process_time() - start)
    for each, taken in times.items():
        taken = taken[1:]  # the first is to warm up
        found[each] |= {"seconds": statistics.median(taken), "fastest": min(taken), "slowest": max(taken)}
        found[each]["difference"] = difference(steps[each](), exact)
    # Only now: a runtime may be good for nothing once it has seen another length.
    for each, made in ways.items():
        other = deepcopy(network).bfloat16() if RUNTIMES[each].bf16 else network
        fewer = inputs_of(other, rows, frames - OTHER_FRAMES, heard=heard)
        found[each] |= takes_other_frames(made.step, Flat(other).eval(), fewer)
    for row in found.values():
        if "seconds" in row:
            bf16 = found.get("PyTorch bf16", {}).get("seconds")
            print(f"{case}: {row['runtime']}: {row['seconds']:.4f} s", f"{bf16 / row['seconds']:.2f} x" if bf16 else "")
    return list(found.values())


def main() -> None:
    """Measure and write a list of rows, anew after every case."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--runtimes", nargs="+", choices=list(RUNTIMES), default=list(RUNTIMES))
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--longest-unrolled", type=int, default=600, help="frames up to which Inductor compiles")
    parser.add_argument("-o", "--out", required=True, type=Path)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
    circumstances = {
        "bf16_in_hardware": multiplies_bf16("cpu"),
        "threads": torch.get_num_threads(),
        "malloc": {name: value for name, value in os.environ.items() if name.startswith("MALLOC_")},
        "clock": "CPU seconds of the process",
        **environment(),
    }
    rows: list[dict] = []
    for case in arguments.cases:
        with torch.no_grad():
            rows += [row | circumstances for row in measure(case, arguments.runtimes, arguments)]
        with atomic_write(arguments.out) as temporary:
            temporary.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
