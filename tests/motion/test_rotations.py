"""Rotations against SciPy and roma, at the awkward places, and through their derivatives."""

import itertools

import numpy as np
import pytest
import roma
import torch
from scipy.spatial.transform import Rotation

from longdance.motion import rotations as rot


@pytest.fixture
def turns(rng) -> Rotation:
    """Random rotations, the identity, tiny ones, and half turns about all kinds of axes."""
    axes = np.concatenate((np.eye(3), -np.eye(3), rng.normal(size=(20, 3))))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    special = [axes * angle for angle in (0.0, 1e-12, 1e-7, 1e-3, np.pi / 2, np.pi - 1e-6, np.pi)]
    return Rotation.concatenate(
        [Rotation.random(200, rng=rng), Rotation.from_rotvec(np.concatenate(special))]
    )


def as_tensor(turns: Rotation) -> torch.Tensor:
    return torch.from_numpy(turns.as_matrix().copy())


def assert_same_rotation(matrices: torch.Tensor, turns: Rotation, atol: float = 1e-12):
    np.testing.assert_allclose(matrices.numpy(), turns.as_matrix(), atol=atol)


def test_axis_angle_to_matrix_is_scipys(turns):
    assert_same_rotation(rot.matrix_from_axis_angle(torch.from_numpy(turns.as_rotvec())), turns)


def test_axis_angle_to_matrix_is_romas(rng):
    vectors = torch.from_numpy(rng.normal(size=(50, 3)) * 3)  # also beyond pi
    torch.testing.assert_close(
        rot.matrix_from_axis_angle(vectors), roma.rotvec_to_rotmat(vectors), atol=1e-12, rtol=0
    )


def test_matrix_to_axis_angle_is_scipys(turns):
    vectors = rot.axis_angle_from_matrix(as_tensor(turns))
    assert vectors.norm(dim=-1).max() <= np.pi + 1e-12
    # At half turns the sign of the axis is free, so the rotations are compared; elsewhere the numbers.
    assert_same_rotation(rot.matrix_from_axis_angle(vectors), turns, atol=1e-9)
    clear = turns.magnitude() < np.pi - 1e-3
    np.testing.assert_allclose(vectors.numpy()[clear], turns.as_rotvec()[clear], atol=1e-9)


def test_quaternions_are_scipys_with_the_real_part_first(turns):
    theirs = turns.as_quat(canonical=True, scalar_first=True)
    ours = rot.quaternion_from_matrix(as_tensor(turns))
    assert (ours[:, 0] >= 0).all()
    torch.testing.assert_close(ours.norm(dim=-1), torch.ones(len(ours), dtype=torch.float64))
    clear = turns.magnitude() < np.pi - 1e-3
    np.testing.assert_allclose(ours.numpy()[clear], theirs[clear], atol=1e-9)
    assert_same_rotation(rot.matrix_from_quaternion(ours), turns, atol=1e-12)
    assert_same_rotation(rot.matrix_from_quaternion(3.7 * ours), turns, atol=1e-12)


def test_quaternions_keep_float32_precision_everywhere(turns):
    single = as_tensor(turns).float()
    again = rot.matrix_from_quaternion(rot.quaternion_from_matrix(single))
    torch.testing.assert_close(again, single, atol=1e-6, rtol=0)


def test_sixd_is_the_first_two_rows(turns):
    sixd = rot.matrix_to_6d(as_tensor(turns))
    np.testing.assert_array_equal(sixd.numpy(), turns.as_matrix()[:, :2].reshape(-1, 6))
    assert_same_rotation(rot.matrix_from_6d(sixd), turns)


def test_any_six_numbers_give_a_rotation(rng):
    matrices = rot.matrix_from_6d(torch.from_numpy(rng.normal(size=(100, 6))))
    identity = torch.eye(3, dtype=torch.float64).expand(100, 3, 3)
    torch.testing.assert_close(matrices @ matrices.transpose(-1, -2), identity)
    torch.testing.assert_close(torch.linalg.det(matrices), torch.ones(100, dtype=torch.float64))


