"""Proof that a change of the code changes no dance: reference dances made before it are compared with those after it.

    python benchmarks/reference_dances.py make FOLDER
    python benchmarks/reference_dances.py compare FOLDER OTHER

``make`` dances to the bundled song (its tempo and first beat given, so that nothing depends on the beat tracker) with
three models and three seeds, raw and cleaned, streams some of these dances and edits one, all in float32 on one
thread. ``compare`` prints, for each dance, the largest distance between joints and whether it is equal to the last bit;
its exit code is 1 if a dance is more than 1 mm away or missing.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
import typer

import longdance
from longdance.cli import app as command_line
from longdance.models import precision
from longdance.motion.motion import Motion

SONG = Path(str(files("longdance") / "assets" / "demo_song.ogg"))
HEARD = ("--bpm", "114", "--beat-offset", "0.25", "--start", "8", "--seconds", "9")
MODELS, SEEDS = ("edmg", "edmg-fast", "lodge"), (0, 1, 2)
GENRES = {0: "hip-hop", 1: "salsa", 2: None}
RAW = "--raw"
TOLERANCE = 1e-3
"""Metres."""
EDITS = {
    "redo": ("--redo", "2:4", "--genre", "salsa"),
    "redo-upper": ("--redo", "3:5", "--joints", "upper"),
    "redo-feet-kept": ("--redo", "3:5", "--keep-feet"),
    "keep": ("--keep", "0:2", "--keep", "5.5"),
    "from": ("--from", "5", "--genre", "disco"),
    "extend": ("--extend", "3"),
    "mirror": ("--mirror",),
    "tempo": ("--tempo", "100"),
}

app = typer.Typer(add_completion=False)


def run(*words: object) -> None:
    """A command of longdance in this process."""
    command_line([*map(str, words), "--json"], standalone_mode=False)


@app.command()
def make(folder: Path, only: str = "") -> None:
    """Make the reference dances whose names contain ``only`` in a folder."""
    torch.set_num_threads(1)
    precision.multiplies_bf16 = lambda kind: False  # float32 throughout
    folder.mkdir(parents=True, exist_ok=True)

    def wanted(name: str) -> Path | None:
        path = folder / f"{name}.npz"
        return path if only in name and not path.exists() else None

    for model in MODELS:
        for seed in SEEDS:
            words = ("generate", SONG, "--model", model, "--seed", seed, *HEARD)
            words += ("--genre", GENRES[seed]) if GENRES[seed] else ()
            for kind, also in (("cleaned", ()), ("raw", (RAW,))):
                if path := wanted(f"{model}-{seed}-{kind}"):
                    run(*words, *also, "-o", path)
    heard = {"bpm": 114.0, "beat_offset": 0.25, "start": 8.0, "seconds": 14.0}
    for model in ("edmg", "lodge"):
        if path := wanted(f"{model}-streamed"):
            Motion.joined(list(longdance.load(model).stream(SONG, seed=0, genre="hip-hop", **heard))).save(path)
    for name, words in EDITS.items():
        if path := wanted(f"edmg-0-{name}"):
            run("edit", folder / "edmg-0-cleaned.npz", "--song", SONG, *words, "-o", path)
    if path := wanted("edmg-0-blend"):
        dances = (folder / f"edmg-{seed}-cleaned.npz" for seed in (0, 1))
        first, second = dances
        run("edit", first, "--song", SONG, "--blend", second, "--at", 4, "-o", path)


@app.command()
def compare(folder: Path, other: Path) -> None:
    """Compare every dance of FOLDER with that of the same name in OTHER."""
    failed = False
    for path in sorted(folder.glob("*.npz")):
        if not (other / path.name).exists():
            print(f"{path.stem:24} missing")
            failed = True
            continue
        one, two = Motion.load(path), Motion.load(other / path.name)
        if one.frames != two.frames:
            print(f"{path.stem:24} {one.frames} frames, now {two.frames}")
            failed = True
            continue
        equal = np.array_equal(one.rotations, two.rotations) and np.array_equal(one.root_position, two.root_position)
        apart = float(np.linalg.norm(one.joints() - two.joints(), axis=-1).max())
        failed |= apart > TOLERANCE
        print(f"{path.stem:24} {'equal' if equal else f'{1000 * apart:.3f} mm'}")
    sys.exit(int(failed))


if __name__ == "__main__":
    app()
