"""Bailando: a choreographic memory of quantised half-body poses, and a transformer that writes dances in its codes.

Source: Bailando (Siyao et al. 2022), section 3. Sampling a dance in codes is here, as training needs it too; turning a
song into a dance is in `choreography.autoregressive`, losses and rewards are in `train.bailando`.
"""

import math
from collections.abc import Callable
from typing import Annotated, NamedTuple, cast

import torch
from jaxtyping import Bool, Float, Int
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, model_validator
from torch import Tensor, nn

from longdance.models.conditions import Count
from longdance.models.film import FeedForward
from longdance.motion.layout import LAYOUTS, Layout

REGISTER = {
    "forward": {
        "bailando-memory": {"make": "ChoreographicMemory", "config": "MemoryConfig"},
        "bailando": {"make": "Bailando", "config": "BailandoConfig"},
    },
}

HALVES = ("upper", "lower")
"""The order of the two halves of the body on the axis ``halves``."""
LEG = ("hip", "knee", "ankle", "foot")
LOWER_JOINTS = ("pelvis", *(f"{side}_{joint}" for side in ("left", "right") for joint in LEG))
DILATIONS = (1, 3)
"""Of the residual convolutions at every rate."""


def half_columns(layout: Layout) -> tuple[list[int], list[int]]:
    """Columns of the upper and the lower half of the body; together all but the root's x and z.

    Contacts, the root's height and its rotation belong to the legs.
    """
    lower = layout.joint_columns(tuple(name for name in LOWER_JOINTS if name in layout.skeleton.names))
    lower[layout["contact"]] = lower[layout["root_position"]] = True
    upper = ~lower
    lower[layout.horizontal] = False
    return upper.nonzero()[0].tolist(), lower.nonzero()[0].tolist()


class MemoryConfig(BaseModel):
    """Sizes of the choreographic memory. Defaults are the paper's."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    layout: str = "smpl24"
    fps: PositiveFloat = 60.0
    """Frames per second of the motion."""
    width: Count = 512
    """Of the convolutions, and of a code's vector."""
    halvings: Annotated[Count, Field(le=6)] = 3
    """How often the rate is halved on the way to codes; 3 are 8 frames per code."""
    codes: Count = 512
    """Codes of either half."""
    decay: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """Of the running means that are the codes' vectors."""

    @model_validator(mode="after")
    def _known(self) -> "MemoryConfig":
        if self.layout not in LAYOUTS:
            raise ValueError(f"expected a layout among {', '.join(LAYOUTS)}, got {self.layout!r}")
        return self

    @property
    def features(self) -> int:
        """Motion features per frame."""
        return LAYOUTS[self.layout].width

    @property
    def stride(self) -> int:
        """Frames per code."""
        return 2**self.halvings

    @property
    def reach(self) -> int:
        """Codes to either side of a frame's own that its pose depends on."""
        frames = 1 + sum(2**level * (sum(DILATIONS) + 1) for level in range(self.halvings + 1)) + self.stride
        return math.ceil(frames / self.stride) + 1


class _Residual(nn.Module):
    """A dilated convolution and a pointwise one, added to their input."""

    def __init__(self, width: int, dilation: int):
        super().__init__()
        self.wide = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.mix = nn.Conv1d(width, width, 1)

    def forward(self, track: Float[Tensor, "batch width frames"]) -> Float[Tensor, "batch width frames"]:
        return track + self.mix(nn.functional.silu(self.wide(nn.functional.silu(track))))


def _residuals(width: int) -> list[nn.Module]:
    return [_Residual(width, dilation) for dilation in DILATIONS]


def _encoder(features: int, config: MemoryConfig) -> nn.Sequential:
    width, layers = config.width, []
    for _ in range(config.halvings):
        layers += [nn.Conv1d(width, width, 4, stride=2, padding=1), *_residuals(width)]
    return nn.Sequential(nn.Conv1d(features, width, 3, padding=1), *layers, nn.Conv1d(width, width, 3, padding=1))


def _decoder(features: int, config: MemoryConfig) -> nn.Sequential:
    width, layers = config.width, []
    for _ in range(config.halvings):
        layers += [*_residuals(width), nn.ConvTranspose1d(width, width, 4, stride=2, padding=1)]
    return nn.Sequential(
        nn.Conv1d(width, width, 3, padding=1), *layers, nn.SiLU(), nn.Conv1d(width, features, 3, padding=1)
    )


