"""Pieces that several denoisers share: step embedding, rotary cross-attention, instance normalisation."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from longdance.models.schedule import cosine_alpha_bar


class Entrance(nn.Linear):
    """A linear layer through which inputs of any number format enter a network: they take that of its weights."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.to(self.weight.dtype))


class ExactBuffers(nn.Module):
    """A module whose buffers keep their number format when the weights change theirs, as by ``bfloat16()``."""

    def _apply(self, fn, recurse=True):
        exact = dict(self._buffers)
        super()._apply(fn, recurse)
        for name, buffer in exact.items():
            moved = self._buffers[name]
            if buffer is not None and moved is not None and not buffer.is_meta:
                self._buffers[name] = buffer.to(moved.device)
        return self


class Preconditioner(ExactBuffers):
    """Lets what is almost clean pass, so that a network need not learn to copy; the prediction stays the clean motion.

    With features of variance ``data`` (1 per feature if perfectly normalised) of which ``innovation`` is what the
    neighbouring frames do not tell, x_t = a x_0 + s e is passed on in the share a innovation / (a^2 innovation + s^2):
    all of it when there is little noise, nothing when the neighbours know better. The network sees x_t, and adds what
    is missing, both scaled to unit variance. Source: Karras et al. 2022, table 1, for a variance-preserving process
    and for data that is smooth in time; not in EDMG.
    """

    def __init__(self, diffusion_steps: int, *, data: float = 0.6, innovation: float = 0.1):
        super().__init__()
        signal = cosine_alpha_bar(diffusion_steps)
        noise = 1 - signal
        skip = signal.sqrt() * innovation / (signal * innovation + noise)
        missing = (1 - signal.sqrt() * skip) ** 2 * data + skip**2 * noise
        factors = torch.stack((1 / (signal * data + noise).sqrt(), skip, missing.sqrt()))
        # Follows from the configuration, so it is not stored with the weights.
        self.factors: Tensor
        self.register_buffer("factors", factors.float(), persistent=False)

    def forward(self, step: Int[Tensor, " batch"]) -> tuple[Tensor, Tensor, Tensor]:
        """Factors (batch, 1, 1) of the input, of the guess by x_t, and of the network's output."""
        scale_in, skip, scale_out = self.factors[:, step, None, None]
        return scale_in, skip, scale_out


class TemporalFilter(nn.Module):
    """A linear filter along time per feature, drawn up for the diffusion step: the easy half of denoising.

    Motion is smooth and noise is not, so a weighted mean of neighbouring frames already removes most of the noise;
    how wide it should be depends on how much noise there is. Begins as nothing; not in EDMG.
    """

    def __init__(self, features: int, width: int, *, taps: int = 15):
        super().__init__()
        self.taps = taps
        self.gains = nn.Linear(width, taps * features)
        nn.init.zeros_(self.gains.weight)
        nn.init.zeros_(self.gains.bias)

    def forward(
        self, noisy: Float[Tensor, "batch frames features"], step: Float[Tensor, "batch width"]
    ) -> Float[Tensor, "batch frames features"]:
        frames, reach = noisy.shape[1], self.taps // 2
        gains = self.gains(step).to(noisy.dtype).unflatten(-1, (self.taps, 1, -1))
        first, last = (noisy[:, end : end + 1 or None].expand(-1, reach, -1) for end in (0, -1))
        padded = torch.cat((first, noisy, last), 1)
        result = gains[:, 0] * padded[:, :frames]
        for tap in range(1, self.taps):
            result = torch.addcmul(result, gains[:, tap], padded[:, tap : tap + frames])
        return result


class StepEmbedding(nn.Module):
    """Diffusion step to a vector: sinusoids through a two-layer network."""

    def __init__(self, width: int):
        super().__init__()
        self.width = width
        self.network = nn.Sequential(Entrance(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))

    def forward(self, step: Int[Tensor, " batch"]) -> Float[Tensor, "batch width"]:
        """``step`` counts from 0 (almost clean) to the number of diffusion steps minus one."""
        return self.network(sinusoids(step, self.width))


