"""EDGE's denoiser: its size, what it hears, and that it learns."""

import pytest
import torch
from pydantic import ValidationError

from longdance.diffusion.noise import NoiseSchedule
from longdance.models.checkpoint import build, denoiser_name
from longdance.models.conditions import Conditions
from longdance.models.edge import EDGEDenoiser, EDGEDenoiserConfig
from longdance.models.pmd import PMDConfig
from longdance.train.edge import edge_open

SMALL = EDGEDenoiserConfig(
    features=12, music_channels=5, width=32, depth=2, feedforward=48, attention_heads=4, music_layers=1, dropout=0.0
)


def conditions(batch: int, frames: int, generator: torch.Generator, channels: int = 5) -> Conditions:
    return Conditions(
        torch.randn(batch, frames, channels, generator=generator),
        torch.randn(batch, 2, 384, generator=generator),
        torch.ones(batch, 2, dtype=torch.bool),
        torch.ones(batch, dtype=torch.bool),
    )


def network_of(config: EDGEDenoiserConfig = SMALL) -> EDGEDenoiser:
    """One whose FiLM layers, which begin as nothing, do something."""
    torch.manual_seed(0)
    network = EDGEDenoiser(config)
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.1)
    return network.eval()


def parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_papers_sizes_make_49_million_parameters():
    with torch.device("meta"):
        count = parameters(EDGEDenoiser(EDGEDenoiserConfig()))
    assert count == pytest.approx(49e6, rel=0.02)


def test_the_open_recipe_is_as_small_as_it_says():
    with torch.device("meta"):
        assert parameters(EDGEDenoiser(edge_open().network)) == pytest.approx(1.8e6, rel=0.02)


def test_it_is_registered_among_the_denoisers():
    assert denoiser_name(SMALL) == "edge"
    assert isinstance(build(SMALL), EDGEDenoiser)


@pytest.mark.parametrize("extras", [{}, {"aligned_music": True, "precondition": True}, {"music_stride": 3}])
def test_any_length_gives_as_many_frames(extras, generator):
    network = network_of(SMALL.model_copy(update=extras))
    for frames in (1, 2, 7, 31):
        clean = network(torch.randn(2, frames, 12, generator=generator), torch.tensor([3, 900]),
                        conditions(2, frames, generator))  # fmt: skip
        assert clean.shape == (2, frames, 12)
        assert torch.isfinite(clean).all()


def test_every_row_and_frame_of_music_and_the_step_are_heard_and_words_are_not(generator):
    network, given = network_of(), conditions(2, 10, generator)
    noisy, step = torch.randn(2, 10, 12, generator=generator), torch.tensor([500, 500])
    plain = network(noisy, step, given)
    louder = given.music.clone()
    louder[0, 7] += 1
    changed = network(noisy, step, given._replace(music=louder))
    assert not torch.allclose(plain[0, 2], changed[0, 2])  # attention reaches everywhere
    torch.testing.assert_close(plain[1], changed[1])
    assert not torch.allclose(plain, network(noisy, torch.tensor([100, 500]), given))
    torch.testing.assert_close(plain, network(noisy, step, given.without(text=True)), rtol=0, atol=0)


@pytest.mark.parametrize("extras", [{}, {"aligned_music": True, "precondition": True}])
def test_dropped_music_is_not_heard(extras, generator):
    network = network_of(SMALL.model_copy(update=extras))
    noisy, step = torch.randn(2, 10, 12, generator=generator), torch.tensor([500, 20])
    one, other = (conditions(2, 10, generator).without(music=True) for _ in range(2))
    torch.testing.assert_close(network(noisy, step, one), network(noisy, step, other), rtol=0, atol=0)


def test_one_window_is_learnt(generator):
    network = network_of().train()
    motion = torch.sin(torch.arange(20)[:, None] * torch.linspace(0.1, 1, 12)).expand(8, -1, -1)
    given = Conditions(*(f[:1].expand(8, *f.shape[1:]) for f in conditions(1, 20, generator)))
    optimiser, schedule = torch.optim.Adam(network.parameters(), lr=2e-3), NoiseSchedule.cosine()
    losses = []
    for _ in range(200):
        step = torch.randint(1000, (8,), generator=generator)
        noisy = schedule.add_noise(motion, step, torch.randn(motion.shape, generator=generator))
        loss = (network(noisy, step, given) - motion).pow(2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) / 10 < 0.02 * losses[0]


def test_heads_must_split_the_width():
    with pytest.raises(ValidationError, match="attention_heads"):
        EDGEDenoiserConfig(width=36, attention_heads=8)
    assert PMDConfig().width == EDGEDenoiserConfig().width  # compared at equal width


def test_music_heard_before_is_the_music_heard_now(generator):
    network, given = network_of(), conditions(2, 20, generator)
    noisy, step = torch.randn(2, 20, 12, generator=generator), torch.tensor([3, 700])
    torch.testing.assert_close(network(noisy, step, given, network.hear(given)), network(noisy, step, given))
    other = network.hear(conditions(2, 20, generator))
    assert not torch.allclose(network(noisy, step, given, other), network(noisy, step, given), atol=1e-3)
