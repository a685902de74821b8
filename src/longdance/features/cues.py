"""What energies take from a song, frame by frame: where a body should rest, and how loud the music is.

The network hears music through encoders (`music`); these channels are for the sampler, the same for every network.
"""

import numpy as np
from jaxtyping import Float

from longdance.features.rhythm_plan import CHANNELS as PLAN_CHANNELS
from longdance.features.rhythm_plan import plan_of_song
from longdance.features.song import Song

CHANNELS = ("rest", "energy")
"""Names of the columns, in order."""
REST_TIME = 0.06
"""Seconds, standard deviation, of the rest around each beat."""
REST_SHARE = 0.15
"""Most that this is of the time between beats."""
MOVE_AT, MOVE_WIDTH = 0.28, 0.08
"""Where the body should move instead, in beats before and after each beat; half-way between beats is left free."""
DOWNBEAT = 1.5
"""How much stronger rests are on the first beat of a bar."""


def cues_of_song(song: Song, fps: float) -> Float[np.ndarray, "frames channels"]:
    """One row per motion frame: (round(seconds * fps), 2) float32.

    ``rest`` is for the step from a frame to the next, positive on beats, negative between; its sum over a beat is
    zero. It is zero throughout where no beat was found. ``energy`` is the loudness over about a second, standardised
    within the song, -2.5 to 2.5.
    """
    frames = song.frames(fps)
    if not frames:  # less than half a frame of sound
        return np.zeros((0, len(CHANNELS)), np.float32)
    energy = plan_of_song(song, fps)[:, PLAN_CHANNELS.index("energy")]
    rest = np.zeros(frames)
    if not song.tempo_is_guess and len(song.beat_times) > 1:
        rest = rests(song.beat_times, song.downbeat_times, (np.arange(frames) + 0.5) / fps)
    return np.stack((rest, energy), axis=1).astype(np.float32)


def rests(
    beat_times: Float[np.ndarray, " beats"],
    downbeat_times: Float[np.ndarray, " downbeats"],
    times: Float[np.ndarray, " times"],
) -> Float[np.ndarray, " times"]:
    """How much a body should rest at each of ``times`` (seconds, increasing evenly); beats go on beyond both ends."""
    first, last = beat_times[1] - beat_times[0], beat_times[-1] - beat_times[-2]
    before = beat_times[0] - first * np.arange(max(0, int(np.ceil((beat_times[0] - times[0]) / first))) + 1, 0, -1)
    after = beat_times[-1] + last * np.arange(1, max(0, int(np.ceil((times[-1] - beat_times[-1]) / last))) + 2)
    beats = np.concatenate((before, beat_times, after))
    interval = np.diff(beats)
    at = np.clip(np.searchsorted(beats, times, side="right") - 1, 0, len(interval) - 1)
    phase = (times - beats[at]) / interval[at]
    away = np.minimum(phase, 1 - phase)
    nearest = at + (phase > 0.5)
    width = np.minimum(REST_TIME, REST_SHARE * interval[at])
    down = np.isin(np.round(beats, 3), np.round(downbeat_times, 3))
    rest = np.where(down, DOWNBEAT, 1.0)[nearest] * np.exp(-0.5 * (away * interval[at] / width) ** 2)
    move = np.exp(-0.5 * ((away - MOVE_AT) / MOVE_WIDTH) ** 2)
    total = lambda values: np.bincount(nearest, values, minlength=len(beats))  # noqa: E731
    return rest - move * (total(rest) / np.maximum(total(move), 1e-9))[nearest]
