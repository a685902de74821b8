"""Classifier-free guidance with separate weights for music and text."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from longdance.models.conditions import Conditions

Denoiser = Callable[..., Tensor]
"""(noisy, step, conditions) to clean motion. One with a method ``hear`` is also given what that made of the conditions,
once for all steps."""


CPU_FRAMES = 4800
"""Frames of all rows that a CPU takes at once if not told otherwise. With twice as many, what layers hand to each other
no longer fits into caches of 32 MB, and a frame takes a tenth to a third longer."""


class Guidance(NamedTuple):
    """How strongly music and text lead; 1 is the plain conditional model."""

    music: float = 1.0
    text: float = 6.0
    until: float = 0.0
    """Noise level, as a fraction of the schedule, below which both are 1."""


def guided(
    denoiser: Denoiser,
    conditions: Conditions,
    *,
    music_weight: float,
    text_weight: float,
    plain_below: int = 0,
    rows: int | None = None,
) -> Callable[[Tensor, int], Float[Tensor, "batch frames features"]]:
    """Predictor of clean motion that leans on music first and text second (EDMG section 3.3: main and secondary).

        f(none) + music_weight (f(music) - f(none)) + text_weight (f(music, text) - f(music))

    A weight of 1 is the plain conditional model. Combinations whose factor vanishes are not computed; the others go
    through the denoiser together. Below the diffusion step ``plain_below`` both weights are 1: what a dance is has
    been decided by then, and the plain model is all it takes (Kynkaanniemi et al. 2024, section 3). ``rows`` bounds
    how many batch rows are computed at once (by default all, on a CPU as many as have ``CPU_FRAMES`` frames).
    Source: Ho and Salimans 2022, eq. 6, nested as in Brooks et al. 2023, eq. 3.
    """
    weighted = _combined(denoiser, conditions, music_weight, text_weight, rows)
    if plain_below <= 0:
        return weighted
    plain = _combined(denoiser, conditions, 1.0, 1.0, rows)
    return lambda noisy, step: (plain if step < plain_below else weighted)(noisy, step)


def _combined(
    denoiser: Denoiser, conditions: Conditions, music_weight: float, text_weight: float, rows: int | None
) -> Callable[[Tensor, int], Tensor]:
    combinations = [
        (factor, variant)
        for factor, variant in (
            (1 - music_weight, conditions.without(music=True, text=True)),
            (music_weight - text_weight, conditions.without(text=True)),
            (text_weight, conditions),
        )
        if abs(factor) > 1e-9
    ]
    stacked = Conditions(*(torch.cat(parts) for parts in zip(*(c for _, c in combinations), strict=True)))
    few = max(1, CPU_FRAMES // stacked.music.shape[1])
    size = rows or (few if stacked.music.device.type == "cpu" else len(stacked.music))
    parts = [stacked.rows(slice(i, i + size)) for i in range(0, len(stacked.music), size)]
    hear = getattr(denoiser, "hear", None)
    heard: list[tuple] = []  # filled at the first step

    def predict(noisy: Tensor, step: int) -> Tensor:
        copies = noisy.repeat(len(combinations), 1, 1)
        steps = torch.full((len(copies),), step, dtype=torch.long, device=noisy.device)
        if hear is None or torch.is_grad_enabled():  # gradients are taken of one step
            given = [(part,) for part in parts]
        else:
            heard.extend((part, hear(part)) for part in parts[len(heard) :])
            given = heard
        outputs = torch.cat(
            [denoiser(x, s, *known) for x, s, known in zip(copies.split(size), steps.split(size), given, strict=True)]
        ).unflatten(0, (len(combinations), -1))
        factors = torch.tensor([factor for factor, _ in combinations], device=noisy.device)
        return torch.einsum("c,cblf->blf", factors.to(outputs.dtype), outputs)

    return predict
