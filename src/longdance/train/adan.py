"""Adan, the optimiser of Lodge."""
# Operations on lists of tensors are what torch's own optimisers use, but not declared public; closures are not served.
# pyright: reportPrivateImportUsage=false, reportIncompatibleMethodOverride=false

from collections.abc import Iterable

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

    ``bias_correction`` begins with zeros instead and divides m, v and n by the sum of the weights so far, as Adam does:
    the first gradient, which is like no other, is then one among many. Not in the paper; worth it in short trainings.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float = 1e-3,
        *,
        betas: tuple[float, float, float] = (0.02, 0.08, 0.01),
        eps: float = 1e-8,
        weight_decay: float = 0.02,
        bias_correction: bool = False,
    ):
        settings = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(parameters, settings | {"bias_correction": bias_correction})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One update of every parameter that has a gradient."""
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if not parameters:
                continue
            (b1, b2, b3), lr, corrected = group["betas"], group["lr"], group["bias_correction"]
            gradients = [p.grad for p in parameters]
            for parameter in parameters:
                state = self.state[parameter]
                if not state:
                    begin = torch.zeros_like(parameter) if corrected else parameter.grad
                    state["updates"] = torch.tensor(0.0)
                    state["previous"] = parameter.grad.clone()
                    state["m"], state["v"], state["n"] = begin.clone(), torch.zeros_like(parameter), begin**2
                state["updates"] += 1
            previous, m, v, n = ([self.state[p][name] for p in parameters] for name in ("previous", "m", "v", "n"))
            change = torch._foreach_sub(gradients, previous)
            torch._foreach_lerp_(m, gradients, b1)
            torch._foreach_lerp_(v, change, b2)
            ahead = torch._foreach_add(gradients, change, alpha=1 - b2)
            torch._foreach_mul_(n, 1 - b3)
            torch._foreach_addcmul_(n, ahead, ahead, value=b3)
            scale = torch._foreach_sqrt(n)
            direction, trend = m, v
            if corrected:
                weights = [[1 - (1 - b) ** self.state[p]["updates"].item() for p in parameters] for b in (b1, b2, b3)]
                direction, trend = torch._foreach_div(m, weights[0]), torch._foreach_div(v, weights[1])
                torch._foreach_div_(scale, [weight**0.5 for weight in weights[2]])
            torch._foreach_add_(scale, group["eps"])
            direction = torch._foreach_add(direction, trend, alpha=1 - b2)
            torch._foreach_addcdiv_(parameters, direction, scale, value=-lr)
            torch._foreach_div_(parameters, 1 + lr * group["weight_decay"])
            torch._foreach_copy_(previous, gradients)
