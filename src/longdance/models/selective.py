"""The selective scan of the first Mamba, one frame after the other: what EDMG's ablation puts in the place of its PMM.

Every channel has a step size and a row of decays of its own,

    h_l = exp(dt_l A) h_{l-1} + dt_l B_l x_l          (h: channels x state, A: channels x state, B_l: state)
    y_l = C_l h_l

so the frames cannot be joined into matrix products, as ``ssd`` joins them: that is the price the ablation shows.

Source: Gu and Dao 2023; EDMG section 4.4 ("standard Mamba sequence generation method").
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn


def selective_scan(
    x: Float[Tensor, "batch frames features"],
    dt: Float[Tensor, "batch frames features"],
    A: Float[Tensor, "features state"],
    B: Float[Tensor, "batch frames state"],
    C: Float[Tensor, "batch frames state"],
) -> Float[Tensor, "batch frames features"]:
    """Outputs of the scan from a zero state; ``dt`` is positive, ``A`` negative. Computed in float32 or wider."""
    exact = torch.promote_types(x.dtype, torch.float32)
    with torch.autocast(x.device.type, enabled=False):
        return _Scan.apply(*(tensor.to(exact) for tensor in (x, dt, A, B, C))).to(x.dtype)


class _Scan(torch.autograd.Function):
    """The scan with its gradient written out: a graph of every frame's small products would take several times longer.

    Inside, frames come first, so that each frame is one contiguous piece of memory.
    """

    @staticmethod
    def forward(ctx, x, dt, A, B, C):
        frames_first = [tensor.transpose(0, 1).contiguous() for tensor in (x, dt, B, C)]
        x, dt, B, C = frames_first
        decay = torch.exp(dt[..., None] * A)  # frames batch features state
        states = (dt * x)[..., None] * B[:, :, None]
        for frame in range(1, len(states)):
            states[frame].addcmul_(decay[frame], states[frame - 1])
        ctx.save_for_backward(x, dt, A, B, C, decay, states)
        return (states @ C[..., None])[..., 0].transpose(0, 1)

    @staticmethod
    def backward(ctx, *gradients):
        x, dt, A, B, C, decay, states = ctx.saved_tensors
        upstream = gradients[0].transpose(0, 1).contiguous()
        grad_c = (upstream[:, :, None] @ states)[:, :, 0]
        grad_state = upstream[..., None] * C[:, :, None]
        for frame in range(len(states) - 2, -1, -1):
            grad_state[frame].addcmul_(decay[frame + 1], grad_state[frame + 1])
        input_rate = (grad_state @ B[..., None])[..., 0]
        grad_b = ((dt * x)[:, :, None] @ grad_state)[:, :, 0]
        # exponent = dt A: its gradient is the state's times the decayed earlier state.
        exponent = grad_state[1:].mul_(decay[1:]).mul_(states[:-1])
        grad_a = torch.einsum("lbf,lbfn->fn", dt[1:], exponent)
        grad_dt = input_rate * x
        grad_dt[1:] += (exponent * A).sum(-1)
        first = [tensor.transpose(0, 1) for tensor in (input_rate * dt, grad_dt, grad_b, grad_c)]
        return first[0], first[1], grad_a, first[2], first[3]


class SelectiveParameters(nn.Module):
    """Step sizes, decays and projections of one direction of the scan, from the channels that it runs over."""

    def __init__(self, features: int, width: int, state: int):
        super().__init__()
        self.rank, self.state = math.ceil(width / 16), state
        self.project = nn.Linear(features, self.rank + 2 * state, bias=False)
        self.step = nn.Linear(self.rank, features)
        # A starts at -1 ... -state in every channel and dt between 1 ms and 0.1, as in Mamba.
        self.log_decay = nn.Parameter(torch.arange(1.0, state + 1).log().repeat(features, 1))
        start = torch.logspace(-3, -1, features)
        with torch.no_grad():
            self.step.bias.copy_(start + torch.log(-torch.expm1(-start)))

    def forward(self, x: Float[Tensor, "batch frames features"]) -> Float[Tensor, "batch frames features"]:
        """The scanned channels."""
        rank, b_matrix, c_matrix = self.project(x).split((self.rank, self.state, self.state), -1)
        dt = nn.functional.softplus(self.step(rank).float())
        return selective_scan(x, dt, -self.log_decay.exp(), b_matrix, c_matrix)
