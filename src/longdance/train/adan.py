"""Adan, the optimiser of Lodge."""

from collections.abc import Callable, Iterable

import torch
from torch import nn


class Adan(torch.optim.Optimizer):
    """Adaptive Nesterov momentum. Source: Xie et al. 2022, algorithm 1.

    With gradients g_k, and what they changed by d_k = g_k - g_{k-1} (zero in the first step):

        m_k = (1 - b1) m_{k-1} + b1 g_k
        v_k = (1 - b2) v_{k-1} + b2 d_k
        n_k = (1 - b3) n_{k-1} + b3 (g_k + (1 - b2) d_k)^2
        theta_{k+1} = (theta_k - lr (m_k + (1 - b2) v_k) / (sqrt(n_k) + eps)) / (1 + lr decay)

    The first step begins with m = g_0, v = 0, n = g_0^2. ``betas`` are the paper's, weights of the new value.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float = 1e-3,
        *,
        betas: tuple[float, float, float] = (0.02, 0.08, 0.01),
        eps: float = 1e-8,
        weight_decay: float = 0.02,
    ):
        super().__init__(parameters, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if not parameters:
                continue
            (b1, b2, b3), lr = group["betas"], group["lr"]
            gradients = [p.grad for p in parameters]
            for parameter in parameters:
                state = self.state[parameter]
                if not state:
                    state["previous"] = parameter.grad.clone()
                    state["m"] = parameter.grad.clone()
                    state["v"] = torch.zeros_like(parameter)
                    state["n"] = parameter.grad**2
            previous, m, v, n = (
                [self.state[p][name] for p in parameters] for name in ("previous", "m", "v", "n")
            )
            change = torch._foreach_sub(gradients, previous)
            torch._foreach_lerp_(m, gradients, b1)
            torch._foreach_lerp_(v, change, b2)
            ahead = torch._foreach_add(gradients, change, alpha=1 - b2)
            torch._foreach_mul_(n, 1 - b3)
            torch._foreach_addcmul_(n, ahead, ahead, value=b3)
            scale = torch._foreach_sqrt(n)
            torch._foreach_add_(scale, group["eps"])
            direction = torch._foreach_add(m, v, alpha=1 - b2)
            torch._foreach_addcdiv_(parameters, direction, scale, value=-lr)
            torch._foreach_div_(parameters, 1 + lr * group["weight_decay"])
            torch._foreach_copy_(previous, gradients)
        return loss
