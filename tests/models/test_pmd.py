"""The denoiser as a function: what may influence what, at which sizes, and the paper's numbers."""

import pytest
import torch
from pydantic import ValidationError

from longdance.models.pmd import (
    Conditions,
    LocalInformationModule,
    ParallelMambaDenoiser,
    ParallelMambaModule,
    PMDConfig,
    SequentialMambaModule,
    normed_projection,
    upsample,
)

SMALL = PMDConfig(
    features=7, music_channels=5, text_width=6, fps=30, width=16, depth=2, heads=4, state=3, kernel=3,
    direction="bidirectional", attention_heads=2, dropout=0.0, style_layer=True, chunk=8,
)  # fmt: skip


def small(**changes) -> PMDConfig:
    return PMDConfig(**{**SMALL.model_dump(), **changes})


def denoiser(**changes) -> ParallelMambaDenoiser:
    torch.manual_seed(0)
    network = ParallelMambaDenoiser(small(**changes)).eval()
    with torch.no_grad():  # zero-initialised parts would hide what depends on what
        for name, parameter in network.named_parameters():
            if "adain" in name or ".gain." in name or name.endswith("null"):
                parameter.copy_(torch.randn(parameter.shape) * 0.3)
    return network


def conditions(generator, *, batch=3, frames=20, tokens=2) -> Conditions:
    return Conditions(
        torch.randn(batch, frames, 5, generator=generator),
        torch.randn(batch, tokens, 6, generator=generator),
        torch.ones(batch, tokens, dtype=torch.bool),
        torch.ones(batch, dtype=torch.bool),
    )


@pytest.fixture
def noisy(generator):
    return torch.randn(3, 20, 7, generator=generator)


@pytest.fixture
def step():
    return torch.tensor([0, 500, 999])


@pytest.mark.parametrize("frames", [1, 2, 3, 7, 8, 9, 21])
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
def test_any_number_of_frames_goes_in_and_comes_out(frames, stride, generator):
    noisy = torch.randn(2, frames, 7, generator=generator)
    network = denoiser(lim_stride=stride, depth=1)
    found = network(noisy, torch.tensor([3, 700]), conditions(generator, batch=2, frames=frames))
    assert found.shape == noisy.shape
    assert found.dtype == torch.float32
    assert torch.isfinite(found).all()


@pytest.mark.parametrize(("aligned", "gain"), [(False, False), (True, False), (True, True)])
@torch.no_grad()
def test_dropped_music_has_no_influence(aligned, gain, noisy, step, generator):
    network, given = denoiser(aligned_music=aligned, music_gain=gain), conditions(generator)
    other = given._replace(music=given.music * 3 + 1)
    with_music = network(noisy, step, given)
    assert (with_music - network(noisy, step, other)).abs().amax((1, 2)).min() > 1e-6
    dropped, other_dropped = (c.without(music=True) for c in (given, other))
    assert torch.equal(network(noisy, step, dropped), network(noisy, step, other_dropped))
    assert (with_music - network(noisy, step, dropped)).abs().amax((1, 2)).min() > 1e-6


@torch.no_grad()
def test_dropped_text_has_no_influence(noisy, step, generator):
    network, given = denoiser(), conditions(generator)
    other = given._replace(text=given.text.flip(-1))
    with_text = network(noisy, step, given)
    assert (with_text - network(noisy, step, other)).abs().amax((1, 2)).min() > 1e-6
    dropped = given.without(text=True)
    assert torch.equal(network(noisy, step, dropped), network(noisy, step, other.without(text=True)))
    assert (with_text - network(noisy, step, dropped)).abs().amax((1, 2)).min() > 1e-6


