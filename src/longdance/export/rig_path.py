"""Where a dance's character goes: on the floor by what carries it, led by what stands, its limbs as the dance's.

A body of other proportions cannot keep both the directions of its limbs and the places of its feet. Directions are
kept; the root follows the feet, and what is left the legs take up by at most ``LARGEST_TURN``.
"""

from dataclasses import dataclass

import numpy as np

from longdance.export.rig_rest import Anatomy
from longdance.motion.contacts import REST_HEIGHTS, foot_contacts
from longdance.motion.directions import turn_about, turn_between
from longdance.motion.ik import reaching, resting
from longdance.motion.motion import Motion
from longdance.motion.skeleton import BALL_HEIGHT
from longdance.motion.stances import CONTACT_ORDER, stances

SIDES = ("left", "right")
HANDS = ("left_wrist", "right_wrist")
LARGEST_TURN = np.radians(0.9)
"""Radians by which thigh and shin may point elsewhere than the dance's."""
RETURN = 0.3
"""Seconds over which the root's path comes back to the dance's after a step that was longer or shorter."""
NEAR = 0.05
"""Metres over the floor up to which feet carry the body; they do no more at twice that."""
CLOSE, LOOSE = 2.5e-3, 2.4e-4
"""How closely the height of the root follows what carries it, and what is in the air: within 0.035 and 0.1 seconds."""
STRAIGHT = 0.02
"""Square metres: how much a leg is spared that would have to turn far for a small step, as a straight one has to."""

MOST_BENT = np.radians(60)
"""Radians by which toes bend up."""


@dataclass(frozen=True, eq=False)
class Placed:
    """Joints and soles of a body that moves, in metres for legs as long as ours, y up.

    ``places`` maps our joint names to (frames, 3); ``feet`` (frames, 2, 3, 3) are the turns of the left and right foot
    against the rest pose; ``soles`` are points (points, 3) of either, against the ankle at rest.
    """

    places: dict[str, np.ndarray]
    feet: np.ndarray
    soles: tuple[np.ndarray, np.ndarray]

    def lowest_soles(self) -> np.ndarray:
        """(frames, 2) heights of the lowest point under the left and the right foot."""
        hanging = [(self.feet[:, at, 1] @ sole.T).min(1) for at, sole in enumerate(self.soles)]
        return np.stack([self.places[f"{side}_ankle"][:, 1] + hanging[at] for at, side in enumerate(SIDES)], 1)


def ours(motion: Motion) -> Placed:
    """The body of the dance itself, whose soles are under ankles and balls."""
    joints, turns, skeleton = *motion.forward_kinematics(), motion.skeleton
    soles = []
    for side in SIDES:
        ball = skeleton.offsets[skeleton.index(f"{side}_foot")]
        soles.append(np.stack((ball * [0, 1, 0], ball)) - [0, BALL_HEIGHT, 0])
    places = {name: joints[:, at] for at, name in enumerate(skeleton.names)}
    return Placed(places, turns[:, [skeleton.index(f"{side}_ankle") for side in SIDES]], (soles[0], soles[1]))


def path(motion: Motion, placed: Placed) -> np.ndarray:
    """(frames, 3) places of the pelvis at which the character stands where the dance stands, on the floor y = 0.

    Its lowest sole is as high as the dance's lowest foot; without feet on the floor, its lowest part as the dance's.
    In the plane, what stands moves as in the dance.
    """
    dance, fps = ours(motion), motion.fps
    hips = [np.mean([body.places[f"{side}_hip"] for side in SIDES], axis=0) for body in (dance, placed)]
    root = hips[0] - hips[1]
    if motion.frames > 2:
        feet = stances(motion)
        hands = foot_contacts(motion.joints(), fps, skeleton=motion.skeleton, joint_names=HANDS)
        standing = dict(zip(CONTACT_ORDER, feet.T, strict=True))
        standing |= dict(zip(HANDS, (hands & ~feet.any(1, keepdims=True)).T, strict=True))
        held = [(_apart(dance, placed, root, name), standing[name]) for name in standing if name in placed.places]
        root[:, [0, 2]] += resting(motion.frames, 2, held, fps, blend=RETURN)
    return on_floor(motion, placed, root)


def on_floor(motion: Motion, placed: Placed, root: np.ndarray) -> np.ndarray:
    """The path (frames, 3) with heights at which what carries the body is on the floor."""
    dance = ours(motion)
    feet, soles = np.maximum(dance.lowest_soles().min(1), 0), placed.lowest_soles().min(1)
    whole, lowest = np.minimum(_lowest_parts(dance), feet), np.minimum(_lowest_parts(placed), soles)
    carried = np.clip(2 - feet / NEAR, 0, 1)
    need = carried * (feet - soles) + (1 - carried) * (whole - lowest) - root[:, 1]
    raised = root.copy()
    near = np.clip(2 - whole / NEAR, 0, 1)
    raised[:, 1] += reaching(need, CLOSE * near + LOOSE, motion.fps) if motion.frames > 2 else need
    return raised


