"""FiLM transformer layers: what modulates them, and how they know the time."""

import pytest
import torch

from longdance.models.film import DecoderLayer, EncoderLayer, MusicTransformer, fold, unfold


def test_folding_and_unfolding(generator):
    frames = torch.randn(2, 7, 3, generator=generator)
    folded = fold(frames, 2)
    assert folded.shape == (2, 4, 6)
    assert torch.equal(folded[:, 1], torch.cat((frames[:, 2], frames[:, 3]), -1))
    assert torch.equal(unfold(folded, 2, frames=7), frames)


def test_film_layers_are_told_by_the_condition(generator):
    layer = DecoderLayer(8, heads=2, feedforward=8, dropout=0.0).eval()
    torch.nn.init.normal_(layer.film_self.modulation.weight)
    tokens, memory = torch.randn(1, 5, 8, generator=generator), torch.randn(1, 4, 8, generator=generator)
    seconds, timed = torch.arange(5) / 30, torch.arange(3) / 30
    first, second = (layer(tokens, seconds, memory, timed, torch.full((1, 8), value)) for value in (0.0, 1.0))
    assert (first - second).abs().max() > 1e-4


def test_attention_depends_on_time_differences_alone(generator):
    layer = EncoderLayer(8, heads=2, feedforward=8, dropout=0.0).eval()
    tokens, seconds = torch.randn(1, 6, 8, generator=generator), torch.arange(6) / 30
    torch.testing.assert_close(layer(tokens, seconds + 11), layer(tokens, seconds), atol=1e-4, rtol=1e-4)
    assert (layer(tokens, seconds * 20) - layer(tokens, seconds)).abs().max() > 1e-4


def test_music_tokens_lie_in_the_middle_of_their_frames(generator):
    encoder = MusicTransformer(5, 8, stride=8, layers=1, heads=2, feedforward=8, dropout=0.0)
    keep = torch.tensor([True, False])
    tokens, seconds = encoder(torch.randn(2, 1024, 5, generator=generator), keep, fps=30.0)
    assert tokens.shape == (2, 128, 8)
    assert seconds[:2].tolist() == pytest.approx([3.5 / 30, 11.5 / 30])
    assert torch.equal(tokens[1], torch.zeros(128, 8))