def test_sixd_is_romas_gram_schmidt(rng):
    numbers = torch.from_numpy(rng.normal(size=(100, 6)))
    # roma's columns are our rows.
    theirs = roma.special_gramschmidt(numbers.unflatten(-1, (2, 3)).transpose(-1, -2)).transpose(-1, -2)
    torch.testing.assert_close(rot.matrix_from_6d(numbers), theirs)


ORDERS = ["".join(order) for order in itertools.permutations("XYZ")]


@pytest.mark.parametrize("order", ORDERS)
def test_euler_angles_are_scipys_intrinsic_ones(order, turns, rng):
    angles = rng.uniform(-np.pi, np.pi, (50, 3))
    assert_same_rotation(
        rot.matrix_from_euler(torch.from_numpy(angles), order), Rotation.from_euler(order, angles)
    )
    clear = np.abs(turns.as_matrix()[:, "XYZ".index(order[0]), "XYZ".index(order[2])]) < 0.999
    ours = rot.euler_from_matrix(as_tensor(turns[clear]), order.lower())
    assert_same_rotation(rot.matrix_from_euler(ours, order), turns[clear], atol=1e-9)
    theirs = turns[clear].as_euler(order)
    wrapped = np.angle(np.exp(1j * (ours.numpy() - theirs)))
    np.testing.assert_allclose(wrapped, 0, atol=1e-9)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("middle", [np.pi / 2, -np.pi / 2])
def test_gimbal_lock_keeps_the_rotation(order, middle, rng):
    angles = rng.uniform(-np.pi, np.pi, (20, 3))
    angles[:, 1] = middle
    locked = rot.matrix_from_euler(torch.from_numpy(angles), order)
    found = rot.euler_from_matrix(locked, order)
    assert (found[:, 2] == 0).all()
    torch.testing.assert_close(rot.matrix_from_euler(found, order), locked, atol=1e-7, rtol=0)


@pytest.mark.parametrize("away", [1e-9, 1e-6, 2e-5, 5e-5, 1e-3])
def test_near_gimbal_lock_the_rotation_is_kept_to_a_hundredth_of_a_degree(away, rng):
    angles = rng.uniform(-np.pi, np.pi, (50, 3))
    angles[:, 1] = np.pi / 2 - away
    matrices = rot.matrix_from_euler(torch.from_numpy(angles), "zxy")
    again = rot.matrix_from_euler(rot.euler_from_matrix(matrices, "zxy"), "zxy")
    assert rot.geodesic_angle(matrices, again).max() < np.deg2rad(0.01)


def test_gimbal_lock_keeps_the_rotation_in_float32(rng):
    angles = rng.uniform(-np.pi, np.pi, (50, 3))
    angles[:, 1] = np.pi / 2
    locked = rot.matrix_from_euler(torch.from_numpy(angles).float(), "zxy")
    again = rot.matrix_from_euler(rot.euler_from_matrix(locked, "zxy"), "zxy")
    assert rot.geodesic_angle(locked, again).max() < np.deg2rad(0.1)


def test_an_empty_euler_order_is_refused():
    with pytest.raises(ValueError, match="order"):
        rot.matrix_from_euler(torch.zeros(2, 0), "")


def test_slerp_is_scipys(turns, rng):
    ends = Rotation.random(len(turns), rng=rng)
    fractions = rng.uniform(size=len(turns))
    relative = (turns.inv() * ends).as_rotvec() * fractions[:, None]
    expected = turns * Rotation.from_rotvec(relative)
    ours = rot.slerp(as_tensor(turns), as_tensor(ends), torch.from_numpy(fractions))
    assert_same_rotation(ours, expected, atol=1e-8)


