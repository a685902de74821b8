"""The selective scan against its definition, its gradient against autograd's."""

import pytest
import torch

from longdance.models.selective import SelectiveParameters, selective_scan


def made_up(generator, *, batch=2, frames=5, features=3, state=4):
    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    x, b_matrix, c_matrix = draw(batch, frames, features), draw(batch, frames, state), draw(batch, frames, state)
    dt = torch.rand(batch, frames, features, generator=generator, dtype=torch.float64) + 0.05
    return x, dt, -torch.rand(features, state, generator=generator, dtype=torch.float64) - 0.1, b_matrix, c_matrix


def test_the_scan_is_its_recurrence(generator):
    x, dt, a, b_matrix, c_matrix = made_up(generator)
    expected = torch.zeros_like(x)
    for row in range(x.shape[0]):
        for feature in range(x.shape[2]):
            state = torch.zeros(a.shape[1], dtype=x.dtype)
            for frame in range(x.shape[1]):
                step = dt[row, frame, feature]
                state = torch.exp(step * a[feature]) * state + step * b_matrix[row, frame] * x[row, frame, feature]
                expected[row, frame, feature] = state @ c_matrix[row, frame]
    torch.testing.assert_close(selective_scan(x, dt, a, b_matrix, c_matrix), expected)


@pytest.mark.parametrize("frames", [1, 2, 6])
def test_its_gradient_is_that_of_finite_differences(frames, generator):
    inputs = tuple(tensor.requires_grad_() for tensor in made_up(generator, frames=frames))
    assert torch.autograd.gradcheck(selective_scan, inputs)


def test_equal_decays_in_all_channels_give_what_ssd_gives(generator):
    from longdance.models.ssd import ssd_recurrent

    x, dt, _, b_matrix, c_matrix = made_up(generator)
    dt = dt[..., :1].expand_as(dt)
    a = torch.full((x.shape[2], b_matrix.shape[2]), -0.7, dtype=x.dtype)
    expected = ssd_recurrent(x[:, :, None], dt[..., :1], a[:1, 0], b_matrix, c_matrix)[0][:, :, 0]
    torch.testing.assert_close(selective_scan(x, dt, a, b_matrix, c_matrix), expected)


def test_what_comes_later_does_not_matter(generator):
    scan = SelectiveParameters(6, 4, 3)
    x = torch.randn(1, 8, 6, generator=generator)
    changed = x.clone()
    changed[:, 5:] += 1
    torch.testing.assert_close(scan(x)[:, :5], scan(changed)[:, :5])


def test_it_stays_exact_where_the_rest_is_computed_in_half_precision(generator):
    inputs = [tensor.float().requires_grad_() for tensor in made_up(generator)]
    expected = selective_scan(*inputs)
    with torch.autocast("cpu", torch.bfloat16):
        found = selective_scan(*inputs)
    torch.testing.assert_close(found, expected)
    scan = SelectiveParameters(6, 4, 3)
    x = torch.randn(1, 8, 6, generator=generator, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        scan(x.bfloat16()).sum().backward()
    assert torch.isfinite(x.grad).all()
