"""Dances on Roblox' R15, read back by readers that are not ours."""

from dataclasses import replace

import numpy as np
import pytest
from tools.export_readers import Fbx, Glb, read_bvhio

from conftest import swaying
from longdance.errors import InputError
from longdance.export.formats import export
from longdance.export.takes import ExportOptions
from sample_motions import wandering

PARTS = {
    "Head", "UpperTorso", "LowerTorso", "LeftFoot", "LeftLowerLeg", "LeftUpperLeg", "RightFoot", "RightLowerLeg",
    "RightUpperLeg", "LeftHand", "LeftLowerArm", "LeftUpperArm", "RightHand", "RightLowerArm", "RightUpperArm",
}  # fmt: skip
ABOVE = {"LowerTorso": "HumanoidRootPart", "UpperTorso": "LowerTorso", "Head": "UpperTorso"} | {
    f"{side}{part}": above if above.endswith("Torso") else f"{side}{above}"
    for side in ("Left", "Right")
    for part, above in (("UpperArm", "UpperTorso"), ("LowerArm", "UpperArm"), ("Hand", "LowerArm"),
                        ("UpperLeg", "LowerTorso"), ("LowerLeg", "UpperLeg"), ("Foot", "LowerLeg"))
}  # fmt: skip
LEGS = {"pelvis": "LowerTorso"} | {
    f"{s}_{a}": f"{s.title()}{b}"
    for s in ("left", "right")
    for a, b in (("hip", "UpperLeg"), ("knee", "LowerLeg"), ("ankle", "Foot"))
}


@pytest.fixture(scope="module")
def dance():
    return wandering(np.random.default_rng(6), frames=40, fps=30.0)


def places(path):
    if path.suffix == ".bvh":
        return read_bvhio(path, frames=list(range(40)))[0]
    return (Glb if path.suffix == ".glb" else Fbx)(path).joints()[0]


@pytest.mark.parametrize("ending", ["glb", "fbx", "bvh"])
def test_fifteen_parts_with_limbs_that_point_as_ours_and_feet_where_ours_are(dance, tmp_path, ending):
    path = tmp_path / f"emote.{ending}"
    export(dance, path, options=ExportOptions(naming="roblox"))
    found, ours = places(path), dance.joints()
    assert {name for name in found if "mannequin" not in name and "End" not in name} >= PARTS | {"HumanoidRootPart"}
    for joint, part in LEGS.items():
        np.testing.assert_allclose(found[part], ours[:, dance.skeleton.index(joint)], atol=1e-4, err_msg=part)
    assert np.ptp(found["HumanoidRootPart"], axis=0).max() < 1e-5
    for side in ("left", "right"):
        for begin, end, part, next_part in (
            ("shoulder", "elbow", "UpperArm", "LowerArm"),
            ("elbow", "wrist", "LowerArm", "Hand"),
        ):
            one = ours[:, dance.skeleton.index(f"{side}_{end}")] - ours[:, dance.skeleton.index(f"{side}_{begin}")]
            two = found[side.title() + next_part] - found[side.title() + part]
            np.testing.assert_allclose(two, one, atol=1e-4)


def test_parts_hang_on_each_other_as_r15_s_do_and_skin_is_bound_to_them(dance, tmp_path):
    export(dance, tmp_path / "emote.glb", options=ExportOptions(naming="roblox"))
    glb = Glb(tmp_path / "emote.glb")
    nodes = glb.gltf.nodes
    above = {nodes[child].name: node.name for node in nodes for child in node.children or ()}
    assert above == ABOVE
    attributes = glb.gltf.meshes[0].primitives[0].attributes
    weights, bones = glb.array(attributes.WEIGHTS_0), glb.array(attributes.JOINTS_0).astype(int)
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-6)
    for row, held in zip(np.where(weights > 0, bones, -1), weights, strict=True):
        used = row[held > 0]
        assert len(set(used)) == len(used)
    # Soles rest where they do on our own skeleton.
    export(dance, tmp_path / "plain.glb")
    lowest = [Glb(tmp_path / f"{name}.glb").skinned(7)[:, 1].min() for name in ("emote", "plain")]
    assert lowest[0] == pytest.approx(lowest[1], abs=0.02)


def test_what_an_emote_must_be_is_said(tmp_path):
    dance = swaying(360, 30.0)
    walk = replace(dance, root_position=dance.root_position + np.linspace(0, 3, 360)[:, None] * [1, 0, 0])
    notes: list[str] = []
    export(walk, tmp_path / "a.fbx", options=ExportOptions(naming="roblox", mesh=False), notes=notes)
    assert len(notes) == 2
    assert "shorter than 10 s" in notes[0]
    assert "3." in notes[1] or "2.9" in notes[1]
    short: list[str] = []
    options = ExportOptions(naming="roblox", mesh=False, seconds=9.9, in_place=True)
    export(walk, tmp_path / "b.fbx", options=options, notes=short)
    assert short == []


def test_where_r15_does_not_fit_it_is_refused(dance, tmp_path):
    for name, options in (("a.vrma", {}), ("a.npz", {}), ("a.glb", {"root_bone": True})):
        with pytest.raises(InputError):
            export(dance, tmp_path / name, options=ExportOptions(naming="roblox", **options))
    assert not list(tmp_path.iterdir())
