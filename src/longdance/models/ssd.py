"""Structured state space duality (SSD): the linear recurrence of Mamba-2, in three forms with one signature.

``ssd_recurrent`` is the definition, one frame after the other (``ssd_step``), and the oracle in tests. ``ssd_chunked``
computes the same with matrix products: attention-like inside chunks of frames, a short recurrence between chunks.
``ssd_fused`` hands it to Triton kernels on a GPU. ``ssd`` takes the fastest of them that the device has.

All compute, for every head with its scalar decay ``A`` and with ``B`` and ``C`` shared by all heads (multi-input SSM),

    h_l = exp(dt_l A) h_{l-1} + dt_l B_l x_l^T          (EDMG eq. 1 and 5)
    y_l = C_l h_l                                        (EDMG eq. 2 and 6)

Source: EDMG section 3.1 and 3.3; Dao and Gu 2024. Differs: the decay is discretised by zero-order hold exactly, the
input matrix by its first-order form dt B, as Mamba and Mamba-2 do.
"""

import functools
import importlib.util
import math

import torch
from jaxtyping import Float
from torch import Tensor

TOGETHER = 10
"""Chunks that are multiplied at once; bounds memory."""
LONGEST_CHUNK = 75
"""Frames per chunk where a scan in both directions takes more than one; longer ones are slower."""


def ssd_step(
    state: Float[Tensor, "batch heads state headdim"],
    x: Float[Tensor, "batch heads headdim"],
    dt: Float[Tensor, "batch heads"],
    A: Float[Tensor, " heads"],
    B: Float[Tensor, "batch state"],
    C: Float[Tensor, "batch state"],
) -> tuple[
    Float[Tensor, "batch heads headdim"],
    Float[Tensor, "batch heads state headdim"],
]:
    """Output of one frame and the state after it; the state carries everything that later frames need to know."""
    update = torch.einsum("bn,bhp->bhnp", B, x * dt[..., None])
    state = torch.exp(dt * A)[..., None, None] * state + update
    return torch.einsum("bn,bhnp->bhp", C, state), state


def ssd_recurrent(
    x: Float[Tensor, "batch frames heads headdim"],
    dt: Float[Tensor, "batch frames heads"],
    A: Float[Tensor, " heads"],
    B: Float[Tensor, "batch frames state"],
    C: Float[Tensor, "batch frames state"],
    *,
    initial_state: Float[Tensor, "batch heads state headdim"] | None = None,
    reverse: bool = False,
) -> tuple[
    Float[Tensor, "batch frames heads headdim"],
    Float[Tensor, "batch heads state headdim"],
]:
    """Outputs and the final state, frame by frame.

    ``dt`` is positive, ``A`` negative. ``initial_state`` continues an earlier stretch (zero by default). ``reverse``
    runs from the last frame to the first; the final state is then the one after the first frame.
    """
    batch, frames, heads, headdim = x.shape
    state = initial_state
    if state is None:
        state = x.new_zeros(batch, heads, B.shape[-1], headdim)
    outputs = []
    for frame in reversed(range(frames)) if reverse else range(frames):
        y, state = ssd_step(state, x[:, frame], dt[:, frame], A, B[:, frame], C[:, frame])
        outputs.append(y)
    return torch.stack(outputs[::-1] if reverse else outputs, 1), state


def ssd_chunked(
    x: Float[Tensor, "batch frames heads headdim"],
    dt: Float[Tensor, "batch frames heads"],
    A: Float[Tensor, " heads"],
    B: Float[Tensor, "batch frames state"],
    C: Float[Tensor, "batch frames state"],
    *,
    initial_state: Float[Tensor, "batch heads state headdim"] | None = None,
    reverse: bool = False,
    chunk: int = 32,
) -> tuple[
    Float[Tensor, "batch frames heads headdim"],
    Float[Tensor, "batch heads state headdim"],
]:
    """The same as ``ssd_recurrent`` by matrix products; time and memory grow linearly with the frames.

    Inside a chunk the decay from frame j to frame i is exp(t_i - t_j), t being the running sum of dt A. It is split
    into a factor of frame i and one of frame j, so that all heads share one product with the masked C B^T. The factors
    are taken from the middle of the chunk's decay and stay within the range of the dtype, or else the heads concerned
    are scanned in shorter chunks. Sums and exponentials are taken in at least float32, whatever the dtype of ``x``.
    """
    exact = torch.promote_types(x.dtype, torch.float32)
    log_decay = dt.to(exact) * A.to(exact)
    chunk = min(chunk, x.shape[1])
    padding = -x.shape[1] % chunk
    chunks = _pad(log_decay, padding).unflatten(1, (-1, chunk))  # b c q h
    reach = math.log(torch.finfo(x.dtype).max)
    steep = chunks.detach().sum(2).amin((0, 1)) < -reach
    if chunk > 1 and not x.is_meta and bool(steep.any()):
        return _by_steepness(x, dt, A, B, C, initial_state, reverse, chunk, steep)
    if chunk == 1:  # what decays by more than the dtype can tell is forgotten either way
        chunks = chunks.clamp_min(-reach)
    return _scan_chunks(x, dt, chunks, B, C, initial_state, reverse, padding)


