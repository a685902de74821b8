"""EDMG as a user meets it: a song and words to a dance of any length.

Source: EDMG section 3.2; windows beyond the trained length as in `windows`.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from longdance.choreography.longform import Progress, Sampling, stretches
from longdance.choreography.refine import CONTACT_ORDER, RefineConfig, refine
from longdance.choreography.score import Score
from longdance.choreography.streaming import Chunk, Heard, danced, finished
from longdance.choreography.timeline import Timeline
from longdance.choreography.windows import WindowPlan
from longdance.diffusion.guidance import Guidance
from longdance.diffusion.sampler import STEP_RULES
from longdance.errors import InputError
from longdance.features.listening import Part, listen
from longdance.features.music import MUSIC_CHANNELS, MUSIC_ENCODERS
from longdance.features.song import Song
from longdance.features.text import TextPrompt, resolve_prompt
from longdance.models.checkpoint import Checkpoint
from longdance.models.trm import Refiner
from longdance.motion.motion import Motion

UNSEEN_GENRE_WEIGHT = 3
"""How many times more the genre's description counts beside words that training did not have."""
DEFAULT_GUIDANCE = Guidance()
DEFAULT_REFINEMENT = RefineConfig()


@dataclass(frozen=True, eq=False)
class Commission:
    """A dance to be made: everything but the denoising."""

    song: Song
    frames: int
    timeline: Timeline
    sampling: Sampling
    meta: dict
    """The record of the dance as far as it is known beforehand."""


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
    refiner: Refiner | None = None
    """The Temporal Refinement Module, if the model has one."""
    steps: int = 20
    """Denoising steps where nobody asks for another number."""
    sampler: str = "dpm2m"
    """The same for the sampler."""
    learnt_guidance: Guidance | None = None
    """What the network has learnt to follow without being guided, if it was distilled; it follows no other."""
    _copies: dict[str, Checkpoint] = field(default_factory=dict, init=False, repr=False)
    """The checkpoint on other devices, by device."""

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
        score: str | os.PathLike | Score | None = None,
        start: float = 0.0,
        seconds: float | None = None,
        bpm: float | None = None,
        beat_offset: float | None = None,
        seed: int = 0,
        steps: int | None = None,
        sampler: str | None = None,
        guidance: Guidance = DEFAULT_GUIDANCE,
        refinement: RefineConfig | None = DEFAULT_REFINEMENT,
        device: str = "auto",
        progress: Progress | None = None,
    ) -> Motion:
        """Dance to a song, or to the part of it from ``start`` for ``seconds``.

        ``genre`` and ``movement`` are names of the catalogue, ``prompt`` free text; without any, the music alone leads.
        ``score`` (a file, or one that was read) says what to dance when; the words then fill its gaps. ``steps`` and
        ``sampler`` are the model's own if not given. ``device`` is cpu, cuda, cuda:N or auto: cuda where there is one.

        The same inputs and seed give the same dance on the same device. ``progress(done, total, what)`` may raise
        ``Cancelled``. ``InputError`` for songs that cannot be read and words that cannot be understood.
        """
        commission = self.commission(
            song, genre=genre, movement=movement, prompt=prompt, score=score, start=start, seconds=seconds, bpm=bpm,
            beat_offset=beat_offset, seed=seed, steps=steps, sampler=sampler, guidance=guidance,
        )  # fmt: skip
        features, found = self._dance(commission, self.on(device), progress)
        return self.deliver(commission, features, refinement=refinement, found=found)

    def stream(
        self,
        song: str | os.PathLike | Song,
        *,
        genre: str | None = None,
        movement: str | Sequence[str] | None = None,
        prompt: str | None = None,
        score: str | os.PathLike | Score | None = None,
        start: float = 0.0,
        seconds: float | None = None,
        bpm: float | None = None,
        beat_offset: float | None = None,
        seed: int = 0,
        steps: int | None = None,
        sampler: str | None = None,
        guidance: Guidance = DEFAULT_GUIDANCE,
        refinement: RefineConfig | None = DEFAULT_REFINEMENT,
        device: str = "auto",
        progress: Progress | None = None,
    ) -> Iterator[Motion]:
        """The dance in consecutive pieces, each given out as soon as it is finished; arguments as of ``generate``.

        ``Motion.joined`` makes them one. The same inputs and seed give the same pieces; it is another dance than
        ``generate`` gives, since less of the song is known at its beginning. The song is heard as it is danced, in
        memory that does not grow with its length, unless it is a ``Song``, or the model plans ahead (Lodge), or there
        is a ``score``, whose times need the whole song's beats. The record of each piece is its own: ``start`` and
        ``beat_times`` count from its first frame. ``progress`` is told frames danced, of frames heard so far.
        ``InputError`` as of ``generate``: what can be told before anything is danced comes at once, damage further on
        in the song when it is heard.
        """
        checkpoint = self.on(device)
        self.sampling(seed=seed, steps=steps, sampler=sampler)
        self._prompt(genre, movement, prompt)  # before the song is opened
        asked = {"genre": genre, "movement": movement, "prompt": prompt, "guidance": guidance}
        asked |= {"seed": seed, "steps": steps, "sampler": sampler}
        if isinstance(song, Song) or score is not None or self._plans_ahead:
            commission = self.commission(
                song, score=score, start=start, seconds=seconds, bpm=bpm, beat_offset=beat_offset, **asked
            )
            parts = iter([Part.whole(commission.song, self.fps)])
        else:
            heard = listen(song, fps=self.fps, bpm=bpm, beat_offset=beat_offset, start=start, seconds=seconds)
            first = next(heard)
            commission, parts = self.commission(first.song, **asked), chain([first], heard)
        music = Heard(parts, self._encode, self.fps)
        chunks = self._chunks(commission, music, checkpoint, progress, raw=refinement is None)
        return finished(chunks, music, commission.meta, refinement=refinement, refiner=self.refiner)

    _plans_ahead: ClassVar[bool] = False
    """Whether the beginning of a dance depends on the whole song."""

    def _chunks(
        self, commission: Commission, music: Heard, checkpoint: Checkpoint, progress: Progress | None, *, raw: bool
    ) -> Iterator[Chunk]:
        """The dance before refinement, bit by bit; ``raw`` if it will not be refined."""
        overlap = int(checkpoint.config.window * self.overlap)
        for features, last in danced(
            checkpoint, music, commission.timeline, overlap=overlap, sampling=commission.sampling, progress=progress
        ):
            yield checkpoint.layout.decode(features, self.fps), self._contacts(features), last

    def commission(
        self,
        song: str | os.PathLike | Song,
        *,
        genre: str | None = None,
        movement: str | Sequence[str] | None = None,
        prompt: str | None = None,
        score: str | os.PathLike | Score | None = None,
        start: float = 0.0,
        seconds: float | None = None,
        bpm: float | None = None,
        beat_offset: float | None = None,
        seed: int = 0,
        steps: int | None = None,
        sampler: str | None = None,
        guidance: Guidance = DEFAULT_GUIDANCE,
    ) -> Commission:
        """What is asked for, understood and checked: words, song and timeline; arguments as of ``generate``."""
        sampling = self.sampling(seed=seed, steps=steps, sampler=sampler)
        text = self._prompt(genre, movement, prompt)
        if score is not None and not isinstance(score, Score):
            score = Score.load(score)
        prompts = score.prompts(self._prompt) if score is not None else []
        if score is not None and any(score.words):
            text, prompt = self._prompt(*score.words), score.words.text
        if not isinstance(song, Song):
            song = Song.load(song, bpm=bpm, beat_offset=beat_offset, start=start, seconds=seconds)
        elif start or (seconds, bpm, beat_offset) != (None, None, None):
            raise InputError("expected start, seconds, bpm and beat_offset where the Song is loaded, not beside it")
        frames = max(1, song.frames(self.fps))
        timeline, notes = Timeline.whole(frames, text, guidance, prompt=prompt), text.notes
        if score is not None:
            timeline, left_out = score.on(
                song, self.checkpoint.layout, self.fps, prompts=prompts, otherwise=text, guidance=guidance
            )
            said = [note for span in timeline.spans for note in span.text.notes]
            notes = tuple(dict.fromkeys((*said, *left_out)))
        if self.learnt_guidance is not None and guidance != self.learnt_guidance:
            learnt = f"music {self.learnt_guidance.music:g}, text {self.learnt_guidance.text:g}"
            notes = (*notes, f"{self.name} has learnt one guidance ({learnt}) and follows no other")
            guidance = self.learnt_guidance
        meta = {
            "model": self.name,
            "seed": seed,
            "song": os.path.basename(str(song.name)),
            "start": song.start,
            "genre": text.genre,
            "movements": list(text.movements),
            "prompt": prompt,
            "sampler": sampling.sampler,
            "steps": sampling.steps,
            "guidance": {"music": guidance.music, "text": guidance.text},
            "tempo_bpm": round(float(song.tempo_bpm), 3),
            "beat_times": [round(float(t), 4) for t in song.beat_times if 0 <= t < frames / self.fps],
            "notes": list(notes),
        }
        if score is not None:
            meta |= {"score": os.path.basename(score.name), "timeline": timeline.record(self.fps)}
        return Commission(song, frames, timeline, sampling, meta)

    def deliver(
        self, commission: Commission, features: np.ndarray, *, refinement: RefineConfig | None, found: dict
    ) -> Motion:
        """The refined motion of denormalised features (frames, width), with its record; ``found`` goes into that."""
        motion = self.checkpoint.layout.decode(features, self.fps, meta=commission.meta | found)
        if refinement is not None:
            beats = commission.meta["beat_times"]
            motion = self._before_refinement(motion, refinement)
            motion = refine(motion, self._contacts(features), refinement, beat_times=beats, refiner=self.refiner)
        return motion

    def _before_refinement(self, motion: Motion, refinement: RefineConfig) -> Motion:
        """What of a whole dance is refined."""
        return motion

    def _dance(
        self, commission: Commission, checkpoint: Checkpoint, progress: Progress | None
    ) -> tuple[np.ndarray, dict]:
        """Denormalised features (frames, width), and what there is to say of them."""
        plan = self.plan(commission.frames)
        music = self._music(commission.song, plan.frames)
        tracks, gaps = [], []
        for track, gap in stretches(
            checkpoint, music, commission.timeline, plan, sampling=commission.sampling, progress=progress
        ):
            tracks.append(track)
            gaps.append(gap)
        return np.concatenate(tracks)[: commission.frames], {"seam_gap": max(gaps)}

    def sampling(self, *, seed: int, steps: int | None = None, sampler: str | None = None) -> Sampling:
        """How to draw a dance, the model's own way where nothing is given; ``InputError`` for values out of range."""
        steps, sampler = self.steps if steps is None else steps, sampler or self.sampler
        if sampler not in STEP_RULES:
            raise InputError(f"expected a sampler among {', '.join(STEP_RULES)}, got {sampler!r}")
        if not 1 <= steps <= self.checkpoint.config.diffusion_steps:
            raise InputError(f"expected 1 to {self.checkpoint.config.diffusion_steps} steps, got {steps}")
        if not 0 <= seed < 2**63:
            raise InputError(f"expected a seed from 0 to 2^63 - 1, got {seed}")
        return Sampling(
            seed=seed, steps=steps, sampler=sampler, rows=self.rows, stretch=self.stretch,
            guided=self.learnt_guidance is None,
        )  # fmt: skip

    def plan(self, frames: int) -> WindowPlan:
        """The windows of a dance of so many frames."""
        window = self.checkpoint.config.window
        return WindowPlan.cover(frames, window=window, overlap=int(window * self.overlap))

    def on(self, device: str) -> Checkpoint:
        """The checkpoint on a device, copied there once; ``InputError`` for devices that this computer lacks."""
        name = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        if name == "cpu":
            return self.checkpoint
        usable = re.fullmatch(r"cuda(:\d{1,3})?", name) is not None and torch.cuda.is_available()
        if not usable or int(name.partition(":")[2] or 0) >= torch.cuda.device_count():
            raise InputError(f"expected the device cpu, or cuda where there is one, got {device!r}; try auto")
        if name not in self._copies:
            self._copies[name] = self.checkpoint.to(name)
        return self._copies[name]

    def _contacts(self, features: np.ndarray) -> np.ndarray:
        """(frames, 4) predicted contacts in the order of ``refine``, whatever the layout's own order."""
        layout = self.checkpoint.layout
        order = [layout.contact_joints.index(name) for name in CONTACT_ORDER]
        return features[:, layout["contact"]][:, order]

    def _prompt(self, genre: str | None, movement: str | Sequence[str] | None, prompt: str | None) -> TextPrompt:
        config = self.checkpoint.config
        movements = (movement,) if isinstance(movement, str) else tuple(movement or ())
        width = config.network_config.text_width
        text = resolve_prompt(genre, movements, text=prompt, encoder_name=config.text_encoder, width=width)
        heard_apart = getattr(config.network_config, "text_pooling", "mean") != "mean"
        if text.genre is not None and not text.shown_in_training and not heard_apart:
            # What training never said may mean anything to the network: the genre outweighs it.
            genre_rows = np.repeat(text.embeddings[:1], UNSEEN_GENRE_WEIGHT, axis=0)
            text = replace(text, embeddings=np.concatenate((genre_rows, text.embeddings)))
        if text.genre is not None and text.genre not in config.genres:
            note = f"{self.name} was not trained on {text.genre}; it knows {', '.join(config.genres)}"
            text = replace(text, notes=(*text.notes, note))
        return text

    def _music(self, song: Song, frames: int) -> Tensor:
        """(frames, channels) normalised features; beyond the song's end the last frame goes on."""
        features = self._encode(song)
        return features[torch.arange(frames).clamp(max=len(features) - 1)]

    def _encode(self, song: Song) -> Tensor:
        """(song_frames, channels) normalised features, at least one frame."""
        encoder = self.checkpoint.config.music_encoder
        if encoder not in MUSIC_ENCODERS:
            known = ", ".join(MUSIC_ENCODERS)
            raise InputError(f"{self.name} needs the music encoder {encoder}, which is not among {known}")
        features = MUSIC_ENCODERS[encoder](song, self.fps)
        if not len(features):  # less than half a frame of sound
            features = np.zeros((1, MUSIC_CHANNELS[encoder]), np.float32)
        return self.checkpoint.normalise_music(torch.from_numpy(features))
