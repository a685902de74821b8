"""Known damage done to real dances, to see which measures notice."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from longdance.evaluate.dances import Dance
from longdance.metrics.joints import HORIZONTAL, UP
from longdance.motion.filters import interpolate

JITTER = 0.01
"""Metres: standard deviation of the noise on every coordinate of every joint."""
SLIDE = 0.5
"""Greatest metres per second of a body that is carried over the floor to and fro."""
FLOAT = 0.2
"""Metres by which a dance is lifted."""
OTHER_TEMPO, OTHER_BEGINNING = 0.8, 0.1
"""An unrelated grid of beats: as many times the dance's own time between beats, from that second on."""
PERIOD = 4.0
"""Seconds of the way there and back."""


def itself(dance: Dance) -> Dance:
    """The dance as it is."""
    return dance


def reversed_in_time(dance: Dance) -> Dance:
    """The dance backwards to the music forwards."""
    return replace(dance, joints=dance.joints[::-1].copy())


def frozen(dance: Dance) -> Dance:
    """The first pose, held."""
    return replace(dance, joints=np.repeat(dance.joints[:1], len(dance.joints), axis=0))


def jittered(dance: Dance) -> Dance:
    """Noise of one centimetre on every coordinate, new in every frame, the same for the same dance."""
    rng = np.random.default_rng(len(dance.joints))
    return replace(dance, joints=dance.joints + rng.normal(scale=JITTER, size=dance.joints.shape))


def slid(dance: Dance) -> Dance:
    """The body carried at up to half a metre per second along the diagonal x = -z, to and fro every four seconds."""
    return _carried(dance, np.array([1.0, -1.0]) / np.sqrt(2))


def slid_along_x(dance: Dance) -> Dance:
    """The body carried at up to half a metre per second along x, to and fro every four seconds."""
    return _carried(dance, np.array([1.0, 0.0]))


def beat_shifted(dance: Dance) -> Dance:
    """The music's beats later by half of the time between two."""
    if dance.beat_times is None or len(dance.beat_times) < 2:
        return dance
    half = float(np.median(np.diff(dance.beat_times))) / 2
    return replace(dance, beat_times=tuple(beat + half for beat in dance.beat_times))


def floated(dance: Dance) -> Dance:
    """Twenty centimetres higher: nothing touches the floor."""
    joints = dance.joints.copy()
    joints[..., UP] += FLOAT
    return replace(dance, joints=joints)


def to_another_song(dance: Dance) -> Dance:
    """The same dance beside even beats that it knows nothing of."""
    if dance.beat_times is None or len(dance.beat_times) < 2:
        return dance
    step = OTHER_TEMPO * float(np.median(np.diff(dance.beat_times)))
    return replace(dance, beat_times=tuple(np.arange(OTHER_BEGINNING, dance.seconds, step)))


def time_bent(dance: Dance) -> Dance:
    """The dance with its time bent so that what it did on its own beats falls on the beats of another song."""
    other = to_another_song(dance)
    return dance if other is dance else bent(dance, np.array(other.beat_times))


def bent(dance: Dance, beat_times: np.ndarray) -> Dance:
    """The dance in another time: its beats, one after the other, fall on ``beat_times`` (seconds), as long as it lasts.

    Before its first and after its last beat time goes on at the pace of the nearest two beats.
    """
    own = np.array(dance.beat_times, dtype=np.float64)
    count = min(len(own), len(beat_times))
    own, new = (
        np.concatenate((times[:1] - 99 * np.diff(times[:2]), times, times[-1:] + 99 * np.diff(times[-2:])))
        for times in (own[:count], np.asarray(beat_times[:count], dtype=np.float64))
    )
    seconds = np.interp(np.arange(len(dance.joints)) / dance.fps, new, own)
    inside = (seconds >= 0) & (seconds <= (len(dance.joints) - 1) / dance.fps)
    first = int(inside.argmax())
    joints = interpolate(dance.joints, seconds[inside] * dance.fps)
    heard = tuple(float(time) for time in beat_times - first / dance.fps if 0 <= time < len(joints) / dance.fps)
    return replace(dance, joints=joints, beat_times=heard)


def sunk(dance: Dance) -> Dance:
    """Five centimetres lower: the feet in the floor."""
    joints = dance.joints.copy()
    joints[..., UP] -= 0.05
    return replace(dance, joints=joints)


def _carried(dance: Dance, direction: np.ndarray) -> Dance:
    seconds = np.arange(len(dance.joints)) / dance.fps
    way = SLIDE * PERIOD / (2 * np.pi) * np.sin(2 * np.pi * seconds / PERIOD)
    joints = dance.joints.copy()
    joints[..., HORIZONTAL] += way[:, None, None] * direction
    return replace(dance, joints=joints)