def sinusoids(position: Tensor, width: int) -> Float[Tensor, "*axes width"]:
    """Sines and cosines of geometrically spaced frequencies. Source: Vaswani et al. 2017, section 3.5."""
    half = width // 2
    frequency = torch.exp(-math.log(10_000.0) * torch.arange(half, device=position.device) / half)
    angle = position[..., None].float() * frequency
    return torch.cat((angle.sin(), angle.cos()), -1)


def rotary(
    vectors: Float[Tensor, "batch heads tokens headdim"], seconds: Float[Tensor, " tokens"]
) -> Float[Tensor, "batch heads tokens headdim"]:
    """Turn pairs of channels by angles proportional to the token's time, so that products see time differences.

    Periods run from 0.2 s to 60 s. Source: Su et al. 2021, with seconds in place of token numbers, so that motion and
    music tokens at different rates share one clock.
    """
    half = vectors.shape[-1] // 2
    period = torch.logspace(math.log10(0.2), math.log10(60.0), half, device=vectors.device)
    angle = (2 * torch.pi * seconds[:, None] / period).to(torch.float32)
    sine, cosine = angle.sin(), angle.cos()
    sines, cosines = (torch.cat(both, -1).to(vectors.dtype) for both in ((-sine, sine), (cosine, cosine)))
    first, second = vectors.chunk(2, -1)
    # The products of the crossed pairs come first: they lie in memory as attention wants them.
    return torch.addcmul(torch.cat((second, first), -1) * sines, vectors, cosines)


class CrossAttention(nn.Module):
    """Multi-head attention from motion tokens to condition tokens, with rotary time on both.

    Tokens without a time (the diffusion step) come last in the memory and are left unrotated. With a ``block``,
    sequences of more than two blocks of tokens, longer than any training window, attend near by: each block of queries
    sees its own block of the music and the ones before and after, so time and memory grow linearly, and no time
    difference occurs that training did not have.
    """

    def __init__(self, width: int, heads: int, dropout: float, *, block: int | None = None):
        super().__init__()
        self.heads, self.dropout, self.block = heads, dropout, block
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.output = nn.Linear(width, width)

    def forward(
        self,
        tokens: Float[Tensor, "batch frames width"],
        seconds: Float[Tensor, " frames"],
        memory: Float[Tensor, "batch memory width"],
        memory_seconds: Float[Tensor, " timed"],
    ) -> Float[Tensor, "batch frames width"]:
        timed = self.remember(memory[:, : len(memory_seconds)], memory_seconds)
        return self.recall(tokens, seconds, timed, memory[:, len(memory_seconds) :])

    def remember(
        self, memory: Float[Tensor, "batch timed width"], seconds: Float[Tensor, " timed"]
    ) -> tuple[Float[Tensor, "batch heads timed headdim"], Float[Tensor, "batch heads timed headdim"]]:
        """Keys and values of tokens that have a time, for ``recall``."""
        key, value = (self._split(t) for t in self.key_value(memory).chunk(2, -1))
        return rotary(key, seconds), value

    def recall(
        self,
        tokens: Float[Tensor, "batch frames width"],
        seconds: Float[Tensor, " frames"],
        remembered: tuple[Float[Tensor, "batch heads timed headdim"], Float[Tensor, "batch heads timed headdim"]],
        timeless: Float[Tensor, "batch few width"],
    ) -> Float[Tensor, "batch frames width"]:
        """``forward`` by keys and values of the memory's tokens with a time, and by its tokens without one."""
        query = rotary(self._split(self.query(tokens)), seconds)
        more = (self._split(t) for t in self.key_value(timeless).chunk(2, -1))
        key, value = (torch.cat(both, 2) for both in zip(remembered, more, strict=True))
        timed = remembered[0].shape[2]
        dropout = self.dropout if self.training else 0.0
        if self.block is not None and len(seconds) == timed > 2 * self.block:
            attended = attend_near_by(query, key, value, block=self.block, dropout=dropout)
        else:
            attended = attend(query, key, value, dropout=dropout)
        return self.output(attended.transpose(1, 2).flatten(-2))

    def _split(self, tokens: Tensor) -> Float[Tensor, "batch heads tokens headdim"]:
        return tokens.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def attend(
    query: Float[Tensor, "batch heads frames headdim"],
    key: Float[Tensor, "batch heads memory headdim"],
    value: Float[Tensor, "batch heads memory headdim"],
    *,
    dropout: float = 0.0,
) -> Float[Tensor, "batch heads frames headdim"]:
    """Scaled dot-product attention, by plain products in bf16 on a CPU: there PyTorch's own is half as fast."""
    if query.device.type != "cpu" or query.dtype != torch.bfloat16:
        return nn.functional.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
    weights = (query * query.shape[-1] ** -0.5 @ key.transpose(-1, -2)).softmax(-1)
    return nn.functional.dropout(weights, dropout, training=dropout > 0) @ value