class Codebook(nn.Module):
    """The vectors of one half's codes: running means of the encodings that are nearest to them.

    A code that hardly any encoding is nearest to moves to an encoding of the batch; so the first batches fill an empty
    codebook. Source: van den Oord et al. 2017, appendix A. Differs: codes that are given up move, and without chance.
    """

    dead = 0.1
    """Encodings per batch, on average, below which a code is given up."""

    def __init__(self, codes: int, width: int, decay: float):
        super().__init__()
        self.decay = decay
        self.vectors: Tensor
        self.sums: Tensor
        self.usage: Tensor
        self.register_buffer("vectors", torch.zeros(codes, width))
        self.register_buffer("sums", torch.zeros(codes, width))
        self.register_buffer("usage", torch.zeros(codes))

    def nearest(
        self, latents: Float[Tensor, "*axes width"]
    ) -> tuple[Int[Tensor, "*axes"], Float[Tensor, "*axes"]]:
        """Index of the nearest code in use, and the squared distance to it."""
        latents, squares = latents.float(), self.vectors.square().sum(-1)
        with torch.autocast(latents.device.type, enabled=False):  # the nearest of codes may be near to each other
            distance = latents.square().sum(-1, keepdim=True) - 2 * latents @ self.vectors.T + squares
        distance = distance.masked_fill(self.usage <= 0, torch.inf) if (self.usage > 0).any() else distance
        squared, index = distance.min(-1)
        return index, squared.clamp_min(0)

    def forward(
        self, latents: Float[Tensor, "batch tokens width"], valid: Bool[Tensor, "batch tokens"]
    ) -> tuple[Float[Tensor, "batch tokens width"], Int[Tensor, "batch tokens"], Float[Tensor, ""]]:
        """Quantised latents, through which gradients pass as if they were the latents; codes; commitment loss."""
        latents = latents.float()
        index, _ = self.nearest(latents.detach())
        if self.training:
            self._follow(latents.detach()[valid], index[valid])
        chosen = self.vectors[index]
        commitment = ((latents - chosen).square().mean(-1) * valid).sum() / valid.sum().clamp_min(1)
        return latents + (chosen - latents).detach(), index, commitment

    @torch.no_grad()
    def _follow(self, latents: Tensor, index: Tensor) -> None:
        counts = torch.bincount(index, minlength=len(self.vectors))
        usage = self.decay * self.usage + (1 - self.decay) * counts
        sums = self.decay * self.sums
        sums = sums.index_add(0, index, (1 - self.decay) * latents)
        unused = (usage < self.dead).nonzero()[:, 0]
        usage[unused], sums[unused] = 0.0, 0.0
        moved = unused[: len(latents)]
        places = torch.linspace(0, len(latents) - 1, len(moved), device=latents.device).long()
        usage[moved], sums[moved] = 1.0, latents[places]
        # Out of place: the vectors that this batch was quantised with may still be needed for gradients.
        self.usage, self.sums = usage, sums
        self.vectors = torch.where(usage[:, None] > 0, sums / usage.clamp_min(1e-6)[:, None], self.vectors)


class Remembered(NamedTuple):
    """A motion as the memory has it."""

    features: Float[Tensor, "batch frames features"]
    """Normalised; the root's x and z, which the memory does not know, are those of the motion."""
    velocity: Float[Tensor, "batch frames 2"]
    """Of the root along x and z, metres per second."""
    codes: Int[Tensor, "batch tokens halves"]
    commitment: Float[Tensor, ""]


