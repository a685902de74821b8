"""Dances longer than a window: stretches of windows that are denoised together, one stretch after the other.

Each stretch begins with the frames that the one before ended with, so that memory is bounded whatever the length.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from longdance.choreography.drawn import energies_of, without_cues
from longdance.choreography.long.windows import Stitcher, WindowPlan
from longdance.choreography.timeline import Timeline, follow, pose_constraints
from longdance.diffusion.constraints import Constraint
from longdance.diffusion.guidance import Guidance
from longdance.diffusion.noise import NoiseSchedule
from longdance.diffusion.sampler import STEP_RULES, randn_like, sample
from longdance.models.checkpoint import Checkpoint, CheckpointConfig
from longdance.models.conditions import Conditions, MusicTokens
from longdance.models.precision import fastest
from longdance.models.strengths import OFF, Strengths
from longdance.motion.layout import Layout
from longdance.progress import Progress


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a dance is drawn, whatever it is; a model has its own, requests change it."""

    seed: int = 0
    steps: int = 20
    """Denoising steps; more change little with this sampler."""
    sampler: str = "dpm2m"
    guidance: Guidance = field(default_factory=Guidance)
    energy: Strengths = OFF
    """What the prediction is drawn by at each step, and how strongly."""
    guided: bool = True
    """Whether guidance is computed; False for networks that have learnt to follow theirs in one prediction."""
    rows: int = 16
    """Windows that go through the network at once; bounds memory."""
    stretch: int = 24
    """Windows that are denoised together; longer dances are made stretch by stretch."""

    @classmethod
    def of(cls, config: CheckpointConfig, *, guidance: Guidance | None = None) -> "Sampling":
        """The way of a checkpoint, as its recipe says; ``guidance`` where that says nothing of its own."""
        own = config.sampling
        told = Guidance(own.music_guidance, own.text_guidance, own.guidance_until)
        if guidance is None or told != Guidance():
            guidance = told
        return cls(steps=own.steps, sampler=own.sampler, guidance=guidance, energy=Strengths(**own.energies))


@dataclass(frozen=True, eq=False)
class Held:
    """What of a dance is given and must stay: features in metres and 6D rotations, where the mask is 1.

    Horizontal positions are those of the dance; each window's own origin is taken off where it is known.
    """

    track: Float[Tensor, "frames features"]
    mask: Float[Tensor, "frames features"]
    until_noise_level: float = 0.0
    """The share of the noise schedule below which it may change; 0 for never."""

    def to(self, device: torch.device | str) -> "Held":
        """The same on another device."""
        return replace(self, track=self.track.to(device), mask=self.mask.to(device))

    def cut(self, frames: slice) -> "Held":
        """Some of its frames."""
        return replace(self, track=self.track[frames], mask=self.mask[frames])


def stretches(
    checkpoint: Checkpoint,
    music: Float[Tensor, "frames channels_and_cues"],
    timeline: Timeline,
    plan: WindowPlan,
    *,
    sampling: Sampling,
    held: Held | None = None,
    progress: Progress | None = None,
) -> Iterator[tuple[np.ndarray, float]]:
    """Denormalised features of one stretch after the other, (frames, width), and the largest gap at its seams.

    ``music`` is normalised, with cues after the network's channels, and, like ``held``, as long as ``plan``.
    Everything is computed where the checkpoint lies; noise is drawn on the CPU, so that a seed means the same dance
    everywhere.
    """
    generator = torch.Generator().manual_seed(sampling.seed)
    done, total = 0, plan.count * sampling.steps
    previous: Tensor | None = None
    for first in range(0, plan.count, sampling.stretch):
        part = WindowPlan(min(sampling.stretch, plan.count - first), plan.window, plan.overlap)
        begin = first * plan.hop

        def advance(step: int, _: int, before=done, count=part.count) -> None:
            if progress is not None:
                progress(before + step * count, total, "denoising")

        frames = slice(begin, begin + part.frames)
        track, gap = dance_stretch(
            checkpoint,
            music[frames],
            timeline,
            part,
            begin=begin,
            previous=previous,
            sampling=sampling,
            generator=generator,
            held=None if held is None else held.cut(frames),
            progress=advance,
        )
        done += part.count * sampling.steps
        previous = track[-plan.overlap :] if plan.overlap else None
        # The overlap with the next stretch comes back, unchanged, at that stretch's beginning.
        last = first + part.count == plan.count
        kept = part.frames if last else part.frames - plan.overlap
        yield track[:kept].cpu().numpy(), gap


