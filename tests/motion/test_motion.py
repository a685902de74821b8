"""``Motion``: resampling, mirroring, turning, and files that survive the way there and back."""

import gc
import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from longdance.errors import InputError
from longdance.motion.motion import Motion
from longdance.motion.skeleton import SMPL22, SMPL24, Skeleton


def smooth_motion(frames: int = 121, fps: float = 60.0, *, skeleton=SMPL24, seed: int = 1) -> Motion:
    """Sways of 0.4 to 1 Hz in every joint, the same for every frame rate."""
    rng = np.random.default_rng(seed)
    time = np.arange(frames)[:, None, None] / fps
    joints = len(skeleton)
    size, speed, phase = (
        rng.normal(size=(joints, 3)) * 0.5,
        rng.uniform(0.4, 1, (joints, 3)),
        rng.uniform(0, 6, (joints, 3)),
    )
    vectors = size * np.sin(2 * np.pi * speed * time + phase)
    turns = Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix().reshape(frames, joints, 3, 3)
    root = 0.3 * np.sin(2 * np.pi * speed[0] * time[:, 0] + phase[0]) + [0, 0.9, 0]
    return Motion(root, turns, fps=fps, skeleton=skeleton, meta={"genre": "salsa", "beat_times": [0.5, 1.0]})


def assert_same(first: Motion, second: Motion, atol: float):
    assert first.fps == second.fps
    np.testing.assert_allclose(first.root_position, second.root_position, atol=atol)
    np.testing.assert_allclose(first.rotations, second.rotations, atol=atol)


def test_lengths_and_types():
    motion = Motion(
        np.zeros((30, 3), np.float32), np.tile(np.eye(3, dtype=np.float32), (30, 24, 1, 1)), fps=60
    )
    assert (motion.frames, motion.seconds, motion.fps) == (30, 0.5, 60.0)
    assert motion.root_position.dtype == motion.rotations.dtype == motion.joints().dtype == np.float64
    assert motion.joints().shape == (30, 24, 3)
    assert motion.global_rotations().shape == (30, 24, 3, 3)


@pytest.mark.parametrize("shape", [(30, 22, 3, 3), (29, 24, 3, 3), (30, 24, 6)])
def test_shapes_that_do_not_belong_together_are_refused(shape):
    with pytest.raises(ValueError, match="expected root"):
        Motion(np.zeros((30, 3)), np.zeros(shape), fps=60.0)


def test_a_motion_is_not_tied_to_the_arrays_it_came_from():
    motion = smooth_motion(10)
    part = motion.slice(2, 6)
    assert part.frames == 4
    np.testing.assert_array_equal(part.joints(), motion.joints()[2:6])


