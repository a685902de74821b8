"""Reads every open clip and prints how well it sits on our skeleton, source and result side by side.

    python tools/check_retarget.py DATA [CLIP ...]

Columns: seconds to read; at 30 fps the mean root-relative joint speed (m/s) and the mean joint jerk (m/s^3); the
largest turn of a joint between two frames at 60 fps (degrees) and where; horizontal speed of standing foot joints
(cm/s) in the source, scaled to our size, and in the result; height of the lower sole over the floor, 5th percentile,
and the lowest point of any joint (cm). The last line has the means.
"""

import argparse
import time

import numpy as np

from longdance.data.open import read_clip, read_labels
from longdance.errors import InputError
from longdance.motion.bvh import read_bvh
from longdance.motion.contacts import foot_contacts, speeds
from longdance.motion.landmarks import bvh_landmarks
from longdance.motion.skeleton import SMPL24

FEET = ("left_ankle", "left_foot", "right_ankle", "right_foot")
HEADER = "clip                            s  speed  jerk  turn where                      slide  sole   low"


def source_feet(label, frames: int) -> np.ndarray:
    """(frames, 4, 3) of the source's foot joints, scaled to our leg, at 60 fps; the last ``frames`` of them."""
    if label.path.suffix == ".npz":
        with np.load(label.path) as file:
            names = [str(name) for name in file["names"]]
            points = {name: file["positions"][:, i] for i, name in enumerate(names)}
        fps = 60.0
    else:
        landmarks = bvh_landmarks(read_bvh(label.path))
        points, fps = landmarks.positions, landmarks.fps
    leg = sum(
        np.median(np.linalg.norm(points[f"left_{a}"] - points[f"left_{b}"], axis=-1))
        for a, b in (("hip", "knee"), ("knee", "ankle"))
    )
    feet = np.stack([points[name] for name in FEET], 1) * (SMPL24.leg_length / leg)
    at = np.arange(0, len(feet) - 1e-6, fps / 60)
    feet = np.stack(
        [[np.interp(at, np.arange(len(feet)), feet[:, j, axis]) for axis in range(3)] for j in range(4)]
    ).transpose(2, 0, 1)
    return feet[-frames:]


def check(label) -> tuple[float, ...]:
    """One row of numbers, printed as it is measured."""
    start = time.perf_counter()
    motion = read_clip(label, fps=60)
    took = time.perf_counter() - start
    joints = motion.joints()
    low = motion.resample(30).joints()
    speed = speeds(low - low[:, :1], 30).mean()
    jerk = np.linalg.norm(np.diff(low, 3, axis=0), axis=-1).mean() * 30**3
    steps = np.swapaxes(motion.rotations[:-1], -1, -2) @ motion.rotations[1:]
    turns = np.degrees(np.arccos(np.clip((np.trace(steps, axis1=-2, axis2=-1) - 1) / 2, -1, 1)))
    frame, joint = np.unravel_index(turns.argmax(), turns.shape)
    contacts = foot_contacts(joints, 60, skeleton=SMPL24, joint_names=FEET)
    feet = joints[:, [SMPL24.index(name) for name in FEET]]
    slides = []
    for track in (source_feet(label, len(feet)), feet):
        count = min(len(track), len(contacts))
        sliding = speeds(track[:count][..., [0, 2]], 60)
        slides.append(100 * sliding[contacts[:count]].mean() if contacts.any() else 0.0)
    soles = 100 * np.percentile((feet[..., 1] - [0.08, 0.02, 0.08, 0.02]).min(1), 5)
    lowest = 100 * joints[..., 1].min()
    print(
        f"{label.clip:27s} {took:5.1f} {speed:6.2f} {jerk:5.0f} {turns.max():5.0f} "
        f"{SMPL24.names[joint] + f' @{frame}':20s} {slides[0]:5.1f} {slides[1]:5.1f} {soles:5.1f} {lowest:5.1f}",
        flush=True,
    )
    return took, speed, jerk, turns.max(), *slides, soles, lowest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data")
    parser.add_argument("clips", nargs="*")
    options = parser.parse_args()
    print(HEADER)
    rows = []
    for label in read_labels(options.data):
        if options.clips and label.clip not in options.clips:
            continue
        try:
            rows.append(check(label))
        except InputError as error:
            print(error)
    print("mean", " ".join(f"{value:.2f}" for value in np.mean(rows, axis=0)), f"; {sum(r[0] for r in rows):.0f} s")


if __name__ == "__main__":
    main()
