"""Physical measures on clips whose speed, jerk and contacts are known."""

import numpy as np
import pytest

from longdance.errors import InputError
from longdance.metrics import (
    airborne,
    below_floor,
    floor_contacts,
    floor_penetration,
    foot_skating,
    mean_jerk,
    mean_joint_speed,
    root_height_range,
    still_share,
)
from longdance.metrics.genre import mirrored
from longdance.metrics.physical import standing as metrics_standing
from longdance.motion.skeleton import SMPL24


def test_a_standing_body_does_nothing(standing):
    joints = standing()
    assert mean_joint_speed(joints, 30) == 0
    assert mean_jerk(joints, 30) == 0
    assert foot_skating(joints, 30) == (0, 0, 1)
    assert floor_penetration(joints, 30) == (0, 0)
    assert still_share(joints, 30) == 1
    assert root_height_range(joints, 30) == 0


@pytest.mark.parametrize("fps", [24.0, 30.0, 60.0])
def test_constant_velocity_at_any_rate(sliding, fps):
    joints = sliding((0.3, 0.0, 0.4), fps=fps)
    assert mean_joint_speed(joints, fps) == pytest.approx(0.5)
    assert mean_joint_speed(joints, fps, root_relative=True) == pytest.approx(0, abs=1e-9)
    assert mean_jerk(joints, fps) == pytest.approx(0, abs=1e-6)
    assert still_share(joints, fps) == 0


@pytest.mark.parametrize("fps", [30.0, 60.0])
def test_diagonal_slide_of_seven_centimetres_per_frame_is_skating(sliding, fps):
    velocity = 0.07 * fps
    skating = foot_skating(sliding((velocity / np.sqrt(2), 0, -velocity / np.sqrt(2)), fps=fps), fps)
    assert skating == pytest.approx((100 * velocity, 1.0, 1.0))


def test_slow_slide_is_measured_but_below_the_limit(sliding):
    assert foot_skating(sliding((0.0, 0, 0.09)), 30) == pytest.approx((9, 0, 1))
    assert foot_skating(sliding((0.0, 0, 0.11)), 30) == pytest.approx((11, 1, 1))


def test_turning_on_the_ball_is_no_skating(standing):
    joints = standing()
    turn = np.linspace(0, 2, len(joints))
    for ankle, ball in ((7, 10), (8, 11)):
        lever = np.linalg.norm((joints[0, ankle] - joints[0, ball])[[0, 2]])
        joints[:, ankle, 0] = joints[0, ball, 0] + lever * np.sin(turn)
        joints[:, ankle, 2] = joints[0, ball, 2] - lever * np.cos(turn)
    assert foot_skating(joints, 30) == pytest.approx((0, 0, 1), abs=1e-9)


def test_feet_in_the_air_have_no_skating(standing):
    skating = foot_skating(standing() + np.array([0, 0.5, 0]), 30)
    assert np.isnan(skating.speed_cm_per_second)
    assert np.isnan(skating.ratio)
    assert skating.contact_share == 0


def test_contact_begins_low_and_ends_high(standing):
    joints = standing(seconds=0.2)  # 7 frames
    heights = np.array([0.04, 0.02, 0.04, 0.06, 0.04, 0.029, 0.049])
    joints[..., 1] += heights[:, None]
    contacts = floor_contacts(joints, 30)
    expected = np.array([False, True, True, False, False, True, True])
    np.testing.assert_array_equal(contacts, np.broadcast_to(expected[:, None, None], (7, 2, 2)))


def test_a_foot_walks_while_the_other_stands(standing, sliding):
    joints = standing()
    joints[:, [7, 10]] = sliding((1.0, 0, 0))[:, [7, 10]]
    assert foot_skating(joints, 30) == pytest.approx((50, 0.5, 1))
    joints[:, [7, 10], 1] += 0.2
    assert foot_skating(joints, 30) == pytest.approx((0, 0, 0.5))


@pytest.mark.parametrize("fps", [30.0, 60.0])
def test_hopping_sine(hopping, fps):
    amplitude, frequency = 0.1, 1.0
    joints = hopping(amplitude, frequency, seconds=2, fps=fps)
    omega = 2 * np.pi * frequency
    # The mean of |cos| is 2/π; a difference of a sine is smaller by sin(h)/h, h = ω / 2 fps, per order.
    shrink = np.sinc(frequency / fps)
    assert mean_joint_speed(joints, fps) == pytest.approx(amplitude * omega * shrink * 2 / np.pi, rel=0.01)
    assert mean_jerk(joints, fps) == pytest.approx(amplitude * omega**3 * shrink**3 * 2 / np.pi, rel=0.03)
    assert root_height_range(joints, fps) == pytest.approx(2 * amplitude, rel=0.02)
    # The balls of the feet start 2 cm above the floor.
    assert floor_penetration(joints, fps).deepest == pytest.approx(amplitude - 0.02, rel=0.02)
    assert 0 < floor_penetration(joints, fps).mean < amplitude / 2
    assert mean_joint_speed(joints, fps, root_relative=True) == pytest.approx(0, abs=1e-9)


