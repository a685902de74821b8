"""FACT's network: shapes, and what it attends to."""

import pytest
import torch
from pydantic import ValidationError

from longdance.models.fact import FACTConfig, FACTNetwork

SMALL = FACTConfig(
    features=9, music_channels=4, fps=30, seed_frames=6, music_frames=12, future=3, width=16, feedforward=16,
    attention_heads=2, cross_layers=1, pool=2,
)  # fmt: skip


def test_every_frame_of_seed_and_music_is_heard(generator):
    torch.manual_seed(0)
    network = FACTNetwork(SMALL).eval()
    seed = torch.randn(1, 6, 9, generator=generator, requires_grad=True)
    music = torch.randn(1, 12, 4, generator=generator, requires_grad=True)
    future = network(seed, music)
    assert future.shape == (1, 3, 9)
    for frame in range(3):
        grads = torch.autograd.grad(future[:, frame].pow(2).sum(), (seed, music), retain_graph=True)
        assert all((grad.abs().sum(-1) > 0).all() for grad in grads)


def test_with_a_residual_nothing_is_a_pose_that_stays():
    network = FACTNetwork(SMALL.model_copy(update={"residual": True}))
    torch.nn.init.zeros_(network.output.weight)
    torch.nn.init.zeros_(network.output.bias)
    seed = torch.randn(2, 6, 9)
    torch.testing.assert_close(network(seed, torch.randn(2, 12, 4)), seed[:, -1:].expand(-1, 3, -1))


def test_the_papers_sizes():
    with torch.device("meta"):
        network = FACTNetwork(FACTConfig())
    assert len(network.cross_layers) == 12
    assert 80e6 < sum(parameter.numel() for parameter in network.parameters()) < 130e6


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValidationError, match="music_frames"):
        FACTConfig(seed_frames=120, future=20, music_frames=130)
    with pytest.raises(ValidationError, match="attention_heads"):
        FACTConfig(width=30, attention_heads=4)
