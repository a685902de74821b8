"""Other people's dances: whatever wrote them, they come back as the movement they were."""

import pickle

import numpy as np
import pytest
import torch

from longdance.errors import InputError
from longdance.export.amass import save_amass
from longdance.motion import rotations as rot
from longdance.motion.dance_files import motion_of_joints
from longdance.motion.layout import LAYOUTS
from longdance.motion.motion import Motion
from longdance.motion.skeleton import SMPL24
from longdance.motion.smpl_files import SMPL_LEG_LENGTH, Z_TO_Y
from sample_motions import standing, wandering

SCALE = SMPL_LEG_LENGTH / SMPL24.leg_length


def axis_angle(rotations: np.ndarray) -> np.ndarray:
    return rot.axis_angle_from_matrix(torch.from_numpy(rotations)).numpy()


def z_up(motion: Motion) -> tuple[np.ndarray, np.ndarray]:
    """Poses (frames, 24, 3) and translation of SMPL's body in a world with z up."""
    rotations = motion.rotations.copy()
    rotations[:, 0] = Z_TO_Y.T @ rotations[:, 0]
    return axis_angle(rotations), motion.root_position @ Z_TO_Y * SCALE


def same(back: Motion, motion: Motion, atol: float = 1e-3) -> None:
    """Equal but for a constant height: each reader puts the dance on its floor."""
    count = min(22, len(back.skeleton))
    apart = (back.joints() - motion.joints())[:, :count]
    apart -= np.array([0, 1, 0]) * apart[..., 1].mean()
    assert np.abs(apart).max() < atol
    ankles = [SMPL24.index("left_ankle"), SMPL24.index("right_ankle")]
    assert 0.04 < np.percentile(back.joints()[:, ankles, 1].min(1), 5) < 0.12


def test_our_own_amass_comes_back(tmp_path, rng):
    motion = wandering(rng, frames=30)
    save_amass(motion, tmp_path / "a.amass.npz")
    back = Motion.load(tmp_path / "a.amass.npz")
    body = list(range(22))
    np.testing.assert_allclose(back.joints()[:, body], motion.joints()[:, body], atol=1e-5)
    assert back.fps == motion.fps


@pytest.mark.parametrize("joints", [22, 24, 52, 55])
@pytest.mark.parametrize("rate", ["mocap_framerate", "mocap_frame_rate"])
def test_amass_of_every_body_model(tmp_path, rng, joints, rate):
    motion = wandering(rng, frames=20)
    poses, trans = z_up(motion)
    full = np.zeros((20, joints, 3))
    full[:, : min(joints, 22)] = poses[:, :22]
    np.savez(tmp_path / "a.npz", poses=full.reshape(20, -1), trans=trans, gender="female", **{rate: 60.0})
    back = Motion.load(tmp_path / "a.npz")
    assert back.fps == 60
    same(back, motion)


@pytest.mark.parametrize("up", ["y", "z"])
def test_the_upward_axis_and_the_rate_can_be_told(tmp_path, rng, up):
    motion = wandering(rng, frames=20)
    poses, trans = z_up(motion) if up == "z" else (axis_angle(motion.rotations), motion.root_position * SCALE)
    np.savez(tmp_path / "a.npz", poses=poses[:, :22].reshape(20, -1), trans=trans)
    with pytest.raises(InputError, match="source-fps"):
        Motion.load(tmp_path / "a.npz")
    back = Motion.load(tmp_path / "a.npz", fps=25, up=up)
    assert back.fps == 25
    same(back, motion)


def test_edge_and_aistpp_pickles(tmp_path, rng):
    motion = wandering(rng, frames=20)
    poses, trans = z_up(motion)
    record = {"smpl_poses": poses.reshape(20, -1), "smpl_trans": trans, "full_pose": motion.joints() @ Z_TO_Y}
    (tmp_path / "edge.pkl").write_bytes(pickle.dumps(record))
    back = Motion.load(tmp_path / "edge.pkl")
    assert back.fps == 30
    same(back, motion)
    poses = axis_angle(motion.rotations).reshape(20, -1)
    record = {"smpl_poses": poses, "smpl_trans": motion.root_position * SCALE * 93.7, "smpl_scaling": np.array([93.7])}
    (tmp_path / "aist.pkl").write_bytes(pickle.dumps(record))
    back = Motion.load(tmp_path / "aist.pkl")
    assert back.fps == 60
    same(back, motion)


