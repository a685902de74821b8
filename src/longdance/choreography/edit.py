"""Changing a dance that is there: redo a stretch, in-between key frames, go on, blend, mirror, another tempo.

Everything that is made anew comes from one mechanism: the dance around it is held by constraints while the denoiser
fills the rest, so that it knows what comes before and after. What was not asked to change is copied back afterwards and
is the same to the last bit; what is new is bent, within the edited frames, to meet it without a jolt.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool
from scipy.interpolate import PchipInterpolator

from longdance.choreography.edmg import DEFAULT_GUIDANCE, DEFAULT_REFINEMENT, EDMG
from longdance.choreography.footing import follow_feet, grounded
from longdance.choreography.longform import Held, Progress, stretches
from longdance.choreography.refine import RefineConfig, refine
from longdance.choreography.timeline import Span, Timeline
from longdance.choreography.timing import LARGEST_CHANGE, LARGEST_SHIFT, beat_shifts
from longdance.diffusion.guidance import Guidance
from longdance.errors import InputError
from longdance.features.song import Song
from longdance.motion import filters
from longdance.motion import rotations as rot
from longdance.motion.ik import lock_feet, reach_ankles
from longdance.motion.motion import Motion
from longdance.motion.skeleton import Skeleton

SEAM = 0.8
"""Seconds of the edited stretch over which it is bent to meet what was kept."""
PACE = 3
"""Frames into an edited stretch over which its pace at a seam is measured."""
BLEND = 1.0
"""Seconds before and after a beat in which one dance becomes another."""
LOWER = ("pelvis", *(f"{side}_{joint}" for side in ("left", "right") for joint in ("hip", "knee", "ankle", "foot")))
"""Joints of the lower body; with them goes the path over the floor. All others are the upper body."""
TEMPO_RANGE = (0.5, 2.0)

Range = tuple[float, float]
"""Seconds from the first frame: from, to."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What an edit asks for; words that are not given are those that the dance was made with."""

    genre: str | None = None
    movement: str | Sequence[str] | None = None
    prompt: str | None = None
    guidance: Guidance = DEFAULT_GUIDANCE
    seed: int = 0
    steps: int | None = None
    sampler: str | None = None
    """The model's own, like its steps, if not given."""
    refinement: RefineConfig | None = DEFAULT_REFINEMENT
    device: str = "auto"


A_WISH = Wish()


def song_of(dance: Motion, path: str | os.PathLike) -> Song:
    """The song from where the dance begins in it, at the tempo that the dance was made for."""
    start = dance.meta.get("start", 0.0)
    if not isinstance(start, int | float) or isinstance(start, bool) or not 0 <= start < float("inf"):
        raise InputError(f"expected seconds under start in the dance's record, got {start!r}")
    song = Song.load(path, start=float(start))
    tempo, beats = dance.meta.get("tempo_bpm"), _beats(dance)
    if isinstance(tempo, float) and tempo > 0 and beats and abs(song.tempo_bpm / tempo - 1) > 0.01:
        # Whoever made the dance set the tracker right.
        song = Song.load(path, start=float(start), bpm=tempo, beat_offset=float(start) + beats[0])
    return song


def redo(
    dance: Motion,
    model: EDMG,
    *,
    song: Song,
    stretches_of: Sequence[Range],
    keep: Sequence[Range] = (),
    joints: str | Sequence[str] = "all",
    keep_feet: bool = False,
    wish: Wish = A_WISH,
    progress: Progress | None = None,
) -> Motion:
    """The dance with the stretches made anew, but for what lies in ``keep``; a (t, t) there keeps one key frame.

    ``joints`` (all, upper, lower, or names) are free, the others stay as they are; ``keep_feet`` makes everything but
    where the feet are. ``song`` begins where the dance does. ``InputError`` for a dance that the model has no joints
    for, and where nothing is left to do.
    """
    free = _frames_of(stretches_of, dance) & ~_frames_of(keep, dance)
    if not free.any():
        raise InputError("expected a stretch of the dance to make anew, got none; try --redo from:to within the dance")
    what = free_joints(joints, dance.skeleton)
    edited = _remade(dance, model, song, free, what, keep_feet, wish, progress)
    ranges = [[round(float(a) / dance.fps, 4), round(float(b) / dance.fps, 4)] for a, b in _runs(free)]
    names = [name for name, chosen in zip(dance.skeleton.names, what, strict=True) if chosen]
    return _noted(
        edited,
        {"redo": ranges, "joints": "all" if what.all() else names, "keep_feet": keep_feet, "seed": wish.seed,
         "genre": wish.genre, "prompt": wish.prompt},
    )  # fmt: skip


