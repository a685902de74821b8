"""How long dances and training steps take: end to end, in batches, per training step, and the scan by itself.

    OMP_NUM_THREADS=1 python benchmarks/speed.py --song SONG -o benchmarks/results/speed.json
    PYTHONPATH=src python benchmarks/speed.py -o speed-gpu.json          # on a GPU; without a song nothing reads sound

End to end: a song file to a finished dance of a shipped model, music features, refinement and all; ``--seconds 10 180
3600`` says how long (an hour takes its time on a CPU; the song is repeated to the length). Batches: dances of ten
seconds denoised side by side. Training step: forward, backward and Adam of PMD and of the EDGE transformer, both in
the papers' sizes, on windows of ten seconds at 60 fps. Scan: chunk by chunk with several sizes of chunk, and by Triton
kernels on a GPU that has them. Paper window: ten seconds of one dance at 60 fps by networks of the papers' sizes in 20
steps, on a GPU also with each step as a CUDA graph. CPU seconds are those of the process over all its threads.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from common import write_report
from length import NETWORKS, WEIGHTS, random_conditions, seconds_of
from torch import nn

from longdance.choreography.dancer import Dancer
from longdance.choreography.devices import placed
from longdance.choreography.long.stretches import Predictor
from longdance.choreography.pretrained import load
from longdance.diffusion.guidance import Guidance, guided
from longdance.diffusion.noise import NoiseSchedule
from longdance.diffusion.sampler import STEP_RULES, sample
from longdance.features.song import Song
from longdance.models.conditions import Conditions
from longdance.models.precision import fastest, multiplies_bf16
from longdance.models.ssd import fused_available, ssd_chunked, ssd_fused

STEPS, WINDOW_SECONDS = 20, 10.0
CHUNKS = (16, 32, 48, 64, 96)


def median(step, *, device: str, repeats: int) -> float:
    """Median seconds after a warm-up."""
    step()
    return statistics.median(seconds_of(step, device=device) for _ in range(repeats))


def end_to_end(model: Dancer, song: Path, seconds: float) -> dict[str, float]:
    """One dance from an audio file; the song is repeated until it is long enough."""
    import soundfile

    with tempfile.TemporaryDirectory() as folder:
        audio, rate = soundfile.read(song, dtype="float32", always_2d=True)
        audio = np.resize(audio.mean(1), round(seconds * rate))
        path = Path(folder) / "song.wav"
        soundfile.write(path, audio, rate)
        wall, cpu = time.perf_counter(), time.process_time()
        dance = model.generate(Song.load(path), genre="salsa", seed=0)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "wall_seconds": wall,
        "cpu_seconds": cpu,
        "dance_seconds": dance.seconds,
        "seconds_of_dance_per_wall_second": dance.seconds / wall,
        "seconds_of_dance_per_cpu_second": dance.seconds / cpu,
    }


def batches(model: Dancer, *, device: str, repeats: int, sizes: tuple[int, ...]) -> dict[int, float]:
    """Dances side by side to seconds of dance per second, denoising alone."""
    checkpoint = placed(model.checkpoint, device)
    frames = round(WINDOW_SECONDS * model.fps)
    found = {}
    for size in sizes:
        conditions = random_conditions(checkpoint.network, frames, batch=size, device=device)
        predict = guided(
            Predictor(checkpoint), conditions,
            music_weight=Guidance().music, text_weight=Guidance().text,
        )  # fmt: skip
        noisy = torch.randn(size, frames, checkpoint.network.config.features, device=device)
        seconds = median(lambda predict=predict, noisy=noisy: predict(noisy, 500), device=device, repeats=repeats)
        found[size] = size * WINDOW_SECONDS / (STEPS * seconds)
    return found


def training_step(name: str, *, device: str, batch: int, frames: int, repeats: int) -> float:
    """Seconds of one step of the paper-sized network, in bf16 where the device has it."""
    torch.manual_seed(0)
    network = NETWORKS[name]().train().to(device)
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-4)
    conditions = random_conditions(network, frames, batch=batch, device=device)
    clean = torch.randn(batch, frames, network.config.features, device=device)
    step = torch.randint(1000, (batch,), device=device)

    def once() -> None:
        with torch.autocast(device, dtype=torch.bfloat16, enabled=multiplies_bf16(device)):
            predicted = network(clean + torch.randn_like(clean), step, conditions)
        nn.functional.mse_loss(predicted.float(), clean).backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    return median(once, device=device, repeats=repeats)


def scans(*, device: str, repeats: int) -> dict[str, dict[str, float]]:
    """Seconds of one scan in the paper's sizes, two rows of ten seconds, by dtype and way."""
    batch, frames, heads, headdim, state = 2, 600, 128, 8, 64
    random = lambda *shape: torch.randn(batch, frames, *shape, device=device)  # noqa: E731
    dt, A = nn.functional.softplus(random(heads) * 0.3 - 3), -torch.linspace(1, 16, heads, device=device)
    found: dict[str, dict[str, float]] = {}
    for dtype in (torch.float32, torch.bfloat16):
        x, B, C = (random(*shape).to(dtype) for shape in ((heads, headdim), (state,), (state,)))
        ways = {f"chunks of {chunk}": (lambda x=x, B=B, C=C, chunk=chunk: ssd_chunked(x, dt, A, B, C, chunk=chunk))
                for chunk in CHUNKS}  # fmt: skip
        if device == "cuda" and fused_available():
            ways["fused"] = lambda x=x, B=B, C=C: ssd_fused(x, dt, A, B, C)
        found[str(dtype).removeprefix("torch.")] = {
            name: median(way, device=device, repeats=repeats) for name, way in ways.items()
        }
    return found


