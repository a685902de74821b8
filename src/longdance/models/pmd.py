"""EDMG's Parallel Mamba Denoiser (PMD): noisy motion, diffusion step, music and text to clean motion.

Source: EDMG section 3.3. What the paper leaves open (depth, direction, where the step enters) is decided here and
named in the fields of ``PMDConfig``.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Annotated, Literal, cast

import torch
from jaxtyping import Bool, Float, Int
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, model_validator
from torch import Tensor, nn

from longdance.models.blocks import (
    AdaptiveInstanceNorm,
    CrossAttention,
    Entrance,
    Preconditioner,
    StepEmbedding,
    TemporalFilter,
)
from longdance.models.conditions import Conditions, Count, GenreAndMovements, MusicTokens, TextPooling
from longdance.models.selective import SelectiveParameters
from longdance.models.ssd import ssd, ssd_bidirectional

REGISTER = {"denoiser": {"pmd": {"make": "ParallelMambaDenoiser", "config": "PMDConfig"}}}


class PMDConfig(BaseModel):
    """Sizes of the denoiser. Defaults are the paper's (EDMG section 4.1) unless said otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    features: Count = 151
    """Motion features per frame."""
    music_channels: Count = 35
    """Music features per frame."""
    text_width: Count = 384
    """Width of a text embedding."""
    fps: PositiveFloat = 60.0
    """Frames per second of motion and music."""
    width: Count = 512
    """Latent width F."""
    depth: Annotated[Count, Field(le=1000)] = 8
    """Number of blocks; not given in the paper."""
    heads: Count = 128
    """SSM heads H."""
    state: Count = 64
    """State dimension N."""
    expand: Count = 2
    """Mixer width over F, as in Mamba-2; headdim is expand * width / heads."""
    kernel: Count = 4
    """Frames of the mixer's short convolution, as in Mamba-2."""
    convolve_inputs: bool = True
    """Whether B and C go through the short convolution beside x, as in Mamba-2."""
    longest_step: PositiveFloat | None = None
    """Largest dt |A| of a frame: what no head forgets faster than, so that long chunks are scanned in one piece."""
    direction: Literal["forward", "bidirectional"] = "forward"
    """Whether the scan runs over time once, as in eq. 5, or in both directions (ours: a denoiser sees all frames)."""
    mixer: Literal["ssd", "sequential"] = "ssd"
    """The parallel mamba module, or for the ablation the first Mamba's scan, frame by frame and channel by channel."""
    local: bool = True
    """Whether blocks have a local information module; without it they attend at the full rate (ablation)."""
    lim_stride: Count = 2
    """Down-sampling rate of the local information module."""
    attention_heads: Count = 4
    attention_block: Count = 150
    """Tokens, at the lower rate, beyond twice which attention looks only at its own and the neighbouring blocks; twice
    150 are the ten seconds at 60 fps of the paper's windows."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    style_layer: bool = False
    """Whether a linear layer follows the adaptive normalisation of every block (not in the paper)."""
    text_pooling: Literal["mean", "genre and movements"] = "mean"
    """How text tokens become one vector; the paper leaves it open."""
    music_mixing: Annotated[int, Field(ge=0, le=10)] = 2
    """Convolutions over neighbouring frames of the music before it is shortened."""
    aligned_music: bool = False
    """Also add the music of each frame to the motion token of that frame (not in the paper)."""
    music_gain: bool = False
    """Also let the music of each frame scale and shift what every block's mixer sees, so that loud music can make a
    movement larger (not in the paper)."""
    precondition: bool = False
    """Whether nearly clean motion is passed on and corrected, instead of made anew (not in the paper)."""
    innovation: PositiveFloat = 0.1
    """Variance of a feature that its neighbouring frames do not tell, for preconditioning: motion at 30 frames per
    second has about 0.001, and what is passed on beyond that is noise."""
    diffusion_steps: Count = 1000
    """T, for preconditioning."""
    chunk: Count = 32
    """Frames per chunk of the scan; changes speed, not results."""

    @model_validator(mode="after")
    def _heads_divide(self) -> "PMDConfig":
        inner = self.expand * self.width
        if inner % self.heads:
            raise ValueError(f"expected heads to divide expand * width = {inner}, got {self.heads}")
        if self.width % (2 * self.attention_heads):  # rotary time turns pairs of a head's channels
            raise ValueError(
                f"expected attention_heads to split width {self.width} into even parts, got {self.attention_heads}"
            )
        return self


class TimeConvolution(nn.Conv1d):
    """A convolution over time, computed as one in two dimensions: those take channels that lie side by side as they
    are, where one in one dimension first moves all of them."""

    def forward(self, input: Float[Tensor, "batch frames width"]) -> Float[Tensor, "batch shorter width"]:
        image, weight = input.transpose(1, 2).unsqueeze(2), self.weight.unsqueeze(2)
        stride, padding = (1, self.stride[0]), (0, cast(int, self.padding[0]))
        found = nn.functional.conv2d(image, weight, self.bias, stride, padding, groups=self.groups)
        return found.squeeze(2).transpose(1, 2)


class ShortConvolution(TimeConvolution):
    """A convolution of every channel with itself over a few frames, the earlier ones or those around."""

    def __init__(self, channels: int, kernel: int, *, centred: bool):
        self.before = kernel // 2 if centred else kernel - 1
        super().__init__(channels, channels, kernel, groups=channels, padding=self.before)

    def forward(self, input: Float[Tensor, "batch frames width"]) -> Float[Tensor, "batch frames width"]:
        kernel, frames = self.kernel_size[0], input.shape[1]
        # oneDNN's is five times as fast as the sum below, but slower backward in bf16; elsewhere there may be none.
        backward_in_bf16 = input.dtype == torch.bfloat16 and torch.is_grad_enabled()
        if input.is_cpu and torch.backends.mkldnn.is_available() and not backward_in_bf16:
            return super().forward(input)[:, :frames]
        padded = nn.functional.pad(input, (0, 0, self.before, kernel - 1 - self.before))
        # A sum of shifts is faster than a grouped Conv1d on CPU, if its factors lie side by side in memory.
        weights = self.weight[:, 0].T.to(input.dtype).contiguous()
        result = cast(Tensor, self.bias).to(input.dtype)
        for offset, weight in enumerate(weights):
            result = torch.addcmul(result, padded[:, offset : offset + frames], weight)
        return result


def normed_projection(
    x: Float[Tensor, "batch frames inner"],
    scale: Float[Tensor, " inner"],
    weight: Float[Tensor, "width inner"],
    bias: Float[Tensor, " width"],
) -> Float[Tensor, "batch frames width"]:
    """An RMS norm with ``scale``, then a linear layer: the norm is taken into the weights and the narrower result."""
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
    factor = torch.rsqrt(length.square() / x.shape[-1] + 1e-5)
    projected = nn.functional.linear(x, weight * scale)
    return (projected * factor + bias).to(projected.dtype)


class ParallelMambaModule(nn.Module):
    """PMM: a Mamba-2 mixer with one decay per head and B, C shared by all heads.

    Source: EDMG eq. 5, 6 and figure 4.
    """

    def __init__(self, config: PMDConfig):
        super().__init__()
        self.inner = config.expand * config.width
        self.heads, self.state, self.chunk = config.heads, config.state, config.chunk
        self.directions = 2 if config.direction == "bidirectional" else 1
        # B and C of each direction, side by side; then the steps dt.
        self.projections = self.directions * 2 * config.state
        self.convolved = self.inner + (self.projections if config.convolve_inputs else 0)
        self.longest_step = config.longest_step
        self.input = nn.Linear(config.width, 2 * self.inner + self.projections + self.directions * config.heads)
        self.convolution = ShortConvolution(self.convolved, config.kernel, centred=config.direction == "bidirectional")
        # A starts at -1 ... -16 and dt between 1 ms and 0.1, as in Mamba-2.
        self.log_decay = nn.Parameter(
            torch.linspace(1, 16, config.heads).log().repeat(self.directions).unflatten(0, (self.directions, -1))
        )
        start = torch.logspace(-3, -1, config.heads).repeat(self.directions, 1)
        self.step_bias = nn.Parameter(start + torch.log(-torch.expm1(-start)))
        self.skip = nn.Parameter(torch.ones(config.heads))
        self.norm = nn.RMSNorm(self.inner)
        self.output = nn.Linear(self.inner, config.width)

    def forward(self, tokens: Float[Tensor, "batch frames width"]) -> Float[Tensor, "batch frames width"]:
        gate, mixed, dt = self.input(tokens).split(
            (self.inner, self.inner + self.projections, self.directions * self.heads), -1
        )
        mixed, plain = mixed.split((self.convolved, self.inner + self.projections - self.convolved), -1)
        mixed = nn.functional.silu(self.convolution(mixed))
        if plain.shape[-1]:
            mixed = torch.cat((mixed, plain), -1)
        x, projections = mixed.split((self.inner, self.projections), -1)
        x = x.unflatten(-1, (self.heads, -1))
        y = self._scan(x, projections, dt)
        # One factor per channel, not per head: broadcasting over a head's few channels is slow.
        skip = self.skip.to(x.dtype).repeat_interleave(x.shape[-1])
        y = torch.addcmul(y.flatten(-2), x.flatten(-2), skip) * nn.functional.silu(gate)
        return normed_projection(y, self.norm.weight, self.output.weight, self.output.bias)

    def _scan(self, x: Tensor, projections: Tensor, dt: Tensor) -> Tensor:
        """The outputs of both directions together, (batch, frames, heads, headdim)."""
        directions = lambda t: t.unflatten(-1, (self.directions, -1)).movedim(-2, 0)  # noqa: E731
        b_matrix, c_matrix = directions(projections).chunk(2, -1)
        steps = nn.functional.softplus(directions(dt).float() + self.step_bias[:, None, None])
        rate = -self.log_decay.to(steps.dtype).exp()
        if self.longest_step is not None:
            steps = torch.minimum(steps, self.longest_step / -rate[:, None, None])
        if self.directions == 1:
            return ssd(x, steps[0], rate[0], b_matrix[0], c_matrix[0], chunk=self.chunk)[0]
        return ssd_bidirectional(x, steps, rate, b_matrix, c_matrix, chunk=self.chunk)


class SequentialMambaModule(nn.Module):
    """The first Mamba's mixer in the place of the PMM, everything around the scan being the same.

    Source: Gu and Dao 2023, as in the row "w/o PMM" of EDMG's table 4.
    """

    def __init__(self, config: PMDConfig):
        super().__init__()
        self.inner = config.expand * config.width
        self.input = nn.Linear(config.width, 2 * self.inner)
        self.convolution = ShortConvolution(self.inner, config.kernel, centred=config.direction == "bidirectional")
        directions = 2 if config.direction == "bidirectional" else 1
        self.scans = nn.ModuleList(
            SelectiveParameters(self.inner, config.width, config.state) for _ in range(directions)
        )
        self.skip = nn.Parameter(torch.ones(self.inner))
        self.norm = nn.RMSNorm(self.inner)
        self.output = nn.Linear(self.inner, config.width)

    def forward(self, tokens: Float[Tensor, "batch frames width"]) -> Float[Tensor, "batch frames width"]:
        gate, x = self.input(tokens).chunk(2, -1)
        x = nn.functional.silu(self.convolution(x))
        y = self.scans[0](x)
        if len(self.scans) == 2:
            y = y + self.scans[1](x.flip(1)).flip(1)
        y = (y + x * self.skip.to(x.dtype)) * nn.functional.silu(gate)
        return normed_projection(y, self.norm.weight, self.output.weight, self.output.bias)


class LocalInformationModule(nn.Module):
    """LIM: a 1-D convolution over neighbouring frames that also shortens the sequence. Source: EDMG section 3.3."""

    def __init__(self, width: int, stride: int):
        super().__init__()
        reach = max(1, stride // 2)  # frames to either side; n frames become ceil(n / stride) tokens
        self.convolution = TimeConvolution(width, width, 2 * reach + 1, stride=stride, padding=reach)

    def forward(self, tokens: Float[Tensor, "batch frames width"]) -> Float[Tensor, "batch shorter width"]:
        return self.convolution(tokens)


class MusicEncoder(nn.Module):
    """Music features to tokens at a lower rate: a linear map, then convolutions over neighbouring frames."""

    def __init__(self, channels: int, width: int, stride: int, mixing: int):
        super().__init__()
        self.embed = Entrance(channels, width)
        self.mix = nn.ModuleList(TimeConvolution(width, width, 5, padding=2) for _ in range(mixing))
        self.shorten = LocalInformationModule(width, stride)
        self.null = nn.Parameter(torch.zeros(width))

    def forward(
        self, music: Float[Tensor, "batch frames music_channels"], keep: Bool[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "batch frames width"], Float[Tensor, "batch shorter width"]]:
        """Tokens at the frame rate and at the lower rate; dropped rows hold the null embedding throughout."""
        tokens = self.embed(music)
        for convolution in self.mix:
            tokens = tokens + nn.functional.silu(convolution(tokens))
        keep = keep[:, None, None]
        short = self.shorten(tokens)
        return (torch.where(keep, tokens, self.null.to(tokens.dtype)),
                torch.where(keep, short, self.null.to(short.dtype)))  # fmt: skip


class PMDBlock(nn.Module):
    """PMM, then LIM with cross-attention to the music and back to full rate, then AdaIN; residual around each."""

    def __init__(self, config: PMDConfig):
        super().__init__()
        width = config.width
        self.norm_mixer = nn.LayerNorm(width)
        self.mixer = (ParallelMambaModule if config.mixer == "ssd" else SequentialMambaModule)(config)
        self.gain = nn.Linear(width, 2 * width) if config.music_gain else None
        if self.gain is not None:  # begins as nothing
            nn.init.zeros_(self.gain.weight)
            nn.init.zeros_(self.gain.bias)
        self.norm_local = nn.LayerNorm(width)
        self.local = LocalInformationModule(width, config.lim_stride) if config.local else nn.Identity()
        self.stride = config.lim_stride if config.local else 1
        self.norm_attention = nn.LayerNorm(width)
        self.attention = CrossAttention(
            width, config.attention_heads, config.dropout, block=config.attention_block
        )
        self.adain = AdaptiveInstanceNorm(width, width)
        self.style = nn.Linear(width, width) if config.style_layer else None
        self.dropout = nn.Dropout(config.dropout)

    def hear(
        self,
        aligned: Float[Tensor, "batch frames width"],
        music: Float[Tensor, "batch memory width"],
        seconds: Float[Tensor, " memory"],
    ) -> MusicTokens:
        """What ``forward`` needs of the music: keys and values, and with a gain its scale and shift."""
        remembered = self.attention.remember(music, seconds)
        if self.gain is None:
            return remembered
        scale, shift = self.gain(aligned).chunk(2, -1)
        return (*remembered, 1 + scale, shift)

    def forward(
        self,
        tokens: Float[Tensor, "batch frames width"],
        seconds: Float[Tensor, " shorter"],
        heard: MusicTokens,
        step_tokens: Float[Tensor, "batch few width"],
        condition: Float[Tensor, "batch width"],
    ) -> Float[Tensor, "batch frames width"]:
        key, value, *gain = heard
        mixed = self.norm_mixer(tokens)
        if gain:
            scale, shift = gain
            mixed = torch.addcmul(shift, mixed.to(shift.dtype), scale)
        tokens = tokens + self.dropout(self.mixer(mixed))
        local = self.local(self.norm_local(tokens))
        local = local + self.attention.recall(self.norm_attention(local), seconds, (key, value), step_tokens)
        tokens = tokens + self.dropout(upsample(local, tokens.shape[1], stride=self.stride))
        styled = self.adain(tokens, condition)
        if self.style is not None:
            styled = self.style(nn.functional.silu(styled))
        return tokens + self.dropout(styled)


def upsample(
    tokens: Float[Tensor, "batch shorter width"], frames: int, *, stride: int
) -> Float[Tensor, "batch frames width"]:
    """Linear interpolation along time to ``frames``; token k lies on frame k * stride, as in the LIM."""
    if stride == 1:
        return tokens[:, :frames]
    # The frames after the last token repeat it.
    later = torch.cat((tokens[:, 1:], tokens[:, -1:]), 1)
    between = [torch.lerp(tokens, later, part / stride) for part in range(1, stride)]
    return torch.stack((tokens, *between), 2).flatten(1, 2)[:, :frames]


class ParallelMambaDenoiser(nn.Module):
    """PMD: predicts the clean motion from a noisy one. Source: EDMG figure 2 and section 3.3."""

    def __init__(self, config: PMDConfig):
        super().__init__()
        self.config = config
        width = config.width
        self.embed = Entrance(config.features, width)
        self.music = MusicEncoder(config.music_channels, width, config.lim_stride, config.music_mixing)
        pooling = TextPooling if config.text_pooling == "mean" else GenreAndMovements
        self.text = pooling(config.text_width, width)
        self.step = StepEmbedding(width)
        self.step_tokens = nn.Linear(width, 2 * width)
        self.blocks = nn.ModuleList(PMDBlock(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, config.features)
        if config.precondition:
            self.precondition = Preconditioner(config.diffusion_steps, innovation=config.innovation)
            self.filter = TemporalFilter(config.features, width)
        # Residual branches start small, so that depth does not inflate the signal.
        for block in cast(Iterable[PMDBlock], self.blocks):
            for layer in (block.mixer.output, block.attention.output, block.style):
                if layer is not None:
                    layer.weight.data.mul_(1 / math.sqrt(config.depth))

    def hear(self, conditions: Conditions) -> MusicTokens:
        """What all blocks make of the music, for ``forward``: it is the same at every step.

        First the tokens of all frames, then the same number of tensors for every block.
        """
        aligned, of_blocks = self._listen(conditions)
        return (aligned, *(part for parts in of_blocks for part in parts))

    def _listen(self, conditions: Conditions) -> tuple[Tensor, Iterator[MusicTokens]]:
        """The tokens of all frames, and what one block after the other makes of the music, when it is asked for."""
        aligned, music = self.music(conditions.music, conditions.keep_music)
        seconds = torch.arange(music.shape[1], device=music.device) * (self.config.lim_stride / self.config.fps)
        return aligned, (cast(PMDBlock, block).hear(aligned, music, seconds) for block in self.blocks)

    def forward(
        self,
        noisy: Float[Tensor, "batch frames features"],
        step: Int[Tensor, " batch"],
        conditions: Conditions,
        heard: MusicTokens | None = None,
    ) -> Float[Tensor, "batch frames features"]:
        """Clean motion (normalised features) predicted from ``noisy`` at diffusion ``step``.

        ``heard`` is what ``hear`` made of these conditions, if it is at hand.
        """
        frames = noisy.shape[1]
        if heard is None:  # nothing is kept that no later step needs
            aligned, of_blocks = self._listen(conditions)
        else:
            aligned, *parts = heard
            each = len(parts) // len(self.blocks)
            of_blocks = (tuple(parts[first : first + each]) for first in range(0, len(parts), each))
        step_vector = self.step(step)
        condition = step_vector + self.text(conditions.text, conditions.text_mask)
        step_tokens = self.step_tokens(step_vector).unflatten(-1, (2, -1)).to(aligned.dtype)
        stride = self.config.lim_stride if self.config.local else 1
        seconds = torch.arange(-(-frames // stride), device=noisy.device) * (stride / self.config.fps)
        scale_in, skip, scale_out = self.precondition(step) if self.config.precondition else (1.0, 0.0, 1.0)
        tokens = self.embed(noisy * scale_in)
        if self.config.aligned_music:
            tokens = tokens + aligned
        for block, own in zip(self.blocks, of_blocks, strict=True):
            tokens = block(tokens, seconds, own, step_tokens, condition)
        if tokens.shape[1] != frames:
            raise AssertionError(f"blocks must keep {frames} frames, got {tokens.shape[1]}")
        clean = scale_out * self.output(self.norm(tokens)).float()
        if self.config.precondition:
            clean = clean + skip * noisy + (1 - skip) * self.filter(noisy, step_vector)
        return clean
