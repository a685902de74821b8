"""A laid plan as what Lodge's local stage passes through, in place of what its global stage would make up."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from longdance.choreography.augment import SoftCues
from longdance.choreography.long.segments import SegmentPlan
from longdance.choreography.prepared import Prepared
from longdance.models.primitives import PRIMITIVE_FRAMES, PrimitivePlan
from longdance.motion.layout import Layout, centred


class PlanCues(NamedTuple):
    """Cues of a whole dance, in the order of Lodge's drafts."""

    plan: SegmentPlan
    hard: Float[Tensor, "windows hard primitive_frames features"]
    soft: Float[Tensor, "windows segments soft primitive_frames features"]
    placed: tuple[SoftCues, ...]
    """For each segment, which of its soft cues come where."""


def cues_of_plan(prepared: Prepared, primitives: PrimitivePlan, layout: Layout) -> PlanCues:
    """Hard cues where segments meet, soft ones where bars begin, outside of joins.

    That is about as many soft cues as Lodge's own; on every beat they tear at the dance. Beyond the plan's end its
    last frame goes on. Source: Lodge section 3.4.
    """
    laid = prepared.laid
    assert laid is not None
    plan, times = SegmentPlan(prepared.frames, primitives), np.asarray(prepared.song.downbeat_times)
    track = torch.from_numpy(layout.encode(laid.motion.first_joints(layout.skeleton)))
    recorded, last = laid.recorded, len(track) - 1

    def at(frames: np.ndarray) -> Tensor:
        return centred(track[torch.from_numpy(np.clip(frames, 0, last))], layout)

    around = np.arange(PRIMITIVE_FRAMES)
    hard = torch.stack([
        torch.stack([at(start + window * plan.hop + around) for start in primitives.hard_starts()])
        for window in range(plan.windows)
    ])  # fmt: skip
    gap = PRIMITIVE_FRAMES * primitives.soft_spacing
    chosen: list[list[int]] = []
    for segment in plan.segments:
        first, stop = plan.soft_range(segment)
        own: list[int] = []
        for frame in np.round(times * laid.motion.fps).astype(int) - segment.start:
            inside = first <= frame <= stop and frame + segment.start <= last and recorded[frame + segment.start]
            if inside and (not own or frame - own[-1] >= gap):
                own.append(int(frame))
        chosen.append(own)
    most = max(1, *(len(own) for own in chosen))
    soft = torch.zeros(plan.windows, primitives.segments, most, PRIMITIVE_FRAMES, layout.width)
    placed = []
    for segment, own in zip(plan.segments, chosen, strict=True):
        for number, frame in enumerate(own):
            soft[segment.window, segment.slot, number] = at(primitives.soft_frames(frame) + segment.start)
        placed.append(SoftCues(np.array(own, int), np.arange(len(own)), np.zeros(len(own), bool)))
    return PlanCues(plan, hard, soft, tuple(placed))
