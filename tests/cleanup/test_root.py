"""Made-up steps whose stances are known, walked on the spot, gliding, and as they should be."""

from dataclasses import replace

import numpy as np
import pytest

from longdance.cleanup.floor import grounded
from longdance.cleanup.passage import Passage
from longdance.cleanup.pipeline import Cleanup
from longdance.cleanup.root import follow_feet
from longdance.cleanup.smoothing import LowPassed
from longdance.metrics.physical import foot_skating, mean_jerk
from longdance.motion.ik import reach_ankles
from longdance.motion.motion import Motion
from longdance.motion.skeleton import SMPL24
from longdance.motion.stances import CONTACT_ORDER, stances

FPS = 30.0
STEP, PERIOD = 0.3, 1.0
"""Metres a foot steps ahead, and seconds from one of its stances to the next."""


def walk(seconds: float = 6.0, *, glide: float = 0.0) -> tuple[Motion, np.ndarray]:
    """Steps straight ahead, each foot standing half the time, and which stands (frames, 2).

    ``glide`` metres per second are added to the root, as if the floor were a treadmill.
    """
    frames = round(seconds * FPS)
    time = np.arange(frames) / FPS
    ankles, standing = [], []
    for side, late in ((1, 0.0), (-1, 0.5)):
        turns, phase = np.divmod(time / PERIOD + late, 1.0)
        swing = np.clip(2 * phase - 1, 0, 1)  # stands in the first half
        ahead = STEP * (turns - late + swing**2 * (3 - 2 * swing))
        height = 0.12 * np.sin(np.pi * swing) ** 2
        ankles.append(np.stack((np.full(frames, 0.09 * side), 0.08 + height, ahead), axis=1))
        standing.append(phase < 0.5)
    root = np.stack((np.zeros(frames), np.full(frames, 0.88), STEP * (time / PERIOD - 0.25)), axis=1)
    motion = Motion(root, np.tile(np.eye(3), (frames, len(SMPL24), 1, 1)), fps=FPS)
    motion = reach_ankles(motion, np.stack(ankles, axis=1))
    motion.root_position[:, 2] += glide * time
    return motion, np.stack(standing, axis=1)


def slide(motion: Motion, standing: np.ndarray) -> float:
    """Mean speed in m/s of standing balls of the feet, away from the ends."""
    balls = motion.joints()[:, [SMPL24.index("left_foot"), SMPL24.index("right_foot")]]
    speed = np.linalg.norm(np.gradient(balls, axis=0), axis=-1) * FPS
    return float(speed[15:-15][standing[15:-15]].mean())


@pytest.mark.parametrize("labelled", [True, False])
def test_a_gliding_root_is_led_back_to_the_standing_feet(labelled):
    glide = 0.5 if labelled else 0.2
    gliding, standing = walk(glide=glide)
    labels = np.repeat(standing, 2, axis=1).astype(float) if labelled else None
    led = follow_feet(gliding, labels)
    assert slide(gliding, standing) > 0.9 * glide
    assert slide(led, standing) < 0.25 * glide
    assert np.array_equal(led.rotations, gliding.rotations)
    assert np.array_equal(led.root_position[:, 1], gliding.root_position[:, 1])


def test_a_walk_whose_feet_stand_stays_as_it_is():
    motion = walk()[0]
    assert np.abs(follow_feet(motion).root_position - motion.root_position).max() < 0.03
    refined = Cleanup().without(LowPassed).whole(Passage(motion)).motion
    assert np.linalg.norm(refined.joints() - motion.joints(), axis=-1).mean() < 0.02


def test_where_and_which_way_the_dance_goes_does_not_matter():
    gliding, standing = walk(glide=0.4)
    labels = np.repeat(standing, 2, axis=1).astype(float)
    led = follow_feet(gliding, labels)
    turned = gliding.turn(1.1)
    turned.root_position[:, [0, 2]] += 30.0
    other = follow_feet(turned, labels)
    other.root_position[:, [0, 2]] -= 30.0
    np.testing.assert_allclose(other.root_position, led.turn(1.1).root_position, atol=1e-6)


