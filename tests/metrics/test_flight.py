"""Flights: a thrown body falls, a lifted one hovers."""

import numpy as np
import pytest

from longdance.metrics.flight import GRAVITY, centre_of_mass, flights
from longdance.motion.skeleton import SMPL24

FPS = 60.0


def leap(standing, height, *, lifted=False):
    """One second on the floor, a flight of 0.6 s, another second."""
    joints = standing(2.6, FPS)
    time = np.arange(len(joints)) / FPS - 1.0
    air = (time > 0) & (time < 0.6)
    up = np.full(len(time), height) if lifted else 0.5 * GRAVITY * time * (0.6 - time)
    joints[..., 1] += np.where(air, up, 0.0)[:, None]
    return joints


def test_a_leap_falls_with_g_and_does_not_hover(standing):
    found = flights(leap(standing, 0.0), FPS)
    assert found.longest_fall == pytest.approx(1, abs=0.01)
    assert found.hover_share == 0


def test_a_body_held_in_the_air_hovers(standing):
    found = flights(leap(standing, 0.3, lifted=True), FPS)
    assert found.longest_fall == pytest.approx(0, abs=0.01)
    assert found.hover_share == pytest.approx(0.6 / 2.6, abs=0.02)
    assert flights(standing(2.0, FPS) + np.array([0, 0.2, 0]), FPS).hover_share == 1


def test_limbs_that_move_in_the_air_do_not_matter_but_for_their_mass(standing):
    joints = leap(standing, 0.0)
    swing = 0.3 * np.sin(9 * np.arange(len(joints)) / FPS)
    for side in ("left", "right"):
        joints[:, SMPL24.index(f"{side}_wrist"), 1] += swing
        joints[:, SMPL24.index(f"{side}_hand"), 1] += swing
    assert flights(joints, FPS).longest_fall == pytest.approx(1, abs=0.1)


def test_no_flight_no_number(standing):
    found = flights(standing(), 30)
    assert np.isnan(found.longest_fall)
    assert found.hover_share == 0


def test_the_centre_of_mass_is_that_of_a_person(standing):
    """Standing with arms out it is a little above half of the height, over the feet."""
    joints = standing()[:1]
    centre = centre_of_mass(joints)[0]
    top = joints[0, SMPL24.index("head"), 1] + 0.15
    assert 0.53 < centre[1] / top < 0.63
    assert abs(centre[0]) < 0.02
