"""The feature vectors that models see, as tables of named blocks, and their normalisation."""

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from longdance.errors import InputError
from longdance.motion import rotations as rot
from longdance.motion.contacts import clearance, foot_contacts
from longdance.motion.kinematics import forward_kinematics
from longdance.motion.motion import Motion
from longdance.motion.skeleton import SMPL22, SMPL24, Skeleton


@dataclass(frozen=True, eq=False)
class Layout:
    """A motion feature vector: contacts, root position (metres), 6D rotations, in this order.

    In a ``grounded`` layout the root position's height is not that of the root but the clearance of the body's lowest
    part above the floor, so that a pose which stands, kneels or lies does so exactly, whatever its joints do. Nothing
    is ever below the floor: a negative clearance counts as none.
    """

    name: str
    skeleton: Skeleton
    contact_joints: tuple[str, ...]
    grounded: bool = False

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
        pose = self.pose_features(torch.from_numpy(motion.root_position), torch.from_numpy(motion.rotations))
        return np.concatenate((contacts, pose.numpy()), axis=1).astype(np.float32)

    def decode(self, features: np.ndarray, fps: float, *, meta: dict | None = None) -> Motion:
        """The motion of (frames, width) denormalised features."""
        root, matrices = self.pose(torch.from_numpy(np.asarray(features, dtype=np.float64)))
        return Motion(root.numpy(), matrices.numpy(), fps=fps, skeleton=self.skeleton, meta=meta or {})

    def pose_features(
        self, root_position: Float[Tensor, "*axes 3"], rotations: Float[Tensor, "*axes joints 3 3"]
    ) -> Float[Tensor, "*axes columns"]:
        """Features of a pose without its contacts: all columns from ``root_position`` on; the inverse of ``pose``."""
        if self.grounded:
            joints, _ = forward_kinematics(root_position, rotations, self.skeleton)
            lowest = clearance(joints, self.skeleton).clamp(min=0)
            root_position = torch.stack((root_position[..., 0], lowest, root_position[..., 2]), -1)
        return torch.cat((root_position, rot.matrix_to_6d(rotations).flatten(-2)), -1)

    def pose(
        self, features: Float[Tensor, "*axes features"]
    ) -> tuple[Float[Tensor, "*axes 3"], Float[Tensor, "*axes joints 3 3"]]:
        """Root position and local rotation matrices of denormalised features, differentiable."""
        matrices = self._rotations(features)
        if not self.grounded:
            return features[..., self["root_position"]], matrices
        return self._grounded_joints(features, matrices)[..., 0, :], matrices

    def joints(self, features: Float[Tensor, "*axes features"]) -> Float[Tensor, "*axes joints 3"]:
        """Joint positions (metres) of denormalised features, differentiable."""
        matrices = self._rotations(features)
        if self.grounded:
            return self._grounded_joints(features, matrices)
        return forward_kinematics(features[..., self["root_position"]], matrices, self.skeleton)[0]

    def _rotations(self, features: Tensor) -> Tensor:
        return rot.matrix_from_6d(features[..., self["rotations"]].unflatten(-1, (len(self.skeleton), 6)))

    def _grounded_joints(self, features: Tensor, matrices: Tensor) -> Tensor:
        """Joints of a pose whose lowest part is as high above the floor as the features say."""
        joints = forward_kinematics(features[..., self["root_position"]], matrices, self.skeleton)[0]
        height = features[..., self["root_position"].start + 1].clamp(min=0)
        lift = height - clearance(joints, self.skeleton)
        return joints + torch.stack((torch.zeros_like(lift), lift, torch.zeros_like(lift)), -1)[..., None, :]


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


def translated(features: np.ndarray, source: Layout, target: Layout) -> np.ndarray:
    """(frames, width) features of ``source`` as those of ``target``, contacts as they were labelled.

    ``InputError`` if the source lacks a joint or a contact of the target, or hangs a joint on another parent.
    """
    parents = lambda skeleton: {  # noqa: E731
        name: skeleton.names[parent] if parent >= 0 else None
        for name, parent in zip(skeleton.names, skeleton.parents, strict=True)
    }
    contacts = set(target.contact_joints) <= set(source.contact_joints)
    if not contacts or not parents(target.skeleton).items() <= parents(source.skeleton).items():
        raise InputError(f"expected motion in the layout {target.name}, got {source.name}; prepare the data again")
    joints = [source.skeleton.index(name) for name in target.skeleton.names]
    contact = [source.contact_joints.index(name) for name in target.contact_joints]
    parts = []
    for rows in np.array_split(features, len(features) // TRANSLATED_AT_ONCE + 1):
        root, rotations = source.pose(torch.from_numpy(np.array(rows)))
        pose = target.pose_features(root, rotations[..., joints, :, :])
        parts.append(np.concatenate((rows[:, source["contact"]][:, contact], pose.numpy()), axis=1))
    return np.concatenate(parts)


TRANSLATED_AT_ONCE = 20_000
"""Frames; bounds memory."""

LAYOUTS = {
    layout.name: layout
    for layout in (
        # EDMG and EDGE: ankle (heel) before toe, left before right.
        Layout("smpl24", SMPL24, ("left_ankle", "left_foot", "right_ankle", "right_foot")),
        # The open recipes: what stands may also be a hand or a knee, and heights are counted from the floor.
        Layout(
            "floor24",
            SMPL24,
            tuple(f"{side}_{joint}" for joint in ("ankle", "foot", "hand", "knee") for side in ("left", "right")),
            grounded=True,
        ),
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
        blocks = {name: np.arange(layout.width)[columns] for name, columns in layout.blocks.items()}
        if layout.grounded:  # flights are rare: beside the path over the floor they would be too small to be heard
            root = layout["root_position"].start
            blocks |= {"root_position": np.array(layout.horizontal), "clearance": np.array([root + 1])}
        for columns in blocks.values():
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
