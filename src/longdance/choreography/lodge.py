"""Lodge as a user meets it: primitives for a whole song, then all of its segments at once, led by them.

Source: Lodge section 3.2 and appendix B. Stage one is the global diffusion, stage two the local one; between them the
choreographic rules of `augment`; where segments lie and how they meet is in `segments`.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from longdance.choreography.augment import Beats, SoftCues, beats_within, mirror, place_soft_cues
from longdance.choreography.edmg import DEFAULT_REFINEMENT, EDMG, Commission
from longdance.choreography.longform import Predictor, Progress, Sampling
from longdance.choreography.refine import RefineConfig
from longdance.choreography.segments import Cue, CueSheet, Easing, Segment, SegmentPlan, eased
from longdance.choreography.streaming import Chunk, Heard
from longdance.choreography.timeline import Span, conditions
from longdance.diffusion.constraints import Constraint
from longdance.diffusion.guidance import Guidance, guided
from longdance.diffusion.noise import NoiseSchedule
from longdance.diffusion.sampler import STEP_RULES, randn_like, sample
from longdance.errors import InputError
from longdance.features.song import Song
from longdance.models.checkpoint import Checkpoint
from longdance.models.lodge_global import GlobalDenoiserConfig
from longdance.models.primitives import PRIMITIVE_FRAMES, SOFT_PER_SEGMENT, PrimitivePlan
from longdance.motion import rotations as rot
from longdance.motion.layout import Layout, centred
from longdance.motion.motion import Motion

GLOBAL, LOCAL = "global", "local"
"""Folders of the two stages within a model's folder; also what tells their noise apart."""
STREAMED_SEGMENTS = 4
"""Segments that are danced together at most where a dance is given out while it is made."""


class CueConfig(BaseModel):
    """How soft primitives lead the local stage: the switches of Lodge's tables 3 and 4.

    Without soft primitives at all (C in table 3) is ``soft_level`` 0. Hard cues always hold.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    soft_level: float = Field(default=1.0, ge=0, le=1)
    """s: the share of the noise schedule, from the noisiest on, in which soft cues hold; 0 never, 1 to the end."""
    mirror: bool = True
    """M: each soft primitive comes again with left and right swapped."""
    beat_align: bool = True
    """B: soft primitives are on beats; otherwise evenly spread."""
    structure: bool = True
    """Mirror images go to measures that sound the same as their originals', where there are any."""


DEFAULT_CUES = CueConfig()


class Draft(NamedTuple):
    """A dance between the two stages."""

    plan: SegmentPlan
    hard: Float[Tensor, "windows hard primitive_frames features"]
    """Denormalised hard primitives of each window."""
    soft: Float[Tensor, "windows segments soft primitive_frames features"]
    """Denormalised soft primitives of each segment."""
    placed: tuple[SoftCues, ...]
    """For each segment of the plan, its soft cues."""


