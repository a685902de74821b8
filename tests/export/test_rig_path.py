"""Where a dance goes on other legs: bodies made anew in every run, directions within a degree, feet on the floor."""

import os
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from longdance.errors import InputError
from longdance.export.rig import dance_on_rig
from longdance.export.rig_path import LARGEST_TURN, Placed, bent_toes, ours, path
from longdance.export.rig_rest import Rig, anatomy
from longdance.motion import rotations as rot
from longdance.motion.contacts import speeds
from longdance.motion.directions import unit
from longdance.motion.ik import lock_feet
from longdance.motion.motion import Motion
from longdance.motion.skeleton import SMPL24
from longdance.motion.stances import CONTACT_ORDER, stances
from sample_characters import Character, character
from sample_motions import standing, wandering

SEED = int(os.environ.get("LONGDANCE_SEED", time.time_ns() % 10**9))
"""Of the bodies and dances; every run has another, and a failing one is repeated by setting it."""
LIMBS = [
    (f"{side}_{a}", f"{side}_{b}")
    for side in ("left", "right")
    for a, b in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))
]


@pytest.fixture
def own_rng(request):
    print(f"LONGDANCE_SEED={SEED}")
    return np.random.default_rng((SEED, *request.node.name.encode()))


def rig_of(body: Character) -> Rig:
    names = list(body.names)
    nodes = np.tile(np.eye(4), (len(names), 1, 1))
    nodes[:, :3, :3] = np.stack([body.turns[name] for name in names])
    nodes[:, :3, 3] = np.stack([body.places[name] for name in names])
    return Rig(
        names=tuple(body.names.values()),
        parents=tuple(names.index(above) if (above := body.parents[name]) else -1 for name in names),
        nodes=nodes,
        found={name: bone for bone, name in enumerate(names)},
        jointed=np.ones(len(names), bool),
        floor=0.0,
    )


def danced(dance: Motion, body: Character) -> dict[str, np.ndarray]:
    """Joints (frames, 3) of the body that dances, by its own forward kinematics, in metres for legs of our length."""
    rig = rig_of(body)
    made = dance_on_rig(dance, rig, hands=False)
    places, turns = [], []
    for bone, parent in enumerate(rig.parents):
        if parent < 0:
            places.append(made.place)
            turns.append(made.rotations[bone])
            continue
        step = rig.nodes[parent, :3, :3].T @ (rig.nodes[bone, :3, 3] - rig.nodes[parent, :3, 3])
        places.append(places[parent] + turns[parent] @ step)
        at_rest = rig.nodes[parent, :3, :3].T @ rig.nodes[bone, :3, :3]
        turns.append(turns[parent] @ made.rotations.get(bone, at_rest))
    size = anatomy(rig, SMPL24).size
    back = np.linalg.inv(facing(body))
    return {name: size * places[bone] @ back.T for name, bone in rig.found.items()}


def facing(body: Character) -> np.ndarray:
    across = unit(body.places["left_hip"] - body.places["right_hip"])
    return np.stack((across, [0.0, 1.0, 0.0], np.cross(across, [0.0, 1.0, 0.0])), 1)


def apart(found: dict[str, np.ndarray], dance: Motion) -> np.ndarray:
    """(limbs, frames) degrees between limbs of both."""
    joints = dance.joints()
    rows = []
    for one, two in LIMBS:
        theirs = unit(found[two] - found[one])
        same = unit(joints[:, SMPL24.index(two)] - joints[:, SMPL24.index(one)])
        rows.append(np.degrees(np.arccos(np.clip((theirs * same).sum(-1), -1, 1))))
    return np.array(rows)


def slides(found: dict[str, np.ndarray], dance: Motion) -> tuple[float, float]:
    """Mean speed over the floor (m/s) of foot joints that stand, of the body and of the dance."""
    joints, stands = dance.joints(), stances(dance)
    rows = []
    for tracks in ([found[name] for name in CONTACT_ORDER], [joints[:, SMPL24.index(name)] for name in CONTACT_ORDER]):
        quick = [speeds(track[:, [0, 2]], dance.fps)[rests] for track, rests in zip(tracks, stands.T, strict=True)]
        rows.append(float(np.mean(np.concatenate([*quick, [0.0]]))))
    return rows[0], rows[1]


@pytest.mark.parametrize("number", range(8))
def test_any_body_dances_within_a_degree_on_the_floor(own_rng, number):
    body = character(
        "mixamo",
        own_rng,
        leg=own_rng.uniform(0.7, 1.5),
        shin=own_rng.uniform(0.75, 1.3),
        hips=own_rng.uniform(0.7, 1.4),
        foot=own_rng.uniform(0.8, 1.4),
        arm=own_rng.uniform(0.7, 1.3),
        arms_down=own_rng.uniform(0, 60),
        facing=float(own_rng.choice([0, 90, 180])),
    )
    dance = lock_feet(wandering(own_rng, frames=150, fps=float(own_rng.choice([24, 30, 60]))))
    found = danced(dance, body)
    off = apart(found, dance)
    assert off.max() < 1
    assert off[2:4].max() < 0.01  # the left arm
    # Whichever sole is the lowest is on the floor while the dance's is.
    size = anatomy(rig_of(body), SMPL24).size
    soles = np.min(
        [found[name][:, 1] - size * body.places[name][1] for name in CONTACT_ORDER if "foot" in name], axis=0
    )
    flat = stances(dance).reshape(-1, 2, 2).all(2).any(1)
    assert np.abs(soles[flat]).max(initial=0) < 0.015
    theirs, same = slides(found, dance)
    assert theirs < 1.15 * same + 0.04


