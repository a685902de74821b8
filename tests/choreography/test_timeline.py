"""Spans over windows: shares that sum to one, predictions that follow them, and no cost where nothing changes."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from longdance.choreography.long.windows import WindowPlan
from longdance.choreography.timeline import Span, Timeline, follow
from longdance.diffusion.guidance import Guidance
from longdance.errors import InputError
from longdance.features.text import TextPrompt

PLAIN = Guidance(1.0, 1.0)


def text_of(value: float) -> TextPrompt:
    """A text whose only token says a number."""
    return TextPrompt(None, (), (str(value),), np.full((1, 4), value, np.float32))


NOTHING = TextPrompt(None, (), (), np.zeros((0, 4), np.float32))


def timeline_of(*changes: int, end: int = 60, fade: int = 4, guidance=PLAIN) -> Timeline:
    edges = [0, *changes, end]
    spans = [Span(a, b, text_of(i), guidance) for i, (a, b) in enumerate(pairwise(edges))]
    return Timeline(tuple(spans), fade)


@pytest.mark.parametrize("weight", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(weight):
    with pytest.raises(InputError, match="finite"):
        timeline_of(30, guidance=Guidance(1.0, weight))


class Speaker:
    """A denoiser whose clean motion is the number its text says, and that counts what it is asked."""

    def __init__(self):
        self.rows = []

    def __call__(self, noisy, step, conditions):
        tokens = conditions.text_mask.sum(1).clamp(min=1)
        said = (conditions.text[..., 0] * conditions.text_mask).sum(1) / tokens
        self.rows.append(len(noisy))
        return said[:, None, None].expand_as(noisy).clone()


def followed(timeline, plan, *, begin=0, horizontal=(), denoiser=None, rows=16):
    denoiser = denoiser or Speaker()
    sound = torch.zeros(plan.count, plan.window, 2)
    predict = follow(
        timeline,
        denoiser,
        sound,
        plan,
        begin=begin,
        text_width=4,
        horizontal=horizontal,
        diffusion_steps=1000,
        rows=rows,
    )
    return predict(torch.zeros(plan.count, plan.window, 3), 5), denoiser


@pytest.mark.parametrize("changes", [(), (20,), (20, 21), (20, 22, 40), (1, 59)], ids=str)
@pytest.mark.parametrize("fade", [2, 5, 30])
def test_shares_sum_to_one_at_every_frame_inside_and_beyond(changes, fade):
    timeline = timeline_of(*changes, fade=fade)
    parts = timeline.texts_over(range(-10, 80))
    total = sum(share for _, share in parts)
    np.testing.assert_allclose(total, 1, atol=1e-12)
    assert all((share >= 0).all() for _, share in parts)


def test_a_change_is_half_done_at_its_frame_and_done_after_half_the_fade():
    timeline = timeline_of(20, fade=8)
    (_, before), (_, after) = timeline.texts_over(range(60))
    assert after[20] == 0.5
    assert (after[:17] == 0).all()
    assert (after[24:] == 1).all()
    assert (np.diff(after) >= 0).all()
    np.testing.assert_allclose(before, 1 - after)


def test_frames_far_from_a_change_have_one_text():
    timeline = timeline_of(20, 40)
    assert [len(timeline.texts_over(range(a, a + 10))) for a in (0, 5, 15, 25, 50, 70)] == [1, 1, 2, 1, 1, 1]
    assert timeline.leading(range(12, 24)) is timeline.spans[0]
    assert timeline.leading(range(19, 30)) is timeline.spans[1]


def test_windows_say_at_every_frame_what_the_timeline_says():
    timeline = timeline_of(13, 31, end=44)
    plan = WindowPlan(4, 14, 4)
    clean, _ = followed(timeline, plan)
    at = np.arange(44)
    wanted = sum(span.text.embeddings[0, 0] * share for span, share in timeline.texts_over(range(44)))
    for k in range(plan.count):
        np.testing.assert_allclose(clean[k, :, 0], wanted[at[k * 10 : k * 10 + 14]], atol=1e-6)


def test_only_windows_with_a_change_are_predicted_more_than_once():
    plan = WindowPlan(4, 14, 4)
    for changes, extra in (((), 0), ((17,), 1), ((11,), 2), ((15, 18), 2)):
        _, denoiser = followed(timeline_of(*changes), plan)
        assert sum(denoiser.rows) == plan.count + extra


def test_spans_that_ask_the_same_are_one():
    first = Span(0, 20, text_of(1), PLAIN)
    second, third = Span(20, 40, text_of(1), PLAIN), Span(40, 60, text_of(1), Guidance(1.0, 2.0))
    joined = Timeline((first, second, third)).joined()
    assert [(span.begin, span.end) for span in joined.spans] == [(0, 40), (40, 60)]


def test_every_span_has_its_own_guidance():
    # f(none) = f(music) = 0 and f(music, text) = the text's number, so the text's weight is what comes out.
    spans = (Span(0, 20, text_of(1), Guidance(1.0, 2.0)), Span(20, 60, text_of(1), Guidance(1.0, 5.0)))
    clean, _ = followed(Timeline(spans), WindowPlan(2, 24, 4))
    np.testing.assert_allclose(clean[0, :19, 0], 2, atol=1e-6)
    np.testing.assert_allclose(clean[0, 21:, 0], 5, atol=1e-6)
    np.testing.assert_allclose(clean[1, 2:, 0], 5, atol=1e-6)


def test_unguided_is_the_same_with_the_plain_model():
    guided_by_one = timeline_of(13, 31, guidance=Guidance(1.0, 1.0))
    unguided = timeline_of(13, 31, guidance=Guidance(2.0, 6.0)).unguided()
    assert [(s.begin, s.end, s.text.texts) for s in unguided.spans] == [
        (s.begin, s.end, s.text.texts) for s in guided_by_one.spans
    ]
    plan = WindowPlan(4, 14, 4)
    assert torch.equal(followed(unguided, plan)[0], followed(guided_by_one, plan)[0])


def test_texts_of_different_lengths_and_none_stand_beside_each_other():
    long = TextPrompt(None, (), ("a", "b"), np.full((2, 4), 3, np.float32))
    spans = (Span(0, 10, NOTHING, PLAIN), Span(10, 20, long, PLAIN), Span(20, 40, text_of(1), PLAIN))
    clean, _ = followed(Timeline(spans), WindowPlan(1, 30, 0))
    assert clean[0, [0, 8, 14, 29], 0].tolist() == [0, 0, 3, 1]


def test_the_bound_on_rows_changes_nothing():
    timeline, plan = timeline_of(13, 31), WindowPlan(4, 14, 4)
    assert torch.equal(followed(timeline, plan, rows=1)[0], followed(timeline, plan, rows=16)[0])


def test_paths_go_on_from_where_the_text_before_has_got_to():
    """Two texts that walk at different speeds give one path without a jump, each at its own speed."""

    def walker(noisy, step, conditions):
        text = conditions.text.sum(1)[:, :1]  # one token each
        speed = 0.1 + text
        clean = torch.zeros_like(noisy)
        clean[..., 0] = speed * torch.arange(noisy.shape[1])
        clean[..., 1] = 7 * text
        return clean

    clean, _ = followed(timeline_of(20, fade=6), WindowPlan(1, 40, 0), horizontal=(0,), denoiser=walker)
    speed = clean[0, :, 0].diff()
    np.testing.assert_allclose(speed[:16], 0.1, atol=1e-5)
    np.testing.assert_allclose(speed[24:], 1.1, atol=1e-5)
    assert (speed.diff() >= -1e-5).all()
    assert clean[0, 0, 1] == 0  # what is not a place on the floor is not shifted
    assert clean[0, -1, 1] == 7


def test_a_cut_keeps_what_is_asked_at_its_frames():
    timeline = timeline_of(20, 40)
    for begin, end in ((0, 60), (5, 10), (15, 25), (18, 45), (50, 90)):
        cut = timeline.cut(begin, end)
        assert (cut.spans[0].begin, cut.spans[-1].end) == (0, end - begin)
        whole = {id(span.text): share for span, share in timeline.texts_over(range(begin, end))}
        for span, share in cut.texts_over(range(end - begin)):
            inside = whole[id(span.text)]
            far = np.abs(share - inside) < 0.5  # a change just outside the cut may be missing
            assert far.all()


def test_spans_with_gaps_are_refused():
    with pytest.raises(ValueError, match="without gaps"):
        Timeline((Span(0, 5, NOTHING, PLAIN), Span(6, 9, NOTHING, PLAIN)))