@torch.no_grad()
def test_conditions_are_dropped_row_by_row(noisy, step, generator):
    network, given = denoiser(), conditions(generator)
    mixed = given._replace(keep_music=torch.tensor([True, False, True]))
    mixed.text_mask[2] = False
    found = network(noisy, step, mixed)
    whole = given._replace(text_mask=torch.ones(3, 2, dtype=torch.bool))
    for row, alone in ((0, whole), (1, whole.without(music=True)), (2, whole.without(text=True))):
        torch.testing.assert_close(found[row], network(noisy, step, alone)[row], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_padding_tokens_of_the_text_have_no_influence(noisy, step, generator):
    network, given = denoiser(), conditions(generator)
    padding = torch.randn(3, 3, 6, generator=generator) * 10
    padded = given._replace(
        text=torch.cat((given.text, padding), 1),
        text_mask=torch.cat((given.text_mask, torch.zeros(3, 3, dtype=torch.bool)), 1),
    )
    torch.testing.assert_close(network(noisy, step, padded), network(noisy, step, given))


@torch.no_grad()
def test_the_order_of_text_tokens_has_no_influence(noisy, step, generator):
    network, given = denoiser(), conditions(generator)
    torch.testing.assert_close(
        network(noisy, step, given._replace(text=given.text.flip(1))), network(noisy, step, given)
    )


@torch.no_grad()
def test_rows_of_a_batch_do_not_see_each_other(noisy, step, generator):
    network, given = denoiser(), conditions(generator)
    order = torch.tensor([2, 0, 1])
    found = network(noisy[order], step[order], given.rows(order))
    torch.testing.assert_close(found, network(noisy, step, given)[order], atol=1e-5, rtol=1e-5)
    alone = network(noisy[:1], step[:1], given.rows(slice(0, 1)))
    torch.testing.assert_close(alone, network(noisy, step, given)[:1], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_the_diffusion_step_matters(noisy, step, generator):
    network, given = denoiser(), conditions(generator)
    difference = network(noisy, step, given) - network(noisy, torch.tensor([1, 499, 998]), given)
    assert difference.abs().amax((1, 2)).min() > 1e-7


def influence(module, frames: int = 12) -> torch.Tensor:
    """(out, in) booleans: whether output frame i depends on input frame j, by gradients."""
    tokens = torch.randn(1, frames, 16, generator=torch.Generator().manual_seed(1)).requires_grad_()
    outputs = module(tokens)
    rows = []
    for frame in range(frames):
        (gradient,) = torch.autograd.grad(outputs[0, frame].square().sum(), tokens, retain_graph=True)
        rows.append(gradient[0].abs().amax(-1) > 0)
    return torch.stack(rows)


def test_the_forward_mixer_sees_all_of_the_past_and_nothing_of_the_future():
    torch.manual_seed(0)
    mixer = ParallelMambaModule(small(direction="forward"))
    assert torch.equal(influence(mixer), torch.ones(12, 12, dtype=torch.bool).tril())


def test_the_bidirectional_mixer_sees_everything():
    torch.manual_seed(0)
    assert influence(ParallelMambaModule(SMALL)).all()


def test_a_bidirectional_mixer_with_equal_halves_commutes_with_time_reversal(generator):
    torch.manual_seed(0)
    mixer = ParallelMambaModule(SMALL)
    inner, own, heads = mixer.inner, 2 * mixer.state, mixer.heads
    with torch.no_grad():
        for parameter in (mixer.input.weight, mixer.input.bias):
            parameter[2 * inner + own : 2 * inner + 2 * own] = parameter[2 * inner : 2 * inner + own]
            parameter[-heads:] = parameter[-2 * heads : -heads]
        for parameter in (mixer.convolution.weight, mixer.convolution.bias):
            parameter[inner + own :] = parameter[inner : inner + own]
        mixer.convolution.weight.copy_((mixer.convolution.weight + mixer.convolution.weight.flip(-1)) / 2)
    tokens = torch.randn(2, 11, 16, generator=generator)
    torch.testing.assert_close(mixer(tokens.flip(1)), mixer(tokens).flip(1))


def test_the_short_convolution_is_torchs_grouped_one(generator):
    torch.manual_seed(0)
    for direction, padding, channels in (("forward", (2, 0), 38), ("bidirectional", (1, 1), 44)):
        x = torch.randn(2, 9, channels, generator=generator)
        convolution = ParallelMambaModule(small(direction=direction)).convolution
        padded = torch.nn.functional.pad(x.transpose(1, 2), padding)
        expected = torch.nn.functional.conv1d(padded, convolution.weight, convolution.bias, groups=channels)
        torch.testing.assert_close(convolution(x), expected.transpose(1, 2))


def slow_mixer(mixer, tokens):
    """The PMM as the paper and Mamba-2 write it, frame by frame and head by head: eq. 5, eq. 6, concatenation."""
    inner, state, heads = mixer.inner, mixer.state, mixer.heads
    outputs = []
    for sequence in tokens:
        projected = sequence @ mixer.input.weight.T + mixer.input.bias
        gate, mixed, dt = projected.split((inner, inner + mixer.projections, mixer.directions * heads), -1)
        kernel = mixer.convolution.weight.shape[-1]
        before = kernel // 2 if mixer.directions == 2 else kernel - 1
        convolved = mixed.clone()
        for frame in range(len(sequence)):
            for channel in range(mixer.convolved):
                total = mixer.convolution.bias[channel]
                for tap in range(kernel):
                    at = frame - before + tap
                    if 0 <= at < len(sequence):
                        total = total + mixer.convolution.weight[channel, 0, tap] * mixed[at, channel]
                convolved[frame, channel] = total * torch.sigmoid(total)
        y = torch.zeros(len(sequence), inner)
        for direction in range(mixer.directions):
            own = convolved[:, inner + direction * 2 * state : inner + (direction + 1) * 2 * state]
            for head in range(heads):
                channels = slice(head * inner // heads, (head + 1) * inner // heads)
                rate = -torch.exp(mixer.log_decay[direction, head])
                h = torch.zeros(state, inner // heads)
                for frame in range(len(sequence))[:: -1 if direction else 1]:
                    bias = mixer.step_bias[direction, head]
                    step = torch.log1p(torch.exp(dt[frame, direction * heads + head] + bias))
                    if mixer.longest_step is not None:
                        step = torch.minimum(step, mixer.longest_step / -rate)
                    x = convolved[frame, :inner][channels]
                    h = torch.exp(step * rate) * h + step * torch.outer(own[frame, :state], x)
                    y[frame, channels] += own[frame, state:] @ h
        y = y + convolved[:, :inner] * mixer.skip.repeat_interleave(inner // heads)
        y = y * gate * torch.sigmoid(gate)
        y = y / (y.square().mean(-1, keepdim=True) + 1e-5).sqrt() * mixer.norm.weight
        outputs.append(y @ mixer.output.weight.T + mixer.output.bias)
    return torch.stack(outputs)


@torch.no_grad()
@pytest.mark.parametrize("chunk", [4, 64])
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
@pytest.mark.parametrize("changes", [{}, {"convolve_inputs": False}, {"longest_step": 0.05}], ids=str)
def test_the_mixer_is_what_the_paper_writes(changes, direction, chunk, generator):
    torch.manual_seed(0)
    mixer = ParallelMambaModule(small(direction=direction, chunk=chunk, **changes))
    for parameter in mixer.parameters():  # skips and biases that begin as ones or alike would hide mistakes
        parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    tokens = torch.randn(2, 9, 16, generator=generator)
    torch.testing.assert_close(mixer(tokens), slow_mixer(mixer, tokens), atol=2e-5, rtol=2e-5)


@torch.no_grad()
@pytest.mark.parametrize(("width", "heads", "state"), [(16, 4, 3), (64, 16, 8)])
def test_the_mixer_is_a_mamba_2_block(width, heads, state, generator):
    modeling = pytest.importorskip("transformers.models.mamba2.modeling_mamba2")
    config = modeling.Mamba2Config(
        hidden_size=width, expand=2, num_heads=heads, head_dim=2 * width // heads, state_size=state, n_groups=1,
        conv_kernel=4, chunk_size=8, hidden_act="silu", layer_norm_epsilon=1e-5, num_hidden_layers=1,
    )  # fmt: skip
    torch.manual_seed(0)
    block = modeling.Mamba2Mixer(config, layer_idx=0).eval()
    for parameter in block.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    mixer = ParallelMambaModule(PMDConfig(width=width, heads=heads, state=state, attention_heads=2, chunk=8))
    mixer.input.weight.copy_(block.in_proj.weight)
    mixer.input.bias.zero_()
    mixer.convolution.weight.copy_(block.conv1d.weight)
    mixer.convolution.bias.copy_(block.conv1d.bias)
    mixer.log_decay.copy_(block.A_log[None])
    mixer.step_bias.copy_(block.dt_bias[None])
    mixer.skip.copy_(block.D)
    mixer.norm.weight.copy_(block.norm.weight)
    mixer.output.weight.copy_(block.out_proj.weight)
    mixer.output.bias.zero_()
    tokens = torch.randn(2, 21, width, generator=generator)
    torch.testing.assert_close(mixer(tokens), block(tokens), atol=1e-4, rtol=1e-4)


ABLATIONS = (
    {"local": False},
    {"mixer": "sequential"},
    {"direction": "forward"},
    {"mixer": "sequential", "local": False},
    {"style_layer": False, "convolve_inputs": False, "music_mixing": 0},
    {"text_pooling": "genre and movements", "longest_step": 0.5, "chunk": 64},
    {"aligned_music": True, "music_gain": True},
)


@pytest.mark.parametrize("changes", ABLATIONS, ids=str)
def test_ablations_take_any_length_and_learn_in_all_their_parts(changes, generator):
    network = denoiser(**changes)
    for frames in (1, 5, 20):
        noisy = torch.randn(2, frames, 7, generator=generator)
        found = network(noisy, torch.tensor([3, 700]), conditions(generator, batch=2, frames=frames))
        assert found.shape == noisy.shape
    found.square().sum().backward()
    gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
    # The null embeddings have nothing to do while music and text are there.
    assert {name for name, found in gradients.items() if found is None or not found.any()} == {
        name for name in gradients if name.endswith("null")
    }


@torch.no_grad()
def test_a_sequential_mixer_in_one_direction_does_not_look_ahead(generator):
    torch.manual_seed(0)
    for direction, sees in (("forward", False), ("bidirectional", True)):
        mixer = SequentialMambaModule(small(direction=direction))
        tokens = torch.randn(1, 9, 16, generator=generator)
        changed = tokens.clone()
        changed[:, 6:] += 1
        assert torch.allclose(mixer(tokens)[:, :6], mixer(changed)[:, :6], atol=1e-6) != sees


def test_the_plain_network_has_no_trace_of_the_ablations():
    names = set(denoiser().state_dict())
    assert not [name for name in names if "scans" in name or "stride" in name]
    assert "blocks.0.local.convolution.weight" in names
    assert "blocks.0.mixer.convolution.weight" in names
    assert not [name for name in denoiser(local=False).state_dict() if "local.convolution" in name]


@torch.no_grad()
def test_the_chunk_size_changes_speed_and_not_results(noisy, step, generator):
    given = conditions(generator)
    results = [denoiser(chunk=chunk)(noisy, step, given) for chunk in (1, 6, 64)]
    torch.testing.assert_close(results[0], results[2], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(results[1], results[2], atol=1e-5, rtol=1e-5)


def test_local_information_is_a_neighbourhood_at_half_the_rate():
    module = LocalInformationModule(16, 2)
    tokens = torch.randn(1, 11, 16).requires_grad_()
    short = module(tokens)
    assert short.shape == (1, 6, 16)
    (gradient,) = torch.autograd.grad(short[0, 2].sum(), tokens)
    assert gradient[0].abs().amax(-1).nonzero().flatten().tolist() == [3, 4, 5]


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 5, 8])
def test_local_information_leaves_one_token_per_stride(stride):
    module = LocalInformationModule(2, stride)
    for frames in range(1, 20):
        assert module(torch.zeros(1, frames, 2)).shape == (1, -(-frames // stride), 2)


def test_local_information_at_the_full_rate_sees_both_neighbours():
    torch.manual_seed(0)
    near = torch.ones(12, 12, dtype=torch.bool).tril(1).triu(-1)
    assert torch.equal(influence(LocalInformationModule(16, 1)), near)


@pytest.mark.parametrize(("stride", "frames"), [(1, 7), (2, 10), (2, 9), (2, 1), (3, 10), (4, 4)])
def test_upsampling_puts_token_k_on_frame_k_times_the_stride(stride, frames):
    tokens = -(-frames // stride)
    times = torch.arange(float(tokens))[None, :, None] * stride
    spread = upsample(times, frames, stride=stride)[0, :, 0]
    # Linear in between, and constant after the last token, which nothing follows.
    torch.testing.assert_close(spread, torch.arange(float(frames)).clamp(max=times.max()))


@torch.no_grad()
def test_genre_and_movements_are_heard_apart(noisy, step, generator):
    network, given = denoiser(text_pooling="genre and movements"), conditions(generator)
    swapped = given._replace(text=given.text.flip(1))
    assert (network(noisy, step, swapped) - network(noisy, step, given)).abs().amax((1, 2)).min() > 1e-6
    alone = given._replace(text_mask=torch.tensor([[False, True]] * 3))
    other = given._replace(text=torch.cat((given.text[:, :1] + 1, given.text[:, 1:]), 1))
    torch.testing.assert_close(
        network(noisy, step, alone), network(noisy, step, other._replace(text_mask=alone.text_mask))
    )


@torch.no_grad()
def test_the_papers_block_ends_with_the_adaptive_normalisation(noisy, step, generator):
    network = denoiser(style_layer=False)
    assert not [name for name in network.state_dict() if ".style." in name and ".adain." not in name]
    assert torch.isfinite(network(noisy, step, conditions(generator))).all()


def test_the_papers_sizes():
    config = PMDConfig()
    assert (config.direction, config.kernel, config.convolve_inputs) == ("forward", 4, True)
    assert (config.style_layer, config.longest_step) == (False, None)
    assert (config.features, config.width, config.heads, config.state) == (151, 512, 128, 64)
    assert (config.lim_stride, config.attention_heads, config.dropout, config.fps) == (2, 4, 0.1, 60.0)
    network = ParallelMambaDenoiser(config).to("meta")  # other libraries change what is made there at once
    with torch.device("meta"):
        found = network(
            torch.empty(2, 600, 151),
            torch.zeros(2, dtype=torch.long),
            Conditions(
                torch.empty(2, 600, 35),
                torch.empty(2, 3, 384),
                torch.ones(2, 3, dtype=torch.bool),
                torch.ones(2, dtype=torch.bool),
            ),
        )
    assert found.shape == (2, 600, 151)
    mixer = network.blocks[0].mixer
    assert len(network.blocks) == 8
    assert mixer.inner // mixer.heads == 8  # P


def test_decays_and_step_sizes_start_as_in_mamba_2():
    mixer = ParallelMambaModule(PMDConfig(depth=1))
    rates = mixer.log_decay.exp()
    assert (rates.min().item(), rates.max().item()) == pytest.approx((1, 16), rel=1e-4)
    steps = torch.nn.functional.softplus(mixer.step_bias)
    assert (steps.min().item(), steps.max().item()) == pytest.approx((1e-3, 1e-1), rel=1e-3)


def test_every_parameter_of_the_network_is_trained(noisy, step, generator):
    network = denoiser().train()
    given = conditions(generator)._replace(keep_music=torch.tensor([True, True, False]))
    given.text_mask[1] = False
    network(noisy, step, given).square().sum().backward()
    idle = {name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()}
    assert idle <= {f"blocks.{i}.attention.key_value.bias" for i in range(2)}


def test_evaluation_is_deterministic_and_training_drops(noisy, step, generator):
    network, given = denoiser(dropout=0.5), conditions(generator)
    assert torch.equal(network(noisy, step, given), network(noisy, step, given))
    network.train()
    assert not torch.equal(network(noisy, step, given), network(noisy, step, given))


def test_inputs_are_left_as_they_were(noisy, step, generator):
    given = conditions(generator)
    before = [noisy.clone(), *(field.clone() for field in given)]
    denoiser()(noisy, step, given)
    assert all(torch.equal(a, b) for a, b in zip(before, [noisy, *given], strict=True))


def test_bfloat16_stays_near_float32(noisy, step, generator):
    network, given = denoiser(), conditions(generator)
    with torch.no_grad():
        exact = network(noisy, step, given)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            low = network(noisy, step, given)
    assert low.dtype == torch.float32
    assert (low - exact).abs().max() < 0.1 * exact.abs().max()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"widht": 3}, "widht"),
        ({"direction": "backward"}, "direction"),
        ({"heads": 5}, "heads to divide"),
        ({"heads": 0}, "heads"),
        ({"width": -8}, "width"),
        ({"width": 10**12}, "width"),
        ({"depth": 0}, "depth"),
        ({"depth": 10**5}, "depth"),
        ({"lim_stride": 0}, "lim_stride"),
        ({"fps": 0}, "fps"),
        ({"fps": float("inf")}, "fps"),
        ({"fps": float("nan")}, "fps"),
        ({"dropout": 1.5}, "dropout"),
        ({"attention_heads": 0}, "attention_heads"),
        ({"attention_heads": 3}, "attention_heads to split"),  # does not divide the width
        ({"width": 12, "attention_heads": 4}, "attention_heads to split"),  # three channels per head
    ],
    ids=str,
)
def test_impossible_sizes_are_refused_when_the_configuration_is_built(changes, named):
    with pytest.raises(ValidationError, match=named):
        small(**changes)


def test_music_heard_before_is_the_music_heard_now(noisy, step, generator):
    network, given = denoiser(aligned_music=True), conditions(generator)
    torch.testing.assert_close(network(noisy, step, given, network.hear(given)), network(noisy, step, given))
    other = network.hear(conditions(generator))
    assert not torch.allclose(network(noisy, step, given, other), network(noisy, step, given), atol=1e-3)


def test_a_norm_and_a_linear_layer_in_one(generator):
    x = torch.randn(2, 5, 12, generator=generator) * torch.logspace(-2, 3, 5)[:, None]
    scale, bias = torch.rand(12, generator=generator), torch.randn(7, generator=generator)
    weight = torch.randn(7, 12, generator=generator)
    expected = torch.nn.functional.rms_norm(x, (12,), scale, eps=1e-5) @ weight.T + bias
    torch.testing.assert_close(normed_projection(x, scale, weight, bias), expected)
