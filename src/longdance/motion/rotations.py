"""Rotation representations and conversions between them, batched on torch over any leading axes.

Matrices act on column vectors: ``world = R @ local``. Quaternions are (w, x, y, z). The 6D form is the first two
rows of the matrix, flattened (Zhou et al. 2019, in the row convention of published EDGE and AIST++ tensors).
"""

import torch
from jaxtyping import Float
from torch import Tensor


def matrix_to_6d(matrix: Float[Tensor, "*axes 3 3"]) -> Float[Tensor, "*axes 6"]:
    """First two rows of the rotation matrix. Source: Zhou et al. 2019, eq. 15 (transposed)."""
    return matrix[..., :2, :].flatten(-2)


def matrix_from_6d(sixd: Float[Tensor, "*axes 6"]) -> Float[Tensor, "*axes 3 3"]:
    """Rotation matrix by Gram-Schmidt on the two rows; any 6 numbers in general position will do.

    Source: Zhou et al. 2019, eq. 16.
    """
    first, second = sixd[..., :3], sixd[..., 3:]
    row1 = torch.nn.functional.normalize(first, dim=-1)
    second = second - (row1 * second).sum(-1, keepdim=True) * row1
    row2 = torch.nn.functional.normalize(second, dim=-1)
    return torch.stack((row1, row2, torch.linalg.cross(row1, row2)), dim=-2)


def matrix_from_quaternion(quaternion: Float[Tensor, "*axes 4"]) -> Float[Tensor, "*axes 3 3"]:
    """Rotation matrix of a quaternion (w, x, y, z) of any non-zero length."""
    w, x, y, z = torch.nn.functional.normalize(quaternion, dim=-1).unbind(-1)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def quaternion_from_matrix(matrix: Float[Tensor, "*axes 3 3"]) -> Float[Tensor, "*axes 4"]:
    """Unit quaternion (w, x, y, z) with w >= 0.

    Of the four classical formulas the one with the largest denominator is used, so it is exact at half turns.
    """
    m00, m11, m22 = matrix[..., 0, 0], matrix[..., 1, 1], matrix[..., 2, 2]
    # Four times the square of w, x, y, z.
    squares = torch.stack(
        (1 + m00 + m11 + m22, 1 + m00 - m11 - m22, 1 - m00 + m11 - m22, 1 - m00 - m11 + m22), -1
    )
    wx, wy, wz = (
        matrix[..., 2, 1] - matrix[..., 1, 2],
        matrix[..., 0, 2] - matrix[..., 2, 0],
        matrix[..., 1, 0] - matrix[..., 0, 1],
    )
    xy, xz, yz = (
        matrix[..., 0, 1] + matrix[..., 1, 0],
        matrix[..., 0, 2] + matrix[..., 2, 0],
        matrix[..., 1, 2] + matrix[..., 2, 1],
    )
    candidates = torch.stack(
        [
            torch.stack(row, -1)
            for row in (
                (squares[..., 0], wx, wy, wz),
                (wx, squares[..., 1], xy, xz),
                (wy, xy, squares[..., 2], yz),
                (wz, xz, yz, squares[..., 3]),
            )
        ],
        -2,
    )
    best = squares.argmax(-1)[..., None, None].expand(*squares.shape[:-1], 1, 4)
    quaternion = torch.nn.functional.normalize(candidates.gather(-2, best).squeeze(-2), dim=-1)
    return torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)


def matrix_from_axis_angle(axis_angle: Float[Tensor, "*axes 3"]) -> Float[Tensor, "*axes 3 3"]:
    """Rotation matrix of a rotation vector (radians); the zero vector is the identity."""
    half = axis_angle.norm(dim=-1, keepdim=True) / 2
    # sin(half) / angle, which is 1/2 at zero; torch.sinc is sin(pi t) / (pi t).
    scale = torch.sinc(half / torch.pi) / 2
    return matrix_from_quaternion(torch.cat((half.cos(), axis_angle * scale), -1))


