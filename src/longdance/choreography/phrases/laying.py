"""A plan laid on a song: recorded phrases warped so that their beats fall on the music's, each placed where the last
one ended, and what lies between them.

Outside of joins every frame is a recorded one, at another moment and seen from another side. Phrases that follow each
other in their take are one run, without a join.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.interpolate import PchipInterpolator

from longdance.choreography.phrases.candidates import feet_down
from longdance.choreography.phrases.form import Beats, beat_time
from longdance.choreography.phrases.library import Library
from longdance.choreography.phrases.plan import Block, Plan
from longdance.choreography.phrases.planner import start_heading
from longdance.choreography.phrases.rests import nearest_rests, rests_of
from longdance.motion import filters
from longdance.motion import rotations as rot
from longdance.motion.contacts import REST_HEIGHTS, clearance_of, foot_contacts
from longdance.motion.directions import heading
from longdance.motion.limbs import FULL_EXTENSION, legs, pelvis_shift, reach_ankles
from longdance.motion.motion import Motion
from longdance.motion.skeleton import SMPL24
from longdance.motion.stances import CONTACT_ORDER

SHORTEST_JOIN, LONGEST_JOIN = 8 / 30, 16 / 30
"""Seconds."""
LEAD = 4
"""Counts before a dance's first phrase that are danced, not waited for, where its take has them."""
FAR = 0.12
"""Metres between joints, on average, from which on a join takes its longest."""
SETTLING = 0.45
"""Seconds in which a dancer comes to rest in a hold, and begins to move out of one."""
SETTLINGS = np.linspace(0.15, 1.0, 18)
"""Seconds among which one is chosen where the body does not stand after ``SETTLING``."""
PELVIS_WEIGHT = 0.15
"""How much the pelvis counts beside a standing foot where a phrase is placed."""
ONWARD = 2.0
"""Frames between the end of one phrase and the beginning of the next within which they are one run."""
REFINED, NEAR, LEAST_BEAT = 3, 0.12, 2.0
"""How often marks are moved to the rests of the run as it is danced, within which seconds, and the fewest frames of a
take that are left between them."""
LARGEST_SHIFT, MET = 0.06, 0.05
"""Seconds by which a run is moved as a whole at most, and the distance of a rest from a beat that still counts."""
OFF_FLOOR, HANGING, RAISED = 0.015, 50.0, 3.0
"""Metres above which a body hangs in the air, and what each metre of that, and of a raised foot, counts beside a second
of settling longer or shorter where a hold's pose is chosen."""
FLAT = np.array([1.0, 0.0, 1.0])
STEP_FROM, STEP_HEIGHT, STEP_SLOPE = 0.03, 0.09, 1.0
"""Metres from which on a foot steps in a join, how high it rises at most, and how high for each metre it goes."""


@dataclass(frozen=True, eq=False)
class Run:
    """Blocks that follow each other in a take, danced without a break."""

    take: int
    mirrored: bool
    times: np.ndarray
    """(counts + 1,) seconds of the dance at which ``marks`` are."""
    marks: np.ndarray
    """(counts + 1,) frames of the take."""
    blocks: tuple[int, ...]
    """Numbers of its blocks in the plan, from 0."""
    rises: bool = False
    """Whether it begins out of a hold."""
    rests: bool = False
    """Whether it ends in one."""
    settling: tuple[float, float] = (SETTLING, SETTLING)
    """Seconds of its pace that it goes on into a hold at its beginning and end, backwards at the former."""

    def first_frame(self, fps: float) -> int:
        """The frame of the dance at which it begins."""
        return int(np.ceil(self.times[0] * fps - 1e-6))

    def frames_at(self, times: np.ndarray, last: int) -> np.ndarray:
        """(times,) fractional frames of the take, of which ``last`` is the last one.

        Beyond its marks it goes on at its pace into a join, or comes to rest.
        """
        inside = PchipInterpolator(self.times, self.marks)
        found = inside(np.clip(times, self.times[0], self.times[-1]))
        for edge, sign, still in ((0, -1.0, self.rises), (-1, 1.0, self.rests)):
            beyond, most = np.maximum(sign * (times - self.times[edge]), 0.0), self.settling[edge]
            gone = most * (1 - np.exp(-beyond / most)) if still else beyond
            found = found + sign * float(inside.derivative()(self.times[edge])) * gone
        return np.clip(found, 0, last)


@dataclass(frozen=True, eq=False)
class Join:
    """Where one run becomes the next."""

    begin: int
    """First frame that is not a recorded one."""
    end: int
    """The frame after the last such."""
    distance: float
    """Metres between joints of both where they meet, pelvis above pelvis."""
    block: int
    """Number of the block that begins in it, from 0."""