@dataclass(frozen=True, eq=False)
class Lodge(EDMG):
    """Two diffusions: ``choreographer`` makes primitives, ``checkpoint`` dances from one to the next.

    ``rows`` is how many windows or segments go through a network at once, ``stretch`` how many segments are denoised
    together: both bound memory, neither changes a dance.
    """

    choreographer: Checkpoint = field(kw_only=True)
    """The global stage."""
    name: str = "lodge"
    cues: CueConfig = DEFAULT_CUES

    def __post_init__(self):
        one, other, plan = self.choreographer.config, self.checkpoint.config, self.primitives
        for what in ("layout", "fps", "music_encoder", "text_encoder"):
            if getattr(one, what) != getattr(other, what):
                raise InputError(
                    f"{self.name}: expected two stages with the same {what}, got {getattr(one, what)} and "
                    f"{getattr(other, what)}"
                )
        if plan.segment != other.window:
            raise InputError(
                f"{self.name}: the global stage plans segments of {plan.segment} frames, the local one dances "
                f"{other.window}; train one of them again"
            )

    @classmethod
    def load(cls, folder: str | os.PathLike, *, name: str) -> "Lodge":
        """The model in a folder that holds the checkpoints ``global`` and ``local``; ``InputError`` if damaged."""
        return cls(
            Checkpoint.load(os.path.join(folder, LOCAL)),
            name=name,
            choreographer=Checkpoint.load(os.path.join(folder, GLOBAL)),
        )

    @property
    def primitives(self) -> PrimitivePlan:
        """Where primitives lie in a window."""
        network = self.choreographer.config.network_config
        if not isinstance(network, GlobalDenoiserConfig):
            kind = self.choreographer.config.denoiser
            raise InputError(f"{self.name}: expected a global stage in {GLOBAL}, got a network of kind {kind}")
        return network.plan()

    def generate(self, song: str | os.PathLike | Song, *, cues: CueConfig | None = None, **asked: Any) -> Motion:
        """Dance to a song; arguments as of ``EDMG.generate``, and how soft primitives lead (the model's if None)."""
        return super(Lodge, self if cues is None else replace(self, cues=cues)).generate(song, **asked)

    def generate_all(
        self,
        commissions: Sequence[Commission],
        *,
        refinement: RefineConfig | None = DEFAULT_REFINEMENT,
        device: str = "auto",
        progress: Progress | None = None,
    ) -> list[Motion]:
        """Several dances as one batch, of what ``commission`` gave; each is what ``generate`` alone would give.

        ``InputError`` if they do not agree on sampler and steps.
        """
        made = self._dance_all(commissions, self.on(device), progress)
        return [
            self.deliver(commission, features, refinement=refinement, found=found)
            for commission, (features, found) in zip(commissions, made, strict=True)
        ]

    def _before_refinement(self, motion: Motion, refinement: RefineConfig) -> Motion:
        """The dance eased where segments meet."""
        if refinement.cutoff is None:
            return motion
        plan = SegmentPlan(motion.frames, self.primitives)
        return eased(motion, [plan.begin(segment) for segment in plan.segments[1:]])

    def sampling(self, *, seed: int, steps: int | None = None, sampler: str | None = None) -> Sampling:
        """How to draw a dance; ``InputError`` for values out of range."""
        most = self.choreographer.config.diffusion_steps
        if steps is not None and steps > most:
            raise InputError(f"expected 1 to {most} steps, got {steps}")
        return super().sampling(seed=seed, steps=steps, sampler=sampler)

    def draft(
        self, commissions: Sequence[Commission], device: str = "auto", *, progress: Callable[[int], None] | None = None
    ) -> list[Draft]:
        """Stage one and the choreographic rules: what each dance will pass through.

        ``progress`` is told how many steps of how many windows were made since it was last told.
        """
        checkpoint = self._choreographer_on(self.on(device).normaliser.mean.device)
        layout, plan = self.checkpoint.layout, self.primitives
        plans = [SegmentPlan(commission.frames, plan) for commission in commissions]
        rows = [(number, window) for number, own in enumerate(plans) for window in range(own.windows)]
        heard = [self._looped_music(c.song, own) for c, own in zip(commissions, plans, strict=True)]
        starts = [window * plans[number].hop for number, window in rows]
        sound = [heard[number][start : start + plan.frames] for (number, _), start in zip(rows, starts, strict=True)]
        spans = [
            commissions[number].timeline.leading(range(start, start + plan.frames))
            for (number, _), start in zip(rows, starts, strict=True)
        ]
        generators = [_generator(commissions[number].sampling.seed, GLOBAL, window) for number, window in rows]
        links = [k for k, (number, window) in enumerate(rows) if window + 1 < plans[number].windows]
        clean = self._sample(
            checkpoint,
            _predictor(checkpoint, torch.stack(sound), spans, self.rows),
            generators,
            plan.count * PRIMITIVE_FRAMES,
            commissions[0].sampling,
            [_shared(links, plan, len(rows), checkpoint.normaliser.mean.device)] if links else [],
            progress=progress,
        )
        real = checkpoint.normaliser.denormalise(clean).unflatten(1, (plan.count, PRIMITIVE_FRAMES))
        one_gesture = torch.arange(plan.count) < (plan.count if plan.soft_spacing == 1 else plan.hard)
        real = torch.where(one_gesture.to(real.device)[:, None, None], smooth(real, layout), real)
        real = tidy(real, layout)
        drafts, first = [], 0
        for commission, own in zip(commissions, plans, strict=True):
            window = real[first : first + own.windows]
            soft = window[:, plan.hard :].unflatten(1, (plan.segments, SOFT_PER_SEGMENT))
            drafts.append(Draft(own, window[:, : plan.hard], soft, self._placed(commission.song, own)))
            first += own.windows
        return drafts

    def cues_of(self, draft: Draft, segment: int, row: int) -> tuple[list[Cue], list[Cue]]:
        """Hard and soft cues of a segment of the draft, as row ``row`` of a batch."""
        place, layout, placed = draft.plan.segments[segment], self.checkpoint.layout, draft.placed[segment]
        hard = draft.plan.hard_cues(place, row, draft.hard[place.window], layout)
        soft = []
        for centre, number, swapped in zip(*placed, strict=True):
            features = draft.soft[place.window, place.slot, int(number)]
            if swapped:
                features = centred(mirror(features, layout), layout)
            soft.append(Cue(row, draft.plan.primitives.soft_frames(int(centre)), features))
        return hard, soft

    def stream(
        self, song: str | os.PathLike | Song, *, cues: CueConfig | None = None, **asked: Any
    ) -> Iterator[Motion]:
        """As ``EDMG.stream``, cues as of ``generate``: the segments are those of ``generate``.

        Primitives are made for the whole song before the first segment is danced, so the first frames take the longer
        the song is, and memory grows with it, by little.
        """
        return super(Lodge, self if cues is None else replace(self, cues=cues)).stream(song, **asked)

    _plans_ahead: ClassVar[bool] = True

    def _chunks(
        self, commission: Commission, music: Heard, checkpoint: Checkpoint, progress: Progress | None, *, raw: bool
    ) -> Iterator[Chunk]:
        plan = SegmentPlan(commission.frames, self.primitives)
        done, total = 0, (plan.windows + len(plan.segments)) * commission.sampling.steps

        def advance(count: int, what: str) -> None:
            nonlocal done
            done += count
            if progress is not None:
                progress(done, total, what)

        music.hear(commission.frames)
        sound = [music.cut(0, plan.music_frames)]
        device = str(checkpoint.normaliser.mean.device)
        [draft] = self.draft([commission], device, progress=lambda count: advance(count, "choreographing"))

        def segments() -> Iterator[np.ndarray]:
            begin, count = 0, 1
            while begin < len(plan.segments):
                rows = [(0, k) for k in range(begin, min(begin + count, len(plan.segments)))]
                yield from self._segments(
                    checkpoint, [commission], [draft], rows, sound, progress=lambda count: advance(count, "dancing")
                )[0]
                begin, count = begin + count, min(2 * count, STREAMED_SEGMENTS, self.stretch)

        layout, easing = checkpoint.layout, Easing(self.fps)
        waiting = np.zeros((0, len(layout.contact_joints)))
        for number, features in enumerate(plan.joining(segments(), _seam_steps(draft, layout), layout), start=1):
            last = number == len(plan.segments)
            motion = layout.decode(features, self.fps)
            if not raw:
                motion = easing.add(motion, last=last)
            waiting = np.concatenate((waiting, self._contacts(features)))
            yield motion, waiting[: motion.frames], last
            waiting = waiting[motion.frames :]

    def _dance(
        self, commission: Commission, checkpoint: Checkpoint, progress: Progress | None
    ) -> tuple[np.ndarray, dict]:
        return self._dance_all([commission], checkpoint, progress)[0]

    def _dance_all(
        self, commissions: Sequence[Commission], checkpoint: Checkpoint, progress: Progress | None
    ) -> list[tuple[np.ndarray, dict]]:
        """Denormalised features of every dance, and what there is to say of it."""
        ways = {(c.sampling.sampler, c.sampling.steps) for c in commissions}
        if len(ways) > 1:
            raise InputError(f"expected dances of one batch to agree on sampler and steps, got {sorted(ways)}")
        plans = [SegmentPlan(c.frames, self.primitives) for c in commissions]
        steps = commissions[0].sampling.steps
        total = sum(plan.windows + len(plan.segments) for plan in plans) * steps
        done = 0

        def advance(count: int, what: str) -> None:
            nonlocal done
            done += count
            if progress is not None:
                progress(done, total, what)

        device = str(checkpoint.normaliser.mean.device)
        drafts = self.draft(commissions, device, progress=lambda count: advance(count, "choreographing"))
        rows = [(number, k) for number, draft in enumerate(drafts) for k in range(len(draft.plan.segments))]
        danced: list[list[np.ndarray]] = [[] for _ in commissions]
        gaps: list[list[float]] = [[] for _ in commissions]
        distances: list[list[float]] = [[] for _ in commissions]
        music = [self._music(c.song, plan.music_frames) for c, plan in zip(commissions, plans, strict=True)]
        for begin in range(0, len(rows), self.stretch):
            part = rows[begin : begin + self.stretch]
            made = self._segments(
                checkpoint, commissions, drafts, part, music, progress=lambda count: advance(count, "dancing")
            )
            for (number, _), features, gap, distance in zip(part, *made, strict=True):
                danced[number].append(features)
                gaps[number].append(gap)
                distances[number] += distance
        results = []
        for number, draft in enumerate(drafts):
            features = draft.plan.join(danced[number], _seam_steps(draft, checkpoint.layout), checkpoint.layout)
            found = {"seam_gap": max(gaps[number]), "cues": self.cues.model_dump()}
            if commissions[number].timeline.poses:
                note = f"{self.name} follows a score's words; its poses are not held"
                found["notes"] = [*commissions[number].meta["notes"], note]
            if distances[number]:
                found["soft_cue_distance"] = float(np.mean(distances[number]))
            results.append((features, found))
        return results

    def _segments(
        self,
        checkpoint: Checkpoint,
        commissions: Sequence[Commission],
        drafts: Sequence[Draft],
        rows: Sequence[tuple[int, int]],
        music: Sequence[Tensor],
        *,
        progress: Callable[[int], None],
    ) -> tuple[list[np.ndarray], list[float], list[list[float]]]:
        """Stage two for some segments: denormalised features, and in metres how far predictions are from hard cues
        before these are put in, and how far each soft cue is missed.
        """
        frames, layout = self.primitives.segment, checkpoint.layout
        hard, soft, sound, spans, generators = [], [], [], [], []
        for row, (number, k) in enumerate(rows):
            segment: Segment = drafts[number].plan.segments[k]
            own_hard, own_soft = self.cues_of(drafts[number], k, row)
            hard, soft = hard + own_hard, soft + own_soft
            sound.append(music[number][segment.start : segment.start + frames])
            spans.append(commissions[number].timeline.leading(range(segment.start, segment.start + frames)))
            generators.append(_generator(commissions[number].sampling.seed, LOCAL, k))
        held = CueSheet(hard, len(rows), frames, layout, checkpoint.normaliser)
        hints = CueSheet(soft, len(rows), frames, layout, checkpoint.normaliser)
        constraints = [held.constraint()]
        if soft and self.cues.soft_level > 0:
            constraints.insert(0, hints.constraint(1 - self.cues.soft_level))
        predict, edges = _predictor(checkpoint, torch.stack(sound), spans, self.rows), checkpoint.config.clean_edges
        last: list[Tensor] = []

        def remember(noisy: Tensor, step: int) -> Tensor:
            last[:] = [predict(held.edges(noisy, edges) if edges else noisy, step)]
            return last[0]

        sampling = commissions[rows[0][0]].sampling
        clean = self._sample(checkpoint, remember, generators, frames, sampling, constraints, progress=progress)
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
                progress=None if progress is None else lambda _, __: progress(len(generators)),
            )

    def _placed(self, song: Song, plan: SegmentPlan) -> tuple[SoftCues, ...]:
        """Where the soft primitives of every segment go."""
        beats = Beats.of(song, self.fps)
        placed = []
        for segment in plan.segments:
            first, last = plan.soft_range(segment)
            placed.append(
                place_soft_cues(
                    range(SOFT_PER_SEGMENT),
                    beats_within(beats, segment.start, self.primitives.segment),
                    first=first,
                    last=last,
                    mirrored=self.cues.mirror,
                    on_beats=self.cues.beat_align,
                    structure=self.cues.structure,
                    gap=PRIMITIVE_FRAMES * self.primitives.soft_spacing,
                )
            )
        return tuple(placed)

    def _looped_music(self, song: Song, plan: SegmentPlan) -> Tensor:
        """Music of all windows, normalised for the global stage; a song that ends begins again, as in training."""
        heard = EDMG(self.choreographer, name=self.name)._music(song, max(1, song.frames(self.fps)))
        return heard[torch.arange(plan.music_frames) % len(heard)]

    def _choreographer_on(self, device: torch.device) -> Checkpoint:
        if device.type == "cpu":
            return self.choreographer
        key = f"{GLOBAL} {device}"
        if key not in self._copies:
            self._copies[key] = self.choreographer.to(device)
        return self._copies[key]