def dance_stretch(
    checkpoint: Checkpoint,
    music: Float[Tensor, "frames channels_and_cues"],
    timeline: Timeline,
    part: WindowPlan,
    *,
    begin: int,
    previous: Float[Tensor, "overlap features"] | None,
    sampling: Sampling,
    generator: torch.Generator,
    held: Held | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Float[Tensor, "frames features"], float]:
    """Denormalised features of one stretch, which begins at frame ``begin``, and the largest gap at its seams.

    ``music`` and ``held`` are as long as ``part``. ``previous`` is what the stretch before ended with: the first frames
    of this one, as many as windows overlap. ``progress`` is told the steps done and their number.
    """
    layout, device = checkpoint.layout, checkpoint.normaliser.mean.device
    schedule = NoiseSchedule.cosine(checkpoint.config.diffusion_steps)
    root = layout["root_position"]
    stitcher = Stitcher(part, layout, checkpoint.normaliser)
    noise = randn_like(torch.empty(part.frames, layout.width), generator)
    constraints = [stitcher.constraint()]
    origin = torch.zeros(3, device=device)
    if previous is not None:
        origin = previous[0, root] * torch.tensor([1.0, 0.0, 1.0], device=device)
        constraints.append(_continuation(checkpoint, previous, origin, part))
    given = None
    if held is not None:
        anchor = None if previous is None else origin
        given = _Anchored(held.to(device), stitcher, layout, anchor)
        constraints.append(given.constraint())
    constraints += pose_constraints(timeline, part, layout, checkpoint.normaliser, begin=begin)
    channels, cues = without_cues(music)
    starts = [begin + k * part.hop for k in range(part.count)]
    predict = follow(
        timeline if sampling.guided else timeline.unguided(),
        Predictor(checkpoint),
        part.cut(channels.to(device)),
        part,
        begin=begin,
        text_width=checkpoint.config.network_config.model_dump()["text_width"],
        horizontal=(root.start, root.start + 2),
        diffusion_steps=schedule.steps,
        rows=sampling.rows,
    )
    predictions: list[Tensor] = []
    edges = 0 if given is None or given.held.until_noise_level else checkpoint.config.clean_edges

    def remember(noisy: Tensor, step: int) -> Tensor:
        predictions[:] = [predict(noisy if given is None or not edges else given.clean_edges(noisy, edges), step)]
        return predictions[0]

    with torch.no_grad():
        windows = sample(
            remember,
            part.cut(noise).to(device),
            schedule=schedule,
            rule=STEP_RULES[sampling.sampler](),
            steps=sampling.steps,
            generator=generator,
            constraints=constraints,
            energies=energies_of([(timeline, start) for start in starts], part.cut(cues), checkpoint),
            progress=progress,
        )
        track, _ = stitcher.join(windows)
        gap = stitcher.gap(predictions[0])
        if given is not None:
            origin = given.origin(windows)
    track[:, root] += origin
    return track, gap


