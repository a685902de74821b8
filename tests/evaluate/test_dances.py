"""Dances by others: the formats they come in, and files that must not run or pass."""

import pickle

import numpy as np
import pytest

from conftest import swaying
from longdance.errors import InputError
from longdance.evaluate.dances import Dance, dances_in, read_dance
from longdance.motion.layout import LAYOUTS


@pytest.fixture
def motion():
    return swaying(60, 30.0)


def test_our_own_files(tmp_path, motion):
    motion.save(tmp_path / "a.npz")
    dance = read_dance(tmp_path / "a.npz")
    np.testing.assert_allclose(dance.joints, motion.joints(), atol=1e-5)
    assert (dance.fps, dance.beat_times, dance.name) == (30.0, None, "a")


def test_edge_pickles_are_turned_upright(tmp_path, motion):
    joints = motion.joints()
    z_up = np.stack((joints[..., 0], -joints[..., 2], joints[..., 1]), -1) + np.array([0, 0, 0.7])
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"full_pose": z_up, "smpl_trans": z_up[:, 0]}))
    dance = read_dance(tmp_path / "a.pkl")
    assert dance.fps == 30
    np.testing.assert_allclose(
        dance.joints - joints, (dance.joints - joints)[:1, :1].repeat(60, 0).repeat(24, 1), atol=1e-9
    )
    np.testing.assert_allclose((dance.joints - joints)[..., [0, 2]], 0, atol=1e-9)
    assert abs((dance.joints - joints)[0, 0, 1]) < 0.03  # on the floor again


@pytest.mark.parametrize("name", ["smpl24", "smpl22"])
def test_features_of_the_layouts(tmp_path, motion, name):
    layout = LAYOUTS["smpl24"]
    features = layout.encode(motion)
    if name == "smpl22":
        features = np.concatenate((features[:, :7], features[:, 7 : 7 + 22 * 6]), axis=1)
    np.save(tmp_path / "a.npy", features)
    joints = read_dance(tmp_path / "a.npy").joints
    np.testing.assert_allclose(joints, motion.joints()[:, : joints.shape[1]], atol=1e-4)


def test_flattened_joints_need_a_frame_rate(tmp_path, motion):
    np.save(tmp_path / "a.npy", motion.joints().reshape(60, -1))
    assert read_dance(tmp_path / "a.npy", fps=60).joints.shape == (60, 24, 3)
    with pytest.raises(InputError, match="--fps"):
        read_dance(tmp_path / "a.npy")


class Harmful:
    def __reduce__(self):
        return print, ("executed",)


def test_pickles_are_not_executed(tmp_path, capsys):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"full_pose": Harmful()}))
    with pytest.raises(InputError, match=r"a\.pkl"):
        read_dance(tmp_path / "a.pkl")
    np.save(tmp_path / "a.npy", np.array([Harmful()], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"a\.npy"):
        read_dance(tmp_path / "a.npy")
    assert "executed" not in capsys.readouterr().out


@pytest.mark.parametrize("array", [np.zeros((60, 5)), np.zeros((4, 24, 3)), np.full((60, 24, 3), np.nan)])
def test_arrays_that_are_no_dance(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(InputError, match=r"a\.npy"):
        read_dance(tmp_path / "a.npy", fps=30)


def test_another_frame_rate_is_the_same_dance(motion):
    dance = Dance(name="a", joints=motion.joints(), fps=30.0)
    faster = dance.at_rate(60.0)
    np.testing.assert_allclose(faster.joints[::2][:50], dance.joints[:50], atol=1e-9)


def test_one_dance_in_several_formats_counts_once(tmp_path):
    names = ("b/a.bvh", "b/a.npz", "b/a.amass.npz", "b/a.mp4", "a.bvh", "c.npy", "c.pkl", "d.amass.npz", "e-1.npz")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in dances_in(tmp_path)]
    assert found == ["a.bvh", "b/a.npz", "c.pkl", "d.amass.npz", "e-1.npz"]


def test_loudness_goes_with_the_dance_to_another_rate(motion):
    dance = Dance(name="a", joints=motion.joints(), fps=30.0, loudness=np.arange(60.0))
    again = dance.at_rate(60.0)
    np.testing.assert_allclose(again.loudness, np.arange(len(again.joints)) / 2)
    assert dance.fingerprint() != Dance(name="a", joints=motion.joints(), fps=30.0).fingerprint()