def in_between(dance: Motion, model: EDMG, *, song: Song, keys: Sequence[Range], **options) -> Motion:
    """A dance through the given ranges or key frames (t, t) of ``dance``; options are those of ``redo``."""
    return redo(dance, model, song=song, stretches_of=[(0.0, dance.seconds)], keep=keys, **options)


def from_here_on(dance: Motion, model: EDMG, *, song: Song, at: float, wish: Wish, **options) -> Motion:
    """The dance with something else, such as another genre, from the beat nearest to ``at`` seconds to its end."""
    return redo(dance, model, song=song, stretches_of=[(nearest_beat(dance, at), dance.seconds)], wish=wish, **options)


def go_on(
    dance: Motion,
    model: EDMG,
    *,
    song: Song,
    seconds: float,
    wish: Wish = A_WISH,
    progress: Progress | None = None,
) -> Motion:
    """The dance continued by ``seconds``; ``InputError`` where the song ends before."""
    if not 0 < seconds < float("inf"):
        raise InputError(f"expected more than 0 s to go on for, got {seconds:g}")
    frames = dance.frames + max(1, round(seconds * dance.fps))
    if frames / dance.fps > song.seconds + 1 / dance.fps:
        left = song.seconds - dance.seconds
        raise InputError(f"expected at most the {max(left, 0):.1f} s that the song still lasts, got {seconds:g} s")
    more = frames - dance.frames
    longer = replace(
        dance,
        root_position=np.concatenate((dance.root_position, np.repeat(dance.root_position[-1:], more, axis=0))),
        rotations=np.concatenate((dance.rotations, np.repeat(dance.rotations[-1:], more, axis=0))),
        meta=dance.meta | {"beat_times": [round(float(t), 4) for t in song.beat_times if 0 <= t < frames / dance.fps]},
    )
    free = np.arange(frames) >= dance.frames
    edited = _remade(longer, model, song, free, np.ones(len(dance.skeleton), bool), False, wish, progress)
    return _noted(edited, {"continued_from": round(dance.seconds, 4), "seed": wish.seed})


def blend(
    first: Motion,
    second: Motion,
    model: EDMG,
    *,
    song: Song,
    at: float,
    wish: Wish = A_WISH,
    progress: Progress | None = None,
) -> Motion:
    """``first`` until the beat nearest to ``at`` seconds, ``second`` after it, ``BLEND`` seconds on either side new.

    Both are dances to the same song; ``second`` is turned and moved to where ``first`` stands on that beat, and
    otherwise unchanged.
    """
    if second.skeleton.names != first.skeleton.names:
        raise InputError("expected two dances with the same joints; try retargeting one of them")
    second = second.resample(first.fps)
    at = nearest_beat(first, at)
    frame = round(at * first.fps)
    if not 0 < frame < min(first.frames, second.frames) - 1:
        raise InputError(f"expected a beat within both dances, got {at:.2f} s of {first.seconds:.1f} and "
                         f"{second.seconds:.1f} s")  # fmt: skip
    turned = second.turn(_heading(first.rotations[frame, 0]) - _heading(second.rotations[frame, 0]))
    shift = (first.root_position[frame] - turned.root_position[frame]) * np.array([1.0, 0.0, 1.0])
    both = replace(
        first,
        root_position=np.concatenate((first.root_position[:frame], turned.root_position[frame:] + shift)),
        rotations=np.concatenate((first.rotations[:frame], turned.rotations[frame:])),
    )
    free = np.abs(np.arange(both.frames) - frame) < round(BLEND * first.fps)
    edited = _remade(both, model, song, free, np.ones(len(first.skeleton), bool), False, wish, progress)
    return _noted(edited, {"blended_at": round(at, 4), "with": second.meta.get("song"), "seed": wish.seed})


