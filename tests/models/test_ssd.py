"""The fast scan equals the recurrence, and the recurrence equals the sentence in the paper."""

import math
import sys
import types

import numpy as np
import pytest
import torch

from longdance.models.ssd import (
    fused_available,
    ssd,
    ssd_bidirectional,
    ssd_chunked,
    ssd_fused,
    ssd_recurrent,
    ssd_step,
)

NAMES = ("x", "dt", "A", "B", "C", "initial_state")


def inputs(generator, *, batch=2, frames=13, heads=3, headdim=4, state=5, dtype=torch.float64) -> dict:
    normal = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    tensors = (
        normal(batch, frames, heads, headdim),
        normal(batch, frames, heads).exp() * 0.3,
        -normal(heads).exp(),
        normal(batch, frames, state),
        normal(batch, frames, state),
        normal(batch, heads, state, headdim),
    )
    return {name: tensor.to(dtype) for name, tensor in zip(NAMES, tensors, strict=True)}


def scan(function, tensors: dict, **options):
    x, dt, A, B, C = (tensors[name] for name in NAMES[:5])
    return function(x, dt, A, B, C, initial_state=tensors.get("initial_state"), **options)


def frames_of(tensors: dict, cut: slice) -> dict:
    return {k: v[:, cut] if k in ("x", "dt", "B", "C") else v for k, v in tensors.items()}


def test_a_tiny_case_in_plain_python(generator):
    tensors = inputs(generator, batch=1, frames=4, heads=2, headdim=2, state=3)
    value = {name: tensor.tolist() for name, tensor in tensors.items()}
    outputs = np.zeros((4, 2, 2))
    for head in range(2):
        for channel in range(2):
            hidden = [value["initial_state"][0][head][n][channel] for n in range(3)]
            for frame in range(4):
                dt = value["dt"][0][frame][head]
                for n in range(3):
                    hidden[n] = math.exp(dt * value["A"][head]) * hidden[n] + (
                        dt * value["B"][0][frame][n] * value["x"][0][frame][head][channel]
                    )
                outputs[frame, head, channel] = sum(value["C"][0][frame][n] * hidden[n] for n in range(3))
    for function in (ssd_recurrent, ssd_chunked):
        np.testing.assert_allclose(scan(function, tensors)[0][0], outputs, atol=1e-12)


def test_the_scan_is_a_masked_matrix(generator):
    """The dual form: Y = (L o C B^T) dt X with L the products of decays (Dao and Gu 2024, section 3)."""
    tensors = inputs(generator, batch=1, frames=9)
    tensors["initial_state"].zero_()
    log_decay = (tensors["dt"] * tensors["A"])[0].T  # heads, frames
    total = log_decay.cumsum(-1)
    mask = (total[:, :, None] - total[:, None, :]).exp().tril()
    matrix = mask * (tensors["C"][0] @ tensors["B"][0].T)
    expected = torch.einsum("hij,jh,jhp->ihp", matrix, tensors["dt"][0], tensors["x"][0])
    torch.testing.assert_close(scan(ssd_recurrent, tensors)[0][0], expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("initial", [True, False])
@pytest.mark.parametrize(
    ("frames", "chunk"), [(13, 4), (12, 4), (13, 1), (13, 13), (13, 64), (1, 64), (65, 64), (7, 5)]
)
@pytest.mark.parametrize("reverse", [False, True])
def test_chunks_equal_the_recurrence(frames, chunk, initial, reverse, generator):
    tensors = inputs(generator, frames=frames)
    if not initial:
        del tensors["initial_state"]
    found = scan(ssd_chunked, tensors, chunk=chunk, reverse=reverse)
    expected = scan(ssd_recurrent, tensors, reverse=reverse)
    for ours, oracle in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, oracle, atol=1e-10, rtol=0)


