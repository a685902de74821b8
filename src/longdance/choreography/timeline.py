"""What every frame of a dance is asked to be: words and guidance over time, and poses to pass through.

A plain call is a timeline of one span. Here belong how windows share the spans and how predictions for several texts
become one; how a score file is read and laid on the beats is in `score`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from longdance.choreography.long.windows import WindowPlan
from longdance.diffusion.constraints import Constraint
from longdance.diffusion.guidance import Denoiser, Guidance, guided
from longdance.errors import InputError
from longdance.features.text import TextPrompt
from longdance.models.conditions import Conditions
from longdance.models.strengths import OFF, Strengths
from longdance.motion import rotations as rot
from longdance.motion.filters import smoothstep
from longdance.motion.layout import Layout, Normaliser


@dataclass(frozen=True, eq=False)
class Span:
    """From frame ``begin`` to ``end`` (exclusive) one text and one guidance."""

    begin: int
    end: int
    text: TextPrompt
    guidance: Guidance
    prompt: str | None = None
    """The free words in it, as they were written."""
    energy: Strengths = OFF

    def __post_init__(self):
        if not np.isfinite(self.guidance).all():
            raise InputError(f"expected finite weights of guidance, got {tuple(self.guidance)}")

    def asks_the_same(self, other: "Span") -> bool:
        """Whether a change from one to the other changes nothing."""
        return (
            self.text.texts == other.text.texts
            and np.array_equal(self.text.embeddings, other.text.embeddings)
            and self.guidance == other.guidance
            and self.energy == other.energy
        )


@dataclass(frozen=True, eq=False)
class PlacedPose:
    """A pose to be in at a frame; the dance turns it to where it faces by then."""

    frame: int
    root_height: float
    """Metres."""
    rotations: np.ndarray
    """(joints, 3, 3) of the layout's skeleton; the root's heading does not matter."""
    ease: int
    """Frames before and after over which the dance is drawn to the pose."""


@dataclass(frozen=True, eq=False)
class Timeline:
    """Spans that follow each other without gaps, in frames of the dance.

    Before the first span and after the last one theirs goes on. A change takes ``fade`` frames, half of them before
    the frame where the next span begins.
    """

    spans: tuple[Span, ...]
    fade: int = 2
    poses: tuple[PlacedPose, ...] = ()

    def __post_init__(self):
        if not self.spans or any(a.end != b.begin for a, b in pairwise(self.spans)):
            raise ValueError("expected spans that follow each other without gaps")
        if self.fade < 2:
            raise ValueError(f"expected a fade of at least two frames, got {self.fade}")

    @classmethod
    def whole(
        cls, frames: int, text: TextPrompt, guidance: Guidance, *, prompt: str | None = None, energy: Strengths = OFF
    ) -> "Timeline":
        """One span from the beginning to the end."""
        return cls((Span(0, frames, text, guidance, prompt, energy),))

    def joined(self) -> "Timeline":
        """The same with neighbours that ask the same made one span, so that nothing is computed twice."""
        spans = [self.spans[0]]
        for span in self.spans[1:]:
            last = spans[-1]
            if last.asks_the_same(span):
                spans[-1] = replace(last, end=span.end)
            else:
                spans.append(span)
        return Timeline(tuple(spans), self.fade, self.poses)

    def unguided(self) -> "Timeline":
        """The same with every weight of guidance 1."""
        return replace(self, spans=tuple(replace(span, guidance=Guidance(1.0, 1.0)) for span in self.spans))

    def cut(self, begin: int, end: int) -> "Timeline":
        """Frames ``begin`` to ``end``, counted from ``begin``; at least one span."""
        inside = [span for span in self.spans if span.begin < end and span.end > begin]
        inside = inside or [self.spans[0] if end <= self.spans[0].begin else self.spans[-1]]
        edges = [begin, *(span.begin for span in inside[1:]), end]
        spans = tuple(
            replace(span, begin=first - begin, end=last - begin)
            for span, (first, last) in zip(inside, pairwise(edges), strict=True)
        )
        poses = tuple(
            PlacedPose(pose.frame - begin, pose.root_height, pose.rotations, pose.ease)
            for pose in self.poses
            if begin <= pose.frame < end
        )
        return Timeline(spans, self.fade, poses)

    def record(self, fps: float) -> list[dict]:
        """What was asked for when, in seconds, as it is kept with a dance."""
        return [
            {
                "from": round(span.begin / fps, 4),
                "to": round(span.end / fps, 4),
                "genre": span.text.genre,
                "movements": list(span.text.movements),
                "prompt": span.prompt,
                "guidance": span.guidance._asdict(),
                "energy": span.energy.record(),
            }
            for span in self.spans
        ]

    def texts_over(self, frames: range) -> list[tuple[Span, Float[np.ndarray, " frames"]]]:
        """The spans that have a share in consecutive frames, in order, with their share of each frame.

        Shares of a frame sum to one. A model that takes a single text for the frames takes `leading`.
        """
        at = np.arange(frames.start, frames.stop)
        begun = [np.ones(len(at)), *(self._begun(at, span.begin) for span in self.spans[1:]), np.zeros(len(at))]
        shares = [(span, begun[i] - begun[i + 1]) for i, span in enumerate(self.spans)]
        return [(span, share) for span, share in shares if share.max(initial=0.0) > 0]

    def strengths_over(self, frames: range) -> Float[np.ndarray, "frames energies"]:
        """How strong each energy is in consecutive frames; a change takes as long as that of words."""
        shares = self.texts_over(frames)
        return sum(share[:, None] * np.array(span.energy) for span, share in shares) + np.zeros((len(frames), 1))

    def leading(self, frames: range) -> Span:
        """The span with the largest share in the frames."""
        return max(self.texts_over(frames), key=lambda item: float(item[1].sum()))[0]

    def _begun(self, at: np.ndarray, change: int) -> np.ndarray:
        return smoothstep((at - change) / self.fade + 0.5)


def follow(
    timeline: Timeline,
    denoiser: Denoiser,
    sound: Float[Tensor, "windows window music_channels"],
    plan: WindowPlan,
    *,
    begin: int,
    text_width: int,
    horizontal: Sequence[int],
    diffusion_steps: int,
    rows: int,
) -> Callable[[Tensor, int], Tensor]:
    """Predictor of clean windows, the first at frame ``begin``, that follows the timeline.

    Every window is predicted once for each text that has a share in it, in full, as in training; predictions are then
    mixed frame by frame, features that are places on the floor (``horizontal``) step by step. Windows with one text
    cost what they did without a timeline.

    Source: Petrovich et al. 2024 (STMC), section 3.2, in time alone. Differs: texts share a window's whole context.
    """
    starts = [begin + k * plan.hop for k in range(plan.count)]
    shares = [timeline.texts_over(range(start, start + plan.window)) for start in starts]
    items = [(k, span, share) for k, parts in enumerate(shares) for span, share in parts]
    # Rows with the same weights go through guidance together.
    groups: dict[Guidance, list[int]] = {}
    for row, (_, span, _) in enumerate(items):
        groups.setdefault(span.guidance, []).append(row)
    window_of = torch.tensor([k for k, _, _ in items], device=sound.device)
    predictors = []
    for wanted, chosen in groups.items():
        index = torch.tensor(chosen, device=sound.device)
        asked = conditions(sound[window_of[index]], [items[row][1].text for row in chosen], text_width)
        under = getattr(denoiser, "under", None)
        own, guidance = (denoiser, wanted) if under is None else under(wanted)
        predict = guided(
            own,
            asked,
            music_weight=guidance.music,
            text_weight=guidance.text,
            plain_below=round(guidance.until * diffusion_steps),
            rows=rows,
        )
        predictors.append((index, predict))
    if len(items) == plan.count and len(predictors) == 1:
        return predictors[0][1]
    weights = torch.from_numpy(np.stack([share for _, _, share in items])).float().to(sound.device)

    def mixed(noisy: Tensor, step: int) -> Tensor:
        outputs = noisy.new_empty(len(items), *noisy.shape[1:])
        for index, predict in predictors:
            outputs[index] = predict(noisy[window_of[index]], step).to(outputs.dtype)
        row, windows = 0, []
        for parts in shares:
            last = row + len(parts)
            windows.append(_mixed(outputs[row:last], weights[row:last], horizontal))
            row = last
        return torch.stack(windows)

    return mixed


def _mixed(
    predictions: Float[Tensor, "texts frames features"],
    weights: Float[Tensor, "texts frames"],
    horizontal: Sequence[int],
) -> Float[Tensor, "frames features"]:
    """One window from the predictions for its texts, in the order of time."""
    if len(predictions) == 1:
        return predictions[0]
    mixed = (weights[..., None] * predictions).sum(0)
    # Paths are mixed as steps: the later text goes on from where the earlier one has got to.
    steps = (weights[:, 1:, None] * predictions[..., list(horizontal)].diff(dim=1)).sum(0)
    for column, step in zip(horizontal, steps.unbind(-1), strict=True):
        mixed[1:, column] = mixed[0, column] + step.cumsum(0)
    return mixed


def conditions(sound: Tensor, texts: Sequence[TextPrompt], text_width: int) -> Conditions:
    """One row of music and one text each; shorter texts are padded with tokens that are masked.

    The first token is the genre's, and masked where a text has none.
    """
    tokens = 1 + max(len(text.embeddings) for text in texts)
    embeddings = torch.zeros(len(texts), tokens, text_width)
    mask = torch.zeros(len(texts), tokens, dtype=torch.bool)
    for row, text in enumerate(texts):
        first = 0 if text.genre is not None else 1
        places = slice(first, first + len(text.embeddings))
        embeddings[row, places] = torch.from_numpy(text.embeddings)
        mask[row, places] = True
    keep = torch.ones(len(texts), dtype=torch.bool)
    return Conditions(sound, *(part.to(sound.device) for part in (embeddings, mask, keep)))


def pose_constraints(
    timeline: Timeline, plan: WindowPlan, layout: Layout, normaliser: Normaliser, *, begin: int
) -> list[Constraint]:
    """The timeline's poses, for windows of which the first is at frame ``begin``."""
    found = []
    for pose in timeline.poses:
        places = [
            (k, pose.frame - begin - k * plan.hop)
            for k in range(plan.count)
            if 0 <= pose.frame - begin - k * plan.hop < plan.window
        ]
        if places:
            found.append(_pose_constraint(pose, places, plan, layout, normaliser))
    return found