def mirror(dance: Motion) -> Motion:
    """The dance in a mirror: left and right exchanged."""
    return _noted(dance.mirror(), {"mirrored": True})


def at_tempo(dance: Motion, bpm: float) -> Motion:
    """The dance at another tempo: the same movement, faster or slower, its beats with it.

    ``InputError`` where the dance does not know its tempo, or for less than half and more than twice of it. The song no
    longer fits; the record says so.
    """
    tempo = dance.meta.get("tempo_bpm")
    if not isinstance(tempo, int | float) or isinstance(tempo, bool) or not tempo > 0:
        raise InputError("expected a dance that knows its tempo (tempo_bpm in its record); try a dance by longdance")
    ratio = bpm / tempo
    if not TEMPO_RANGE[0] <= ratio <= TEMPO_RANGE[1]:
        low, high = (tempo * edge for edge in TEMPO_RANGE)
        raise InputError(f"expected a tempo from {low:.0f} to {high:.0f} BPM for this dance, got {bpm:g}")
    frames = max(1, round(dance.frames / ratio))
    at = np.minimum(np.arange(frames) * ratio, dance.frames - 1)
    meta = dict(dance.meta)
    meta["tempo_bpm"] = round(float(bpm), 3)
    meta["beat_times"] = [round(t / ratio, 4) for t in _beats(dance) if t / ratio < frames / dance.fps]
    meta["song"] = None
    if parts := _timeline_record(dance):
        meta["timeline"] = [
            part | {key: round(part[key] / ratio, 4) for key in ("from", "to") if key in part} for part in parts
        ]
    moved = replace(
        dance,
        root_position=filters.interpolate(dance.root_position, at),
        rotations=filters.interpolate_rotations(dance.rotations, at),
        meta=meta,
    )
    return _noted(moved, {"tempo_from": round(float(tempo), 3), "tempo_to": round(float(bpm), 3)})


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
    beats = _beats(dance)
    return min(beats, key=lambda beat: abs(beat - at)) if beats else at


# --- making ------------------------------------------------------------------------------------------------------


def _remade(
    dance: Motion,
    model: EDMG,
    song: Song,
    free: Bool[np.ndarray, " frames"],
    joints: Bool[np.ndarray, " joints"],
    keep_feet: bool,
    wish: Wish,
    progress: Progress | None,
) -> Motion:
    """The dance with its ``free`` frames of the free ``joints`` made anew, all else unchanged."""
    layout = model.checkpoint.layout
    if type(model)._dance is not EDMG._dance:
        raise InputError(f"expected a model that dances window by window, got {model.name}; try edmg")
    if dance.skeleton.names != layout.skeleton.names:
        raise InputError(
            f"expected a dance with the {len(layout.skeleton)} joints of {model.name}, got {len(dance.skeleton)} others"
        )
    sampling = model.sampling(seed=wish.seed, steps=wish.steps, sampler=wish.sampler)
    # The model sees the dance at its own frame rate and in its own proportions.
    count = max(1, round(dance.seconds * model.fps))
    seen = replace(_at_times(dance, np.arange(count) / model.fps, model.fps), skeleton=layout.skeleton)
    seen_free = free[np.minimum(np.round(np.arange(count) * dance.fps / model.fps).astype(int), dance.frames - 1)]
    timeline, music = _timeline(dance, count, model, wish), model._music(song, count)
    held = Held(
        torch.from_numpy(layout.encode(seen)),
        torch.from_numpy(_held_columns(model, seen_free, joints, keep_feet)).float(),
    )
    regions, edited = _regions(seen_free, model), dance
    for number, (begin, end) in enumerate(regions):

        def part_done(done: int, total: int, what: str, number=number) -> None:
            if progress is not None:
                progress(number * total + done, len(regions) * total, what)

        plan = model.plan(end - begin)
        frames = slice(begin, begin + plan.frames)
        parts = stretches(
            model.on(wish.device),
            _lengthened(music[frames], plan.frames),
            timeline.cut(begin, begin + plan.frames),
            plan,
            sampling=sampling,
            # What is beyond the region is free, and thrown away.
            held=Held(_lengthened(held.track[begin:end], plan.frames), _padded(held.mask[begin:end], plan.frames)),
            progress=part_done,
        )
        features = np.concatenate([track for track, _ in parts])[: end - begin]
        made = _closed(layout.decode(features, model.fps), seen_free[begin:end])
        if wish.refinement is not None:
            beats = np.array(_beats(dance)) - begin / model.fps
            made = _smoothed(made, model, wish.refinement, seen_free[begin:end], beats, meet_beats=not keep_feet)
            if wish.refinement.lock_feet and joints[0] and not keep_feet:
                made = follow_feet(grounded(made), model._contacts(features))
        edited = _put_in(dance, edited, made, begin / model.fps, free, joints, keep_feet, wish)
    notes = dict.fromkeys(note for span in timeline.spans for note in span.text.notes)
    return replace(edited, meta=edited.meta | {"notes": list(notes)})


