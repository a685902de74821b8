"""Where primitives lie, against the paper's sizes."""

import pytest

from longdance.models.primitives import PrimitivePlan


def test_the_plan_of_the_paper():
    plan = PrimitivePlan()
    assert (plan.segments, plan.hard, plan.soft, plan.count) == (4, 5, 8, 13)
    assert plan.hard_starts().tolist() == [0, 252, 508, 764, 1016]
    assert plan.soft_frames(100).tolist() == list(range(96, 104))
    aistpp = PrimitivePlan(frames=256, segment=128)
    assert (aistpp.count, aistpp.hard_starts().tolist()) == (7, [0, 124, 248])
    discrete = PrimitivePlan(soft_spacing=4)
    assert discrete.soft_frames(100).tolist() == [84, 88, 92, 96, 100, 104, 108, 112]


@pytest.mark.parametrize("sizes", [{"frames": 1000}, {"frames": 64, "segment": 16}, {"soft_spacing": 0}], ids=str)
def test_impossible_plans_are_refused(sizes):
    with pytest.raises(ValueError, match=r"segment|greater"):
        PrimitivePlan(**sizes)