def _lowest_parts(body: Placed) -> np.ndarray:
    """(frames,) height of the lowest part but the feet: knees, hands, elbows, seat, back, head."""
    parts = [
        body.places[name][:, 1] - height
        for name, height in REST_HEIGHTS.items()
        if name in body.places and name not in CONTACT_ORDER
    ]
    return np.min(parts, axis=0)


def _apart(dance: Placed, placed: Placed, root: np.ndarray, name: str) -> np.ndarray:
    """(frames, 2) how far a joint of the character is from the dance's, along x and z."""
    return (root + placed.places[name] - dance.places[name])[:, [0, 2]]


def last_steps(motion: Motion, placed: Placed, root: np.ndarray) -> dict[str, np.ndarray]:
    """Turns (frames, 3, 3) of thighs and shins, by our joint names, after which standing feet rest better.

    Both bones of a leg turn by no more than ``LARGEST_TURN``. ``root`` (frames, 3) is the pelvis' path.
    """
    if motion.frames < 3:
        return {}
    dance, fps = ours(motion), motion.fps
    standing = dict(zip(CONTACT_ORDER, stances(motion).T, strict=True))
    over = np.maximum(dance.lowest_soles(), 0)
    sunk = over - root[:, 1:2] - placed.lowest_soles()
    turns: dict[str, np.ndarray] = {}
    for at, side in enumerate(SIDES):
        names = [name for name in (f"{side}_ankle", f"{side}_foot") if name in placed.places]
        held = [(_apart(dance, placed, root, name), standing[name]) for name in names]
        wanted = np.insert(resting(motion.frames, 2, held, fps), 1, 0.0, axis=1)
        near = np.clip(2 - over[:, at] / NEAR, 0, 1)
        wanted[:, 1] = reaching(near * sunk[:, at], CLOSE * near, fps)
        hip, knee, ankle = (placed.places[f"{side}_{joint}"] for joint in ("hip", "knee", "ankle"))
        turns[f"{side}_hip"], turns[f"{side}_knee"] = _step((knee - hip, ankle - knee), wanted)
    return turns


def _step(bones: tuple[np.ndarray, np.ndarray], wanted: np.ndarray) -> list[np.ndarray]:
    """Turns (frames, 3, 3) of two bones (frames, 3) in a row that move their end as ``wanted`` (frames, 3), or less.

    Damped least squares: what would need large turns is left.
    """
    lengths = [np.linalg.norm(bone, axis=-1) for bone in bones]
    across = [
        length[:, None, None] ** 2 * np.eye(3) - bone[:, :, None] * bone[:, None]
        for length, bone in zip(lengths, bones, strict=True)
    ]
    pushed = np.linalg.solve(across[0] + across[1] + STRAIGHT * np.eye(3), wanted[..., None])
    moved = [(each @ pushed)[..., 0] for each in across]  # of the end, by each bone
    angles = [np.linalg.norm(move, axis=-1) / length for move, length in zip(moved, lengths, strict=True)]
    angle = np.maximum(np.maximum(*angles), 1e-9)
    share = (LARGEST_TURN * np.tanh(angle / LARGEST_TURN) / angle)[:, None]
    return [turn_between(bone, bone + share * move) for bone, move in zip(bones, moved, strict=True)]


def bent_toes(motion: Motion, placed: Placed, body: Anatomy, root: np.ndarray) -> dict[str, np.ndarray]:
    """Turns (frames, 3, 3) of the balls of the feet, against the foot at rest, that keep toes out of the floor.

    By our joint names, of those feet that have such a joint.
    """
    found: dict[str, np.ndarray] = {}
    turns = motion.global_rotations()
    for at, side in enumerate(SIDES):
        name = f"{side}_foot"
        if name not in placed.places:
            continue
        height = root[:, 1] + placed.places[name][:, 1] - body.ball_heights[at]
        turned = turns[:, motion.skeleton.index(name)]
        down = -np.arcsin(np.clip(turned[:, 1, 2], -1, 1))
        room = np.arcsin(np.clip(height / body.toes[at], 0, 1))
        axes = np.broadcast_to([-1.0, 0.0, 0.0], (motion.frames, 3))
        found[name] = turned @ turn_about(axes, np.clip(down - room, 0, MOST_BENT))
    return found