def _smoothed(
    made: Motion, model: EDMG, config: RefineConfig, free: np.ndarray, beats: np.ndarray, *, meet_beats: bool
) -> Motion:
    """Refined with what is around it; the time of kept frames does not bend, so beats are met run by run."""
    alone = config.model_copy(update={"meet_beats": False, "lock_feet": False})
    made = refine(made, None, alone, refiner=model.refiner)
    if not (config.meet_beats and meet_beats):
        return made
    at = np.arange(made.frames, dtype=np.float64)
    for begin, end in _runs(free):
        at[begin:end] += made.fps * _shifts(made.slice(begin, end), beats - begin / made.fps)
    return replace(
        made,
        root_position=filters.interpolate(made.root_position, at),
        rotations=filters.interpolate_rotations(made.rotations, at),
    )


def _shifts(run: Motion, beats: np.ndarray) -> np.ndarray:
    """Seconds by which each frame's time is bent so that pauses meet ``beats``; none, and no faster, at the ends."""
    if len(beats) < 2:
        return np.zeros(run.frames)
    end = (run.frames - 1) / run.fps
    margin = LARGEST_SHIFT / LARGEST_CHANGE * float(np.median(np.diff(beats)))
    beats = beats[(beats > margin) & (beats < end - margin)]
    if len(beats) < 2:
        return np.zeros(run.frames)
    # Knots at rest beyond the ends make the curve leave and arrive without a slope.
    knots = np.concatenate(([-1.0, 0.0], beats, [end, end + 1.0]))
    shifts = np.concatenate(([0.0, 0.0], beat_shifts(run.joints(), run.fps, beats), [0.0, 0.0]))
    return PchipInterpolator(knots, shifts)(np.arange(run.frames) / run.fps)


def _put_in(
    dance: Motion,
    edited: Motion,
    made: Motion,
    start: float,
    free: np.ndarray,
    joints: np.ndarray,
    keep_feet: bool,
    wish: Wish,
) -> Motion:
    """``edited`` with the free frames that ``made`` has, which begins at ``start`` seconds of the ``dance``."""
    first = int(np.ceil(start * dance.fps - 1e-6))
    stop = (start + made.seconds) * dance.fps
    last = dance.frames if stop > dance.frames - 1 else int(np.ceil(stop - 1e-6))
    made = replace(_at_times(made, np.arange(first, last) / dance.fps - start, dance.fps), skeleton=dance.skeleton)
    inside = np.zeros(dance.frames, bool)
    inside[first:last] = free[first:last]
    path = bool(joints[0]) and not keep_feet
    edited = _met(edited, made, inside, first=first, joints=joints, path=path)
    region = slice(first, last)
    if keep_feet:
        return _on_its_feet(dance, edited, inside, region, joints)
    if path and wish.refinement is not None and wish.refinement.lock_feet:
        settled = lock_feet(edited.slice(first, last))
        legs = joints | free_joints("lower", dance.skeleton)
        return _met(edited, settled, inside, first=first, joints=legs, path=True)
    return edited