def ssd_bidirectional(
    x: Float[Tensor, "batch frames heads headdim"],
    dt: Float[Tensor, "2 batch frames heads"],
    A: Float[Tensor, "2 heads"],
    B: Float[Tensor, "2 batch frames state"],
    C: Float[Tensor, "2 batch frames state"],
    *,
    chunk: int = 32,
) -> Float[Tensor, "batch frames heads headdim"]:
    """The sum of a scan forward and one backward, each with its own dt, A, B and C.

    Where the frames fit into a chunk and no head forgets more than the dtype's range over them, both directions are
    one product of masked scores, without any state in between.
    """
    frames = x.shape[1]
    exact = torch.promote_types(x.dtype, torch.float32)
    log_decay = dt.to(exact) * A[:, None, None].to(exact)
    over_all = log_decay.sum(2, keepdim=True)
    reach = math.log(torch.finfo(x.dtype).max)
    fused = x.is_cuda and fused_available()
    if fused or frames > chunk or x.is_meta or bool((over_all.detach() < -reach).any()):
        if frames > chunk:
            chunk = -(-frames // -(-frames // min(chunk, LONGEST_CHUNK)))  # chunks of one length, without padding
        forward = ssd(x, dt[0], A[0], B[0], C[0], chunk=chunk)[0]
        return forward + ssd(x, dt[1], A[1], B[1], C[1], reverse=True, chunk=chunk)[0]
    total = log_decay.cumsum(2)
    total = torch.stack((total[0], over_all[1] - total[1] + log_decay[1]))  # the decay from the end, frame included
    middle = over_all.detach() / 2
    factor_out = (total - middle).exp().to(x.dtype)[..., None]
    factor_in = (dt * (middle - total).exp()).to(x.dtype)[..., None]
    scores = C @ B.transpose(-1, -2)
    scores = torch.stack((scores[0].tril(), scores[1].triu())).to(x.dtype)
    y = (scores @ (x * factor_in).flatten(-2)).unflatten(-1, x.shape[-2:]) * factor_out
    return y[0] + y[1]


def _by_steepness(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, initial_state: Tensor | None, reverse: bool, chunk: int,
    steep: Tensor,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Heads that forget within a chunk more than the dtype's range are scanned in shorter chunks than the others."""
    parts = []
    for heads, length in (((~steep).nonzero()[:, 0], chunk), (steep.nonzero()[:, 0], max(1, chunk // 4))):
        if len(heads):
            start = None if initial_state is None else initial_state[:, heads]
            now = (x[:, :, heads], dt[:, :, heads], A[heads], B, C)
            parts.append((heads, *ssd_chunked(*now, initial_state=start, reverse=reverse, chunk=length)))
    back = torch.cat([heads for heads, _, _ in parts]).argsort()
    y, state = torch.cat([y for _, y, _ in parts], 2), torch.cat([state for _, _, state in parts], 1)
    return y[:, :, back], state[:, back]


def _pad(frames: Tensor, padding: int) -> Tensor:
    """Zeros after the last frame. A dt of 0 neither decays the state nor adds to it."""
    return torch.nn.functional.pad(frames, (0, 0) * (frames.ndim - 2) + (0, padding)) if padding else frames


def _scan_chunks(
    x: Tensor, dt: Tensor, log_decay: Tensor, B: Tensor, C: Tensor, initial_state: Tensor | None, reverse: bool,
    padding: int,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    batch, frames, heads, headdim = x.shape
    chunk = log_decay.shape[2]
    x, dt, B, C = (_pad(t, padding).unflatten(1, (-1, chunk)) for t in (x, dt, B, C))  # b c q ...
    total = log_decay.flip(2).cumsum(2).flip(2) if reverse else log_decay.cumsum(2)
    over_chunk = log_decay.sum(2)  # b c h
    # From where decays are counted cancels, so it has no gradient.
    middle = over_chunk.detach() / 2
    factor_out = (total - middle[:, :, None]).exp().to(x.dtype)
    factor_in = (dt * (middle[:, :, None] - total).exp()).to(x.dtype)
    scores = C @ B.transpose(-1, -2)  # b c q q
    scores = scores.triu() if reverse else scores.tril()

    order = list(range(x.shape[1]))[:: -1 if reverse else 1]
    # The state is kept as seen from the middle of the chunk that it enters: (b, n, h * p).
    passed = torch.cat([middle[:, order], torch.zeros_like(middle[:, :1])], 1)  # after the last: as it is
    carry = (over_chunk - middle)[:, order] + passed[:, 1:]
    carry = carry.exp()[..., None].expand(*carry.shape, headdim).flatten(2)[:, :, None]  # b c 1 hp
    state = scores.new_zeros(batch, B.shape[-1], heads * headdim, dtype=total.dtype)
    if initial_state is not None:
        entering = initial_state.to(total.dtype) * passed[:, 0].exp()[..., None, None]
        state = entering.transpose(1, 2).flatten(2)
    outputs = []
    for first in range(0, len(order), TOGETHER):
        some = order[first : first + TOGETHER]
        part = slice(min(some), max(some) + 1)
        entered = (x[:, part] * factor_in[:, part, ..., None]).flatten(-2)  # b c q hp
        added = B[:, part].transpose(-1, -2) @ entered  # b c n hp
        states = []
        for number, now in enumerate(some, start=first):
            states.append(state.to(x.dtype))
            state = (state + added[:, now - part.start]) * carry[:, number]
        before = torch.stack(states[::-1] if reverse else states, 1)
        y = torch.baddbmm(*(t.flatten(0, 1) for t in (scores[:, part] @ entered, C[:, part], before)))
        outputs.append(y.view(batch, -1, heads, headdim).mul_(factor_out[:, part].flatten(1, 2)[..., None]))
    y = torch.cat(outputs[::-1] if reverse else outputs, 1)[:, :frames]
    return y, state.unflatten(-1, (heads, headdim)).transpose(1, 2).to(x.dtype)


def ssd_fused(
    x: Float[Tensor, "batch frames heads headdim"],
    dt: Float[Tensor, "batch frames heads"],
    A: Float[Tensor, " heads"],
    B: Float[Tensor, "batch frames state"],
    C: Float[Tensor, "batch frames state"],
    *,
    initial_state: Float[Tensor, "batch heads state headdim"] | None = None,
    reverse: bool = False,
) -> tuple[
    Float[Tensor, "batch frames heads headdim"],
    Float[Tensor, "batch heads state headdim"],
]:
    """The same by the Triton kernels of flash-linear-attention (the extra ``gpu``), for tensors on a CUDA device."""
    from fla.ops.simple_gla import chunk_simple_gla

    log_decay = dt.float() * A.float()
    value = x * dt[..., None].to(x.dtype)
    # The kernels read one key and one query per head; shared ones, broadcast by stride, come back as NaN.
    key, query = (t.to(x.dtype)[:, :, None].expand(-1, -1, x.shape[2], -1) for t in (B, C))
    inputs = [(t.flip(1) if reverse else t).contiguous() for t in (query, key, value, log_decay)]
    state = None if initial_state is None else initial_state.float().contiguous()
    y, state = chunk_simple_gla(*inputs, scale=1.0, initial_state=state, output_final_state=True)
    return (y.flip(1) if reverse else y), state.to(x.dtype)


@functools.cache
def fused_available() -> bool:
    """Whether a CUDA device and the kernels' library are there."""
    return torch.cuda.is_available() and all(importlib.util.find_spec(name) for name in ("triton", "fla"))


def ssd(
    x: Float[Tensor, "batch frames heads headdim"],
    dt: Float[Tensor, "batch frames heads"],
    A: Float[Tensor, " heads"],
    B: Float[Tensor, "batch frames state"],
    C: Float[Tensor, "batch frames state"],
    *,
    initial_state: Float[Tensor, "batch heads state headdim"] | None = None,
    reverse: bool = False,
    chunk: int = 32,
) -> tuple[
    Float[Tensor, "batch frames heads headdim"],
    Float[Tensor, "batch heads state headdim"],
]:
    """``ssd_fused`` on a GPU that has its kernels, else ``ssd_chunked``."""
    if x.is_cuda and fused_available():
        return ssd_fused(x, dt, A, B, C, initial_state=initial_state, reverse=reverse)
    return ssd_chunked(x, dt, A, B, C, initial_state=initial_state, reverse=reverse, chunk=chunk)
