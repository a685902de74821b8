"""Which joint is which where names say nothing: two chains hang down, two go sideways, one goes up."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

MOST_JOINTS, MOST_LIMBS = 1000, 8
"""In a tree, and on one joint, among which twins are looked for: the longest."""
TWINS = 0.15
"""By how much, of its length, a limb may differ from the one on the other side."""


def lies_below(parents: Sequence[int], joint: int, above: int) -> bool:
    """Whether a joint hangs on another, at any depth."""
    while joint >= 0 and joint != above:
        joint = parents[joint]
    return joint == above


def joints_by_tree(parents: Sequence[int], places: np.ndarray, sides: Sequence[str | None]) -> dict[str, int]:
    """Our joint names to joints of a tree; empty where it is no human's.

    ``places`` (joints, 3) are those of a rest pose, in any axes; ``sides`` what names tell of left and right, which
    else the direction of the feet tells. Trees of more than ``MOST_JOINTS`` joints are not looked at.
    """
    if len(parents) > MOST_JOINTS:
        return {}
    children: list[list[int]] = [[] for _ in parents]
    for joint, parent in enumerate(parents):
        if parent >= 0:
            children[parent].append(joint)
    chains = _longest_chains(parents, children, places)
    chests = [joint for joint in range(len(parents)) if _twins(children[joint], chains, places)]
    best: tuple[float, dict[str, int]] = (0.0, {})
    for pelvis in range(len(parents)):
        for legs in _twins(children[pelvis], chains, places):
            for chest in chests:
                below = chest != pelvis and lies_below(parents, chest, pelvis)
                if not below or any(lies_below(parents, chest, leg) for leg in legs):
                    continue
                for arms in _twins(children[chest], chains, places):
                    found = _named(pelvis, legs, chest, arms, children, chains, places, sides)
                    total = sum(chains[limb][1] for limb in (*legs, *arms))
                    if found and total > best[0]:
                        best = (total, found)
    return best[1]


def _longest_chains(
    parents: Sequence[int], children: list[list[int]], places: np.ndarray
) -> list[tuple[list[int], float]]:
    """For every joint the chain below it that is longest, with its length."""
    chains: list[tuple[list[int], float]] = [([joint], 0.0) for joint in range(len(parents))]
    for joint in reversed(range(len(parents))):
        for child in children[joint]:
            length = chains[child][1] + float(np.linalg.norm(places[child] - places[joint]))
            if length > chains[joint][1] or len(chains[joint][0]) == 1:
                chains[joint] = ([joint, *chains[child][0]], length)
    return chains


def _twins(joints: list[int], chains: list, places: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of joints on which limbs of three joints or more and one length hang."""
    limbs = [joint for joint in joints if len(chains[joint][0]) >= 3 and chains[joint][1] > 0]
    limbs = sorted(sorted(limbs, key=lambda joint: -chains[joint][1])[:MOST_LIMBS])
    return [
        (one, two)
        for at, one in enumerate(limbs)
        for two in limbs[at + 1 :]
        if abs(chains[one][1] - chains[two][1]) < TWINS * max(chains[one][1], chains[two][1])
        and np.linalg.norm(places[one] - places[two]) > 0
    ]


def _named(pelvis, legs, chest, arms, children, chains, places, sides) -> dict[str, int]:
    """The joints of one reading of the tree; empty where a limb has no two long bones, or nothing goes up."""
    ups = [joint for joint in children[chest] if joint not in arms]
    if not ups:
        return {}
    up = max(ups, key=lambda joint: chains[joint][1] + np.linalg.norm(places[joint] - places[chest]))
    neck = chains[up][0]
    trunk = places[chest] - places[pelvis]
    bones = {"leg": [_two_bones(chains[leg][0], places) for leg in legs]}
    bones["arm"] = [_two_bones(chains[arm][0], places) for arm in arms]
    if any(bone is None for pair in bones.values() for bone in pair):
        return {}
    feet = [places[chains[leg][0][bone[2]]] for leg, bone in zip(legs, bones["leg"], strict=True)]
    if not ((np.mean(feet, axis=0) - places[pelvis]) @ trunk < 0):  # legs point away from the chest
        return {}
    found = {"pelvis": pelvis, "neck": neck[0], "head": neck[-1]} if len(neck) > 1 else {"pelvis": pelvis, "head": up}
    for part, limbs, joints in (
        ("leg", legs, ("hip", "knee", "ankle")),
        ("arm", arms, ("shoulder", "elbow", "wrist")),
    ):
        order = _left_first(limbs, chains, places, sides, trunk, legs, bones["leg"])
        for side, at in zip(("left", "right"), order, strict=True):
            chain, bone = chains[limbs[at]][0], bones[part][at]
            for joint, step in zip(joints, bone, strict=True):
                found[f"{side}_{joint}"] = chain[step]
            if len(chain) > bone[2] + 1:
                found[f"{side}_{'foot' if part == 'leg' else 'hand'}"] = chain[bone[2] + 1]
            if part == "arm" and bone[0] > 0:
                found[f"{side}_collar"] = chain[bone[0] - 1]
    return found


def _two_bones(chain: list[int], places: np.ndarray) -> tuple[int, int, int] | None:
    """Steps of a chain where a limb's two long bones begin and end, which follow each other."""
    lengths = [float(np.linalg.norm(places[b] - places[a])) for a, b in pairwise(chain)]
    if len(lengths) < 2:
        return None
    first = max(range(len(lengths) - 1), key=lambda at: min(lengths[at], lengths[at + 1]))
    return (first, first + 1, first + 2) if min(lengths[first : first + 2]) > 0 else None


def _left_first(limbs, chains, places, sides, trunk, legs, leg_bones) -> tuple[int, int]:
    """The places in a pair of limbs of the left and the right one."""
    for at, limb in enumerate(limbs):
        told = [sides[joint] for joint in chains[limb][0] if sides[joint]]
        if told:
            left = at if told[0] == "left" else 1 - at
            return left, 1 - left
    ahead = np.zeros(3)
    for leg, bone in zip(legs, leg_bones, strict=True):
        chain = chains[leg][0]
        if len(chain) > bone[2] + 1:
            ahead += places[chain[bone[2] + 1]] - places[chain[bone[2]]]
    left = np.cross(trunk, ahead)
    return (0, 1) if (places[limbs[0]] - places[limbs[1]]) @ left >= 0 else (1, 0)
