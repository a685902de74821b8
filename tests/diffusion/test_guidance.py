"""Guidance is the published combination of three predictions, however it is computed."""

import pytest
import torch

from longdance.diffusion.guidance import guided
from longdance.models.conditions import Conditions


class Fake:
    """A denoiser whose prediction tells what each row was given; it remembers the sizes of its calls."""

    def __init__(self):
        self.sizes, self.steps = [], []

    def __call__(self, noisy, step, conditions):
        self.sizes.append(len(noisy))
        self.steps.append(step)
        music = conditions.music.mean((1, 2)) * conditions.keep_music
        text = (conditions.text.mean(-1) * conditions.text_mask).sum(1)
        # Not additive, so that the order of nesting shows.
        prediction = 1 + 10 * music + 100 * text + 7 * music * text
        return prediction[:, None, None] + 0.5 * noisy


@pytest.fixture
def given(generator) -> Conditions:
    return Conditions(
        torch.rand(3, 8, 2, generator=generator) + 0.5,
        torch.rand(3, 2, 4, generator=generator) + 0.5,
        torch.tensor([[True, True], [True, False], [False, False]]),
        torch.ones(3, dtype=torch.bool),
    )


@pytest.fixture
def noisy(generator):
    return torch.randn(3, 8, 5, generator=generator)


def test_a_cpu_takes_few_long_rows_at_once(noisy):
    long = Conditions(torch.rand(2, 3000, 2), torch.rand(2, 1, 4), torch.ones(2, 1).bool(), torch.ones(2).bool())
    fake = call(long, torch.zeros(2, 3000, 5), 2, 3)[1]
    assert fake.sizes == [1] * 6
    fake = call(long, torch.zeros(2, 3000, 5), 2, 3, rows=4)[1]
    assert fake.sizes == [4, 2]


def predictions(given, noisy):
    step = torch.full((3,), 77)
    none = Fake()(noisy, step, given.without(music=True, text=True))
    music = Fake()(noisy, step, given.without(text=True))
    return none, music, Fake()(noisy, step, given)


def call(given, noisy, music, text, **options):
    fake = Fake()
    return guided(fake, given, music_weight=music, text_weight=text, **options)(noisy, 77), fake


@pytest.mark.parametrize(("music", "text"), [(1.5, 2.5), (2, 1), (0.5, 0), (3, 3), (1, 4), (0, 2), (-1, 1)])
def test_the_nested_formula(music, text, given, noisy):
    none, with_music, both = predictions(given, noisy)
    expected = none + music * (with_music - none) + text * (both - with_music)
    torch.testing.assert_close(call(given, noisy, music, text)[0], expected, atol=1e-3, rtol=1e-5)


@pytest.mark.parametrize(("weights", "which"), [((1, 1), 2), ((1, 0), 1), ((0, 0), 0)])
def test_plain_predictions_cost_one_evaluation(weights, which, given, noisy):
    found, fake = call(given, noisy, *weights)
    torch.testing.assert_close(found, predictions(given, noisy)[which])
    assert fake.sizes == [3]


@pytest.mark.parametrize(("weights", "rows"), [((1.5, 2.5), 9), ((2, 2), 6), ((1, 3), 6), ((3, 0), 6)])
def test_only_combinations_that_count_are_computed(weights, rows, given, noisy):
    assert call(given, noisy, *weights)[1].sizes == [rows]


@pytest.mark.parametrize(("below", "rows"), [(0, 9), (77, 9), (78, 3), (1000, 3)])
def test_the_plain_model_alone_when_little_noise_is_left(below, rows, given, noisy):
    found, fake = call(given, noisy, 1.5, 2.5, plain_below=below)
    assert fake.sizes == [rows]
    if rows == 3:
        torch.testing.assert_close(found, predictions(given, noisy)[2])


@pytest.mark.parametrize("rows", [1, 2, 4, 9, 50])
def test_pieces_of_the_batch_give_the_same(rows, given, noisy):
    whole, _ = call(given, noisy, 1.5, 2.5)
    found, fake = call(given, noisy, 1.5, 2.5, rows=rows)
    assert torch.equal(found, whole)
    assert max(fake.sizes) <= rows
    assert sum(fake.sizes) == 9


def test_the_step_reaches_every_row(given, noisy):
    _, fake = call(given, noisy, 1.5, 2.5, rows=4)
    steps = torch.cat(fake.steps)
    assert steps.dtype == torch.long
    assert (steps == 77).all()


def test_rows_without_text_ignore_the_text_weight(given, noisy):
    found, other = (call(given, noisy, 1.5, weight)[0] for weight in (0.7, 9.0))
    torch.testing.assert_close(found[2], other[2], atol=1e-3, rtol=1e-5)
    assert not torch.allclose(found[0], other[0])


def test_conditions_are_left_as_they_were(given, noisy):
    before = [field.clone() for field in given]
    call(given, noisy, 1.5, 2.5)
    assert all(torch.equal(a, b) for a, b in zip(before, given, strict=True))


class Listening(Fake):
    """A fake that hears the music once and predicts from what it heard."""

    def __init__(self):
        super().__init__()
        self.listened = 0

    def hear(self, conditions):
        self.listened += len(conditions.music)
        return conditions.music.clone()

    def __call__(self, noisy, step, conditions, heard=None):
        assert torch.is_grad_enabled() == (heard is None)
        if heard is not None:
            torch.testing.assert_close(heard, conditions.music)
        return super().__call__(noisy, step, conditions)


@pytest.mark.parametrize("rows", [None, 4])
def test_music_is_heard_once_for_all_steps(given, noisy, rows):
    listening = Listening()
    predict = guided(listening, given, music_weight=2, text_weight=3, rows=rows)
    expected = call(given, noisy, 2, 3)[0]
    with torch.no_grad():
        for _ in range(3):
            torch.testing.assert_close(predict(noisy, 77), expected)
    assert listening.listened == 9  # three combinations of three rows
    torch.testing.assert_close(predict(noisy, 77), expected)
    assert listening.listened == 9  # a step with gradients hears for itself
