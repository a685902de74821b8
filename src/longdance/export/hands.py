"""Fingers for hands: the models do not dance with them, so these are made by rule from what arms and genre do.

Curated poses (relaxed, flat, open, fist, pointing, soft) are blended over time: how fast a hand moves, how far the arm
reaches and which style the genre has say which. A little life goes on in every finger, so that no hand is ever frozen.
The same dance always gets the same fingers.

Rotations are about axes of our T pose: arms to the sides, palms down, thumbs forward.
"""

from dataclasses import dataclass, replace

import numpy as np

from longdance.motion.contacts import speeds
from longdance.motion.directions import turn_about, unit
from longdance.motion.filters import smoothstep
from longdance.motion.motion import Motion

FINGERS = ("thumb", "index", "middle", "ring", "pinky")
SIDES = ("left", "right")
JOINTS = tuple(f"{side}_{finger}{part}" for side in SIDES for finger in FINGERS for part in (1, 2, 3))
"""Names of the finger joints, from the palm outwards, as SMPL with hands has them."""

_FISTED = (74.0, 92.0, 52.0)
POSES = {
    "relaxed": ((10, 14, 16), (16, 26, 14), (22, 30, 17), (26, 34, 19), (28, 36, 20), 2),
    "flat": ((0, 2, 2), (2, 4, 2), (2, 4, 2), (3, 5, 2), (4, 6, 2), 3),
    "open": ((-12, -4, 2), (-4, 3, 2), (-3, 4, 2), (-3, 5, 2), (-4, 4, 2), 11),
    "soft": ((14, 10, 8), (4, 12, 7), (17, 22, 10), (15, 19, 9), (6, 12, 7), 4),
    "fist": ((30, 34, 42), (72, 94, 52), _FISTED, _FISTED, (76, 90, 50), 0),
    "pointing": ((28, 32, 36), (3, 5, 3), (70, 92, 50), _FISTED, (74, 90, 50), 0),
}
"""Degrees by which the joints of each finger are bent, in the order of ``FINGERS``, and those between the fingers."""


@dataclass(frozen=True)
class Style:
    """Poses of a hand that is slow, of one that is fast, and at the end of a straight arm."""

    slow: str
    fast: str
    far: str


STREET, SHOW, STAGE, LATIN = (
    Style("relaxed", "fist", "pointing"),
    Style("relaxed", "open", "pointing"),
    Style("soft", "flat", "flat"),
    Style("relaxed", "flat", "open"),
)
STYLES = {
    **dict.fromkeys(
        ("breaking", "hip-hop", "la-hip-hop", "middle-hip-hop", "old-hip-hop", "krump", "locking", "popping", "house",
         "street-jazz", "urban", "freestyle"), STREET),
    **dict.fromkeys(("disco", "commercial", "broadway", "jazz", "la-jazz", "waacking", "pop", "kpop", "k-pop"), SHOW),
    **dict.fromkeys(
        ("ballet-jazz", "modern", "contemporary", "chinese", "dai", "dunhuang", "han-tang", "kunqu", "korean", "miao",
         "uyghur", "wei", "indian", "shenyun"), STAGE),
    **dict.fromkeys(("salsa", "bachata", "latin", "mambo", "cha-cha", "rumba", "tango", "samba"), LATIN),
}  # fmt: skip
"""By genre; of all others ``LATIN``."""

SLOW_FAST = (0.5, 2.0)
"""Metres per second against the pelvis between which a hand passes from slow to fast."""
BENT_STRAIGHT = (0.88, 0.985)
"""Share of the arm's length between shoulder and wrist between which it passes from bent to straight."""
LAG = 0.14
"""Seconds of each of two filters through which hands follow: they take about a quarter of a second."""
LIFE = 3.5
"""Degrees by which every joint moves by itself, slowly."""


class Hands:
    """Fingers for the consecutive pieces of one dance."""

    def __init__(self, genre: object = None):
        self.style = STYLES.get(genre, LATIN) if isinstance(genre, str) else LATIN
        self._begin, self._state = 0.0, None

    def more(self, motion: Motion) -> dict[str, np.ndarray]:
        """Rotations (frames, 3, 3) of ``JOINTS`` against the joint before, for the frames that follow."""
        weights = self._followed(_wishes(motion), 1 / motion.fps)
        seconds = self._begin + np.arange(motion.frames) / motion.fps
        self._begin += motion.seconds
        poses = np.array([_angles(pose) for pose in (self.style.slow, self.style.fast, self.style.far)])
        rotations = {}
        for number, side in enumerate(SIDES):
            bends = np.tensordot(weights[:, number], poses, 1)
            for at, finger in enumerate(FINGERS):
                for part in range(3):
                    own = LIFE * np.sin(2 * np.pi * seconds / (2.9 + 0.37 * at + 1.1 * number) + at + 0.5 * part)
                    bend = np.radians(bends[:, at, part] + own * (1.0 if part else 0.7))
                    spread = np.radians(bends[:, at, 3]) if part == 0 else np.zeros_like(bend)
                    rotations[f"{side}_{finger}{part + 1}"] = _turned(side, finger, bend, spread)
        return rotations

    def _followed(self, wishes: np.ndarray, step: float) -> np.ndarray:
        """(frames, 2, 3) weights that follow what is wished for, through two filters of first order."""
        share = 1 - np.exp(-step / LAG)
        first, second = (wishes[0], wishes[0]) if self._state is None else self._state
        followed = np.empty_like(wishes)
        for frame, wished in enumerate(wishes):
            first = first + share * (wished - first)
            second = second + share * (first - second)
            followed[frame] = second
        self._state = first, second
        return followed


