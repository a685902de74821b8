"""The stage: where the camera and the lamps are, and the colours everything has.

What belongs here: all that both painters must agree on, as plain numbers. What does not: drawing and files.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from longdance.motion.motion import Motion

# Colours are sRGB, 0 to 1.
PALETTE = {"skin": (0.91, 0.84, 0.77), "suit": (0.09, 0.42, 0.50), "accent": (0.17, 0.17, 0.21)}
BACKDROP_TOP = (0.10, 0.12, 0.17)
BACKDROP_HORIZON = (0.33, 0.37, 0.45)
FLOOR = (0.52, 0.56, 0.64)
GRID_LINE = (0.72, 0.76, 0.84)
BEAT = (1.00, 0.66, 0.26)

KEY_DIRECTION = np.array([0.50, 1.00, 0.62]) / np.linalg.norm([0.50, 1.00, 0.62])
"""Towards the key lamp, for a camera that looks along -z: above, in front, from the picture's right."""

GRID_METRES = 0.5
LIGHT_POOL_METRES = 3.4
"""Radius in which the lamp's pool of light on the floor fades."""

FIELD_OF_VIEW = np.radians(28.0)
"""Vertical opening angle of the lens."""

CAMERA_HEIGHT = 0.42
"""Metres that the camera stands above the point it looks at."""

NEAREST = 3.6
"""Metres: the camera comes no closer."""

FRAME_FILL = 0.84
"""Share of the picture's half width and half height that the body may use."""

HEADROOM = 0.17
"""Metres from the head joint to the crown."""


@dataclass(frozen=True)
class Camera:
    """A pinhole camera: ``eye`` and ``target`` (3,) metres, y up, ``aspect`` width over height."""

    eye: np.ndarray
    target: np.ndarray
    aspect: float

    @property
    def axes(self) -> np.ndarray:
        """(3, 3) rows right, up, backwards; unit vectors in the world."""
        back = self.eye - self.target
        back = back / np.linalg.norm(back)
        right = np.cross((0.0, 1.0, 0.0), back)
        right /= np.linalg.norm(right)
        return np.stack((right, np.cross(back, right), back))

    @property
    def slopes(self) -> tuple[float, float]:
        """Tangents of the horizontal and the vertical half angle."""
        vertical = float(np.tan(FIELD_OF_VIEW / 2))
        return vertical * self.aspect, vertical

    def matrix(self, near: float = 0.3, far: float = 60.0) -> np.ndarray:
        """(4, 4) world to clip space, row by row, for column vectors."""
        view = np.eye(4)
        view[:3, :3] = self.axes
        view[:3, 3] = -self.axes @ self.eye
        horizontal, vertical = self.slopes
        projection = np.array(
            [
                [1 / horizontal, 0, 0, 0],
                [0, 1 / vertical, 0, 0],
                [0, 0, (far + near) / (near - far), 2 * far * near / (near - far)],
                [0, 0, -1, 0],
            ]
        )
        return projection @ view

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Picture positions (..., 2), -1 to 1, y up, and depths (...,) in metres of points (..., 3)."""
        seen = (points - self.eye) @ self.axes.T
        depth = -seen[..., 2]
        return seen[..., :2] / (np.array(self.slopes) * depth[..., None]), depth


@dataclass(frozen=True)
class Shot:
    """One camera per frame, and the yaw in radians of the stage's front, to which the lamps are fixed."""

    cameras: tuple[Camera, ...]
    yaw: float

    @property
    def key_direction(self) -> np.ndarray:
        """(3,) unit vector towards the key lamp."""
        return _turned(KEY_DIRECTION, self.yaw)


def _turned(vector: np.ndarray, yaw: float) -> np.ndarray:
    cos, sin = np.cos(yaw), np.sin(yaw)
    x, y, z = vector
    return np.array([cos * x + sin * z, y, cos * z - sin * x])


