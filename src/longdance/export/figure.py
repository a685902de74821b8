"""The mannequin: one closed, smooth surface around a skeleton, with skinning weights.

What belongs here: the body's shape in the rest pose, how its surface is found, how it is bound to the joints,
and posing it. What does not: colours, light, cameras and files.

The shape is an implicit solid: every limb is a loft (a tube whose elliptic section changes along a line),
rounded masses are ellipsoids, and all of them are merged by a smooth union, so that there are no seams at the
joints. The surface is read off a regular grid by surface nets (Gibson 1998) and then pulled onto the solid's
boundary.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from longdance.errors import InputError
from longdance.export.figure_body import REFERENCE_HEAD, body
from longdance.export.figure_solids import Solid
from longdance.motion.filters import smoothstep
from longdance.motion.skeleton import Skeleton

SKIN, SUIT, ACCENT = 0, 1, 2
"""Colour groups: bare skin; shirt and shorts; hair and shoes."""

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
    solid = Solid(body(skeleton, size))
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


def _grid(solid: Solid, skeleton: Skeleton, step: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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


def _sample(solid: Solid, axes: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
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
    above = vertices[:, 1] - rest[skeleton.index("spine3"), 1]
    upper_body = smoothstep(above, -0.02 * size, 0.08 * size)
    held = np.zeros((len(skeleton), len(vertices)))
    held[0] = 1.0
    shares = np.zeros_like(held)
    for joint, name in enumerate(skeleton.names[1:], start=1):
        part = name.removeprefix("left_").removeprefix("right_")
        direction, passage = planes[part]
        direction = np.array(direction, float) / np.linalg.norm(direction)
        mirrored = rest[joint] * (-1.0 if name.startswith("right_") else 1.0, 1.0, 1.0)
        beyond = (np.column_stack((folded, vertices[:, 1:])) - mirrored) @ direction
        shares[joint] = smoothstep(beyond, -passage * size, passage * size)
        if part != name:
            # The surface on the midline belongs to the trunk, to nobody's leg or collar.
            shares[joint] *= smoothstep(folded, 0.0, 0.024 * size) * (
                side == (1 if name.startswith("left_") else -1)
            )
        if part == "collar":
            shares[joint] *= upper_body * (1 - shares[skeleton.index("neck")])
        if part == "neck":
            shares[joint] *= 1 - smoothstep(folded, 0.09 * size, 0.14 * size)
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