DISTORTIONS: dict[str, Callable[[Dance], Dance]] = {
    "itself": itself,
    "reversed in time": reversed_in_time,
    "frozen": frozen,
    "jittered 1 cm": jittered,
    "slid along x = -z": slid,
    "slid along x": slid_along_x,
    "beats shifted": beat_shifted,
    "another song": to_another_song,
    "time bent to another song": time_bent,
    "floated 20 cm": floated,
    "sunk 5 cm": sunk,
}
EXPECTED: dict[str, dict[str, str]] = {
    "reversed in time": {"mean_joint_speed": "same", "trembling": "same", "on_the_beat": "less"},
    "frozen": {
        "mean_joint_speed": "less", "mean_jerk": "less", "trembling": "less", "still_share": "more",
        "beat_alignment": "less", "movement_beat_alignment": "less", "fid_k_corrected": "more",
        "fid_g_corrected": "more", "fid_k_bailando": "more", "fid_g_bailando": "more",
        "physical_foot_contact": "more", "foot_skating_ratio": "same", "on_the_beat": "less",
        "shaking_cm_per_second": "less",
    },
    "jittered 1 cm": {
        "mean_jerk": "more", "trembling": "more", "fid_k_corrected": "more", "fid_k_bailando": "more",
        "beat_alignment": "less", "foot_skating_cm_per_second": "more", "foot_skating_ratio": "more",
        "physical_foot_contact": "more", "physical_body_contact": "less", "beat_alignment_bailando": "less",
        "shaking_cm_per_second": "more", "movement_beat_alignment": "same", "mean_joint_speed": "more",
    },
    "slid along x = -z": {
        "foot_skating_cm_per_second": "more", "foot_skating_share": "more", "foot_skating_ratio": "more",
        "physical_foot_contact": "more", "trembling": "same", "standing_slide_cm_per_second": "more",
        "shaking_cm_per_second": "same",
    },
    "slid along x": {
        "foot_skating_cm_per_second": "more", "foot_skating_share": "more", "foot_skating_ratio": "more",
        "physical_foot_contact": "more",
    },
    "beats shifted": {
        "beat_alignment": "less", "beat_alignment_p_value": "more", "beat_alignment_bailando": "less",
        "mean_joint_speed": "same", "fid_k_corrected": "same", "on_the_beat": "less",
    },
    "another song": {
        "beat_alignment": "less", "movement_beat_alignment": "less", "on_the_beat": "less",
        "beat_alignment_p_value": "more", "mean_joint_speed": "same",
    },
    "time bent to another song": {
        "beat_alignment": "more", "movement_beat_alignment": "more", "on_the_beat": "more",
        "beat_alignment_p_value": "less", "mean_joint_speed": "more",
    },
    "floated 20 cm": {
        "air_share": "more", "longest_flight_s": "more", "hover_share": "more", "longest_flight_fall": "less",
        "foot_contact_share": "less", "air_share_own_floor": "same", "floor_penetration_mean": "same",
        "foot_skating_ratio": "more", "physical_foot_contact": "more", "fid_k_corrected": "more",
    },
    "sunk 5 cm": {
        "floor_penetration_mean": "more", "below_floor_worst_hundredth": "more",
        "fid_g_corrected": "same", "foot_skating_ratio": "same", "trembling": "same",
    },
}  # fmt: skip
"""What a measure that sees the damage does: gets more, or less, or stays the same. Frozen dances should be no better in
contact than living ones; a measure that finds them better rewards standing still."""
AGAINST = {"time bent to another song": "another song"}
"""What a damage is compared with, where that is not the dance itself."""


def moves_as(way: str, before: float, after: float) -> bool:
    """Whether a value changed as expected; by less than two per cent, or 1e-6, counts as the same."""
    if not (np.isfinite(before) and np.isfinite(after)):
        return False
    changed = abs(after - before) > max(0.02 * abs(before), 1e-6)
    return {"same": not changed, "more": changed and after > before, "less": changed and after < before}[way]


def ignoring(dances: Sequence[Dance], *, bending: bool) -> tuple[dict, dict[str, np.ndarray]]:
    """Dances of one who ignores the song, and the songs' beats: every dance is a seed, danced alike to three songs.

    The songs are even beats at three tempi; with ``bending`` the dance's time is bent onto them, as a cleanup could do
    that no dance of ours gets. What comes out is as ``metrics.exchange`` takes it.
    """
    beats = {f"{tempo:g} times": np.arange(OTHER_BEGINNING, 300, tempo * 0.5) for tempo in (0.8, 1.0, 1.25)}
    danced = {
        (song, seed): bent(dance, times).joints if bending else dance.joints
        for song, times in beats.items()
        for seed, dance in enumerate(dances)
        if dance.beat_times is not None and len(dance.beat_times) > 1
    }
    return danced, beats


def heeding(dances: Sequence[Dance]) -> tuple[dict, dict[str, np.ndarray]]:
    """Dances of one to whom the song is as good as a seed: another dance for every song and seed."""
    _, beats = ignoring((), bending=False)
    pairs = [(song, seed) for song in beats for seed in range(len(dances) // len(beats))]
    return {pair: bent(dance, beats[pair[0]]).joints for pair, dance in zip(pairs, dances, strict=False)}, beats
