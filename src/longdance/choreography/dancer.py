"""A dancer as a user meets it: a conditioner, a generator and a cleanup.

The conditioner makes of song and words what the network hears, the generator makes the dance, and cleanup puts it on
the floor and on the beat. How a kind of model dances is in ``generators``.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import numpy as np
from jaxtyping import Float

from longdance.choreography.capabilities import Capabilities, capabilities
from longdance.choreography.conditioning import Conditioner
from longdance.choreography.devices import device_of
from longdance.choreography.long.streams import Heard
from longdance.choreography.long.stretches import Sampling
from longdance.choreography.phrases.dancing import NO_BAR, choose, planned
from longdance.choreography.phrases.shelf import open_library
from longdance.choreography.phrases.streaming import Piece, Streamed
from longdance.choreography.prepared import Generated, Prepared
from longdance.choreography.refinement import Refinement
from longdance.choreography.request import DanceRequest
from longdance.choreography.score import Score
from longdance.choreography.score_file import load_score
from longdance.choreography.suggestion import suggest_genre
from longdance.choreography.timeline import Timeline
from longdance.cleanup.passage import Passage
from longdance.cleanup.pipeline import NO_CLEANUP, Cleanup
from longdance.cleanup.root import RootLed
from longdance.diffusion.sampler import STEP_RULES
from longdance.errors import InputError
from longdance.features.listening import Part, listen
from longdance.features.sections import find_sections
from longdance.features.song import Song
from longdance.files import checksum
from longdance.models.checkpoint import Checkpoint
from longdance.models.strengths import OFF, Strengths
from longdance.models.trm import Refiner
from longdance.motion.layout import Layout
from longdance.motion.motion import Motion
from longdance.motion.stances import CONTACT_ORDER
from longdance.progress import Progress


@dataclass(frozen=True, eq=False)
class Dancer:
    """A model that dances: ``generator`` with everything around it."""

    generator: Any
    """A ``Generator``; what more it has is said by ``capabilities``."""
    kind: str
    """Key of ``DANCERS``."""
    name: str
    sampling: Sampling = field(default_factory=Sampling)
    """The model's own way of drawing a dance, where a request leaves it open."""
    cleanup: Cleanup = field(default_factory=Cleanup)
    """What is done after the model, unless a request wants none."""
    trm: Refiner | None = None
    """EDMG's second stage, the Temporal Refinement Module."""

    def __repr__(self) -> str:
        return f"Dancer({self.name!r}, {self.kind}, {self.fps:g} fps)"

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return capabilities(self.kind)

    @property
    def checkpoint(self) -> Checkpoint:
        """The network that moves, with its record."""
        return self.generator.checkpoint

    @property
    def conditioner(self) -> Conditioner:
        """Words and songs as the network takes them."""
        return Conditioner(self.checkpoint, self.name, self.capabilities.hears)

    @property
    def fps(self) -> float:
        """Frames per second of the dances."""
        return self.checkpoint.config.fps

    def generate(
        self, song: str | os.PathLike | Song | DanceRequest, *, progress: Progress | None = None, **asked: Any
    ) -> Motion:
        """Dance to a song, or to what a request says; ``asked`` are fields of ``DanceRequest``.

        The same inputs and seed give the same dance on the same device. ``progress(done, total, what)`` may raise
        ``Cancelled``. ``InputError`` for songs that cannot be read and words that cannot be understood.
        """
        prepared = self.prepare(_request(song, asked))
        if _as_recorded(prepared):
            return self.recorded(prepared)
        return self.finish(prepared, self.generator.generate(prepared, progress))

    def generate_all(self, requests: Sequence[DanceRequest], *, progress: Progress | None = None) -> list[Motion]:
        """Several dances as one batch where the model can; each is what ``generate`` alone would give.

        ``InputError`` if they do not agree on sampler, steps and device.
        """
        prepared = [self.prepare(request) for request in requests]
        if any(_as_recorded(each) for each in prepared):
            return [self.generate(request, progress=progress) for request in requests]
        if self.capabilities.batches:
            made = self.generator.generate_all(prepared, progress)
        else:
            made = [self.generator.generate(each, progress) for each in prepared]
        return [self.finish(each, generated) for each, generated in zip(prepared, made, strict=True)]

    def stream(
        self, song: str | os.PathLike | Song | DanceRequest, *, progress: Progress | None = None, **asked: Any
    ) -> Iterator[Motion]:
        """The dance in consecutive pieces, each given out as soon as it is finished; arguments as of ``generate``.

        ``Motion.joined`` makes them one. The same inputs and seed give the same pieces; of models that hear the song
        as they dance it is another dance than ``generate`` gives, since less of the song is known at its beginning.
        The song is heard as it is danced, in memory that does not grow with its length, unless it is a ``Song``, or
        the model plans ahead (Lodge), or there is a ``score``, whose times need the whole song's beats. Phrases that
        are danced as recorded (``phrases`` 1) are planned over what was heard, whatever the model; those that lead it
        (between 0 and 1) when the whole song was. The record of
        each piece is its own: ``start`` and ``beat_times`` count from its first frame. ``progress`` is told frames
        danced, of frames heard so far. A model that cannot stream gives its whole dance as one piece. ``InputError``
        as of ``generate``: what can be told before anything is danced comes at once, damage further on in the song
        when it is heard.
        """
        request = _request(song, asked)
        whole = isinstance(request.song, Song) or request.score is not None
        if request.phrases >= 1 and not whole:
            return self._stream_by_plan(request, progress)
        if not self.capabilities.streams or request.phrases > 0:
            return iter([self.generate(request, progress=progress)])
        self.expect_possible(request)
        if whole or self.capabilities.plans_ahead:
            prepared = self.prepare(request)
            parts = iter([Part.whole(prepared.song, self.fps)])
        else:
            prepared, parts = self._listening(request)
        music = Heard(parts, prepared.conditioner.encode_with_cues, self.fps)
        return self._streamed(prepared, music, progress)

    def _listening(self, request: DanceRequest) -> tuple[Prepared, Iterator[Part]]:
        """What is asked for, understood by the first part of the song, and the parts, each heard when it is needed."""
        given = {"corrections": request.corrections, "start": request.start, "seconds": request.seconds}
        heard = listen(request.song, fps=self.fps, **given)
        first = next(heard)
        prepared = self.prepare(request.uncorrected().changed(song=first.song))
        del prepared.meta["sections"]  # of the first part alone
        prepared.meta.update(whereabouts(request.song))
        return prepared, chain([first], heard)

    def _stream_by_plan(self, request: DanceRequest, progress: Progress | None) -> Iterator[Motion]:
        """A dance of recorded phrases, planned over what was heard; the network's where there is nothing to plan."""
        self.expect_possible(request)
        prepared, parts = self._listening(request.changed(phrases=0.0))
        first = next(parts)
        asked = {span.text.genre for span in prepared.timeline.spans if span.text.genre is not None}
        choice = choose(open_library(request.library), first.song, asked, request.seed)
        if choice.candidates is None:
            return self._noted(self.stream(request.changed(phrases=0.0), progress=progress), choice.notes)
        plan = Streamed(choice.candidates, prepared.timeline, self.fps, request.seed, start=prepared.meta["start"])
        meta = prepared.meta | {"phrases": request.phrases, "notes": [*prepared.meta["notes"], *choice.notes]}
        return self._planned_pieces(request, plan.pieces(chain([first], parts)), meta, progress)

    def _planned_pieces(
        self, request: DanceRequest, pieces: Iterator[Piece], meta: dict, progress: Progress | None
    ) -> Iterator[Motion]:
        given = 0
        for piece in pieces:
            given += piece.motion.frames
            if progress is not None:
                progress(given, max(given, piece.heard), "planning")
            motion = piece.motion.first_joints(self.checkpoint.layout.skeleton)
            yield replace(motion, meta=meta | piece.record)
        if not given:
            yield from self._noted(self.stream(request.changed(phrases=0.0), progress=progress), (NO_BAR,))

    @staticmethod
    def _noted(pieces: Iterator[Motion], notes: Sequence[str]) -> Iterator[Motion]:
        for piece in pieces:
            yield replace(piece, meta=piece.meta | {"notes": [*piece.meta["notes"], *notes]})

    def _streamed(self, prepared: Prepared, music: Heard, progress: Progress | None) -> Iterator[Motion]:
        layout, first, given = self.checkpoint.layout, 0, 0
        refinement, cleanup = self.refinement_for(prepared.request), self.cleanup_for(prepared.request).stream()
        for piece in self.generator.stream(prepared, music, progress):
            motion = layout.decode(piece.features, self.fps)
            seams = (first,) if piece.seam else ()
            passage = Passage(motion, contacts_of(piece.features, layout), seams, first=first)
            first = passage.stop
            if refinement is not None:
                passage = refinement.more(passage, last=piece.last)
            motion = cleanup.more(passage, last=piece.last)
            if motion.frames:
                begin, end = given / self.fps, (given + motion.frames) / self.fps
                yield replace(motion, meta=music.record(prepared.meta, begin, end))
                given += motion.frames
                music.forget_beats(end)

    def prepare(self, request: DanceRequest) -> Prepared:
        """What is asked for, understood and checked: words, song and timeline."""
        sampling, device = self.expect_possible(request), device_of(request.device)
        conditioner, words = self.conditioner, request.words
        text, score = conditioner.words(words), request.score
        if score is not None and not isinstance(score, Score):
            score = load_score(score)
        prompts = score.prompts(conditioner.words) if score is not None else []
        if score is not None and any(score.words):
            words = score.words
            text = conditioner.words(words)
        song = request.load_song()
        frames, notes = max(1, song.frames(self.fps)), text.notes
        if score is None:
            timeline = Timeline.whole(frames, text, sampling.guidance, prompt=words.text, energy=sampling.energy)
        else:
            timeline, left_out = score.on(
                song, self.checkpoint.layout, self.fps, prompts=prompts, otherwise=text, guidance=sampling.guidance,
                energy=sampling.energy,
            )  # fmt: skip
            said = [note for span in timeline.spans for note in span.text.notes]
            notes = tuple(dict.fromkeys((*said, *left_out)))
        if not sampling.guided and request.guidance(sampling.guidance) != sampling.guidance:
            learnt = f"music {sampling.guidance.music:g}, text {sampling.guidance.text:g}"
            notes = (*notes, f"{self.name} has learnt one guidance ({learnt}) and follows no other")
        notes = (*notes, *song.doubts)
        if score is None and not any(words) and self.capabilities.hears != "music":
            fits = suggest_genre(song, self.checkpoint.config.genres)
            if fits is not None:
                notes = (*notes, f"no genre was asked for; {fits.genre} would fit this song ({fits.why})")
        if request.energy is not None and not self.capabilities.guided:
            notes = (*notes, f"{self.name} is no diffusion: no energy draws it")
        meta = {
            "model": self.name,
            "seed": request.seed,
            "song": os.path.basename(str(song.name)),
            "start": song.start,
            "genre": text.genre,
            "movements": list(text.movements),
            "prompt": words.text,
            "tempo_bpm": round(float(song.tempo_bpm), 3),
            **whereabouts(request.song),
            **moments_of(song, frames / self.fps),
            "notes": list(notes),
        }
        if self.capabilities.guided:
            meta |= {"sampler": sampling.sampler, "steps": sampling.steps}
            meta["guidance"] = sampling.guidance._asdict()
            meta["energy"] = sampling.energy.record()
        if score is not None:
            meta |= {"score": os.path.basename(score.name), "timeline": timeline.record(self.fps)}
        laid = None
        if request.phrases > 0:
            laid, said = planned(
                song, timeline, frames=frames, fps=self.fps, seed=request.seed, library=request.library,
                locked=score.blocks(song) if score is not None else (),
            )  # fmt: skip
            meta["notes"] += said
            if laid is not None:
                meta |= {"phrases": request.phrases, "plan": laid.plan.record(song)}
                if self.capabilities.led and request.soft_level is None:
                    request = request.changed(soft_level=request.phrases)
        return Prepared(request, song, frames, timeline, sampling, device, conditioner, meta, laid)

    def expect_possible(self, request: DanceRequest) -> Sampling:
        """How to draw the dance, the model's own way where nothing is asked for.

        ``InputError`` for what this model cannot do, before any song is opened.
        """
        own, able = self.sampling, self.capabilities
        device_of(request.device)
        self.conditioner.words(request.words)
        if request.score is not None and not isinstance(request.score, Score):
            load_score(request.score)
        cues = [name for name, value in request.cues.items() if (name, value) != ("parabola", False)]  # raw for all
        if cues and not able.led:
            asked = ", ".join("--" + name.replace("_", "-") for name in cues)
            raise InputError(f"{self.name} has no soft primitives for {asked} to lead; try a lodge")
        if request.library is not None:
            open_library(request.library)
        if 0 < request.phrases < 1 and not able.edits:
            raise InputError(f"{self.name} dances phrases as recorded or not at all; try --phrases 1, or edmg or lodge")
        if not able.guided:
            return replace(own, seed=request.seed)
        steps, sampler = request.steps or own.steps, request.sampler or own.sampler
        if sampler not in STEP_RULES:
            raise InputError(f"expected a sampler among {', '.join(STEP_RULES)}, got {sampler!r}")
        if steps > self.generator.most_steps:
            raise InputError(f"expected 1 to {self.generator.most_steps} steps, got {steps}")
        guidance = request.guidance(own.guidance) if own.guided else own.guidance
        if able.hears == "music":  # with one weight for both, guidance takes two predictions and not three
            guidance = guidance._replace(text=guidance.music)
        energy = self.energy_for(request)
        return replace(own, seed=request.seed, steps=steps, sampler=sampler, guidance=guidance, energy=energy)

    def energy_for(self, request: DanceRequest) -> Strengths:
        """How strongly a request has this model's dances drawn; none where no sampler could be."""
        return self.sampling.energy.changed(request.energy) if self.capabilities.guided else OFF

    def finish(self, prepared: Prepared, made: Generated) -> Motion:
        """The dance with its record, refined and cleaned as the request says."""
        layout = self.checkpoint.layout
        motion = layout.decode(made.features, self.fps, meta=prepared.meta | made.found)
        passage = Passage(motion, contacts_of(made.features, layout), tuple(made.seams))
        refinement = self.refinement_for(prepared.request)
        if refinement is not None:
            passage = refinement.whole(passage)
        return self.cleanup_for(prepared.request).whole(passage).motion

    def recorded(self, prepared: Prepared) -> Motion:
        """The plan's own frames as the dance: nothing after the model touches them."""
        assert prepared.laid is not None
        return replace(prepared.laid.motion.first_joints(self.checkpoint.layout.skeleton), meta=prepared.meta)

    def cleanup_for(self, request: DanceRequest) -> Cleanup:
        """The cleanup that a request wants of this model's dances: whose feet were drawn to stand has its root."""
        cleanup = self.cleanup if request.cleanup else NO_CLEANUP
        return cleanup.without(RootLed) if self.energy_for(request).feet else cleanup

    def refinement_for(self, request: DanceRequest) -> Refinement | None:
        """The model's second stage, where it has one and the request wants it."""
        return Refinement(self.trm) if request.trm and self.trm is not None else None


