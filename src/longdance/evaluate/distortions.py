"""Known damage done to real dances, to see which measures notice."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from longdance.evaluate.dances import Dance
from longdance.metrics.joints import HORIZONTAL, UP

JITTER = 0.01
"""Metres: standard deviation of the noise on every coordinate of every joint."""
SLIDE = 0.5
"""Greatest metres per second of a body that is carried over the floor to and fro."""
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
    "sunk 5 cm": sunk,
}
EXPECTED: dict[str, dict[str, str]] = {
    "reversed in time": {"mean_joint_speed": "same", "trembling": "same", "foot_skating_cm_per_second": "same"},
    "frozen": {
        "mean_joint_speed": "less", "mean_jerk": "less", "trembling": "less", "still_share": "more",
        "beat_alignment": "less", "fid_k_corrected": "more", "fid_g_corrected": "more",
        "fid_k_bailando": "more", "fid_g_bailando": "more",
        "physical_foot_contact": "more", "foot_skating_ratio": "same",
    },
    "jittered 1 cm": {
        "mean_jerk": "more", "trembling": "more", "fid_k_corrected": "more", "fid_k_bailando": "more",
        "beat_alignment": "less", "foot_skating_cm_per_second": "more", "foot_skating_ratio": "more",
        "physical_foot_contact": "more",
        "physical_body_contact": "less",
        "beat_alignment_bailando": "less",
    },
    "slid along x = -z": {
        "foot_skating_cm_per_second": "more", "foot_skating_share": "more", "foot_skating_ratio": "more",
        "physical_foot_contact": "more", "trembling": "same",
    },
    "slid along x": {
        "foot_skating_cm_per_second": "more", "foot_skating_share": "more", "foot_skating_ratio": "more",
        "physical_foot_contact": "more",
    },
    "beats shifted": {
        "beat_alignment": "less", "beat_alignment_p_value": "more", "beat_alignment_bailando": "less",
        "mean_joint_speed": "same", "fid_k_corrected": "same",
    },
    "sunk 5 cm": {
        "floor_penetration_mean": "more", "fid_g_corrected": "same", "foot_skating_ratio": "same", "trembling": "same",
    },
}  # fmt: skip
"""What a measure that sees the damage does: gets more, or less, or stays the same. Frozen dances should be no better in
contact than living ones; a measure that finds them better rewards standing still."""


def moves_as(way: str, before: float, after: float) -> bool:
    """Whether a value changed as expected; by less than two per cent, or 1e-6, counts as the same."""
    if not (np.isfinite(before) and np.isfinite(after)):
        return False
    changed = abs(after - before) > max(0.02 * abs(before), 1e-6)
    return {"same": not changed, "more": changed and after > before, "less": changed and after < before}[way]
