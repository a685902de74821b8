"""The open dances: the table of clips, files made up in its formats, and the real ones where they are at hand."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from longdance.data.open import bridge_leaps, face_forward, read_clip, read_labels
from longdance.errors import InputError
from longdance.motion.contacts import speeds
from longdance.motion.skeleton import SMPL24
from sample_motions import foreign_bvh, standing, wandering

COLUMNS = ("clip", "source", "file", "fps", "seconds", "genre", "movement", "split")


def folder_of(tmp_path, *rows) -> None:
    with open(tmp_path / "labels.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows)


def keypoint_file(path, motion) -> None:
    joints, turns = motion.forward_kinematics()
    heels = [
        joints[:, SMPL24.index(f"{side}_ankle")] + turns[:, SMPL24.index(f"{side}_ankle")] @ [0, -0.06, -0.05]
        for side in ("left", "right")
    ]
    np.savez(
        path,
        positions=(np.concatenate((joints, np.stack(heels, 1)), axis=1) * 0.76).astype(np.float32),
        names=np.array((*SMPL24.names, "left_heel", "right_heel")),
        fps=np.float64(motion.fps),
        pelvis_forward=turns[:, 0, :, 2].astype(np.float32),
        torso_forward=turns[:, SMPL24.index("spine3"), :, 2].astype(np.float32),
    )


def test_labels_are_read_row_by_row(tmp_path):
    folder_of(tmp_path, ("a", "cmu", "cmu/a.bvh", "120", "3.5", "salsa", "turn, and turn", "val"))
    (label,) = read_labels(tmp_path)
    assert (label.clip, label.fps, label.movement, label.split) == ("a", 120.0, "turn, and turn", "val")
    assert label.path == tmp_path / "cmu" / "a.bvh"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("a", "cmu", "a.bvh", "fast", "1", "none", "walk", "train"), "line 2.*fps"),
        (("a", "cmu", "a.bvh", "60", "1", "none", "walk", "holdout"), "line 2.*split"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, row, message):
    folder_of(tmp_path, row)
    with pytest.raises(InputError, match=message):
        read_labels(tmp_path)


def test_a_missing_table_or_column_is_named(tmp_path):
    with pytest.raises(InputError, match=r"labels\.csv"):
        read_labels(tmp_path)
    (tmp_path / "labels.csv").write_text("clip,source\na,b\n")
    with pytest.raises(InputError, match="missing file"):
        read_labels(tmp_path)


def test_clips_of_both_formats_are_read(tmp_path, rng):
    motion = wandering(rng, frames=150)
    (tmp_path / "a.bvh").write_text(foreign_bvh(motion, "neo"))
    keypoint_file(tmp_path / "b.npz", motion)
    folder_of(
        tmp_path,
        ("a", "cmu", "a.bvh", "60", "2.5", "breaking", "six-step", "train"),
        ("b", "g1_moves", "b.npz", "60", "2.5", "disco", "disco", "train"),
    )
    for label in read_labels(tmp_path):
        clip = read_clip(label, fps=30)
        assert clip.fps == 30
        assert clip.frames == 75
        assert clip.meta == {
            "clip": label.clip,
            "source": label.source,
            "genre": label.genre,
            "movement": label.movement,
        }
        np.testing.assert_allclose(clip.root_position[0, [0, 2]], 0, atol=1e-9)
        ahead = clip.rotations[:, 0, :, 2].mean(0)
        assert abs(ahead[0]) < 0.05 < ahead[2]
        # The same dance, apart from where it is and faces.
        wanted = face_forward(motion.resample(30)).joints()
        assert np.linalg.norm((clip.joints() - wanted)[..., [0, 2]], axis=-1).mean() < 0.06


def test_broken_clips_are_named(tmp_path, rng):
    folder_of(
        tmp_path,
        ("a", "cmu", "a.bvh", "60", "1", "none", "walk", "train"),
        ("b", "g1_moves", "b.npz", "60", "1", "none", "walk", "train"),
        ("c", "g1_moves", "c.npz", "60", "1", "none", "walk", "train"),
        ("d", "g1_moves", "d.npz", "60", "1", "none", "walk", "train"),
    )
    (tmp_path / "b.npz").write_bytes(b"not a zip")
    np.savez(tmp_path / "c.npz", positions=np.zeros((3, 2, 3)))
    keypoint_file(tmp_path / "d.npz", wandering(rng, frames=4))
    with np.load(tmp_path / "d.npz") as file:
        arrays = dict(file)
    arrays["positions"][1, 0, 0] = np.nan
    np.savez(tmp_path / "d.npz", **arrays)
    for label in read_labels(tmp_path):
        with pytest.raises(InputError, match=label.path.name):
            read_clip(label)


def test_a_leap_of_the_capture_is_bridged():
    motion = standing(frames=120)
    rotations = motion.rotations.copy()
    half = np.diag([-1.0, 1.0, -1.0])
    rotations[60:62, 0] = half @ rotations[60:62, 0]
    bridged = bridge_leaps(replace(motion, rotations=rotations))
    np.testing.assert_allclose(bridged.joints(), motion.joints(), atol=1e-9)


def test_an_honest_dance_is_not_bridged(rng):
    motion = wandering(rng)
    np.testing.assert_array_equal(bridge_leaps(motion).rotations, motion.rotations)


def test_the_real_table_has_171_clips(shared_data):
    labels = read_labels(shared_data)
    assert len(labels) == 171
    assert all(label.path.is_file() for label in labels)
    pairs = {label.clip: label.split for label in labels}
    for clip, split in pairs.items():
        if clip.startswith("60_"):
            assert pairs[clip.replace("60_", "61_")] == split
    assert pairs["94_01"] == "test"  # one of the two takes of its genre
    assert pairs["94_12"] == "train"


@pytest.mark.parametrize(
    ("clip", "speed", "jerk"),
    [("05_02", 0.4, 120), ("61_10", 0.45, 210), ("85_03", 0.8, 340), ("J_ShortDance14_Disco", 0.35, 160)],
)
def test_real_clips_look_like_dances(shared_data, clip, speed, jerk):
    (label,) = [label for label in read_labels(shared_data) if label.clip == clip]
    motion = read_clip(label, fps=30)
    joints = motion.joints()
    assert speeds(joints - joints[:, :1], 30).mean() == pytest.approx(speed, rel=0.35)
    assert np.linalg.norm(np.diff(joints, 3, axis=0), axis=-1).mean() * 30**3 < jerk
    feet = joints[:, [SMPL24.index("left_foot"), SMPL24.index("right_foot")], 1]
    assert -0.005 < np.percentile(feet.min(1), 5) < 0.05
    head = joints[:, SMPL24.index("head"), 1]
    assert 1.3 < np.percentile(head, 95) < 1.7
    bends = motion.rotations[:, SMPL24.index("left_knee")] @ np.array([0, -1.0, 0])
    assert np.percentile(bends[:, 2], 95) < 0.05  # shins go backward, never forward
