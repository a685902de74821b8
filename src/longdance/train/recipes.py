"""Recipes: functions that return the complete configuration of a training run.

Every recipe's docstring tells the command, hardware, duration and what to expect.
"""

from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel, ConfigDict

from longdance.diffusion.losses import EDMGLossWeights
from longdance.models.pmd import PMDConfig
from longdance.train.batches import BatchConfig


class TrainConfig(BaseModel):
    """A whole run. ``longdance train RECIPE key=value`` overrides any field, nested ones by dots."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: str
    network: PMDConfig
    batch: BatchConfig = BatchConfig()
    losses: EDMGLossWeights = EDMGLossWeights()
    importance_cap: float = 1.0
    """How much more a nearly clean example counts than pure noise, at most; 1 as in the paper."""
    diffusion_steps: int = 1000
    """T (EDMG section 4.1)."""
    music_encoder: str = "librosa35"
    text_encoder: str = "all-MiniLM-L6-v2"
    steps: int = 100_000
    """Optimiser steps."""
    learning_rate: float = 2e-4
    """Of Adam (EDMG section 4.1)."""
    warmup: int = 0
    """Steps over which the learning rate rises from zero."""
    cooldown: float = 0.0
    """Share of the steps, at the end, over which the learning rate falls linearly to zero."""
    gradient_clip: float = 1.0
    """Largest norm of the gradient."""
    ema: float = 0.999
    """Decay of the running average of the weights; the average is what is used."""
    precision: Literal["32-true", "bf16-mixed"] = "bf16-mixed"
    validate_every: int = 500
    """Steps between validations."""
    checkpoint_every: int = 100
    """Steps between checkpoints."""
    seed: int = 0


def tiny() -> TrainConfig:
    """For tests and for a first try: `longdance train tiny --data STORE -o RUN`; a minute on two CPU cores.

    The result moves, no more.
    """
    return TrainConfig(
        recipe="tiny",
        network=PMDConfig(
            fps=30, music_channels=39, width=64, depth=2, heads=4, state=16, attention_heads=2, dropout=0.0,
            aligned_music=True,
            precondition=True, chunk=30,
        ),
        batch=BatchConfig(size=8, window=60),
        music_encoder="librosa35+phase",
        steps=120,
        learning_rate=1e-3,
        ema=0.95,
        validate_every=60,
        checkpoint_every=30,
    )  # fmt: skip


def edmg_open() -> TrainConfig:
    """The default weights: `longdance train edmg-open --data STORE -o RUN`.

    About two hours on two CPU cores with bf16, minutes on one GPU. 30 frames per second, windows of five seconds, the
    open data (prepared with music_encoder=rhythm: soundtracks composed for silent dances teach rhythm, not timbre).
    Beyond the paper: music is also added frame by frame, nearly clean motion is passed on, and joint velocities and
    accelerations are compared in SI units, which is what smooth motion needs when training is this short.
    """
    return TrainConfig(
        recipe="edmg-open",
        network=PMDConfig(
            fps=30, music_channels=7, width=256, depth=6, heads=8, state=64, dropout=0.0, aligned_music=True,
            precondition=True, chunk=50,
        ),
        batch=BatchConfig(size=16, window=150),
        losses=EDMGLossWeights(
            reconstruction=1.0, velocity=1.0, joints=8.0, contact=0.3, joint_velocity=0.15,
            joint_acceleration=0.0002,
        ),
        importance_cap=4.0,
        music_encoder="rhythm",
        steps=4000,
        learning_rate=5e-4,
        warmup=100,
        cooldown=0.3,
        ema=0.998,
        validate_every=200,
        checkpoint_every=50,
    )  # fmt: skip


def edmg_aistpp() -> TrainConfig:
    """The paper's setting: `longdance train edmg-aistpp --data STORE -o RUN`, 10 s windows at 60 fps of AIST++.

    The paper trained for 29 hours on two RTX 3090. Sizes, losses' form, dropout, optimiser and batch are the paper's;
    the depth (8) and the loss weights (EDGE's) are ours, as the paper gives none.
    """
    return TrainConfig(recipe="edmg-aistpp", network=PMDConfig(), batch=BatchConfig(window=600), steps=130_000)


RECIPES: dict[str, Callable[[], TrainConfig]] = {
    "tiny": tiny,
    "edmg-open": edmg_open,
    "edmg-aistpp": edmg_aistpp,
}
