"""Fixtures shared by all tests: seeded randomness and the optional real data."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(20)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real dances and songs beside the checkout; tests that use it skip where it is missing."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("LONGDANCE_SHARED_DATA", default))
    if not (folder / "labels.csv").is_file():
        pytest.skip(f"real data not found at {folder}")
    return folder