def test_still_windows_are_counted(standing, sliding):
    joints = np.concatenate([standing(seconds=1)[:-1], sliding((0.5, 0, 0), seconds=3)])
    assert still_share(joints, 30) == pytest.approx(2 / 8)
    assert still_share(joints, 30, window=1.0) == pytest.approx(1 / 4)
    assert still_share(joints, 30, threshold=0.6) == 1
    assert still_share(standing(seconds=0.1), 30) == 1


def test_measures_do_not_depend_on_side_place_or_direction(wandering, turned):
    joints = wandering()
    other = turned(mirrored(joints)) + np.array([1.0, 0.0, 2.0])
    assert mean_joint_speed(other, 60) == pytest.approx(mean_joint_speed(joints, 60))
    assert mean_jerk(other, 60) == pytest.approx(mean_jerk(joints, 60))
    assert foot_skating(other, 60) == pytest.approx(foot_skating(joints, 60))
    assert floor_penetration(other, 60) == pytest.approx(floor_penetration(joints, 60))


def test_short_dances_are_refused(standing):
    with pytest.raises(InputError, match="4 frames"):
        mean_jerk(standing()[:3], 30)
    with pytest.raises(InputError, match="window"):
        still_share(standing(), 30, window=0)


def test_time_in_the_air_is_that_of_leaps(hopping, standing):
    # Above 5 cm for a sine of 10 cm: a third of the time, in stretches of a third of a second.
    joints = hopping(amplitude=0.1, frequency=1.0, seconds=9.0, fps=60)
    joints[..., 1] = np.maximum(joints[..., 1], standing(9.0, 60)[..., 1])
    found = airborne(joints, 60)
    assert found.share == pytest.approx(1 / 3, abs=0.02)
    assert found.own_floor_share == pytest.approx(1 / 3, abs=0.02)
    assert found.longest_seconds == pytest.approx(1 / 3, abs=0.03)
    assert airborne(standing(), 30) == (0.0, 0.0, 0.0)


def test_hovering_is_no_leap_from_its_own_floor(standing):
    joints = standing(5.0) + np.array([0.0, 0.3, 0.0])
    assert airborne(joints, 30) == (1.0, 0.0, pytest.approx(len(joints) / 30))


def test_a_body_on_a_hand_is_not_in_the_air(standing):
    joints = standing() + np.array([0.0, 0.5, 0.0])
    joints[:, SMPL24.index("left_hand"), 1] = 0.02
    assert airborne(joints, 30).share == 0


def test_depth_below_the_floor_counts_the_thickness(standing):
    assert below_floor(standing(), 30) == pytest.approx(0, abs=1e-9)
    assert below_floor(standing() - np.array([0.0, 0.07, 0.0]), 30) == pytest.approx(0.07)


def test_what_stands_slides_hands_and_knees_alike(standing, sliding):
    on_hands = sliding((0.2, 0.0, 0.0), seconds=2.0)
    on_hands[..., 1] += 0.5
    for name in ("left_hand", "right_hand"):
        on_hands[:, SMPL24.index(name), 1] = 0.02
    found = metrics_standing(on_hands, 30)
    assert found.speed_cm_per_second == pytest.approx(20)
    assert (found.hands_share, found.knees_share) == (1, 0)
    kneeling = standing()
    kneeling[:, SMPL24.index("left_knee"), 1] = 0.05
    assert metrics_standing(kneeling, 30) == (pytest.approx(0, abs=1e-9), 0, 1)
    assert np.isnan(metrics_standing(standing() + np.array([0, 1.0, 0]), 30).speed_cm_per_second)


def test_of_feet_alone_it_is_foot_skating(wandering):
    joints = wandering()
    joints[..., 1] += 0.0
    feet_alone = metrics_standing(joints[:, :22], 60)
    assert feet_alone.hands_share == 0
    assert feet_alone.speed_cm_per_second == pytest.approx(foot_skating(joints, 60).speed_cm_per_second)
