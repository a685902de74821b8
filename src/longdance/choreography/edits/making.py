"""Making a part of a dance anew while the rest stays.

Everything comes from one mechanism: the dance around a stretch is held by constraints while the denoiser fills the
rest, so that it knows what comes before and after. What was not asked to change is copied back afterwards and is the
same to the last bit; what is new is bent, within the edited frames, to meet it without a jolt.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool

from longdance.choreography.dancer import Dancer, contacts_of
from longdance.choreography.devices import device_of
from longdance.choreography.long.stretches import Held, Sampling
from longdance.choreography.record import beats_of, timeline_of
from longdance.choreography.request import DanceRequest
from longdance.choreography.seams import closed, met
from longdance.choreography.timeline import Span, Timeline
from longdance.choreography.words import Words
from longdance.cleanup.feet import FeetLocked
from longdance.cleanup.floor import OnFloor
from longdance.cleanup.passage import Passage
from longdance.cleanup.pipeline import Cleanup
from longdance.cleanup.root import RootLed
from longdance.errors import InputError
from longdance.features.song import Song, SongCorrections
from longdance.motion import filters
from longdance.motion.filters import runs
from longdance.motion.ik import reach_ankles
from longdance.motion.layout import Layout
from longdance.motion.motion import Motion
from longdance.motion.skeleton import Skeleton
from longdance.progress import Progress

LOWER = ("pelvis", *(f"{side}_{joint}" for side in ("left", "right") for joint in ("hip", "knee", "ankle", "foot")))
"""Joints of the lower body; with them goes the path over the floor. All others are the upper body."""

Range = tuple[float, float]
"""Seconds from the first frame: from, to."""


@dataclass(frozen=True, eq=False)
class Part:
    """What of a dance may change."""

    frames: Bool[np.ndarray, " frames"]
    joints: Bool[np.ndarray, " joints"]
    keep_feet: bool = False
    """Whether the feet stay where they are."""

    @property
    def path(self) -> bool:
        """Whether the path over the floor changes."""
        return bool(self.joints[0]) and not self.keep_feet

    def cleanup(self, whole: Cleanup) -> Cleanup:
        """The steps that may be taken: not those that would move what stays."""
        return whole if self.path else whole.without(OnFloor, RootLed, FeetLocked)


def all_joints(dance: Motion) -> Bool[np.ndarray, " joints"]:
    """All of them may change."""
    return np.ones(len(dance.skeleton), bool)


def song_of(dance: Motion, path: str | os.PathLike) -> Song:
    """The song from where the dance begins in it, at the tempo that the dance was made for."""
    start = dance.meta.get("start", 0.0)
    if not isinstance(start, int | float) or isinstance(start, bool) or not 0 <= start < float("inf"):
        raise InputError(f"expected seconds under start in the dance's record, got {start!r}")
    song = Song.load(path, start=float(start))
    tempo, beats = dance.meta.get("tempo_bpm"), beats_of(dance)
    if isinstance(tempo, float) and tempo > 0 and beats and abs(song.tempo_bpm / tempo - 1) > 0.01:
        # Whoever made the dance set the tracker right.
        corrections = SongCorrections(bpm=tempo, beat_offset=float(start) + beats[0])
        song = Song.load(path, start=float(start), corrections=corrections)
    return song


def heard(dance: Motion, request: DanceRequest) -> Song:
    """The song of an edit, from where the dance begins; a request may bring it measured already."""
    if isinstance(request.song, Song):
        return request.song
    if request.song is None:
        raise InputError("expected the song of the dance, got none")
    return song_of(dance, request.song)


def remade(
    dance: Motion, dancer: Dancer, request: DanceRequest, part: Part, *, progress: Progress | None = None
) -> Motion:
    """The dance with a ``part`` of it made anew, all else unchanged.

    ``InputError`` for a model that cannot, and for a dance that it has no joints for.
    """
    layout, fps = dancer.checkpoint.layout, dancer.fps
    expect_editor(dancer, dance, part)
    sampling = dancer.expect_possible(request)
    # The model sees the dance at its own frame rate and in its own proportions.
    count = max(1, round(dance.seconds * fps))
    seen = replace(_at_times(dance, np.arange(count) / fps, fps), skeleton=layout.skeleton)
    seen_free = part.frames[np.minimum(np.round(np.arange(count) * dance.fps / fps).astype(int), dance.frames - 1)]
    timeline = words_of(dance, count, dancer, request, sampling)
    music = dancer.conditioner.with_cues(heard(dance, request), count)
    track = torch.from_numpy(layout.encode(seen))
    mask = torch.from_numpy(_held_columns(layout, seen_free, part)).float()
    window, edited = dancer.generator.window, dance
    regions = _regions(seen_free, window)
    for number, (begin, end) in enumerate(regions):

        def part_done(done: int, total: int, what: str, number=number) -> None:
            if progress is not None:
                progress(number * total + done, len(regions) * total, what)

        features = dancer.generator.inpaint(
            music[begin:], timeline.cut(begin, end + window), Held(track[begin:end], mask[begin:end]),
            sampling=sampling, device=device_of(request.device), progress=part_done,
        )  # fmt: skip
        made = closed(layout.decode(features, fps), seen_free[begin:end])
        passage = Passage(made, contacts_of(features, layout))
        if (refinement := dancer.refinement_for(request)) is not None:
            passage = refinement.whole(passage)
        cleanup = part.cleanup(dancer.cleanup_for(request))
        made = cleanup.without(FeetLocked).whole(passage).motion
        edited = _put_in(dance, edited, made, begin / fps, part, cleanup.only(FeetLocked))
    notes = dict.fromkeys(note for span in timeline.spans for note in span.text.notes)
    return replace(edited, meta=edited.meta | {"notes": list(notes)})


def expect_editor(dancer: Dancer, dance: Motion, part: Part) -> None:
    """``InputError`` for a model that cannot make this part of this dance anew."""
    names, layout = dance.skeleton.names, dancer.checkpoint.layout
    if not dancer.capabilities.edits:
        raise InputError(f"expected a model that makes stretches anew, got {dancer.name}; try edmg or lodge")
    if not dancer.capabilities.joints and not part.joints.all():
        raise InputError(f"expected a model that makes joints apart, got {dancer.name}; try edmg, or all joints")
    if names != layout.skeleton.names:
        raise InputError(
            f"expected a dance with the {len(layout.skeleton)} joints of {dancer.name}, got {len(names)} others; try "
            "the model that made it"
        )


def _put_in(dance: Motion, edited: Motion, made: Motion, start: float, part: Part, locking: Cleanup) -> Motion:
    """``edited`` with the free frames that ``made`` has, which begins at ``start`` seconds of the ``dance``.

    ``locking`` is left of the cleanup: feet come last, after the seams.
    """
    first = int(np.ceil(start * dance.fps - 1e-6))
    stop = (start + made.seconds) * dance.fps
    last = dance.frames if stop > dance.frames - 1 else int(np.ceil(stop - 1e-6))
    made = replace(_at_times(made, np.arange(first, last) / dance.fps - start, dance.fps), skeleton=dance.skeleton)
    inside = np.zeros(dance.frames, bool)
    inside[first:last] = part.frames[first:last]
    edited = met(edited, made, inside, first=first, joints=part.joints, path=part.path)
    if part.keep_feet:
        return _on_its_feet(dance, edited, inside, slice(first, last), part.joints)
    if locking.steps:
        settled = locking.whole(Passage(edited.slice(first, last))).motion
        legs = part.joints | free_joints("lower", dance.skeleton)
        return met(edited, settled, inside, first=first, joints=legs, path=True)
    return edited


def _on_its_feet(dance: Motion, edited: Motion, free: np.ndarray, region: slice, joints: np.ndarray) -> Motion:
    """``edited`` with legs that reach to where the feet of ``dance`` are, in its free frames."""
    positions, turns = dance.slice(region.start, region.stop).forward_kinematics()
    ankles = [dance.skeleton.index(f"{side}_ankle") for side in ("left", "right")]
    places, feet = positions[:, ankles], turns[:, ankles]
    lower = joints | free_joints("lower", dance.skeleton)
    # First the pelvis to where both legs can reach, meeting what is kept; then the legs alone, which need no seam.
    moved = reach_ankles(edited.slice(region.start, region.stop), places, foot_rotations=feet)
    edited = met(edited, moved, free, first=region.start, joints=lower, path=True)
    reached = reach_ankles(edited.slice(region.start, region.stop), places, foot_rotations=feet, shift_pelvis=False)
    rotations, inside = edited.rotations.copy(), free[region]
    rotations[region][inside] = reached.rotations[inside]
    return replace(edited, rotations=rotations)


def _held_columns(layout: Layout, free: np.ndarray, part: Part) -> np.ndarray:
    """(frames, width) booleans: which features the edit may not change."""
    columns = layout.joint_columns(
        tuple(name for name, chosen in zip(layout.skeleton.names, part.joints, strict=True) if chosen)
    )
    if part.path:  # the path over the floor belongs to the pelvis
        columns[layout["root_position"]] = True
        columns[layout["contact"]] = True
    return ~(free[:, None] & columns)


def _regions(free: np.ndarray, window: int) -> list[tuple[int, int]]:
    """What the denoiser has to see: every run of free frames with a third of a window around, at least a window."""
    frames = len(free)
    regions: list[tuple[int, int]] = []
    for begin, end in runs(free):
        around = max(window // 3, (window - (end - begin) + 1) // 2)
        low, high = max(0, begin - around), min(frames, end + around)
        low, high = max(0, min(low, high - window)), min(frames, max(high, low + window))
        if regions and low < regions[-1][1]:
            low = regions.pop()[0]
        regions.append((low, high))
    return regions


def words_of(dance: Motion, frames: int, dancer: Dancer, request: DanceRequest, sampling: Sampling) -> Timeline:
    """What to dance when: the words of the request, or those that the dance's record holds."""
    resolve = dancer.conditioner.words
    if any(request.words):
        text = resolve(request.words)
        return Timeline.whole(frames, text, sampling.guidance, prompt=request.prompt, energy=sampling.energy)
    parts = timeline_of(dance) or [{**dance.meta, "from": 0.0}]
    spans: list[Span] = []
    starts = [round(float(part.get("from", 0.0)) * dancer.fps) for part in parts]
    edges = [0, *(min(max(start, 1), frames) for start in starts[1:]), frames]
    for part, begin, end in zip(parts, edges[:-1], edges[1:], strict=True):
        if end > begin:
            text = resolve(Words(part.get("genre"), tuple(part.get("movements") or ()), part.get("prompt")))
            spans.append(Span(begin, end, text, sampling.guidance, part.get("prompt"), sampling.energy))
    return Timeline(tuple(spans)).joined()