def test_reverse_is_the_scan_over_the_frames_turned_round(generator):
    tensors = inputs(generator)
    turned = {k: v.flip(1) if k in ("x", "dt", "B", "C") else v for k, v in tensors.items()}
    for function in (ssd_recurrent, ssd_chunked):
        y, state = scan(function, tensors, reverse=True)
        expected, last = scan(ssd_recurrent, turned)
        torch.testing.assert_close(y, expected.flip(1), atol=1e-12, rtol=0)
        torch.testing.assert_close(state, last, atol=1e-12, rtol=0)


def test_stepping_with_a_carried_state_equals_the_whole_scan(generator):
    tensors = inputs(generator, frames=70)
    whole, last = scan(ssd_chunked, tensors, chunk=16)
    state, outputs = tensors["initial_state"], []
    for frame in range(70):
        y, state = ssd_step(
            state, tensors["x"][:, frame], tensors["dt"][:, frame], tensors["A"],
            tensors["B"][:, frame], tensors["C"][:, frame],
        )  # fmt: skip
        outputs.append(y)
    torch.testing.assert_close(torch.stack(outputs, 1), whole, atol=1e-10, rtol=0)
    torch.testing.assert_close(state, last, atol=1e-10, rtol=0)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("chunk", [4, 5, 64])
def test_gradients_equal_those_of_the_recurrence_for_every_input(chunk, reverse, generator):
    tensors = inputs(generator)
    weights = [
        torch.randn(s, generator=generator, dtype=torch.float64) for s in ((2, 13, 3, 4), (2, 3, 5, 4))
    ]
    gradients = []
    for function, options in ((ssd_chunked, {"chunk": chunk}), (ssd_recurrent, {})):
        leaves = {name: tensor.clone().requires_grad_() for name, tensor in tensors.items()}
        results = scan(function, leaves, reverse=reverse, **options)
        loss = sum((out * w).sum() for out, w in zip(results, weights, strict=True))
        gradients.append(torch.autograd.grad(loss, list(leaves.values())))
    for name, ours, oracle in zip(NAMES, *gradients, strict=True):
        torch.testing.assert_close(ours, oracle, atol=1e-10, rtol=0, msg=lambda m, name=name: f"{name}: {m}")


def test_gradients_equal_finite_differences(generator):
    tensors = inputs(generator, batch=1, frames=5, heads=2, headdim=2, state=2)
    leaves = [tensor.requires_grad_() for tensor in tensors.values()]
    call = lambda *values: scan(ssd_chunked, dict(zip(NAMES, values, strict=True)), chunk=2)  # noqa: E731
    assert torch.autograd.gradcheck(call, leaves)


@pytest.mark.parametrize("function", [ssd_recurrent, ssd_chunked])
@pytest.mark.parametrize("cut", [1, 6, 12])
def test_the_state_carries_a_scan_over_a_cut(function, cut, generator):
    tensors = inputs(generator)
    whole, last = scan(function, tensors)
    first, middle = scan(function, frames_of(tensors, slice(0, cut)))
    rest = {**frames_of(tensors, slice(cut, None)), "initial_state": middle}
    second, end = scan(function, rest)
    torch.testing.assert_close(torch.cat((first, second), 1), whole, atol=1e-12, rtol=0)
    torch.testing.assert_close(end, last, atol=1e-12, rtol=0)


@pytest.mark.parametrize("function", [ssd_recurrent, ssd_chunked])
def test_the_scan_is_linear_in_x_and_the_state(function, generator):
    first, second = inputs(generator), inputs(generator)
    second |= {name: first[name] for name in ("dt", "A", "B", "C")}
    both = {**first, "x": first["x"] + 2 * second["x"]}
    both["initial_state"] = first["initial_state"] + 2 * second["initial_state"]
    expected = scan(function, first)[0] + 2 * scan(function, second)[0]
    torch.testing.assert_close(scan(function, both)[0], expected)


@pytest.mark.parametrize("function", [ssd_recurrent, ssd_chunked])
def test_the_future_has_no_influence(function, generator):
    tensors = inputs(generator)
    changed = {k: v.clone() for k, v in tensors.items()}
    for name in ("x", "dt", "B", "C"):
        changed[name][:, 8:] += 1.0
    torch.testing.assert_close(
        scan(function, changed)[0][:, :8], scan(function, tensors)[0][:, :8], atol=1e-13, rtol=0
    )


