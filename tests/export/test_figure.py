"""The mannequin's surface, checked as geometry."""

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from longdance.export.figure import ACCENT, SKIN, SUIT, mannequin
from longdance.motion.skeleton import SMPL22, SMPL24


@pytest.fixture(scope="module", params=[0.012, 0.015, 0.022, 0.03], ids=lambda cell: f"cell {cell}")
def figure(request):
    return mannequin(SMPL24, cell=request.param)


def signed_volume(vertices, faces):
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    return float((a * np.cross(b, c)).sum() / 6)


def test_surface_is_closed_and_consistently_wound(figure):
    edges = np.concatenate([figure.faces[:, [i, (i + 1) % 3]] for i in range(3)]).astype(np.int64)
    count = len(figure.vertices)
    forwards, backwards = edges @ [count, 1], edges @ [1, count]
    assert len(np.unique(forwards)) == len(forwards)
    assert np.array_equal(np.sort(forwards), np.sort(backwards))


def test_surface_is_one_piece_without_holes(figure):
    edges = 3 * len(figure.faces) // 2
    # Euler's number of a sphere; the closed hands and legs leave no tunnel.
    assert len(figure.vertices) - edges + len(figure.faces) == 2


def test_winding_and_normals_point_outwards(figure):
    a, b, c = (figure.vertices[figure.faces[:, i]] for i in range(3))
    agree = (np.cross(b - a, c - a) * figure.normals[figure.faces].mean(1)).sum(-1)
    assert signed_volume(figure.vertices, figure.faces) > 0
    assert (agree > 0).mean() > 0.998
    assert np.allclose(np.linalg.norm(figure.normals, axis=-1), 1)


def test_body_has_human_size_and_weight(figure):
    low, high = figure.vertices.min(0), figure.vertices.max(0)
    assert low[1] == pytest.approx(0.0, abs=0.002)
    assert 1.68 < high[1] < 1.78
    assert 1.65 < high[0] - low[0] < 1.85
    # At the density of water, a slim adult.
    assert 0.050 < signed_volume(figure.vertices, figure.faces) < 0.080


def test_left_and_right_are_mirror_images(figure):
    mirrored, normals = figure.vertices * (-1, 1, 1), figure.normals * (-1, 1, 1)
    distance, twin = cKDTree(figure.vertices).query(mirrored)
    assert distance.max() < 1e-9
    assert np.abs(figure.normals[twin] - normals).max() < 1e-6
    dense = np.zeros((len(figure.vertices), len(SMPL24)))
    np.put_along_axis(dense, figure.bones, figure.weights, axis=1)
    assert np.abs(dense[twin][:, SMPL24.mirror_index] - dense).max() < 0.02


def test_weights_are_a_partition_and_follow_the_limbs(figure):
    assert (figure.weights >= 0).all()
    assert np.allclose(figure.weights.sum(-1), 1)
    assert (np.diff(figure.weights, axis=1) <= 0).all()
    rest = {name: SMPL24.rest_positions[i] for i, name in enumerate(SMPL24.names)}
    places = {
        "left_elbow": (rest["left_elbow"] + rest["left_wrist"]) / 2,
        "right_knee": (rest["right_knee"] + rest["right_ankle"]) / 2,
        "head": rest["head"] + (0, 0.15, 0),
        "left_hand": rest["left_hand"] + (0.1, 0, 0),
        "right_foot": rest["right_foot"] + (0, 0, 0.08),
    }
    nearest = cKDTree(figure.vertices).query(list(places.values()))[1]
    assert [SMPL24.names[bone] for bone in figure.bones[nearest, 0]] == list(places)
    assert (figure.weights[nearest, 0] > 0.95).all()


def test_rest_pose_gives_the_rest_surface(figure):
    identity = np.tile(np.eye(3), (24, 1, 1))
    assert np.abs(figure.pose(SMPL24.rest_positions, identity) - figure.vertices).max() < 1e-5


def test_turning_the_whole_body_turns_the_surface(figure):
    turn = Rotation.from_euler("yx", [130, 40], degrees=True).as_matrix()
    posed = figure.pose(SMPL24.rest_positions @ turn.T + (1, 2, 3), np.tile(turn, (24, 1, 1)))
    assert np.abs(posed - (figure.vertices @ turn.T + (1, 2, 3))).max() < 1e-5


def test_face_looks_forward():
    figure = mannequin(SMPL24)
    head = figure.vertices[:, 1] > SMPL24.rest_positions[SMPL24.index("head"), 1] - 0.05
    tip = figure.vertices[head][figure.vertices[head][:, 2].argmax()]
    assert abs(tip[0]) < 0.006
    assert tip[2] > 0.11


def test_colour_groups_are_all_present_and_follow_the_seams(figure):
    assert set(np.unique(figure.colour_groups)) == {SKIN, SUIT, ACCENT}
    assert np.array_equal(figure.colour_groups == ACCENT, figure.seams[:, 1] > 0)


def test_skeleton_without_hands_has_the_same_body():
    a, b = mannequin(SMPL24, cell=0.03), mannequin(SMPL22, cell=0.03)
    assert np.array_equal(a.vertices, b.vertices)
    assert b.bones.max() < 22
