"""A body around the joints: limbs as capsules, and how deep they are inside of one another.

Limbs are thinner than a person's, so that skin on skin is no fault. All lengths are metres.
"""

from itertools import combinations
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from longdance.motion.skeleton import SMPL24


class Capsule(NamedTuple):
    """A limb: all points within ``radius`` metres of the segment between two joints."""

    start: str
    end: str
    radius: float


CAPSULES = {
    "torso": Capsule("spine1", "spine3", 0.09),
    "head": Capsule("neck", "head", 0.07),
    **{
        f"{side}_{name}": Capsule(f"{side}_{start}", f"{side}_{end}", radius)
        for side in ("left", "right")
        for name, start, end, radius in (
            ("upper_arm", "shoulder", "elbow", 0.035),
            ("forearm", "elbow", "wrist", 0.03),
            ("thigh", "hip", "knee", 0.05),
            ("shin", "knee", "ankle", 0.04),
            ("foot", "ankle", "foot", 0.03),
        )
    },
}
NEIGHBOURS = {
    frozenset(pair)
    for side, other in (("left", "right"), ("right", "left"))
    for pair in (
        ("torso", f"{side}_upper_arm"),
        ("head", f"{side}_upper_arm"),
        ("torso", f"{side}_thigh"),
        (f"{side}_upper_arm", f"{side}_forearm"),
        (f"{side}_thigh", f"{side}_shin"),
        (f"{side}_shin", f"{side}_foot"),
        (f"{side}_thigh", f"{other}_thigh"),
        (f"{side}_upper_arm", f"{other}_upper_arm"),
    )
} | {frozenset(("torso", "head"))}
"""Capsules that grow from one another, or out of the trunk beside each other: their overlap is anatomy."""
PAIRS = tuple(pair for pair in combinations(CAPSULES, 2) if frozenset(pair) not in NEIGHBOURS)

def penetration_depths(joints: Float[Tensor, "*axes joints 3"]) -> Float[Tensor, "*axes pairs"]:
    """Metres by which the capsules of each of ``PAIRS`` overlap, negative where they are apart; differentiable.

    The joints are SMPL's, 22 or 24. Capsules overlap by the sum of their radii minus the distance of their segments.
    """
    limbs = [(CAPSULES[first], CAPSULES[second]) for first, second in PAIRS]
    ends = [[SMPL24.index(name) for name in (*one[:2], *other[:2])] for one, other in limbs]
    radii = joints.new_tensor([one.radius + other.radius for one, other in limbs])
    return radii - segment_distance(*joints[..., torch.tensor(ends).T, :].unbind(-3))


def segment_distance(
    start: Float[Tensor, "*axes 3"],
    end: Float[Tensor, "*axes 3"],
    other_start: Float[Tensor, "*axes 3"],
    other_end: Float[Tensor, "*axes 3"],
) -> Float[Tensor, "*axes"]:
    """Shortest distance between two segments, which may be points; differentiable where it is not zero.

    On the line of one segment the place nearest to the other is found and kept on the segment, then the place of the
    other that is nearest to it, and once more the first, which settles it (Ericson 2005, section 5.1.9).
    """
    along, other_along, between = end - start, other_end - other_start, start - other_start
    with torch.no_grad():  # the places are where the distance is least: moving them changes nothing
        aa, bb, ab = _dot(along, along), _dot(other_along, other_along), _dot(along, other_along)
        ac, bc = _dot(along, between), _dot(other_along, between)
        determinant = aa * bb - ab**2
        skew = determinant > 1e-9 * (aa * bb).clamp_min(1e-12)
        place = torch.where(skew, (ab * bc - ac * bb) / torch.where(skew, determinant, 1.0), 0.0).clamp(0, 1)
        other_place = ((ab * place + bc) / bb.clamp_min(1e-12)).clamp(0, 1)
        place = ((ab * other_place - ac) / aa.clamp_min(1e-12)).clamp(0, 1)
    apart = between + place[..., None] * along - other_place[..., None] * other_along
    return apart.square().sum(-1).clamp_min(1e-30).sqrt()


def _dot(one: Tensor, other: Tensor) -> Tensor:
    return (one * other).sum(-1)
