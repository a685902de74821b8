"""What every benchmark shares: where and when it ran, the real dances, and how a report is written."""

import json
import os
import platform
from datetime import date
from pathlib import Path

import torch

from longdance import __version__
from longdance.data.store import Store
from longdance.files import AUDIO_ENDINGS, atomic_write
from longdance.motion.motion import Motion


def environment() -> dict[str, str | int]:
    """Date, hardware and versions, for the head of a report."""
    return {
        "date": date.today().isoformat(),
        "hardware": f"{processor()}, {os.cpu_count()} cores",
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "longdance": __version__,
    }


def processor() -> str:
    """The processor's name where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def songs_in(folder: Path) -> list[Path]:
    """The songs of a folder, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in AUDIO_ENDINGS)


def real_dances(store: Store, split: str) -> dict[str, tuple[str, Motion]]:
    """Every dance of a split as captured: clip name to genre and motion."""
    return {
        take.clip: (take.genre, store.layout.decode(store.motion_of(take), store.fps))
        for take in store.select(split, original=True)
        if take.genre != "none"
    }


def write_report(path: Path, report: dict) -> None:
    """One JSON file, the environment first."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps({**environment(), **report}, indent=1) + "\n")
