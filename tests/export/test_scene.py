"""The camera, on movements whose extremes are known."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from longdance.export.scene import FRAME_FILL, Camera, outline, shoot
from longdance.motion.motion import Motion
from longdance.motion.skeleton import SMPL24

FPS = 30.0


def movement(frames=150):
    """Stands, leaps high with the arms up while travelling, and ends lying on the floor."""
    seconds = np.arange(frames) / FPS
    root = np.tile([0.0, SMPL24.rest_root_height, 0.0], (frames, 1))
    root[:, 1] += 0.7 * np.clip(np.sin(4 * seconds), 0, None) * (seconds < 3)
    root[:, 0] = 1.5 * np.sin(0.8 * seconds)
    rotations = np.tile(np.eye(3), (frames, 24, 1, 1))
    for side, sign in (("left", 1), ("right", -1)):
        rotations[:, SMPL24.index(f"{side}_shoulder")] = Rotation.from_euler("z", 80 * sign, True).as_matrix()
    lying = seconds > 4
    root[lying, 1] = 0.12
    rotations[lying, 0] = Rotation.from_euler("x", -90, degrees=True).as_matrix()
    return Motion(root, rotations, FPS)


@pytest.mark.parametrize("aspect", [16 / 9, 1.0, 9 / 16])
def test_whole_body_stays_in_the_picture(aspect):
    motion = movement()
    joints, rotations = motion.forward_kinematics()
    points = outline(joints, rotations, SMPL24.names)
    for camera, body in zip(shoot(motion, aspect=aspect).cameras, points, strict=True):
        places, depth = camera.project(body)
        assert np.abs(places).max() <= FRAME_FILL + 1e-6
        assert depth.min() > 1


def test_camera_moves_calmly():
    eyes = np.array([camera.eye for camera in shoot(movement(), aspect=16 / 9).cameras])
    acceleration = np.linalg.norm(np.diff(eyes, 2, axis=0), axis=-1) * FPS**2
    assert acceleration.max() < 12


def test_camera_stands_in_front_of_the_dancer():
    motion = movement()
    turned = Rotation.from_euler("y", 70, degrees=True).as_matrix()
    rotations = motion.rotations.copy()
    rotations[:, 0] = turned @ rotations[:, 0]
    shot = shoot(Motion(motion.root_position @ turned.T, rotations, FPS), aspect=1.0)
    plain = shoot(motion, aspect=1.0)
    assert shot.yaw - plain.yaw == pytest.approx(np.radians(70))
    assert np.allclose(shot.cameras[9].eye, turned @ plain.cameras[9].eye, atol=1e-6)


def test_one_frame_is_enough():
    assert len(shoot(movement(1), aspect=1.0).cameras) == 1


def test_projection_agrees_with_the_matrix(rng):
    camera = Camera(np.array([1.0, 2.0, 5.0]), np.array([0.2, 0.9, 0.1]), 1.6)
    points = rng.normal(size=(20, 3))
    clip = np.column_stack((points, np.ones(20))) @ camera.matrix().T
    places, depth = camera.project(points)
    assert np.allclose(clip[:, :2] / clip[:, 3:], places)
    assert np.allclose(clip[:, 3], depth)
