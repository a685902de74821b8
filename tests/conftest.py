"""Fixtures shared by all tests: seeded randomness and the optional real data."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

# The networks here are tiny: threads would spend their time waiting for each other.
torch.set_num_threads(1)
if "PYTEST_XDIST_WORKER" in os.environ:  # two processes that fill one cache of numba's can crash
    CACHE = Path(__file__).parents[1] / ".pytest_cache" / f"numba-{os.environ['PYTEST_XDIST_WORKER']}"
    os.environ.setdefault("NUMBA_CACHE_DIR", str(CACHE))


def pytest_itemcollected(item):
    """Browsers and servers that many tests use want the machine for themselves."""
    if {"browser", "running"} & set(getattr(item, "fixturenames", ())):
        item.add_marker("alone")


def pytest_collection_modifyitems(items):
    """The longest file first: where files are shared out, the last one would keep a single process busy."""
    items.sort(key=lambda item: item.path.name != "test_tutorials.py")


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


@pytest.fixture(scope="session")
def shared_cases() -> Path:
    """The folder of files that failed once, beside the checkout; tests that use it skip where it is missing."""
    default = Path(__file__).resolve().parents[2] / "shared" / "cases"
    folder = Path(os.environ.get("LONGDANCE_SHARED_CASES", default))
    if not folder.is_dir():
        pytest.skip(f"no files that failed once at {folder}")
    return folder


def swaying(frames: int, fps: float, *, tempo_hz: float = 1.0, phase: float = 0.0):
    """A made-up dance: weight shifts, swinging arms and bending knees at one tempo, feet near the floor."""
    from longdance.motion.motion import Motion
    from longdance.motion.rotations import matrix_from_axis_angle
    from longdance.motion.skeleton import SMPL24

    angle = 2 * np.pi * tempo_hz * np.arange(frames) / fps + phase
    turns = np.zeros((frames, len(SMPL24), 3))
    turns[:, SMPL24.index("left_shoulder"), 2] = -1.0 + 0.5 * np.sin(angle)
    turns[:, SMPL24.index("right_shoulder"), 2] = 1.0 + 0.5 * np.sin(angle)
    turns[:, SMPL24.index("spine2"), 1] = 0.3 * np.sin(angle)
    bend = 0.25 * (1 - np.cos(2 * angle))
    for side in ("left", "right"):
        turns[:, SMPL24.index(f"{side}_hip"), 0] = -bend
        turns[:, SMPL24.index(f"{side}_knee"), 0] = 2 * bend
        turns[:, SMPL24.index(f"{side}_ankle"), 0] = -bend
    root = np.zeros((frames, 3))
    root[:, 0] = 0.08 * np.sin(angle)
    root[:, 1] = SMPL24.rest_root_height - 0.81 * (1 - np.cos(bend))
    rotations = matrix_from_axis_angle(torch.from_numpy(turns)).numpy()
    return Motion(root, rotations, fps=fps)


@pytest.fixture(scope="session")
def small_store(tmp_path_factory) -> Path:
    """A store of a few seconds of made-up dance in two genres, with its rhythm plan, at 30 fps."""
    from longdance.data.store import write_store
    from longdance.features.beats import MotionBeats
    from longdance.features.rhythm_plan import CurveScale, plan_of_motion
    from longdance.motion.layout import LAYOUTS

    layout, fps, frames, parts = LAYOUTS["floor24"], 30.0, 150, []
    for number, (split, genre, tempo) in enumerate(
        (
            ("train", "salsa", 1.5),
            ("train", "disco", 1.0),
            ("train", "none", 0.5),
            ("val", "salsa", 1.2),
            ("test", "disco", 1.1),
        )
    ):
        motion = swaying(frames, fps, tempo_hz=tempo)
        beats = np.arange(0.25, frames / fps, 0.5 / tempo)
        marked = MotionBeats(120 * tempo, beats, np.linspace(0, 1, len(beats)), is_steady=True)
        plan = plan_of_motion(motion, marked)
        record = {
            "clip": f"clip{number}",
            "split": split,
            "genre": genre,
            "movements": (),
            "frames": frames,
            "start": 0,
            "music_start": 0,
            "beat_times": tuple(beats),
            "silent": True,
        }
        parts.append(([record], layout.encode(motion), CurveScale.of([plan]).applied(plan)))
    folder = tmp_path_factory.mktemp("store")
    write_store(
        folder,
        fps=fps,
        layout=layout,
        music_encoder="plan",
        fingerprint="made up",
        licence="made up",
        settings={},
        parts=parts,
    )
    return folder


@pytest.fixture(scope="session")
def tiny_model(small_store, tmp_path_factory) -> Path:
    """A folder with an untrained tiny model: it dances badly, but it dances."""
    from longdance.data.store import Store
    from longdance.models.pmd import ParallelMambaDenoiser
    from longdance.train.denoising import as_checkpoint
    from longdance.train.recipes import tiny

    torch.manual_seed(0)
    config = tiny()
    folder = tmp_path_factory.mktemp("model")
    as_checkpoint(config, Store.open(small_store), ParallelMambaDenoiser(config.network), 0).save(folder)
    return folder


@pytest.fixture(scope="module")
def browser():
    """A Chromium without a window that plays sound unasked; closed soon, for its event loop runs till then.

    Where LONGDANCE_NEEDS_BROWSER is set, as in CI, its lack is a failure.
    """
    lacking = pytest.fail if os.environ.get("LONGDANCE_NEEDS_BROWSER") else pytest.skip
    try:
        from playwright import sync_api as playwright
    except ImportError:
        lacking("needs playwright")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        lacking("needs a Chromium browser")
    flags = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    flags.append("--autoplay-policy=no-user-gesture-required")
    with playwright.sync_playwright() as starter:
        started = starter.chromium.launch(executable_path=program, args=flags)
        yield started
        started.close()