class ChoreographicMemory(nn.Module):
    """VQ-VAE of poses with a codebook for either half of the body, and a branch that tells where the legs carry it.

    Source: Bailando section 3.1, 3.2. Differs: rotations and contacts in place of joint positions; the velocity branch
    learns together with the rest, but from latents that it cannot change, as in the paper's second phase.
    """

    def __init__(self, config: MemoryConfig):
        super().__init__()
        self.config = config
        layout = LAYOUTS[config.layout]
        self.columns: dict[str, list[int]] = dict(zip(HALVES, half_columns(layout), strict=True))
        self.horizontal = layout.horizontal
        self.encoders = nn.ModuleDict({half: _encoder(len(self.columns[half]), config) for half in HALVES})
        self.codebooks = nn.ModuleDict({half: Codebook(config.codes, config.width, config.decay) for half in HALVES})
        self.decoders = nn.ModuleDict({half: _decoder(len(self.columns[half]), config) for half in HALVES})
        self.velocity = _decoder(2, config)

    def forward(
        self, motion: Float[Tensor, "batch frames features"], valid: Bool[Tensor, "batch frames"]
    ) -> Remembered:
        """Normalised motion, quantised and restored; ``frames`` is a multiple of the stride."""
        valid = self.valid_codes(valid)
        quantised, codes, commitment = [], [], torch.zeros((), device=motion.device)
        for half in HALVES:
            vectors, index, loss = self.codebooks[half](self._latents(motion, half), valid)
            quantised.append(vectors)
            codes.append(index)
            commitment = commitment + loss
        features, velocity = self._decode(quantised)
        features = features.index_copy(
            -1, torch.tensor(self.horizontal, device=motion.device), motion[..., self.horizontal].to(features.dtype)
        )
        return Remembered(features, velocity, torch.stack(codes, -1), commitment)

    def valid_codes(self, valid: Bool[Tensor, "batch frames"]) -> Bool[Tensor, "batch tokens"]:
        """Which codes stand for nothing but valid frames."""
        return valid.unflatten(1, (-1, self.config.stride)).all(-1)

    @torch.no_grad()
    def encode(self, motion: Float[Tensor, "batch frames features"]) -> Int[Tensor, "batch tokens halves"]:
        """Codes of normalised motion."""
        return torch.stack([self._codebook(half).nearest(self._latents(motion, half))[0] for half in HALVES], -1)

    def decode(
        self, codes: Int[Tensor, "batch tokens halves"]
    ) -> tuple[Float[Tensor, "batch frames features"], Float[Tensor, "batch frames 2"]]:
        """Normalised features, x and z of the root at zero, and the root's velocity along x and z in m/s."""
        return self._decode([self._codebook(half).vectors[codes[..., i]] for i, half in enumerate(HALVES)])

    def _codebook(self, half: str) -> Codebook:
        return cast(Codebook, self.codebooks[half])

    def _latents(self, motion: Tensor, half: str) -> Tensor:
        """(batch, tokens, width) encodings of one half of normalised motion."""
        return self.encoders[half](motion[..., self.columns[half]].transpose(1, 2)).transpose(1, 2)

    def _decode(self, vectors: list[Tensor]) -> tuple[Tensor, Tensor]:
        batch, tokens = vectors[0].shape[:2]
        features = vectors[0].new_zeros(batch, tokens * self.config.stride, self.config.features)
        for half, latents in zip(HALVES, vectors, strict=True):
            restored = self.decoders[half](latents.transpose(1, 2)).transpose(1, 2).float()
            columns = torch.tensor(self.columns[half], device=restored.device)
            features = features.index_copy(-1, columns, restored)
        velocity = self.velocity(vectors[HALVES.index("lower")].detach().transpose(1, 2)).transpose(1, 2).float()
        return features, velocity


class GPTConfig(BaseModel):
    """Sizes of the transformer over codes. Defaults are the paper's."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    music_channels: Count = 35
    """Music features per frame."""
    width: Count = 768
    depth: Annotated[Count, Field(le=1000)] = 12
    feedforward: Count = 3072
    attention_heads: Count = 12
    context: Count = 29
    """Codes of either half that are looked back on, the one to come included."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1

    @model_validator(mode="after")
    def _heads_divide(self) -> "GPTConfig":
        if self.width % self.attention_heads:
            raise ValueError(f"expected attention_heads to divide width {self.width}, got {self.attention_heads}")
        return self


