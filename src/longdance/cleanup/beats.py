"""On the beat: bending a dance's time so that its pauses fall on the beats of the music.

Dancers reach their poses on the beat (Lodge's second choreography rule: the beats of music and dance should agree). A
denoiser learns this only roughly from little data; here each beat is given the pause in the movement that is nearest
and clearest, and the time between is stretched or squeezed a little. Poses and their order stay what they were.
"""

from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from scipy.interpolate import CubicHermiteSpline, PchipInterpolator

from longdance.cleanup.passage import Passage
from longdance.features.beats import NOVELTY_RATE, movement_novelty
from longdance.motion import filters
from longdance.motion.motion import Motion

LARGEST_SHIFT = 0.4
"""Share of a beat by which a pause may be moved."""
LARGEST_CHANGE = 0.3
"""Share of a beat by which neighbouring shifts may differ: the dance goes between 0.7 and 1.3 times its speed."""
SHIFT_COST = 1.0
"""How much a shift of a whole beat costs, squared, against a pause of standard depth."""
CHANGE_COST = 6.0
"""The same for the difference of neighbouring shifts."""
FORBIDDEN = 1e6
"""What a greater change costs, or leaving a shift that is settled."""
LONGEST_GAP, GRID = 2.0, 1.0
"""In streams: seconds without a beat after which time is not bent, and the distance of points where it is held."""
RUN_ON = 10.0
"""Seconds beyond the last beat that time is thought to run on; longer than a motion can go on there."""
SPARE = 4
"""Frames: splines look a little further than they are asked for."""


def beat_shifts(
    joints: np.ndarray, fps: float, beat_times: np.ndarray, settled: np.ndarray | None = None
) -> np.ndarray:
    """Seconds from each beat to the pause of the movement that should fall on it, (beats,).

    ``joints`` (frames, joints, 3) metres, ``beat_times`` (beats,) seconds, increasing, within the motion. Maximises the
    depth of the chosen pauses less what shifts and their changes cost, by dynamic programming over the beats. Shifts
    that are ``settled`` (beats,) are kept, NaN stands for those that are free.
    """
    free = np.ones(len(beat_times), bool) if settled is None else np.isnan(settled)
    novelty = movement_novelty(joints, fps)
    spread = novelty.std()
    if len(beat_times) < 2 or spread < 1e-9:
        return np.zeros(len(beat_times)) if settled is None else np.where(free, 0.0, settled)
    novelty = np.minimum(novelty / spread, 3.0)
    period = float(np.median(np.diff(beat_times)))
    reach = int(LARGEST_SHIFT * period * NOVELTY_RATE)
    offsets = np.arange(-reach, reach + 1) / NOVELTY_RATE
    times = beat_times[:, None] + offsets
    pauses = np.interp(times, np.arange(len(novelty)) / NOVELTY_RATE, novelty)
    pauses[(times < 0) | (times > (len(joints) - 1) / fps)] = -1e3  # nothing to fetch beyond the ends
    gain = pauses - SHIFT_COST * (offsets / period) ** 2
    if settled is not None:
        nearest = np.abs(offsets - settled[~free, None]).argmin(1)
        gain[~free] = -FORBIDDEN
        gain[np.flatnonzero(~free), nearest] = 0.0
    change = (offsets[:, None] - offsets[None, :]) / period  # from the previous beat's offset (columns)
    cost = np.where(np.abs(change) <= LARGEST_CHANGE, CHANGE_COST * change**2, FORBIDDEN)
    total, chosen = gain[0], []
    for beat in range(1, len(beat_times)):
        options = total[None, :] - cost
        best = options.argmax(1)
        chosen.append(best)
        total = options[np.arange(len(offsets)), best] + gain[beat]
    path = [int(total.argmax())]
    for best in reversed(chosen):
        path.append(int(best[path[-1]]))
    found = offsets[path[::-1]]
    return found if settled is None else np.where(free, found, settled)


def align_to_beats(
    motion: Motion, beat_times: np.ndarray, contacts: np.ndarray | None = None
) -> tuple[Motion, np.ndarray | None]:
    """The motion with its time bent to the beats, of the same length, and its contact labels (frames, n) with it.

    ``beat_times`` are seconds from the first frame. The first and last frames stay where they are.
    """
    end = (motion.frames - 1) / motion.fps
    beats = np.asarray(beat_times, dtype=np.float64)
    beats = beats[(beats > 0) & (beats < end)]
    if len(beats) < 2:
        return motion, contacts
    fetched = beats + beat_shifts(motion.joints(), motion.fps, beats)
    inside = (fetched > 0) & (fetched < end)
    knots = np.concatenate(([0.0], beats[inside], [end]))
    values = np.maximum.accumulate(np.concatenate(([0.0], fetched[inside], [end])))
    at = PchipInterpolator(knots, values)(np.arange(motion.frames) / motion.fps)
    return bent(motion, np.clip(at * motion.fps, 0, motion.frames - 1), contacts)


def bent(motion: Motion, at: np.ndarray, contacts: np.ndarray | None) -> tuple[Motion, np.ndarray | None]:
    """The motion, and labels with it, as they are at fractional frames ``at``."""
    warped = replace(
        motion,
        root_position=filters.interpolate(motion.root_position, at),
        rotations=filters.interpolate_rotations(motion.rotations, at),
    )
    if contacts is None:
        return warped, None
    return warped, np.stack([np.interp(at, np.arange(motion.frames), column) for column in contacts.T], axis=1)


def shifts_within(run: Motion, beats: np.ndarray) -> np.ndarray:
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