def test_pickles_that_would_run_something_are_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "mark"), "w"))

    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"smpl_poses": Evil()}))
    with pytest.raises(InputError, match=r"a\.pkl"):
        Motion.load(tmp_path / "a.pkl")
    assert not (tmp_path / "mark").exists()


def test_features_of_lodge_edge_and_finedance(tmp_path, rng):
    motion = wandering(rng, frames=20, fps=30.0)
    for layout in (layout for layout in LAYOUTS.values() if not layout.grounded):
        body = Motion(
            motion.root_position, motion.rotations[:, : len(layout.skeleton)], fps=30.0, skeleton=layout.skeleton
        )
        np.save(tmp_path / "a.npy", layout.encode(body))
        np.testing.assert_allclose(Motion.load(tmp_path / "a.npy").joints(), body.joints(), atol=1e-4)
    sixd = rot.matrix_to_6d(torch.from_numpy(motion.rotations)).numpy()
    rows = np.tile(np.array([1.0, 0, 0, 0, 1, 0]), (20, 52, 1))
    rows[:, :22] = sixd[:, :22]
    values = np.concatenate((motion.root_position * SCALE, rows.reshape(20, -1)), axis=1)
    for front in (0, 4):
        np.save(tmp_path / "b.npy", np.pad(values, ((0, 0), (front, 0))))
        same(Motion.load(tmp_path / "b.npy"), motion)


@pytest.mark.parametrize("count", [22, 24])
@pytest.mark.parametrize("up", [None, "y", "z"])
def test_joints_are_followed(tmp_path, rng, count, up):
    motion = wandering(rng, frames=30, fps=30.0)
    joints = motion.joints()[:, :count] * 0.9
    if up == "z":
        joints = joints @ Z_TO_Y
    np.save(tmp_path / "a.npy", joints)
    back = Motion.load(tmp_path / "a.npy", fps=24, up=up)
    assert back.fps == 24
    apart = back.joints()[:, :22] - motion.joints()[:, :22]
    apart -= np.median(apart, axis=(0, 1))
    assert np.linalg.norm(apart, axis=-1).mean() < 0.03
    np.save(tmp_path / "flat.npy", joints.reshape(30, -1))
    np.testing.assert_array_equal(Motion.load(tmp_path / "flat.npy", fps=24, up=up).rotations, back.rotations)


def test_one_frame_of_joints_will_do():
    back = motion_of_joints(standing(1).joints(), 30.0)
    assert np.abs(back.joints()[0] - standing(1).joints()[0]).max() < 0.05


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("a.pkl", pickle.dumps({"keypoints": np.zeros((3, 2))}), "AIST"),
        ("a.pkl", b"\x80\x04broken", "pickle"),
        ("a.npy", b"no array", "npy"),
        ("a.npz", b"no zip", "npz"),
    ],
)
def test_what_is_no_dance_is_refused_by_name(tmp_path, name, content, match):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=match) as caught:
        Motion.load(tmp_path / name)
    assert name in str(caught.value)


def test_wrong_shapes_and_options_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((5, 7)))
    np.save(tmp_path / "nan.npy", np.full((5, 24, 3), np.nan))
    np.savez(tmp_path / "a.npz", poses=np.zeros((5, 100)), trans=np.zeros((5, 3)), mocap_framerate=60.0)
    for name in ("a.npy", "nan.npy", "a.npz"):
        with pytest.raises(InputError, match=name):
            Motion.load(tmp_path / name)
    with pytest.raises(InputError, match="actor"):
        Motion.load(tmp_path / "a.npy", actor=2)
    with pytest.raises(InputError, match="upward axis"):
        Motion.load(tmp_path / "a.npy", up="x")


def test_real_sequences_are_dances(shared_data):
    paths = [path for path in (shared_data / "aistpp_sample").rglob("*.pkl") if "keypoint" not in str(path)]
    heads = []
    for path in paths:
        motion = Motion.load(path)
        assert motion.fps == 60
        heads.append(np.median(motion.joints()[:, SMPL24.index("head"), 1]))
    assert 0.3 < min(heads) < max(heads) < 1.7
    assert max(heads) > 1.2
