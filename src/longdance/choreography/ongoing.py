"""Refinement of a dance that is still being made: what `refine` does, for frames that come bit by bit.

Every step of it sees some seconds on either side of a frame and no more. A frame is given out once the steps that reach
only so far (module, filters) cannot change it any more; those that weigh a whole dance (the path of the root, time bent
to beats, feet held in place) go on smoothly from what was decided for the frames given out before. Memory is that of
those seconds.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.interpolate import CubicHermiteSpline, PchipInterpolator

from longdance.choreography.footing import floor_height, leading_shift, led, lowered, stances
from longdance.choreography.refine import RefineConfig, smoothed, without_flips
from longdance.choreography.timing import LARGEST_SHIFT, beat_shifts, bent
from longdance.models.trm import Refiner
from longdance.motion.filters import going_on
from longdance.motion.ik import Locking, lock_feet_on
from longdance.motion.motion import Motion

REACH = 0.4
"""Seconds beyond which the low-passes do not reach."""
BEHIND = 8.0
"""Seconds before the frames to be given out that are looked at again."""
AHEAD = (0.7, 2.0)
"""Least and greatest seconds after them that are looked at, where filters reach less far."""
AHEAD_SHARE = 0.25
"""Between these, the share of what has been made: the first frames come soon, later ones are seen in more context."""
FLOOR_FADE = 1.5
"""Seconds in which the height of the floor goes from what it was taken for to what it is."""
LONGEST_GAP, GRID = 2.0, 1.0
"""Seconds without a beat after which time is not bent, and the distance of the points where it is held."""
RUN_ON = 10.0
"""Seconds beyond the last beat that time is thought to run on; longer than a motion can go on there."""


@dataclass(frozen=True, eq=False)
class _Track:
    """Frames of a motion with their contact labels (frames, 4), from frame ``first`` of the dance."""

    first: int
    motion: Motion
    contacts: np.ndarray

    @property
    def stop(self) -> int:
        return self.first + self.motion.frames

    def followed_by(self, motion: Motion, contacts: np.ndarray) -> "_Track":
        return _Track(self.first, Motion.joined([self.motion, motion]), np.concatenate((self.contacts, contacts)))

    def since(self, frame: int) -> "_Track":
        """Without the frames before."""
        skip = max(0, frame - self.first)
        return _Track(self.first + skip, self.motion.slice(skip, self.motion.frames), self.contacts[skip:])


class OngoingRefinement:
    """Takes a dance in pieces, gives it back refined in others. One object refines one dance."""

    def __init__(self, config: RefineConfig, refiner: Refiner | None):
        self._config = config
        self._module = refiner if config.use_module else None
        self._raw: _Track | None = None
        self._smooth: _Track | None = None
        # What was decided for the first frames of the smoothed track.
        self._height, self._shift = np.zeros(0), np.zeros((0, 2))
        self._beats = np.zeros(0)
        # The course of time: at so many seconds of the dance, so many of the raw one are shown, passing at such a rate.
        self._knots = np.array([[0.0, 0.0, np.nan]])
        # Of the frames given out: how many there are, and what was decided for the last of them.
        self._done = 0
        self._standing: np.ndarray = np.zeros((0, 4), bool)
        self._locking: Locking | None = None

    def add(self, motion: Motion, contacts: np.ndarray, beat_times: np.ndarray, *, last: bool) -> Motion:
        """The frames that are settled now, perhaps none; with ``last`` all that are left.

        ``beat_times`` (beats,) are seconds from the beginning of the dance, those not told before, up to the end of
        what has been added, or later. ``contacts`` as for ``refine``.
        """
        self._raw = _Track(0, motion, contacts) if self._raw is None else self._raw.followed_by(motion, contacts)
        self._beats = np.concatenate((self._beats, beat_times))
        self._smooth_more(last)
        track = self._smooth
        return motion.slice(0, 0) if track is None else self._plant(track, last)

    # --- what reaches only so far ---------------------------------------------------------------------------

    def _smooth_more(self, last: bool) -> None:
        """Smooths the frames that no later ones can change."""
        raw, module, cutoff = self._raw, self._module, self._config.cutoff
        assert raw is not None
        settled = 0 if self._smooth is None else self._smooth.stop
        window = 2 if module is None else module.config.network.window
        hop, reach = window // 2, round(REACH * raw.motion.fps)
        # The module's windows lie where they would in the whole dance; the last ones need the dance's end.
        windows = 0 if raw.motion.frames < window else (raw.motion.frames - window) // hop
        known = raw.stop if last else raw.first + windows * hop + window
        stop = known if last else known - (window - hop) - reach
        if stop <= settled or (not last and raw.motion.frames < window):
            return
        motion = raw.motion.slice(0, known - raw.first)
        low, high = max(raw.first, settled - 2 * reach), min(known, stop + reach)
        within = slice(low - raw.first, high - raw.first)
        if module is not None or cutoff is not None:
            motion = without_flips(motion)
        motion = motion.slice(within.start, within.stop) if module is None else smoothed(motion, module, within=within)
        if cutoff is not None:
            motion = motion.low_pass(cutoff)
        fresh = motion.slice(settled - low, stop - low)
        labels = raw.contacts[settled - raw.first : stop - raw.first]
        self._smooth = _Track(0, fresh, labels) if self._smooth is None else self._smooth.followed_by(fresh, labels)
        needed = stop - 3 * reach - (window - hop)
        self._raw = raw.since(max(0, needed // hop * hop))

    # --- what weighs the whole ------------------------------------------------------------------------------

    def _plant(self, track: _Track, last: bool) -> Motion:
        """Grounds, leads, times and locks what is smooth, and gives out what is settled."""
        config, fps = self._config, track.motion.fps
        motion, height, shift = track.motion, self._height, self._shift
        if config.lock_feet and motion.frames >= 3:
            height = going_on(floor_height(motion), self._height, round(FLOOR_FADE * fps))
            motion = lowered(motion, height)
            shift = leading_shift(motion, track.contacts, self._shift)
            motion = led(motion, shift)
        knots = self._timed(track.first, motion, last) if config.meet_beats else self._knots
        begin = self._done - len(self._standing)
        at, stop = _shown(knots, begin, track, last)
        if last:
            until = stop
        else:
            until = stop - round(np.clip(AHEAD_SHARE * stop / fps, *AHEAD) * fps)
            if config.meet_beats:  # beyond the last knot, later ones will bend time
                until = min(until, int(knots[-1, 0] * fps) + 1)
        if until <= self._done:
            return motion.slice(0, 0)
        motion, contacts = bent(motion, at - track.first, track.contacts)
        standing, locking = np.zeros((motion.frames, 4), bool), None
        if config.lock_feet and motion.frames >= 3:
            labelled = None if contacts is None else contacts > config.contact_threshold
            standing = stances(motion, labelled)
            standing[: len(self._standing)] = self._standing
            motion, locking = lock_feet_on(motion, standing, self._locking)
        given = motion.slice(self._done - begin, until - begin)
        self._settle(track, begin, until, at, knots, height, shift, standing, locking)
        return given

    def _timed(self, first: int, motion: Motion, last: bool) -> np.ndarray:
        """(knots, 3) of the course of time: those that are known, and new ones as far as the motion goes."""
        fps, knots = motion.fps, self._knots
        begin, end = first / fps, (first + motion.frames - 1) / fps
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

    def _settle(
        self,
        track: _Track,
        begin: int,
        until: int,
        at: np.ndarray,
        knots: np.ndarray,
        height: np.ndarray,
        shift: np.ndarray,
        standing: np.ndarray,
        locking: Locking | None,
    ) -> None:
        """Keeps what was decided for the frames up to ``until``, forgets what no later frame will need."""
        fps = track.motion.fps
        self._done = until
        kept = max(begin, until - round(BEHIND * fps))
        self._standing = standing[kept - begin : until - begin]
        self._locking = None if locking is None else locking.slice(kept - begin, until - begin)
        # Splines look a few frames further than they are asked for.
        spare = 4
        used = min(track.stop, int(at[until - 1 - begin]) + 1 + spare)
        self._smooth = track.since(max(track.first, int(at[kept - begin]) - spare))
        span = slice(self._smooth.first - track.first, used - track.first)
        self._height, self._shift = height[span], shift[span]
        if self._config.meet_beats:
            # The course of time up to `until` follows from the knots around it.
            decided = knots[: int(np.searchsorted(knots[:, 0], (until - 1) / fps, side="right")) + 1]
            early = int(np.searchsorted(decided[:, 0], kept / fps, side="right")) - 1
            self._knots = decided[max(0, early) :]
            self._beats = self._beats[self._beats > self._knots[0, 0]]


def _running_on(knots: np.ndarray) -> np.ndarray:
    """The knots and one more, to which time runs on as fast as ever."""
    return np.concatenate((knots, [[knots[-1, 0] + RUN_ON, knots[-1, 1] + RUN_ON, 1.0]]))


def _shown(knots: np.ndarray, begin: int, track: _Track, last: bool) -> tuple[np.ndarray, int]:
    """Fractional frames of the raw dance shown at the frames from ``begin`` on, and the frame where they end."""
    fps = track.motion.fps
    times = np.arange(begin, track.stop) / fps
    if len(knots) < 2:
        return times * fps, track.stop
    at = CubicHermiteSpline(*_running_on(knots).T)(times) * fps
    if last:
        return np.clip(at, track.first, track.stop - 1), track.stop
    at = at[at <= track.stop - 1]
    return np.maximum(at, track.first), begin + len(at)


