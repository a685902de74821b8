"""Forward kinematics: from local rotations to joint positions, differentiable and batched."""

import torch
from jaxtyping import Float
from torch import Tensor

from longdance.motion.skeleton import Skeleton


def forward_kinematics(
    root_position: Float[Tensor, "*axes 3"],
    rotations: Float[Tensor, "*axes joints 3 3"],
    skeleton: Skeleton,
) -> tuple[Float[Tensor, "*axes joints 3"], Float[Tensor, "*axes joints 3 3"]]:
    """Joint positions (metres) and global rotations of every joint.

    ``rotations`` are relative to the parent joint, the root's to the world. Source: FK(.) in EDMG eq. 8, Lodge eq. 3.
    """
    if rotations.shape[-3] != len(skeleton):
        raise ValueError(f"expected {len(skeleton)} joints, got rotations of shape {tuple(rotations.shape)}")
    offsets = torch.as_tensor(skeleton.offsets, dtype=rotations.dtype, device=rotations.device)
    positions, global_rotations = [root_position], [rotations[..., 0, :, :]]
    for joint in range(1, len(skeleton)):
        parent = skeleton.parents[joint]
        positions.append(positions[parent] + global_rotations[parent] @ offsets[joint])
        global_rotations.append(global_rotations[parent] @ rotations[..., joint, :, :])
    return torch.stack(positions, -2), torch.stack(global_rotations, -3)


def local_rotations(
    global_rotations: Float[Tensor, "*axes joints 3 3"], skeleton: Skeleton
) -> Float[Tensor, "*axes joints 3 3"]:
    """Parent-relative rotations from global ones; the inverse of the rotation part of forward kinematics."""
    parents = torch.tensor(skeleton.parents[1:], device=global_rotations.device)
    relative = global_rotations[..., parents, :, :].transpose(-1, -2) @ global_rotations[..., 1:, :, :]
    return torch.cat((global_rotations[..., :1, :, :], relative), -3)
