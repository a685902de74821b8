"""The openly licensed dances (CMU, G1 Moves): a table of labelled clips, and each clip as a ``Motion``."""

import csv
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from longdance.errors import InputError
from longdance.motion import filters
from longdance.motion.bvh import load_bvh_motion
from longdance.motion.contacts import foot_contacts
from longdance.motion.directions import turn_angle
from longdance.motion.ik import lock_feet
from longdance.motion.motion import UNREADABLE, Motion
from longdance.motion.retarget import fit_keypoints

SPLITS = ("train", "val", "test")

CUTOFF = 10.0
"""Hertz of the zero-phase low-pass that every clip gets: accents live below it, capture noise above."""
NOISY_CUTOFF = 6.0
"""The same for the salsa couple's takes, whose capture noise is several times that of the others."""
LEAD_IN = 0.1
"""Seconds at the start of the salsa couple's takes in which the body leaves a T pose that nobody danced."""
LEAP_SPEED = 8.0
"""Metres per second, on average over all joints, that only a capture error reaches."""
LEAP_TURN = 45.0
"""Radians per second that a joint turns only by a capture error."""
MINIMAL_RATE = 50.0
"""Frames per second from which on a turn between two frames is known well enough to be judged."""
NOISY = ("60_", "61_")
"""How the names of the noisy takes begin."""
OFF_THE_FLOOR = ("01_08", "01_14")
"""Clips that climb and sit on things which are not there: a network would learn to hover from them."""
HELD_OUT = {"94_01": "test"}
"""Clips that the table trains on and that are held out here: of a genre trained on whole nothing could be measured."""


@dataclass(frozen=True, kw_only=True)
class ClipLabel:
    """One row of ``labels.csv``: ``fps`` is the file's own rate, ``movement`` the source's own words."""

    clip: str
    source: str
    path: Path
    fps: float
    seconds: float
    genre: str
    movement: str
    split: str


def read_labels(folder: str | os.PathLike) -> list[ClipLabel]:
    """The clips listed in ``folder/labels.csv``; ``InputError`` names the file, the line and the field."""
    table = Path(folder) / "labels.csv"
    wanted = ("clip", "source", "file", "fps", "seconds", "genre", "movement", "split")
    labels: list[ClipLabel] = []
    try:
        with open(table, newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            missing = [name for name in wanted if name not in (rows.fieldnames or ())]
            if missing:
                raise InputError(
                    f"{table}: expected the columns {', '.join(wanted)}; missing {', '.join(missing)}"
                )
            for row in rows:
                labels.append(_label(row, table, rows.line_num))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table}: expected a readable table of clips ({error})") from error
    names = [label.clip for label in labels]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{table}: expected every clip once, got {', '.join(twice)} more often")
    return labels


def _label(row: dict[str, str], table: Path, line: int) -> ClipLabel:
    try:
        fps, seconds = float(row["fps"]), float(row["seconds"])
    except (TypeError, ValueError) as error:
        raise InputError(f"{table}, line {line}: expected numbers for fps and seconds ({error})") from error
    if row["split"] not in SPLITS:
        raise InputError(f"{table}, line {line}: expected split to be one of {SPLITS}, got {row['split']!r}")
    return ClipLabel(
        clip=row["clip"],
        source=row["source"],
        path=table.parent / row["file"],
        fps=fps,
        seconds=seconds,
        genre=row["genre"],
        movement=row["movement"],
        split=HELD_OUT.get(row["clip"], row["split"]),
    )


def read_clip(label: ClipLabel, *, fps: float | None = None) -> Motion:
    """A clip on the SMPL24 skeleton at ``fps`` (by default the file's), cleaned of capture noise.

    It faces +z on average, starts above x = z = 0, stands on y = 0. ``meta`` holds clip, source, genre,
    movement. ``InputError`` names a missing or broken file.
    """
    read = read_keypoints if label.path.suffix.lower() == ".npz" else load_bvh_motion
    motion = read(label.path)
    if label.clip.startswith(NOISY):
        motion = motion.slice(round(LEAD_IN * motion.fps), motion.frames)
    motion = bridge_leaps(motion)
    cutoff = NOISY_CUTOFF if label.clip.startswith(NOISY) else CUTOFF
    motion = motion.low_pass(cutoff)
    if fps is not None:
        motion = motion.resample(fps)
    names = ("left_ankle", "left_foot", "right_ankle", "right_foot")
    contacts = foot_contacts(motion.joints(), motion.fps, skeleton=motion.skeleton, joint_names=names)
    motion = lock_feet(motion, contacts)
    meta = {"clip": label.clip, "source": label.source, "genre": label.genre, "movement": label.movement}
    return replace(face_forward(motion), meta=meta)


