"""Lodge's global diffusion: the music of a long stretch to the primitives that hold its dance together.

Source: Lodge section 3.3. Where the paper leaves sizes open, EDGE's are the defaults.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import model_validator
from torch import Tensor, nn

from longdance.models.blocks import Entrance, ExactBuffers, Preconditioner, TemporalFilter
from longdance.models.conditions import Conditions, Count, MusicTokens
from longdance.models.film import DecoderLayer, fold, unfold
from longdance.models.lodge_local import Guides, LodgeDenoiserConfig
from longdance.models.primitives import PRIMITIVE_FRAMES, PrimitivePlan

REGISTER = {"denoiser": {"lodge-global": {"make": "GlobalDenoiser", "config": "GlobalDenoiserConfig"}}}


class GlobalDenoiserConfig(LodgeDenoiserConfig):
    """The global network. Primitives come in this order: the hard ones in time, then the soft ones in time."""

    music_layers: Count = 1
    """Encoder layers of the down-sampling music network (section 3.3)."""
    music_stride: Count = 8
    """Frames of music per token; not given in the paper."""
    length: Count = 1024
    """N, frames of music (Lodge table 7)."""
    segment: Count = 256
    """n, frames that the local stage dances at once; divides ``length``."""
    primitive_frames: Count = PRIMITIVE_FRAMES
    """Frames of a primitive (section 3.2); always the same."""
    soft_spacing: Count = 1
    """Frames of the dance from one frame of a soft primitive to its next; 4 for discrete primitives (table 6)."""

    @model_validator(mode="after")
    def _primitives_fit(self) -> "GlobalDenoiserConfig":
        if self.primitive_frames != PRIMITIVE_FRAMES:
            raise ValueError(f"expected primitive_frames={PRIMITIVE_FRAMES}, got {self.primitive_frames}")
        if PRIMITIVE_FRAMES % self.frames_per_token:
            raise ValueError(
                f"expected frames_per_token to divide primitive_frames = {PRIMITIVE_FRAMES}, got "
                f"{self.frames_per_token}"
            )
        self.plan()  # refuses segments that do not fit
        return self

    def plan(self) -> PrimitivePlan:
        """Where primitives lie."""
        return PrimitivePlan(frames=self.length, segment=self.segment, soft_spacing=self.soft_spacing)

    @property
    def primitives(self) -> int:
        """How many there are: 13 with the paper's sizes."""
        return self.plan().count

    def frames(self) -> Int[Tensor, "primitives primitive_frames"]:
        """Where on the timeline the frames of every primitive lie; a soft one about the middle of its share."""
        plan = self.plan()
        hard = plan.hard_starts()[:, None] + np.arange(PRIMITIVE_FRAMES)
        soft = [plan.soft_frames(number * plan.share + plan.share // 2) for number in range(plan.soft)]
        return torch.from_numpy(np.concatenate((hard, np.stack(soft))))


class GlobalDenoiser(ExactBuffers):
    """FiLM transformer decoder over the frames of all primitives; the music is down-sampled."""

    def __init__(self, config: GlobalDenoiserConfig):
        super().__init__()
        self.config = config
        width = config.width
        folded = config.frames_per_token
        self.embed = Entrance(folded * config.features, width)
        self.guides = Guides(config)
        # Which primitive, and which part of it: beside the time, which for soft primitives is only roughly known.
        self.primitive = nn.Parameter(0.02 * torch.randn(config.primitives, 1, width))
        self.part = nn.Parameter(0.02 * torch.randn(1, config.primitive_frames // folded, width))
        self.layers = nn.ModuleList(
            DecoderLayer(
                width, heads=config.attention_heads, feedforward=config.feedforward, dropout=config.dropout
            )
            for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, folded * config.features)
        if config.precondition:
            self.precondition = Preconditioner(config.diffusion_steps, innovation=config.innovation)
            self.filter = TemporalFilter(config.features, width, taps=config.primitive_frames - 1)
        middles = config.frames().unflatten(1, (-1, folded)).float().mean(-1).flatten()
        self.register_buffer("seconds", middles / config.fps, persistent=False)

    def hear(self, conditions: Conditions) -> MusicTokens:
        """The music's tokens and their seconds, for ``forward``: they are the same at every step."""
        return self.guides.hear(conditions)

    def forward(
        self,
        noisy: Float[Tensor, "batch frames features"],
        step: Int[Tensor, " batch"],
        conditions: Conditions,
        heard: MusicTokens | None = None,
    ) -> Float[Tensor, "batch frames features"]:
        """Clean primitives (normalised features), one after the other along ``frames``.

        ``conditions.music`` is that of the whole timeline at its full frame rate; ``heard`` is what ``hear`` made of
        it, if it is at hand.
        """
        config, folded = self.config, self.config.frames_per_token
        memory, memory_seconds, condition, step_vector = self.guides(step, conditions, heard or self.hear(conditions))
        scale_in, skip, scale_out = self.precondition(step) if config.precondition else (1.0, 0.0, 1.0)
        tokens = self.embed(fold(noisy * scale_in, folded)) + (self.primitive + self.part).flatten(0, 1)
        for layer in self.layers:
            tokens = layer(tokens, self.seconds, memory, memory_seconds, condition)
        clean = scale_out * unfold(self.output(self.norm(tokens)), folded, frames=noisy.shape[1]).float()
        if config.precondition:
            clean = clean + skip * noisy + (1 - skip) * self._filtered(noisy, step_vector)
        return clean

    def _filtered(self, noisy: Tensor, step_vector: Tensor) -> Tensor:
        """The temporal filter within each primitive: neighbouring primitives are seconds apart."""
        apart = noisy.unflatten(1, (self.config.primitives, -1)).flatten(0, 1)
        filtered = self.filter(apart, step_vector.repeat_interleave(self.config.primitives, 0))
        return filtered.unflatten(0, (len(noisy), -1)).flatten(1, 2)
