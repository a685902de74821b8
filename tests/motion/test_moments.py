"""Times in a record stay those of the frames they belong to."""

import pytest

from longdance.motion.moments import cut

META = {
    "start": 10.0,
    "beat_times": [0.5, 1.0, 1.5, 2.0, 2.5],
    "downbeat_times": [0.5, 2.5],
    "sections": [{"begin": 0.0, "end": 1.2, "label": "A"}, {"begin": 1.2, "end": 3.0, "label": "B"}],
    "plan": {
        "library": "open",
        "seed": 0,
        "phrases": [
            {"from": 0.5, "to": 1.5, "beat": 0.0, "beats": 2.0, "phrase": "a"},
            {"from": 1.5, "to": 2.5, "beat": 2.0, "beats": 2.0, "phrase": "b"},
        ],
    },
}


def test_a_cut_moves_every_time():
    record = cut(META, 1.4, 2.6)
    assert record["start"] == 11.4
    assert record["beat_times"] == pytest.approx([0.1, 0.6, 1.1])
    assert record["downbeat_times"] == pytest.approx([1.1])
    assert [(row["label"], row["begin"], row["end"]) for row in record["sections"]] == [("B", 0.0, 1.2)]
    phrases = record["plan"]["phrases"]
    assert [(row["phrase"], row["from"], row["to"]) for row in phrases] == [("a", 0.0, 0.1), ("b", 0.1, 1.1)]
    assert [row["beat"] for row in phrases] == [-2.0, 0.0]  # two beats are gone
    assert META["plan"]["phrases"][0]["from"] == 0.5


def test_another_speed_keeps_the_beats_of_phrases():
    record = cut(META, 0.0, 3.0, speed=2.0)
    assert record["beat_times"] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.25])
    assert [(row["from"], row["to"], row["beat"]) for row in record["plan"]["phrases"]] == [
        (0.25, 0.75, 0.0), (0.75, 1.25, 2.0),
    ]  # fmt: skip


@pytest.mark.parametrize("plan", [None, "words", {"phrases": "none"}, {"phrases": [1, {"from": "x", "to": 2}]}])
def test_plans_by_another_hand_are_left_or_hold_no_times(plan):
    found = cut({"plan": plan}, 0.0, 1.0)["plan"]
    assert found == plan or found["phrases"] == []
