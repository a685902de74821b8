"""Training losses of EDMG's Temporal Refinement Module (eq. 11-13), on joint positions in metres."""

from jaxtyping import Bool, Float
from pydantic import BaseModel, ConfigDict, PositiveFloat
from torch import Tensor

from longdance.diffusion.losses import Weight, masked_mean


class RefinementLossWeights(BaseModel):
    """Weights of the terms; the paper adds them as they are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    position: Weight = 1.0
    acceleration: Weight = 1.0
    """Of accelerations in metres per frame squared at ``reference_fps``."""
    reference_fps: PositiveFloat = 60.0
    """Frame rate at which the two terms stand to each other as in the paper (EDMG section 4.1)."""


def refinement_losses(
    predicted: Float[Tensor, "batch frames joints 3"],
    target: Float[Tensor, "batch frames joints 3"],
    valid: Bool[Tensor, "batch frames"],
    *,
    fps: float,
    weights: RefinementLossWeights,
) -> dict[str, Float[Tensor, ""]]:
    """Both terms, unweighted, and their weighted sum under ``total``; means over valid frames and joints.

    ``position`` is in metres, ``acceleration`` in metres per squared frame of ``weights.reference_fps``, so that it
    does not depend on the frame rate. Frames where ``valid`` is False do not count. Source: EDMG eq. 11 (total),
    12 (position), 13 (acceleration). The bars of the equations, around vectors, are read as their lengths, so that
    turning a dance changes nothing.
    """
    error = predicted - target
    acceleration = error.diff(n=2, dim=1) * (fps / weights.reference_fps) ** 2
    frames = valid.to(predicted.dtype)
    terms = {
        "position": masked_mean(_length(error), frames),
        "acceleration": masked_mean(_length(acceleration), frames[:, 2:] * frames[:, 1:-1] * frames[:, :-2]),
    }
    total = weights.position * terms["position"] + weights.acceleration * terms["acceleration"]
    return {**terms, "total": total}


def _length(vectors: Tensor) -> Tensor:
    """Euclidean length along the last axis, with a gradient at zero: less than a hundredth of a millimetre off."""
    return ((vectors**2).sum(-1) + 1e-10).sqrt()