@pytest.mark.parametrize(("fps", "target"), [(60, 30), (30, 60), (60, 25), (24, 60), (120, 30)])
def test_resampling_gives_the_same_movement_at_another_rate(fps, target):
    source, expected = smooth_motion(4 * fps + 1, fps), smooth_motion(4 * target + 1, target)
    found = source.resample(target)
    assert found.fps == target
    assert found.frames == expected.frames
    inside = slice(target // 2, -target // 2)
    error = np.linalg.norm(found.joints() - expected.joints(), axis=-1)[inside]
    assert error.max() < 0.01


def test_resampling_does_not_alias():
    frames = 601
    root = np.zeros((frames, 3))
    root[:, 0] = 0.1 * np.sin(2 * np.pi * 25 * np.arange(frames) / 60)  # 25 Hz would appear as 5 Hz at 30 fps
    motion = Motion(root, np.tile(np.eye(3), (frames, 24, 1, 1)), fps=60.0)
    assert np.abs(motion.resample(30).root_position[10:-10, 0]).max() < 0.01


def test_raising_the_rate_adds_no_jerk():
    source = smooth_motion(91, 30)
    jerk = lambda motion: np.abs(np.diff(motion.joints(), 3, axis=0)).mean() * motion.fps**3  # noqa: E731
    assert jerk(source.resample(60)) < 1.1 * jerk(source)


def test_resampling_to_the_same_rate_or_a_single_frame_changes_nothing():
    motion = smooth_motion(20)
    assert_same(motion.resample(60.0), motion, 0)
    assert motion.slice(0, 1).resample(30).fps == 30


@pytest.mark.parametrize("skeleton", [SMPL24, SMPL22], ids=["smpl24", "smpl22"])
def test_the_mirrored_motion_has_the_mirrored_joints(skeleton):
    motion = smooth_motion(20, skeleton=skeleton)
    expected = motion.joints()[:, skeleton.mirror_index] * [-1, 1, 1]
    np.testing.assert_allclose(motion.mirror().joints(), expected, atol=1e-12)
    assert_same(motion.mirror().mirror(), motion, 1e-15)
    np.testing.assert_allclose(np.linalg.det(motion.mirror().rotations), 1)


def test_turning_turns_every_joint_about_the_vertical():
    motion = smooth_motion(20)
    turned = motion.turn(0.7)
    expected = motion.joints() @ Rotation.from_euler("y", 0.7).as_matrix().T
    np.testing.assert_allclose(turned.joints(), expected, atol=1e-12)
    assert_same(turned.turn(-0.7), motion, 1e-12)


def test_methods_leave_the_motion_as_it_was():
    motion = smooth_motion(40)
    root, turns = motion.root_position.copy(), motion.rotations.copy()
    motion.mirror(), motion.turn(1.0), motion.resample(30), motion.resample(90), motion.joints()
    np.testing.assert_array_equal(motion.root_position, root)
    np.testing.assert_array_equal(motion.rotations, turns)


@pytest.mark.parametrize("skeleton", [SMPL24, SMPL22], ids=["smpl24", "smpl22"])
def test_npz_keeps_the_dance(skeleton, tmp_path):
    motion = smooth_motion(20, skeleton=skeleton)
    path = tmp_path / "new" / "dance.npz"
    motion.save(path)
    again = Motion.load(str(path))
    assert_same(again, motion, 1e-5)
    assert again.meta == motion.meta
    assert again.skeleton.names == skeleton.names
    np.testing.assert_allclose(again.joints(), motion.joints(), atol=1e-5)
    assert [item.name for item in path.parent.iterdir()] == ["dance.npz"]


def test_npz_has_the_promised_keys(tmp_path):
    smooth_motion(5).save(tmp_path / "dance.npz")
    with np.load(tmp_path / "dance.npz", allow_pickle=False) as file:
        assert file["poses"].shape == (5, 24, 3)
        assert file["trans"].shape == (5, 3)
        assert file["fps"] == 60.0
        assert tuple(file["joint_names"]) == SMPL24.names
        assert file["up"] == "y"
        assert json.loads(str(file["meta"]))["genre"] == "salsa"
        expected = Rotation.from_matrix(smooth_motion(5).rotations.reshape(-1, 3, 3)).as_rotvec()
        np.testing.assert_allclose(file["poses"].reshape(-1, 3), expected, atol=1e-5)


def test_npz_keeps_other_proportions(tmp_path):
    tall = Skeleton(SMPL24.names, SMPL24.parents, SMPL24.offsets * 1.2)
    motion = smooth_motion(5, skeleton=tall)
    motion.save(tmp_path / "tall.npz")
    np.testing.assert_allclose(Motion.load(tmp_path / "tall.npz").joints(), motion.joints(), atol=1e-5)


@pytest.mark.parametrize("skeleton", [SMPL24, SMPL22], ids=["smpl24", "smpl22"])
def test_npz_of_our_proportions_comes_back_with_our_skeleton(skeleton, tmp_path):
    smooth_motion(5, skeleton=skeleton).save(tmp_path / "dance.npz")
    assert Motion.load(tmp_path / "dance.npz").skeleton is skeleton


def test_npz_keeps_a_skeleton_of_other_joints(tmp_path):
    chain = Skeleton(("root", "middle", "end"), (-1, 0, 1), np.array([[0, 0, 0], [0, 0.5, 0], [0.2, 0.1, 0]]))
    motion = smooth_motion(5, skeleton=chain)
    motion.save(tmp_path / "chain.npz")
    again = Motion.load(tmp_path / "chain.npz")
    assert (again.skeleton.names, again.skeleton.parents) == (chain.names, chain.parents)
    np.testing.assert_allclose(again.joints(), motion.joints(), atol=1e-5)


def test_npz_without_a_stored_skeleton_is_read_as_smpl(tmp_path):
    rewrite(tmp_path / "bare.npz", drop=("parents", "offsets", "meta", "up"))
    assert Motion.load(tmp_path / "bare.npz").skeleton is SMPL24


def arrays_of(motion: Motion, folder) -> dict:
    motion.save(folder / "source.npz")
    with np.load(folder / "source.npz") as file:
        return dict(file)


def rewrite(path, *, drop=(), **changed):
    """A saved dance with some keys dropped or changed."""
    arrays = arrays_of(smooth_motion(6), path.parent)
    np.savez(path, **{k: v for k, v in {**arrays, **changed}.items() if k not in drop})


DAMAGED = {
    "no poses": {"drop": ("poses",)},
    "no fps": {"drop": ("fps",)},
    "joints missing": {"poses": np.zeros((6, 23, 3))},
    "frames differ": {"trans": np.zeros((5, 3))},
    "not a number": {"trans": np.full((6, 3), np.nan)},
    "zero fps": {"fps": np.float64(0)},
    "negative fps": {"fps": np.float64(-30)},
    "fps not a number": {"fps": np.float64(np.nan)},
    "infinite fps": {"fps": np.float64(np.inf)},
    "fps in words": {"fps": np.array("sixty")},
    "fps per frame": {"fps": np.full(6, 60.0)},
    "poses beyond calculation": {"poses": np.full((6, 24, 3), 1e300)},
    "trans beyond float64": {"trans": np.full((6, 3), np.finfo(np.longdouble).max)},
    "poses in words": {"poses": np.full((6, 24, 3), "x")},
    "poses a single number": {"poses": np.float64(1)},
    "trans a single number": {"trans": np.float64(1)},
    "names a single word": {"joint_names": np.array("pelvis")},
    "unknown names": {"joint_names": np.array([f"joint{i}" for i in range(24)]), "drop": ("parents",)},
    "parents out of order": {
        "joint_names": np.array([f"joint{i}" for i in range(24)]),
        "parents": np.arange(24)[::-1],
    },
    "two roots": {"parents": np.array([-1, -1, *SMPL24.parents[2:]])},
    "a name twice": {"joint_names": np.array(["pelvis", *SMPL24.names[:23]])},
    "names as numbers": {"joint_names": np.arange(24)},
    "offsets not a number": {"offsets": np.full((24, 3), np.nan)},
    "z up": {"up": np.array("z")},
    "no joints": {"joint_names": np.array([], dtype=str), "poses": np.zeros((6, 0, 3)), "drop": ("parents",)},
    "offsets of another size": {
        "joint_names": np.array([f"joint{i}" for i in range(24)]),
        "offsets": np.zeros((3, 3)),
    },
    "broken meta": {"meta": np.array("{")},
    "meta a list": {"meta": np.array("[1]")},
    "meta nested without end": {"meta": np.array("[" * 100_000)},
    "a pickle inside": {"poses": np.array([{"a": 1}], dtype=object)},
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_files_with_unusable_contents_are_named(damage, tmp_path):
    path = tmp_path / "damaged.npz"
    rewrite(path, **damage)
    with pytest.raises(InputError, match=r"damaged\.npz"):
        Motion.load(path)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.npz"):
        Motion.load(tmp_path / "nothing.npz")


@pytest.mark.parametrize("keep", [0, 10, 200, -1, -40])
def test_files_cut_short_are_named(keep, tmp_path):
    path = tmp_path / "cut.npz"
    smooth_motion(6).save(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"cut\.npz"):
        Motion.load(path)


def test_unreadable_files_are_closed_again(tmp_path):
    path = tmp_path / "broken.npz"
    smooth_motion(6).save(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError) as caught:
        Motion.load(path)
    # While the error lives, so do the frames that may hold the file open.
    readers = [item for item in gc.get_objects() if type(item) is io.BufferedReader]
    assert caught
    assert str(path) not in [item.name for item in readers if not item.closed]


def test_files_with_flipped_bits_are_named(tmp_path):
    path = tmp_path / "flipped.npz"
    smooth_motion(6).save(path)
    whole = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        first = archive.infolist()[0]
    begin = first.header_offset + 60
    for at in range(begin, begin + 200):
        whole[at] ^= 0xFF
    path.write_bytes(whole)
    with pytest.raises(InputError, match=r"flipped\.npz"):
        Motion.load(path)


@pytest.mark.parametrize("shape", ["(-1, 3)", "(99999999999999, 3)", "(10000000000000000000000, 3)", "(("])
def test_headers_that_promise_the_impossible_are_named(shape, tmp_path):
    path = tmp_path / "header.npz"
    smooth_motion(6).save(tmp_path / "source.npz")
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    with zipfile.ZipFile(tmp_path / "source.npz") as source, zipfile.ZipFile(path, "w") as archive:
        for name in source.namelist():
            archive.writestr(name, source.read(name))
        with pytest.warns(UserWarning, match="Duplicate name"):  # the later one counts
            archive.writestr("trans.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text)
    with pytest.raises(InputError, match=r"header\.npz"):
        Motion.load(path)


@pytest.mark.parametrize(
    "header",
    ["{'descr': '<f8', 'fortran_order': False, True: (2, 3)}", "{'descr': '<f8', 1: 2}", "{'descr': {}, (): ''}", "[]"],
)
def test_headers_of_other_kinds_are_named(header, tmp_path):
    array = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(48)
    with zipfile.ZipFile(tmp_path / "header.npz", "w") as archive:
        archive.writestr("trans.npy", array)
        archive.writestr("poses.npy", array)
    (tmp_path / "header.npy").write_bytes(array)
    for name in ("header.npz", "header.npy"):
        with pytest.raises(InputError, match=name):
            Motion.load(tmp_path / name)



def test_encrypted_files_are_named(tmp_path):
    path = tmp_path / "locked.npz"
    smooth_motion(6).save(path)
    whole = bytearray(path.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        whole[whole.find(signature) + flags] |= 1
    path.write_bytes(whole)
    with pytest.raises(InputError, match=r"locked\.npz.*encrypted"):
        Motion.load(path)


def test_a_plain_array_with_the_wrong_ending_is_named(tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((4, 3)))
    (tmp_path / "array.npz").write_bytes(buffer.getvalue())
    with pytest.raises(InputError, match=r"array\.npz"):
        Motion.load(tmp_path / "array.npz")


def test_pieces_of_a_dance_become_one():
    whole = smooth_motion(50, 10.0)
    pieces = [replace(whole.slice(a, b), meta={"start": a, "beat_times": [0.5]}) for a, b in ((0, 20), (20, 50))]
    joined = Motion.joined(pieces)
    np.testing.assert_array_equal(joined.root_position, whole.root_position)
    np.testing.assert_array_equal(joined.rotations, whole.rotations)
    assert joined.meta == {"start": 0, "beat_times": [0.5, 2.5]}
    with pytest.raises(ValueError, match="frame rate"):
        Motion.joined([whole, replace(whole, fps=20.0)])
    with pytest.raises(ValueError, match="pieces"):
        Motion.joined([])
