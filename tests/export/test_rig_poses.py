"""Characters saved in any pose, under any parents: a grid made anew in every run, and files that failed before."""

import os
import time

import numpy as np
import pytest
from tools.export_readers import Fbx, Glb

from longdance.export.formats import export
from longdance.export.takes import ExportOptions
from longdance.motion.directions import unit
from longdance.motion.ik import lock_feet
from longdance.motion.joint_names import match_names
from longdance.motion.motion import Motion
from longdance.motion.skeleton import SMPL24
from posed_rigs import some_rig, write_posed_fbx, write_posed_glb
from sample_motions import wandering

SEED = int(os.environ.get("LONGDANCE_SEED", time.time_ns() % 10**9))
"""Of the grid; every run has another, and a failing one is repeated by setting it."""
ARMS = (("shoulder", "elbow"), ("elbow", "wrist"))
LEGS = (("hip", "knee"), ("knee", "ankle"))


@pytest.fixture(scope="module")
def dance() -> Motion:
    return lock_feet(wandering(np.random.default_rng(8), frames=24, fps=30.0))


def directions(found: dict[str, np.ndarray], dance: Motion, pairs) -> np.ndarray:
    """(bones, frames) degrees between bones of a character and ours."""
    ours = dance.joints()
    rows = []
    for side in ("left", "right"):
        for one, two in pairs:
            start, end = f"{side}_{one}", f"{side}_{two}"
            theirs = unit(found[end] - found[start])
            same = unit(ours[:, SMPL24.index(end)] - ours[:, SMPL24.index(start)])
            rows.append(np.degrees(np.arccos(np.clip((theirs * same).sum(-1), -1, 1))))
    return np.array(rows)


def trunk(found: dict[str, np.ndarray], dance: Motion) -> np.ndarray:
    """(frames,) degrees between the lines through the shoulders of both, which show a leaning or turned trunk."""
    ours = dance.joints()
    theirs = unit(found["left_shoulder"] - found["right_shoulder"])
    same = unit(ours[:, SMPL24.index("left_shoulder")] - ours[:, SMPL24.index("right_shoulder")])
    return np.degrees(np.arccos(np.clip((theirs * same).sum(-1), -1, 1)))


@pytest.mark.parametrize("number", range(10))
@pytest.mark.parametrize("form", ["glb", "fbx"])
def test_the_limbs_of_any_character_point_where_ours_do(dance, tmp_path, form, number):
    print(f"LONGDANCE_SEED={SEED}")
    rng = np.random.default_rng((SEED, number, form == "fbx"))
    rig = some_rig(rng, form)
    path, out = tmp_path / f"rig.{form}", tmp_path / f"out.{form}"
    if form == "glb":
        write_posed_glb(rig, path, skins=int(rng.integers(1, 4)))
    else:
        write_posed_fbx(rig, path)
    export(dance, out, options=ExportOptions(rig=path))
    places = (Glb if form == "glb" else Fbx)(out).joints()[0]
    found = {joint: places[rig.bones[bone].name] @ rig.heading for joint, bone in rig.joints.items()}
    assert directions(found, dance, ARMS).max() < 0.1, rig.described
    assert trunk(found, dance).max() < 0.1, rig.described
    assert directions(found, dance, LEGS).max() < 1, rig.described
    ankles = np.stack([found[f"{side}_ankle"][:, 1] for side in ("left", "right")])
    assert np.abs(ankles.min() - rig.ankle) < 0.03 * rig.leg, rig.described


@pytest.mark.parametrize("file", ["b_posed.glb", "idle_pose.glb", "root_pose.glb"])
def test_a_mannequin_saved_in_a_pose_does_exactly_what_we_do(dance, shared_cases, tmp_path, file):
    export(dance, tmp_path / "out.glb", options=ExportOptions(rig=shared_cases / file))
    places = Glb(tmp_path / "out.glb").joints()[0]
    found = {joint: places[list(places)[at]] for joint, at in match_names(tuple(places)).items()}
    assert directions(found, dance, ARMS + LEGS + (("ankle", "foot"),)).max() < 0.5
    assert trunk(found, dance).max() < 0.1
    ours = dance.joints()
    for name in ("left_ankle", "right_foot", "head"):
        np.testing.assert_allclose(found[name], ours[:, SMPL24.index(name)], atol=0.003)


def test_maya_joints_that_do_not_inherit_scale(dance, shared_cases, tmp_path):
    export(dance, tmp_path / "out.fbx", options=ExportOptions(rig=shared_cases / "segment_scale.fbx"))
    places = Fbx(tmp_path / "out.fbx").joints()[0]
    found = {joint: places[list(places)[at]] for joint, at in match_names(tuple(places)).items()}
    assert directions(found, dance, ARMS).max() < 0.1
    # The pelvis is as high as Blender has it over its legs, bound 0.97 m high; it was at 0.01 of that.
    ours = dance.joints()[:, 0, 1]
    np.testing.assert_allclose(places["mixamorig:Hips"][:, 1], ours, atol=0.01)
    assert 0.7 < np.linalg.norm(found["left_hip"] - found["left_ankle"], axis=-1).max() < 0.9  # metres


def test_a_thumbnail_in_an_fbx_is_kept_as_it_is(dance, shared_cases, tmp_path):
    from longdance.export import fbx_nodes

    export(dance, tmp_path / "out.fbx", options=ExportOptions(rig=shared_cases / "thumbnail.fbx"))

    def byte_arrays(path) -> list[bytes]:
        found, waiting = [], list(fbx_nodes.read(path).roots)
        while waiting:
            each = waiting.pop(0)
            found += [value.data for code, value in each.properties if code == "c"]
            waiting += each.children
        return found

    before = byte_arrays(shared_cases / "thumbnail.fbx")
    assert before
    assert byte_arrays(tmp_path / "out.fbx") == before