def _pose_constraint(
    pose: PlacedPose, places: list[tuple[int, int]], plan: WindowPlan, layout: Layout, normaliser: Normaliser
) -> Constraint:
    device = normaliser.mean.device
    height = layout["root_position"].start + 1
    held = torch.zeros(layout.width, dtype=torch.bool)
    held[layout["rotations"]] = True
    held[height] = True
    mask = torch.zeros(plan.count, plan.window, layout.width)
    for k, at in places:
        away = (torch.arange(plan.window) - at).abs() / max(1, pose.ease)
        mask[k] = (0.5 + 0.5 * torch.cos(torch.pi * away.clamp(max=1.0)))[:, None] * held
    matrices = torch.from_numpy(pose.rotations).to(device, torch.float32)

    def value(clean: Tensor) -> Tensor:
        result = clean.clone()
        for k, at in places:
            _, present = layout.pose(normaliser.denormalise(clean[k, at]))
            turned = matrices.clone()
            turned[0] = _about_up(_heading(present[0]) - _heading(matrices[0])) @ matrices[0]
            root = torch.tensor([0.0, pose.root_height, 0.0], device=device)
            features = torch.zeros(layout.width, device=device)
            features[layout["root_position"].start :] = layout.pose_features(root, turned)
            # Only the columns that the mask names are taken.
            result[k] = normaliser.normalise(features)
        return result

    return Constraint(mask=mask.to(device), value=value)


def _heading(rotation: Float[Tensor, "3 3"]) -> Float[Tensor, ""]:
    """Radians about the vertical by which a rotation turns away from +z."""
    return torch.atan2(rotation[0, 2], rotation[2, 2])


def _about_up(yaw: Float[Tensor, ""]) -> Float[Tensor, "3 3"]:
    return rot.matrix_from_axis_angle(torch.stack((torch.zeros_like(yaw), yaw, torch.zeros_like(yaw))))