def _on_its_feet(dance: Motion, edited: Motion, free: np.ndarray, region: slice, joints: np.ndarray) -> Motion:
    """``edited`` with legs that reach to where the feet of ``dance`` are, in its free frames."""
    positions, turns = dance.slice(region.start, region.stop).forward_kinematics()
    ankles = [dance.skeleton.index(f"{side}_ankle") for side in ("left", "right")]
    places, feet = positions[:, ankles], turns[:, ankles]
    lower = joints | free_joints("lower", dance.skeleton)
    # First the pelvis to where both legs can reach, meeting what is kept; then the legs alone, which need no seam.
    moved = reach_ankles(edited.slice(region.start, region.stop), places, foot_rotations=feet)
    edited = _met(edited, moved, free, first=region.start, joints=lower, path=True)
    reached = reach_ankles(edited.slice(region.start, region.stop), places, foot_rotations=feet, shift_pelvis=False)
    rotations, inside = edited.rotations.copy(), free[region]
    rotations[region][inside] = reached.rotations[inside]
    return replace(edited, rotations=rotations)


def _held_columns(model: EDMG, free: np.ndarray, joints: np.ndarray, keep_feet: bool) -> np.ndarray:
    """(frames, width) booleans: which features the edit may not change."""
    layout = model.checkpoint.layout
    columns = layout.joint_columns(
        tuple(name for name, chosen in zip(layout.skeleton.names, joints, strict=True) if chosen)
    )
    if joints[0] and not keep_feet:  # the path over the floor belongs to the pelvis
        columns[layout["root_position"]] = True
        columns[layout["contact"]] = True
    return ~(free[:, None] & columns)


