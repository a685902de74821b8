"""On the beat: bending a dance's time so that its pauses fall on the beats of the music.

Dancers reach their poses on the beat (Lodge's second choreography rule: the beats of music and dance should agree). A
denoiser learns this only roughly from little data; here each beat is given the pause in the movement that is nearest
and clearest, and the time between is stretched or squeezed a little. Poses and their order stay what they were.
"""

from dataclasses import replace

import numpy as np
from scipy.interpolate import PchipInterpolator

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