def outline(joints: np.ndarray, rotations: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """(frames, points, 3) metres: the joints, crown, nose, fingertips, toes and heels."""
    at = names.index

    def tip(name, shift):
        return joints[:, at(name)] + rotations[:, at(name)] @ np.array(shift)

    tips = [tip("head", (0.0, HEADROOM, -0.02)), tip("head", (0.0, 0.05, 0.12))]
    tips += [tip(f"{side}_wrist", (0.19 * sign, 0, 0)) for side, sign in (("left", 1), ("right", -1))]
    tips += [tip(f"{side}_foot", (0.0, 0.0, 0.09)) for side in ("left", "right")]
    tips += [tip(f"{side}_ankle", (0.0, -0.07, -0.06)) for side in ("left", "right")]
    points = np.concatenate((joints, np.stack(tips, 1)), 1)
    return points


def shoot(motion: Motion, *others: Motion, aspect: float) -> Shot:
    """A calm camera that follows a dance, or a group's, and keeps all bodies whole in the picture.

    It stands where the dancer faces on average, follows the low-passed body, drifts a little to both sides so
    that depth can be read, and keeps as far away as the largest pose within a second or so needs.
    """
    joints, rotations = motion.forward_kinematics()
    points = outline(joints, rotations, motion.skeleton.names)
    for other in others:
        points = np.concatenate((points, outline(*other.forward_kinematics(), other.skeleton.names)), 1)
    facing = rotations[:, 0, :, 2].mean(0)
    if np.hypot(facing[0], facing[2]) < 0.15:
        facing = rotations[0, 0, :, 2]
    front = float(np.arctan2(facing[0], facing[2]))

    seconds = np.arange(motion.frames) / motion.fps
    yaws = front + 0.22 * np.sin(2 * np.pi * seconds / 20.0)
    middle = _smooth(points.mean(1), 0.7 * motion.fps)
    top = _smooth(maximum_filter1d(points[..., 1].max(1), _odd(2.4 * motion.fps)), 0.5 * motion.fps)
    # The picture's centre rises only half as much as the body, so that jumps and falls are seen against the
    # floor.
    height = np.clip(0.5 * top, 0.55, 1.15)
    targets = np.column_stack((middle[:, 0], height, middle[:, 2]))

    slopes = np.array((np.tan(FIELD_OF_VIEW / 2) * aspect, np.tan(FIELD_OF_VIEW / 2))) * FRAME_FILL
    tilt = np.arctan2(CAMERA_HEIGHT, 4.5)
    back = np.column_stack(
        (np.sin(yaws) * np.cos(tilt), np.full_like(yaws, np.sin(tilt)), np.cos(yaws) * np.cos(tilt))
    )
    right = np.column_stack((np.cos(yaws), np.zeros_like(yaws), -np.sin(yaws)))
    axes = np.stack((right, np.cross(back, right), back), 1)
    seen = np.einsum("fab,fpb->fpa", axes, points - targets[:, None])
    needed = (np.abs(seen[..., :2]) / slopes).max(-1) + seen[..., 2]
    needed = np.maximum(needed.max(1), NEAREST)
    # A mean over less than the window of a moving maximum never falls below the value in the middle.
    window = _odd(2.4 * motion.fps)
    distance = maximum_filter1d(np.maximum(needed, np.percentile(needed, 80)), window, mode="nearest")
    distance = gaussian_filter1d(distance, 0.4 * motion.fps, radius=window // 2, mode="nearest")
    eyes = targets + back * distance[:, None]
    cameras = tuple(Camera(eye, target, aspect) for eye, target in zip(eyes, targets, strict=True))
    return Shot(cameras, front)


def _odd(length: float) -> int:
    return 2 * int(length / 2) + 1


def _smooth(values: np.ndarray, sigma_frames: float) -> np.ndarray:
    return gaussian_filter1d(values, sigma_frames, axis=0, mode="nearest")
