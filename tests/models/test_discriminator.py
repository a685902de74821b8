"""The multi-genre discriminator."""

import pytest
import torch

from longdance.models.discriminator import DiscriminatorConfig, MultiGenreDiscriminator


def test_the_discriminator_has_an_output_per_genre_and_does_not_see_padding(generator):
    torch.manual_seed(0)
    judge = MultiGenreDiscriminator(
        DiscriminatorConfig(width=8, depth=1, feedforward=8, attention_heads=2), features=139, music_channels=5,
        genres=3, fps=30.0,
    )  # fmt: skip
    motion = torch.randn(1, 22, 139, generator=generator)
    music, valid = torch.randn(1, 22, 5, generator=generator), torch.ones(1, 22, dtype=torch.bool)
    valid[:, 16:] = False
    scores = [judge(motion, music, valid, torch.tensor([genre])).item() for genre in range(3)]
    assert len({round(score, 6) for score in scores}) == 3
    other = motion.clone()
    other[:, 16:] = 100.0
    assert judge(other, music, valid, torch.tensor([1])).item() == pytest.approx(scores[1])
    assert judge(motion, music + 1, valid, torch.tensor([1])).item() != pytest.approx(scores[1])
    assert judge(motion * 2, music, valid, torch.tensor([1])).item() != pytest.approx(scores[1])