@dataclass(frozen=True, eq=False)
class Laid:
    """A plan on a song."""

    motion: Motion
    joins: tuple[Join, ...]
    plan: Plan

    @property
    def recorded(self) -> np.ndarray:
        """(frames,) booleans: where a frame is a recorded one."""
        kept = np.ones(self.motion.frames, bool)
        for join in self.joins:
            kept[join.begin : join.end] = False
        return kept


@dataclass(frozen=True, eq=False)
class Placed:
    """A run in its place on the floor, from frame ``low`` of the dance on, with some frames beyond either end."""

    motion: Motion
    low: int

    def between(self, begin: int, end: int) -> Motion:
        """Frames ``begin`` to ``end`` (exclusive) of the dance."""
        return self.motion.slice(begin - self.low, end - self.low)


def lay(plan: Plan, library: Library, song: Beats, *, frames: int, fps: float) -> Laid:
    """The plan as ``frames`` of dance at ``fps``; ``InputError`` for phrases that the library does not have."""
    runs = runs_of(plan.blocks, library, song)
    begins = [0, *(run.first_frame(fps) for run in runs[1:])]
    ends = [min(end, frames) for end in (*begins[1:], frames)]
    kept = [(run, end) for run, begin, end in zip(runs, begins, ends, strict=True) if begin < end]
    laying = Laying(library, fps)
    parts = [laying.add(run, end, last=number == len(kept)) for number, (run, end) in enumerate(kept, 1)]
    return Laid(Motion.joined(parts), tuple(laying.joins), plan)


class Laying:
    """Runs laid one after the other; frames are given out once no run to come can change them."""

    def __init__(self, library: Library, fps: float):
        self.joins: list[Join] = []
        self._library, self._fps = library, fps
        self._placed: Placed | None = None
        self._given = 0

    def add(self, run: Run, end: int, *, last: bool = False) -> Motion:
        """The frames that are settled by a run until frame ``end``, where another begins, or none if it is the last."""
        fps, reach = self._fps, int(np.ceil(LONGEST_JOIN * self._fps / 2)) + 1
        begin = 0 if self._placed is None else run.first_frame(fps)
        low, high = max(0, begin - reach), end if last else end + reach
        own = Placed(_retimed(self._library, run, np.arange(low, high) / fps, fps), low)
        parts = []
        if self._placed is None:
            motion = own.motion
            middle = motion.root_position[begin - low] * FLAT
            own = replace(own, motion=replace(motion, root_position=motion.root_position - middle))
        else:
            before = self._placed
            own, distance = _after(before, own, begin)
            join = _join_at(begin, distance, run.blocks[0], fps, high)
            join = replace(join, begin=max(join.begin, self._given))
            self.joins.append(join)
            parts = [
                before.between(self._given, join.begin),
                joined(before.between(join.begin, join.end), own.between(join.begin, join.end)),
            ]
            self._given = join.end
        until = end if last else max(self._given, end - reach)
        parts.append(own.between(self._given, until))
        self._placed, self._given = own, until
        return Motion.joined(parts)


def runs_of(blocks: Sequence[Block], library: Library, song: Beats, *, parted: Collection[int] = ()) -> list[Run]:
    """The runs of consecutive blocks, in order, at the song's beats; none where all are holds.

    Blocks whose numbers are ``parted`` begin a run even where they go on in the take.
    """
    runs: list[Run] = []
    held = True
    for number, block in enumerate(blocks):
        if block.holds:
            held = True
            if runs:
                runs[-1] = replace(runs[-1], rests=True)
            continue
        phrase = library.phrase(block.phrase)
        counts = min(block.counts or phrase.counts, phrase.counts)
        marks = np.asarray(phrase.marks[: counts + 1])
        times = beat_time(song, block.beat + np.arange(counts + 1) * block.beats / counts)
        last = runs[-1] if runs else None
        onward = last is not None and (last.take, last.mirrored) == (phrase.take, block.mirrored) and not held
        if last is not None and onward and number not in parted and abs(last.marks[-1] - marks[0]) < ONWARD:
            times, marks = np.append(last.times, times[1:]), np.append(last.marks, marks[1:])
            runs[-1] = replace(last, times=times, marks=marks, blocks=(*last.blocks, number))
        else:
            rises = held and (number > 0 or not _leads_in(times, marks))
            runs.append(Run(phrase.take, block.mirrored, times, marks, (number,), rises=rises))
        held = False
    if runs:
        runs[-1] = replace(runs[-1], rests=True)
    return runs


def _leads_in(times: np.ndarray, marks: np.ndarray) -> bool:
    """Whether a take has enough before its first mark to be danced from the dance's beginning: a bar at most."""
    lead, pace = times[0], (marks[1] - marks[0]) / (times[1] - times[0])
    return bool(lead <= times[min(LEAD, len(times) - 1)] - times[0] and marks[0] >= lead * pace)