def test_slerp_reaches_both_ends_and_takes_the_short_way(turns, rng):
    start, end = as_tensor(turns), as_tensor(Rotation.random(len(turns), rng=rng))
    torch.testing.assert_close(rot.slerp(start, end, torch.zeros(len(start)).double()), start)
    torch.testing.assert_close(rot.slerp(start, end, torch.ones(len(start)).double()), end)
    half = rot.slerp(start, end, torch.full((len(start),), 0.5).double())
    whole = rot.geodesic_angle(start, end)
    torch.testing.assert_close(rot.geodesic_angle(start, half), whole / 2, atol=1e-7, rtol=0)


def test_geodesic_angle_is_scipys_magnitude(turns, rng):
    others = Rotation.random(len(turns), rng=rng)
    ours = rot.geodesic_angle(as_tensor(turns), as_tensor(others))
    np.testing.assert_allclose(ours.numpy(), (turns.inv() * others).magnitude(), atol=1e-7)


def test_rotation_between_turns_source_to_target_and_no_further(rng):
    source, target = rng.normal(size=(2, 100, 3))
    source[0], target[0] = [1, 0, 0], [2, 0, 0]
    source[1], target[1] = [1, 0, 0], [1, 1e-6, 0]
    matrices = rot.rotation_between(torch.from_numpy(source), torch.from_numpy(target))
    unit = lambda v: v / np.linalg.norm(v, axis=-1, keepdims=True)  # noqa: E731
    turned = np.einsum("nij,nj->ni", matrices.numpy(), unit(source))
    np.testing.assert_allclose(turned, unit(target), atol=1e-9)
    between = np.arccos(np.clip((unit(source) * unit(target)).sum(-1), -1, 1))
    np.testing.assert_allclose(Rotation.from_matrix(matrices.numpy()).magnitude(), between, atol=1e-6)


def test_rotation_between_opposite_directions_is_a_half_turn(rng):
    source = np.concatenate((np.eye(3), -np.eye(3), rng.normal(size=(10, 3))))
    matrices = rot.rotation_between(torch.from_numpy(source), torch.from_numpy(-source)).numpy()
    np.testing.assert_allclose(np.einsum("nij,nj->ni", matrices, source), -source, atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(matrices), 1)


def test_rotation_between_zero_vectors_is_the_identity():
    zero = torch.zeros(1, 3, dtype=torch.float64)
    torch.testing.assert_close(rot.rotation_between(zero, zero)[0], torch.eye(3, dtype=torch.float64))


def test_conversions_keep_leading_axes(turns):
    rows = as_tensor(turns[:24])
    euler = lambda matrices: rot.euler_from_matrix(matrices, "xyz")  # noqa: E731
    for convert in (rot.matrix_to_6d, rot.quaternion_from_matrix, rot.axis_angle_from_matrix, euler):
        torch.testing.assert_close(convert(rows.reshape(2, 3, 4, 3, 3)), convert(rows).reshape(2, 3, 4, -1))


@pytest.mark.parametrize("size", [0.0, 1e-9, 0.3, 3.0])
def test_axis_angle_is_differentiable_everywhere(size, rng):
    vector = torch.from_numpy(rng.normal(size=3))
    vector = (vector / vector.norm() * size).requires_grad_()
    found = torch.autograd.functional.jacobian(rot.matrix_from_axis_angle, vector)
    step = 1e-6
    expected = torch.stack(
        [
            (rot.matrix_from_axis_angle(vector + d) - rot.matrix_from_axis_angle(vector - d)).detach()
            / (2 * step)
            for d in torch.eye(3, dtype=torch.float64) * step
        ],
        -1,
    )
    torch.testing.assert_close(found, expected, atol=1e-8, rtol=0)


def test_the_way_back_has_finite_gradients_at_the_identity():
    matrix = torch.eye(3, dtype=torch.float64, requires_grad=True)
    rot.axis_angle_from_matrix(matrix).sum().backward()
    assert torch.isfinite(matrix.grad).all()


def test_sixd_passes_the_gradient_check(rng):
    numbers = torch.from_numpy(rng.normal(size=(4, 6))).requires_grad_()
    assert torch.autograd.gradcheck(rot.matrix_from_6d, numbers)