def free_joints(joints: str | Sequence[str], skeleton: Skeleton) -> Bool[np.ndarray, " joints"]:
    """Which joints an edit may change: all, upper, lower, or names; ``InputError`` for unknown ones."""
    names = [part.strip() for part in joints.split(",")] if isinstance(joints, str) else list(joints)
    chosen = np.zeros(len(skeleton), bool)
    for name in names:
        if name == "all":
            chosen[:] = True
        elif name in ("upper", "lower"):
            chosen |= np.array([(joint in LOWER) == (name == "lower") for joint in skeleton.names])
        elif name in skeleton.names:
            chosen[skeleton.index(name)] = True
        else:
            raise InputError(f"expected all, upper, lower or joints among {', '.join(skeleton.names)}, got {name!r}")
    return chosen


def nearest_beat(dance: Motion, at: float) -> float:
    """Seconds of the beat nearest to a time; the time itself where the dance knows no beats."""
    beats = beats_of(dance)
    return min(beats, key=lambda beat: abs(beat - at)) if beats else at


def frames_of(ranges: Sequence[Range], dance: Motion) -> Bool[np.ndarray, " frames"]:
    """Which frames lie in the ranges; (t, t) is the frame nearest to t."""
    chosen = np.zeros(dance.frames, bool)
    for begin, end in ranges:
        if not 0 <= begin <= end or begin >= dance.seconds:
            raise InputError(f"expected from:to within the {dance.seconds:.2f} s of the dance, got {begin:g}:{end:g}")
        first, last = round(begin * dance.fps), round(min(end, dance.seconds) * dance.fps)
        first = min(first, dance.frames - 1)
        chosen[first : max(last, first + 1)] = True
    return chosen


def _at_times(motion: Motion, times: np.ndarray, fps: float) -> Motion:
    """The motion at ``times`` (seconds from its first frame) as frames of another rate; unchanged at its own frames."""
    at = np.clip(times * motion.fps, 0, motion.frames - 1)
    if np.abs(at - np.round(at)).max(initial=0.0) < 1e-6 and fps == motion.fps:
        index = np.round(at).astype(int)
        return replace(motion, root_position=motion.root_position[index], rotations=motion.rotations[index])
    if fps < motion.fps:
        motion = motion.low_pass(0.4 * fps)
    rotations = filters.interpolate_rotations(motion.rotations, at)
    if fps > motion.fps:
        rotations = filters.low_pass_rotations(rotations, fps, cutoff=0.4 * motion.fps)
    return replace(motion, root_position=filters.interpolate(motion.root_position, at), rotations=rotations, fps=fps)


def noted(dance: Motion, record: dict) -> Motion:
    """The dance with one more edit in its record."""
    earlier = dance.meta.get("edits")
    return replace(dance, meta=dance.meta | {"edits": [*(earlier if isinstance(earlier, list) else ()), record]})
