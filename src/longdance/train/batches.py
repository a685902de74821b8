"""Training batches: windows cut from a store, as a pure function of seed and step."""

import logging
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from torch import Tensor

from longdance.data.catalogue import load_catalogue
from longdance.data.store import Store, Take, centred
from longdance.errors import InputError
from longdance.features import rhythm_plan
from longdance.features.music import PLAN
from longdance.features.text import resolve_prompt
from longdance.models.checkpoint import Checkpoint
from longdance.models.conditions import Conditions
from longdance.motion.layout import Layout, Normaliser

log = logging.getLogger(__name__)


class BatchConfig(BaseModel):
    """How windows are drawn and what is left out of their conditions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: PositiveInt = 32
    """Windows per step (EDMG section 4.1)."""
    window: PositiveInt = 600
    """Frames per window."""
    drop_all: float = Field(default=0.10, ge=0, le=1)
    """Probability of dropping music and text."""
    drop_text: float = Field(default=0.15, ge=0, le=1)
    """Probability of dropping the text alone; with ``drop_all`` EDMG's 25 %."""
    drop_movement: float = Field(default=0.3, ge=0, le=1)
    """Probability of leaving out each movement's token, so that a genre alone suffices."""
    drop_timbre: float = Field(default=0.0, ge=0, le=1)
    """Probability of hiding MFCC and chroma, so that rhythm alone suffices for unheard kinds of sound."""
    drop_plan: float = Field(default=0.0, ge=0, le=1)
    """Probability of hiding each part of the rhythm plan, so that none is relied on alone."""
    plan_noise: float = Field(default=0.0, ge=0, le=10)
    """Standard deviation of noise on the plan's accents and curves, one value a window and curve, so that a song's need
    not be exactly like a movement's."""
    genre_balance: float = 0.5
    """Genres are drawn in proportion to their length to this power: 1 as they are, 0 all alike."""
    other_share: float = Field(default=0.15, ge=0, le=1)
    """Share of windows of movement that is no dance (genre ``none``)."""


class Batch(NamedTuple):
    """Windows of normalised motion with their conditions."""

    motion: Float[Tensor, "batch frames features"]
    valid: Bool[Tensor, "batch frames"]
    """False on frames that only pad a take shorter than the window."""
    conditions: Conditions
    genre: Int[Tensor, " batch"]
    """Index into the store's ``genres_of``."""

    def to(self, device: torch.device | str) -> "Batch":
        """The same on another device."""
        return Batch(
            self.motion.to(device),
            self.valid.to(device),
            Conditions(*(field.to(device) for field in self.conditions)),
            self.genre.to(device),
        )


class Statistics(NamedTuple):
    """What motion and music are normalised with."""

    normaliser: Normaliser
    music_mean: np.ndarray
    music_scale: np.ndarray

    @classmethod
    def of_store(cls, store: Store, layout: Layout, *, stretch: int | None = None) -> "Statistics":
        """Those of the training takes, root position relative to each stretch's start.

        Stretches are five seconds, or ``stretch`` frames.
        """
        if layout is store.layout and stretch is None:
            return cls(store.normaliser, *store.music_statistics)
        stretch = stretch or round(5 * store.fps)
        rows = [
            centred(np.array(store.motion_of(take, layout)[begin : begin + stretch]), layout)
            for take in store.select("train")
            if not take.variant  # the same poses at other tempi add nothing
            for begin in range(0, take.frames, stretch)
        ]
        return cls(Normaliser.fit(np.concatenate(rows), layout), *store.music_statistics)

    @classmethod
    def of_checkpoint(cls, checkpoint: Checkpoint) -> "Statistics":
        """Those that a network was trained with, so that its training can go on."""
        return cls(checkpoint.normaliser, checkpoint.music_mean.numpy(), checkpoint.music_scale.numpy())


def genres_of(store: Store) -> tuple[str, ...]:
    """The genres of all takes, ``none`` among them, in alphabetical order."""
    return tuple(sorted({take.genre for take in store.takes}))


