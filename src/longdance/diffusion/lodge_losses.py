"""Training losses of Lodge (eq. 2-9) on denormalised motion in metres."""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from longdance.diffusion.losses import Weight, masked_mean
from longdance.motion.layout import Layout, Normaliser


class LodgeLossWeights(BaseModel):
    """Weights of the terms of eq. 8. The paper gives none; these balance the terms in SI units."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reconstruction: Weight = 1.0
    joints: Weight = 8.0
    joint_velocity: Weight = 0.15
    joint_acceleration: Weight = 0.0002
    contact: Weight = 0.3
    genre: Weight = 0.01
    """Of the discriminator's verdict, where there is a discriminator."""
    adversarial: Literal["log", "hinge"] = "log"
    """Form of the discriminator's game: the logarithms of eq. 9, or hinges (ours: they give short trainings steadier
    gradients)."""


def lodge_losses(
    predicted: Float[Tensor, "batch frames features"],
    target: Float[Tensor, "batch frames features"],
    valid: Bool[Tensor, "batch frames"],
    *,
    layout: Layout,
    normaliser: Normaliser,
    fps: float | Float[Tensor, " batch"],
    weights: LodgeLossWeights,
    importance: Float[Tensor, " batch"] | None = None,
) -> dict[str, Float[Tensor, ""]]:
    """Every term but the discriminator's, unweighted, and their weighted sum under ``total``.

    ``predicted`` and ``target`` are normalised features; frames that are not ``valid`` do not count; ``importance``
    weighs the windows; ``fps`` may differ between them. Source: Lodge eq. 2 (reconstruction), 4 (joints), 5 (velocity),
    6 (acceleration), 7 (contact), 8 (sum). Differs: means over coordinates instead of sums, velocities and
    accelerations in m/s and m/s^2; the contact label is clipped to [0, 1] and gets no gradient.
    """
    real_predicted, real_target = normaliser.denormalise(predicted), normaliser.denormalise(target)
    joints, joints_target = layout.joints(real_predicted), layout.joints(real_target)
    rate = torch.as_tensor(fps, dtype=joints.dtype, device=joints.device).reshape(-1, 1, 1, 1)
    velocity, velocity_target = joints.diff(dim=1) * rate, joints_target.diff(dim=1) * rate
    counts = valid.to(predicted.dtype) if importance is None else valid * importance[:, None]
    pairs = counts[:, 1:] * valid[:, :-1]
    triples = pairs[:, 1:] * valid[:, :-2]

    feet = [layout.skeleton.index(name) for name in layout.contact_joints]
    label = real_predicted[:, :-1, layout["contact"]].detach().clamp(0, 1)
    sliding = horizontal_and_downward(velocity[:, :, feet]) * label[..., None]

    terms = {
        "reconstruction": masked_mean((predicted - target) ** 2, counts),
        "joints": masked_mean((joints - joints_target) ** 2, counts),
        "joint_velocity": masked_mean((velocity - velocity_target) ** 2, pairs),
        "joint_acceleration": masked_mean(((velocity - velocity_target).diff(dim=1) * rate) ** 2, triples),
        "contact": masked_mean(sliding**2, pairs),
    }
    total = sum((getattr(weights, name) * value for name, value in terms.items()), start=predicted.new_zeros(()))
    return {**terms, "total": total}


def horizontal_and_downward(velocity: Float[Tensor, "*axes 3"]) -> Float[Tensor, "*axes 3"]:
    """f_hv + f_dv of eq. 7: the velocity without its upward part, for a standing foot may rise at any time."""
    return torch.stack((velocity[..., 0], velocity[..., 1].clamp(max=0), velocity[..., 2]), -1)


def discriminator_loss(
    real: Float[Tensor, " batch"], made: Float[Tensor, " batch"], *, form: Literal["log", "hinge"]
) -> Float[Tensor, ""]:
    """What a discriminator lowers, of its scores (logits) of real and made dances.

    Source: Lodge eq. 9, whose logarithms of probabilities it raises; or the hinge form of Lim and Ye 2017.
    """
    if form == "log":
        return nn.functional.softplus(-real).mean() + nn.functional.softplus(made).mean()
    return torch.relu(1 - real).mean() + torch.relu(1 + made).mean()


def generator_loss(made: Float[Tensor, " batch"], *, form: Literal["log", "hinge"]) -> Float[Tensor, ""]:
    """What the denoiser lowers to be taken for real; the other side of ``discriminator_loss``."""
    return -nn.functional.softplus(made).mean() if form == "log" else -made.mean()
