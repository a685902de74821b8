"""The mannequin: one closed, smooth surface around a skeleton, with skinning weights.

What belongs here: the body's shape in the rest pose, how its surface is found, how it is bound to the joints,
and posing it. What does not: colours, light, cameras and files.

The shape is an implicit solid: every limb is a loft (a tube whose elliptic section changes along a line),
rounded masses are ellipsoids, and all of them are merged by a smooth union, so that there are no seams at the
joints. The surface is read off a regular grid by surface nets (Gibson 1998) and then pulled onto the solid's
boundary.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.interpolate import PchipInterpolator

from longdance.errors import InputError
from longdance.motion.skeleton import Skeleton

SKIN, SUIT, ACCENT = 0, 1, 2
"""Colour groups: bare skin; shirt and shorts; hair and shoes."""

REFERENCE_HEAD = 1.57
"""Metres of the head joint above the floor for which the radii below are written."""

INFLUENCES = 4
"""Joints that may move one vertex."""


@dataclass(frozen=True, eq=False)
class Mannequin:
    """A body in the rest pose of ``skeleton``: metres, feet on the floor y = 0, facing +z.

    ``vertices`` and ``normals`` (vertices, 3); ``faces`` (faces, 3), counter-clockwise seen from outside;
    ``bones`` and ``weights`` (vertices, 4), weights descending and adding up to one; ``colour_groups``
    (vertices,) holds ``SKIN``, ``SUIT`` or ``ACCENT``; ``seams`` (vertices, 2) are the signed distances in
    metres into the suit and into the accents, for renderers that draw the border between two colours finer
    than the mesh.
    """

    skeleton: Skeleton
    vertices: np.ndarray
    normals: np.ndarray
    faces: np.ndarray
    bones: np.ndarray
    weights: np.ndarray
    colour_groups: np.ndarray
    seams: np.ndarray

    def transforms(self, joints: np.ndarray, rotations: np.ndarray) -> np.ndarray:
        """(..., joints, 3, 4) skinning matrices that carry the rest pose to the posed world.

        ``joints`` (..., joints, 3) metres and global ``rotations`` (..., joints, 3, 3).
        """
        rest = self.skeleton.rest_positions
        moved = joints - np.einsum("...jab,jb->...ja", rotations, rest)
        return np.concatenate((rotations, moved[..., None]), axis=-1)

    def pose(self, joints: np.ndarray, rotations: np.ndarray) -> np.ndarray:
        """(vertices, 3) metres in the world for one frame of joint positions and global rotations."""
        matrices = self.transforms(joints, rotations).astype(np.float32)
        blended = np.einsum("vi,viab->vab", self.weights.astype(np.float32), matrices[self.bones])
        return np.einsum("vab,vb->va", blended[..., :3], self.vertices.astype(np.float32)) + blended[..., 3]


def mannequin(skeleton: Skeleton, *, cell: float = 0.015) -> Mannequin:
    """The body for a skeleton with SMPL joint names; ``cell`` is the mesh's finest edge length in metres.

    Left and right halves are mirror images. The result is cached: treat its arrays as read-only. ``InputError`` for
    bones that are nothing like a body's.
    """
    legs, reach = skeleton.leg_length, np.abs(skeleton.rest_positions).max()
    if not 0.01 < legs < 100 or reach > 10 * legs:
        raise InputError(
            f"expected the bones of a body, got legs of {legs:.3g} m and joints up to {reach:.3g} m away; try another "
            "skeleton, or bones without the mannequin"
        )
    return _build(skeleton, cell)


@lru_cache(maxsize=8)
def _build(skeleton: Skeleton, cell: float) -> Mannequin:
    size = skeleton.rest_positions[skeleton.index("head"), 1] / REFERENCE_HEAD
    step = cell * size
    solid = _Solid(_body(skeleton, size))
    axes = _grid(solid, skeleton, step)
    vertices, faces = _surface_nets(_sample(solid, axes), axes)
    for _ in range(3):
        distance, gradient = solid(vertices), solid.gradient(vertices, step / 8)
        steps = distance / np.maximum((gradient**2).sum(-1), 0.25)
        vertices = vertices - np.clip(steps, -step / 2, step / 2)[:, None] * gradient
    gradient = solid.gradient(vertices, step / 4)
    normals = gradient / np.linalg.norm(gradient, axis=-1, keepdims=True)
    bones, weights = _bind(vertices, skeleton, size)
    seams = _seams(vertices, skeleton, size)
    groups = np.where(seams[:, 1] > 0, ACCENT, np.where(seams[:, 0] > 0, SUIT, SKIN))
    arrays = (vertices, normals, faces, bones, weights, groups, seams)
    for array in arrays:
        array.flags.writeable = False
    return Mannequin(skeleton, *arrays)


# --- the solid ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Part:
    """One primitive: its distance function, the box it fills, the radius over which it melts into others."""

    distance: Callable[[np.ndarray], np.ndarray]
    low: np.ndarray
    high: np.ndarray
    melt: float
    carve: bool = False


class _Solid:
    """Signed distance in metres (negative inside) to the smooth union of parts and their mirror image."""

    def __init__(self, parts: list[_Part]):
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
                -_melt(-field[near], here, part.melt) if part.carve else _melt(field[near], here, part.melt)
            )
        return field

    def gradient(self, points: np.ndarray, width: float) -> np.ndarray:
        """Central differences over twice ``width`` metres."""
        shifts = np.eye(3) * width
        return np.stack([self(points + s) - self(points - s) for s in shifts], -1) / (2 * width)


FAR = 0.06
"""Metres beyond which a part is not felt; no part may melt over a longer way."""


def _melt(a: np.ndarray, b: np.ndarray, radius: float) -> np.ndarray:
    """Smooth minimum: a plain minimum wherever ``a`` and ``b`` differ by more than ``radius``."""
    overlap = np.maximum(radius - np.abs(a - b), 0.0) / radius
    return np.minimum(a, b) - overlap**2 * radius / 4


def _ellipsoid(centre, radii, *, melt: float, carve: bool = False) -> _Part:
    centre, radii = np.asarray(centre, float), np.asarray(radii, float)

    def distance(points):
        scaled = (points - centre) / radii
        level = np.linalg.norm(scaled, axis=-1)
        slope = np.linalg.norm(scaled / radii, axis=-1)
        return level * (level - 1) / np.maximum(slope, 1e-9)

    return _Part(distance, centre - radii, centre + radii, melt, carve)


def _loft(
    start, end, stations, *, melt: float, across=(1.0, 0.0, 0.0), power: float = 2.0, rounding=0.012
) -> _Part:
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
        return -_melt(-side, -cap, rounding)

    reach = np.abs(table[:, 1:3]).max() + np.abs(table[:, 3:]).max()
    tips = np.array([start + along * length * place for place in (table[0, 0], table[-1, 0])])
    # A tube's box only grows across its own direction.
    grow = reach * np.sqrt(np.maximum(1 - along**2, 0.0))
    return _Part(distance, tips.min(0) - grow, tips.max(0) + grow, melt)


def _body(skeleton: Skeleton, size: float) -> list[_Part]:
    """The parts of the left half and of the midline, sized for the skeleton."""
    joints = {name: skeleton.rest_positions[i] for i, name in enumerate(skeleton.names)}
    hip, knee, ankle, ball = (joints[f"left_{n}"] for n in ("hip", "knee", "ankle", "foot"))
    shoulder, elbow, wrist = (joints[f"left_{n}"] for n in ("shoulder", "elbow", "wrist"))
    neck, head = joints["neck"], joints["head"]

    def at(origin, *shift):
        return origin + np.array(shift) * size

    def loft(start, end, stations, **options):
        scaled = [(row[0], *(size * value for value in row[1:])) for row in stations]
        options["melt"] = options.get("melt", 0.02) * size
        return _loft(start, end, scaled, **options)

    def ellipsoid(centre, radii, *, melt=0.02, carve=False):
        return _ellipsoid(centre, np.array(radii) * size, melt=melt * size, carve=carve)

    hips, throat = (
        np.array([0.0, hip[1], joints["pelvis"][2]]),
        np.array([0.0, neck[1], neck[2] + 0.01 * size]),
    )
    torso = loft(
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
        rounding=0.03 * size,
        melt=0.03,
    )
    forward = (0.0, 0.0, 1.0)
    parts = [
        torso,
        ellipsoid(at(hip, -0.012, -0.015, -0.058), (0.078, 0.082, 0.062), melt=0.04),
        ellipsoid(at(neck, 0.068, -0.155, 0.070), (0.068, 0.055, 0.042), melt=0.05),
        loft(  # from the neck over the collar bone to the shoulder
            at(neck, 0.0, -0.005, 0.0),
            shoulder,
            ((0.0, 0.050, 0.050), (0.45, 0.052, 0.042, 0.0, -0.010), (1.0, 0.056, 0.050)),
            across=forward,
            melt=0.05,
        ),
        ellipsoid(at(shoulder, 0.008, 0.0, 0.0), (0.062, 0.060, 0.060), melt=0.03),
        loft(
            shoulder,
            elbow,
            (
                (0.0, 0.053, 0.054),
                (0.3, 0.048, 0.050),
                (0.65, 0.043, 0.042),
                (0.95, 0.039, 0.037),
                (1.1, 0.028, 0.026),
            ),
            across=forward,
            melt=0.03,
        ),
        loft(
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
            across=forward,
            melt=0.02,
        ),
        loft(  # palm and fingers, tips a little lowered
            wrist,
            at(wrist, 0.1, 0.0, 0.0),
            (
                (-0.1, 0.026, 0.020),
                (0.25, 0.034, 0.019),
                (0.7, 0.042, 0.017, 0.0, 0.001),
                (0.95, 0.042, 0.0155, 0.0, -0.001),
                (1.3, 0.038, 0.0135, -0.001, -0.005),
                (1.6, 0.031, 0.0115, -0.002, -0.011),
                (1.78, 0.018, 0.009, -0.002, -0.015),
            ),
            across=forward,
            power=2.6,
            rounding=0.008 * size,
            melt=0.015,
        ),
        loft(
            at(wrist, 0.022, -0.004, 0.018),
            at(wrist, 0.098, -0.014, 0.066),
            ((0.0, 0.018, 0.016), (0.5, 0.0145, 0.013), (0.85, 0.012, 0.011), (1.0, 0.009, 0.009)),
            across=forward,
            melt=0.014,
            rounding=0.008 * size,
        ),
        loft(
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
        loft(
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
        _shoe(ankle, ball, size),
        loft(
            at(neck, 0.0, -0.05, -0.004),
            at(head, 0.0, 0.03, -0.024),
            ((0.0, 0.058, 0.056), (0.4, 0.050, 0.051), (1.0, 0.050, 0.053)),
            melt=0.025,
        ),
        ellipsoid(at(head, 0.0, 0.066, -0.012), (0.075, 0.090, 0.094), melt=0.02),
        ellipsoid(at(head, 0.0, 0.010, 0.020), (0.052, 0.064, 0.062), melt=0.035),
        ellipsoid(at(head, 0.0, -0.034, 0.056), (0.022, 0.018, 0.020), melt=0.02),
        ellipsoid(at(head, 0.030, 0.046, 0.092), (0.020, 0.013, 0.018), melt=0.022, carve=True),
        loft(
            at(head, 0.0, 0.050, 0.076),
            at(head, 0.0, 0.010, 0.092),
            ((0.0, 0.009, 0.008), (0.6, 0.0105, 0.0105), (1.0, 0.0125, 0.009)),
            melt=0.018,
            rounding=0.01 * size,
        ),
        ellipsoid(at(head, 0.075, 0.030, -0.010), (0.010, 0.027, 0.017), melt=0.008),
    ]
    return parts


def _shoe(ankle: np.ndarray, ball: np.ndarray, size: float) -> _Part:
    """Heel, instep and toe in one loft along z, cut flat by the floor."""
    start = np.array([ankle[0], 0.0, ankle[2]])
    end = np.array([ball[0], 0.0, ball[2]])
    upper = _loft(
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
        return -_melt(-upper.distance(points), points[:, 1], 0.012 * size)

    return _Part(distance, np.maximum(upper.low, (-1, 0.0, -1)), upper.high, upper.melt)


# --- its surface --------------------------------------------------------------------------------------------


def _grid(solid: _Solid, skeleton: Skeleton, step: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coordinates in metres along x (symmetric), y and z; wide along limbs, fine at hands, feet and head."""
    rest = skeleton.rest_positions
    shoulder, wrist = (rest[skeleton.index(f"left_{name}"), 0] for name in ("shoulder", "wrist"))
    ankle, neck = (rest[skeleton.index(name), 1] for name in ("left_ankle", "neck"))
    hip = rest[skeleton.index("left_hip"), 1]
    margin = 3 * step
    half = _spaced(
        step / 2,
        solid.high[0] + margin,
        ((0.0, 1.1 * step), (1.2 * shoulder, 2 * step), (wrist - 2 * step, step)),
    )
    ys = _spaced(
        -margin - step / 3,
        solid.high[1] + margin,
        ((-1.0, step), (1.5 * ankle, 2 * step), (hip, 1.6 * step), (neck - 0.12, 1.3 * step), (neck, step)),
    )
    zs = np.arange(solid.low[2] - margin, solid.high[2] + margin, 1.1 * step)
    return np.concatenate((-half[::-1], half)), ys, zs