def attend_near_by(
    query: Float[Tensor, "batch heads frames headdim"],
    key: Float[Tensor, "batch heads memory headdim"],
    value: Float[Tensor, "batch heads memory headdim"],
    *,
    block: int,
    dropout: float = 0.0,
) -> Float[Tensor, "batch heads frames headdim"]:
    """Attention of each block of queries to the same block of the memory, its two neighbours, and all that follows.

    The first ``frames`` tokens of the memory lie beside the queries in time; those after them are seen by every query.
    """
    batch, frames = query.shape[0], query.shape[2]
    blocks = -(-frames // block)
    blocked = lambda t: t.unflatten(2, (-1, block)).transpose(1, 2).flatten(0, 1)  # noqa: E731  (batch * blocks) first
    pad = lambda t, before: nn.functional.pad(t, (0, 0, before, blocks * block - frames + before))  # noqa: E731

    def neighbours(t: Tensor) -> Tensor:
        beside = pad(t[:, :, :frames], block)
        near = torch.cat([blocked(beside[:, :, i * block : (i + blocks) * block]) for i in range(3)], 2)
        everywhere = t[:, :, frames:].repeat_interleave(blocks, 0)
        return torch.cat((near, everywhere), 2)

    position = torch.arange(-block, 2 * block, device=query.device)
    position = position + block * torch.arange(blocks, device=query.device)[:, None]
    seen = nn.functional.pad((position >= 0) & (position < frames), (0, key.shape[2] - frames), value=True)
    attended = nn.functional.scaled_dot_product_attention(
        blocked(pad(query, 0)),
        neighbours(key),
        neighbours(value),
        attn_mask=seen.repeat(batch, 1)[:, None, None],
        dropout_p=dropout,
    )
    return attended.unflatten(0, (batch, blocks)).transpose(1, 2).flatten(2, 3)[:, :, :frames]


class AdaptiveInstanceNorm(nn.Module):
    """Every channel to zero mean and unit variance over time, then scaled and shifted by a condition.

    Source: EDMG section 3.3, after StyleGAN (Karras et al. 2019, eq. 1).
    """

    def __init__(self, width: int, condition_width: int):
        super().__init__()
        self.style = nn.Linear(condition_width, 2 * width)
        nn.init.zeros_(self.style.weight)
        nn.init.zeros_(self.style.bias)

    def forward(
        self,
        tokens: Float[Tensor, "batch frames width"],
        condition: Float[Tensor, "batch condition"],
    ) -> Float[Tensor, "batch frames width"]:
        exact = tokens.float()
        centred = exact - exact.mean(1, keepdim=True)  # twice as fast as var over an axis that is not the last
        variance = centred.square().mean(1, keepdim=True)
        scale, shift = self.style(condition)[:, None].chunk(2, -1)
        scale = (1 + scale) * (variance + 1e-5).rsqrt()
        return torch.addcmul(shift, centred, scale).to(tokens.dtype)
