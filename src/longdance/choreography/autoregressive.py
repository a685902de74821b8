"""FACT, MNET and Bailando as a user meets them: a song to a dance, forward in time.

They share everything around the network with EDMG: songs, words, refinement and the record of a dance. What steps and
samplers mean to a diffusion means nothing here. Memory is bounded by the windows that the networks see.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from longdance.choreography.edge import unheard
from longdance.choreography.edmg import EDMG, Commission
from longdance.choreography.longform import Progress, Sampling
from longdance.choreography.timeline import Timeline
from longdance.errors import InputError
from longdance.features.text import TextPrompt, resolve_prompt
from longdance.models.bailando import Bailando, sample_codes
from longdance.models.checkpoint import Checkpoint
from longdance.models.fact import FACTNetwork
from longdance.models.generators import GeneratorCheckpoint
from longdance.models.mnet import MNETGenerator
from longdance.motion.layout import Layout
from longdance.motion.rotations import matrix_to_6d

BLOCK = 64
"""Codes that are turned into motion at once."""


@dataclass(frozen=True, eq=False)
class Autoregressive(EDMG):
    """A network that makes a dance from its beginning to its end."""

    checkpoint: GeneratorCheckpoint
    name: str = "autoregressive"

    def sampling(self, *, seed: int, steps: int | None = None, sampler: str | None = None) -> Sampling:
        """The seed; there are no denoising steps. ``InputError`` for a seed out of range."""
        if not 0 <= seed < 2**63:
            raise InputError(f"expected a seed from 0 to 2^63 - 1, got {seed}")
        return Sampling(seed=seed)

    def commission(self, *given: Any, **named: Any) -> Commission:
        """As ``EDMG.commission``; what only a diffusion has is not recorded."""
        asked = super().commission(*given, **named)
        meta = {key: value for key, value in asked.meta.items() if key not in ("sampler", "steps", "guidance")}
        return replace(asked, meta=meta)

    def _prompt(self, genre: str | None, movement: str | Sequence[str] | None, prompt: str | None) -> TextPrompt:
        movements = (movement,) if isinstance(movement, str) else tuple(movement or ())
        text = resolve_prompt(genre, movements, encoder_name=self.checkpoint.config.text_encoder)
        return unheard(text, self.name, prompt=prompt)

    def _dance(
        self, commission: Commission, checkpoint: Checkpoint, progress: Progress | None
    ) -> tuple[np.ndarray, dict]:
        generator = torch.Generator().manual_seed(commission.sampling.seed)
        frames, parts, done = commission.frames, [], 0
        music = self._music(commission.song, frames + self.lookahead).to(checkpoint.normaliser.mean.device)
        told = None if progress is None else lambda part, whole: progress(part, whole, "dancing")
        with torch.no_grad():
            for part in self.parts(checkpoint, music, frames, commission.timeline, generator, told):
                parts.append(part.cpu().numpy())
                done += len(part)
                if progress is not None:
                    progress(min(done, frames), frames, "dancing")
        track = np.concatenate(parts)[:frames]
        horizontal = checkpoint.layout.horizontal
        track[:, horizontal] -= track[0, horizontal]
        return track, {}

    @property
    @abstractmethod
    def lookahead(self) -> int:
        """Frames of music beyond the dance's end that the network wants to hear."""

    @abstractmethod
    def parts(
        self,
        checkpoint: Checkpoint,
        music: Float[Tensor, "heard music_channels"],
        frames: int,
        timeline: Timeline,
        generator: torch.Generator,
        progress: Callable[[int, int], None] | None,
    ) -> Iterator[Tensor]:
        """Denormalised features (some frames, width), together at least ``frames``, wherever the dance begins."""


