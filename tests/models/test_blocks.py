"""The shared pieces of denoisers do what their names say."""

import math

import numpy as np
import pytest
import torch

from longdance.models.blocks import (
    AdaptiveInstanceNorm,
    CrossAttention,
    Preconditioner,
    StepEmbedding,
    TemporalFilter,
    attend_near_by,
    rotary,
    sinusoids,
)
from longdance.models.schedule import cosine_alpha_bar


def test_sinusoids_by_hand():
    found = sinusoids(torch.tensor([0, 3]), 4)
    expected = torch.tensor([[0, 0, 1, 1], [math.sin(3), math.sin(0.03), math.cos(3), math.cos(0.03)]])
    torch.testing.assert_close(found, expected)


def test_every_diffusion_step_has_its_own_embedding():
    vectors = StepEmbedding(16)(torch.arange(1000))
    assert vectors.shape == (1000, 16)
    distance = torch.cdist(vectors, vectors) + torch.eye(1000)
    assert distance.min() > 0


def test_rotary_products_depend_on_time_differences_alone(generator):
    query, key = torch.randn(2, 1, 1, 1, 8, generator=generator, dtype=torch.float64)

    def product(at: float, to: float) -> torch.Tensor:
        return (rotary(query, torch.tensor([at]).double()) * rotary(key, torch.tensor([to]).double())).sum()

    for shift in (0.0, 0.7, 30.0):
        torch.testing.assert_close(product(0.3 + shift, 1.1 + shift), product(0.3, 1.1), atol=1e-4, rtol=0)
    assert (product(0.3, 1.1) - product(0.3, 1.2)).abs() > 1e-3
    torch.testing.assert_close(product(5.0, 5.0), (query * key).sum(), atol=1e-5, rtol=0)


def test_rotary_keeps_lengths(generator):
    vectors = torch.randn(2, 3, 5, 8, generator=generator)
    turned = rotary(vectors, torch.linspace(0, 10, 5))
    torch.testing.assert_close(turned.norm(dim=-1), vectors.norm(dim=-1))


def attention(width: int = 8) -> CrossAttention:
    torch.manual_seed(3)
    return CrossAttention(width, 2, 0.0).eval()


def test_attention_equals_the_formula_without_time(generator):
    layer = attention()
    tokens, memory = torch.randn(1, 3, 8, generator=generator), torch.randn(1, 4, 8, generator=generator)
    found = layer(tokens, torch.zeros(3), memory, torch.zeros(0))  # at time zero nothing is rotated
    key, value = layer.key_value(memory).chunk(2, -1)
    query = layer.query(tokens)
    heads = []
    for cut in (slice(0, 4), slice(4, 8)):
        weights = (query[..., cut] @ key[..., cut].transpose(-1, -2) / 2).softmax(-1)
        heads.append(weights @ value[..., cut])
    torch.testing.assert_close(found, layer.output(torch.cat(heads, -1)))


@pytest.mark.parametrize(("frames", "everywhere"), [(9, 2), (12, 0), (10, 1)])
def test_attention_near_by_equals_attention_with_a_mask(generator, frames, everywhere):
    block = 3
    query = torch.randn(2, 2, frames, 4, generator=generator, dtype=torch.float64)
    key, value = torch.randn(2, 2, 2, frames + everywhere, 4, generator=generator, dtype=torch.float64)
    own, other = torch.arange(frames) // block, torch.arange(frames + everywhere) // block
    seen = (own[:, None] - other).abs() <= 1
    seen[:, frames:] = True
    expected = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=seen)
    torch.testing.assert_close(attend_near_by(query, key, value, block=block), expected)


def test_attention_is_global_up_to_two_blocks_and_near_by_beyond(generator):
    torch.manual_seed(3)
    layer, plain = CrossAttention(8, 2, 0.0, block=4).eval(), attention()
    plain.load_state_dict(layer.state_dict())
    for frames, alike in ((8, True), (9, False)):
        memory = torch.randn(1, frames + 2, 8, generator=generator)
        tokens = torch.randn(1, frames, 8, generator=generator)
        seconds = torch.arange(frames) / 30
        near, far = layer(tokens, seconds, memory, seconds), plain(tokens, seconds, memory, seconds)
        assert torch.allclose(near, far, atol=1e-6) == alike


