"""Lodge as a user meets it: primitives for a whole song, then all of its segments at once, led by them.

Source: Lodge section 3.2 and appendix B. Stage one is the global diffusion, stage two the local one; between them the
choreographic rules of `augment`; where segments lie and how they meet is in `segments`.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from longdance.choreography.augment import (
    DEFAULT_CUES,
    Beats,
    CueConfig,
    SoftCues,
    beats_within,
    mirror,
    place_soft_cues,
    smooth,
    tidy,
)
from longdance.choreography.conditioning import Conditioner
from longdance.choreography.dancer import Dancer
from longdance.choreography.devices import placed
from longdance.choreography.drawn import energies_of, without_cues
from longdance.choreography.generators.windows import WindowGenerator
from longdance.choreography.long.segments import Cue, CueSheet, Segment, SegmentPlan, shared_primitives
from longdance.choreography.long.streams import Heard, Piece
from longdance.choreography.long.stretches import Held, Predictor, Sampling
from longdance.choreography.phrases.cues import cues_of_plan
from longdance.choreography.prepared import Generated, Prepared
from longdance.choreography.timeline import Span, Timeline, conditions
from longdance.cleanup.pipeline import Cleanup
from longdance.cleanup.seams import SeamsEased
from longdance.diffusion.constraints import Constraint
from longdance.diffusion.energies import Energies
from longdance.diffusion.guidance import Guidance, guided
from longdance.diffusion.noise import NoiseSchedule
from longdance.diffusion.sampler import STEP_RULES, randn_like, sample
from longdance.errors import InputError
from longdance.features.song import Song
from longdance.models.checkpoint import Checkpoint
from longdance.models.folders import GLOBAL, LOCAL
from longdance.models.lodge_global import GlobalDenoiserConfig
from longdance.models.primitives import PRIMITIVE_FRAMES, SOFT_PER_SEGMENT, PrimitivePlan
from longdance.motion.layout import Layout, centred
from longdance.progress import Progress, Tally

REGISTER = {
    "dancer": {
        "lodge": {
            "make": "lodge",
            "about": "Lodge: lays out key movements over the whole song first, then dances between them",
            "order": 2, "streams": True, "plans_ahead": True, "edits": True, "joints": True, "guided": True,
            "batches": True, "led": True,
        },
        "lodge-local": {
            "make": "local_stage",
            "about": "Lodge's local stage alone: dances window by window without a plan",
            "order": 4, "streams": True, "edits": True, "joints": True, "guided": True,
        },
    },
}  # fmt: skip
STREAMED_SEGMENTS = 4
"""Segments that are danced together at most where a dance is given out while it is made."""


class Draft(NamedTuple):
    """A dance between the two stages."""

    plan: SegmentPlan
    hard: Float[Tensor, "windows hard primitive_frames features"]
    """Denormalised hard primitives of each window."""
    soft: Float[Tensor, "windows segments soft primitive_frames features"]
    """Denormalised soft primitives of each segment."""
    placed: tuple[SoftCues, ...]
    """For each segment of the plan, its soft cues."""


def lodge(checkpoint: Checkpoint, choreographer: Checkpoint, *, name: str = "lodge") -> Dancer:
    """The dancer of Lodge's two stages; ``InputError`` if they do not belong together."""
    cleanup = Cleanup().after(SeamsEased())
    sampling = Sampling.of(checkpoint.config)
    return Dancer(Lodge(checkpoint, choreographer), kind="lodge", name=name, sampling=sampling, cleanup=cleanup)


def local_stage(checkpoint: Checkpoint, *, name: str = "lodge-local") -> Dancer:
    """The local stage as a dancer of its own."""
    sampling = Sampling.of(checkpoint.config)
    return Dancer(WindowGenerator(checkpoint), kind="lodge-local", name=name, sampling=sampling)


