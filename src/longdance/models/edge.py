"""EDGE's denoiser: a FiLM transformer decoder over frames of motion that attends to the music.

Source: EDGE (Tseng et al. 2023), section 3 and appendix; the baseline of both papers. It hears music alone: words are
part of ``Conditions`` so that every denoiser is called alike, and change nothing here.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from longdance.models.blocks import Entrance, Preconditioner, TemporalFilter, sinusoids
from longdance.models.conditions import Conditions, Count, MusicTokens
from longdance.models.film import DecoderLayer, MusicTransformer, TransformerConfig

REGISTER = {"denoiser": {"edge": {"make": "EDGEDenoiser", "config": "EDGEDenoiserConfig"}}}


class EDGEDenoiserConfig(TransformerConfig):
    """Sizes of the denoiser. Defaults are the paper's; words are not heard."""

    music_channels: Count = 4800
    """Music features per frame; the paper's are Jukebox's."""
    aligned_music: bool = False
    """Also add the music of each frame to the motion token of that frame (not in the paper)."""


class StepGuide(nn.Module):
    """Diffusion step to a vector that modulates and to two tokens that are attended to."""

    def __init__(self, width: int):
        super().__init__()
        self.width = width
        self.network = nn.Sequential(Entrance(width, 4 * width), nn.Mish())
        self.vector = nn.Linear(4 * width, width)
        self.tokens = nn.Linear(4 * width, 2 * width)

    def forward(
        self, step: Int[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "batch width"], Float[Tensor, "batch 2 width"]]:
        hidden = self.network(sinusoids(step, self.width))
        return self.vector(hidden), self.tokens(hidden).unflatten(-1, (2, -1))


class EDGEDenoiser(nn.Module):
    """Predicts the clean motion from a noisy one. Source: EDGE, figure 2.

    Differs: time is told to attention in seconds (``rotary``), as in the other denoisers here, and to the motion too.
    """

    def __init__(self, config: EDGEDenoiserConfig):
        super().__init__()
        self.config = config
        width = config.width
        sizes = {"heads": config.attention_heads, "feedforward": config.feedforward, "dropout": config.dropout}
        self.embed = Entrance(config.features, width)
        self.music = MusicTransformer(
            config.music_channels, width, stride=config.music_stride, layers=config.music_layers, **sizes
        )
        self.music_vector = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width)
        )
        self.null_vector = nn.Parameter(torch.zeros(width))
        self.step = StepGuide(width)
        self.memory_norm = nn.LayerNorm(width)
        if config.aligned_music:
            self.aligned = Entrance(config.music_channels, width)
        self.layers = nn.ModuleList(DecoderLayer(width, **sizes) for _ in range(config.depth))
        self.output = nn.Linear(width, config.features)
        if config.precondition:
            self.precondition = Preconditioner(config.diffusion_steps, innovation=config.innovation)
            self.filter = TemporalFilter(config.features, width)

    def hear(self, conditions: Conditions) -> MusicTokens:
        """The music's tokens and their seconds, for ``forward``: they are the same at every step."""
        return self.music(conditions.music, conditions.keep_music, fps=self.config.fps)

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
        config, keep = self.config, conditions.keep_music
        music, music_seconds = heard or self.hear(conditions)
        music_vector = torch.where(keep[:, None], self.music_vector(music.mean(1)), self.null_vector.to(music.dtype))
        step_vector, step_tokens = self.step(step)
        memory = self.memory_norm(torch.cat((music, step_tokens.to(music.dtype)), 1))
        condition = step_vector + music_vector
        seconds = torch.arange(noisy.shape[1], device=noisy.device) / config.fps
        scale_in, skip, scale_out = self.precondition(step) if config.precondition else (1.0, 0.0, 1.0)
        tokens = self.embed(noisy * scale_in)
        if config.aligned_music:
            tokens = tokens + self.aligned(conditions.music) * keep[:, None, None]
        for layer in self.layers:
            tokens = layer(tokens, seconds, memory, music_seconds, condition)
        clean = scale_out * self.output(tokens).float()
        if config.precondition:
            clean = clean + skip * noisy + (1 - skip) * self.filter(noisy, step_vector)
        return clean