def test_attention_does_not_care_for_the_order_of_the_memory(generator):
    layer = attention()
    tokens, memory = torch.randn(2, 3, 8, generator=generator), torch.randn(2, 5, 8, generator=generator)
    seconds, order = torch.tensor([0.0, 0.4, 0.9, 1.5]), torch.tensor([2, 0, 3, 1])
    shuffled = torch.cat((memory[:, order], memory[:, 4:]), 1)
    torch.testing.assert_close(
        layer(tokens, torch.arange(3.0), shuffled, seconds[order]),
        layer(tokens, torch.arange(3.0), memory, seconds),
    )


def test_attention_does_not_care_when_the_clock_starts(generator):
    layer = attention()
    tokens, memory = torch.randn(1, 3, 8, generator=generator), torch.randn(1, 4, 8, generator=generator)
    now = layer(tokens, torch.arange(3.0), memory, torch.arange(4.0))
    later = layer(tokens, torch.arange(3.0) + 20, memory, torch.arange(4.0) + 20)
    torch.testing.assert_close(now, later, atol=1e-4, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_instance_norm_sets_mean_and_deviation_over_time(dtype, generator):
    layer = AdaptiveInstanceNorm(3, 2)
    with torch.no_grad():
        layer.style.weight.copy_(torch.randn(6, 2, generator=generator))
    tokens = (torch.randn(2, 400, 3, generator=generator) * 5 + 7).to(dtype)
    condition = torch.randn(2, 2, generator=generator)
    found = layer(tokens, condition)
    assert found.dtype == dtype
    scale, shift = (condition @ layer.style.weight.T).chunk(2, -1)
    tolerance = {"atol": 2e-3, "rtol": 2e-3} if dtype == torch.float32 else {"atol": 3e-2, "rtol": 3e-2}
    torch.testing.assert_close(found.float().mean(1), shift, **tolerance)
    torch.testing.assert_close(found.float().std(1, unbiased=False), (1 + scale).abs(), **tolerance)


def test_instance_norm_starts_as_plain_normalisation(generator):
    tokens = torch.randn(2, 50, 3, generator=generator)
    found = AdaptiveInstanceNorm(3, 4)(tokens, torch.randn(2, 4, generator=generator))
    torch.testing.assert_close(
        found, torch.nn.functional.instance_norm(tokens.transpose(1, 2)).transpose(1, 2)
    )


def test_instance_norm_of_a_single_frame_is_finite():
    found = AdaptiveInstanceNorm(3, 4)(torch.ones(1, 1, 3), torch.ones(1, 4))
    torch.testing.assert_close(found, torch.zeros(1, 1, 3))


def test_the_preconditioner_passes_the_clean_and_makes_the_noisy_anew():
    scale_in, skip, scale_out = Preconditioner(1000)(torch.tensor([0, 200, 999]))
    assert skip.flatten().tolist() == sorted(skip.flatten().tolist(), reverse=True)
    assert skip[0].item() > 0.99
    assert skip[2].item() < 1e-3
    assert scale_in.shape == scale_out.shape == (3, 1, 1)


@pytest.mark.parametrize("innovation", [0.03, 0.6])
def test_what_the_preconditioner_leaves_to_the_network_has_unit_variance(innovation, generator):
    alpha_bar, data = cosine_alpha_bar(1000), 0.6
    clean = data**0.5 * torch.randn(200_000, generator=generator)
    for step in (3, 150, 500, 990):
        noise = torch.randn(200_000, generator=generator)
        noisy = alpha_bar[step].sqrt() * clean + (1 - alpha_bar[step]).sqrt() * noise
        factors = Preconditioner(1000, data=data, innovation=innovation)(torch.tensor([step]))
        scale_in, skip, scale_out = (factor.item() for factor in factors)
        assert (scale_in * noisy).var().item() == pytest.approx(1, rel=0.03)
        assert ((clean - skip * noisy) / scale_out).var().item() == pytest.approx(1, rel=0.03)


def test_the_temporal_filter_is_a_convolution_of_each_feature(generator):
    layer = TemporalFilter(2, 4, taps=3)
    noisy, step = torch.randn(1, 6, 2, generator=generator), torch.randn(1, 4, generator=generator)
    assert layer(noisy, step).abs().max() == 0
    gains = torch.tensor([[0.25, 1.0], [0.5, 0.0], [0.25, -1.0]])  # (taps, features)
    layer.gains.bias.data = gains.flatten()
    filtered = layer(noisy, step)[0].detach().numpy()
    padded = np.pad(noisy[0].numpy(), ((1, 1), (0, 0)), mode="edge")
    for feature in range(2):
        expected = np.correlate(padded[:, feature], gains[:, feature].numpy(), mode="valid")
        np.testing.assert_allclose(filtered[:, feature], expected, atol=1e-6)
