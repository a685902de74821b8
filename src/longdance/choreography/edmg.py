"""EDMG as a user meets it: a song and words to a dance of any length.

Source: EDMG section 3.2; windows beyond the trained length as in `windows`.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from longdance.choreography.refine import CONTACT_ORDER, RefineConfig, refine
from longdance.choreography.windows import Stitcher, WindowPlan
from longdance.data.catalogue import load_catalogue
from longdance.diffusion.constraints import Constraint
from longdance.diffusion.guidance import guided
from longdance.diffusion.noise import NoiseSchedule
from longdance.diffusion.sampler import STEP_RULES, randn_like, sample
from longdance.errors import InputError
from longdance.features.music import MUSIC_CHANNELS, MUSIC_ENCODERS
from longdance.features.song import Song
from longdance.features.text import TextPrompt, resolve_prompt
from longdance.models.checkpoint import Checkpoint
from longdance.models.pmd import Conditions
from longdance.motion.motion import Motion

Progress = Callable[[int, int, str], None]


class Guidance(NamedTuple):
    """How strongly music and text lead; 1 is the plain conditional model."""

    music: float = 1.5
    text: float = 6.0


UNSEEN_GENRE_WEIGHT = 3
"""How many times more the genre's description counts beside words that training did not have."""
DEFAULT_GUIDANCE = Guidance()
DEFAULT_REFINEMENT = RefineConfig()


