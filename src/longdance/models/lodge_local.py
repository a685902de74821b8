"""Lodge's local diffusion: every frame of a short stretch of dance.

Source: Lodge section 3.4. Where the paper leaves sizes open, EDGE's are the defaults.
"""

from typing import Annotated

import torch
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn

from longdance.models.blocks import Entrance, Preconditioner, StepEmbedding, TemporalFilter
from longdance.models.conditions import Conditions, Count, MusicTokens, TextPooling
from longdance.models.film import DecoderLayer, MusicTransformer, TransformerConfig, fold, token_seconds, unfold
from longdance.models.foot_refine import FootRefineBlock
from longdance.motion.layout import LAYOUTS, Normaliser

REGISTER = {"denoiser": {"lodge-local": {"make": "LocalDenoiser", "config": "LocalDenoiserConfig"}}}

LAYOUT = LAYOUTS["smpl22"]
"""Lodge's motion features (section 3.1)."""


class LodgeDenoiserConfig(TransformerConfig):
    """Sizes that both of Lodge's networks have."""

    features: Count = LAYOUT.width
    frames_per_token: Count = 1
    """Frames of motion that go through the decoder as one token; more is faster (not in the paper)."""

    @model_validator(mode="after")
    def _features_of_lodge(self) -> "LodgeDenoiserConfig":
        if self.features != LAYOUT.width:
            raise ValueError(f"expected features={LAYOUT.width}, those of the layout {LAYOUT.name}")
        return self


class LocalDenoiserConfig(LodgeDenoiserConfig):
    """The local network."""

    aligned_music: bool = False
    """Also add the music of each frame to the motion token of that frame (not in the paper)."""
    foot_refine: bool = True
    """Whether the foot refine block corrects the prediction (Lodge table 5)."""
    refine_depth: Annotated[Count, Field(le=1000)] = 2
    """Decoder layers of the foot refine block; not given in the paper."""


class Guides(nn.Module):
    """Music, words and diffusion step to what decoder layers attend to and are modulated by.

    The genre embedding stands beside the music (Lodge section 3.4), and so does the step, as in EDGE; both, and the
    mean of the music, also modulate.
    """

    def __init__(self, config: LodgeDenoiserConfig):
        super().__init__()
        self.fps = config.fps
        width = config.width
        self.music = MusicTransformer(
            config.music_channels,
            width,
            stride=config.music_stride,
            layers=config.music_layers,
            heads=config.attention_heads,
            feedforward=config.feedforward,
            dropout=config.dropout,
        )
        self.text = TextPooling(config.text_width, width)
        self.step = StepEmbedding(width)
        self.music_mean = nn.Linear(width, width)
        self.step_tokens = nn.Linear(width, 2 * width)

    def hear(self, conditions: Conditions) -> MusicTokens:
        """The music's tokens and their seconds."""
        return self.music(conditions.music, conditions.keep_music, fps=self.fps)

    def forward(
        self, step: Int[Tensor, " batch"], conditions: Conditions, heard: MusicTokens
    ) -> tuple[
        Float[Tensor, "batch memory width"],
        Float[Tensor, " timed"],
        Float[Tensor, "batch width"],
        Float[Tensor, "batch width"],
    ]:
        """Memory, seconds of those of its tokens that have a time (they come first), condition, and step alone."""
        music, seconds = heard
        step_vector = self.step(step)
        text = self.text(conditions.text, conditions.text_mask)
        tokens = self.step_tokens(step_vector).unflatten(-1, (2, -1))
        memory = torch.cat((music, text[:, None].to(music.dtype), tokens.to(music.dtype)), 1)
        return memory, seconds, step_vector + text + self.music_mean(music.mean(1)), step_vector


class LocalDenoiser(nn.Module):
    """FiLM transformer decoder that predicts the clean motion, then the foot refine block."""

    def __init__(self, config: LocalDenoiserConfig):
        super().__init__()
        self.config = config
        width = config.width
        sizes = {"heads": config.attention_heads, "feedforward": config.feedforward, "dropout": config.dropout}
        folded = config.frames_per_token
        self.embed = Entrance(folded * config.features, width)
        self.guides = Guides(config)
        if config.aligned_music:
            self.aligned = Entrance(folded * config.music_channels, width)
        self.layers = nn.ModuleList(DecoderLayer(width, **sizes) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, folded * config.features)
        if config.precondition:
            self.precondition = Preconditioner(config.diffusion_steps, innovation=config.innovation)
            self.filter = TemporalFilter(config.features, width)
        if config.foot_refine:
            self.foot_refine = FootRefineBlock(
                LAYOUT, width, depth=config.refine_depth, frames_per_token=folded, **sizes
            )

    def use(self, normaliser: Normaliser) -> None:
        """Tell the foot refine block what turns features into metres; kept with the weights."""
        if self.config.foot_refine:
            self.foot_refine.use(normaliser)

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
        """Clean motion (normalised features) predicted from ``noisy`` at diffusion ``step``.

        ``heard`` is what ``hear`` made of these conditions, if it is at hand.
        """
        config, frames, folded = self.config, noisy.shape[1], self.config.frames_per_token
        memory, memory_seconds, condition, step_vector = self.guides(step, conditions, heard or self.hear(conditions))
        scale_in, skip, scale_out = self.precondition(step) if config.precondition else (1.0, 0.0, 1.0)
        tokens = self.embed(fold(noisy * scale_in, folded))
        if config.aligned_music:
            tokens = tokens + self.aligned(fold(conditions.music, folded)) * conditions.keep_music[:, None, None]
        seconds = token_seconds(tokens.shape[1], folded, fps=config.fps, device=noisy.device)
        for layer in self.layers:
            tokens = layer(tokens, seconds, memory, memory_seconds, condition)
        clean = scale_out * unfold(self.output(self.norm(tokens)), folded, frames=frames).float()
        if config.precondition:
            clean = clean + skip * noisy + (1 - skip) * self.filter(noisy, step_vector)
        if config.foot_refine:
            clean = clean + self.foot_refine(clean, seconds, condition, fps=config.fps)
        return clean