def paper_window(name: str, *, device: str, repeats: int) -> dict[str, float | str]:
    """Seconds for ten seconds of dance at 60 fps, one dance, 20 guided steps of a paper-sized network."""
    network = fastest(NETWORKS[name]().eval().to(device))
    frames = round(WINDOW_SECONDS * network.config.fps)
    noise = torch.randn(1, frames, network.config.features, device=device)
    music, text = WEIGHTS.get(name, (Guidance().music, Guidance().text))
    conditions = random_conditions(network, frames, device=device)
    found: dict[str, float | str] = {}
    for way in ("eager", "graph") if device == "cuda" else ("eager",):
        try:
            denoiser = network if way == "eager" else Graphed(network)
            predict = guided(denoiser, conditions, music_weight=music, text_weight=text)
            found[way] = median(lambda predict=predict: sample(
                predict,
                noise,
                schedule=NoiseSchedule.cosine(1000),
                rule=STEP_RULES["dpm2m"](),
                steps=STEPS,
                generator=torch.Generator().manual_seed(0),
            ), device=device, repeats=repeats)  # fmt: skip
        except RuntimeError as error:  # what a driver cannot capture is no reason to lose the rest
            found[way] = str(error).splitlines()[0]
    return found


class Graphed:
    """A denoiser whose calls are replayed as one CUDA graph, which takes the launches off the CPU."""

    def __init__(self, network: nn.Module):
        self.network = network
        self.graph: torch.cuda.CUDAGraph | None = None
        self.given: tuple[torch.Tensor, torch.Tensor]
        self.result: torch.Tensor

    def __call__(self, noisy: torch.Tensor, step: torch.Tensor, conditions: Conditions) -> torch.Tensor:
        """The prediction; all calls are for rows of one size and the same conditions."""
        if self.graph is None:
            self.given = noisy.clone(), step.clone()
            aside = torch.cuda.Stream()
            with torch.cuda.stream(aside):  # what is made at first calls must not be part of the graph
                for _ in range(3):
                    self.network(*self.given, conditions)
            torch.cuda.current_stream().wait_stream(aside)
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self.result = self.network(*self.given, conditions)
        for held, new in zip(self.given, (noisy, step), strict=True):
            held.copy_(new)
        self.graph.replay()
        return self.result.clone()


def main() -> None:
    """Measure and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--song", type=Path, help="for dances end to end, which are left out without")
    parser.add_argument("--models", nargs="+", default=["edmg", "edge"])
    parser.add_argument("--seconds", nargs="+", type=float, default=[10.0, 180.0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--train-batch", type=int, help="rows per training step (2 on a CPU, 32 on a GPU)")
    parser.add_argument("-o", "--out", required=True, type=Path)
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    repeats, gpu = arguments.repeats, device == "cuda"
    rows = arguments.train_batch or (32 if gpu else 2)
    report: dict = {
        "threads": torch.get_num_threads(),
        "bf16": multiplies_bf16(device),
        "clock": "wall seconds" if gpu else "CPU seconds of the process",
    }
    with torch.inference_mode():
        report["scan_seconds"] = scans(device=device, repeats=max(repeats, 7))
        print(report["scan_seconds"], flush=True)
        sizes = (1, 2, 4, 8, 16, 32, 64, 128) if gpu else (1, 2, 4, 8)
        report["batch_throughput"] = {
            name: batches(load(name), device=device, repeats=repeats, sizes=sizes) for name in arguments.models
        }
        print(report["batch_throughput"], flush=True)
        report["paper_window_seconds"] = {
            name: paper_window(name, device=device, repeats=repeats) for name in ("pmd", "edge")
        }
        print(report["paper_window_seconds"], flush=True)
    report["training_step"] = {"batch": rows, "frames": 600} | {
        name: training_step(name, device=device, batch=rows, frames=600, repeats=repeats) for name in ("pmd", "edge")
    }
    print(report["training_step"], flush=True)
    report["end_to_end"] = {}
    for name in arguments.models if arguments.song else ():
        model = load(name)
        end_to_end(model, arguments.song, 3.0)  # loads what is loaded once
        for seconds in arguments.seconds:
            found = end_to_end(model, arguments.song, seconds)
            report["end_to_end"].setdefault(name, {})[f"{seconds:g} s"] = found
            print(name, seconds, found, flush=True)
    write_report(arguments.out, report)


if __name__ == "__main__":
    main()
