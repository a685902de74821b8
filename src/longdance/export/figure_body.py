"""The mannequin's body: what its limbs, trunk and head are made of, sized for a skeleton.

Only the left half and the midline are described. Numbers are metres for a head joint at ``REFERENCE_HEAD``: of a loft's
stations (how far along, half width, half depth, shift across, shift in depth), of an ellipsoid its radii.
"""

import numpy as np

from longdance.export.figure_solids import Part, ellipsoid, loft, melted
from longdance.motion.skeleton import Skeleton

REFERENCE_HEAD = 1.57
"""Metres of the head joint above the floor for which the radii below are written."""

_FORWARD = (0.0, 0.0, 1.0)


def body(skeleton: Skeleton, size: float) -> list[Part]:
    """The parts of the left half and of the midline, sized for the skeleton."""
    of = _Sculptor(skeleton, size)
    return [*_trunk(of), *_arm(of), *_leg(of), *_head(of)]


class _Sculptor:
    """Makes parts at a skeleton's left joints, with lengths in a size."""

    def __init__(self, skeleton: Skeleton, size: float):
        self.size = size
        self.joints = {name.removeprefix("left_"): skeleton.rest_positions[i] for i, name in enumerate(skeleton.names)}

    def __getitem__(self, name: str) -> np.ndarray:
        return self.joints[name]

    def at(self, origin: np.ndarray, *shift: float) -> np.ndarray:
        """A place beside a joint."""
        return origin + np.array(shift) * self.size

    def loft(self, start: np.ndarray, end: np.ndarray, stations: tuple, **options) -> Part:
        """A tube from ``start`` to ``end``."""
        scaled = [(row[0], *(self.size * value for value in row[1:])) for row in stations]
        options["melt"] = options.get("melt", 0.02) * self.size
        return loft(start, end, scaled, **options)

    def ellipsoid(self, centre: np.ndarray, radii: tuple, *, melt: float = 0.02, carve: bool = False) -> Part:
        """A rounded mass, or a hollow."""
        return ellipsoid(centre, np.array(radii) * self.size, melt=melt * self.size, carve=carve)


def _trunk(of: _Sculptor) -> list[Part]:
    """From the hips to the throat."""
    hip, neck = of["hip"], of["neck"]
    hips = np.array([0.0, hip[1], of["pelvis"][2]])
    throat = np.array([0.0, neck[1], neck[2] + 0.01 * of.size])
    middle = of.loft(
        hips,
        throat,
        (
            (-0.15, 0.095, 0.070, 0.0, -0.012),
            (-0.04, 0.155, 0.100, 0.0, -0.014),
            (0.05, 0.166, 0.106, 0.0, -0.012),
            (0.16, 0.156, 0.098, 0.0, -0.004),
            (0.28, 0.136, 0.088, 0.0, 0.004),
            (0.36, 0.129, 0.085, 0.0, 0.006),
            (0.48, 0.136, 0.092, 0.0, 0.008),
            (0.62, 0.154, 0.105, 0.0, 0.010),
            (0.74, 0.166, 0.108, 0.0, 0.010),
            (0.84, 0.168, 0.096, 0.0, 0.002),
            (0.92, 0.140, 0.074, 0.0, -0.004),
            (0.99, 0.070, 0.055, 0.0, -0.006),
        ),
        power=2.3,
        rounding=0.03 * of.size,
        melt=0.03,
    )
    return [
        middle,
        of.ellipsoid(of.at(hip, -0.012, -0.015, -0.058), (0.078, 0.082, 0.062), melt=0.04),
        of.ellipsoid(of.at(neck, 0.068, -0.155, 0.070), (0.068, 0.055, 0.042), melt=0.05),
    ]


def _arm(of: _Sculptor) -> list[Part]:
    """From the collar bone to the finger tips."""
    neck, shoulder, elbow, wrist = (of[name] for name in ("neck", "shoulder", "elbow", "wrist"))
    return [
        of.loft(  # from the neck over the collar bone to the shoulder
            of.at(neck, 0.0, -0.005, 0.0),
            shoulder,
            ((0.0, 0.050, 0.050), (0.45, 0.052, 0.042, 0.0, -0.010), (1.0, 0.056, 0.050)),
            across=_FORWARD,
            melt=0.05,
        ),
        of.ellipsoid(of.at(shoulder, 0.008, 0.0, 0.0), (0.062, 0.060, 0.060), melt=0.03),
        of.loft(
            shoulder,
            elbow,
            (
                (0.0, 0.053, 0.054),
                (0.3, 0.048, 0.050),
                (0.65, 0.043, 0.042),
                (0.95, 0.039, 0.037),
                (1.1, 0.028, 0.026),
            ),
            across=_FORWARD,
            melt=0.03,
        ),
        of.loft(
            elbow,
            wrist,
            (
                (-0.15, 0.026, 0.025),
                (-0.02, 0.036, 0.035),
                (0.2, 0.042, 0.039),
                (0.5, 0.037, 0.033),
                (0.85, 0.029, 0.024),
                (1.0, 0.026, 0.020),
                (1.1, 0.020, 0.014),
            ),
            across=_FORWARD,
            melt=0.02,
        ),
        of.loft(  # palm and fingers, tips a little lowered
            wrist,
            of.at(wrist, 0.1, 0.0, 0.0),
            (
                (-0.1, 0.026, 0.020),
                (0.25, 0.034, 0.019),
                (0.7, 0.042, 0.017, 0.0, 0.001),
                (0.95, 0.042, 0.0155, 0.0, -0.001),
                (1.3, 0.038, 0.0135, -0.001, -0.005),
                (1.6, 0.031, 0.0115, -0.002, -0.011),
                (1.78, 0.018, 0.009, -0.002, -0.015),
            ),
            across=_FORWARD,
            power=2.6,
            rounding=0.008 * of.size,
            melt=0.015,
        ),
        of.loft(
            of.at(wrist, 0.022, -0.004, 0.018),
            of.at(wrist, 0.098, -0.014, 0.066),
            ((0.0, 0.018, 0.016), (0.5, 0.0145, 0.013), (0.85, 0.012, 0.011), (1.0, 0.009, 0.009)),
            across=_FORWARD,
            melt=0.014,
            rounding=0.008 * of.size,
        ),
    ]