def finger_rotations(motion: Motion) -> dict[str, np.ndarray]:
    """Rotations (frames, 3, 3) of ``JOINTS`` against the joint before, for a whole dance."""
    return Hands(motion.meta.get("genre")).more(motion)


def with_knuckles(motion: Motion) -> Motion:
    """The dance with the fingers' mean bend on the one joint that our hands have, where that is at rest throughout."""
    names = motion.skeleton.names
    hands = [names.index(name) for name in ("left_hand", "right_hand") if name in names]
    if len(hands) < 2 or not motion.frames or np.abs(motion.rotations[:, hands] - np.eye(3)).max() > 0.05:
        return motion
    fingers, rotations = finger_rotations(motion), motion.rotations.copy()
    for hand, side in zip(hands, SIDES, strict=True):
        bend = np.mean([_bend(side, fingers[f"{side}_{finger}1"]) for finger in FINGERS[1:]], 0)
        rotations[:, hand] = turn_about(np.tile(_across(side), (motion.frames, 1)), 0.8 * bend)
    return replace(motion, rotations=rotations)


def _wishes(motion: Motion) -> np.ndarray:
    """(frames, 2, 3) shares of the slow, the fast and the far pose that left and right hand should have."""
    joints, index = motion.joints(), motion.skeleton.index
    wishes = np.zeros((motion.frames, 2, 3))
    for number, side in enumerate(SIDES):
        shoulder, elbow, wrist = (joints[:, index(f"{side}_{name}")] for name in ("shoulder", "elbow", "wrist"))
        arm = np.linalg.norm(elbow - shoulder, axis=-1) + np.linalg.norm(wrist - elbow, axis=-1)
        arm = np.maximum(arm, 1e-9)  # files may hold bones without length
        fast = smoothstep(speeds(wrist - joints[:, 0], motion.fps), *SLOW_FAST)
        far = smoothstep(np.linalg.norm(wrist - shoulder, axis=-1) / arm, *BENT_STRAIGHT)
        # An arm that hangs is straight too.
        far = far * smoothstep((wrist - shoulder)[:, 1] / arm, -0.7, -0.2)
        wishes[:, number] = np.stack(((1 - far) * (1 - fast), (1 - far) * fast, far), -1)
    return wishes


def _angles(pose: str) -> np.ndarray:
    """(fingers, 4) degrees: the three joints, and how far the finger leans towards the thumb's side."""
    *bends, between = POSES[pose]
    lean = between * np.array([0.5, 1.0, 0.2, -0.6, -1.4])
    return np.concatenate((np.array(bends, dtype=np.float64), lean[:, None]), 1)


def _across(side: str) -> np.ndarray:
    """The axis (3,) about which fingers bend down."""
    return np.array([0.0, 0.0, -1.0 if side == "left" else 1.0])


def _turned(side: str, finger: str, bend: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """(frames, 3, 3) turns of a joint bent by radians, and leaning towards the thumb's side."""
    outward = 1.0 if side == "left" else -1.0
    axis = _across(side)
    if finger == "thumb":  # it points half forward and closes across the palm
        along = unit(np.array([outward, -0.25, 0.9]))
        axis = unit(np.cross(along, np.array([0.25 * outward, -1.0, -0.7])))
    lean = turn_about(np.tile([0.0, -outward, 0.0], (len(spread), 1)), spread)
    return lean @ turn_about(np.tile(axis, (len(bend), 1)), bend)


def _bend(side: str, turns: np.ndarray) -> np.ndarray:
    """(frames,) radians by which (frames, 3, 3) bend a finger down."""
    outward = 1.0 if side == "left" else -1.0
    pointing = turns[..., 0] * outward
    return np.arctan2(-pointing[..., 1], np.hypot(pointing[..., 0], pointing[..., 2]))


PALM = {
    "thumb": (0.028, -0.012, 0.028), "index": (0.092, 0.0, 0.026), "middle": (0.095, 0.002, 0.004),
    "ring": (0.09, 0.0, -0.018), "pinky": (0.08, -0.004, -0.036),
}  # fmt: skip
"""Metres from the left wrist to where each finger begins."""
BONES = {
    "thumb": (0.042, 0.034), "index": (0.04, 0.024), "middle": (0.044, 0.028), "ring": (0.04, 0.026),
    "pinky": (0.032, 0.02),
}  # fmt: skip
"""Metres of a finger's first two bones."""


def offset_of(joint: str) -> np.ndarray:
    """(3,) metres of one of ``JOINTS`` from the joint before it, the first of a finger from the wrist, at rest."""
    side, _, word = joint.partition("_")
    finger, part = word[:-1], int(word[-1])
    mirrored = np.array([1.0 if side == "left" else -1.0, 1.0, 1.0])
    if part == 1:
        return np.array(PALM[finger]) * mirrored
    along = unit(np.array([1.0, -0.25, 0.9])) if finger == "thumb" else np.array([1.0, 0.0, 0.0])
    return BONES[finger][part - 2] * along * mirrored


def before(joint: str) -> str:
    """The joint that one of ``JOINTS`` hangs on."""
    return f"{joint.partition('_')[0]}_wrist" if joint.endswith("1") else joint[:-1] + str(int(joint[-1]) - 1)
