"""The feature vectors that models see, as tables of named blocks, and their normalisation."""

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from longdance.motion import rotations as rot
from longdance.motion.contacts import foot_contacts
from longdance.motion.kinematics import forward_kinematics
from longdance.motion.motion import Motion
from longdance.motion.skeleton import SMPL22, SMPL24, Skeleton


@dataclass(frozen=True, eq=False)
class Layout:
    """A motion feature vector: foot contacts, root position (metres), 6D rotations, in this order."""

    name: str
    skeleton: Skeleton
    contact_joints: tuple[str, ...]

    @cached_property
    def blocks(self) -> dict[str, slice]:
        """Block name to its columns, derived from the sizes."""
        sizes = {
            "contact": len(self.contact_joints),
            "root_position": 3,
            "rotations": 6 * len(self.skeleton),
        }
        slices, start = {}, 0
        for block, size in sizes.items():
            slices[block] = slice(start, start + size)
            start += size
        return slices

    def __getitem__(self, block: str) -> slice:
        return self.blocks[block]

    @property
    def width(self) -> int:
        """Number of features per frame."""
        return self.blocks["rotations"].stop

    @property
    def horizontal(self) -> list[int]:
        """Columns of the root's x and z."""
        root = self["root_position"].start
        return [root, root + 2]

    def joint_columns(self, names: tuple[str, ...]) -> np.ndarray:
        """(width,) booleans of the columns that hold the rotations of the named joints."""
        mask = np.zeros(self.width, dtype=bool)
        for name in names:
            start = self["rotations"].start + 6 * self.skeleton.index(name)
            mask[start : start + 6] = True
        return mask

    def encode(self, motion: Motion) -> np.ndarray:
        """(frames, width) float32 features of a motion with this layout's skeleton, contacts measured."""
        positions = motion.joints()
        contacts = foot_contacts(
            positions, motion.fps, skeleton=self.skeleton, joint_names=self.contact_joints
        )
        sixd = rot.matrix_to_6d(torch.from_numpy(motion.rotations)).flatten(-2).numpy()
        return np.concatenate((contacts, motion.root_position, sixd), axis=1).astype(np.float32)

    def decode(self, features: np.ndarray, fps: float, *, meta: dict | None = None) -> Motion:
        """The motion of (frames, width) denormalised features."""
        root, matrices = self.pose(torch.from_numpy(np.asarray(features, dtype=np.float64)))
        return Motion(root.numpy(), matrices.numpy(), fps=fps, skeleton=self.skeleton, meta=meta or {})

    def pose(
        self, features: Float[Tensor, "*axes features"]
    ) -> tuple[Float[Tensor, "*axes 3"], Float[Tensor, "*axes joints 3 3"]]:
        """Root position and local rotation matrices of denormalised features, differentiable."""
        sixd = features[..., self["rotations"]].unflatten(-1, (len(self.skeleton), 6))
        return features[..., self["root_position"]], rot.matrix_from_6d(sixd)

    def joints(self, features: Float[Tensor, "*axes features"]) -> Float[Tensor, "*axes joints 3"]:
        """Joint positions (metres) of denormalised features, differentiable."""
        return forward_kinematics(*self.pose(features), self.skeleton)[0]


Features = TypeVar("Features", np.ndarray, Tensor)


def centred(features: Features, layout: Layout) -> Features:
    """Denormalised features (..., frames, width) moved so that the root of the first frame is above x = z = 0."""
    columns = layout.horizontal
    if isinstance(features, np.ndarray):
        rows = features.copy()
        rows[..., columns] -= rows[..., :1, columns]
        return rows
    moved = features.clone()
    moved[..., columns] -= moved[..., :1, columns]
    return moved


LAYOUTS = {
    layout.name: layout
    for layout in (
        # EDMG and EDGE: ankle (heel) before toe, left before right.
        Layout("smpl24", SMPL24, ("left_ankle", "left_foot", "right_ankle", "right_foot")),
        # Lodge, section 3.1: left toe, left heel, right toe, right heel.
        Layout("smpl22", SMPL22, ("left_foot", "left_ankle", "right_foot", "right_ankle")),
    )
}


@dataclass(frozen=True, eq=False)
class Normaliser:
    """Mean (width,) and scale (width,) of features; ``normalise`` and ``denormalise`` are exact inverses."""

    mean: Tensor
    scale: Tensor

    @classmethod
    def fit(cls, features: np.ndarray, layout: Layout) -> "Normaliser":
        """Statistics of (rows, width) features.

        A feature that hardly moves (a neck at rest) would be blown up to unit variance; no scale is therefore
        smaller than a third of its block's root mean square scale.
        """
        mean = features.mean(0, dtype=np.float64)
        scale = features.std(0, dtype=np.float64)
        for columns in layout.blocks.values():
            floor = np.sqrt(np.mean(scale[columns] ** 2)) / 3
            scale[columns] = np.maximum(scale[columns], max(floor, 1e-4))
        return cls(torch.tensor(mean, dtype=torch.float32), torch.tensor(scale, dtype=torch.float32))

    def to(self, device: torch.device | str) -> "Normaliser":
        """The same statistics on another device."""
        return Normaliser(self.mean.to(device), self.scale.to(device))

    def normalise(self, features: Float[Tensor, "*axes features"]) -> Float[Tensor, "*axes features"]:
        """Zero mean, unit scale."""
        return (features - self.mean) / self.scale

    def denormalise(self, features: Float[Tensor, "*axes features"]) -> Float[Tensor, "*axes features"]:
        """Back to metres and 6D rotations."""
        return features * self.scale + self.mean