class BatchSource:
    """Draws batches from a store's split; ``draw(step)`` always gives the same batch for the same step.

    ``layout`` and ``statistics`` are the store's unless given.
    """

    def __init__(
        self,
        store: Store,
        config: BatchConfig,
        *,
        split: str,
        text_encoder: str,
        seed: int,
        layout: Layout | None = None,
        statistics: Statistics | None = None,
    ):
        self.store, self.config, self.seed = store, config, seed
        self.layout = layout or store.layout
        self.takes = store.select(split)
        self.probability = take_probabilities(self.takes, config)
        self.genres = genres_of(store)
        self.normaliser, self.music_mean, self.music_scale = statistics or Statistics.of_store(store, self.layout)
        self.plan_parts = tuple(rhythm_plan.PARTS.values()) if store.music_encoder == PLAN else ()
        # MFCC and chroma, where the features have them.
        self.timbre = slice(1, 33) if store.music_encoder.startswith(("librosa35", "light35")) else slice(0, 0)
        # Token rows per prompt: the genre's first, then one per movement.
        self.prompts = {
            key: embeddings_of_labels(*key, encoder_name=text_encoder)
            for key in {(take.genre, take.movements) for take in store.takes}
        }
        self.tokens = max(len(prompt) for prompt, _ in self.prompts.values())
        self.text_width = next(iter(self.prompts.values()))[0].shape[1]

    def draw(self, step: int, *, rank: int = 0) -> Batch:
        """The batch of a training step, with conditions dropped at random."""
        rng = np.random.default_rng([self.seed, step, rank])
        chosen = rng.choice(len(self.takes), size=self.config.size, p=self.probability)
        return self._collate([(self.takes[i], self._start(self.takes[i], rng.random())) for i in chosen], rng)

    def fixed(self) -> list[Batch]:
        """All windows of the split one after the other, nothing dropped: for validation."""
        places = [(take, start) for take in self.takes for start in self._starts(take)]
        return [self._collate(places[i : i + self.config.size], None) for i in range(0, len(places), self.config.size)]

    def _starts(self, take: Take) -> list[int]:
        """Starts of the windows that cover a take."""
        return list(range(0, max(take.frames - self.config.window, 0) + 1, self.config.window))

    def _start(self, take: Take, fraction: float) -> int:
        """Start of a window, from the first possible one (0) to the last (1)."""
        return int(fraction * (max(take.frames - self.config.window, 0) + 1))

    def _collate(self, places: list[tuple[Take, int]], rng: np.random.Generator | None) -> Batch:
        window, size = self.config.window, len(places)
        motion = np.empty((size, window, self.layout.width), np.float32)
        music = np.empty((size, window, self.store.music.shape[1]), np.float32)
        valid = np.zeros((size, window), bool)
        for row, (take, start) in enumerate(places):
            cut = slice(start, start + window)
            stretch = centred(np.array(self.store.motion_of(take, self.layout)[cut]), self.layout)
            sound = self.store.music_of(take)[cut]
            frames = len(stretch)
            motion[row] = np.pad(stretch, ((0, window - frames), (0, 0)), mode="edge")
            music[row] = np.pad(sound, ((0, window - frames), (0, 0)), mode="edge")
            valid[row, :frames] = True
        takes = [take for take, _ in places]
        return Batch(
            self.normaliser.normalise(torch.from_numpy(motion)),
            torch.from_numpy(valid),
            self.conditions(takes, music, rng),
            torch.tensor([self.genres.index(take.genre) for take in takes]),
        )

    def conditions(
        self,
        takes: list[Take],
        music: Float[np.ndarray, "batch frames music_channels"],
        rng: np.random.Generator | None,
    ) -> Conditions:
        """Music features as they are in the store, and the takes' words; dropped at random if there is an ``rng``."""
        config, size = self.config, len(takes)
        if rng is not None and self.plan_parts:
            music = self._blurred(music, rng)
        music = (music - self.music_mean) / self.music_scale
        text = np.zeros((size, self.tokens, self.text_width), np.float32)
        text_mask = np.zeros((size, self.tokens), bool)
        keep_music = np.ones(size, bool)
        for row, take in enumerate(takes):
            prompt, has_genre = self.prompts[take.genre, take.movements]
            text[row, : len(prompt)] = prompt
            text_mask[row, : len(prompt)] = True
            text_mask[row, 0] &= has_genre
            if rng is not None:
                fate, timbre, *kept = rng.random(2 + self.tokens - 1)
                keep_music[row] = fate >= config.drop_all
                if fate < config.drop_all + config.drop_text:
                    text_mask[row] = False
                text_mask[row, 1:] &= np.array(kept) >= config.drop_movement
                if timbre < config.drop_timbre:
                    music[row, :, self.timbre] = 0.0
        return Conditions(*(torch.from_numpy(a) for a in (music.clip(-4, 4), text, text_mask, keep_music)))

    def _blurred(
        self, plans: Float[np.ndarray, "batch frames music_channels"], rng: np.random.Generator
    ) -> Float[np.ndarray, "batch frames music_channels"]:
        """Plans with noise on what is measured differently in songs and dances, and with parts left out."""
        plans, size = plans.copy(), len(plans)
        curves = plans[..., rhythm_plan.CURVES]
        curves += self.config.plan_noise * rng.standard_normal((size, 1, curves.shape[-1]))
        # Each beat's accent gets its own noise: accents live where the pulse is.
        pulse = plans[..., rhythm_plan.PULSE : rhythm_plan.PULSE + 1]
        onsets = np.diff(pulse > 0.05, axis=1, prepend=0) > 0
        noise = rng.standard_normal((size, onsets.shape[1] + 1, 1))
        numbers = onsets.cumsum(1)
        plans[..., rhythm_plan.PARTS["accent"]] += (
            self.config.plan_noise * pulse * np.take_along_axis(noise, numbers, axis=1)
        )
        hidden = rng.random((size, len(self.plan_parts))) < self.config.drop_plan
        for part, rows in zip(self.plan_parts, hidden.T, strict=True):
            plans[rows, :, part] = 0.0
        return plans


def embeddings_of_labels(
    genre: str, movements: tuple[str, ...], *, encoder_name: str
) -> tuple[Float[np.ndarray, "text_tokens features"], bool]:
    """Embeddings of a take's genre and movements, one a row, and whether the first is that of a genre.

    What the catalogue does not know is encoded as free words, or left out where no encoder is at hand. A genre that it
    does not know leaves the first row empty.
    """
    known = genre if genre in load_catalogue() else None
    first = resolve_prompt(known, encoder_name=encoder_name, include_hidden=True).embeddings
    tokens = [first if known else np.zeros((1, first.shape[1]), np.float32)]
    for name in movements if known else (genre, *movements):
        try:
            own = resolve_prompt(known, (name,), encoder_name=encoder_name, include_hidden=True).embeddings
        except InputError as error:
            log.warning("%r is left out of what training is told: %s", name, error)
            continue
        tokens.append(own[-1:])
    return np.concatenate(tokens), known is not None


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
