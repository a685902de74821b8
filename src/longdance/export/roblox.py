"""Dances on Roblox' R15: fifteen parts below a root, so bones are left out and not only called otherwise.

The upper torso turns as our chest, from where our spine begins; collars and neck have no part of their own. Limbs point
where ours point, feet are where ours are.
"""

from typing import NamedTuple

import numpy as np

from longdance.motion.motion import Motion

ROOT = "HumanoidRootPart"
"""Stands still; the lower torso moves against it."""
PARTS = {"pelvis": "LowerTorso", "spine1": "UpperTorso", "head": "Head"} | {
    f"{side}_{joint}": f"{word}{part}"
    for side, word in (("left", "Left"), ("right", "Right"))
    for joint, part in (
        ("hip", "UpperLeg"), ("knee", "LowerLeg"), ("ankle", "Foot"),
        ("shoulder", "UpperArm"), ("elbow", "LowerArm"), ("wrist", "Hand"),
    )
}  # fmt: skip
"""Our joints at which parts begin."""
TURNED_BY = {"spine1": "spine3"}
"""Joints whose part turns as another joint does."""
LONGEST_EMOTE, FARTHEST = 10.0, 2.0
"""Seconds that an emote must be shorter than, and metres that its root should stay within: Roblox states no number."""


class Parts(NamedTuple):
    """A dance on the root and the fifteen parts; rest frames are parallel to the world's."""

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: np.ndarray
    """(parts, 3) metres from the parent; the root's is its place, which is the pelvis' at rest."""
    rotations: np.ndarray
    """(frames, parts, 3, 3) relative to the parent."""
    translations: dict[int, np.ndarray]
    """Of the root and the lower torso, (frames, 3) metres in the parent's frame."""
    joints: tuple[int, ...]
    """The joint that each part begins at, -1 for the root."""


def on_parts(motion: Motion) -> Parts:
    """The dance as the parts do it."""
    skeleton, turns = motion.skeleton, motion.global_rotations()
    kept = [index for index, name in enumerate(skeleton.names) if name in PARTS]
    slot = {joint: place for place, joint in enumerate(kept, 1)}
    home = np.array([0.0, skeleton.rest_root_height, 0.0])
    parents, offsets = [-1], [home]
    worlds = [np.broadcast_to(np.eye(3), turns[:, 0].shape)]
    rotations = list(worlds)
    for joint in kept:
        above = skeleton.parents[joint]
        while above >= 0 and above not in slot:
            above = skeleton.parents[above]
        parent = slot.get(above, 0)
        world = turns[:, skeleton.index(TURNED_BY.get(skeleton.names[joint], skeleton.names[joint]))]
        parents.append(parent)
        offsets.append(skeleton.rest_positions[joint] - (skeleton.rest_positions[above] if parent else home))
        rotations.append(np.swapaxes(worlds[parent], -1, -2) @ world)
        worlds.append(world)
    names = (ROOT, *(PARTS[skeleton.names[joint]] for joint in kept))
    travel = {0: np.broadcast_to(home, motion.root_position.shape), 1: motion.root_position - home}
    return Parts(names, tuple(parents), np.array(offsets), np.stack(rotations, 1), travel, (-1, *kept))


def emote_notes(motion: Motion) -> list[str]:
    """What keeps a dance from being an emote of Roblox' marketplace, in words."""
    notes = []
    if motion.seconds >= LONGEST_EMOTE:
        notes.append(
            f"emotes of Roblox' marketplace are shorter than {LONGEST_EMOTE:g} s, this has {motion.seconds:.1f} s; "
            "--start and --seconds cut a part out"
        )
    away = np.linalg.norm((motion.root_position - motion.root_position[0])[:, [0, 2]], axis=-1).max()
    if away > FARTHEST:
        notes.append(
            f"emotes must stay near where they begin, this goes {away:.1f} m away; --in-place takes the travel out"
        )
    return notes
