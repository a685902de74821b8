"""Clips whose measures can be worked out by hand, and one reference dance with its published values."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longdance.motion.skeleton import SMPL24

HERE = Path(__file__).parent


@pytest.fixture
def standing() -> Callable[..., np.ndarray]:
    """standing(seconds, fps): a rest pose that does not move, (frames, 24, 3) metres."""

    def build(seconds: float = 2.0, fps: float = 30.0) -> np.ndarray:
        return np.repeat(SMPL24.rest_positions[None], round(seconds * fps) + 1, axis=0)

    return build


@pytest.fixture
def sliding(standing) -> Callable[..., np.ndarray]:
    """sliding(velocity, seconds, fps): the rest pose carried along at a constant velocity (3,) in m/s."""

    def build(velocity, seconds: float = 2.0, fps: float = 30.0) -> np.ndarray:
        joints = standing(seconds, fps)
        times = np.arange(len(joints)) / fps
        return joints + (times[:, None] * np.asarray(velocity, dtype=float))[:, None]

    return build


@pytest.fixture
def hopping(standing) -> Callable[..., np.ndarray]:
    """hopping(amplitude, frequency, seconds, fps): the rest pose bobbing up and down about its height."""

    def build(
        amplitude: float = 0.1, frequency: float = 1.0, seconds: float = 2.0, fps: float = 30.0
    ) -> np.ndarray:
        joints = standing(seconds, fps)
        times = np.arange(len(joints)) / fps
        joints[..., 1] += amplitude * np.sin(2 * np.pi * frequency * times)[:, None]
        return joints

    return build


@pytest.fixture
def wandering() -> Callable[..., np.ndarray]:
    """wandering(seed, seconds, fps): smooth random movement of every joint, the same at every frame rate."""

    def build(seed: int = 0, seconds: float = 6.0, fps: float = 60.0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        times = np.arange(round(seconds * fps) + 1) / fps
        frequency = rng.uniform(0.2, 2.0, size=6)
        waves = np.sin(2 * np.pi * (frequency * times[:, None] + rng.uniform(size=6)))
        moves = rng.normal(scale=0.06, size=(6, 24, 3)) + rng.normal(scale=0.08, size=(6, 1, 3))
        return SMPL24.rest_positions + np.einsum("tw,wjc->tjc", waves, moves)

    return build


@pytest.fixture(scope="session")
def reference() -> dict[str, Any]:
    """A synthetic dance of 10 s at 30 fps with what the published implementations return for it."""
    with np.load(HERE / "reference.npz") as arrays:
        joints, beat_times = arrays["joints"].astype(np.float64), arrays["beat_times"]
    expected = json.loads((HERE / "reference.json").read_text())
    return {"joints": joints, "beat_times": beat_times, "fps": 30.0, "expected": expected}


@pytest.fixture(scope="session")
def turned() -> Callable[[np.ndarray], np.ndarray]:
    """turned(joints): the same dance, turned by 1 rad about the vertical."""
    c, s = np.cos(1.0), np.sin(1.0)
    rotation = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    return lambda joints: joints @ rotation.T
