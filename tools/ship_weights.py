"""Put the averaged weights of a training run into the package, as float16.

    python tools/ship_weights.py RUN NAME

RUN holds a denoiser, and perhaps its refinement module under trm/; or the two stages of Lodge under global/ and local/;
or the adapter of a model that is shipped, under a name of its own, or as MODEL/guidance the one with which that model
needs one prediction for its guidance.
Prints how much rounding to float16 changes a prediction, so that nobody ships weights that it hurts.
"""

import shutil
import sys
from pathlib import Path

import torch

from longdance.choreography.pretrained import GUIDANCE, load
from longdance.models.adapter import Adapter, holds_adapter
from longdance.models.checkpoint import Checkpoint
from longdance.models.conditions import Conditions
from longdance.models.folders import WEIGHTS, shipped

STAGES = (".", "global", "local")


def prediction(checkpoint: Checkpoint) -> torch.Tensor:
    """What the network makes of fixed noise, halfway through the schedule."""
    config, generator = checkpoint.config, torch.Generator().manual_seed(0)
    network = checkpoint.network.config
    conditions = Conditions(
        torch.randn(4, config.window, network.music_channels, generator=generator),
        torch.randn(4, 1, network.text_width, generator=generator),
        torch.ones(4, 1, dtype=torch.bool),
        torch.ones(4, dtype=torch.bool),
    )
    primitives = getattr(network, "primitives", None)  # Lodge's global stage makes these, not the whole window
    frames = config.window if primitives is None else primitives * network.primitive_frames
    noisy = torch.randn(4, frames, network.features, generator=generator)
    with torch.no_grad():
        return checkpoint.network(noisy, torch.full((4,), config.diffusion_steps // 2), conditions)


def ship_adapter(run: Path, target: Path) -> None:
    """Copy, compare, report."""
    source = Adapter.load(run)
    if source.config.adapts not in shipped():
        sys.exit(f"{run}: expected an adapter of a shipped model, got one of {source.config.adapts}")
    source.save(target, half=True)
    base = load(source.config.adapts).checkpoint
    exact, rounded = prediction(source.on(base)), prediction(Adapter.load(target).on(base))
    report(target, source.config.trained_steps, exact, rounded)


def report(target: Path, steps: int, exact: torch.Tensor, rounded: torch.Tensor) -> None:
    """What was shipped, and what rounding did to it."""
    change = ((rounded - exact).norm() / exact.norm()).item()
    size = (target / "model.safetensors").stat().st_size / 1e6
    print(f"{target}: {steps} steps, {size:.1f} MB, predictions change by {change:.2e}")


def main(run: str, name: str) -> None:
    """Copy, compare, report."""
    if holds_adapter(Path(run)):
        ship_adapter(Path(run), WEIGHTS / name)
        return
    for stage in STAGES:
        if not (Path(run) / stage / "config.json").is_file():
            continue
        source, target = Checkpoint.load(Path(run) / stage), WEIGHTS / name / stage
        source.save(target, half=True)
        if (target / GUIDANCE).exists():
            shutil.rmtree(target / GUIDANCE)
            print(f"{target / GUIDANCE}: removed, it was of other weights; train it again")
        report(target, source.config.trained_steps, prediction(source), prediction(Checkpoint.load(target)))
    refiner = Path(run) / "trm"
    if (refiner / "config.json").is_file():  # small: kept in float32
        target = WEIGHTS / name / "trm"
        target.mkdir(parents=True, exist_ok=True)
        for file in ("config.json", "model.safetensors"):
            shutil.copyfile(refiner / file, target / file)
        print(f"{target}: copied")


if __name__ == "__main__":
    main(*sys.argv[1:])
