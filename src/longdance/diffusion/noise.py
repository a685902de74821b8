"""The noising process: how much signal and how much noise a motion holds at each diffusion step."""

import math
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from longdance.models.schedule import cosine_alpha_bar


@dataclass(frozen=True, eq=False)
class NoiseSchedule:
    """Variance-preserving schedule over ``len(alpha_bar)`` steps; step 0 is the least noisy.

    ``alpha_bar`` (steps,) float64 is the share of signal variance, falling towards 0.
    """

    alpha_bar: Tensor

    @classmethod
    def cosine(cls, steps: int = 1000) -> "NoiseSchedule":
        """Cosine schedule. Source: Nichol and Dhariwal 2021, eq. 17."""
        return cls(cosine_alpha_bar(steps))

    @property
    def steps(self) -> int:
        """Number of diffusion steps T."""
        return len(self.alpha_bar)

    def level(self, step: int) -> float:
        """Noise level of a step as a fraction of the schedule: 1 for the last step, 0 for clean motion (step -1)."""
        return (step + 1) / self.steps

    def signal_and_noise(self, step: int) -> tuple[float, float]:
        """Factors of signal and noise at a step; (1, 0) for clean motion, step -1."""
        if step < 0:
            return 1.0, 0.0
        alpha_bar = float(self.alpha_bar[step])
        return math.sqrt(alpha_bar), math.sqrt(1 - alpha_bar)

    def add_noise(
        self,
        clean: Float[Tensor, "batch frames features"],
        step: Int[Tensor, " batch"],
        noise: Float[Tensor, "batch frames features"],
    ) -> Float[Tensor, "batch frames features"]:
        """A sample of the diffusion process at ``step``. Source: EDMG eq. 3, Lodge eq. 1."""
        alpha_bar = self.alpha_bar.to(clean.device)[step].to(clean.dtype)[:, None, None]
        return alpha_bar.sqrt() * clean + (1 - alpha_bar).sqrt() * noise

    def importance(self, step: Int[Tensor, " batch"], *, cap: float) -> Float[Tensor, " batch"]:
        """Weight of a training example at each step: inverse noise variance up to ``cap``, 1 on average.

        Errors in nearly clean motion are small in size and plain to see; without a weight nothing is learnt from
        them. Differs from Hang et al. 2023 (min-SNR), which would leave the noisiest steps with nothing.
        """
        weight = (1 / (1 - self.alpha_bar)).clamp(max=cap)
        return (weight / weight.mean()).float()[step.cpu()].to(step.device)

    def timesteps(self, count: int) -> list[int]:
        """``count`` decreasing steps from the noisiest one, evenly spaced so that each stands for the same share.

        Source: "trailing" spacing of Lin et al. 2023, table 2.
        """
        if not 1 <= count <= self.steps:
            raise ValueError(f"expected 1 to {self.steps} sampling steps, got {count}")
        return [round(self.steps * (1 - i / count)) - 1 for i in range(count)]
