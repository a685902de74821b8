import pytest

from longdance.choreography.phrases.plan import HOLD, Block, Plan
from longdance.errors import InputError

PLAN = Plan(
    library="small",
    blocks=(
        Block(beat=0, beats=8, phrase="one:0", counts=8),
        Block(beat=8, beats=4, phrase="one:8/4", counts=4, mirrored=True),
        Block(beat=12, beats=4, phrase=HOLD),
        Block(beat=16, beats=8, phrase="two:4", counts=8),
    ),
)


def test_a_swapped_phrase_has_no_more_counts_than_its_block_has_beats():
    assert PLAN.swapped(2, "two:4", counts=8).blocks[1].counts == 8  # two on each beat
    assert PLAN.swapped(1, "two:4/4", counts=4).blocks[0].counts == 4  # half as many
    assert PLAN.swapped(2, "two:4", counts=7).blocks[1].counts == 4
    assert [block.phrase for block in PLAN.swapped(1, "two:4", counts=8).blocks[1:]] == ["one:8/4", HOLD, "two:4"]


def test_mirroring_twice_changes_nothing():
    assert PLAN.mirrored(2).blocks[1].mirrored is False
    assert PLAN.mirrored(2).mirrored(2) == PLAN


def test_a_repeated_phrase_fills_the_next_block():
    again = PLAN.repeated(1).blocks
    assert (again[1].phrase, again[1].counts, again[1].beats) == ("one:0", 4, 4)
    assert again[0] == PLAN.blocks[0]


def test_reordered_blocks_keep_their_lengths_and_follow_each_other():
    blocks = PLAN.reordered([4, 1, 2, 3]).blocks
    assert [(block.phrase, block.beat, block.beats) for block in blocks] == [
        ("two:4", 0, 8), ("one:0", 8, 8), ("one:8/4", 16, 4), (HOLD, 20, 4),
    ]  # fmt: skip


def test_what_cannot_be_is_refused():
    for change in (
        lambda: PLAN.mirrored(3), lambda: PLAN.mirrored(5), lambda: PLAN.repeated(4), lambda: PLAN.reordered([1, 2]),
        lambda: PLAN.block(0),
    ):  # fmt: skip
        with pytest.raises(InputError):
            change()
    with pytest.raises(InputError, match="follow each other"):
        Plan(library="small", blocks=(PLAN.blocks[0], PLAN.blocks[3]))


def test_a_plan_comes_back_from_its_record(song):
    assert Plan.of_record(PLAN.record(song)) == PLAN
    rows = PLAN.record(song)["phrases"]
    assert rows[0]["from"] == pytest.approx(song.beat_times[0], abs=1e-3)
    assert rows[0]["to"] == pytest.approx(song.beat_times[8], abs=1e-3)
    for damaged in (None, {}, {"phrases": [{}]}, {"phrases": [{"beat": 0}], "library": "x", "seed": 0}):
        with pytest.raises(InputError):
            Plan.of_record(damaged)