def _leg(of: _Sculptor) -> list[Part]:
    """From the hip to the shoe."""
    hip, knee, ankle, ball = (of[name] for name in ("hip", "knee", "ankle", "foot"))
    return [
        of.loft(
            hip,
            knee,
            (
                (-0.08, 0.078, 0.084),
                (0.12, 0.0835, 0.092, 0.004, -0.002),
                (0.3, 0.080, 0.088, 0.005, 0.002),
                (0.6, 0.066, 0.072, 0.003, 0.004),
                (0.85, 0.054, 0.057, 0.0, 0.002),
                (0.97, 0.050, 0.054, 0.0, 0.002),
                (1.12, 0.036, 0.040, 0.0, -0.002),
            ),
            melt=0.025,
        ),
        of.loft(
            knee,
            ankle,
            (
                (-0.14, 0.034, 0.036, 0.0, 0.0),
                (-0.02, 0.046, 0.050, 0.0, 0.002),
                (0.1, 0.048, 0.051, 0.0, -0.004),
                (0.28, 0.054, 0.058, 0.002, -0.014),
                (0.5, 0.047, 0.050, 0.001, -0.011),
                (0.75, 0.035, 0.038, 0.0, -0.003),
                (0.92, 0.032, 0.036, 0.0, 0.0),
                (1.05, 0.033, 0.040, 0.0, 0.0),
            ),
            melt=0.015,
        ),
        _shoe(ankle, ball, of.size),
    ]


def _head(of: _Sculptor) -> list[Part]:
    """The neck and the left half of the head."""
    neck, head = of["neck"], of["head"]
    return [
        of.loft(
            of.at(neck, 0.0, -0.05, -0.004),
            of.at(head, 0.0, 0.03, -0.024),
            ((0.0, 0.058, 0.056), (0.4, 0.050, 0.051), (1.0, 0.050, 0.053)),
            melt=0.025,
        ),
        of.ellipsoid(of.at(head, 0.0, 0.066, -0.012), (0.075, 0.090, 0.094), melt=0.02),
        of.ellipsoid(of.at(head, 0.0, 0.010, 0.020), (0.052, 0.064, 0.062), melt=0.035),
        of.ellipsoid(of.at(head, 0.0, -0.034, 0.056), (0.022, 0.018, 0.020), melt=0.02),
        of.ellipsoid(of.at(head, 0.030, 0.046, 0.092), (0.020, 0.013, 0.018), melt=0.022, carve=True),
        of.loft(
            of.at(head, 0.0, 0.050, 0.076),
            of.at(head, 0.0, 0.010, 0.092),
            ((0.0, 0.009, 0.008), (0.6, 0.0105, 0.0105), (1.0, 0.0125, 0.009)),
            melt=0.018,
            rounding=0.01 * of.size,
        ),
        of.ellipsoid(of.at(head, 0.075, 0.030, -0.010), (0.010, 0.027, 0.017), melt=0.008),
    ]


def _shoe(ankle: np.ndarray, ball: np.ndarray, size: float) -> Part:
    """Heel, instep and toe in one loft along z, cut flat by the floor."""
    start = np.array([ankle[0], 0.0, ankle[2]])
    end = np.array([ball[0], 0.0, ball[2]])
    upper = loft(
        start,
        end,
        [
            (row[0], *(size * value for value in row[1:]))
            for row in (
                (-0.47, 0.024, 0.052),
                (-0.36, 0.033, 0.072),
                (-0.10, 0.037, 0.092),
                (0.12, 0.037, 0.096),
                (0.45, 0.039, 0.076),
                (0.85, 0.046, 0.058, 0.001),
                (1.12, 0.047, 0.050, 0.001),
                (1.40, 0.040, 0.044, -0.002),
                (1.56, 0.026, 0.034, -0.004),
            )
        ],
        melt=0.014 * size,
        power=2.6,
        rounding=0.03 * size,
    )

    def distance(points):
        return -melted(-upper.distance(points), points[:, 1], 0.012 * size)

    return Part(distance, np.maximum(upper.low, (-1, 0.0, -1)), upper.high, upper.melt)
