"""Several dancers from one dance: at once or one after another, in rows, mirrored, never in each other's way.

The group faces +z, its middle begins at the origin. The distance between places is widened until the bodies, as
capsules with hands and toes, are nowhere nearer than ``CLEARANCE`` to each other in any frame.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import torch

from longdance.errors import InputError
from longdance.export.sound import beat_times
from longdance.motion import filters
from longdance.motion.body import CAPSULES, segment_distance
from longdance.motion.motion import Motion

MOST_DANCERS = 8
FORMATIONS = ("line", "v", "circle")
CLEARANCE = 0.25
"""Metres that capsules of two dancers keep apart at least."""
NARROWEST, WIDEST, STEP = 1.1, 60.0, 0.05
"""Metres between places to begin with, at most, and by which they are widened at least."""
EASE = 0.25
"""Seconds over which a dancer who comes later begins to move."""
FINGERTIP, TOE_TIP = 0.18, 0.08
"""Metres from the wrist to the fingertips, and from the ball of the foot to the tip of the toes."""


def group_of(
    motion: Motion, dancers: int, *, canon: float = 0.0, mirror_pairs: bool = False, formation: str = "line"
) -> tuple[Motion, ...]:
    """The dance for 2 to 8 dancers, from left to right as they see it, in a V from its tip, in a circle around it.

    In ``canon`` each dances so many beats after the one before; until then it stands in the first pose. With
    ``mirror_pairs`` whoever is on the left of the middle is a mirror image. All have the dance's length and record.
    ``InputError`` for other numbers and formations, a canon without beats or tempo, and dances that go so far that
    no distance is enough.
    """
    if not 2 <= dancers <= MOST_DANCERS:
        raise InputError(f"expected 2 to {MOST_DANCERS} dancers, got {dancers}")
    if formation not in FORMATIONS:
        raise InputError(f"expected a formation among {', '.join(FORMATIONS)}, got {formation!r}")
    if not 0 <= canon < np.inf:
        raise InputError(f"expected a canon of 0 beats or more, got {canon:g}")
    lead = _facing_forward(motion)
    shape = places(dancers, formation)
    made = []
    for number, place in enumerate(shape):
        own = later(lead, number * canon) if canon and number else lead
        made.append(own.mirror() if mirror_pairs and place[0] > 1e-9 else own)
    return _apart(made, shape)


def places(dancers: int, formation: str) -> np.ndarray:
    """(dancers, 2) places along x and z, neighbours 1 apart, about the origin; left of the dancers is +x."""
    number = np.arange(dancers)
    if formation == "line":
        spots = np.stack((dancers // 2 - number if dancers % 2 else dancers / 2 - 0.5 - number, 0.0 * number), 1)
    elif formation == "v":
        # Tip in front; of an even number two share it.
        row = (number + 1) // 2 if dancers % 2 else number // 2 + 0.5
        side = np.where(number % 2 == 1, 1.0, -1.0) if dancers % 2 else np.where(number % 2 == 0, 1.0, -1.0)
        spots = np.stack((side * row, -(row - row.min())), 1) * [1.0, 0.8]
    else:
        angle = 2 * np.pi * (number + (0.5 if dancers % 2 == 0 else 0.0)) / dancers
        spots = np.stack((np.sin(angle), np.cos(angle)), 1) / (2 * np.sin(np.pi / dancers))
    return spots - spots.mean(0)


def later(motion: Motion, beats: float) -> Motion:
    """The dance begun some beats later, on the music's own beats, with the length that it has.

    ``InputError`` where the record knows neither beats nor a tempo.
    """
    seconds = np.arange(motion.frames) / motion.fps
    known = np.array(beat_times(motion))
    tempo = motion.meta.get("tempo_bpm")
    if len(known) >= 2:
        step = np.median(np.diff(known))
        before = known[0] - step * np.arange(np.ceil(known[0] / step) + np.ceil(beats) + 1, 0, -1)
        after = known[-1] + step * np.arange(1, np.ceil((motion.seconds - known[-1]) / step) + 2)
        grid = np.concatenate((before, known, after))
        counts = np.arange(len(grid))
        seconds = np.interp(np.interp(seconds, grid, counts) - beats, counts, grid)
    elif isinstance(tempo, int | float) and 20 <= tempo <= 400:
        seconds = seconds - beats * 60 / tempo
    else:
        raise InputError("expected beats or a tempo in the dance's record for a canon; try a dance by longdance")
    # It begins softly: the time of the dance leaves zero as a parabola does.
    soft = (seconds + EASE) ** 2 / (4 * EASE)
    seconds = np.where(seconds < -EASE, 0.0, np.where(seconds > EASE, seconds, soft))
    at = np.clip(seconds * motion.fps, 0, motion.frames - 1)
    root, turns = filters.interpolate(motion.root_position, at), filters.interpolate_rotations(motion.rotations, at)
    return replace(motion, root_position=root, rotations=turns)


def _facing_forward(motion: Motion) -> Motion:
    """The dance turned so that it faces +z on average, with its middle above the origin."""
    facing = motion.rotations[:, 0, :, 2].mean(0)
    turned = motion.turn(-float(np.arctan2(facing[0], facing[2])))
    middle = (turned.root_position.min(0) + turned.root_position.max(0)) / 2 * [1.0, 0.0, 1.0]
    return replace(turned, root_position=turned.root_position - middle)


def _apart(motions: Sequence[Motion], shape: np.ndarray) -> tuple[Motion, ...]:
    """The dancers on their places, as far apart as they need."""
    bodies = [_Body(motion) for motion in motions]
    pairs, spacing, held = list(combinations(range(len(motions)), 2)), NARROWEST, 0
    while held < len(pairs):  # round and round, until one distance does for all of them in turn
        one, two = pairs[0]
        direction = np.array([shape[two, 0] - shape[one, 0], 0.0, shape[two, 1] - shape[one, 1]])
        gap = distance(bodies[one], bodies[two], direction * spacing)
        if gap >= CLEARANCE:
            pairs, held = [*pairs[1:], pairs[0]], held + 1
            continue
        held = 0
        spacing += max(STEP, (CLEARANCE - gap) / max(float(np.linalg.norm(direction)), 1.0))
        if spacing > WIDEST:
            raise InputError(
                f"expected dancers that can be kept apart within {WIDEST:g} m, got a dance that goes farther; try "
                "--in-place"
            )
    return tuple(
        replace(motion, root_position=motion.root_position + np.array([x, 0.0, z]) * spacing)
        for motion, (x, z) in zip(motions, shape, strict=True)
    )


class _Body:
    """A dancer's capsules: ``starts`` and ``ends`` (frames, capsules, 3), ``radii`` (capsules,)."""

    def __init__(self, motion: Motion):
        joints, turns = motion.forward_kinematics()
        index = motion.skeleton.index
        rows = [(joints[:, index(c.start)], joints[:, index(c.end)], c.radius) for c in CAPSULES.values()]
        for side, outward in (("left", 1.0), ("right", -1.0)):
            wrist, foot = index(f"{side}_wrist"), index(f"{side}_foot")
            tip = joints[:, wrist] + turns[:, wrist] @ np.array([outward * FINGERTIP, 0.0, 0.0])
            toe = joints[:, foot] + turns[:, foot] @ np.array([0.0, 0.0, TOE_TIP])
            rows += [(joints[:, wrist], tip, 0.03), (joints[:, foot], toe, 0.03)]
        self.starts, self.ends = (np.stack([row[at] for row in rows], 1) for at in (0, 1))
        self.radii = np.array([row[2] for row in rows])
        self.middle = joints[:, 0] * [1.0, 0.0, 1.0]
        both = np.concatenate((self.starts, self.ends), 1) - joints[:, :1]
        self.reach = np.linalg.norm(both[..., [0, 2]], axis=-1).max(1) + self.radii.max()
        """(frames,) metres from the pelvis, along the floor, within which the body is."""


def distance(one: _Body, two: _Body, shift: np.ndarray) -> float:
    """Metres between the capsules of two dancers, the second moved by ``shift`` (3,), in the frame where it is least.

    Only what is nearer than ``CLEARANCE`` is looked at closely; else it is a bound that is not less than that.
    """
    apart = np.linalg.norm(two.middle + shift - one.middle, axis=-1) - one.reach - two.reach
    near = np.flatnonzero(apart < CLEARANCE)
    least = float(apart[apart >= CLEARANCE].min(initial=np.inf))
    for frames in np.array_split(near, max(1, len(near) // 200)):
        if not len(frames):
            continue
        first = [torch.from_numpy(each[frames][:, :, None]) for each in (one.starts, one.ends)]
        second = [torch.from_numpy(each[frames][:, None] + shift) for each in (two.starts, two.ends)]
        count = (len(frames), len(one.radii), len(two.radii), 3)
        gaps = segment_distance(*(each.expand(count) for each in (*first, *second)))
        radii = torch.from_numpy(one.radii[:, None] + two.radii[None])
        least = min(least, float((gaps - radii).min()))
    return least
