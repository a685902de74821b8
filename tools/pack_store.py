"""A store of dances without music as one small file, to take it to a machine that trains, and the store of it there.

    python tools/pack_store.py STORE store.npz           # the open data: about 20 MB for 720
    python tools/pack_store.py store.npz STORE           # on the other machine

Poses of clips as they were captured, rotations in half precision (0.05 degrees); mirrored copies, other tempi and
rhythm plans are made anew. Splits, words and settings are the store's own, so recipes train on either alike.
"""

import argparse
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from longdance.data.store import Store, write_store
from longdance.errors import InputError
from longdance.files import atomic_write
from longdance.motion.layout import LAYOUTS
from longdance.motion.motion import Motion
from longdance.motion.rotations import matrix_from_6d, matrix_to_6d
from longdance.prepare.silent import SilentSettings, silent_takes, with_standardised_curves

Told = Callable[[int, int], None]


def pack(store: Store, path: Path) -> None:
    """Write the clips of a store; ``InputError`` for one with music, which would have to travel too."""
    takes = [take for split in ("train", "val", "test") for take in store.select(split, original=True)]
    if not all(take.silent for take in takes):
        raise InputError(f"{store.folder}: expected a store of dances without music, got some with; copy it whole")
    poses = [store.layout.decode(store.motion_of(take), store.fps) for take in takes]
    settings = json.loads((store.folder / "store.json").read_text(encoding="utf-8"))["settings"]
    known = {key: settings[key] for key in SilentSettings.model_fields if key in settings}
    clips = [
        {"clip": t.clip, "split": t.split, "genre": t.genre, "movements": t.movements, "frames": t.frames}
        for t in takes
    ]
    record = {"settings": known, "licence": store.licence, "clips": clips}
    rotations = [matrix_to_6d(torch.from_numpy(pose.rotations)).numpy().astype(np.float16) for pose in poses]
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(
            file,
            record=np.array(json.dumps(record)),
            root=np.concatenate([pose.root_position for pose in poses]).astype(np.float32),
            rotations=np.concatenate(rotations),
        )


def unpack(path: Path, folder: Path, told: Told = lambda done, total: None) -> None:
    """Make a store of packed clips; ``InputError`` for a file that holds none."""
    try:
        with np.load(path, allow_pickle=False) as file:
            record, root, sixd = json.loads(str(file["record"])), file["root"], file["rotations"]
        settings, clips = SilentSettings(**record["settings"]), record["clips"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: expected a packed store ({error})") from error
    layout = LAYOUTS[settings.layout]
    rotations = matrix_from_6d(torch.from_numpy(sixd.astype(np.float64))).numpy()
    parts, start = [], 0
    for number, clip in enumerate(clips):
        rows = slice(start, start := start + clip["frames"])
        pose = Motion(root[rows].astype(float), rotations[rows], settings.fps, layout.skeleton)
        words = clip["clip"], clip["split"], clip["genre"], tuple(clip["movements"])
        parts.append(silent_takes(*words, pose, settings))
        told(number + 1, len(clips))
    write_store(
        folder,
        fps=settings.fps,
        layout=layout,
        music_encoder=settings.music_encoder,
        fingerprint=hashlib.sha256(path.read_bytes()).hexdigest(),
        licence=record["licence"],
        settings=settings.model_dump(),
        parts=with_standardised_curves(parts)[0],
    )


def main() -> None:
    """Pack a folder, unpack a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    given = parser.parse_args()
    if given.source.is_dir():
        pack(Store.open(given.source), given.target)
        print(f"{given.target}: {given.target.stat().st_size / 1e6:.1f} MB")
    else:
        unpack(given.source, given.target, lambda done, total: print(f"\r{done} of {total}", end="", flush=True))
        print(f"\n{given.target}")


if __name__ == "__main__":
    main()