def _as_recorded(prepared: Prepared) -> bool:
    return prepared.laid is not None and prepared.request.phrases >= 1


def contacts_of(features: Float[np.ndarray, "frames features"], layout: Layout) -> Float[np.ndarray, "frames 4"]:
    """Predicted contacts in the order of ``CONTACT_ORDER``, whatever the layout's own order."""
    order = [layout.contact_joints.index(name) for name in CONTACT_ORDER]
    return features[:, layout["contact"]][:, order]


def whereabouts(song: object) -> dict:
    """Where a song's file is and its SHA-256, so that it is found again and known; nothing of a ``Song``."""
    if not isinstance(song, str | os.PathLike):
        return {}
    return {"song_path": os.path.abspath(song), "song_sha256": checksum(song)}


def moments_of(song: Song, seconds: float) -> dict:
    """The song's beats, bars and sections as the record of a dance of some length holds them, times in seconds."""
    sections = find_sections(song)
    return {
        "beat_times": [round(float(t), 4) for t in song.beat_times if 0 <= t < seconds],
        "downbeat_times": [round(float(t), 4) for t in song.downbeat_times if 0 <= t < seconds],
        "meter": song.meter,
        "sections": [
            {"begin": round(part.begin, 4), "end": round(min(part.end, seconds), 4), "label": part.label}
            for part in sections
            if part.begin < seconds
        ],
    }


def _request(song: str | os.PathLike | Song | DanceRequest, asked: dict[str, Any]) -> DanceRequest:
    if not isinstance(song, DanceRequest):
        return DanceRequest(song=song, **asked)
    return song.changed(**asked) if asked else song
