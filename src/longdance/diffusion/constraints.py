"""One mechanism for everything that must hold during sampling.

A constraint says: where ``mask`` is set, the clean motion is ``value``, as long as the noise level is above
``until_noise_level``. It serves key poses, in-betweening, continuation, joint-wise editing, Lodge's hard and soft cues
and the joining of overlapping windows.

It acts on the predicted clean motion before each step of the sampler. Every step rule then carries the value to the
next noise level with the noise that the trajectory already holds, so the masked part is always the value noised to the
current level, and is exactly the value after the last step.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

Value = Tensor | Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Constraint:
    """``mask`` and ``value`` broadcast to (batch, frames, features), in normalised features.

    ``mask`` is 1 where the value holds, 0 where the model is free; fractions blend. ``value`` may be a function of the
    predicted clean motion. ``until_noise_level`` is a fraction of the noise schedule: 0 holds at every step, 1 never.
    A soft cue of strength s (Lodge, appendix B) is ``until_noise_level = 1 - s``.
    """

    mask: Tensor
    value: Value
    until_noise_level: float = 0.0

    def __post_init__(self):
        if not 0.0 <= self.until_noise_level <= 1.0:
            raise ValueError(f"expected until_noise_level between 0 and 1, got {self.until_noise_level}")


def apply_constraints(
    clean: Float[Tensor, "batch frames features"], constraints: Sequence[Constraint], level: float
) -> Float[Tensor, "batch frames features"]:
    """The predicted clean motion with every constraint that is active at this noise level put in, in order."""
    for constraint in constraints:
        if level > constraint.until_noise_level:
            value = constraint.value(clean) if callable(constraint.value) else constraint.value
            mask = constraint.mask.to(clean.dtype)
            # Where the mask is 1 the value must arrive to the last bit, so this is not a weighted sum there.
            clean = torch.where(mask >= 1, value.to(clean.dtype), clean + mask * (value - clean))
    return clean
