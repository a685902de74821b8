"""Retargeting: the same movement in other rigs comes back, and nothing flips on the way."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from longdance.errors import InputError
from longdance.motion.bvh import load_bvh_motion, read_bvh
from longdance.motion.joint_names import match_names
from longdance.motion.motion import Motion
from longdance.motion.retarget import fit_keypoints, retarget_bvh
from longdance.motion.skeleton import SMPL24
from sample_motions import RIGS, foreign_bvh, rig_name, standing, wandering


def retargeted(tmp_path, motion: Motion, rig: str, **how) -> Motion:
    path = tmp_path / "foreign.bvh"
    path.write_text(foreign_bvh(motion, rig, **how))
    return load_bvh_motion(path)


def errors(one: Motion, other: Motion) -> np.ndarray:
    """(frames, joints) metres between two motions of one skeleton, apart from a constant shift (the floor)."""
    apart = one.joints() - other.joints()
    return np.linalg.norm(apart - np.median(apart, axis=(0, 1)), axis=-1)


def largest_turn(motion: Motion) -> float:
    """Degrees of the largest turn of any joint against its parent from one frame to the next."""
    steps = np.swapaxes(motion.rotations[:-1], -1, -2) @ motion.rotations[1:]
    cosines = (np.trace(steps, axis1=-2, axis2=-1) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosines, -1, 1))).max())


def random_frames(rng: np.random.Generator) -> np.ndarray:
    return Rotation.random(len(SMPL24), random_state=int(rng.integers(1 << 31))).as_matrix()


@pytest.mark.parametrize("rig", RIGS)
def test_every_rig_is_recognised_and_followed(tmp_path, rng, rig):
    motion = wandering(rng)
    back = retargeted(tmp_path, motion, rig)
    error = errors(motion, back)
    assert error.mean() < 0.012, error.mean(0).round(3)
    assert error.max() < 0.06


@pytest.mark.parametrize(
    "how",
    [
        {"scale": 1.0, "order": "ZXY"},
        {"scale": 39.37, "order": "XYZ"},
        {"scale": 5.6444, "order": "YXZ"},
        {"world": Rotation.from_euler("x", 90, degrees=True).as_matrix()},
    ],
    ids=["metres", "inches", "odd unit", "z up"],
)
def test_units_orders_and_axes_do_not_matter(tmp_path, rng, how):
    motion = wandering(rng)
    assert errors(motion, retargeted(tmp_path, motion, "cmu", **how)).mean() < 0.012


@pytest.mark.parametrize("rig", ["mixamo", "biped"])
def test_the_rest_pose_of_the_source_does_not_matter(tmp_path, rng, rig):
    motion = wandering(rng)
    back = retargeted(tmp_path, motion, rig, frames_of_bones=random_frames(rng))
    error = errors(motion, back)
    # Pelvis, chest and head are known from hips, shoulders and an average only.
    assert error.mean() < 0.03, error.mean(0).round(3)


def test_another_body_lands_on_its_feet(tmp_path, rng):
    motion = wandering(rng, frames=240)
    tall = Motion(
        motion.root_position * 1.4,
        motion.rotations,
        fps=motion.fps,
        skeleton=type(SMPL24)(SMPL24.names, SMPL24.parents, SMPL24.offsets * 1.4),
    )
    assert errors(motion, retargeted(tmp_path, tall, "cmu")).mean() < 0.012


def test_a_standing_body_stands(tmp_path):
    motion = standing()
    back = retargeted(tmp_path, motion, "mixamo", scale=100.0)
    joints = back.joints()
    for side in ("left", "right"):
        np.testing.assert_allclose(joints[:, SMPL24.index(f"{side}_ankle"), 1], 0.08, atol=2e-3)
        np.testing.assert_allclose(joints[:, SMPL24.index(f"{side}_foot"), 1], 0.02, atol=2e-3)
    assert np.abs(np.diff(joints, axis=0)).max() < 1e-6
    left, right = (joints[0, SMPL24.index(f"{side}_wrist")] for side in ("left", "right"))
    assert left[0] > 0 > right[0]
    ahead = back.rotations[0, 0] @ np.array([0, 0, 1.0])
    np.testing.assert_allclose(ahead, [0, 0, 1], atol=0.05)


def test_straight_limbs_and_full_turns_do_not_flip(tmp_path):
    frames = 240
    swing = np.sin(np.linspace(0, 6 * np.pi, frames))
    rotations = np.tile(np.eye(3), (frames, 24, 1, 1))

    def turn(joint: str, axis: str, degrees: np.ndarray) -> None:
        rotations[:, SMPL24.index(joint)] = Rotation.from_euler(axis, degrees[:, None], degrees=True).as_matrix()

    turn("pelvis", "y", np.linspace(0, 720, frames))
    for side, sign in (("left", 1), ("right", -1)):
        # Through exactly straight, with the whole limb circling meanwhile.
        turn(f"{side}_elbow", "y", -sign * 60 * np.maximum(swing, 0))
        turn(f"{side}_shoulder", "z", sign * (80 * np.cos(np.linspace(0, 4 * np.pi, frames)) - 10))
        turn(f"{side}_knee", "x", 70 * np.maximum(-swing, 0))
        turn(f"{side}_hip", "x", -40 * (1 + np.sin(np.linspace(0, 5 * np.pi, frames))))
    root = np.tile([0.0, 1.0, 0.0], (frames, 1))
    motion = Motion(root, rotations, fps=60)
    back = retargeted(tmp_path, motion, "cmu", frames_of_bones=random_frames(np.random.default_rng(3)))
    assert largest_turn(back) < 3 * largest_turn(motion) < 30
    bends = np.degrees(Rotation.from_matrix(back.rotations[:, SMPL24.index("left_knee")]).as_rotvec()[:, 0])
    assert bends.min() > -1


def test_a_leg_swivelled_half_round_is_turned_back(tmp_path, rng):
    motion = standing(frames=120)
    broken = motion.rotations.copy()
    places, turns = motion.forward_kinematics()
    hip, knee, ankle = (SMPL24.index(f"left_{joint}") for joint in ("hip", "knee", "ankle"))
    axis = places[60, ankle] - places[60, hip]
    half = Rotation.from_rotvec(np.pi * axis / np.linalg.norm(axis)).as_matrix()
    broken[50:70, hip] = half @ turns[50:70, hip]
    path = tmp_path / "a.bvh"
    path.write_text(foreign_bvh(Motion(motion.root_position, broken, fps=60), "cmu"))
    source = read_bvh(path)
    assert abs(np.diff(source.forward_kinematics()[0][:, source.names.index("LeftLeg")], axis=0)).max() > 15
    back = retarget_bvh(source)
    assert largest_turn(back) < 1
    assert errors(motion, back)[:, [hip, knee, ankle]].max() < 0.02


def test_unknown_names_are_listed():
    with pytest.raises(InputError, match=r"left_knee.*right_wrist.*tail_1"):
        match_names(("Hips", "LeftUpLeg", "RightUpLeg", "tail_1", "Head"))


@pytest.mark.parametrize("rig", RIGS)
def test_names_match_one_to_one(rig):
    names = tuple(rig_name(rig, joint) for joint in SMPL24.names)
    found = match_names(names)
    for joint in SMPL24.names:
        if not joint.startswith("spine") and not (rig == "neo" and joint.endswith("hand")):
            assert found[joint] == SMPL24.names.index(joint)


def test_twist_bones_and_fingers_do_not_confuse():
    names = [
        "Hips",
        "Spine",
        "Spine1",
        "Spine2",
        "Neck",
        "Neck1",
        "Head",
        "LeftShoulder",
        "LeftArm",
        "LeftArmRoll",
        "LeftForeArm",
        "LeftForeArmRoll",
        "LeftHand",
        "LeftHandThumb1",
        "LeftHandIndex1",
        "LeftHandMiddle1",
        "LeftHandPinky1",
        "RightShoulder",
        "RightArm",
        "RightForeArm",
        "RightHand",
        "LHipJoint",
        "LeftUpLeg",
        "LeftLeg",
        "LeftFoot",
        "LeftToeBase",
        "RHipJoint",
        "RightUpLeg",
        "RightLeg",
        "RightFoot",
        "RightToeBase",
    ]
    found = match_names(tuple(names))
    assert names[found["left_hip"]] == "LeftUpLeg"
    assert names[found["left_shoulder"]] == "LeftArm"
    assert names[found["left_hand"]] == "LeftHandMiddle1"
    assert names[found["neck"]] == "Neck"


def test_keypoints_of_another_body_come_back(rng):
    motion = wandering(rng, frames=180)
    joints, turns = motion.forward_kinematics()
    heels = [joints[:, SMPL24.index(f"{side}_ankle")] + turns[:, SMPL24.index(f"{side}_ankle")] @ [0, -0.06, -0.05]
             for side in ("left", "right")]  # fmt: skip
    names = (*SMPL24.names, "left_heel", "right_heel")
    points = np.concatenate((joints, np.stack(heels, 1)), axis=1) * 0.76
    back = fit_keypoints(
        points,
        names,
        motion.fps,
        pelvis_forward=turns[:, 0, :, 2],
        torso_forward=turns[:, SMPL24.index("spine3"), :, 2],
    )
    error = errors(motion, back)
    body = [i for i, name in enumerate(SMPL24.names) if name != "head"]  # the neck stays at rest
    assert error[:, body].mean() < 0.02, error.mean(0).round(3)


def test_missing_keypoints_are_named(rng):
    with pytest.raises(InputError, match="left_knee"):
        fit_keypoints(
            np.zeros((2, 1, 3)), ("pelvis",), 60.0, pelvis_forward=np.ones((2, 3)), torso_forward=np.ones((2, 3))
        )


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_a_few_frames_will_do(tmp_path, rng, frames):
    motion = wandering(rng, frames=60).slice(20, 20 + frames)
    back = retargeted(tmp_path, motion, "mixamo")
    assert back.frames == frames
    assert errors(motion, back).mean() < 0.03


def test_feet_never_change_sides(rng):
    """A source with wide hips and its feet close together: a robot's stance."""
    motion = standing(frames=60)
    wide = SMPL24.offsets.copy()
    for side in ("left", "right"):
        wide[SMPL24.index(f"{side}_hip")] *= [1.8, 1, 1]
    rotations = motion.rotations.copy()
    for side, sign in (("left", -1), ("right", 1)):
        hip = SMPL24.index(f"{side}_hip")
        inward = Rotation.from_euler("z", sign * 10, degrees=True).as_matrix()
        rotations[:, hip] = inward @ rotations[:, hip]
    body = type(SMPL24)(SMPL24.names, SMPL24.parents, wide)
    source = Motion(motion.root_position, rotations, fps=60, skeleton=body)
    joints, turns = source.forward_kinematics()
    back = fit_keypoints(
        joints,
        SMPL24.names,
        60.0,
        pelvis_forward=turns[:, 0, :, 2],
        torso_forward=turns[:, SMPL24.index("spine3"), :, 2],
    ).joints()
    before, after = (j[:, SMPL24.index("left_ankle"), 0] - j[:, SMPL24.index("right_ankle"), 0] for j in (joints, back))
    assert 0 < before.mean() < 0.1
    assert 0 < after.mean() < before.mean()
