"""The report of one dance: which names there are, and that they are the metrics themselves."""

import numpy as np
import pytest

from longdance import metrics
from longdance.metrics import describe


def test_report_gathers_the_metrics(reference):
    joints, beat_times = reference["joints"], reference["beat_times"]
    values = describe(joints, 30, beat_times)
    assert values["mean_joint_speed"] == metrics.mean_joint_speed(joints, 30)
    assert values["physical_foot_contact"] == pytest.approx(reference["expected"]["pfc_zup"])
    assert values["physical_body_contact"] == pytest.approx(reference["expected"]["pbc_zup"])
    assert values["beat_alignment_bailando"] == pytest.approx(reference["expected"]["beats"]["bas_bailando"])
    assert 0 < values["beat_alignment_p_value"] <= 1
    assert all(type(value) is float for value in values.values())
    again = describe(joints, 30, beat_times)
    assert all(again[name] == value or np.isnan(value) for name, value in values.items())


def test_report_leaves_out_what_a_dance_lacks(standing):
    values = describe(standing()[:, :22] + np.array([0.0, 1.0, 0.0]), 30)
    assert not any(name.startswith("beat") for name in values)
    assert "physical_body_contact" not in values
    assert np.isnan(values["foot_skating_share"])


def test_every_public_name_exists():
    for name in metrics.__all__:
        assert callable(getattr(metrics, name))
