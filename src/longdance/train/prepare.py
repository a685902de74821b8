"""``longdance prepare``: a data set on disk into a prepared store.

Dances without music get soundtracks composed on beats that are estimated from the movement, so that the features are
computed from audio by the same code that serves a user's song.
"""

import hashlib
import json
import multiprocessing
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy import ndimage

from longdance.data import open as open_data
from longdance.data.catalogue import movements_of_label
from longdance.data.store import is_prepared, write_store
from longdance.errors import InputError
from longdance.features.beats import beats_of_motion
from longdance.features.composer import MONO_SAMPLE_RATE, compose
from longdance.features.music import MUSIC_ENCODERS
from longdance.features.song import Song
from longdance.features.styles import STYLES
from longdance.motion.contacts import speeds
from longdance.motion.layout import LAYOUTS
from longdance.motion.motion import Motion, atomic_write

VERSION = 2
"""Raised whenever prepared numbers change, so that old stores are made again."""

OPEN_LICENCE = (
    "Motion from mocap.cs.cmu.edu (created with funding from NSF EIA-0196217; do not resell the data itself) and from "
    "G1 Moves (CC BY 4.0, Experiential Technologies, dancers Jasmine Coro and Mitch Chaiet). Soundtracks composed by "
    "longdance, in part with CC0 samples."
)


class PrepareSettings(BaseModel):
    """What a store of the open data holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fps: float = 30.0
    """Frames per second of motion and music features."""
    layout: str = "smpl24"
    music_encoder: str = "rhythm"
    variants: int = 6
    """Copies of each training clip, each with a soundtrack of its own; all but the first at another tempo."""
    mirrored: bool = True
    """Whether every training take also appears with left and right swapped."""
    slowest: float = 0.86
    fastest: float = 1.16
    """Range of tempo factors of the further copies."""
    own_style: float = 0.6
    """Share of soundtracks in the style of the clip's genre; the others borrow one, so that the genre is learnt from
    the words and not from the sound."""
    seed: int = 0


class Outcome(NamedTuple):
    """What preparing did: how many clips were read, which were not and why, or that nothing was to do."""

    clips: int
    failed: list[str]
    unchanged: bool = False


Progress = Callable[[int, int, str], None]


def prepare_open(
    source: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    settings: PrepareSettings | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Read the open data (``labels.csv``, BVH, keypoints) into a store.

    Nothing is done if the store was made from the same files with the same settings. A run that was cut short goes on
    where it stopped. Broken clips are left out and named.
    """
    settings = settings or PrepareSettings()
    source, folder = Path(source), Path(folder)
    if settings.layout not in LAYOUTS:
        raise InputError(f"expected a layout among {', '.join(LAYOUTS)}, got {settings.layout!r}")
    if settings.music_encoder not in MUSIC_ENCODERS:
        raise InputError(
            f"expected a music encoder among {', '.join(MUSIC_ENCODERS)}, got {settings.music_encoder!r}"
        )
    labels = open_data.read_labels(source)
    samples = source / "music" / "samples_cc0"
    fingerprint = _fingerprint(settings, [source / "labels.csv", *(label.path for label in labels)])
    if is_prepared(folder, fingerprint):
        return Outcome(len(labels), [], unchanged=True)

    parts_folder = folder / "parts"
    marker = parts_folder / "fingerprint"
    if not marker.is_file() or marker.read_text() != fingerprint:
        shutil.rmtree(parts_folder, ignore_errors=True)
        parts_folder.mkdir(parents=True)
        marker.write_text(fingerprint)

    failed: dict[str, str] = {}
    waiting = [label for label in labels if not (parts_folder / f"{label.clip}.npz").is_file()]
    done = len(labels) - len(waiting)
    # Forking a process in which torch has started threads can hang: start fresh ones.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers or os.cpu_count(), mp_context=context, initializer=_one_thread) as pool:
        jobs = {
            pool.submit(_prepare_clip, label, settings, samples if samples.is_dir() else None, parts_folder): label
            for label in waiting
        }
        try:
            for job in as_completed(jobs):
                label, done = jobs[job], done + 1
                try:
                    job.result()
                except InputError as error:
                    failed[label.clip] = str(error)
                if progress is not None:
                    progress(done, len(labels), label.clip)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    parts = [
        _load_part(parts_folder / f"{label.clip}.npz") for label in labels if label.clip not in failed
    ]
    if not any(record["split"] == "train" for records, *_ in parts for record in records):
        raise InputError(f"{source}: expected at least one readable training clip, found none")
    write_store(
        folder,
        fps=settings.fps,
        layout=LAYOUTS[settings.layout],
        music_encoder=settings.music_encoder,
        fingerprint=fingerprint if not failed else f"{fingerprint}-incomplete",
        licence=OPEN_LICENCE,
        settings=settings.model_dump(),
        parts=parts,
    )
    shutil.rmtree(parts_folder, ignore_errors=True)
    return Outcome(len(parts), [f"{clip}: {why}" for clip, why in failed.items()])


