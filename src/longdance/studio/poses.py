"""Poses that somebody drags: where hands, feet and hips are to be, solved and put into a dance."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from longdance.errors import InputError
from longdance.motion.limbs import reach_ankles, reach_wrists
from longdance.motion.motion import Motion
from longdance.motion.rotations import matrix_from_quaternion, quaternion_from_matrix

ENDS = ("left_wrist", "right_wrist", "left_ankle", "right_ankle")
"""Joints that can be dragged, beside the pelvis."""


def frame_at(dance: Motion, at: float) -> int:
    """The frame nearest to ``at``, seconds of the song; ``InputError`` outside of the dance."""
    frame = round((at - float(dance.meta.get("start", 0.0))) * dance.fps)
    if not 0 <= frame < dance.frames:
        raise InputError(f"expected a second within the dance, got {at:g}; move the playhead")
    return frame


def reached(dance: Motion, frame: int, wanted: Mapping[str, Sequence[float]]) -> Motion:
    """A frame of the dance whose named joints are where they are ``wanted`` (metres), as far as limbs reach.

    Hands and feet stay where they are while the pelvis moves. Elbows and knees keep their planes.
    """
    if any(f"left_{joint}" not in dance.skeleton.names for joint in ("wrist", "elbow", "ankle", "knee", "foot")):
        raise InputError("expected a dance with arms and legs of known names")
    pose = replace(dance.slice(frame, frame + 1), meta={})
    index = pose.skeleton.index
    places = pose.joints()[0]
    targets = {name: np.array(wanted.get(name, places[index(name)]), dtype=np.float64) for name in ENDS}
    if "pelvis" in wanted:
        shift = np.array(wanted["pelvis"], dtype=np.float64) - places[0]
        pose = replace(pose, root_position=pose.root_position + shift)
    pose = reach_ankles(pose, _pair(targets, "ankle"), shift_pelvis=False)
    return reach_wrists(pose, _pair(targets, "wrist"))


def _pair(targets: Mapping[str, np.ndarray], joint: str) -> np.ndarray:
    return np.stack([targets[f"left_{joint}"], targets[f"right_{joint}"]])[None]


def told(pose: Motion) -> dict:
    """A pose of one frame as a page takes it: root (3) and quaternions x, y, z, w (joints, 4)."""
    turns = np.roll(quaternion_from_matrix(torch.from_numpy(pose.rotations[0])).numpy(), -1, axis=-1)
    return {"root": pose.root_position[0].tolist(), "turns": turns.tolist(), "joints": list(pose.skeleton.names)}


def with_poses(dance: Motion, poses: Sequence[Mapping]) -> Motion:
    """The dance with single frames replaced: each of ``at`` (seconds of the song), root and turns as ``told``."""
    if not poses:
        return dance
    root, rotations = dance.root_position.copy(), dance.rotations.copy()
    for pose in poses:
        frame = frame_at(dance, pose["at"])
        turns = np.roll(np.array(pose["turns"], dtype=np.float64), 1, axis=-1)
        if turns.shape != (len(dance.skeleton), 4):
            raise InputError(f"expected a pose of {len(dance.skeleton)} joints, got {len(turns)}")
        root[frame] = pose["root"]
        rotations[frame] = matrix_from_quaternion(torch.from_numpy(turns)).numpy()
    return replace(dance, root_position=root, rotations=rotations)
