import numpy as np
import pytest

from longdance.choreography.phrases.cutting import cut
from longdance.choreography.phrases.library import FPS, TakeFacts
from made_up_phrases import stepping

FACTS = TakeFacts(clip="clip", genre="disco", movements=("step",))


@pytest.mark.parametrize("bpm", [90.0, 120.0])
def test_phrases_begin_and_end_where_the_body_rests(bpm):
    made = cut(stepping(bpm), FACTS)
    assert {len(marks) - 1 for marks in made.marks} == {4, 8}
    for marks in made.marks:
        beats = np.asarray(marks) / FPS * bpm / 60
        assert np.abs(beats - np.round(beats)).max() < 0.1  # of a beat
        assert np.allclose(np.diff(beats), 1, atol=0.15)


def test_phrases_of_eight_begin_four_beats_apart():
    made = cut(stepping(110.0), FACTS)
    begins = np.array([marks[0] for marks in made.marks if len(marks) == 9]) / FPS * 110 / 60
    assert np.allclose(np.diff(begins), 4, atol=0.2)


def test_a_body_at_rest_and_a_second_of_dance_have_no_phrases():
    still = stepping(100.0)
    still = still.__class__(still.root_position[:1].repeat(300, 0), still.rotations[:1].repeat(300, 0), fps=30.0)
    assert not cut(still, FACTS).marks
    assert not cut(stepping(100.0, seconds=1.0), FACTS).marks
