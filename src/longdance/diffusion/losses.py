"""Training losses of EDMG (eq. 7-10) on denormalised motion in metres.

Lodge's losses share the forward kinematics and masks from here.
"""

from typing import Annotated

from jaxtyping import Bool, Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from longdance.motion.layout import Layout, Normaliser

Weight = Annotated[float, Field(ge=0, le=1000)]
"""Of a term of a loss; the limit keeps mistyped ones from drowning all others."""


class EDMGLossWeights(BaseModel):
    """Weights of the terms. Defaults: EDGE's recipe, as EDMG gives none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reconstruction: Weight = 0.636
    velocity: Weight = 2.964
    joints: Weight = 0.646
    contact: Weight = 10.942
    joint_velocity: Weight = 0.0
    """Mean squared error of joint velocities in (m/s)^2; not in the paper."""
    joint_acceleration: Weight = 0.0
    """Mean squared error of joint accelerations in (m/s^2)^2; not in the paper."""


OPEN_LOSS_WEIGHTS = EDMGLossWeights(
    reconstruction=1.0, velocity=1.0, joints=8.0, contact=0.3, joint_velocity=0.15, joint_acceleration=0.0002
)
"""Of the open recipes: short trainings need joint velocities and accelerations compared as well for smooth motion."""


def edmg_losses(
    predicted: Float[Tensor, "batch frames features"],
    target: Float[Tensor, "batch frames features"],
    valid: Bool[Tensor, "batch frames"],
    *,
    layout: Layout,
    normaliser: Normaliser,
    fps: float,
    weights: EDMGLossWeights,
    importance: Float[Tensor, " batch"] | None = None,
) -> dict[str, Float[Tensor, ""]]:
    """Every term, unweighted, and their weighted sum under ``total``; means over valid frames and coordinates.

    ``predicted`` and ``target`` are normalised features. Frames where ``valid`` is False (padding of short takes) do
    not count; ``importance`` weighs the windows (all alike by default). Source: EDMG eq. 7 (reconstruction),
    8 (joints), 9 (velocity), 10 (contact). Differs: the contact loss uses speed in m/s over the predicted contact label
    clipped to [0, 1], so that it does not depend on the frame rate, and sends no gradient into the label.
    """
    real_predicted, real_target = normaliser.denormalise(predicted), normaliser.denormalise(target)
    joints, joints_target = layout.joints(real_predicted), layout.joints(real_target)
    velocity, velocity_target = joints.diff(dim=1) * fps, joints_target.diff(dim=1) * fps
    counts = valid.to(predicted.dtype) if importance is None else valid * importance[:, None]
    pairs = counts[:, 1:] * valid[:, :-1]
    triples = pairs[:, 1:] * valid[:, :-2]

    feet = [layout.skeleton.index(name) for name in layout.contact_joints]
    # The label is a weight here, not something to learn: gradients into it would teach that no foot ever stands.
    label = real_predicted[:, :-1, layout["contact"]].detach().clamp(0, 1)
    sliding = velocity[:, :, feet] * label[..., None]

    terms = {
        "reconstruction": masked_mean((predicted - target) ** 2, counts),
        "joints": masked_mean((joints - joints_target) ** 2, counts),
        "velocity": masked_mean((predicted.diff(dim=1) - target.diff(dim=1)) ** 2, pairs),
        "contact": masked_mean(sliding**2, pairs),
        "joint_velocity": masked_mean((velocity - velocity_target) ** 2, pairs),
        "joint_acceleration": masked_mean(
            ((velocity - velocity_target).diff(dim=1) * fps) ** 2, triples
        ),
    }
    total = sum((getattr(weights, name) * value for name, value in terms.items()), start=predicted.new_zeros(()))
    return {**terms, "total": total}


def masked_mean(values: Tensor, weight: Float[Tensor, "batch frames"]) -> Float[Tensor, ""]:
    """Mean of values (batch, frames, ...) over frames, weighted, and further axes; zero when no frame counts."""
    weight = weight.reshape(*weight.shape, *[1] * (values.ndim - 2)).to(values.dtype)
    count = (weight > 0).sum() * (values[0, 0].numel() if values.shape[1] else 1)
    return (values * weight).sum() / count.clamp_min(1)
