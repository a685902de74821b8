"""BVH of a take; the file format itself is in ``motion.bvh``."""

import numpy as np

from longdance.export.job import Job
from longdance.export.takes import Take
from longdance.motion.bvh import MOVING_CHANNELS, TURNING_CHANNELS, BvhFile, write_bvh

REGISTER = {
    "format": {
        "bvh": {
            "make": "write", "order": 2, "about": "skeleton and movement",
            "up": ("y", "z"), "unit": ("m", "cm"), "bones": True,
        },
    },
}  # fmt: skip


def write(job: Job) -> None:
    """Write one take."""
    write_bvh(bvh_file(job.takes()[0], scale=100.0 if job.unit == "cm" else 1.0), job.path)


def bvh_file(take: Take, *, scale: float | int = 1.0) -> BvhFile:
    """The take as a BVH file with ``scale`` units per metre."""
    positions = np.repeat(take.offsets[None], take.frames, axis=0)
    for joint, track in take.translations.items():
        positions[:, joint] = track
    offsets = take.offsets.copy()
    offsets[0] = 0.0  # its place is in its channels, and readers that add the two are many
    return BvhFile(
        names=take.names,
        parents=take.parents,
        offsets=offsets * scale,
        channels=tuple(
            MOVING_CHANNELS if joint in take.translations else TURNING_CHANNELS for joint in range(len(take.names))
        ),
        end_parents=tuple(take.ends),
        end_offsets=np.array(list(take.ends.values())).reshape(-1, 3) * scale,
        positions=positions * scale,
        rotations=take.rotations,
        fps=take.fps,
    )
