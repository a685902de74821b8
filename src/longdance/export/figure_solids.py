"""Smooth solids without a mesh: parts, each the distance to its surface, melted into one.

A limb is a loft (a tube whose elliptic section changes along a line), a rounded mass an ellipsoid; a smooth union
leaves no seam where they meet.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

FAR = 0.06
"""Metres beyond which a part is not felt; no part may melt over a longer way."""


@dataclass(frozen=True)
class Part:
    """One primitive: its distance function, the box it fills, the radius over which it melts into others."""

    distance: Callable[[np.ndarray], np.ndarray]
    low: np.ndarray
    high: np.ndarray
    melt: float
    carve: bool = False


class Solid:
    """Signed distance in metres (negative inside) to the smooth union of parts and their mirror image."""

    def __init__(self, parts: list[Part]):
        self.parts = parts
        self.low = np.min([part.low for part in parts], axis=0)
        self.high = np.max([part.high for part in parts], axis=0)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        points = points * np.where(points[:, :1] < 0, (-1.0, 1.0, 1.0), 1.0)
        field = np.full(len(points), FAR)
        for part in self.parts:
            near = np.flatnonzero(((points > part.low - FAR) & (points < part.high + FAR)).all(-1))
            here = np.minimum(part.distance(points[near]), FAR)
            field[near] = (
                -melted(-field[near], here, part.melt) if part.carve else melted(field[near], here, part.melt)
            )
        return field

    def gradient(self, points: np.ndarray, width: float) -> np.ndarray:
        """Central differences over twice ``width`` metres."""
        shifts = np.eye(3) * width
        return np.stack([self(points + s) - self(points - s) for s in shifts], -1) / (2 * width)


def melted(a: np.ndarray, b: np.ndarray, radius: float) -> np.ndarray:
    """Smooth minimum: a plain minimum wherever ``a`` and ``b`` differ by more than ``radius``."""
    overlap = np.maximum(radius - np.abs(a - b), 0.0) / radius
    return np.minimum(a, b) - overlap**2 * radius / 4


def ellipsoid(centre, radii, *, melt: float, carve: bool = False) -> Part:
    centre, radii = np.asarray(centre, float), np.asarray(radii, float)

    def distance(points):
        scaled = (points - centre) / radii
        level = np.linalg.norm(scaled, axis=-1)
        slope = np.linalg.norm(scaled / radii, axis=-1)
        return level * (level - 1) / np.maximum(slope, 1e-9)

    return Part(distance, centre - radii, centre + radii, melt, carve)


def loft(
    start, end, stations, *, melt: float, across=(1.0, 0.0, 0.0), power: float = 2.0, rounding=0.012
) -> Part:
    """A tube from ``start`` to ``end``.

    ``stations``: rows (place along the line, 0 at start and 1 at end; half width along ``across``; half
    depth; shift across; shift in depth), lengths in metres. ``power`` 2 is an ellipse, more is boxier;
    ``rounding`` softens the two end caps.
    """
    start, end, across = (np.asarray(v, float) for v in (start, end, across))
    length = np.linalg.norm(end - start)
    along = (end - start) / length
    across = across - along * (across @ along)
    across /= np.linalg.norm(across)
    depth = np.cross(across, along)
    depth *= 1.0 if depth[np.argmax(np.abs(depth))] > 0 else -1.0  # towards the front, or up for an arm
    table = np.array([row + (0.0,) * (5 - len(row)) for row in stations], float)
    places = np.linspace(table[0, 0], table[-1, 0], 128)
    profile = PchipInterpolator(table[:, 0], table[:, 1:])(places)

    def distance(points):
        local = points - start
        place = local @ along / length
        width, thickness, shift_across, shift_depth = (
            np.interp(place, places, column) for column in profile.T
        )
        u, w = local @ across - shift_across, local @ depth - shift_depth
        level = ((np.abs(u) / width) ** power + (np.abs(w) / thickness) ** power) ** (1 / power)
        radial = np.hypot(u, w)
        side = np.where(
            level > 1e-3, radial * (1 - 1 / np.maximum(level, 1e-3)), -np.minimum(width, thickness)
        )
        cap = np.maximum(table[0, 0] - place, place - table[-1, 0]) * length
        return -melted(-side, -cap, rounding)

    reach = np.abs(table[:, 1:3]).max() + np.abs(table[:, 3:]).max()
    tips = np.array([start + along * length * place for place in (table[0, 0], table[-1, 0])])
    # A tube's box only grows across its own direction.
    grow = reach * np.sqrt(np.maximum(1 - along**2, 0.0))
    return Part(distance, tips.min(0) - grow, tips.max(0) + grow, melt)