def axis_angle_from_matrix(matrix: Float[Tensor, "*axes 3 3"]) -> Float[Tensor, "*axes 3"]:
    """Rotation vector (radians) of length at most pi."""
    quaternion = quaternion_from_matrix(matrix)
    sine = quaternion[..., 1:].norm(dim=-1, keepdim=True)
    angle = 2 * torch.atan2(sine, quaternion[..., :1])
    small = sine < 1e-9
    scale = torch.where(small, torch.full_like(sine, 2.0), angle / sine.clamp_min(1e-12))
    return quaternion[..., 1:] * scale


def matrix_from_euler(angles: Float[Tensor, "*axes n"], order: str) -> Float[Tensor, "*axes 3 3"]:
    """Product of elementary rotations (radians) in the written order: "ZXY" gives Rz @ Rx @ Ry, as in BVH."""
    matrix = None
    for angle, axis in zip(angles.unbind(-1), order.lower(), strict=True):
        vector = torch.zeros((*angle.shape, 3), dtype=angle.dtype, device=angle.device)
        vector[..., "xyz".index(axis)] = angle
        step = matrix_from_axis_angle(vector)
        matrix = step if matrix is None else matrix @ step
    if matrix is None:
        raise ValueError("expected at least one axis in the Euler order")
    return matrix


def euler_from_matrix(matrix: Float[Tensor, "*axes 3 3"], order: str) -> Float[Tensor, "*axes 3"]:
    """Angles (radians) in the written order such that ``matrix_from_euler(angles, order)`` is the matrix.

    ``order`` names three different axes. At gimbal lock the last angle is zero.
    """
    i, j, k = ("xyz".index(axis) for axis in order.lower())
    sign = 1.0 if (i, j, k) in ((0, 1, 2), (1, 2, 0), (2, 0, 1)) else -1.0
    sine = (sign * matrix[..., i, k]).clamp(-1, 1)
    middle = torch.asin(sine)
    locked = sine.abs() > 1 - 1e-9
    first = torch.atan2(-sign * matrix[..., j, k], matrix[..., k, k])
    last = torch.atan2(-sign * matrix[..., i, j], matrix[..., i, i])
    first_locked = torch.atan2(sign * matrix[..., k, j], matrix[..., j, j])
    return torch.stack(
        (torch.where(locked, first_locked, first), middle, torch.where(locked, torch.zeros_like(last), last)), -1
    )


def slerp(
    start: Float[Tensor, "*axes 3 3"], end: Float[Tensor, "*axes 3 3"], fraction: Float[Tensor, "..."]
) -> Float[Tensor, "*axes 3 3"]:
    """Rotation on the shortest arc from ``start`` (fraction 0) to ``end`` (fraction 1).

    ``fraction`` broadcasts against the leading axes.
    """
    turn = axis_angle_from_matrix(start.transpose(-1, -2) @ end)
    return start @ matrix_from_axis_angle(turn * fraction[..., None])


def geodesic_angle(
    first: Float[Tensor, "*axes 3 3"], second: Float[Tensor, "*axes 3 3"]
) -> Float[Tensor, "*axes"]:
    """Angle (radians, 0 to pi) of the rotation between two rotations."""
    return axis_angle_from_matrix(first.transpose(-1, -2) @ second).norm(dim=-1)


def rotation_between(
    source: Float[Tensor, "*axes 3"], target: Float[Tensor, "*axes 3"]
) -> Float[Tensor, "*axes 3 3"]:
    """Smallest rotation that turns the direction of ``source`` into that of ``target``.

    For opposite directions any perpendicular axis will do; a fixed one is taken. Zero vectors give the identity.
    """
    source = torch.nn.functional.normalize(source, dim=-1)
    target = torch.nn.functional.normalize(target, dim=-1)
    cosine = (source * target).sum(-1, keepdim=True)
    axis = torch.linalg.cross(source, target)
    # (1 + cos, axis) is the half-way quaternion; at a half turn it vanishes and needs an axis of our choice.
    aside = torch.zeros_like(source)
    aside.scatter_(-1, source.abs().argmin(-1, keepdim=True), 1.0)
    opposite = cosine < -1 + 1e-7
    quaternion = torch.cat(
        (
            torch.where(opposite, torch.zeros_like(cosine), 1 + cosine),
            torch.where(opposite, torch.linalg.cross(source, aside), axis),
        ),
        -1,
    )
    return matrix_from_quaternion(quaternion)
