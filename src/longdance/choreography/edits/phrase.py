"""A dance by plan after its plan was changed; what did not change stays, moved to where it now begins."""

from dataclasses import replace

import numpy as np
import torch

from longdance.choreography.dancer import Dancer
from longdance.choreography.devices import device_of
from longdance.choreography.edits.making import Part, all_joints, expect_editor, heard, noted, words_of
from longdance.choreography.long.stretches import Held
from longdance.choreography.phrases.dancing import planned
from longdance.choreography.phrases.laying import Laid, lay
from longdance.choreography.phrases.plan import Plan
from longdance.choreography.phrases.shelf import open_library
from longdance.choreography.request import DanceRequest
from longdance.choreography.seams import closed, met
from longdance.errors import InputError
from longdance.motion.directions import heading, turn_about
from longdance.motion.filters import runs
from longdance.motion.motion import Motion
from longdance.progress import Progress

REGISTER = {
    "edit": {
        "phrase": {
            "make": "change_phrase", "about": "swap, mirror or repeat a phrase of its plan", "order": 8,
            "needs": ("phrase",), "takes": ("swap", "mirrored", "repeat"),
        },
        "plan": {"make": "dance_plan", "about": "dance a plan that was changed", "order": 9, "needs": ("plan",)},
        "plan_again": {
            "make": "dance_again", "about": "plan anew around locked phrases", "order": 10, "needs": ("plan",),
        },
    },
}  # fmt: skip
TRIES = 8
"""Seeds that are tried for a plan that is another one."""
SAME = 1e-6
"""Largest difference of a rotation's entries between frames that are the same."""


def change_phrase(
    dance: Motion,
    dancer: Dancer,
    request: DanceRequest,
    *,
    phrase: int,
    swap: str | None = None,
    mirrored: bool = False,
    repeat: bool = False,
    progress: Progress | None = None,
) -> Motion:
    """The dance with phrase ``phrase`` of its plan, counted from 1, exchanged for the one named ``swap``, ``mirrored``,
    or danced again in place of the next one (``repeat``). ``InputError`` for a dance without a plan.
    """
    if (swap is not None) + mirrored + repeat != 1:
        raise InputError("expected one of swap, mirror and repeat for a phrase")
    plan = Plan.of_record(dance.meta.get("plan"))
    if swap is not None:
        plan = plan.swapped(phrase, swap, counts=open_library(plan.library).phrase(swap).counts)
    else:
        plan = plan.mirrored(phrase) if mirrored else plan.repeated(phrase)
    made, redone = _by_plan(dance, dancer, request, plan, progress)
    return noted(made, {"phrase": phrase, "swap": swap, "mirrored": mirrored, "repeat": repeat, "redo": redone})


def dance_plan(
    dance: Motion, dancer: Dancer, request: DanceRequest, *, plan: Plan, progress: Progress | None = None
) -> Motion:
    """The dance by another plan: only what changed is made anew, the rest is moved to where it now begins.

    ``InputError`` for a dance without a plan and for a plan of phrases that its library does not have.
    """
    plan = replace(plan, seed=Plan.of_record(dance.meta.get("plan")).seed)
    made, redone = _by_plan(dance, dancer, request, plan, progress)
    return noted(made, {"redo": redone})


def dance_again(
    dance: Motion, dancer: Dancer, request: DanceRequest, *, plan: Plan, progress: Progress | None = None
) -> Motion:
    """The dance by a new plan, which the seed of the ``request`` draws; blocks of ``plan`` that are locked stay.

    If that seed draws ``plan`` once more, the next ones are tried. It is planned for the words that the dance was made
    with, or those of the ``request``. ``InputError`` for a dance without a plan, and where its library has no phrases
    for the words.
    """
    timeline = words_of(dance, dance.frames, dancer, request, dancer.expect_possible(request))
    song, new = heard(dance, request), plan
    for seed in range(request.seed, request.seed + TRIES):
        laid, notes = planned(
            song, timeline, frames=dance.frames, fps=dance.fps, seed=seed, library=plan.library,
            locked=[block for block in plan.blocks if block.locked],
        )  # fmt: skip
        if laid is None:
            raise InputError("; ".join(notes))
        new = laid.plan
        if new.blocks != plan.blocks:
            break
    made, redone = _by_plan(dance, dancer, request, new, progress)
    return noted(made, {"seed": new.seed, "redo": redone})


