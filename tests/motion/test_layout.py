"""Feature layouts hold what a motion holds, and normalisation undoes itself."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from longdance.errors import InputError
from longdance.motion.contacts import REST_HEIGHTS
from longdance.motion.layout import LAYOUTS, Normaliser, centred, translated
from longdance.motion.motion import Motion
from longdance.motion.skeleton import SMPL22, SMPL24

layouts = pytest.mark.parametrize("name", list(LAYOUTS))


def wandering(layout, rng, frames: int = 12) -> Motion:
    joints = len(layout.skeleton)
    turns = Rotation.random(frames * joints, rng=rng).as_matrix().reshape(frames, joints, 3, 3)
    root = np.array([0, 2.5, 0]) + np.cumsum(rng.normal(size=(frames, 3)) * 0.05, axis=0)
    return Motion(root, turns, fps=60.0, skeleton=layout.skeleton)


@pytest.mark.parametrize(("name", "width", "skeleton"), [("smpl24", 151, SMPL24), ("smpl22", 139, SMPL22)])
def test_widths_and_blocks_are_the_papers(name, width, skeleton):
    layout = LAYOUTS[name]
    assert layout.width == width
    assert layout.skeleton is skeleton
    assert layout.blocks == {
        "contact": slice(0, 4), "root_position": slice(4, 7), "rotations": slice(7, width)
    }  # fmt: skip


def test_contact_orders_are_those_of_the_two_sources():
    assert LAYOUTS["smpl24"].contact_joints == ("left_ankle", "left_foot", "right_ankle", "right_foot")
    assert LAYOUTS["smpl22"].contact_joints == ("left_foot", "left_ankle", "right_foot", "right_ankle")


@layouts
def test_decoding_undoes_encoding(name, rng):
    layout = LAYOUTS[name]
    motion = wandering(layout, rng)
    features = layout.encode(motion)
    assert features.dtype == np.float32
    assert features.shape == (12, layout.width)
    again = layout.decode(features, 60.0, meta={"seed": 3})
    np.testing.assert_allclose(again.rotations, motion.rotations, atol=1e-6)
    np.testing.assert_allclose(again.root_position, motion.root_position, atol=1e-6)
    assert (again.fps, again.meta, again.skeleton) == (60.0, {"seed": 3}, layout.skeleton)


@layouts
def test_joints_of_features_are_joints_of_the_motion(name, rng):
    layout = LAYOUTS[name]
    motion = wandering(layout, rng)
    joints = layout.joints(torch.from_numpy(layout.encode(motion)).double())
    np.testing.assert_allclose(joints.numpy(), motion.joints(), atol=1e-5)


@layouts
def test_contacts_are_measured_in_the_layouts_order(name):
    layout = LAYOUTS[name]
    count = len(layout.skeleton)
    root = np.tile([0.0, layout.skeleton.rest_root_height, 0.0], (10, 1))
    turns = np.tile(np.eye(3), (10, count, 1, 1))
    # The left leg is lifted straight forward: neither of its joints stands.
    turns[:, layout.skeleton.index("left_hip")] = Rotation.from_euler("x", -90, degrees=True).as_matrix()
    features = layout.encode(Motion(root, turns, fps=30.0, skeleton=layout.skeleton))
    contact = dict(zip(layout.contact_joints, features[0, layout["contact"]], strict=True))
    others = {name: 0 for name in contact if name.endswith(("hand", "knee"))}
    assert contact == {"left_ankle": 0, "left_foot": 0, "right_ankle": 1, "right_foot": 1} | others


def test_any_pose_of_a_grounded_layout_is_as_high_above_the_floor_as_its_features_say(rng):
    layout = LAYOUTS["floor24"]
    features = torch.from_numpy(rng.normal(size=(50, layout.width)))
    height = layout["root_position"].start + 1
    features[:, height] = torch.linspace(0, 0.5, 50)
    motion = layout.decode(features.numpy(), 30.0)
    lowest = np.min([motion.joints()[:, SMPL24.index(name), 1] - rest for name, rest in REST_HEIGHTS.items()], axis=0)
    np.testing.assert_allclose(lowest, features[:, height], atol=1e-9)
    features[:, height] = -0.3
    sunk = layout.decode(features.numpy(), 30.0).joints()
    lowest = np.min([sunk[:, SMPL24.index(name), 1] - rest for name, rest in REST_HEIGHTS.items()], axis=0)
    np.testing.assert_allclose(lowest, 0, atol=1e-9)
    # Held on its hands, a body is as exactly on the floor as on its feet.
    upside_down = motion.rotations.copy()
    upside_down[:] = np.eye(3)
    upside_down[:, 0] = Rotation.from_euler("x", 180, degrees=True).as_matrix()
    for shoulder, turn in (("left_shoulder", 90), ("right_shoulder", -90)):
        upside_down[:, SMPL24.index(shoulder)] = Rotation.from_euler("z", turn, degrees=True).as_matrix()
    stand = layout.encode(Motion(np.tile([0.0, 1.4, 0.0], (50, 1)), upside_down, fps=30.0))
    stand[:, height] = 0.0
    joints = layout.decode(stand, 30.0).joints()
    assert joints[:, SMPL24.index("left_hand"), 1] == pytest.approx(0.02, abs=1e-6)
    assert joints[:, SMPL24.index("head"), 1].min() > 0.2


def test_gradients_of_a_grounded_pose_reach_the_joints_that_hold_it_up(rng):
    layout = LAYOUTS["floor24"]
    features = torch.from_numpy(rng.normal(size=(2, layout.width))).requires_grad_()
    assert torch.autograd.gradcheck(layout.joints, (features,), atol=1e-6)


def test_features_are_told_in_another_layout_as_if_encoded_in_it(rng):
    full = LAYOUTS["floor24"]
    motion = wandering(full, rng, frames=40)
    for name in ("smpl24", "smpl22"):
        target = LAYOUTS[name]
        bare = replace(motion, rotations=motion.rotations[:, : len(target.skeleton)], skeleton=target.skeleton)
        np.testing.assert_allclose(translated(full.encode(motion), full, target), target.encode(bare), atol=1e-5)
    for target in ("smpl24", "floor24"):
        with pytest.raises(InputError, match=target):
            translated(LAYOUTS["smpl22"].encode(bare), LAYOUTS["smpl22"], LAYOUTS[target])


def test_joint_columns_name_exactly_the_joints_numbers(rng):
    layout = LAYOUTS["smpl24"]
    motion = wandering(layout, rng)
    turns = motion.rotations.copy()
    changed = [SMPL24.index("left_elbow"), SMPL24.index("pelvis")]
    turns[:, changed] = turns[:, changed] @ Rotation.random(rng=rng).as_matrix()
    other = layout.encode(Motion(motion.root_position, turns, fps=60.0))
    difference = (layout.encode(motion) != other).any(0)
    difference[layout["contact"]] = False
    np.testing.assert_array_equal(difference, layout.joint_columns(("pelvis", "left_elbow")))


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_centred_moves_only_the_horizontal_root(name, kind, rng):
    layout = LAYOUTS[name]
    features = rng.normal(size=(2, 7, layout.width))
    before = features.copy()
    moved = np.asarray(centred(kind(features), layout))
    root = layout["root_position"].start
    assert (moved[:, 0, [root, root + 2]] == 0).all()
    np.testing.assert_allclose(np.diff(moved, axis=1), np.diff(features, axis=1), atol=1e-12)
    untouched = [column for column in range(layout.width) if column not in (root, root + 2)]
    assert np.array_equal(moved[..., untouched], features[..., untouched])
    assert np.array_equal(features, before)


def test_features_of_a_frame_only_depend_on_it_apart_from_contacts(rng):
    layout = LAYOUTS["smpl24"]
    motion = wandering(layout, rng)
    whole, part = layout.encode(motion), layout.encode(motion.slice(3, 7))
    np.testing.assert_array_equal(whole[3:7, 4:], part[:, 4:])


@layouts
def test_normalised_features_have_zero_mean_and_at_most_unit_scale(name, rng):
    layout = LAYOUTS[name]
    features = rng.normal(2.0, 3.0, size=(4000, layout.width)).astype(np.float32)
    features[:, 20] = 5.0  # a joint that never moves
    normaliser = Normaliser.fit(features, layout)
    normal = normaliser.normalise(torch.from_numpy(features))
    np.testing.assert_allclose(normal.mean(0), 0, atol=1e-4)
    moving = np.arange(layout.width) != 20
    np.testing.assert_allclose(normal.std(0)[moving], 1, atol=1e-3)
    assert normal[:, 20].std() < 1e-6
    root_mean_square = np.sqrt(np.mean(features[:, layout["rotations"]].std(0, dtype=np.float64) ** 2))
    assert normaliser.scale[20] == pytest.approx(root_mean_square / 3, rel=1e-5)
    torch.testing.assert_close(normaliser.denormalise(normal), torch.from_numpy(features))


def test_constant_data_does_not_divide_by_zero():
    layout = LAYOUTS["smpl24"]
    normaliser = Normaliser.fit(np.ones((5, 151), np.float32), layout)
    assert (normaliser.scale > 0).all()
    assert torch.isfinite(normaliser.normalise(torch.zeros(2, 151))).all()


def test_fitting_does_not_change_the_data(rng):
    features = rng.normal(size=(50, 151)).astype(np.float32)
    before = features.copy()
    Normaliser.fit(features, LAYOUTS["smpl24"])
    np.testing.assert_array_equal(features, before)
