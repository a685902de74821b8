"""Training batches: windows cut from a store, as a pure function of seed and step."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from longdance.data.store import Store, Take, centred
from longdance.features.text import resolve_prompt
from longdance.models.pmd import Conditions


class BatchConfig(BaseModel):
    """How windows are drawn and what is left out of their conditions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = 32
    """Windows per step (EDMG section 4.1)."""
    window: int = 600
    """Frames per window."""
    drop_all: float = 0.10
    """Probability of dropping music and text."""
    drop_text: float = 0.15
    """Probability of dropping the text alone; with ``drop_all`` EDMG's 25 %."""
    drop_movement: float = 0.3
    """Probability of leaving out each movement's token, so that a genre alone suffices."""
    drop_timbre: float = 0.0
    """Probability of hiding MFCC and chroma, so that rhythm alone suffices for unheard kinds of sound."""
    genre_balance: float = 0.5
    """Genres are drawn in proportion to their length to this power: 1 as they are, 0 all alike."""
    other_share: float = 0.15
    """Share of windows of movement that is no dance (genre ``none``)."""


class Batch(NamedTuple):
    """Windows of normalised motion with their conditions."""

    motion: Float[Tensor, "batch frames features"]
    valid: Bool[Tensor, "batch frames"]
    """False on frames that only pad a take shorter than the window."""
    conditions: Conditions

    def to(self, device: torch.device | str) -> "Batch":
        """The same on another device."""
        return Batch(
            self.motion.to(device),
            self.valid.to(device),
            Conditions(*(field.to(device) for field in self.conditions)),
        )


class BatchSource:
    """Draws batches from a store's split; ``draw(step)`` always gives the same batch for the same step."""

    def __init__(self, store: Store, config: BatchConfig, *, split: str, text_encoder: str, seed: int):
        self.store, self.config, self.seed = store, config, seed
        self.takes = store.select(split)
        self.probability = take_probabilities(self.takes, config)
        self.normaliser = store.normaliser
        self.music_mean, self.music_scale = store.music_statistics
        # MFCC and chroma, where the features have them.
        self.timbre = slice(1, 33) if store.music_encoder.startswith("librosa35") else slice(0, 0)
        # Token rows per prompt: the genre's first, then one per movement.
        self.prompts = {
            key: resolve_prompt(key[0], key[1], encoder_name=text_encoder, include_hidden=True).embeddings
            for key in {(take.genre, take.movements) for take in store.takes}
        }
        self.tokens = max(len(prompt) for prompt in self.prompts.values())
        self.text_width = next(iter(self.prompts.values())).shape[1]

    def draw(self, step: int, *, rank: int = 0) -> Batch:
        """The batch of a training step, with conditions dropped at random."""
        rng = np.random.default_rng([self.seed, step, rank])
        chosen = rng.choice(len(self.takes), size=self.config.size, p=self.probability)
        return self._collate(
            [(self.takes[i], self._start(self.takes[i], rng.random())) for i in chosen], rng
        )

    def fixed(self) -> list[Batch]:
        """All windows of the split one after the other, nothing dropped: for validation."""
        window = self.config.window
        places = [
            (take, start)
            for take in self.takes
            for start in range(0, max(take.frames - window, 0) + 1, window)
        ]
        return [
            self._collate(places[i : i + self.config.size], None)
            for i in range(0, len(places), self.config.size)
        ]

    def _start(self, take: Take, fraction: float) -> int:
        return int(fraction * (max(take.frames - self.config.window, 0) + 1))

    def _collate(self, places: list[tuple[Take, int]], rng: np.random.Generator | None) -> Batch:
        config, size = self.config, len(places)
        channels = self.store.music.shape[1]
        motion = np.empty((size, config.window, self.store.layout.width), np.float32)
        music = np.empty((size, config.window, channels), np.float32)
        valid = np.zeros((size, config.window), bool)
        text = np.zeros((size, self.tokens, self.text_width), np.float32)
        text_mask = np.zeros((size, self.tokens), bool)
        keep_music = np.ones(size, bool)
        for row, (take, start) in enumerate(places):
            cut = slice(start, start + config.window)
            stretch = centred(np.array(self.store.motion_of(take)[cut]), self.store.layout)
            sound = (self.store.music_of(take)[cut] - self.music_mean) / self.music_scale
            frames = len(stretch)
            motion[row] = np.pad(stretch, ((0, config.window - frames), (0, 0)), mode="edge")
            music[row] = np.pad(sound, ((0, config.window - frames), (0, 0)), mode="edge")
            valid[row, :frames] = True
            prompt = self.prompts[take.genre, take.movements]
            text[row, : len(prompt)] = prompt
            text_mask[row, : len(prompt)] = True
            if rng is not None:
                fate, timbre, *kept = rng.random(2 + self.tokens - 1)
                keep_music[row] = fate >= config.drop_all
                if fate < config.drop_all + config.drop_text:
                    text_mask[row] = False
                text_mask[row, 1:] &= np.array(kept) >= config.drop_movement
                if timbre < config.drop_timbre:
                    music[row, :, self.timbre] = 0.0
        tensors = (torch.from_numpy(a) for a in (music.clip(-4, 4), text, text_mask, keep_music))
        return Batch(
            self.normaliser.normalise(torch.from_numpy(motion)),
            torch.from_numpy(valid),
            Conditions(*tensors),
        )


def take_probabilities(takes: list[Take], config: BatchConfig) -> np.ndarray:
    """(takes,) probability of each take: genres balanced, takes within a genre by length."""
    frames = np.array([take.frames for take in takes], float)
    genres = np.array([take.genre for take in takes])
    probability = np.zeros(len(takes))
    dance = [genre for genre in np.unique(genres) if genre != "none"]
    for genre in dance:
        own = genres == genre
        probability[own] = frames[own] / frames[own].sum() * frames[own].sum() ** config.genre_balance
    other = genres == "none"
    if probability.sum() > 0:
        probability *= (1 - config.other_share * other.any()) / probability.sum()
    if other.any():
        share = config.other_share if dance else 1.0
        probability[other] = frames[other] / frames[other].sum() * share
    return probability / probability.sum()