def _by_plan(
    dance: Motion, dancer: Dancer, request: DanceRequest, plan: Plan, progress: Progress | None
) -> tuple[Motion, list[tuple[float, float]]]:
    """The dance by another plan, and the stretches (seconds) that were made anew."""
    old, song = Plan.of_record(dance.meta.get("plan")), heard(dance, request)
    strictness = dance.meta.get("phrases", 1.0)
    if not isinstance(strictness, int | float) or not 0 < strictness <= 1:
        raise InputError(f"expected a strictness from 0 to 1 under phrases in the dance's record, got {strictness!r}")
    library = open_library(plan.library)
    before, after = (lay(each, library, song, frames=dance.frames, fps=dance.fps) for each in (old, plan))
    changed = differing(before, after)
    made = _moved(dance, before.motion, after, changed)
    if strictness < 1 and changed.any():
        made = _danced(made, dancer, request, after, changed, float(strictness), progress)
    record = {"plan": after.plan.record(song), "phrases": strictness}
    redone = [(round(begin / dance.fps, 4), round(end / dance.fps, 4)) for begin, end in runs(changed)]
    return replace(made, meta=dance.meta | record), redone


def differing(before: Laid, after: Laid) -> np.ndarray:
    """(frames,) booleans: where two plans give other poses; seen from elsewhere, the same is the same."""
    apart = np.abs(before.motion.rotations[:, 1:] - after.motion.rotations[:, 1:]).max((1, 2, 3)) > SAME
    lower = np.abs(before.motion.root_position[:, 1] - after.motion.root_position[:, 1]) > SAME
    return apart | lower


def _moved(dance: Motion, before: Motion, after: Laid, changed: np.ndarray) -> Motion:
    """The dance with the changed frames of ``after``, its others turned and moved to where they now are."""
    new = after.motion.first_joints(dance.skeleton)
    root, rotations = new.root_position.copy(), new.rotations.copy()
    kept = ~changed
    turns = new.rotations[:, 0] @ np.swapaxes(before.rotations[:, 0], -1, -2)
    yaw = heading(turns)
    turned = turn_about(np.array([[0.0, 1.0, 0.0]]), yaw)
    rotations[kept] = dance.rotations[kept]
    rotations[kept, 0] = (turned @ dance.rotations[:, 0])[kept]
    moved = np.einsum("fij,fj->fi", turned, dance.root_position - before.root_position) + after.motion.root_position
    same = kept & (np.abs(yaw) < SAME) & (np.abs(before.root_position - after.motion.root_position).max(1) < SAME)
    root[kept] = moved[kept]
    root[same], rotations[same] = dance.root_position[same], dance.rotations[same]
    return replace(dance, root_position=root, rotations=rotations)


def _danced(
    made: Motion,
    dancer: Dancer,
    request: DanceRequest,
    laid: Laid,
    changed: np.ndarray,
    strictness: float,
    progress: Progress | None,
) -> Motion:
    """The changed frames danced by the network, drawn to the plan; all others stay."""
    layout = dancer.checkpoint.layout
    expect_editor(dancer, made, Part(changed, all_joints(made)))
    if made.fps != dancer.fps:
        raise InputError(f"expected a dance at {dancer.fps:g} fps, as {dancer.name} makes, got {made.fps:g}")
    sampling, song = dancer.expect_possible(request), heard(made, request)
    mask = np.where(changed, np.where(laid.recorded, strictness, 0.0), 1.0)
    track = torch.from_numpy(layout.encode(made.first_joints(layout.skeleton)))
    held = Held(track, torch.from_numpy(mask).float()[:, None].expand(-1, layout.width).contiguous())
    features = dancer.generator.inpaint(
        dancer.conditioner.with_cues(song, made.frames), words_of(made, made.frames, dancer, request, sampling), held,
        sampling=sampling, device=device_of(request.device), progress=progress,
    )  # fmt: skip
    anew = closed(layout.decode(features, made.fps), changed)
    return met(made, anew, changed, first=0, joints=np.ones(len(made.skeleton), bool), path=True)