def _retimed(library: Library, run: Run, times: np.ndarray, fps: float) -> Motion:
    """The run's take at some seconds of the dance."""
    take = library.motion(run.take)
    run = _standing_holds(_on_beats(run, take, fps), take)
    take = take.mirror() if run.mirrored else take
    at = run.frames_at(times, take.frames - 1)
    low, high = max(0, int(at.min()) - 4), min(take.frames, int(at.max()) + 6)
    part = take.slice(low, high)
    root = filters.interpolate(part.root_position, at - low)
    return Motion(root, filters.interpolate_rotations(part.rotations, at - low), fps=fps, skeleton=take.skeleton)


def _on_beats(run: Run, take: Motion, fps: float) -> Run:
    """The run with its marks moved by little to where its rests are at its new pace: a change of pace moves them.

    Of several turns of that the one is taken whose rests meet the beats best, which may be none at all: pulling at many
    marks can wipe out the rests between them. Then all of it is moved by what brings rests and beats nearest together.
    """
    times = np.arange(np.floor(run.times[0] * fps) - 15, np.ceil(run.times[-1] * fps) + 16) / fps
    seen = (run.times - times[0]) * fps

    def rests_in(own: Run) -> tuple[np.ndarray, np.ndarray]:
        """Frames of the take at each of ``times``, and the rests as seen there."""
        at = own.frames_at(times, take.frames - 1)
        low, high = int(at.min()), min(take.frames, int(at.max()) + 2)
        joints = filters.interpolate(take.slice(low, high).joints(), np.clip(at - low, 0, high - low - 1))
        return at, rests_of(joints, fps)

    def moved(own: Run, at: np.ndarray, frames: np.ndarray) -> Run | None:
        """The run with its marks where others of ``times`` are; None if they come too near each other."""
        marks = np.interp(frames, np.arange(len(at)), at)
        return None if (np.diff(marks) < LEAST_BEAT).any() else replace(own, marks=marks)

    best, most, next_one = run, -1.0, run
    for _ in range(REFINED + 1):
        at, rests = rests_in(next_one)
        if not len(rests):
            return best
        if (met := float(_met(seen, rests, fps))) > most:
            best, most = next_one, met
        pulled = moved(next_one, at, nearest_rests(seen, rests, NEAR * fps))
        if pulled is None:
            break
        next_one = pulled
    at, rests = rests_in(best)
    shifts = np.linspace(-LARGEST_SHIFT, LARGEST_SHIFT, 33) * fps
    shift = shifts[_met(seen + shifts[:, None], rests, fps).argmax()]
    return moved(best, at, seen + shift) or best


def _standing_holds(run: Run, take: Motion) -> Run:
    """The run with holds in poses that stand: nobody hangs in the air, and best on both feet."""
    if not (run.rises or run.rests):
        return run
    pace = PchipInterpolator(run.times, run.marks).derivative()
    found = list(run.settling)
    for edge, sign, still in ((0, -1.0, run.rises), (-1, 1.0, run.rests)):
        if not still:
            continue
        frames = run.marks[edge] + sign * SETTLINGS * float(pace(run.times[edge]))
        at = np.clip(np.round(frames), 0, take.frames - 1).astype(int)
        joints = take.joints()[at]
        ankles = joints[:, [leg.ankle for leg in legs(take.skeleton)], 1].max(1) - REST_HEIGHTS["left_ankle"]
        low = clearance_of(joints, take.skeleton)
        cost = HANGING * np.maximum(low - OFF_FLOOR, 0) + RAISED * np.maximum(ankles, 0)
        found[edge] = float(SETTLINGS[(cost + np.abs(SETTLINGS - SETTLING)).argmin()])
    return replace(run, settling=(found[0], found[-1]))


def _met(beats: np.ndarray, rests: np.ndarray, fps: float) -> np.ndarray:
    """How well rests (rests,) meet beats (..., beats), in frames: from 0, none near one, to 1."""
    apart = np.abs(beats[..., None] - rests).min(-1)
    return np.asarray(np.exp(-0.5 * (apart / (MET * fps)) ** 2).mean(-1))