def smooth(features: Float[Tensor, "*axes frames features"], layout: Layout) -> Float[Tensor, "*axes frames features"]:
    """The parabola nearest to every feature but the contact labels: pose, velocity and acceleration of one gesture.

    A quarter of a second of a real dance is hardly changed by it (its key motions by half a centimetre on average),
    while a little noise in eight frames would be a great acceleration, to which the local stage would be held.
    """
    time = torch.linspace(-1, 1, features.shape[-2], dtype=torch.float64)
    powers = torch.stack((torch.ones_like(time), time, time**2), -1)
    nearest = (powers @ torch.linalg.pinv(powers)).to(features)
    smoothed = nearest @ features
    smoothed[..., layout["contact"]] = features[..., layout["contact"]]
    return smoothed


def tidy(features: Float[Tensor, "*axes frames features"], layout: Layout) -> Float[Tensor, "*axes frames features"]:
    """Primitives made proper: labels from 0 to 1, true rotations, and the root above the origin in the first frame."""
    tidied = centred(features, layout)
    tidied[..., layout["contact"]] = features[..., layout["contact"]].clamp(0, 1)
    tidied[..., layout["rotations"]] = rot.matrix_to_6d(layout.pose(features)[1]).flatten(-2)
    return tidied


def _generator(seed: int, stage: str, row: int) -> torch.Generator:
    """Noise of one row, whatever else is in its batch."""
    state = np.random.SeedSequence([seed, (GLOBAL, LOCAL).index(stage), row]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0] >> np.uint64(1)))