@pytest.mark.parametrize("size", [0.5, 0.8, 1.3, 2.0])
def test_a_body_of_another_size_dances_the_same_dance(own_rng, size):
    body = character("mixamo", own_rng, leg=size, hips=size, foot=size)
    for name in ("left_foot", "right_foot"):  # as high as such a foot is
        ankle = body.places[name.replace("foot", "ankle")]
        body.places[name][1] = ankle[1] + size * SMPL24.offsets[SMPL24.index(name)][1]
    lift = size * 0.02 - body.places["left_foot"][1]
    for place in body.places.values():
        place[1] += lift
    dance = lock_feet(wandering(own_rng, frames=90, fps=30.0))
    dance.root_position[:, 1] += max(0.0, -ours(dance).lowest_soles().min())
    found, joints = danced(dance, body), dance.joints()
    assert apart(found, dance).max() < 0.02
    for name in ("left_ankle", "right_foot", "left_knee", "right_hip"):
        np.testing.assert_allclose(found[name], joints[:, SMPL24.index(name)], atol=2e-3)


def test_a_leg_of_other_proportions_stands_while_the_other_moves(own_rng):
    """The body sways over one foot; the free foot makes circles."""
    still = standing(90, fps=30.0)
    seconds = np.linspace(0, 3, 90)
    turns = still.rotations.copy()

    def about(axis: int, angle: np.ndarray) -> np.ndarray:
        vector = torch.zeros(90, 3, dtype=torch.float64)
        vector[:, axis] = torch.from_numpy(angle)
        return rot.matrix_from_axis_angle(vector).numpy()

    sway = about(0, 0.15 * np.sin(2 * seconds))
    turns[:, 0] = sway @ turns[:, 0]
    raised = about(0, -0.9 - 0.3 * np.sin(5 * seconds))
    turns[:, SMPL24.index("right_hip")] = raised
    motion = Motion(still.root_position, turns, fps=30.0)
    # The left foot stays where it is, level.
    ankle = SMPL24.index("left_ankle")
    world = motion.global_rotations()
    turns[:, ankle] = np.swapaxes(world[:, SMPL24.index("left_knee")], -1, -2)
    motion = Motion(still.root_position, turns, fps=30.0)
    root = still.root_position + still.joints()[:, ankle] - motion.joints()[:, ankle]
    dance = Motion(root, turns, fps=30.0)
    body = character("mixamo", own_rng, shin=own_rng.uniform(1.15, 1.4), hips=own_rng.uniform(1.1, 1.5))
    found = danced(dance, body)
    assert apart(found, dance).max() < 1
    assert np.ptp(found["left_ankle"][:, [0, 2]], axis=0).max() < 0.01
    assert np.ptp(found["left_ankle"][:, 1]) < 0.005


def test_a_handstand_stands_on_its_hands(own_rng):
    dance = standing(60, fps=30.0)
    turns = dance.rotations.copy()
    turns[:, 0] = np.diag([1.0, -1.0, -1.0])
    for side, sign in (("left", 1), ("right", -1)):  # arms along the trunk, past the head
        vector = torch.zeros(3, dtype=torch.float64)
        vector[2] = sign * np.deg2rad(85)
        turns[:, SMPL24.index(f"{side}_shoulder")] = rot.matrix_from_axis_angle(vector).numpy()
    root = np.zeros((60, 3))
    root[:, 2] = 0.1 * np.sin(np.linspace(0, 3, 60))
    dance = Motion(root, turns, fps=30.0)
    hands = dance.joints()[:, [SMPL24.index(f"{side}_hand") for side in ("left", "right")]]
    dance = Motion(root + np.array([0, 0.02 - hands[..., 1].min(), 0]), turns, fps=30.0)
    found = danced(dance, character("mixamo", own_rng, arm=1.4, leg=0.8))
    lowest = min(found[f"{side}_hand"][:, 1].min() for side in ("left", "right"))
    assert lowest == pytest.approx(0.02, abs=0.01)