@dataclass(frozen=True, eq=False)
class FACT(Autoregressive):
    """Frames after frames, each step from the frames before (AI Choreographer, section 4.3)."""

    name: str = "fact"
    keep: int = 1
    """Predicted frames that are kept of every step; 1 as in the paper."""

    @property
    def lookahead(self) -> int:
        """All that the network hears beyond its seed."""
        config = cast(FACTNetwork, self.checkpoint.network).config
        return config.music_frames - config.seed_frames

    def parts(self, checkpoint, music, frames, timeline, generator, progress) -> Iterator[Tensor]:
        """``keep`` frames at a time."""
        network = cast(FACTNetwork, checkpoint.network)
        config, seed = network.config, network.config.seed_frames
        start = network.pool[int(torch.randint(config.pool, (1,), generator=generator))]
        music = with_prelude(music, seed)
        yield from rolled(
            checkpoint, start, frames, lambda window, at: network(window, music[None, at : at + config.music_frames]),
            keep=min(self.keep, config.future),
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class MNET(Autoregressive):
    """Window after window, all from one noise: a style for the whole dance. It hears the genre's name."""

    name: str = "mnet"

    @property
    def lookahead(self) -> int:
        """As much as one window makes."""
        return cast(MNETGenerator, self.checkpoint.network).config.future

    def _prompt(self, genre: str | None, movement: str | Sequence[str] | None, prompt: str | None) -> TextPrompt:
        config = self.checkpoint.config
        text = resolve_prompt(genre, encoder_name=config.text_encoder)
        notes = list(text.notes)
        if movement or prompt:
            notes.append(f"{self.name} hears the genre alone: movements and free words change nothing")
        if text.genre is not None and text.genre not in config.genres:
            notes.append(f"{self.name} was not trained on {text.genre}; it knows {', '.join(config.genres)}")
        return replace(text, notes=tuple(notes))

    def parts(self, checkpoint, music, frames, timeline, generator, progress) -> Iterator[Tensor]:
        """One window at a time; the genre that leads in a window is the window's."""
        network = cast(MNETGenerator, checkpoint.network)
        config, seed = network.config, network.config.seed_frames
        noise = torch.randn(1, config.noise, generator=generator).to(music.device)
        chance = int(torch.randint(2**31, (1,), generator=generator))
        trained = [i for i, name in enumerate(config.genres) if name in checkpoint.config.genres]
        whim = (trained or range(len(config.genres)))[chance % max(1, len(trained))]

        def genre_at(frame: int) -> int:
            asked = timeline.leading(range(frame, frame + config.future)).text.genre
            return config.genres.index(asked) if asked in config.genres else whim

        fitting = (network.pool_genre == genre_at(0)).nonzero()[:, 0]
        choice = fitting if len(fitting) else torch.arange(config.pool)
        start = network.pool[choice[chance % len(choice)]]
        music = with_prelude(music, seed)

        def advance(window: Tensor, at: int) -> Tensor:
            genre = torch.tensor([genre_at(at)], device=window.device)
            return network(window, music[None, at : at + seed + config.future], genre, noise)

        yield from rolled(checkpoint, start, frames, advance, keep=config.future)


def with_prelude(music: Float[Tensor, "heard music_channels"], frames: int) -> Float[Tensor, "all music_channels"]:
    """The music after ``frames`` of its own beginning, to which the seed is danced before the song begins."""
    repeats = -(-frames // len(music))
    return torch.cat((music.repeat(repeats, 1)[:frames], music))


def rolled(
    checkpoint: Checkpoint,
    start: Float[Tensor, "seed features"],
    frames: int,
    advance: Callable[[Tensor, int], Tensor],
    *,
    keep: int,
) -> Iterator[Float[Tensor, "kept features"]]:
    """What a network makes of ``start`` (denormalised) and then of its own frames, ``keep`` of them at a time.

    ``advance(seed, at)`` gets the last frames (1, seed, features), normalised and horizontally relative to the first of
    them, and how many frames were made, and predicts the next ones.
    """
    horizontal, window, made = checkpoint.layout.horizontal, start, 0
    while made < frames:
        origin = window[0, horizontal]
        next_frames = checkpoint.normaliser.denormalise(
            advance(checkpoint.normaliser.normalise(_moved(window, -origin, checkpoint.layout))[None], made)[0, :keep]
        )
        next_frames = upright(_moved(next_frames, origin, checkpoint.layout), checkpoint.layout)
        window = torch.cat((window, next_frames))[-len(start) :]
        made += len(next_frames)
        yield next_frames


def upright(features: Float[Tensor, "frames features"], layout: Layout) -> Float[Tensor, "frames features"]:
    """The features with rotations that are rotations, so that errors in them do not feed on themselves."""
    _, matrices = layout.pose(features)
    proper = features.clone()
    proper[..., layout["rotations"]] = matrix_to_6d(matrices).flatten(-2)
    return proper


def _moved(features: Tensor, by: Tensor, layout: Layout) -> Tensor:
    moved = features.clone()
    moved[..., layout.horizontal] += by
    return moved


@dataclass(frozen=True, eq=False)
class BailandoDancer(Autoregressive):
    """A dance in codes, time by time, then the motion that the codes stand for (Bailando, section 3)."""

    name: str = "bailando"
    temperature: float = 1.0
    """Below 1 likely codes are drawn even more often."""

    @property
    def lookahead(self) -> int:
        """Up to the end of the last code."""
        return cast(Bailando, self.checkpoint.network).config.memory.stride

    def parts(self, checkpoint, music, frames, timeline, generator, progress) -> Iterator[Tensor]:
        """Blocks of codes, each seen with those around it, so that a block's edges are no edges of the dance."""
        network = cast(Bailando, checkpoint.network)
        memory, stride, reach = network.memory, network.memory.config.stride, network.memory.config.reach
        tokens = -(-frames // stride)
        codes = sample_codes(
            network.gpt, music[None, : tokens * stride], generator=generator, temperature=self.temperature,
            progress=progress,
        )  # fmt: skip
        place = torch.zeros(2, device=codes.device)
        for begin in range(0, tokens, BLOCK):
            first, last = max(0, begin - reach), min(tokens, begin + BLOCK + reach)
            features, velocity = (part[0] for part in memory.decode(codes[:, first:last]))
            own = slice((begin - first) * stride, (min(begin + BLOCK, tokens) - first) * stride)
            part = checkpoint.normaliser.denormalise(features[own])
            path = place + (velocity[own] / checkpoint.config.fps).cumsum(0)
            part[:, checkpoint.layout.horizontal] = path
            place = path[-1]
            yield part


def dancer(checkpoint: GeneratorCheckpoint, *, name: str) -> Autoregressive:
    """The model that a checkpoint is made for; ``InputError`` for one that does not dance by itself."""
    if checkpoint.config.generator == "bailando-memory":
        raise InputError(
            f"{name}: expected a model that dances; a choreographic memory only knows poses. Train bailando-gpt-open "
            f"with initial={name}"
        )
    return DANCERS[checkpoint.config.generator](checkpoint, name=name)


DANCERS: dict[str, type[Autoregressive]] = {"fact": FACT, "mnet": MNET, "bailando": BailandoDancer}
"""Kinds of generators that dance."""
