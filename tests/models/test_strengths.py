"""What people write of energies, and what is made of it."""

import pytest

from longdance.errors import InputError
from longdance.models.strengths import OFF, USUAL, Strengths, written


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("off", OFF),
        ("usual", USUAL),
        ("beats=0.5", USUAL._replace(beats=0.5)),
        ("off, floor = 2 ,feet=1", Strengths(floor=2.0, feet=1.0)),
        ("usual,self=0", USUAL._replace(self=0.0)),
        ({"loudness": 0, "beats": 3}, USUAL._replace(loudness=0.0, beats=3.0)),
    ],
)
def test_what_is_named_changes_the_rest_stays(asked, expected):
    assert USUAL.changed(written(asked)) == expected


def test_one_spelling_for_all():
    assert written({"floor": 1, "beats": 0.25}) == written("floor=1.0, beats=.25") == "floor=1,beats=0.25"
    assert USUAL.changed(None) == USUAL
    assert Strengths(feet=0.5).record() == {"feet": 0.5}


@pytest.mark.parametrize(
    "wrong",
    ["", "beat=1", "beats", "beats=", "beats=x", "beats=-1", "beats=11", "beats=nan", "beats=1,off", "self=1,,"],
)
def test_what_cannot_be_understood_is_told(wrong):
    with pytest.raises(InputError, match=r"energy|strength"):
        written(wrong)