class CrossConditionalLayer(nn.Module):
    """Self-attention over the three tracks together, each looking at all of them up to its own time; feed-forward."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.heads, self.dropout = config.attention_heads, config.dropout
        self.norm_attention = nn.LayerNorm(config.width)
        self.query_key_value = nn.Linear(config.width, 3 * config.width)
        self.output = nn.Linear(config.width, config.width)
        self.norm_feedforward = nn.LayerNorm(config.width)
        self.feedforward = FeedForward(config.width, config.feedforward, config.dropout)

    def forward(
        self, tokens: Float[Tensor, "batch all width"], seen: Bool[Tensor, "all all"]
    ) -> Float[Tensor, "batch all width"]:
        split = self.query_key_value(self.norm_attention(tokens)).unflatten(-1, (3, self.heads, -1))
        query, key, value = split.permute(2, 0, 3, 1, 4)
        dropout = self.dropout if self.training else 0.0
        attended = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=seen, dropout_p=dropout)
        tokens = tokens + self.output(attended.transpose(1, 2).flatten(-2))
        return tokens + self.feedforward(self.norm_feedforward(tokens))


class CodeTransformer(nn.Module):
    """Music and the codes so far to ``outputs`` numbers per half and time: a cross-conditional causal transformer.

    Three tracks run side by side: the music of each time, and the codes of upper and lower half just before it. The
    outputs for a time depend on nothing later. Source: Bailando section 3.3.
    """

    def __init__(self, config: GPTConfig, memory: MemoryConfig, *, outputs: int):
        super().__init__()
        self.config, self.stride, self.codes = config, memory.stride, memory.codes
        width = config.width
        self.music = nn.Linear(memory.stride * config.music_channels, width)
        # One code more stands for the beginning, before which there is none.
        self.embeddings = nn.ModuleList(nn.Embedding(memory.codes + 1, width) for _ in HALVES)
        self.position = nn.Parameter(0.02 * torch.randn(config.context, width))
        self.track = nn.Parameter(0.02 * torch.randn(1 + len(HALVES), width))
        self.layers = nn.ModuleList(CrossConditionalLayer(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width)
        self.outputs = nn.ModuleList(nn.Linear(width, outputs) for _ in HALVES)

    def forward(
        self,
        music: Float[Tensor, "batch frames music_channels"],
        before: Int[Tensor, "batch tokens halves"],
    ) -> Float[Tensor, "batch tokens halves outputs"]:
        """``before`` are the codes before each time (``codes`` where there is none), at most ``context`` times."""
        tokens = before.shape[1]
        tracks = [self.music(music.unflatten(1, (tokens, self.stride)).flatten(2))]
        tracks += [embed(before[..., i]) for i, embed in enumerate(self.embeddings)]
        placed = [track + self.position[:tokens] + mark for track, mark in zip(tracks, self.track, strict=True)]
        joined = torch.cat(placed, 1)
        causal = torch.ones(tokens, tokens, dtype=torch.bool, device=music.device).tril()
        seen = causal.repeat(len(tracks), len(tracks))
        for layer in self.layers:
            joined = layer(joined, seen)
        _, *halves = self.norm(joined).split(tokens, 1)
        return torch.stack([output(half) for output, half in zip(self.outputs, halves, strict=True)], 2).float()


def codes_before(codes: Int[Tensor, "batch tokens halves"], memory: MemoryConfig) -> Int[Tensor, "batch tokens halves"]:
    """The codes before each time, for a dance of which these are the codes from its beginning."""
    return torch.cat((torch.full_like(codes[:, :1], memory.codes), codes[:, :-1]), 1)


class Critic(nn.Module):
    """How much reward is to come, at every time: the critic of the actor-critic learning (Bailando section 3.4)."""

    def __init__(self, config: GPTConfig, memory: MemoryConfig):
        super().__init__()
        self.body = CodeTransformer(config, memory, outputs=1)

    def forward(
        self,
        music: Float[Tensor, "batch frames music_channels"],
        before: Int[Tensor, "batch tokens halves"],
    ) -> Float[Tensor, "batch tokens"]:
        """Values of the states in which each time's codes are chosen."""
        return self.body(music, before).sum((-2, -1))


class BailandoConfig(BaseModel):
    """Sizes of the whole."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    memory: MemoryConfig = MemoryConfig()
    gpt: GPTConfig = GPTConfig()

    @property
    def features(self) -> int:
        """Motion features per frame."""
        return self.memory.features

    @property
    def fps(self) -> float:
        """Frames per second."""
        return self.memory.fps

    @property
    def music_channels(self) -> int:
        """Music features per frame."""
        return self.gpt.music_channels


class Bailando(nn.Module):
    """Memory and transformer together, as they are kept; each is used by itself. What is not given is made anew."""

    def __init__(
        self, config: BailandoConfig, *, memory: ChoreographicMemory | None = None, gpt: CodeTransformer | None = None
    ):
        super().__init__()
        self.config = config
        self.memory = memory or ChoreographicMemory(config.memory)
        self.gpt = gpt or CodeTransformer(config.gpt, config.memory, outputs=config.memory.codes)


@torch.no_grad()
def sample_codes(
    gpt: nn.Module,
    music: Float[Tensor, "batch frames music_channels"],
    *,
    generator: torch.Generator,
    temperature: float = 1.0,
    progress: Callable[[int, int], None] | None = None,
) -> Int[Tensor, "batch tokens halves"]:
    """A dance in codes, drawn time by time; ``frames`` is a multiple of the stride.

    Beyond the context the oldest codes are forgotten. ``generator`` is on the CPU. ``gpt`` is a ``CodeTransformer``, or
    a wrapper of one that shows its attributes, as training has it.
    """
    sizes = cast(CodeTransformer, gpt)
    stride, context, size = sizes.stride, sizes.config.context, len(music)
    total = music.shape[1] // stride
    # One row ahead of the codes for the beginning.
    codes = torch.full((size, total + 1, len(HALVES)), sizes.codes, dtype=torch.long, device=music.device)
    for time in range(total):
        first = max(0, time + 1 - context)
        logits = gpt(music[:, first * stride : (time + 1) * stride], codes[:, first : time + 1])[:, -1]
        # The largest of logits with Gumbel noise is a draw from their softmax.
        uniform = torch.rand(logits.shape, generator=generator).clamp(1e-12, 1 - 1e-7).to(logits.device)
        codes[:, time + 1] = (logits / temperature - (-uniform.log()).log()).argmax(-1)
        if progress is not None:
            progress(time + 1, total)
    return codes[:, 1:]