def load(folder: str | os.PathLike, *, name: str) -> Dancer:
    """The model in a folder that holds the checkpoints ``global`` and ``local``; ``InputError`` if damaged."""
    stages = [Checkpoint.load(os.path.join(folder, stage)) for stage in (LOCAL, GLOBAL)]
    try:
        return lodge(*stages, name=name)
    except InputError as error:
        raise InputError(f"{folder}: {error}") from error


@dataclass(frozen=True, eq=False)
class Lodge:
    """Two diffusions: ``choreographer`` makes primitives, ``checkpoint`` dances from one to the next.

    How many windows or segments go through a network at once, and how many segments are denoised together (``rows``
    and ``stretch`` of the sampling) bounds memory and changes no dance.
    """

    checkpoint: Checkpoint
    choreographer: Checkpoint
    """The global stage."""
    cues: CueConfig = DEFAULT_CUES

    def __post_init__(self):
        one, other, plan = self.choreographer.config, self.checkpoint.config, self.primitives
        for what in ("layout", "fps", "music_encoder", "text_encoder"):
            if getattr(one, what) != getattr(other, what):
                raise InputError(
                    f"expected two stages with the same {what}, got {getattr(one, what)} and {getattr(other, what)}"
                )
        if plan.segment != other.window:
            raise InputError(
                f"the global stage plans segments of {plan.segment} frames, the local one dances {other.window}; train "
                "one of them again"
            )

    @property
    def most_steps(self) -> int:
        """Steps of the shorter of both diffusions."""
        return min(self.choreographer.config.diffusion_steps, self.checkpoint.config.diffusion_steps)

    @property
    def window(self) -> int:
        """Frames that the local stage sees at once."""
        return self.checkpoint.config.window

    @property
    def primitives(self) -> PrimitivePlan:
        """Where primitives lie in a window."""
        network = self.choreographer.config.network_config
        if not isinstance(network, GlobalDenoiserConfig):
            kind = self.choreographer.config.denoiser
            raise InputError(f"expected a global stage in {GLOBAL}, got a network of kind {kind}")
        return network.plan()

    def generate(self, prepared: Prepared, progress: Progress | None) -> Generated:
        """The whole dance."""
        return self.generate_all([prepared], progress)[0]

    def inpaint(
        self,
        music: Float[Tensor, "heard music_channels"],
        timeline: Timeline,
        held: Held,
        *,
        sampling: Sampling,
        device: str,
        progress: Progress | None,
    ) -> Float[np.ndarray, "frames features"]:
        """A stretch of a dance, of which what is ``held`` stays, by the local stage; see ``WindowGenerator``."""
        alone = WindowGenerator(self.checkpoint)
        return alone.inpaint(music, timeline, held, sampling=sampling, device=device, progress=progress)

    def draft(
        self, prepared: Sequence[Prepared], *, progress: Callable[[int], None] | None = None
    ) -> list[Draft]:
        """Stage one and the choreographic rules: what each dance will pass through.

        ``progress`` is told how many steps of how many windows were made since it was last told.
        """
        checkpoint = placed(self.choreographer, prepared[0].device)
        layout, plan = self.checkpoint.layout, self.primitives
        plans = [SegmentPlan(each.frames, plan) for each in prepared]
        rows = [(number, window) for number, own in enumerate(plans) for window in range(own.windows)]
        heard = [self.looped_music(each.song, own) for each, own in zip(prepared, plans, strict=True)]
        starts = [window * plans[number].hop for number, window in rows]
        sound = [heard[number][start : start + plan.frames] for (number, _), start in zip(rows, starts, strict=True)]
        spans = [
            prepared[number].timeline.leading(range(start, start + plan.frames))
            for (number, _), start in zip(rows, starts, strict=True)
        ]
        generators = [_generator(prepared[number].sampling.seed, GLOBAL, window) for number, window in rows]
        links = [k for k, (number, window) in enumerate(rows) if window + 1 < plans[number].windows]
        clean = self._sample(
            checkpoint,
            _predictor(checkpoint, torch.stack(sound), spans, prepared[0].sampling),
            generators,
            plan.count * PRIMITIVE_FRAMES,
            prepared[0].sampling,
            [shared_primitives(links, plan, len(rows), checkpoint.normaliser.mean.device)] if links else [],
            progress=progress,
        )
        real = checkpoint.normaliser.denormalise(clean).unflatten(1, (plan.count, PRIMITIVE_FRAMES))
        if self.cues.changed(prepared[0].request.cues).parabola:
            one_gesture = torch.arange(plan.count) < (plan.count if plan.soft_spacing == 1 else plan.hard)
            real = torch.where(one_gesture.to(real.device)[:, None, None], smooth(real, layout), real)
        real = tidy(real, layout)
        drafts, first = [], 0
        for each, own in zip(prepared, plans, strict=True):
            window = real[first : first + own.windows]
            soft = window[:, plan.hard :].unflatten(1, (plan.segments, SOFT_PER_SEGMENT))
            placed_cues = self._placed(each.song, own, self.cues.changed(each.request.cues))
            drafts.append(Draft(own, window[:, : plan.hard], soft, placed_cues))
            first += own.windows
        return drafts

    def cues_of(self, draft: Draft, segment: int, row: int) -> tuple[list[Cue], list[Cue]]:
        """Hard and soft cues of a segment of the draft, as row ``row`` of a batch."""
        place, layout, cues = draft.plan.segments[segment], self.checkpoint.layout, draft.placed[segment]
        hard = draft.plan.hard_cues(place, row, draft.hard[place.window], layout)
        soft = []
        for centre, number, swapped in zip(*cues, strict=True):
            features = draft.soft[place.window, place.slot, int(number)]
            if swapped:
                features = centred(mirror(features, layout), layout)
            soft.append(Cue(row, draft.plan.primitives.soft_frames(int(centre)), features))
        return hard, soft

    def stream(self, prepared: Prepared, music: Heard, progress: Progress | None) -> Iterator[Piece]:
        """The segments of ``generate``, one after the other.

        Primitives are made for the whole song before the first segment is danced, so the first frames take the longer
        the song is, and memory grows with it, by little.
        """
        plan, sampling = SegmentPlan(prepared.frames, self.primitives), prepared.sampling
        tally = Tally((plan.windows + len(plan.segments)) * sampling.steps, progress)
        music.hear(prepared.frames)
        sound = [music.cut(0, plan.music_frames)]
        [draft] = self.draft([prepared], progress=lambda count: tally.add(count, "choreographing"))

        def segments() -> Iterator[np.ndarray]:
            begin, count = 0, 1
            while begin < len(plan.segments):
                rows = [(0, k) for k in range(begin, min(begin + count, len(plan.segments)))]
                yield from self._segments(
                    [prepared], [draft], rows, sound, progress=lambda count: tally.add(count, "dancing")
                )[0]
                begin, count = begin + count, min(2 * count, STREAMED_SEGMENTS, sampling.stretch)

        layout = self.checkpoint.layout
        for number, features in enumerate(plan.joining(segments(), _seam_steps(draft, layout), layout), start=1):
            yield Piece(features, last=number == len(plan.segments), seam=number > 1)

    def generate_all(self, prepared: Sequence[Prepared], progress: Progress | None) -> list[Generated]:
        """Several dances as one batch; ``InputError`` if they do not agree on sampler, steps and device."""
        ways = {
            (each.sampling.sampler, each.sampling.steps, each.device, str(each.request.cues), not each.laid)
            for each in prepared
        }
        if len(ways) > 1:
            what = "sampler, steps, device and cues"
            raise InputError(f"expected dances of one batch to agree on {what}, got {sorted(ways)}")
        plans = [SegmentPlan(each.frames, self.primitives) for each in prepared]
        sampling = prepared[0].sampling
        tally = Tally(sum(plan.windows + len(plan.segments) for plan in plans) * sampling.steps, progress)
        layout = self.checkpoint.layout
        drafts = [Draft(*cues_of_plan(each, self.primitives, layout)) for each in prepared if each.laid is not None]
        drafts = drafts or self.draft(prepared, progress=lambda count: tally.add(count, "choreographing"))
        rows = [(number, k) for number, draft in enumerate(drafts) for k in range(len(draft.plan.segments))]
        danced: list[list[np.ndarray]] = [[] for _ in prepared]
        gaps: list[list[float]] = [[] for _ in prepared]
        distances: list[list[float]] = [[] for _ in prepared]
        music = [
            each.conditioner.with_cues(each.song, plan.music_frames) for each, plan in zip(prepared, plans, strict=True)
        ]
        for begin in range(0, len(rows), sampling.stretch):
            part = rows[begin : begin + sampling.stretch]
            made = self._segments(prepared, drafts, part, music, progress=lambda count: tally.add(count, "dancing"))
            for (number, _), features, gap, distance in zip(part, *made, strict=True):
                danced[number].append(features)
                gaps[number].append(gap)
                distances[number] += distance
        results = []
        for each, draft, segments, gap, missed in zip(prepared, drafts, danced, gaps, distances, strict=True):
            features = draft.plan.join(segments, _seam_steps(draft, layout), layout)
            found: dict[str, Any] = {"seam_gap": max(gap), "cues": self.cues.changed(each.request.cues).model_dump()}
            if each.timeline.poses:
                note = f"{each.meta['model']} follows a score's words; its poses are not held"
                found["notes"] = [*each.meta["notes"], note]
            if missed:
                found["soft_cue_distance"] = float(np.mean(missed))
            seams = [draft.plan.begin(segment) for segment in draft.plan.segments[1:]]
            results.append(Generated(features, found, seams))
        return results

    def _segments(
        self,
        prepared: Sequence[Prepared],
        drafts: Sequence[Draft],
        rows: Sequence[tuple[int, int]],
        music: Sequence[Tensor],
        *,
        progress: Callable[[int], None],
    ) -> tuple[list[np.ndarray], list[float], list[list[float]]]:
        """Stage two for some segments: denormalised features, and in metres how far predictions are from hard cues
        before these are put in, and how far each soft cue is missed.
        """
        checkpoint, sampling = placed(self.checkpoint, prepared[0].device), prepared[rows[0][0]].sampling
        cues = self.cues.changed(prepared[rows[0][0]].request.cues)
        frames, layout = self.primitives.segment, checkpoint.layout
        hard, soft, sound, begins, spans, generators = [], [], [], [], [], []
        for row, (number, k) in enumerate(rows):
            segment: Segment = drafts[number].plan.segments[k]
            own_hard, own_soft = self.cues_of(drafts[number], k, row)
            hard, soft = hard + own_hard, soft + own_soft
            sound.append(music[number][segment.start : segment.start + frames])
            begins.append((prepared[number].timeline, segment.start))
            spans.append(prepared[number].timeline.leading(range(segment.start, segment.start + frames)))
            generators.append(_generator(prepared[number].sampling.seed, LOCAL, k))
        held = CueSheet(hard, len(rows), frames, layout, checkpoint.normaliser)
        hints = CueSheet(soft, len(rows), frames, layout, checkpoint.normaliser)
        constraints = [held.constraint()]
        if soft and cues.soft_level > 0:
            constraints.insert(0, hints.constraint(1 - cues.soft_level))
        channels, cues = without_cues(torch.stack(sound))
        predict, edges = _predictor(checkpoint, channels, spans, sampling), checkpoint.config.clean_edges
        last: list[Tensor] = []

        def remember(noisy: Tensor, step: int) -> Tensor:
            last[:] = [predict(held.edges(noisy, edges) if edges else noisy, step)]
            return last[0]

        clean = self._sample(
            checkpoint, remember, generators, frames, sampling, constraints,
            energies=energies_of(begins, cues, checkpoint), progress=progress,
        )  # fmt: skip
        gaps, misses = held.distance(last[0]), hints.distance(clean)
        real = checkpoint.normaliser.denormalise(clean).cpu().numpy()
        owner = np.array([cue.row for cue in soft])
        return (
            list(real),
            [float(gaps[[cue.row == row for cue in hard]].max()) for row in range(len(rows))],
            [misses.cpu().numpy()[owner == row].tolist() if len(soft) else [] for row in range(len(rows))],
        )

    def _sample(
        self,
        checkpoint: Checkpoint,
        predict: Callable[[Tensor, int], Tensor],
        generators: Sequence[torch.Generator],
        frames: int,
        sampling: Sampling,
        constraints: Sequence[Constraint],
        *,
        energies: Energies | None = None,
        progress: Callable[[int], None] | None,
    ) -> Tensor:
        noise = randn_like(torch.empty(len(generators), frames, checkpoint.layout.width), generators)
        with torch.no_grad():
            return sample(
                predict,
                noise.to(checkpoint.normaliser.mean.device),
                schedule=NoiseSchedule.cosine(checkpoint.config.diffusion_steps),
                rule=STEP_RULES[sampling.sampler](),
                steps=sampling.steps,
                generator=generators,
                constraints=constraints,
                energies=energies,
                progress=None if progress is None else lambda _, __: progress(len(generators)),
            )

    def _placed(self, song: Song, plan: SegmentPlan, cues: CueConfig) -> tuple[SoftCues, ...]:
        """Where the soft primitives of every segment go."""
        beats = Beats.of(song, self.checkpoint.config.fps)
        placed = []
        for segment in plan.segments:
            first, last = plan.soft_range(segment)
            placed.append(
                place_soft_cues(
                    range(SOFT_PER_SEGMENT),
                    beats_within(beats, segment.start, self.primitives.segment),
                    first=first,
                    last=last,
                    cues=cues,
                    gap=PRIMITIVE_FRAMES * self.primitives.soft_spacing,
                )
            )
        return tuple(placed)

    def looped_music(self, song: Song, plan: SegmentPlan) -> Tensor:
        """Music of all windows, normalised for the global stage; a song that ends begins again, as in training."""
        heard = Conditioner(self.choreographer, "the global stage").encode(song)
        return heard[torch.arange(plan.music_frames) % len(heard)]


