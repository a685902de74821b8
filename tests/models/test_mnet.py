"""MNET's generator: noise, genre and music lead it, and a style is the genre's own."""

import pytest
import torch
from pydantic import ValidationError

from longdance.models.mnet import MappingNetwork, MNETConfig, MNETGenerator

SMALL = MNETConfig(
    features=9, music_channels=4, fps=30, genres=("disco", "none", "salsa"), seed_frames=4, future=6, width=16, depth=2,
    feedforward=16, attention_heads=2, music_layers=1, noise=5, mapping_layers=2, pool=2,
)  # fmt: skip


def generator_of(config: MNETConfig = SMALL) -> MNETGenerator:
    """One whose FiLM layers, which begin as nothing, do something."""
    torch.manual_seed(0)
    network = MNETGenerator(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.2)
    return network


@pytest.fixture
def given(generator):
    return (
        torch.randn(2, 4, 9, generator=generator),
        torch.randn(2, 10, 4, generator=generator),
        torch.tensor([0, 2]),
        torch.randn(2, 5, generator=generator),
    )


def test_everything_given_leads(given):
    network = generator_of()
    plain = network(*given)
    assert plain.shape == (2, 6, 9)
    for place in range(4):
        changed = list(given)
        changed[place] = given[place].clone()
        changed[place][0] = 1 if place == 2 else given[place][0] + 1
        other = network(*changed)
        assert not torch.allclose(other[0], plain[0])
        torch.testing.assert_close(other[1], plain[1])


def test_a_genre_without_a_change_elsewhere_is_another_style(generator):
    torch.manual_seed(0)
    mapping = MappingNetwork(5, 8, layers=2, genres=3)
    noise = torch.randn(1, 5, generator=generator).expand(3, -1)
    styles = mapping(noise, torch.arange(3))
    assert styles.shape == (3, 8)
    assert (torch.pdist(styles) > 0.1).all()
    rows = mapping.outputs.weight.grad
    assert rows is None
    styles[1].sum().backward()
    used = mapping.outputs.weight.grad.unflatten(0, (3, 8)).abs().sum((1, 2)) > 0
    assert used.tolist() == [False, True, False]


def test_with_a_residual_nothing_is_a_pose_that_stays(given):
    network = generator_of(SMALL.model_copy(update={"residual": True}))
    torch.nn.init.zeros_(network.output.weight)
    torch.nn.init.zeros_(network.output.bias)
    torch.testing.assert_close(network(*given), given[0][:, -1:].expand(-1, 6, -1))


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValidationError, match="attention_heads"):
        MNETConfig(width=30, attention_heads=4)
    with pytest.raises(ValidationError, match="genre"):
        MNETConfig(genres=())
