"""Files of exactly the formats in which AIST++ and FineDance are published, with made-up dances and music."""

import json
import pickle
from pathlib import Path

import numpy as np
import torch
from tests.conftest import swaying

from longdance.features.audio import write_audio
from longdance.motion.motion import Motion
from longdance.motion.rotations import axis_angle_from_matrix, matrix_to_6d
from longdance.motion.skeleton import SMPL24
from longdance.motion.smpl_files import SMPL_LEG_LENGTH

RATE = 22050
SCALING = 93.5
"""Centimetre-like units in which AIST++ gives its translations."""
RATIO = SMPL24.leg_length / SMPL_LEG_LENGTH


def write_clicks(path: Path, *, seconds: float, tempo_hz: float = 2.0) -> None:
    """A song of decaying clicks over quiet noise."""
    rng = np.random.default_rng(len(path.stem))
    times = np.arange(round(seconds * RATE)) / RATE
    since = times % (1 / tempo_hz)
    sound = 0.5 * np.exp(-since * 60) * np.sin(2 * np.pi * 220 * times) + 0.002 * rng.normal(size=len(times))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_audio(path, sound, RATE)


def aistpp_record(motion: Motion) -> dict[str, np.ndarray]:
    """What an AIST++ pickle holds of a motion on SMPL24."""
    poses = axis_angle_from_matrix(torch.from_numpy(motion.rotations)).numpy().reshape(motion.frames, 72)
    # SMPL's translation is not the pelvis: any constant may lie between.
    translation = (motion.root_position / RATIO + [0.0, 0.3, 0.0]) * SCALING
    return {
        "smpl_loss": 1.25,
        "smpl_poses": poses.astype(np.float32),
        "smpl_scaling": np.array([SCALING], np.float32),
        "smpl_trans": translation.astype(np.float32),
    }


def write_aistpp(folder: Path, sequences: dict[str, tuple[str, float]], *, ignored: tuple[str, ...] = ()) -> Path:
    """An AIST++ folder; ``sequences`` maps names to (split, seconds)."""
    motions, splits = folder / "motions", folder / "splits"
    motions.mkdir(parents=True)
    splits.mkdir()
    lists = {"train": [], "val": [], "test": []}
    for number, (name, (split, seconds)) in enumerate(sequences.items()):
        motion = swaying(round(60 * seconds), 60.0, tempo_hz=1.0 + 0.1 * number)
        (motions / f"{name}.pkl").write_bytes(pickle.dumps(aistpp_record(motion), protocol=2))
        lists[split].append(name)
        song = folder / "music" / f"{name.split('_')[4]}.wav"
        if not song.exists():
            write_clicks(song, seconds=max(length for _, length in sequences.values()) + 1.0)
    for split, names in lists.items():
        (splits / f"crossmodal_{split}.txt").write_text("".join(f"{name}\n" for name in names))
    (folder / "ignore_list.txt").write_text("".join(f"{name}\n" for name in ignored))
    return folder


def finedance_rows(motion: Motion) -> np.ndarray:
    """(frames, 315) of a motion on SMPL24, fingers at rest."""
    sixd = np.tile(np.array([1.0, 0, 0, 0, 1, 0]), (motion.frames, 52, 1))
    sixd[:, :22] = matrix_to_6d(torch.from_numpy(motion.rotations[:, :22])).numpy()
    translation = motion.root_position / RATIO - [0.0, 1.2, 0.0]
    return np.concatenate((translation, sixd.reshape(motion.frames, -1)), axis=1).astype(np.float32)


def write_finedance(folder: Path, dances: dict[str, tuple[str, float]]) -> Path:
    """A FineDance folder; ``dances`` maps ids to (style2, seconds)."""
    (folder / "motion").mkdir(parents=True)
    (folder / "label_json").mkdir()
    for number, (name, (style, seconds)) in enumerate(dances.items()):
        motion = swaying(round(30 * seconds), 30.0, tempo_hz=1.0 + 0.1 * number)
        np.save(folder / "motion" / f"{name}.npy", finedance_rows(motion))
        label = {"name": f"song {name}", "style1": "Street", "style2": style}
        (folder / "label_json" / f"{name}.json").write_text(json.dumps(label))
        write_clicks(folder / "music_wav" / f"{name}.wav", seconds=seconds)
    return folder