def _generator(seed: int, stage: str, row: int) -> torch.Generator:
    """Noise of one row, whatever else is in its batch."""
    state = np.random.SeedSequence([seed, (GLOBAL, LOCAL).index(stage), row]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0] >> np.uint64(1)))


def _predictor(
    checkpoint: Checkpoint, sound: Tensor, spans: Sequence[Span], sampling: Sampling
) -> Callable[[Tensor, int], Tensor]:
    """Guided prediction of clean motion, each row with the words and guidance of its span."""
    device, width = checkpoint.normaliser.mean.device, checkpoint.config.network["text_width"]
    groups: dict[Guidance, list[int]] = {}
    for row, span in enumerate(spans):
        groups.setdefault(span.guidance, []).append(row)
    predictors = []
    for guidance, chosen in groups.items():
        asked = conditions(sound[chosen].to(device), [spans[row].text for row in chosen], width)
        predict = guided(
            Predictor(checkpoint),
            asked,
            music_weight=guidance.music,
            text_weight=guidance.text,
            plain_below=round(guidance.until * checkpoint.config.diffusion_steps),
            rows=sampling.rows,
        )
        predictors.append((torch.tensor(chosen, device=device), predict))

    def all_rows(noisy: Tensor, step: int) -> Tensor:
        result = torch.empty_like(noisy)
        for index, predict in predictors:
            result[index] = predict(noisy[index], step).to(result.dtype)
        return result

    return all_rows


def _seam_steps(draft: Draft, layout: Layout) -> np.ndarray:
    """(seams, 2) metres along x and z from the last frame of each segment to the first of the next one."""
    middle = PRIMITIVE_FRAMES // 2
    steps = []
    for segment in draft.plan.segments[:-1]:
        primitive = draft.hard[segment.window, segment.slot + 1]
        steps.append((primitive[middle] - primitive[middle - 1])[layout.horizontal].double().cpu().numpy())
    return np.array(steps).reshape(-1, 2)
