"""Put the averaged weights of a training run into the package, as float16.

    python tools/ship_weights.py RUN [NAME]

Prints how much rounding to float16 changes a prediction, so that nobody ships weights that it hurts.
"""

import sys
from pathlib import Path

import torch

from longdance.choreography.pretrained import WEIGHTS
from longdance.models.checkpoint import Checkpoint
from longdance.models.pmd import Conditions


def prediction(checkpoint: Checkpoint) -> torch.Tensor:
    """What the network makes of fixed noise, halfway through the schedule."""
    config, generator = checkpoint.config, torch.Generator().manual_seed(0)
    network = checkpoint.network.config
    conditions = Conditions(
        torch.randn(4, config.window, network.music_channels, generator=generator),
        torch.randn(4, 1, network.text_width, generator=generator) / network.text_width**0.5,
        torch.ones(4, 1, dtype=torch.bool),
        torch.ones(4, dtype=torch.bool),
    )
    noisy = torch.randn(4, config.window, network.features, generator=generator)
    with torch.no_grad():
        return checkpoint.network(noisy, torch.full((4,), config.diffusion_steps // 2), conditions)


def main(run: str, name: str = "edmg") -> None:
    """Copy, compare, report."""
    source, target = Checkpoint.load(run), WEIGHTS / name
    source.save(target, half=True)
    exact, rounded = prediction(source), prediction(Checkpoint.load(target))
    change = ((rounded - exact).norm() / exact.norm()).item()
    size = sum(path.stat().st_size for path in Path(target).iterdir()) / 1e6
    print(f"{target}: {source.config.trained_steps} steps, {size:.1f} MB, float16 changes predictions by {change:.2e}")


if __name__ == "__main__":
    main(*sys.argv[1:])