def read_keypoints(path: str | os.PathLike) -> Motion:
    """A G1 Moves file of keypoints on the SMPL24 skeleton; ``InputError`` names what is missing or broken."""
    path = Path(path)
    wanted = ("positions", "names", "fps", "pelvis_forward", "torso_forward")
    try:
        with np.load(path, allow_pickle=False) as file:
            missing = [key for key in wanted if key not in file.files]
            if missing:
                raise InputError(
                    f"{path}: expected the keys {', '.join(wanted)}; missing {', '.join(missing)}"
                )
            arrays = {key: file[key] for key in wanted}
    except UNREADABLE as error:
        raise InputError(f"{path}: expected an npz file of keypoints, could not read it ({error})") from error
    positions, names = arrays["positions"], tuple(str(name) for name in arrays["names"])
    frames, fps = len(positions), float(arrays["fps"])
    facing = (arrays["pelvis_forward"], arrays["torso_forward"])
    if (
        positions.shape != (frames, len(names), 3)
        or any(f.shape != (frames, 3) for f in facing)
        or not frames
    ):
        raise InputError(
            f"{path}: expected positions (frames, {len(names)}, 3) and forward vectors (frames, 3), "
            f"got {positions.shape} and {[f.shape for f in facing]}"
        )
    if not (all(np.isfinite(a).all() for a in (positions, *facing)) and np.isfinite(fps) and fps > 0):
        raise InputError(f"{path}: expected finite numbers and a positive fps")
    try:
        return fit_keypoints(positions, names, fps, pelvis_forward=facing[0], torso_forward=facing[1])
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def bridge_leaps(motion: Motion) -> Motion:
    """The motion with capture errors, frames in which a joint or the body leaps, bridged by interpolation.

    A bridge spans 0.04 s on both sides of the leap, since solvers drift before and settle after.
    """
    if motion.frames < 4:
        return motion
    fps, margin = motion.fps, max(1, round(0.04 * motion.fps))
    velocity = np.linalg.norm(np.diff(motion.joints(), axis=0), axis=-1) * fps
    everything = velocity.mean(1) > LEAP_SPEED
    turns = turn_angle(motion.rotations[:-1], motion.rotations[1:])
    leaps = (turns * fps > LEAP_TURN) & (fps >= MINIMAL_RATE)
    rotations, root = motion.rotations.copy(), motion.root_position.copy()
    for joint in range(len(motion.skeleton)):
        for start, stop in _bridges(leaps[:, joint] | everything, margin):
            ends = np.stack((rotations[start, joint], rotations[stop, joint]))
            at = np.linspace(0, 1, stop - start + 1)
            rotations[start : stop + 1, joint] = filters.interpolate_rotations(ends, at)
    for start, stop in _bridges(everything, margin):
        root[start : stop + 1] = np.linspace(root[start], root[stop], stop - start + 1)
    return replace(motion, root_position=root, rotations=rotations)


def _bridges(leaps: np.ndarray, margin: int) -> list[tuple[int, int]]:
    """First and last sound frame around every run of leaps (frames - 1,); near runs are taken as one."""
    spans: list[tuple[int, int]] = []
    for step in np.flatnonzero(leaps):
        start, stop = max(0, int(step) - margin), min(len(leaps), int(step) + 1 + margin)
        if spans and start <= spans[-1][1] + margin:
            start = spans.pop()[0]
        spans.append((start, stop))
    return spans


def face_forward(motion: Motion) -> Motion:
    """The motion turned about the vertical to face +z on average, and moved to start above x = z = 0."""
    ahead = motion.rotations[:, 0, :, 2].mean(0)
    turned = motion.turn(float(-np.arctan2(ahead[0], ahead[2])))
    return replace(
        turned, root_position=turned.root_position - turned.root_position[0] * np.array([1.0, 0.0, 1.0])
    )