def _after(before: Placed, own: Placed, frame: int) -> tuple[Placed, float]:
    """A run turned and moved to where the one before it is at ``frame``, and how far apart their poses are there.

    A foot that stands in both stays where it is; the pelvis counts a little.
    """
    one, other = before.between(frame, frame + 1), own.between(frame, frame + 1)
    front = float(heading(other.rotations[0, 0]))
    turn = float(start_heading(heading(one.rotations[0, 0]), front)) - front
    turned = replace(own, motion=own.motion.turn(turn))
    here, there = one.joints()[0], turned.between(frame, frame + 1).joints()[0]
    stands = [_standing(each, frame) for each in (before, own)]
    both = (stands[0] * stands[1]).reshape(2, 2).max(1)
    points, weights = [0], [PELVIS_WEIGHT]
    for side, weight in zip(("left", "right"), both, strict=True):
        points += [SMPL24.index(f"{side}_ankle"), SMPL24.index(f"{side}_foot")]
        weights += [weight / 2] * 2
    shift = np.average(here[points] - there[points], axis=0, weights=weights) * FLAT
    moved = replace(turned, motion=replace(turned.motion, root_position=turned.motion.root_position + shift))
    apart = (here - here[0] * FLAT) - (there - there[0] * FLAT)
    return moved, float(np.linalg.norm(apart, axis=-1).mean())


def _standing(placed: Placed, frame: int) -> np.ndarray:
    """(4,) how much each foot joint stands around a frame, in the order of ``CONTACT_ORDER``."""
    around = placed.between(max(placed.low, frame - 2), frame + 3)
    contacts = foot_contacts(around.joints(), around.fps, skeleton=around.skeleton, joint_names=CONTACT_ORDER)
    return contacts.mean(0)


def _join_at(frame: int, distance: float, block: int, fps: float, frames: int) -> Join:
    """A join around a frame, the longer the further both poses are apart."""
    seconds = SHORTEST_JOIN + (LONGEST_JOIN - SHORTEST_JOIN) * min(distance / FAR, 1.0)
    half = max(1, round(seconds * fps / 2))
    return Join(max(0, frame - half), min(frames, frame + half), distance, block)


def joined(one: Motion, other: Motion) -> Motion:
    """A join: ``one`` becomes ``other`` over their frames, each foot with a step of its own.

    A foot that is in the same place in both stays. One that is not is lifted over; where both have to be, the one that
    bears less in ``one`` goes first.
    """
    count = one.frames
    share = (np.arange(count) + 1) / (count + 1)
    mixed = _mixed(one, other, _eased(share))
    places, turns = zip(*(each.forward_kinematics() for each in (one, other)), strict=True)
    both = legs(one.skeleton)
    bears = feet_down(places[0][: count // 2 + 1], one.fps, one.skeleton).mean(0)
    apart = [float(np.linalg.norm((places[1] - places[0])[count // 2, leg.ankle] * FLAT)) for leg in both]
    steps = np.array(apart) > STEP_FROM
    first = int(np.argmin(bears - 0.01 * np.array(apart)))
    ankles, feet = np.empty((count, 2, 3)), np.empty((count, 2, 3, 3))
    for side, leg in enumerate(both):
        begin, length = 0.0, 1.0
        if steps[side]:
            begin, length = (0.0 if side == first else 0.4, 0.6) if steps.all() else (0.15, 0.7)
        moment = np.clip((share - begin) / length, 0, 1)
        smooth = _eased(moment)
        ankles[:, side] = places[0][:, leg.ankle] + smooth[:, None] * (places[1] - places[0])[:, leg.ankle]
        feet[:, side] = rot.slerp(
            torch.from_numpy(turns[0][:, leg.ankle]), torch.from_numpy(turns[1][:, leg.ankle]), torch.from_numpy(smooth)
        ).numpy()
        low = ankles[:, side, 1] - REST_HEIGHTS["left_ankle"]
        lift = min(STEP_HEIGHT, STEP_SLOPE * apart[side]) * np.sin(np.pi * moment)
        ankles[:, side, 1] += np.maximum(lift - np.maximum(low, 0), 0) * steps[side]
    hips = mixed.joints()[:, [leg.hip for leg in both]]
    fade = np.minimum(1.0, np.minimum(np.arange(count) + 1, count - np.arange(count)) / 3)[:, None]
    pelvis = pelvis_shift(hips, ankles, FULL_EXTENSION * mixed.skeleton.leg_length, mixed.fps) * fade
    return reach_ankles(mixed, ankles, foot_rotations=feet, pelvis=pelvis)


def _eased(share: np.ndarray) -> np.ndarray:
    """From 0 to 1 without a jump in pace or acceleration."""
    return share**3 * (10 - 15 * share + 6 * share**2)


def _mixed(one: Motion, other: Motion, share: np.ndarray) -> Motion:
    """Between two motions, (frames,) of the second."""
    turned = rot.slerp(
        torch.from_numpy(one.rotations), torch.from_numpy(other.rotations), torch.from_numpy(share)[:, None]
    )
    root = one.root_position + share[:, None] * (other.root_position - one.root_position)
    return Motion(root, turned.numpy(), fps=one.fps, skeleton=one.skeleton)