def test_toes_bend_where_the_foot_stands_on_its_ball(own_rng):
    dance = standing(10, fps=30.0)
    turns = dance.rotations.copy()
    pitch = rot.matrix_from_axis_angle(torch.tensor([np.deg2rad(40), 0, 0], dtype=torch.float64)).numpy()
    for side in ("left", "right"):
        turns[:, SMPL24.index(f"{side}_ankle")] = turns[:, SMPL24.index(f"{side}_ankle")] @ pitch
    dance = Motion(dance.root_position, turns, fps=30.0)
    ball = dance.joints()[0, SMPL24.index("left_foot"), 1]
    dance = Motion(dance.root_position + np.array([0, 0.02 - ball, 0]), turns, fps=30.0)
    body = anatomy(rig_of(character("mixamo", own_rng, axes=False)), SMPL24)
    at_floor = ours(dance)
    toes = bent_toes(dance, at_floor, body, np.zeros((10, 3)))
    for turned in toes.values():
        assert np.degrees(np.arcsin(turned[:, 1, 2])) == pytest.approx(0, abs=3)  # level
    raised = bent_toes(dance, at_floor, body, np.full((10, 3), 0.2))
    for turned in raised.values():
        assert np.degrees(np.arcsin(turned[:, 1, 2])) == pytest.approx(-40, abs=3)  # as the foot


@pytest.mark.parametrize("frames", [1, 2, 3, 5])
def test_short_dances(own_rng, frames):
    dance = standing(frames, fps=30.0)
    found = danced(dance, character("mixamo", own_rng, leg=1.2, shin=1.2))
    assert apart(found, dance).max() < 1
    assert all(np.isfinite(track).all() for track in found.values())


def test_a_dance_in_the_air_keeps_its_path(own_rng):
    """Nothing stands: the root goes where the dance's does."""
    dance = standing(60, fps=30.0)
    flight = np.stack((np.linspace(0, 3, 60), 0.5 + np.linspace(0, 1, 60), np.zeros(60)), 1)
    dance = Motion(dance.root_position + flight, dance.rotations, fps=30.0)
    here = ours(dance)
    moved = path(dance, Placed({n: p - dance.root_position for n, p in here.places.items()}, here.feet, here.soles))
    np.testing.assert_allclose(moved, dance.root_position, atol=1e-3)
    assert np.radians(1) > LARGEST_TURN


def test_bones_between_those_that_dance_are_as_bound_not_as_saved(own_rng):
    """A bone between pelvis and hip, saved turned on one side alone, must not turn the character."""
    body = character("mixamo", own_rng)
    rig = rig_of(body)
    hip, count = rig.found["left_hip"], len(rig.names)
    order = [*range(hip), count, *range(hip, count)]  # parents before children
    slots = {old: new for new, old in enumerate(order)}
    parents = {**dict(enumerate(rig.parents)), count: rig.parents[hip], hip: count}
    middle = rig.nodes[rig.parents[hip]].copy()
    bind = np.concatenate((rig.nodes, middle[None]))[order]
    turned = rot.matrix_from_axis_angle(torch.tensor([0.0, 0.3, 0.0], dtype=torch.float64)).numpy()
    nodes = np.concatenate((rig.nodes, middle[None]))
    whole = np.eye(4)
    whole[:3, :3] = turned
    pivot = np.eye(4)
    pivot[:3, 3] = middle[:3, 3]
    for bone in [count, *(rig.found[f"left_{joint}"] for joint in ("hip", "knee", "ankle", "foot"))]:
        nodes[bone] = pivot @ whole @ np.linalg.inv(pivot) @ nodes[bone]
    rig = replace(
        rig,
        names=tuple((*rig.names, "socket")[old] for old in order),
        parents=tuple(slots.get(parents[old], -1) for old in order),
        nodes=nodes[order],
        found={name: slots[bone] for name, bone in rig.found.items()},
        jointed=np.ones(count + 1, bool),
        bind=bind,
    )
    at_rest = anatomy(rig, SMPL24)
    np.testing.assert_allclose(at_rest.turn, np.eye(3), atol=1e-9)
    made = dance_on_rig(standing(5, fps=30.0), rig, hands=False)
    assert slots[count] in made.rotations  # written as bound


@pytest.mark.parametrize("joint", ["left_ankle", "right_knee", "left_wrist"])
def test_limbs_beside_the_body_are_refused(own_rng, joint):
    """Some exporters flatten skeletons: such a foot would stay where it is."""
    rig = rig_of(character("mixamo", own_rng))
    parents = list(rig.parents)
    parents[rig.found[joint]] = -1
    with pytest.raises(InputError, match=rig.names[rig.found[joint]]):
        dance_on_rig(standing(4, fps=30.0), replace(rig, parents=tuple(parents)))


def test_every_toe_bends_where_each_has_a_bone(own_rng):
    body = character("mixamo", own_rng)
    rig = rig_of(body)
    ball = rig.found["left_foot"]
    beside = rig.nodes[ball].copy()
    beside[:3, 3] += [0.03, 0.0, -0.02]
    rig = replace(
        rig,
        names=(*rig.names, "little toe"),
        parents=(*rig.parents, rig.parents[ball]),
        nodes=np.concatenate((rig.nodes, beside[None])),
        jointed=np.ones(len(rig.names) + 1, bool),
    )
    made = dance_on_rig(wandering(own_rng, frames=20, fps=30.0), rig, hands=False)
    np.testing.assert_allclose(made.rotations[len(rig.names) - 1], made.rotations[ball], atol=1e-9)
