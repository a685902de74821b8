"""The published contact metrics against published values, a slow twin and hand-worked clips."""

import numpy as np
import pytest

from longdance.errors import InputError
from longdance.metrics import (
    foot_skating_ratio,
    foot_skating_ratios,
    physical_body_contact,
    physical_foot_contact,
)
from longdance.metrics.genre import mirrored


def test_published_values_of_the_reference_dance(reference):
    joints, expected = reference["joints"], reference["expected"]
    assert physical_foot_contact(joints, 30) == pytest.approx(expected["pfc_zup"], rel=1e-6)
    assert physical_body_contact(joints, 30) == pytest.approx(expected["pbc_zup"], rel=1e-6)
    assert foot_skating_ratios(joints, 30) == pytest.approx(tuple(expected["fsr_left_right"]), rel=1e-6)


def slow_foot_contact(joints):
    """PFC, one frame at a time."""
    efforts, products = [], []
    for before, here, after in zip(joints, joints[1:], joints[2:], strict=False):
        acceleration = after[0] - 2 * here[0] + before[0]
        acceleration[1] = max(acceleration[1], 0)
        efforts.append(np.linalg.norm(acceleration))
        steps = np.hypot(after[:, 0] - here[:, 0], after[:, 2] - here[:, 2])
        products.append(min(steps[7], steps[10]) * min(steps[8], steps[11]))
    return 1e4 * np.mean(np.array(products) * efforts) / max(efforts)


def test_foot_contact_equals_its_slow_twin(wandering):
    joints = wandering()
    assert physical_foot_contact(joints, 60) == pytest.approx(slow_foot_contact(joints), rel=1e-9)


def test_foot_contact_is_zero_with_one_foot_planted(wandering):
    joints = wandering()
    joints[:, [7, 10]] = joints[0, [7, 10]]
    assert physical_foot_contact(joints, 60) == 0


def test_contact_of_a_still_pelvis_is_zero(standing):
    assert physical_foot_contact(standing(), 30) == 0
    assert physical_body_contact(standing(), 30) == 0


def test_resampling_makes_frame_rates_agree(wandering):
    fast, slow = wandering(fps=60), wandering(fps=30)
    for metric in (physical_foot_contact, physical_body_contact, foot_skating_ratio):
        assert metric(fast, 60, at_fps=30) == pytest.approx(metric(slow, 30), rel=1e-6)
    assert physical_foot_contact(fast, 60) < 0.3 * physical_foot_contact(slow, 30)


def test_contacts_do_not_depend_on_side_place_or_direction(wandering, turned):
    joints = wandering()
    other = turned(mirrored(joints)) + np.array([1.0, 0.0, 2.0])
    assert physical_foot_contact(other, 60) == pytest.approx(physical_foot_contact(joints, 60))
    assert physical_body_contact(other, 60) == pytest.approx(physical_body_contact(joints, 60))


def test_skating_counts_fast_frames_but_not_the_published_diagonal(standing, sliding):
    assert foot_skating_ratio(standing(), 30) == 0
    # 3 cm per frame along x; the last frame has no displacement.
    assert foot_skating_ratio(sliding((0.9, 0, 0)), 30) == pytest.approx(60 / 61)
    # 1.5 cm per frame along x alone: half of it is below the limit of 1 cm.
    assert foot_skating_ratio(sliding((0.45, 0, 0)), 30) == 0
    # 7 cm per frame on the diagonal x = -z.
    assert foot_skating_ratio(sliding((1.5, 0, -1.5)), 30) == 0


def test_skating_counts_either_foot(sliding, standing):
    joints = sliding((0.9, 0, 0))
    still = standing()
    joints[:, [8, 11]] = still[:, [8, 11]]
    assert foot_skating_ratios(joints, 30) == pytest.approx((60 / 61, 0.0))
    joints[1:, [7, 10], 1] += 0.5
    assert foot_skating_ratios(joints, 30).left == 1  # in contact in the first frame alone
    joints[:, [7, 10], 1] = 0.5
    assert np.isnan(foot_skating_ratios(joints, 30).left)
    assert foot_skating_ratio(joints, 30) == 0


def test_feet_that_never_touch_have_no_ratio(standing):
    joints = standing()
    joints[1:, :, 1] += 1
    joints[0, [7, 8], 1] += 1
    assert np.isnan(foot_skating_ratio(joints, 30))


def test_body_contact_needs_hands(standing):
    with pytest.raises(InputError, match="24 joints"):
        physical_body_contact(standing()[:, :22], 30)
