"""EDGE as a user meets it: a song to a dance of any length, with windows that overlap by half.

Source: EDGE (Tseng et al. 2023), section 3: the second half of every window is the first half of the next one, held
together at every diffusion step. Windows, constraints and sampling are those that all denoisers share.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from longdance.choreography.edmg import DEFAULT_GUIDANCE, EDMG, Commission
from longdance.diffusion.guidance import Guidance
from longdance.features.text import TextPrompt

MUSIC_GUIDANCE = 2.0
"""Default weight of the music, that of the published code."""


@dataclass(frozen=True, eq=False)
class EDGE(EDMG):
    """A FiLM transformer denoiser with everything around it. It hears music, and no words."""

    name: str = "edge"
    overlap: float = 1 / 2

    def commission(self, *given: Any, guidance: Guidance = DEFAULT_GUIDANCE, **named: Any) -> Commission:
        """As ``EDMG.commission``, led by music alone: the default is EDGE's own weight.

        With one weight for music and words, guidance takes two predictions and not three.
        """
        music = MUSIC_GUIDANCE if guidance == DEFAULT_GUIDANCE else guidance.music
        return super().commission(*given, guidance=guidance._replace(music=music, text=music), **named)

    def _prompt(self, genre: str | None, movement: str | Sequence[str] | None, prompt: str | None) -> TextPrompt:
        return unheard(super()._prompt(genre, movement, None), self.name, prompt=prompt)


def unheard(text: TextPrompt, model: str, *, prompt: str | None) -> TextPrompt:
    """The empty prompt in place of words that a model does not hear, with a note if there were any."""
    if not len(text.embeddings) and not prompt:
        return text
    note = f"{model} dances to the music alone: genre, movements and free words change nothing"
    return replace(text, genre=None, movements=(), texts=(), embeddings=text.embeddings[:0], notes=(note,))