def _regions(free: np.ndarray, model: EDMG) -> list[tuple[int, int]]:
    """What the denoiser has to see: every run of free frames with a third of a window around, at least a window."""
    window, frames = model.checkpoint.config.window, len(free)
    regions: list[tuple[int, int]] = []
    for begin, end in _runs(free):
        around = max(window // 3, (window - (end - begin) + 1) // 2)
        low, high = max(0, begin - around), min(frames, end + around)
        low, high = max(0, min(low, high - window)), min(frames, max(high, low + window))
        if regions and low < regions[-1][1]:
            low = regions.pop()[0]
        regions.append((low, high))
    return regions


def _timeline(dance: Motion, frames: int, model: EDMG, wish: Wish) -> Timeline:
    """What to dance when: the wish's words, or those that the dance's record holds."""
    if wish.genre or wish.movement or wish.prompt:
        text = model._prompt(wish.genre, wish.movement, wish.prompt)
        return Timeline.whole(frames, text, wish.guidance, prompt=wish.prompt)
    parts = _timeline_record(dance) or [{**dance.meta, "from": 0.0}]
    spans: list[Span] = []
    starts = [round(float(part.get("from", 0.0)) * model.fps) for part in parts]
    edges = [0, *(min(max(start, 1), frames) for start in starts[1:]), frames]
    for part, begin, end in zip(parts, edges[:-1], edges[1:], strict=True):
        if end > begin:
            text = model._prompt(part.get("genre"), part.get("movements"), part.get("prompt"))
            spans.append(Span(begin, end, text, wish.guidance, part.get("prompt")))
    return Timeline(tuple(spans)).joined()


# --- meeting what is kept ------------------------------------------------------------------------------------


def _met(dance: Motion, made: Motion, free: np.ndarray, *, first: int, joints: np.ndarray, path: bool) -> Motion:
    """``dance`` with the ``free`` frames of ``made``, which begins at frame ``first``, bent to meet the others.

    Position, velocity and acceleration are those of the kept frames at each seam, and what they differ by has faded
    after ``SEAM`` seconds; a difference of place on the floor is spread over the whole run, so that nobody glides.
    """
    root, rotations = dance.root_position.copy(), dance.rotations.copy()
    chosen = np.flatnonzero(joints)
    for begin, end in _runs(free):
        run = slice(begin - first, end - first)
        before = _kept_beside(free, begin - 1, -1, first)
        after = _kept_beside(free, end, 1, first + made.frames - 1)

        def turned(frames: list[int], made=made, first=first) -> np.ndarray:
            there = made.rotations[[frame - first for frame in frames]]
            return _angles(dance.rotations[frames][:, chosen], there[:, chosen])

        def moved(frames: list[int], made=made, first=first) -> np.ndarray:
            return dance.root_position[frames] - made.root_position[[frame - first for frame in frames]]

        count = end - begin
        bend = torch.from_numpy(_bend(turned(before), turned(after), count, dance.fps))
        rotations[begin:end, chosen] = rot.matrix_from_axis_angle(bend).numpy() @ made.rotations[run][:, chosen]
        if path:
            root[begin:end] = made.root_position[run] + _led(moved(before), moved(after), count, dance.fps)
    return replace(dance, root_position=root, rotations=rotations)


def _closed(made: Motion, free: np.ndarray) -> Motion:
    """``made`` without the jumps that a strongly guided denoiser leaves between held frames and its ``free`` ones.

    The free frames come to begin where the held ones were going, and to end where they go on from. This comes before
    smoothing, which would spread a jump over the held frames, where it could no longer be told from movement.
    """
    root, rotations = made.root_position.copy(), made.rotations.copy()
    last = made.frames - 1

    def apart(there: int, step: int, begin: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        """What the seam beside frame ``there`` lacks in place and pace, as ``_bend`` wants it: (3, ...) outwards.

        A jump dies away over some frames, so the pace of the free side is taken a little further in.
        """
        held, beyond = there + step, there + 2 * step
        inner = min(max(there - PACE * step, begin), end - 1)
        over = max(abs(inner - there), 1)
        went = (made.root_position[there] - made.root_position[inner]) / over
        turned = _angles(made.rotations[there], made.rotations[inner]) / over
        goes, turns = went, turned  # of a lone key frame any pace will do
        if 0 <= beyond <= last and not free[beyond]:
            goes = made.root_position[beyond] - made.root_position[held]
            turns = _angles(made.rotations[beyond], made.rotations[held])
        place = made.root_position[held] - goes - made.root_position[there]
        back = rot.matrix_from_axis_angle(torch.from_numpy(-turns)).numpy()
        angle = _angles(back @ made.rotations[held], made.rotations[there])
        pace, spin = went - goes, turned - turns
        outwards = np.arange(3.0)
        return place - outwards[:, None] * pace, angle - outwards[:, None, None] * spin

    for begin, end in _runs(free):
        none = (np.zeros((0, 3)), np.zeros((0, len(made.skeleton), 3)))
        before = apart(begin, -1, begin, end) if begin > 0 else none
        after = apart(end - 1, 1, begin, end) if end <= last else none
        root[begin:end] += _led(before[0], after[0], end - begin, made.fps)
        bend = torch.from_numpy(_bend(before[1], after[1], end - begin, made.fps))
        rotations[begin:end] = rot.matrix_from_axis_angle(bend).numpy() @ made.rotations[begin:end]
    return replace(made, root_position=root, rotations=rotations)


def _kept_beside(free: np.ndarray, frame: int, step: int, edge: int) -> list[int]:
    """Up to three kept frames from a seam outwards, none beyond ``edge``."""
    found = []
    while len(found) < 3 and 0 <= frame < len(free) and (edge - frame) * step >= 0 and not free[frame]:
        found.append(frame)
        frame += step
    return found


def _bend(
    before: np.ndarray,
    after: np.ndarray,
    frames: int,
    fps: float,
    *,
    spread: bool = False,
) -> np.ndarray:
    """What to add to a run of frames, (frames, ...), given what its neighbours are apart on either side, (kept, ...).

    Neighbours are kept frames, none to three, the nearest first.

    Quintic in time: value, velocity and acceleration are those of the neighbours at the seam and zero after ``SEAM``
    seconds, or half the run. With ``spread`` the value goes from one side's to the other's over the whole run instead.
    """
    length = (frames + 1) / fps
    reach = min(SEAM, length / 2 if len(before) and len(after) else length)
    since = (np.arange(frames) + 1) / fps
    bend = np.zeros((frames, *before.shape[1:]))
    column = (slice(None), *[None] * (before.ndim - 1))
    for apart, away in ((before, since), (after, length - since)):
        if not len(apart):
            continue
        u = np.minimum(away / reach, 1.0)
        value = apart[0]
        steady = len(apart) == 3 and np.abs(apart).max() < 2.5  # nearer to a half turn, differences mean nothing
        velocity = (apart[0] - apart[1]) * fps if steady else 0 * value
        acceleration = (apart[0] - 2 * apart[1] + apart[2]) * fps**2 if steady else 0 * value
        if not spread:
            bend += (1 - u**3 * (10 - 15 * u + 6 * u**2))[column] * value
        bend += (reach * u * (1 - u**2 * (6 - 8 * u + 3 * u**2)))[column] * velocity
        bend += (reach**2 * 0.5 * u**2 * (1 - u) ** 3)[column] * acceleration
    if spread and len(before) + len(after):
        begin = before[0] if len(before) else after[0]
        end = after[0] if len(after) else before[0]
        u = since / length
        bend += begin + (u**3 * (10 - 15 * u + 6 * u**2))[column] * (end - begin)
    return bend


def _led(before: np.ndarray, after: np.ndarray, frames: int, fps: float) -> np.ndarray:
    """``_bend`` for the root, (frames, 3): what differs over the floor is spread over the whole run, height is not."""
    bend = _bend(before, after, frames, fps)
    bend[:, [0, 2]] = _bend(before, after, frames, fps, spread=True)[:, [0, 2]]
    return bend


# --- small parts -------------------------------------------------------------------------------------------------


def _frames_of(ranges: Sequence[Range], dance: Motion) -> Bool[np.ndarray, " frames"]:
    """Which frames lie in the ranges; (t, t) is the frame nearest to t."""
    chosen = np.zeros(dance.frames, bool)
    for begin, end in ranges:
        if not 0 <= begin <= end or begin >= dance.seconds:
            raise InputError(f"expected from:to within the {dance.seconds:.2f} s of the dance, got {begin:g}:{end:g}")
        first, last = round(begin * dance.fps), round(min(end, dance.seconds) * dance.fps)
        first = min(first, dance.frames - 1)
        chosen[first : max(last, first + 1)] = True
    return chosen


def _runs(chosen: np.ndarray) -> list[tuple[int, int]]:
    """Begin and end (exclusive) of every run of true values."""
    edges = np.diff(np.pad(chosen.astype(int), 1))
    return [(int(a), int(b)) for a, b in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True)]


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


def _lengthened(track: torch.Tensor, frames: int) -> torch.Tensor:
    return torch.cat((track, track[-1:].expand(max(0, frames - len(track)), -1)))


def _padded(track: torch.Tensor, frames: int) -> torch.Tensor:
    return torch.nn.functional.pad(track, (0, 0, 0, max(0, frames - len(track))))


def _angles(to: np.ndarray, of: np.ndarray) -> np.ndarray:
    """(..., 3) axis-angles from one set of rotations (..., 3, 3) to another."""
    return rot.axis_angle_from_matrix(torch.from_numpy(to @ np.swapaxes(of, -1, -2))).numpy()


def _heading(rotation: np.ndarray) -> float:
    """Radians about the vertical by which a rotation turns away from +z."""
    return float(np.arctan2(rotation[0, 2], rotation[2, 2]))


def _beats(dance: Motion) -> list[float]:
    """Seconds of the beats that the dance's record holds."""
    beats = dance.meta.get("beat_times")
    if not isinstance(beats, list) or not all(isinstance(beat, int | float) for beat in beats):
        return []
    return [float(beat) for beat in beats]


def _timeline_record(dance: Motion) -> list[dict]:
    """What was asked for when, as the dance's record holds it; ``InputError`` for a record by another hand."""
    parts = dance.meta.get("timeline")
    if parts is None:
        return []
    times = [part.get(key, 0.0) for part in parts for key in ("from", "to")] if _is_records(parts) else [None]
    if not all(isinstance(time, int | float) and np.isfinite(time) for time in times):
        raise InputError("expected entries with from and to (seconds) under timeline in the dance's record")
    return parts


def _is_records(parts: object) -> bool:
    return isinstance(parts, list) and all(isinstance(part, dict) for part in parts)


def _noted(dance: Motion, record: dict) -> Motion:
    earlier = dance.meta.get("edits")
    return replace(dance, meta=dance.meta | {"edits": [*(earlier if isinstance(earlier, list) else ()), record]})
