"""Floor work: bodies that lie, kick, stand on their hands or wheel, whatever the file's axes and proportions."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from longdance.motion.bvh import BvhFile, load_bvh_motion, read_bvh
from longdance.motion.directions import turn_angle, unit
from longdance.motion.filters import interpolate, interpolate_rotations, sample_times
from longdance.motion.landmarks import bvh_landmarks
from longdance.motion.motion import Motion
from longdance.motion.retarget import retarget_bvh
from longdance.motion.skeleton import SMPL24, Skeleton
from longdance.motion.support import CLEARANCE
from sample_motions import foreign_bvh

BONES = [
    (f"{side}_{one}", f"{side}_{two}")
    for side in ("left", "right")
    for one, two in (("hip", "knee"), ("knee", "ankle"), ("ankle", "foot"), ("shoulder", "elbow"), ("elbow", "wrist"))
]
Z_UP = Rotation.from_euler("x", 90, degrees=True).as_matrix()


def other_body(rng: np.random.Generator) -> Skeleton:
    """Our joints with longer or shorter arms, trunk and hips."""
    offsets = SMPL24.offsets.copy()
    for joints, factor in (
        (("elbow", "wrist"), rng.uniform(0.9, 1.1)),
        (("spine1", "spine2", "spine3", "neck"), rng.uniform(0.9, 1.15)),
        (("hip", "collar"), rng.uniform(0.9, 1.15)),
    ):
        for index, name in enumerate(SMPL24.names):
            if name.endswith(joints):
                offsets[index] = offsets[index] * factor
    return Skeleton(SMPL24.names, SMPL24.parents, offsets * rng.uniform(0.7, 1.3))


def posed(turns: dict[str, tuple[str, list[float]]], body: Skeleton, *, frames: int, yaw: float, fps: float) -> Motion:
    """A pose held, degrees of Euler turns by joint, its lowest part on the floor by the clearance of its joints."""
    rotations = np.tile(np.eye(3), (frames, len(body), 1, 1))
    for name, (axes, degrees) in turns.items():
        rotations[:, body.index(name)] = Rotation.from_euler(axes, degrees, degrees=True).as_matrix()
    rotations[:, 0] = Rotation.from_euler("y", yaw, degrees=True).as_matrix() @ rotations[:, 0]
    return on_the_floor(Motion(np.zeros((frames, 3)), rotations, fps=fps, skeleton=body))


def clearances(body: Skeleton) -> np.ndarray:
    """(joints,) metres of each joint over what it lies on; joints inside of the body have none."""
    size = body.leg_length / SMPL24.leg_length
    gaps = [CLEARANCE.get(name.split("_")[-1], np.inf if "spine" in name else 0.0) for name in body.names]
    return size * np.array([-np.inf if gap == np.inf else gap for gap in gaps])


def on_the_floor(motion: Motion) -> Motion:
    low = (motion.joints()[..., 1] - clearances(motion.skeleton))[:, clearances(motion.skeleton) > 0].min(1)
    return replace(motion, root_position=motion.root_position - np.array([0, 1.0, 0]) * low[:, None])


ARMS_DOWN = {"left_shoulder": ("z", [-70.0]), "right_shoulder": ("z", [70.0])}
ARMS_UP = {"left_shoulder": ("z", [85.0]), "right_shoulder": ("z", [-85.0])}
POSES = {
    "on the back": {"pelvis": ("x", [-90.0]), **ARMS_DOWN},
    "on the belly": {"pelvis": ("x", [90.0]), **ARMS_UP, "left_ankle": ("x", [60.0]), "right_ankle": ("x", [60.0])},
    "on the side": {"pelvis": ("zx", [80.0, 8.0]), **ARMS_UP},
    "handstand": {"pelvis": ("x", [180.0]), **ARMS_UP, "left_ankle": ("x", [50.0]), "right_ankle": ("x", [50.0])},
    "kick": {**ARMS_DOWN, "left_hip": ("x", [-80.0]), "left_knee": ("x", [15.0]), "left_ankle": ("x", [45.0])},
    "one leg drawn up": {**ARMS_DOWN, "left_hip": ("x", [-90.0]), "left_knee": ("x", [90.0])},
}


def bone_angles(ours: np.ndarray, theirs: np.ndarray, one: str, two: str) -> np.ndarray:
    """(frames,) degrees between the bones of two bodies (frames, joints, 3)."""
    a, b = (unit(joints[:, SMPL24.index(two)] - joints[:, SMPL24.index(one)]) for joints in (ours, theirs))
    return np.degrees(np.arccos(np.clip((a * b).sum(-1), -1, 1)))


def compared(tmp_path, motion: Motion, rig: str, **how) -> tuple[Motion, dict[str, float]]:
    """The motion as read from a file of the rig, and degrees between the bones of both, at most over the clip."""
    path = tmp_path / "clip.bvh"
    path.write_text(foreign_bvh(motion, rig, **how))
    back = load_bvh_motion(path)
    ours, theirs = back.joints(), motion.joints()
    angles = {two: float(bone_angles(ours, theirs, one, two).max()) for one, two in BONES}
    return back, angles


def rest_turned(turn: np.ndarray) -> dict:
    """A file in which world and rest pose are turned alike."""
    return {"world": turn, "frames_of_bones": np.tile(turn.T, (len(SMPL24), 1, 1))}


@pytest.mark.parametrize("frames", [1, 40])
@pytest.mark.parametrize("axis", ["y", "z"])
@pytest.mark.parametrize("pose", POSES)
def test_a_held_pose_is_kept_and_touches_the_floor(tmp_path, rng, pose, axis, frames):
    yaw = rng.uniform(-180, 180)
    motion = posed(POSES[pose], other_body(rng), frames=frames, yaw=yaw, fps=float(rng.choice([25, 30, 60, 120])))
    back, angles = compared(tmp_path, motion, "cmu", **(rest_turned(Z_UP) if axis == "z" else {}))
    assert max(angles.values()) < 12, angles
    assert np.median(list(angles.values())) < 4, angles
    gaps = clearances(SMPL24)
    low = (back.joints()[..., 1] - gaps)[:, gaps > 0].min(1)
    assert np.abs(low).max() < 0.02
    if pose == "handstand":
        hands = back.joints()[:, [SMPL24.index("left_hand"), SMPL24.index("right_hand")], 1]
        assert hands.max() < 0.05


def test_a_cartwheel_goes_over_its_hands(tmp_path, rng):
    """A star that rolls sideways: two steps, two hands, two feet."""
    frames, body = 90, other_body(rng)
    rotations = np.tile(np.eye(3), (frames, len(body), 1, 1))
    star = {"left_shoulder": ("z", 60), "right_shoulder": ("z", -60), "left_hip": ("z", 25), "right_hip": ("z", -25)}
    for joint, (axes, degrees) in star.items():
        rotations[:, body.index(joint)] = Rotation.from_euler(axes, degrees, degrees=True).as_matrix()
    roll = np.clip(np.linspace(-60, 420, frames), 0, 360)
    rotations[:, 0] = Rotation.from_euler("z", -roll[:, None], degrees=True).as_matrix()
    root = np.column_stack((roll / 120, np.zeros(frames), np.zeros(frames)))
    motion = on_the_floor(Motion(root, rotations, fps=30, skeleton=body))
    back, angles = compared(tmp_path, motion, "mixamo")
    assert max(angles[bone] for _, bone in BONES if not bone.endswith("foot")) < 15, angles
    joints = back.joints()
    assert joints[..., 1].min() > -0.02
    over = joints[np.abs(roll - 180) < 20]
    assert over[:, SMPL24.index("head"), 1].max() < over[:, 0, 1].min()
    hands = over[:, [SMPL24.index("left_hand"), SMPL24.index("right_hand")], 1].min(1)
    assert hands.max() < 0.06


def test_a_file_whose_root_turns_an_upright_body_to_z_is_z_up(tmp_path, rng):
    """The rest pose stands along y, the clip along z."""
    motion = posed({"left_elbow": ("y", [-30.0])}, other_body(rng), frames=20, yaw=35.0, fps=30.0)
    back, angles = compared(tmp_path, motion, "cmu", world=Z_UP)
    assert max(angles.values()) < 12
    assert back.joints()[:, SMPL24.index("head"), 1].min() > 1.3


def resampled(source: BvhFile, fps: float) -> BvhFile:
    at = sample_times(source.frames, source.fps, fps)
    turns = interpolate_rotations(source.rotations, at)
    return replace(source, fps=fps, positions=interpolate(source.positions, at), rotations=turns)


@pytest.mark.parametrize("clip", ["05_05", "05_10", "05_17", "05_19"])
def test_legs_of_a_real_capture_come_right_at_every_rate(shared_data, monkeypatch, clip):
    """Stretches of these clips, captured at 60 frames per second, have the right leg turned half round."""
    source = read_bvh(shared_data / "cmu" / f"{clip}.bvh")
    legs = [SMPL24.index("right_hip"), SMPL24.index("right_knee")]

    def quick(motion: Motion) -> float:
        """Share of the turns of the right leg that are quicker than 30 radians per second."""
        turns = turn_angle(motion.rotations[:-1, legs], motion.rotations[1:, legs]) * motion.fps
        return float((turns > 30).mean())

    back = {fps: retarget_bvh(resampled(source, fps)) for fps in (30.0, 60.0, 120.0)}
    with monkeypatch.context() as patch:
        patch.setattr("longdance.motion.retarget.unswivel", lambda landmarks, side: None)
        as_captured = retarget_bvh(source)
    assert quick(back[60.0]) < 0.01
    assert quick(back[60.0]) < quick(as_captured) / 2
    for fps, every, of in ((30.0, 1, 2), (120.0, 2, 1)):
        ours, same = back[fps].joints()[::every], back[60.0].joints()[::of]
        count = min(len(ours), len(same))
        angles = [bone_angles(ours[:count], same[:count], one, two) for one, two in BONES]
        assert np.percentile(angles, 95) < 3
        assert np.percentile(angles, 99) < 10
    # The toes still point where the source's do, but where the leg was turned.
    points = bvh_landmarks(source).positions
    toes = unit(points["right_foot"] - points["right_ankle"])
    joints = back[60.0].joints()
    ours = unit(joints[:, SMPL24.index("right_foot")] - joints[:, SMPL24.index("right_ankle")])
    assert ((toes * ours).sum(-1) > 0.7).mean() > 0.9


@pytest.mark.parametrize("clip", ["85_04", "85_12", "85_14"])
def test_breaking_stays_on_the_floor(shared_data, clip):
    """Hands come as near to the floor as the captured ones, and nothing goes through it."""
    source = shared_data / "cmu" / f"{clip}.bvh"
    back = load_bvh_motion(source)
    points = bvh_landmarks(read_bvh(source)).positions
    leg = sum(
        np.median(np.linalg.norm(points[f"left_{a}"] - points[f"left_{b}"], axis=-1))
        for a, b in (("hip", "knee"), ("knee", "ankle"))
    )
    joints, scale = back.joints(), SMPL24.leg_length / leg
    heel = np.percentile(points["left_ankle"][:, 1], 5) * scale - 0.08
    wrists = np.stack([points[f"{side}_wrist"][:, 1] * scale - heel for side in ("left", "right")], 1)
    ours = joints[:, [SMPL24.index("left_wrist"), SMPL24.index("right_wrist")], 1]
    near = wrists < 0.12
    assert near.mean() > 0.02
    assert np.abs(ours - wrists)[near].max() < 0.05
    assert joints[..., 1].min() > -0.005
    assert np.percentile(joints[..., 1].min(1), 95) < 0.1
