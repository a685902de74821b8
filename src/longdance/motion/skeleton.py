"""Skeletons: joint names, the tree, and a neutral rest pose in metres.

The joint names and order are SMPL's; the proportions are our own, so no licensed model file is needed.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Skeleton:
    """A tree of joints in a T pose that faces +z, left on +x, every local frame parallel to the world's.

    ``offsets`` (joints, 3) are metres from the parent; the root's is zero. Parents precede children.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: np.ndarray

    def __post_init__(self):
        assert len(self.names) == len(self.parents) == len(self.offsets)
        assert self.parents[0] == -1
        assert all(parent < joint for joint, parent in enumerate(self.parents))

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"Skeleton({len(self)} joints: {', '.join(self.names[:3])}, ...)"

    def index(self, name: str) -> int:
        """Position of a joint in the joint axis; ``KeyError`` for a name that the skeleton lacks."""
        return self._index[name]

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}

    @cached_property
    def rest_positions(self) -> np.ndarray:
        """(joints, 3) metres, feet on the floor, pelvis above the origin."""
        positions = np.zeros((len(self), 3))
        for joint, parent in enumerate(self.parents):
            if parent >= 0:
                positions[joint] = positions[parent] + self.offsets[joint]
        positions[:, 1] += self.rest_root_height
        return positions

    @cached_property
    def rest_root_height(self) -> float:
        """Height of the pelvis in metres when the balls of the feet rest on the floor."""
        depth, joint = 0.0, self.index("left_foot")
        while joint > 0:
            depth -= self.offsets[joint][1]
            joint = self.parents[joint]
        return depth + BALL_HEIGHT

    @cached_property
    def leg_length(self) -> float:
        """Metres from hip to ankle along the bones."""
        return float(
            np.linalg.norm(self.offsets[self.index("left_knee")])
            + np.linalg.norm(self.offsets[self.index("left_ankle")])
        )

    @cached_property
    def mirror_index(self) -> np.ndarray:
        """(joints,) index of each joint's left/right counterpart; midline joints map to themselves."""
        swap = {"left": "right", "right": "left"}
        twins = []
        for name in self.names:
            side, _, rest = name.partition("_")
            twins.append(self.index(f"{swap[side]}_{rest}") if side in swap else self.index(name))
        return np.array(twins)

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """For every joint the joints that hang on it."""
        return tuple(
            tuple(j for j, parent in enumerate(self.parents) if parent == i) for i in range(len(self))
        )


BALL_HEIGHT = 0.02
"""Metres of the joint at the ball of the foot above the floor while the foot stands flat."""

_LEFT_HALF = {  # joint: (parent, offset from the parent in metres)
    "hip": ("pelvis", (0.090, -0.080, 0.000)),
    "knee": ("hip", (0.000, -0.400, 0.000)),
    "ankle": ("knee", (0.000, -0.410, -0.010)),
    "foot": ("ankle", (0.000, -0.060, 0.130)),
    "collar": ("spine3", (0.070, 0.120, -0.010)),
    "shoulder": ("collar", (0.110, 0.020, 0.000)),
    "elbow": ("shoulder", (0.265, 0.000, 0.000)),
    "wrist": ("elbow", (0.250, 0.000, 0.000)),
    "hand": ("wrist", (0.080, 0.000, 0.000)),
}
_MIDLINE = {
    "pelvis": (None, (0.0, 0.0, 0.0)),
    "spine1": ("pelvis", (0.000, 0.110, -0.010)),
    "spine2": ("spine1", (0.000, 0.130, 0.000)),
    "spine3": ("spine2", (0.000, 0.060, 0.000)),
    "neck": ("spine3", (0.000, 0.210, -0.010)),
    "head": ("neck", (0.000, 0.090, 0.040)),
}
_SMPL_ORDER = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle",
    "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder",
    "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hand", "right_hand",
)  # fmt: skip


def _smpl(count: int) -> Skeleton:
    names = _SMPL_ORDER[:count]
    parents, offsets = [], []
    for name in names:
        side, _, rest = name.partition("_")
        if side in ("left", "right"):
            parent, offset = _LEFT_HALF[rest]
            parent = parent if parent in _MIDLINE else f"{side}_{parent}"
            offset = (offset[0] if side == "left" else -offset[0], *offset[1:])
        else:
            parent, offset = _MIDLINE[name]
        parents.append(names.index(parent) if parent else -1)
        offsets.append(offset)
    return Skeleton(names, tuple(parents), np.array(offsets))


SMPL24 = _smpl(24)
"""The 24 SMPL joints (EDMG, EDGE)."""

SMPL22 = _smpl(22)
"""The first 22 SMPL joints, without the hands (Lodge)."""