def _prepare_clip(
    label: open_data.ClipLabel, settings: PrepareSettings, samples: Path | None, parts_folder: Path
) -> None:
    """Every take of one clip into ``parts_folder``."""
    layout = LAYOUTS[settings.layout]
    rng = np.random.default_rng([settings.seed, *label.clip.encode()])
    source = open_data.read_clip(label)
    if label.genre != "none":
        source = without_still_ends(source)
    beats = beats_of_motion(source.joints(), source.fps)
    downbeat = _strongest_phase(beats.strength)
    training = label.split == "train"
    records, motions, musics = [], [], []
    rows = music_rows = 0
    for variant in range(settings.variants if training else 1):
        speed = 1.0 if variant == 0 else float(rng.uniform(settings.slowest, settings.fastest))
        motion = _on_skeleton(replace(source, fps=source.fps * speed).resample(settings.fps), settings.layout)
        times = beats.beat_times / speed
        style = label.genre
        if rng.random() >= settings.own_style or style not in STYLES:
            style = sorted(STYLES)[rng.integers(len(STYLES))]
        samples_track = compose(
            times,
            seconds=motion.seconds,
            style=style,
            seed=int(rng.integers(2**31)),
            downbeat_offset=downbeat,
            samples_folder=samples,
        )
        inside = times[(times >= 0) & (times < motion.seconds)]
        song = Song.from_samples(
            samples_track,
            MONO_SAMPLE_RATE,
            name=f"{label.clip} {variant}",
            beat_times=times,
            downbeat_times=times[downbeat::4],
        )
        music = _fit_length(MUSIC_ENCODERS[settings.music_encoder](song, settings.fps), motion.frames)
        for mirrored in (False, True) if training and settings.mirrored else (False,):
            features = layout.encode(motion.mirror() if mirrored else motion)
            records.append(
                {
                    "clip": label.clip,
                    "split": label.split,
                    "genre": label.genre,
                    "movements": movements_of_label(label.genre, label.movement),
                    "frames": motion.frames,
                    "start": rows,
                    "music_start": music_rows,
                    "mirrored": mirrored,
                    "variant": variant,
                    "beat_times": tuple(round(float(t), 4) for t in inside),
                }
            )
            motions.append(features)
            rows += motion.frames
        musics.append(music)
        music_rows += motion.frames
    with atomic_write(parts_folder / f"{label.clip}.npz") as temporary, open(temporary, "wb") as file:
        np.savez(
            file,
            records=np.array(json.dumps(records)),
            motion=np.concatenate(motions),
            music=np.concatenate(musics),
        )


def without_still_ends(motion: Motion, *, threshold: float = 0.12, margin: float = 0.4) -> Motion:
    """The motion from shortly before it begins to move until shortly after it stops.

    Captures begin and end with the dancer waiting; a model that learns from that waits too. Still is a mean joint
    speed, averaged over half a second, below ``threshold`` m/s; ``margin`` seconds of it are left. A motion that never
    moves stays as it is.
    """
    pace = speeds(motion.joints(), motion.fps).mean(1)
    pace = ndimage.uniform_filter1d(pace, max(1, round(0.5 * motion.fps)))
    moving = np.flatnonzero(pace >= threshold).tolist()
    if not moving:
        return motion
    kept = round(margin * motion.fps)
    trimmed = motion.slice(max(0, moving[0] - kept), min(motion.frames, moving[-1] + 1 + kept))
    origin = trimmed.root_position[0] * np.array([1.0, 0.0, 1.0])
    return replace(trimmed, root_position=trimmed.root_position - origin)


def _on_skeleton(motion: Motion, layout_name: str) -> Motion:
    """The motion with the layout's joints; the 22-joint layout drops the hands."""
    skeleton = LAYOUTS[layout_name].skeleton
    return replace(motion, rotations=motion.rotations[:, : len(skeleton)], skeleton=skeleton)


def _strongest_phase(strength: np.ndarray) -> int:
    """Which of the first four beats to call a downbeat: the one whose every fourth beat is strongest in sum."""
    if len(strength) < 4:
        return 0
    return int(np.argmax([strength[phase::4].mean() for phase in range(4)]))


def _fit_length(music: np.ndarray, frames: int) -> np.ndarray:
    """Cut or repeat the last frame: rounding may leave music a frame longer or shorter than the motion."""
    if len(music) >= frames:
        return music[:frames]
    return np.concatenate((music, np.repeat(music[-1:], frames - len(music), axis=0)))


def _load_part(path: Path) -> tuple[list[dict], np.ndarray, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        records = json.loads(str(file["records"]))
        for record in records:
            record["movements"] = tuple(record["movements"])
            record["beat_times"] = tuple(record["beat_times"])
        return records, file["motion"], file["music"]


def _fingerprint(settings: PrepareSettings, files: list[Path]) -> str:
    digest = hashlib.sha256(f"{VERSION} {settings.model_dump_json()}".encode())
    for path in files:
        digest.update(path.name.encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest() if path.is_file() else b"missing")
    return digest.hexdigest()


def _one_thread() -> None:
    """Workers share the cores: one thread each."""
    import torch

    torch.set_num_threads(1)
