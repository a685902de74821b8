"""One sampling loop; what a single step does is a rule passed to it.

Notation, in every rule: ``signal`` and ``noise`` are sqrt(alpha_bar) and sqrt(1 - alpha_bar) of the current step s, and
of the next step t < s; ``noisy`` is x_s, ``clean`` the predicted x_0, the result is x_t.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from longdance.diffusion.constraints import Constraint, apply_constraints
from longdance.diffusion.energies import Energies
from longdance.diffusion.noise import NoiseSchedule
from longdance.registry import SAMPLERS

REGISTER = {
    "sampler": {
        "dpm2m": {"make": "DPMSolver2M", "about": "DPM-Solver++(2M): second order, good from 10 steps on", "order": 1},
        "ddim": {"make": "DDIM", "about": "first order, without fresh noise", "order": 2},
        "ddpm": {"make": "DDPM", "about": "ancestral sampling, as in training; for hundreds of steps", "order": 3},
    },
}

Predictor = Callable[[Tensor, int], Tensor]
"""(noisy (batch, frames, features), step) -> predicted clean motion, guidance included."""
Random = torch.Generator | Sequence[torch.Generator]
"""Where noise comes from: one generator, or one for each row, so that a row's noise does not depend on the others."""


@runtime_checkable
class StepRule(Protocol):
    """How x_t follows from x_s and the prediction; an object lives for one sampling run."""

    def step(
        self,
        noisy: Tensor,
        clean: Tensor,
        *,
        schedule: NoiseSchedule,
        step: int,
        next_step: int,
        generator: Random,
    ) -> Tensor:
        """x_t from ``noisy`` x_s and ``clean`` x_0, all (batch, frames, features); t, ``next_step``, is less."""
        ...


@dataclass
class DDIM:
    """Source: Song et al. 2021, eq. 12. ``eta`` 0 is deterministic, 1 adds as much noise as DDPM."""

    eta: float = 0.0

    def step(self, noisy, clean, *, schedule, step, next_step, generator):
        signal, noise = schedule.signal_and_noise(step)
        next_signal, next_noise = schedule.signal_and_noise(next_step)
        epsilon = (noisy - signal * clean) / noise
        fresh = self.eta * next_noise / noise * math.sqrt(max(0.0, 1 - (signal / next_signal) ** 2))
        kept = math.sqrt(max(0.0, next_noise**2 - fresh**2))
        result = next_signal * clean + kept * epsilon
        return result + fresh * randn_like(noisy, generator) if fresh > 0 else result


class DDPM:
    """Ancestral sampling with the posterior variance. Source: Ho et al. 2020, eq. 6 and 7."""

    def step(self, noisy, clean, *, schedule, step, next_step, generator):
        signal, noise = schedule.signal_and_noise(step)
        next_signal, next_noise = schedule.signal_and_noise(next_step)
        ratio = signal / next_signal  # sqrt(alpha) of this one step
        beta = 1 - ratio**2
        mean = (next_signal * beta * clean + ratio * next_noise**2 * noisy) / noise**2
        if next_noise == 0:
            return mean
        return mean + math.sqrt(beta) * next_noise / noise * randn_like(noisy, generator)


@dataclass
class DPMSolver2M:
    """DPM-Solver++(2M), second order, deterministic. Source: Lu et al. 2022, algorithm 2.

    The last step, to clean motion, is the prediction itself.
    """

    previous: tuple[Tensor, float] | None = field(default=None)

    def step(self, noisy, clean, *, schedule, step, next_step, generator):
        signal, noise = schedule.signal_and_noise(step)
        next_signal, next_noise = schedule.signal_and_noise(next_step)
        half_snr = math.log(signal / noise)
        if next_noise == 0:
            return clean
        width = math.log(next_signal / next_noise) - half_snr
        direction = clean
        if self.previous is not None:
            earlier, earlier_half_snr = self.previous
            ratio = (half_snr - earlier_half_snr) / width
            direction = clean + (clean - earlier) / (2 * ratio)
        self.previous = (clean, half_snr)
        return next_noise / noise * noisy - next_signal * math.expm1(-width) * direction


STEP_RULES = SAMPLERS
"""Names for users; each call makes a fresh rule."""


def sample(
    predict: Predictor,
    start: Float[Tensor, "batch frames features"],
    *,
    schedule: NoiseSchedule,
    rule: StepRule,
    steps: int,
    generator: Random,
    constraints: Sequence[Constraint] = (),
    energies: Energies | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Float[Tensor, "batch frames features"]:
    """Denoise ``start`` (standard normal noise) to clean motion in ``steps`` steps.

    Each prediction is first drawn by the energies, then put under the constraints, which therefore hold exactly.
    ``progress(done, total)`` is called after each step and may raise to cancel.
    """
    noisy = start
    timesteps = schedule.timesteps(steps)
    for done, (step, next_step) in enumerate(zip(timesteps, [*timesteps[1:], -1], strict=True), start=1):
        clean = predict(noisy, step)
        if energies is not None:
            clean = energies.step(clean, schedule=schedule, step=step, next_step=next_step)
        clean = apply_constraints(clean, constraints, schedule.level(step))
        noisy = rule.step(
            noisy, clean, schedule=schedule, step=step, next_step=next_step, generator=generator
        )
        if progress is not None:
            progress(done, steps)
    return noisy


def randn_like(tensor: Tensor, generator: Random) -> Tensor:
    """Standard normal noise like a tensor (batch, ...), drawn where the generator is: a seed means the same on all."""
    if not isinstance(generator, torch.Generator):
        return torch.stack([randn_like(row, own) for row, own in zip(tensor, generator, strict=True)])
    noise = torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype, device=generator.device)
    return noise.to(tensor.device)
