"""The noise schedule's formula, which networks that weigh signal against noise need as the diffusion does."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def cosine_alpha_bar(steps: int) -> Float[Tensor, " steps"]:
    """Share of signal variance at each diffusion step, float64. Source: Nichol and Dhariwal 2021, eq. 17.

    Each step's beta is at most 0.999.
    """
    position = torch.arange(steps + 1, dtype=torch.float64) / steps
    curve = torch.cos((position + 0.008) / 1.008 * math.pi / 2) ** 2
    beta = (1 - curve[1:] / curve[:-1]).clamp(max=0.999)
    return torch.cumprod(1 - beta, 0)
