"""Bailando: codes and back, gradients through them, and a transformer that knows no future."""

import pytest
import torch
from pydantic import ValidationError

from longdance.models.bailando import (
    ChoreographicMemory,
    Codebook,
    CodeTransformer,
    Critic,
    GPTConfig,
    MemoryConfig,
    codes_before,
    half_columns,
    sample_codes,
)
from longdance.motion.layout import LAYOUTS

MEMORY = MemoryConfig(fps=30, width=12, halvings=2, codes=9)
GPT = GPTConfig(music_channels=3, width=16, depth=2, feedforward=16, attention_heads=2, context=7, dropout=0.0)


def transformer(seed: int = 0) -> CodeTransformer:
    torch.manual_seed(seed)
    network = CodeTransformer(GPT, MEMORY, outputs=MEMORY.codes).eval()
    for output in network.outputs:
        torch.nn.init.normal_(output.weight)
    return network


def memory_in_use() -> ChoreographicMemory:
    torch.manual_seed(0)
    memory = ChoreographicMemory(MEMORY)
    for book in memory.codebooks.values():
        book.vectors.normal_()
        book.usage.fill_(1.0)
    return memory.eval()


@pytest.mark.parametrize("name", ["smpl24", "smpl22"])
def test_halves_are_apart_and_hold_all_but_the_place_on_the_floor(name):
    layout = LAYOUTS[name]
    upper, lower = half_columns(layout)
    assert sorted(upper + lower + layout.horizontal) == list(range(layout.width))
    knee, wrist = (layout.joint_columns((joint,)).nonzero()[0].tolist() for joint in ("left_knee", "right_wrist"))
    assert set(knee) <= set(lower)
    assert set(wrist) <= set(upper)


def test_vectors_of_codes_are_their_own_nearest():
    book = memory_in_use().codebooks["upper"]
    index, squared = book.nearest(book.vectors[None])
    assert index.tolist() == [list(range(9))]
    torch.testing.assert_close(squared, torch.zeros(1, 9), atol=1e-4, rtol=0)
    quantised, again, commitment = book(book.vectors[None], torch.ones(1, 9, dtype=torch.bool))
    torch.testing.assert_close(quantised, book.vectors[None])
    assert torch.equal(again, index)
    assert commitment < 1e-6


def test_gradients_pass_through_codes_as_if_there_were_none(generator):
    book = memory_in_use().codebooks["upper"]
    latents = torch.randn(2, 5, 12, generator=generator, requires_grad=True)
    weight = torch.randn(2, 5, 12, generator=generator)
    quantised, index, commitment = book(latents, torch.ones(2, 5, dtype=torch.bool))
    assert not torch.allclose(quantised, latents)
    torch.testing.assert_close(quantised, book.vectors[index])
    (gradient,) = torch.autograd.grad((quantised * weight).sum(), latents, retain_graph=True)
    torch.testing.assert_close(gradient, weight)
    (pull,) = torch.autograd.grad(commitment, latents)
    torch.testing.assert_close(pull, 2 * (latents - book.vectors[index]).detach() / latents.numel())


def test_a_codebook_learns_the_centres_of_clusters(generator):
    centres = 5 * torch.randn(4, 6, generator=generator)
    book = Codebook(12, 6, decay=0.9).train()
    for _ in range(60):
        which = torch.randint(4, (1, 64), generator=generator)
        latents = centres[which] + 0.05 * torch.randn(1, 64, 6, generator=generator)
        book(latents, torch.ones(1, 64, dtype=torch.bool))
    apart = torch.cdist(centres, book.vectors)
    assert (apart.min(1).values < 0.1).all()
    assert len(set(apart.argmin(1).tolist())) == 4


def test_padding_and_evaluation_teach_a_codebook_nothing(generator):
    book = memory_in_use().codebooks["lower"]
    before = book.vectors.clone()
    latents = torch.randn(1, 6, 12, generator=generator)
    book.eval()(latents, torch.ones(1, 6, dtype=torch.bool))
    assert torch.equal(book.vectors, before)
    one, other = (memory_in_use().codebooks["lower"].train() for _ in range(2))
    valid = torch.tensor([[True] * 4 + [False] * 2])
    one(latents, valid)
    other(latents[:, :4], valid[:, :4])
    torch.testing.assert_close(one.vectors, other.vectors)


def test_what_is_restored_from_codes_is_what_was_quantised(generator):
    memory, motion = memory_in_use(), torch.randn(2, 16, 151, generator=generator)
    remembered = memory(motion, torch.ones(2, 16, dtype=torch.bool))
    codes = memory.encode(motion)
    assert codes.shape == (2, 4, 2)
    assert torch.equal(codes, remembered.codes)
    features, velocity = memory.decode(codes)
    horizontal = LAYOUTS["smpl24"].horizontal
    assert not features[..., horizontal].any()
    torch.testing.assert_close(remembered.features[..., horizontal], motion[..., horizontal])
    others = [column for column in range(151) if column not in horizontal]
    torch.testing.assert_close(features[..., others], remembered.features[..., others])
    torch.testing.assert_close(velocity, remembered.velocity)


