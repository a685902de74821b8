"""Music response: does another song give another dance, as much as another seed does?

A dance is a function of song, words and seed. Where the network ignores the song, exchanging it changes nothing, while
exchanging the seed does; the ratio of both distances is the exchange. In seconds two songs of different tempo also
differ by the bending of time, so the exchange in beats compares dances by their own beats, where one choreography at
two tempi counts nothing. Words are measured in the same way.
"""

from collections.abc import Callable, Mapping
from itertools import combinations

import numpy as np
from jaxtyping import Float

PELVIS = 0
SAMPLES_PER_BEAT = 16


def pose_distance(
    one: Float[np.ndarray, "frames joints 3"], other: Float[np.ndarray, "later joints 3"], *, turned: bool = False
) -> float:
    """Mean distance of joints in metres over the frames that both have, the pelvis above one place in each frame.

    With ``turned`` the other dance is first turned about the vertical as a whole to where it is nearest.
    """
    frames = min(len(one), len(other))
    if not frames:
        return float("nan")
    one, other = (
        joints[:frames] - joints[:frames, PELVIS, None] * np.array([1.0, 0.0, 1.0]) for joints in (one, other)
    )
    if turned:  # least squares in the plane, where a turn is a factor of modulus one
        plane, plane_of_other = (joints[..., 2] + 1j * joints[..., 0] for joints in (one, other))
        turn = (plane * plane_of_other.conj()).sum()
        plane_of_other = plane_of_other * (turn / abs(turn) if abs(turn) > 0 else 1.0)
        other = np.stack((plane_of_other.imag, other[..., 1], plane_of_other.real), axis=-1)
    return float(np.linalg.norm(one - other, axis=-1).mean())


def in_beats(
    joints: Float[np.ndarray, "frames joints 3"], beat_times: Float[np.ndarray, " beats"], fps: float
) -> Float[np.ndarray, "samples joints 3"]:
    """A dance at 16 samples a beat from its first beat to its last.

    ``beat_times`` are seconds from the first frame. Beats outside the dance do not count; fewer than two give nothing.
    """
    beats = np.asarray(beat_times, float)
    beats = beats[(beats >= 0) & (beats <= (len(joints) - 1) / fps)]
    if len(beats) < 2:
        return np.zeros((0, *joints.shape[1:]))
    number = np.arange((len(beats) - 1) * SAMPLES_PER_BEAT + 1) / SAMPLES_PER_BEAT
    frames = np.interp(number, np.arange(len(beats)), beats) * fps
    low = np.clip(frames.astype(int), 0, len(joints) - 2)
    part = (frames - low)[:, None, None]
    return joints[low] * (1 - part) + joints[low + 1] * part


def exchange(dances: Mapping[tuple[str, int], np.ndarray], *, turned: bool = False) -> float:
    """Mean distance of dances of one seed to two songs, over that of two seeds to one song.

    ``dances`` are joints (frames, joints, 3) by song (or by words) and seed; ``turned`` as of ``pose_distance``. NaN
    without two of each.
    """

    def mean_distance(counts: Callable[[tuple[str, int], tuple[str, int]], bool]) -> float:
        pairs = [pair for pair in combinations(sorted(dances), 2) if counts(*pair)]
        found = [pose_distance(dances[one], dances[other], turned=turned) for one, other in pairs]
        return float(np.nanmean(found)) if np.isfinite(found).any() else float("nan")

    by_song = mean_distance(lambda one, other: one[1] == other[1] and one[0] != other[0])
    return by_song / mean_distance(lambda one, other: one[0] == other[0] and one[1] != other[1])


def exchange_in_beats(
    dances: Mapping[tuple[str, int], np.ndarray], beat_times: Mapping[str, np.ndarray], fps: float
) -> float:
    """``exchange`` of dances resampled to the beats of their songs and turned to one heading."""
    return exchange({key: in_beats(joints, beat_times[key[0]], fps) for key, joints in dances.items()}, turned=True)