@dataclass
class BeatsMet:
    """Brings a dance onto the beat. Of an edit only the time of free frames bends, run by run."""

    _beats: np.ndarray = field(default_factory=lambda: np.zeros(0), init=False, repr=False)
    _knots: np.ndarray = field(default_factory=lambda: np.array([[0.0, 0.0, np.nan]]), init=False, repr=False)
    """(knots, 3): at so many seconds of the dance, so many of what came in are shown, passing at such a rate."""
    _begin: int = field(default=0, init=False, repr=False)
    """The frame of its output that is looked at first."""
    _fresh: tuple[Passage, np.ndarray, np.ndarray] | None = field(default=None, init=False, repr=False)

    def whole(self, passage: Passage) -> Passage:
        """The passage on the beat."""
        beats = passage.beat_times - passage.first / passage.motion.fps
        if passage.free is None:
            motion, contacts = align_to_beats(passage.motion, beats, passage.contacts)
        else:
            at = np.arange(passage.frames, dtype=np.float64)
            fps = passage.motion.fps
            for begin, end in runs(passage.free):
                at[begin:end] += fps * shifts_within(passage.motion.slice(begin, end), beats - begin / fps)
            motion, contacts = bent(passage.motion, at, passage.contacts)
        return replace(passage, motion=motion, contacts=contacts)

    def more(self, passage: Passage, *, last: bool) -> Passage:
        """The passage on the beat, as far as its time can be told."""
        self._beats = np.concatenate((self._beats, passage.beat_times))
        knots = self._timed(passage, last)
        at, stop = self._shown(knots, passage, last)
        self._fresh = (passage, at, knots)
        motion, contacts = bent(passage.motion, at - passage.first, passage.contacts)
        # Beyond the last knot, later ones will bend time.
        ready = stop if last else min(stop, int(knots[-1, 0] * motion.fps) + 1)
        return replace(passage, motion=motion, contacts=contacts, first=self._begin, ready=ready)

    def settle(self, kept: int, until: int) -> tuple[int, int]:
        """As of ``Decision``; frames of the input are those that time shows."""
        assert self._fresh is not None
        passage, at, knots = self._fresh
        fps, begin = passage.motion.fps, self._begin
        used = min(passage.stop, int(at[until - 1 - begin]) + 1 + SPARE)
        needed = max(passage.first, int(at[kept - begin]) - SPARE)
        # The course of time up to `until` follows from the knots around it.
        decided = knots[: int(np.searchsorted(knots[:, 0], (until - 1) / fps, side="right")) + 1]
        early = int(np.searchsorted(decided[:, 0], kept / fps, side="right")) - 1
        self._knots = decided[max(0, early) :]
        self._beats = self._beats[self._beats > self._knots[0, 0]]
        self._begin = kept
        return needed, used

    def _timed(self, passage: Passage, last: bool) -> np.ndarray:
        """(knots, 3) of the course of time: those that are known, and new ones as far as the motion goes."""
        motion, fps, knots = passage.motion, passage.motion.fps, self._knots
        begin, end = passage.first / fps, (passage.stop - 1) / fps
        beats = self._beats[(self._beats > knots[-1, 0]) & (self._beats < end)]
        period = float(np.median(np.diff(self._beats))) if len(self._beats) > 1 else GRID
        if not last:
            beats = beats[beats < end - LARGEST_SHIFT * period]
        # Where beats are missing, time is held on points of its own.
        edges = [knots[-1, 0], *beats, end - GRID]
        filled = [np.arange(low + GRID, high - LONGEST_GAP + GRID, GRID) for low, high in pairwise(edges)]
        filled = np.concatenate(filled)
        order = np.argsort(np.concatenate((beats, filled)))
        recent = knots[knots[:, 0] > begin + LARGEST_SHIFT]
        times = np.concatenate((recent[:, 0], np.concatenate((beats, filled))[order]))
        free = np.concatenate((np.full(len(beats), np.nan), np.zeros(len(filled))))[order]
        wanted = np.concatenate((recent[:, 1] - recent[:, 0], free))
        found = beat_shifts(motion.joints(), fps, times - begin, wanted)
        fresh = np.column_stack((times, times + found, np.full(len(times), np.nan)))[len(recent) :]
        fresh = fresh[(fresh[:, 1] > 0) & (fresh[:, 1] < end)]
        if last and end > knots[-1, 0]:
            fresh = np.concatenate((fresh, [[end, end, np.nan]]))
        knots = np.concatenate((knots, fresh))
        knots[:, 1] = np.maximum.accumulate(knots[:, 1])
        if len(knots) > 1:
            rates = PchipInterpolator(*_running_on(knots)[:, :2].T).derivative()(knots[:, 0])
            knots[:, 2] = np.where(np.isnan(knots[:, 2]), rates, knots[:, 2])
        return knots

    def _shown(self, knots: np.ndarray, passage: Passage, last: bool) -> tuple[np.ndarray, int]:
        """Fractional frames of the input shown at the frames from ``_begin`` on, and the frame where they end."""
        fps = passage.motion.fps
        times = np.arange(self._begin, passage.stop) / fps
        if len(knots) < 2:
            return times * fps, passage.stop
        at = CubicHermiteSpline(*_running_on(knots).T)(times) * fps
        if last:
            return np.clip(at, passage.first, passage.stop - 1), passage.stop
        at = at[at <= passage.stop - 1]
        return np.maximum(at, passage.first), self._begin + len(at)


def _running_on(knots: np.ndarray) -> np.ndarray:
    """The knots and one more, to which time runs on as fast as ever."""
    return np.concatenate((knots, [[knots[-1, 0] + RUN_ON, knots[-1, 1] + RUN_ON, 1.0]]))


def runs(chosen: np.ndarray) -> list[tuple[int, int]]:
    """Begin and end (exclusive) of every run of true values."""
    edges = np.diff(np.pad(chosen.astype(int), 1))
    return [(int(a), int(b)) for a, b in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True)]