def test_each_half_has_codes_of_its_own_and_the_legs_carry_the_body(generator):
    memory = memory_in_use()
    upper, lower = half_columns(LAYOUTS["smpl24"])
    codes = torch.randint(9, (1, 6, 2), generator=generator)
    features, velocity = memory.decode(codes)
    for half, own, foreign in ((0, upper, lower), (1, lower, upper)):
        other = codes.clone()
        other[..., half] = (codes[..., half] + 1) % 9
        changed, carried = memory.decode(other)
        assert not torch.allclose(changed[..., own], features[..., own])
        torch.testing.assert_close(changed[..., foreign], features[..., foreign])
        assert torch.equal(carried, velocity) == (half == 0)


def test_the_velocity_branch_does_not_change_the_memory(generator):
    memory, motion = memory_in_use(), torch.randn(1, 16, 151, generator=generator)
    memory(motion, torch.ones(1, 16, dtype=torch.bool)).velocity.sum().backward()
    learns = {name.split(".")[0] for name, parameter in memory.named_parameters() if parameter.grad is not None}
    assert learns == {"velocity"}


def test_a_pose_depends_on_codes_within_reach_alone(generator):
    memory, at = memory_in_use(), 20
    codes = torch.randint(9, (1, 41, 2), generator=generator)
    other = codes.clone()
    other[:, at] = (codes[:, at] + 1) % 9
    differs = (memory.decode(codes)[0] != memory.decode(other)[0]).any(-1)[0].nonzero()[:, 0] // MEMORY.stride
    assert differs.min() >= at - MEMORY.reach
    assert differs.max() <= at + MEMORY.reach


def test_the_transformer_knows_no_future(generator):
    network = transformer()
    music = torch.randn(1, 7 * 4, 3, generator=generator, requires_grad=True)
    before = torch.randint(9, (1, 7, 2), generator=generator)
    embedded = []
    hooks = [e.register_forward_hook(lambda *args: args[2].retain_grad() or embedded.append(args[2]))
             for e in network.embeddings]  # fmt: skip
    logits = network(music, before)
    for hook in hooks:
        hook.remove()
    for time in range(7):
        grads = torch.autograd.grad(logits[:, time].pow(2).sum(), (music, *embedded), retain_graph=True)
        heard = grads[0].unflatten(1, (7, 4)).abs().sum((0, 2, 3)) > 0
        assert heard.tolist() == [t <= time for t in range(7)]
        for grad in grads[1:]:
            assert (grad.abs().sum((0, 2)) > 0).tolist() == [t <= time for t in range(7)]


def test_drawing_time_by_time_is_one_pass_over_the_whole(generator):
    network, music = transformer(), torch.randn(2, 7 * 4, 3, generator=generator)
    codes = sample_codes(network, music, generator=torch.Generator().manual_seed(5))
    logits = network(music, codes_before(codes, MEMORY))
    again = torch.Generator().manual_seed(5)
    for time in range(7):
        uniform = torch.rand(2, 2, 9, generator=again)
        drawn = (logits[:, time] - (-uniform.log()).log()).argmax(-1)
        assert torch.equal(drawn, codes[:, time])


def test_beyond_the_context_the_oldest_codes_are_forgotten(generator):
    network, music = transformer(), torch.randn(1, 12 * 4, 3, generator=generator)
    codes = sample_codes(network, music, generator=torch.Generator().manual_seed(1), temperature=1e-6)
    window = network(music[:, 5 * 4 :], codes[:, 4:11])
    assert torch.equal(window[:, -1].argmax(-1), codes[:, 11])
    assert codes.min() >= 0
    assert codes.max() < MEMORY.codes


def test_draws_follow_the_transformers_probabilities(generator):
    network = transformer()
    music = torch.randn(1, 4, 3, generator=generator).expand(4000, -1, -1)
    codes = sample_codes(network, music, generator=generator)
    expected = network(music[:1], codes_before(codes[:1], MEMORY))[0, 0].softmax(-1)
    for half in range(2):
        shares = torch.bincount(codes[:, 0, half], minlength=9) / 4000
        torch.testing.assert_close(shares, expected[half], atol=0.03, rtol=0)


def test_the_critic_knows_no_future(generator):
    torch.manual_seed(0)
    critic, music = Critic(GPT, MEMORY).eval(), torch.randn(1, 28, 3, generator=generator)
    codes = torch.randint(9, (1, 7, 2), generator=generator)
    values = critic(music, codes)
    later = codes.clone()
    later[:, 5:] = (codes[:, 5:] + 1) % 9
    assert values.shape == (1, 7)
    torch.testing.assert_close(critic(music, later)[:, :5], values[:, :5])


def test_unknown_layouts_and_heads_are_refused():
    with pytest.raises(ValidationError, match="layout"):
        MemoryConfig(layout="coco")
    with pytest.raises(ValidationError, match="attention_heads"):
        GPTConfig(width=10, attention_heads=3)
