"""Structured state space duality (SSD): the linear recurrence of Mamba-2, in two forms with one signature.

``ssd_recurrent`` is the definition, one frame after the other, and the oracle in tests. ``ssd_chunked`` computes the
same with matrix products: attention-like inside chunks of frames, a short recurrence between chunks.

Both compute, for every head with its scalar decay ``A`` and with ``B`` and ``C`` shared by all heads (multi-input SSM),

    h_l = exp(dt_l A) h_{l-1} + dt_l B_l x_l^T          (EDMG eq. 1 and 5)
    y_l = C_l h_l                                        (EDMG eq. 2 and 6)

Source: EDMG section 3.1 and 3.3; Dao and Gu 2024. Differs: the decay is discretised by zero-order hold exactly, the
input matrix by its first-order form dt B, as Mamba and Mamba-2 do.
"""

import torch
from jaxtyping import Float
from torch import Tensor

WORKING_SET = 2**19
"""Decays between pairs of frames, over all heads and chunks, that ``ssd_chunked`` holds at once on a CPU."""


def ssd_recurrent(
    x: Float[Tensor, "batch frames heads headdim"],
    dt: Float[Tensor, "batch frames heads"],
    A: Float[Tensor, " heads"],
    B: Float[Tensor, "batch frames state"],
    C: Float[Tensor, "batch frames state"],
    *,
    initial_state: Float[Tensor, "batch heads state headdim"] | None = None,
) -> tuple[
    Float[Tensor, "batch frames heads headdim"],
    Float[Tensor, "batch heads state headdim"],
]:
    """Outputs and the final state, frame by frame.

    ``dt`` is positive, ``A`` negative. ``initial_state`` continues an earlier stretch (zero by default).
    """
    batch, frames, heads, headdim = x.shape
    state = initial_state
    if state is None:
        state = x.new_zeros(batch, heads, B.shape[-1], headdim)
    outputs = []
    for frame in range(frames):
        decay = torch.exp(dt[:, frame] * A)
        update = torch.einsum("bn,bhp->bhnp", B[:, frame], x[:, frame] * dt[:, frame, :, None])
        state = decay[:, :, None, None] * state + update
        outputs.append(torch.einsum("bn,bhnp->bhp", C[:, frame], state))
    return torch.stack(outputs, 1), state


def ssd_chunked(
    x: Float[Tensor, "batch frames heads headdim"],
    dt: Float[Tensor, "batch frames heads"],
    A: Float[Tensor, " heads"],
    B: Float[Tensor, "batch frames state"],
    C: Float[Tensor, "batch frames state"],
    *,
    initial_state: Float[Tensor, "batch heads state headdim"] | None = None,
    chunk: int = 64,
) -> tuple[
    Float[Tensor, "batch frames heads headdim"],
    Float[Tensor, "batch heads state headdim"],
]:
    """The same as ``ssd_recurrent`` by matrix products; time and memory grow linearly with the frames.

    Cumulative sums and exponentials are taken in at least float32, whatever the dtype of ``x``. Long sequences go
    stretch by stretch, each starting from the state that the one before left, so that what is being worked on stays in
    a CPU's caches.
    """
    batch, frames, heads, _ = x.shape
    chunk = min(chunk, frames)
    stretch = frames
    if x.device.type == "cpu":
        stretch = chunk * max(1, WORKING_SET // (batch * heads * chunk * chunk))
    outputs, state = [], initial_state
    for start in range(0, frames, stretch):
        now = slice(start, start + stretch)
        y, state = _scan_chunks(x[:, now], dt[:, now], A, B[:, now], C[:, now], state, chunk)
        outputs.append(y)
    return (outputs[0] if len(outputs) == 1 else torch.cat(outputs, 1)), state


def _scan_chunks(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, initial_state: Tensor | None, chunk: int
) -> tuple[Tensor, Tensor]:
    batch, frames, heads, headdim = x.shape
    padding = -frames % chunk
    if padding:  # dt = 0 neither decays the state nor adds to it.
        x, dt, B, C = (
            torch.nn.functional.pad(t, (0, 0) * (t.ndim - 2) + (0, padding)) for t in (x, dt, B, C)
        )
    chunks = x.shape[1] // chunk
    exact = torch.promote_types(x.dtype, torch.float32)
    log_decay = (dt.to(exact) * A.to(exact)).unflatten(1, (chunks, chunk)).transpose(2, 3)  # b c h q
    total = log_decay.cumsum(-1)
    x = (x * dt[..., None].to(x.dtype)).unflatten(1, (chunks, chunk))  # b c q h p
    B, C = B.unflatten(1, (chunks, chunk)), C.unflatten(1, (chunks, chunk))  # b c q n

    # 1. Inside a chunk: y_i = sum_{j <= i} (C_i . B_j) exp(total_i - total_j) x_j.
    above = torch.ones(chunk, chunk, dtype=torch.bool, device=x.device).triu(1)
    decay = (total[..., :, None] - total[..., None, :]).masked_fill(above, -torch.inf).exp()  # b c h q q
    scores = (C @ B.transpose(-1, -2))[:, :, None] * decay.to(x.dtype)
    y = (scores @ x.transpose(2, 3)).transpose(2, 3)  # b c q h p

    # 2. What each chunk adds to the state by its end. B is shared by the heads: one product for all of them.
    to_end = (total[..., -1:] - total).exp().to(x.dtype).transpose(2, 3)[..., None]  # b c q h 1
    added = (B.transpose(-1, -2) @ (x * to_end).flatten(-2)).unflatten(-1, (heads, headdim))  # b c n h p

    # 3. The recurrence between chunks.
    across = total[..., -1].exp()  # b c h
    state = added.new_zeros(batch, B.shape[-1], heads, headdim, dtype=exact)
    if initial_state is not None:
        state = initial_state.to(exact).transpose(1, 2)
    entering = []
    for index in range(chunks):
        entering.append(state)
        state = across[:, index, None, :, None] * state + added[:, index]
    states = torch.stack(entering, 1).to(x.dtype)  # b c n h p

    # 4. What the entering state contributes to each frame.
    from_state = (C @ states.flatten(-2)).unflatten(-1, (heads, headdim))
    y = y + from_state * total.exp().to(x.dtype).transpose(2, 3)[..., None]
    return y.flatten(1, 2)[:, :frames], state.transpose(1, 2).to(x.dtype)