def test_heads_share_b_and_c_but_not_their_decay(generator):
    tensors = inputs(generator, heads=4)
    order = torch.tensor([2, 0, 3, 1])
    shuffled = {
        **tensors,
        "x": tensors["x"][:, :, order],
        "dt": tensors["dt"][:, :, order],
        "A": tensors["A"][order],
    }
    shuffled["initial_state"] = tensors["initial_state"][:, order]
    torch.testing.assert_close(scan(ssd_chunked, shuffled)[0], scan(ssd_chunked, tensors)[0][:, :, order])


def test_a_constant_input_settles_at_the_analytic_limit():
    dt, A, frames = 0.2, -1.5, 200
    ones = torch.ones(1, frames, 1, 1, dtype=torch.float64)
    y, _ = ssd_chunked(
        ones,
        ones[..., 0] * dt,
        torch.tensor([A], dtype=torch.float64),
        ones[:, :, 0],
        ones[:, :, 0],
        chunk=16,
    )
    assert y[0, -1, 0, 0].item() == pytest.approx(dt / (1 - math.exp(dt * A)), rel=1e-12)


def test_strong_decays_and_long_sequences_stay_finite(generator):
    tensors = inputs(generator, batch=1, frames=700, dtype=torch.float32)
    tensors["dt"] = tensors["dt"] * 100
    tensors = {name: tensor.requires_grad_() for name, tensor in tensors.items()}
    y, state = scan(ssd_chunked, tensors)
    (y.sum() + state.sum()).backward()
    assert all(torch.isfinite(tensor.grad).all() for tensor in tensors.values())
    torch.testing.assert_close(y, scan(ssd_recurrent, tensors)[0], atol=1e-2, rtol=1e-4)


@pytest.mark.parametrize("reverse", [False, True])
def test_heads_that_forget_at_very_different_speeds_are_exact_in_float32(reverse, generator):
    """Decays from e^-0.001 to e^-1000 per frame side by side: no factor overflows, gradients included."""
    heads = 7
    tensors = inputs(generator, batch=2, frames=75, heads=heads, dtype=torch.float32)
    tensors["A"] = -torch.tensor([0.001, 300.0, 0.1, 1.0, 1000.0, 10.0, 50.0])
    tensors["dt"] = 0.5 + torch.rand(2, 75, heads, generator=generator)
    exact = {name: tensor.double().requires_grad_() for name, tensor in tensors.items()}
    tensors = {name: tensor.requires_grad_() for name, tensor in tensors.items()}
    results = [scan(ssd_chunked, tensors, reverse=reverse), scan(ssd_recurrent, exact, reverse=reverse)]
    gradients = [
        torch.autograd.grad(y.square().sum() + state.square().sum(), list(leaves.values()))
        for (y, state), leaves in zip(results, (tensors, exact), strict=True)
    ]
    for ours, oracle in (*zip(*results, strict=True), *zip(*gradients, strict=True)):
        assert (ours - oracle).abs().max() < 2e-5 * oracle.abs().max()


def simple_gla(q, k, v, g, *, scale, initial_state, output_final_state):
    """Gated linear attention as its paper writes it, one head and frame after the other, states (key, value)."""
    assert output_final_state
    assert all(t.is_contiguous() for t in (q, k, v, g))
    batch, frames, heads, _ = q.shape
    outputs, last = torch.zeros_like(v), torch.zeros(batch, heads, k.shape[-1], v.shape[-1])
    for row in range(batch):
        for head in range(heads):
            state = last[row, head] if initial_state is None else initial_state[row, head]
            for frame in range(frames):
                state = g[row, frame, head].exp() * state + torch.outer(k[row, frame, head], v[row, frame, head])
                outputs[row, frame, head] = scale * q[row, frame, head] @ state
            last[row, head] = state
    return outputs, last