@dataclass(frozen=True, eq=False)
class EDMG:
    """A Parallel Mamba Denoiser with everything around it."""

    checkpoint: Checkpoint
    name: str = "edmg"
    overlap: float = 1 / 3
    """Share of a window that it has in common with the next one."""
    rows: int = 16
    """Windows that go through the network at once; bounds memory."""
    stretch: int = 24
    """Windows that are denoised together; longer dances are made stretch by stretch."""

    @property
    def fps(self) -> float:
        """Frames per second of the dances."""
        return self.checkpoint.config.fps

    def generate(
        self,
        song: str | os.PathLike | Song,
        *,
        genre: str | None = None,
        movement: str | Sequence[str] | None = None,
        prompt: str | None = None,
        start: float = 0.0,
        seconds: float | None = None,
        bpm: float | None = None,
        beat_offset: float | None = None,
        seed: int = 0,
        steps: int = 20,
        sampler: str = "dpm2m",
        guidance: Guidance = DEFAULT_GUIDANCE,
        refinement: RefineConfig | None = DEFAULT_REFINEMENT,
        progress: Progress | None = None,
    ) -> Motion:
        """Dance to a song, or to the part of it from ``start`` for ``seconds``.

        ``genre`` and ``movement`` are names of the catalogue, ``prompt`` free text; without any, the music alone leads.
        The same inputs and seed give the same dance on the same device. ``progress(done, total, what)`` may raise
        ``Cancelled``. ``InputError`` for songs that cannot be read and words that cannot be understood.
        """
        if sampler not in STEP_RULES:
            raise InputError(f"expected a sampler among {', '.join(STEP_RULES)}, got {sampler!r}")
        if not 1 <= steps <= self.checkpoint.config.diffusion_steps:
            raise InputError(f"expected 1 to {self.checkpoint.config.diffusion_steps} steps, got {steps}")
        if not 0 <= seed < 2**63:
            raise InputError(f"expected a seed from 0 to 2^63 - 1, got {seed}")
        text = self._prompt(genre, movement, prompt)
        if not isinstance(song, Song):
            song = Song.load(song, bpm=bpm, beat_offset=beat_offset, start=start, seconds=seconds)
        elif start or (seconds, bpm, beat_offset) != (None, None, None):
            raise InputError("expected start, seconds, bpm and beat_offset where the Song is loaded, not beside it")
        frames = max(1, song.frames(self.fps))
        tracks, gaps = [], []
        for track, gap in self._stretches(
            song, text, frames, seed=seed, steps=steps, sampler=sampler, guidance=guidance, progress=progress
        ):
            tracks.append(track)
            gaps.append(gap)
        features = np.concatenate(tracks)[:frames]
        meta = {
            "model": self.name,
            "seed": seed,
            "song": os.path.basename(str(song.name)),
            "start": song.start,
            "genre": text.genre,
            "movements": list(text.movements),
            "prompt": prompt,
            "sampler": sampler,
            "steps": steps,
            "guidance": {"music": guidance.music, "text": guidance.text},
            "tempo_bpm": round(float(song.tempo_bpm), 3),
            "beat_times": [round(float(t), 4) for t in song.beat_times if 0 <= t < frames / self.fps],
            "seam_gap": max(gaps),
            "notes": list(text.notes),
        }
        motion = self.checkpoint.layout.decode(features, self.fps, meta=meta)
        if refinement is not None:
            motion = refine(motion, self._contacts(features), refinement, beat_times=meta["beat_times"])
        return motion

    def _contacts(self, features: np.ndarray) -> np.ndarray:
        """(frames, 4) predicted contacts in the order of ``refine``, whatever the layout's own order."""
        layout = self.checkpoint.layout
        order = [layout.contact_joints.index(name) for name in CONTACT_ORDER]
        return features[:, layout["contact"]][:, order]

    def _prompt(self, genre: str | None, movement: str | Sequence[str] | None, prompt: str | None) -> TextPrompt:
        config = self.checkpoint.config
        movements = (movement,) if isinstance(movement, str) else tuple(movement or ())
        text = resolve_prompt(genre, movements, text=prompt, encoder_name=config.text_encoder)
        if text.genre is not None and (prompt or not _all_trained(text.movements)):
            # What training never said may mean anything to the network: the genre outweighs it.
            genre_rows = np.repeat(text.embeddings[:1], UNSEEN_GENRE_WEIGHT, axis=0)
            text = replace(text, embeddings=np.concatenate((genre_rows, text.embeddings)))
        if text.genre is not None and text.genre not in config.genres:
            note = f"{self.name} was not trained on {text.genre}; it knows {', '.join(config.genres)}"
            text = replace(text, notes=(*text.notes, note))
        return text

    def _stretches(
        self,
        song: Song,
        text: TextPrompt,
        frames: int,
        *,
        seed: int,
        steps: int,
        sampler: str,
        guidance: Guidance,
        progress: Progress | None,
    ) -> Iterator[tuple[np.ndarray, float]]:
        """Denormalised features of one stretch after the other, (frames, width), and the largest gap at its seams."""
        config, layout = self.checkpoint.config, self.checkpoint.layout
        generator = torch.Generator().manual_seed(seed)
        schedule = NoiseSchedule.cosine(config.diffusion_steps)
        plan = WindowPlan.cover(frames, window=config.window, overlap=int(config.window * self.overlap))
        music = self._music(song, plan.frames)
        root = layout["root_position"]
        done, total = 0, plan.count * steps
        previous: Tensor | None = None
        for first in range(0, plan.count, self.stretch):
            part = WindowPlan(min(self.stretch, plan.count - first), plan.window, plan.overlap)
            begin = first * plan.hop
            sound = part.cut(music[begin : begin + part.frames])
            stitcher = Stitcher(part, layout, self.checkpoint.normaliser)
            noise = randn_like(torch.empty(part.frames, layout.width), generator)
            constraints = [stitcher.constraint()]
            origin = torch.zeros(3)
            if previous is not None:  # begin with the frames that the stretch before ended with
                origin = previous[0, root] * torch.tensor([1.0, 0.0, 1.0])
                constraints.append(self._continuation(previous, origin, part))
            predict = guided(
                self._denoise,
                self._conditions(sound, text),
                music_weight=guidance.music,
                text_weight=guidance.text,
                rows=self.rows,
            )
            predictions: list[Tensor] = []

            def remember(noisy: Tensor, step: int, predict=predict, predictions=predictions) -> Tensor:
                predictions[:] = [predict(noisy, step)]
                return predictions[0]

            def advance(step: int, _: int, before=done, count=part.count) -> None:
                if progress is not None:
                    progress(before + step * count, total, "denoising")

            with torch.no_grad():
                windows = sample(
                    remember,
                    part.cut(noise),
                    schedule=schedule,
                    rule=STEP_RULES[sampler](),
                    steps=steps,
                    generator=generator,
                    constraints=constraints,
                    progress=advance,
                )
                track, _ = stitcher.join(windows)
                gap = stitcher.gap(predictions[0])
            done += part.count * steps
            track[:, root] += origin
            previous = track[-plan.overlap :] if plan.overlap else None
            # The overlap with the next stretch comes back, unchanged, at that stretch's beginning.
            last = first + part.count == plan.count
            kept = part.frames if last else part.frames - plan.overlap
            yield track[:kept].numpy(), gap

    def _continuation(self, previous: Tensor, origin: Tensor, part: WindowPlan) -> Constraint:
        """The first window of a stretch starts with ``previous`` (overlap, width), seen from ``origin``."""
        layout = self.checkpoint.layout
        moved = previous.clone()
        moved[:, layout["root_position"]] -= origin
        value = torch.zeros(part.count, part.window, layout.width)
        mask = torch.zeros(part.count, part.window, 1)
        value[0, : part.overlap] = self.checkpoint.normaliser.normalise(moved)
        mask[0, : part.overlap] = 1
        return Constraint(mask=mask, value=value)

    def _music(self, song: Song, frames: int) -> Tensor:
        """(frames, channels) normalised features; beyond the song's end the last frame goes on."""
        encoder = self.checkpoint.config.music_encoder
        if encoder not in MUSIC_ENCODERS:
            known = ", ".join(MUSIC_ENCODERS)
            raise InputError(f"{self.name} needs the music encoder {encoder}, which is not among {known}")
        features = MUSIC_ENCODERS[encoder](song, self.fps)
        if not len(features):  # less than half a frame of sound
            features = np.zeros((1, MUSIC_CHANNELS[encoder]), np.float32)
        features = np.pad(features, ((0, max(0, frames - len(features))), (0, 0)), mode="edge")[:frames]
        return self.checkpoint.normalise_music(torch.from_numpy(features))

    def _conditions(self, sound: Tensor, text: TextPrompt) -> Conditions:
        count, tokens = len(sound), max(1, len(text.embeddings))
        embeddings = torch.zeros(count, tokens, self.checkpoint.network.config.text_width)
        mask = torch.zeros(count, tokens, dtype=torch.bool)
        if len(text.embeddings):
            embeddings[:] = torch.from_numpy(text.embeddings)
            mask[:] = True
        return Conditions(sound, embeddings, mask, torch.ones(count, dtype=torch.bool))

    def _denoise(self, noisy: Tensor, step: Tensor, conditions: Conditions) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=cpu_multiplies_bf16()):
            return self.checkpoint.network(noisy, step, conditions)


def _all_trained(movements: Sequence[str]) -> bool:
    """Whether every named movement occurs in training clips."""
    trained = {m.name for genre in load_catalogue().values() for m in genre.movements if m.trained}
    return trained.issuperset(movements)


def cpu_multiplies_bf16() -> bool:
    """Whether this CPU has bf16 products in hardware, where they are several times faster than float32."""
    asks = getattr(torch.cpu, "_is_avx512_bf16_supported", None)  # not public: other versions may lack it
    return bool(asks is not None and asks())