def test_stances_are_those_of_the_steps():
    motion, standing = walk()
    found = stances(motion)[:, [CONTACT_ORDER.index("left_foot"), CONTACT_ORDER.index("right_foot")]]
    assert (found == standing).mean() > 0.8
    assert found[standing].mean() > 0.95  # what stands is found; the swing begins and ends slow


def test_a_foot_that_stood_stands_on_while_it_creeps():
    frames = round(4 * FPS)
    time, zero = np.arange(frames) / FPS, np.zeros(frames)
    path = np.cumsum(np.where(time < 2, 0.0, 0.4)) / FPS  # too fast to come to stand, not to stand on
    ankles = [np.stack((np.full(frames, x), np.full(frames, 0.08), z), 1) for x, z in ((0.09, path), (-0.09, zero))]
    root = np.stack((zero, np.full(frames, 0.85), path / 2), axis=1)
    motion = Motion(root, np.tile(np.eye(3), (frames, len(SMPL24), 1, 1)), fps=FPS)
    found = stances(reach_ankles(motion, np.stack(ankles, axis=1)))[:, CONTACT_ORDER.index("left_ankle")]
    assert found[round(2.5 * FPS) : round(3.2 * FPS)].all()


def test_labels_are_believed_on_raised_feet_only_where_most_are_on_low_ones():
    motion, _ = walk()
    heights = motion.joints()[:, [motion.skeleton.index(name) for name in CONTACT_ORDER], 1]
    measured, high = stances(motion), heights > heights.min(0) + 0.1
    assert high.any()
    frame, joint = np.argwhere(high & ~measured)[0]
    labels = measured.copy()
    labels[frame, joint] = True
    assert stances(motion, labels)[frame, joint]
    np.testing.assert_array_equal(stances(motion, high), measured)


def test_refined_feet_stand_without_a_jolt():
    gliding, standing = walk(glide=0.5)
    labels = np.repeat(standing, 2, axis=1).astype(float)
    refined = Cleanup().whole(Passage(gliding, labels)).motion
    before, after = (foot_skating(m.joints(), FPS).speed_cm_per_second for m in (gliding, refined))
    assert after < 0.3 * before
    assert mean_jerk(refined.joints(), FPS) < 60  # m/s^3; a captured dance has about 180


@pytest.mark.parametrize("frames", [1, 2, 3, 5])
def test_the_shortest_dances_pass(frames):
    motion = walk(frames / FPS)[0]
    assert follow_feet(motion).frames == grounded(motion).frames == stances(motion).shape[0] == frames


@pytest.mark.parametrize("off", [0.12, -0.15])
def test_a_dance_off_the_floor_comes_down_or_up_to_it(off):
    motion = walk()[0]
    lifted = replace(motion, root_position=motion.root_position + np.array([0.0, off, 0.0]))
    landed = grounded(lifted)
    assert np.abs(landed.root_position[:, 1] - motion.root_position[:, 1]).max() < 0.035
    assert np.array_equal(landed.root_position[:, [0, 2]], lifted.root_position[:, [0, 2]])
    assert mean_jerk(landed.joints(), FPS) < 1.02 * mean_jerk(lifted.joints(), FPS)


def test_moments_below_the_floor_are_raised_and_lift_nothing_around_them():
    """A tenth of the time deep in the floor must not leave the rest of the dance in the air."""
    motion = walk(9.0)[0]
    sinking = replace(motion, root_position=motion.root_position.copy())
    for begin in (60, 120, 180):
        sinking.root_position[begin : begin + 12, 1] -= 0.4 * np.sin(np.linspace(0, np.pi, 12))
    landed = grounded(sinking).root_position[:, 1] - motion.root_position[:, 1]
    assert landed.min() > -0.03
    assert np.median(np.abs(landed)) < 0.01
    away = np.ones(motion.frames, bool)
    for begin in (60, 120, 180):
        away[begin - 10 : begin + 22] = False
    assert np.abs(landed[away]).max() < 0.02


def test_walks_and_leaps_keep_their_height():
    motion = walk()[0]
    leaping = replace(motion, root_position=motion.root_position.copy())
    leaping.root_position[80:100, 1] += 0.5 * np.sin(np.linspace(0, np.pi, 20))  # two thirds of a second
    for dance in (motion, leaping):
        np.testing.assert_allclose(grounded(dance).root_position, dance.root_position, atol=1e-9)
