"""One dance in numbers: physical measures, published contact metrics, and the meeting of the beats."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from longdance.metrics.body import self_penetration, shaking, trembling
from longdance.metrics.contact import foot_skating_ratio, physical_body_contact, physical_foot_contact
from longdance.metrics.flight import flights
from longdance.metrics.joints import checked_joints
from longdance.metrics.physical import (
    airborne,
    below_floor,
    floor_penetration,
    foot_skating,
    mean_jerk,
    mean_joint_speed,
    root_height_range,
    standing,
    still_share,
)
from longdance.metrics.rhythm import beat_alignment_test
from longdance.motion.motion import Motion
from longdance.motion.skeleton import SMPL24

PAPER_FPS = 30.0
"""Frame rate that EDGE's, POPDG's and Lodge's contact metrics were published for."""


def describe(
    joints: Float[np.ndarray, "frames joints 3"],
    fps: float | int,
    beat_times: Sequence[float] | np.ndarray | None = None,
    *,
    seed: int = 0,
) -> dict[str, float]:
    """Every measure of one dance by name; metres, seconds and their quotients unless the name says otherwise.

    ``joints`` (frames, joints, 3) metres, y up, at least four frames. The beat measures are there only if
    ``beat_times`` (seconds from the first frame) are given, ``physical_body_contact`` only with 24 joints.
    Values that a dance lacks, such as the skating of feet that never touch the floor, are NaN. ``seed``
    sets the chance shifts of ``beat_alignment_test``.
    """
    joints = checked_joints(joints, fps, least_frames=4)
    skating, penetration = foot_skating(joints, fps), floor_penetration(joints, fps)
    inside, air, falls = self_penetration(joints, fps), airborne(joints, fps), flights(joints, fps)
    stands = standing(joints, fps)
    values = {
        "seconds": len(joints) / fps,
        "mean_joint_speed": mean_joint_speed(joints, fps),
        "mean_joint_speed_root_relative": mean_joint_speed(joints, fps, root_relative=True),
        "mean_jerk": mean_jerk(joints, fps),
        "mean_jerk_root_relative": mean_jerk(joints, fps, root_relative=True),
        "foot_skating_cm_per_second": skating.speed_cm_per_second,
        "foot_skating_share": skating.ratio,
        "foot_contact_share": skating.contact_share,
        "floor_penetration_mean": penetration.mean,
        "floor_penetration_deepest": penetration.deepest,
        "below_floor_worst_hundredth": below_floor(joints, fps),
        "air_share": air.share,
        "air_share_own_floor": air.own_floor_share,
        "longest_flight_s": air.longest_seconds,
        "longest_flight_fall": falls.longest_fall,
        "hover_share": falls.hover_share,
        "standing_slide_cm_per_second": stands.speed_cm_per_second,
        "hands_on_floor_share": stands.hands_share,
        "knees_on_floor_share": stands.knees_share,
        "self_penetration_mean": inside.mean,
        "self_penetration_share": inside.share,
        "trembling": trembling(joints, fps),
        "shaking_cm_per_second": shaking(joints, fps),
        "still_share": still_share(joints, fps),
        "root_height_range": root_height_range(joints, fps),
        "physical_foot_contact": physical_foot_contact(joints, fps, at_fps=PAPER_FPS),
        "foot_skating_ratio": foot_skating_ratio(joints, fps, at_fps=PAPER_FPS),
    }
    if joints.shape[1] == len(SMPL24):
        values["physical_body_contact"] = physical_body_contact(joints, fps, at_fps=PAPER_FPS)
    if beat_times is not None:
        test = beat_alignment_test(joints, beat_times, fps, seed=seed)
        published = beat_alignment_test(joints, beat_times, fps, seed=seed, variant="bailando")
        values |= {
            "beat_alignment": test.score,
            "beat_alignment_by_chance": test.chance_mean,
            "beat_alignment_p_value": test.p_value,
            "beat_alignment_bailando": published.score,
            "beat_alignment_bailando_by_chance": published.chance_mean,
        }
    return values


def facts(dance: Motion) -> dict[str, float]:
    """Length and frame rate of a dance, and what ``describe`` measures of it that it has; to its own beats."""
    # A beat after the last frame's time has nothing to meet.
    beats = [beat for beat in dance.meta.get("beat_times", ()) if beat <= (dance.frames - 1) / dance.fps] or None
    measured = describe(dance.joints(), dance.fps, beats) if dance.frames >= 8 else {}
    numbers = {key: round(float(value), 4) for key, value in measured.items() if np.isfinite(value)}
    return {"seconds": round(dance.seconds, 3), "fps": dance.fps, **numbers}