def _continuation(checkpoint: Checkpoint, previous: Tensor, origin: Tensor, part: WindowPlan) -> Constraint:
    """The first window of a stretch starts with ``previous`` (overlap, width), seen from ``origin``."""
    layout = checkpoint.layout
    moved = previous.clone()
    moved[:, layout["root_position"]] -= origin
    value = torch.zeros(part.count, part.window, layout.width, device=previous.device)
    mask = torch.zeros(part.count, part.window, 1, device=previous.device)
    value[0, : part.overlap] = checkpoint.normaliser.normalise(moved)
    mask[0, : part.overlap] = 1
    return Constraint(mask=mask, value=value)


@dataclass(frozen=True, eq=False)
class _Anchored:
    """Held frames of one stretch, seen from each window's own origin."""

    held: Held
    stitcher: Stitcher
    layout: Layout
    anchor: Tensor | None
    """(3,) the first window's origin where it is known."""

    def origin(self, windows: Tensor) -> Tensor:
        """(3,) metres from the dance's origin to the first window's, height zero.

        Where the first window's first frame is held, it lies above that; otherwise the first held frame decides.
        """
        if self.anchor is not None:
            return self.anchor
        root = self.layout["root_position"]
        flat = torch.tensor([1.0, 0.0, 1.0], device=windows.device)
        places = self.held.mask[:, root.start].nonzero()
        if not len(places):
            return torch.zeros(3, device=windows.device)
        frame, plan = int(places[0, 0]), self.stitcher.plan
        place = self.held.track[frame, root]
        if frame:
            window = min(frame // plan.hop, plan.count - 1)
            inside = self.stitcher.normaliser.denormalise(windows[window, frame - window * plan.hop])[root]
            place = place - inside
            place[[0, 2]] -= self.stitcher.offsets(windows)[window]
        return place * flat

    def value(self, windows: Tensor) -> Tensor:
        """(windows, window, width) the held features as each window should see them."""
        root = self.layout["root_position"].start
        moved = self.stitcher.plan.cut(self.held.track).clone()
        moved[..., [root, root + 2]] -= (self.origin(windows)[[0, 2]] + self.stitcher.offsets(windows))[:, None]
        return self.stitcher.normaliser.normalise(moved)

    def constraint(self) -> Constraint:
        """Holds at every noise level, or those above the one that is said."""
        mask = self.stitcher.plan.cut(self.held.mask)
        return Constraint(mask=mask, value=self.value, until_noise_level=self.held.until_noise_level)

    def clean_edges(self, noisy: Tensor, count: int) -> Tensor:
        """Noisy windows with what is held of their first and last ``count`` frames put in without noise (Lodge eq. 10).

        Where a window ends is not known beforehand: the horizontal root of its last frames stays as it is.
        """
        plan, horizontal = self.stitcher.plan, self.layout.horizontal
        known = plan.cut(self.held.mask) >= 1
        known[:, count:-count] = False
        known[:, -count:, horizontal] = False
        moved = plan.cut(self.held.track).clone()
        moved[..., horizontal] -= moved[:, :1, horizontal]
        return torch.where(known, self.stitcher.normaliser.normalise(moved), noisy)


class Predictor:
    """The predictions of a checkpoint's network, in bf16 where the device multiplies it in hardware."""

    def __init__(self, checkpoint: Checkpoint):
        self.network: Any = fastest(checkpoint.network)
        self.led = checkpoint.led

    def under(self, guidance: Guidance) -> tuple["Predictor", Guidance]:
        """Who predicts under a guidance, and the guidance left to compute: none, where the network has learnt it."""
        if self.led is None or self.led.guidance != guidance:
            return self, guidance
        taught = copy.copy(self)
        taught.network = fastest(self.led.network)
        return taught, Guidance(1.0, 1.0)

    def hear(self, conditions: Conditions) -> MusicTokens:
        """What the network makes of the music alone."""
        return self.network.hear(conditions)

    def __call__(self, noisy: Tensor, step: Tensor, conditions: Conditions, heard: MusicTokens | None = None) -> Tensor:
        """Clean motion predicted from ``noisy`` at diffusion ``step``."""
        return self.network(noisy, step, conditions, heard)