def _predictor(
    checkpoint: Checkpoint, sound: Tensor, spans: Sequence[Span], rows: int
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
            rows=rows,
        )
        predictors.append((torch.tensor(chosen, device=device), predict))

    def all_rows(noisy: Tensor, step: int) -> Tensor:
        result = torch.empty_like(noisy)
        for index, predict in predictors:
            result[index] = predict(noisy[index], step).to(result.dtype)
        return result

    return all_rows


def _shared(links: Sequence[int], plan: PrimitivePlan, rows: int, device: torch.device) -> Constraint:
    """The last hard primitive of window k is the first of window k + 1, for all k in ``links``: they meet halfway."""
    first = slice(0, PRIMITIVE_FRAMES)
    last = slice((plan.hard - 1) * PRIMITIVE_FRAMES, plan.hard * PRIMITIVE_FRAMES)
    before = torch.tensor(links, device=device)
    mask = torch.zeros(rows, plan.count * PRIMITIVE_FRAMES, 1, device=device)
    mask[before, last] = 1
    mask[before + 1, first] = 1

    def value(clean: Tensor) -> Tensor:
        result = clean.clone()
        meeting = (clean[before, last] + clean[before + 1, first]) / 2
        result[before, last] = meeting
        result[before + 1, first] = meeting
        return result

    return Constraint(mask=mask, value=value)


def _seam_steps(draft: Draft, layout: Layout) -> np.ndarray:
    """(seams, 2) metres along x and z from the last frame of each segment to the first of the next one."""
    middle = PRIMITIVE_FRAMES // 2
    steps = []
    for segment in draft.plan.segments[:-1]:
        primitive = draft.hard[segment.window, segment.slot + 1]
        steps.append((primitive[middle] - primitive[middle - 1])[layout.horizontal].double().cpu().numpy())
    return np.array(steps).reshape(-1, 2)