def _spaced(start: float, stop: float, steps: tuple[tuple[float, float], ...]) -> np.ndarray:
    """Numbers from ``start`` to beyond ``stop``; ``steps`` are rows (from here on, this far apart)."""
    values = [start]
    while values[-1] < stop:
        values.append(values[-1] + next(step for bound, step in reversed(steps) if values[-1] >= bound))
    return np.array(values)


def _sample(solid: _Solid, axes: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    """Distances (nx, ny, nz) on the grid; the half with x > 0 is computed, the other is its mirror image."""
    half = axes[0][len(axes[0]) // 2 :]
    grid = np.stack(np.meshgrid(half, *axes[1:], indexing="ij"), -1)
    field = solid(grid.reshape(-1, 3)).reshape(grid.shape[:3])
    return np.concatenate((field[::-1], field))


def _surface_nets(
    field: np.ndarray, axes: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (v, 3) and triangles (f, 3) of the zero level: one vertex per cell that the surface crosses.

    Source: Gibson, Constrained Elastic Surface Nets (1998); a vertex is the mean of its cell's edge
    crossings.
    """
    inside = field < 0
    shape = np.array(field.shape) - 1
    total, count = np.zeros((*shape, 3)), np.zeros(tuple(shape))
    for axis in range(3):
        ahead = [slice(None)] * 3
        ahead[axis] = slice(1, None)
        behind = [slice(None)] * 3
        behind[axis] = slice(None, -1)
        a, b = field[tuple(behind)], field[tuple(ahead)]
        crossed = (a < 0) != (b < 0)
        where = np.argwhere(crossed)
        points = where.astype(float)
        points[:, axis] += (a / np.where(crossed, a - b, 1.0))[crossed]
        others = [i for i in range(3) if i != axis]
        for du in (0, 1):
            for dv in (0, 1):
                cells = where.copy()
                cells[:, others[0]] -= du
                cells[:, others[1]] -= dv
                np.add.at(total, tuple(cells.T), points)
                np.add.at(count, tuple(cells.T), 1)
    index = np.full(count.shape, -1)
    used = count > 0
    index[used] = np.arange(used.sum())
    mean = total[used] / count[used][:, None]
    vertices = np.stack([np.interp(mean[:, i], np.arange(len(axes[i])), axes[i]) for i in range(3)], -1)

    faces = []
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        ahead, behind = [slice(None)] * 3, [slice(None)] * 3
        ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
        leaving = inside[tuple(behind)] & ~inside[tuple(ahead)]
        entering = ~inside[tuple(behind)] & inside[tuple(ahead)]
        for crossed, forwards in ((leaving, True), (entering, False)):
            base = np.argwhere(crossed)
            ring = []
            for du, dv in ((1, 1), (0, 1), (0, 0), (1, 0)):
                cells = base.copy()
                cells[:, u] -= du
                cells[:, v] -= dv
                ring.append(index[tuple(cells.T)])
            a, b, c, d = ring if forwards else ring[::-1]
            # Cutting every quad along its shorter diagonal keeps thin parts smooth.
            short = np.linalg.norm(vertices[a] - vertices[c], axis=-1) <= np.linalg.norm(
                vertices[b] - vertices[d], axis=-1
            )
            first = np.where(short[:, None], np.stack((a, b, c), -1), np.stack((a, b, d), -1))
            second = np.where(short[:, None], np.stack((a, c, d), -1), np.stack((b, c, d), -1))
            faces += [first, second]
    return vertices, np.concatenate(faces).astype(np.int32)


# --- binding and colours ------------------------------------------------------------------------------------


def _ramp(distance: np.ndarray, half_width: float) -> np.ndarray:
    """0 below ``-half_width``, 1 above ``half_width``, smooth between."""
    t = np.clip(0.5 + 0.5 * distance / half_width, 0.0, 1.0)
    return t * t * (3 - 2 * t)


def _bind(vertices: np.ndarray, skeleton: Skeleton, size: float) -> tuple[np.ndarray, np.ndarray]:
    """Joints (v, 4) and weights (v, 4) for every vertex.

    Every joint takes a share of what its parent holds: all beyond a plane through the joint, nothing before
    it, a smooth passage around it.
    """
    rest = skeleton.rest_positions
    side = np.sign(vertices[:, 0])
    folded = np.abs(vertices[:, 0])
    planes = {  # joint: (the plane's direction, half the width of the passage in metres)
        "spine1": ((0, 1, 0), 0.06),
        "spine2": ((0, 1, 0), 0.06),
        "spine3": ((0, 1, 0), 0.05),
        "neck": ((0, 1, 0), 0.04),
        "head": ((0, 0.9, -0.35), 0.035),
        "hip": ((0.45, -0.9, 0), 0.075),
        "knee": ((0, -1, 0), 0.05),
        "ankle": ((0, -0.9, 0.35), 0.03),
        "foot": ((0, 0, 1), 0.022),
        "collar": ((0.8, 0.6, 0), 0.07),
        "shoulder": ((0.9, 0.35, 0), 0.055),
        "elbow": ((1, 0, 0), 0.04),
        "wrist": ((1, 0, 0), 0.025),
        "hand": ((1, 0, 0), 0.02),
    }
    upper_body = _ramp(vertices[:, 1] - rest[skeleton.index("spine3"), 1] - 0.03 * size, 0.05 * size)
    held = np.zeros((len(skeleton), len(vertices)))
    held[0] = 1.0
    shares = np.zeros_like(held)
    for joint, name in enumerate(skeleton.names[1:], start=1):
        part = name.removeprefix("left_").removeprefix("right_")
        direction, passage = planes[part]
        direction = np.array(direction, float) / np.linalg.norm(direction)
        mirrored = rest[joint] * (-1.0 if name.startswith("right_") else 1.0, 1.0, 1.0)
        beyond = (np.column_stack((folded, vertices[:, 1:])) - mirrored) @ direction
        shares[joint] = _ramp(beyond, passage * size)
        if part != name:
            # The surface on the midline belongs to the trunk, to nobody's leg or collar.
            shares[joint] *= _ramp(folded - 0.012 * size, 0.012 * size) * (
                side == (1 if name.startswith("left_") else -1)
            )
        if part == "collar":
            shares[joint] *= upper_body * (1 - shares[skeleton.index("neck")])
        if part == "neck":
            shares[joint] *= 1 - _ramp(folded - 0.115 * size, 0.025 * size)
    for joint, children in enumerate(skeleton.children):
        if children:
            taken = shares[list(children)].sum(0)
            for child in children:
                held[child] = held[joint] * shares[child] / np.maximum(taken, 1.0)
            held[joint] *= np.maximum(1 - taken, 0.0)
    bones = np.argsort(-held, axis=0, kind="stable")[:INFLUENCES].T
    weights = np.take_along_axis(held.T, bones, axis=1)
    weights = np.where(weights > 0.01, weights, 0.0)
    return bones.astype(np.int32), weights / weights.sum(-1, keepdims=True)


def _seams(vertices: np.ndarray, skeleton: Skeleton, size: float) -> np.ndarray:
    """(v, 2) metres, positive inside: shirt and shorts; hair and shoes."""
    joints = {name: skeleton.rest_positions[i] for i, name in enumerate(skeleton.names)}
    folded = np.column_stack((np.abs(vertices[:, 0]), vertices[:, 1:]))
    shoulder, elbow = joints["left_shoulder"], joints["left_elbow"]
    hip, knee, neck, head = joints["left_hip"], joints["left_knee"], joints["neck"], joints["head"]
    sleeve = shoulder[0] + 0.48 * (elbow[0] - shoulder[0]) - folded[:, 0]
    collar = np.linalg.norm(folded - (neck + np.array([0, 0.055, 0.02]) * size), axis=-1) - 0.098 * size
    collar = np.minimum(collar, neck[1] + 0.02 * size - folded[:, 1])
    shorts = folded[:, 1] - (hip[1] + 0.62 * (knee[1] - hip[1]))
    suit = np.minimum(np.minimum(sleeve, collar), shorts)
    crown = folded - (head + np.array([0, 0.052, -0.004]) * size)
    hair = crown @ np.array([0.0, 0.70, -0.71]) - (0.010 - 0.20 * np.abs(folded[:, 0])) * 1.0
    hair = np.minimum(hair, folded[:, 1] - (head[1] - 0.03 * size))
    shoes = (0.082 * size - folded[:, 1]) - 0.10 * (folded[:, 2] - joints["left_ankle"][2])
    return np.stack((suit, np.maximum(hair, shoes)), -1)