@pytest.mark.parametrize("initial", [True, False])
@pytest.mark.parametrize("reverse", [False, True])
def test_the_kernels_are_asked_for_the_same_scan(reverse, initial, generator, monkeypatch):
    """The arguments handed to the library, whose kernels need a GPU, mean the same recurrence."""
    library = types.ModuleType("fla.ops.simple_gla")
    library.chunk_simple_gla = simple_gla
    for name in ("fla", "fla.ops"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "fla.ops.simple_gla", library)
    tensors = inputs(generator, dtype=torch.float32)
    if not initial:
        del tensors["initial_state"]
    found, expected = (scan(function, tensors, reverse=reverse) for function in (ssd_fused, ssd_recurrent))
    for ours, oracle in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, oracle, atol=1e-5, rtol=1e-5)


def test_without_a_gpu_the_scan_runs_in_chunks(generator):
    tensors = inputs(generator, frames=40)
    for ours, chunked in zip(scan(ssd, tensors), scan(ssd_chunked, tensors), strict=True):
        assert torch.equal(ours, chunked)


@pytest.mark.requires_cuda
@pytest.mark.skipif(not fused_available(), reason="needs a CUDA device and flash-linear-attention")
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 5e-3), (torch.bfloat16, 3e-2)])
@pytest.mark.parametrize("heads", [(8, 64), (128, 8)])
@pytest.mark.parametrize("reverse", [False, True])
def test_the_fused_scan_equals_the_recurrence(reverse, heads, dtype, tolerance, generator):
    count, headdim = heads
    tensors = inputs(generator, frames=150, heads=count, headdim=headdim, state=64)
    weights = torch.randn(2, 150, count, headdim, generator=generator, dtype=torch.float64)
    exact = {name: tensor.clone().requires_grad_() for name, tensor in tensors.items()}
    low = {name: tensor.to("cuda", torch.float32 if name in ("dt", "A") else dtype) for name, tensor in tensors.items()}
    low = {name: tensor.requires_grad_() for name, tensor in low.items()}
    found, expected = scan(ssd, low, reverse=reverse), scan(ssd_recurrent, exact, reverse=reverse)
    gradients = [
        torch.autograd.grad((y * weights.to(y)).sum(), [leaves[name] for name in NAMES])
        for (y, _), leaves in ((found, low), (expected, exact))
    ]
    for ours, oracle in (*zip(found, expected, strict=True), *zip(*gradients, strict=True)):
        assert (ours.cpu().double() - oracle).norm() < tolerance * oracle.norm()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
def test_lower_precision_stays_near_the_exact_result(dtype, tolerance, generator):
    tensors = inputs(generator, frames=40)
    exact = scan(ssd_chunked, tensors, chunk=16)[0]
    low = {name: tensor.to(dtype) for name, tensor in tensors.items()}
    low |= {name: tensors[name].float() for name in ("dt", "A")}
    found = scan(ssd_chunked, low, chunk=16)[0]
    assert found.dtype == dtype
    assert (found.double() - exact).abs().max() < tolerance * exact.abs().max()


@pytest.mark.parametrize("frames", [1, 13, 40])
@pytest.mark.parametrize("chunk", [8, 64])
@pytest.mark.parametrize("steep", [False, True])
def test_both_directions_together_are_one_scan_each(frames, chunk, steep, generator):
    ways = [inputs(generator, frames=frames) for _ in range(2)]
    if steep:  # more forgetting than exponents can tell
        ways[1]["A"] *= 300
    x = ways[0]["x"]
    dt, A, B, C = (torch.stack([way[name] for way in ways]).requires_grad_() for name in ("dt", "A", "B", "C"))
    found = ssd_bidirectional(x, dt, A, B, C, chunk=chunk)
    expected = sum(
        ssd_recurrent(x, dt[way], A[way], B[way], C[way], reverse=bool(way))[0] for way in range(2)
    )
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-9)
    weights = torch.randn(found.shape, generator=generator, dtype=found.dtype)
    gradients = [torch.autograd.grad((y * weights).sum(), (dt, A, B, C)) for y in (found, expected)]
    for mine, reference in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, reference, atol=1e-8, rtol=1e-8)
