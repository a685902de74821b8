"""Contacts and speeds of tracks with known height and speed."""

import numpy as np
import pytest
import torch

from longdance.motion.contacts import STANDING_SPEED, clearance, foot_contacts, speeds
from longdance.motion.skeleton import SMPL24

NAMES = ("left_ankle", "left_foot", "right_ankle", "right_foot")


def standing(frames: int = 20) -> np.ndarray:
    return np.tile(SMPL24.rest_positions, (frames, 1, 1))


@pytest.mark.parametrize("fps", [30.0, 60.0, 120.0])
def test_speed_is_metres_per_second_at_any_frame_rate(fps):
    time = np.arange(40) / fps
    track = np.stack((3 * time, 0 * time, -4 * time), 1)
    np.testing.assert_allclose(speeds(track, fps), 5.0)


def test_speed_of_a_circle_and_of_a_single_frame():
    time = np.arange(600) / 600
    circle = 0.5 * np.stack((np.cos(2 * np.pi * time), 0 * time, np.sin(2 * np.pi * time)), 1)
    np.testing.assert_allclose(speeds(circle, 600.0)[1:-1], np.pi, rtol=1e-4)
    np.testing.assert_array_equal(speeds(circle[:1], 600.0), [0.0])


def test_a_standing_body_has_all_contacts():
    assert foot_contacts(standing(), 60.0, skeleton=SMPL24, joint_names=NAMES).all()


def test_a_single_frame_counts_as_still():
    assert foot_contacts(standing(1), 60.0, skeleton=SMPL24, joint_names=NAMES).all()


@pytest.mark.parametrize(
    ("name", "limit"), [("left_ankle", 0.12), ("right_foot", 0.06), ("left_hand", 0.06), ("right_knee", 0.09)]
)
def test_height_decides_joint_by_joint(name, limit):
    for height, expected in ((limit - 1e-3, True), (limit + 1e-3, False)):
        positions = standing()
        positions[:, SMPL24.index(name), 1] = height
        contact = foot_contacts(positions, 60.0, skeleton=SMPL24, joint_names=(*NAMES, name))
        assert (contact[:, -1] == expected).all()
        others = [i for i, other in enumerate(NAMES) if other != name]
        assert contact[:, others].all()


@pytest.mark.parametrize("fps", [30.0, 60.0])
@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_sliding_speed_decides_in_any_direction(fps, factor):
    for angle in np.linspace(0, 2 * np.pi, 7):
        positions = standing(30)
        way = factor * STANDING_SPEED * np.arange(30)[:, None, None] / fps
        positions += way * np.array([np.cos(angle), 0, np.sin(angle)])
        contact = foot_contacts(positions, fps, skeleton=SMPL24, joint_names=NAMES)
        assert (contact == (factor < 1)).all()


def test_columns_follow_the_asked_names():
    positions = standing()
    positions[:, SMPL24.index("left_foot"), 1] = 0.5
    contact = foot_contacts(positions, 60.0, skeleton=SMPL24, joint_names=("left_foot", "left_ankle"))
    assert contact.dtype == bool
    np.testing.assert_array_equal(contact[0], [False, True])


def test_clearance_is_that_of_the_lowest_part_of_the_body(rng):
    rest = torch.from_numpy(SMPL24.rest_positions)
    assert clearance(rest, SMPL24).item() == pytest.approx(0.0, abs=1e-9)
    assert clearance(rest + torch.tensor([3.0, 0.25, 1.0]), SMPL24).item() == pytest.approx(0.25)
    reaching = rest.clone()
    reaching[SMPL24.index("right_hand"), 1] = -0.01
    assert clearance(reaching, SMPL24).item() == pytest.approx(-0.03)
