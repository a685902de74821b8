"""Measures of a dance: published metrics to compare with papers, physical ones in SI units to judge by.

``joints`` are always (frames, 22 or 24, 3) positions in metres, SMPL order, y up, floor at y = 0.
"""

from longdance.metrics.body import self_penetration, shaking, trembling
from longdance.metrics.contact import (
    foot_skating_ratio,
    foot_skating_ratios,
    physical_body_contact,
    physical_foot_contact,
)
from longdance.metrics.distribution import diversity, frechet_distance
from longdance.metrics.exchange import exchange, exchange_in_beats
from longdance.metrics.features import geometric_features, kinetic_features
from longdance.metrics.flight import flights
from longdance.metrics.genre import GenreClassifier
from longdance.metrics.physical import (
    airborne,
    below_floor,
    floor_contacts,
    floor_penetration,
    foot_skating,
    mean_jerk,
    mean_joint_speed,
    root_height_range,
    standing,
    still_share,
)
from longdance.metrics.report import describe
from longdance.metrics.response import loudness_response, movement_beat_test, music_response
from longdance.metrics.retrieval import RetrievalEvaluator, multimodal_distance, r_precision
from longdance.metrics.rhythm import (
    beat_alignment,
    beat_alignment_test,
    motion_beats,
)

__all__ = [
    "GenreClassifier",
    "RetrievalEvaluator",
    "airborne",
    "beat_alignment",
    "beat_alignment_test",
    "below_floor",
    "describe",
    "diversity",
    "exchange",
    "exchange_in_beats",
    "flights",
    "floor_contacts",
    "floor_penetration",
    "foot_skating",
    "foot_skating_ratio",
    "foot_skating_ratios",
    "frechet_distance",
    "geometric_features",
    "kinetic_features",
    "loudness_response",
    "mean_jerk",
    "mean_joint_speed",
    "motion_beats",
    "movement_beat_test",
    "multimodal_distance",
    "music_response",
    "physical_body_contact",
    "physical_foot_contact",
    "r_precision",
    "root_height_range",
    "self_penetration",
    "shaking",
    "standing",
    "still_share",
    "trembling",
]
