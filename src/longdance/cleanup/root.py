"""The path of the root, led so that standing feet stand.

A denoiser predicts the path of the root apart from the turning of the legs, and the two need not agree: the pelvis
glides while the legs step on the spot, so that no foot ever rests. Here the root is led over the floor so that standing
feet slide as little as they can; holding them exactly in place is left to ``feet``.
"""

from dataclasses import dataclass, replace

import numpy as np

from longdance.cleanup.passage import Passage
from longdance.cleanup.step import Correction
from longdance.motion.contacts import foot_contacts, speeds
from longdance.motion.ik import solve_going_on
from longdance.motion.motion import Motion
from longdance.motion.stances import CONTACT_ORDER, LOW, above_standing, foot_tracks

RESTING_SPEED = 0.7
"""Metres per second of a low foot at which it counts a quarter of a resting one in leading the root."""
UNLABELLED = 0.05
"""How much a low foot without a contact label counts beside a labelled one."""
SMOOTH = 0.1
"""Seconds: faster changes of the feet's slide do not move the root."""
TIE = 0.05
"""How firmly the root stays on its own path, against the same of a foot that slides at 1 m/s."""
ROUNDS = 4
"""Times the root is led and the resting feet are chosen anew; the choice settles after two or three."""


def follow_feet(motion: Motion, contacts: np.ndarray | None = None) -> Motion:
    """The motion with its root led over the floor so that standing feet slide as little as they can.

    ``contacts`` (frames, 4) are labels in [0, 1] in ``CONTACT_ORDER``, measured if not given. Only the root's
    horizontal place changes, and smoothly: the least squared sum of the standing feet's slide, of the shift and of its
    acceleration, with feet weighed anew by how still they have become (iteratively reweighted least squares with
    Geman and McClure's weights), so that a swinging foot does not pull.
    """
    return motion if motion.frames < 3 else led(motion, leading_shift(motion, contacts))


def led(motion: Motion, shift: np.ndarray) -> Motion:
    """The motion with its root shifted over the floor by (frames, 2) metres along x and z."""
    root = motion.root_position.copy()
    root[:, [0, 2]] += shift
    return replace(motion, root_position=root)


def leading_shift(motion: Motion, contacts: np.ndarray | None, begun: np.ndarray | None = None) -> np.ndarray:
    """(frames, 2) metres by which ``follow_feet`` leads the root; the first of them are as ``begun``."""
    feet, fps = foot_tracks(motion), motion.fps
    if contacts is None:
        contacts = foot_contacts(motion.joints(), fps, skeleton=motion.skeleton, joint_names=CONTACT_ORDER)
    low = 1 / (1 + np.exp((above_standing(feet, motion.skeleton) - LOW - 0.01) / 0.012))
    prior = low * (UNLABELLED + (1 - UNLABELLED) * np.clip(contacts, 0, 1))
    ground, weight = feet[..., [0, 2]], prior
    shift = np.zeros((motion.frames, 2))
    for _ in range(ROUNDS):
        shift = _leading_shift(ground, weight, fps, begun)
        weight = prior / (1 + (speeds(ground + shift[:, None], fps) / RESTING_SPEED) ** 2) ** 2
    return shift


def _leading_shift(ground: np.ndarray, weight: np.ndarray, fps: float, begun: np.ndarray | None) -> np.ndarray:
    """(frames, 2) metres by which the root is led, for foot tracks (frames, 4, 2) that rest by (frames, 4) weights.

    Minimises TIE |shift|^2 + (SMOOTH fps)^4 |second difference of the shift|^2 + weight fps^2 |step of track with
    shift|^2, summed over frames and feet: one symmetric system with five diagonals.
    """
    frames = len(ground)
    bands = np.zeros((3, frames))
    bands[2] = TIE
    bend = (1.0, -2.0, 1.0)
    for i, first in enumerate(bend):
        for j, second in enumerate(bend[i:], i):
            bands[2 - (j - i), j : j + frames - 2] += (SMOOTH * fps) ** 4 * first * second
    rest = np.minimum(weight[1:], weight[:-1]) * fps**2
    stiff = rest.sum(1)
    bands[2, 1:] += stiff
    bands[2, :-1] += stiff
    bands[1, 1:] -= stiff
    pull = (rest[..., None] * np.diff(ground, axis=0)).sum(1)
    right = np.zeros((frames, 2))
    right[1:] -= pull
    right[:-1] += pull
    return solve_going_on(bands, right, begun)


@dataclass
class RootLed(Correction):
    """Leads the root of a dance by its standing feet."""

    def values(self, passage: Passage, begun: np.ndarray | None) -> np.ndarray:
        """(frames, 2) metres along x and z."""
        return leading_shift(passage.motion, passage.contacts, begun)

    def laid(self, motion: Motion, values: np.ndarray) -> Motion:
        """The motion led."""
        return led(motion, values)
