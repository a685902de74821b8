"""Flights: does a body that nothing holds fall, or does it hover?

In the air only gravity acts on the centre of mass, so its height is a parabola whatever the limbs do.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from longdance.metrics.joints import UP, checked_joints
from longdance.metrics.physical import OFF_FLOOR, body_clearance
from longdance.motion.skeleton import SMPL24

GRAVITY = 9.81
"""m/s²."""
LEAST_FLIGHT = 0.1
"""Seconds below which a parabola through a flight says nothing."""
HOVERING = 0.5
"""Share of gravity below which a body that is in the air hovers."""
PARTS = (
    (("pelvis", "neck"), 0.435, 0.55),
    (("head", "head"), 0.069, 0.0),
    *(
        ((f"{side}_{one}", f"{side}_{other}"), mass, along)
        for side in ("left", "right")
        for one, other, mass, along in (
            ("hip", "knee", 0.142, 0.41),
            ("knee", "ankle", 0.043, 0.44),
            ("ankle", "foot", 0.014, 0.5),
            ("shoulder", "elbow", 0.027, 0.58),
            ("elbow", "wrist", 0.022, 0.6),
        )
    ),
)
"""Segments by the joints at their ends, their share of the body's mass, and how far along their centre of mass is;
forearms with their hands. Source: de Leva 1996, table 4, men, rounded."""


class Flights(NamedTuple):
    """How a dance falls where nothing of it touches y = 0."""

    longest_fall: float
    """Downward acceleration of the centre of mass in the longest flight over gravity; 1 is free fall, 0 hovering, NaN
    without a flight of at least a tenth of a second."""
    hover_share: float
    """Share of all frames that belong to flights that fall with less than half of gravity."""


def centre_of_mass(joints: Float[np.ndarray, "frames joints 3"]) -> Float[np.ndarray, "frames 3"]:
    """(frames, 3) metres: mean of the segments' centres of mass, by their masses."""
    total = sum(mass for _, mass, _ in PARTS)
    places = (
        mass * ((1 - along) * joints[:, SMPL24.index(one)] + along * joints[:, SMPL24.index(other)])
        for (one, other), mass, along in PARTS
    )
    return np.sum(list(places), axis=0) / total


def flights(joints: Float[np.ndarray, "frames joints 3"], fps: float | int) -> Flights:
    """Whether flights are ballistic, by the parabola nearest to the height of the centre of mass in each.

    ``joints`` (frames, joints, 3) metres, y up. A flight is a stretch in which the body's lowest part is more than 5 cm
    above y = 0, as in ``airborne``.
    """
    joints = checked_joints(joints, fps, least_frames=1)
    height = centre_of_mass(joints)[:, UP]
    off = body_clearance(joints, fps) > OFF_FLOOR
    edges = np.flatnonzero(np.diff(np.concatenate(([False], off, [False])).astype(int)))
    longest, fall, hovering = 0, float("nan"), 0
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        if end - begin < max(4, LEAST_FLIGHT * fps):
            continue
        seconds = (np.arange(end - begin) - (end - begin - 1) / 2) / fps
        falls = -2 * float(np.polynomial.polynomial.polyfit(seconds, height[begin:end], 2)[2]) / GRAVITY
        hovering += (end - begin) * (falls < HOVERING)
        if end - begin > longest:
            longest, fall = end - begin, falls
    return Flights(fall, float(hovering / len(joints)))
