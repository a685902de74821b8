"""Files of characters in every container: glTF with files beside it, compression, old FBX; tables of bones."""

import base64
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from tools.export_readers import Glb
from typer.testing import CliRunner

from longdance.cli import app
from longdance.errors import InputError
from longdance.export import fbx_nodes
from longdance.export.formats import export, rig_joints
from longdance.export.glb import GlbBuilder
from longdance.export.rig_glb import read_glb
from longdance.export.takes import ExportOptions
from longdance.motion.bone_table import read_bone_table
from longdance.motion.motion import Motion
from longdance.motion.skeleton import SMPL24
from sample_characters import Character, character, write_bvh, write_fbx, write_glb
from sample_motions import standing


@pytest.fixture
def body(rng) -> Character:
    return character("mixamo", rng)


@pytest.fixture
def saved(tmp_path) -> Path:
    standing(8).save(tmp_path / "dance.npz")
    return tmp_path / "dance.npz"


def run(*arguments) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["export", *map(str, arguments)])
    return done.exit_code, done.output + (str(done.exception) if done.exit_code == 1 else "")


def danced(rig: Path, out: Path) -> dict[str, np.ndarray]:
    export(standing(4), out, options=ExportOptions(rig=rig))
    return Glb(out).joints()[0]


def as_gltf(glb: Path, *, how: str) -> Path:
    """The same character as a ``.gltf``, its data in a data URI, in one file beside it, or in two."""
    document, chunk = read_glb(glb)
    target = glb.with_name("rig.gltf")
    if how == "data URI":
        uri = "data:application/octet-stream;base64," + base64.b64encode(chunk).decode()
        document["buffers"] = [{"uri": uri, "byteLength": len(chunk)}]
    elif how == "file":
        (glb.parent / "my data.bin").write_bytes(chunk)
        document["buffers"] = [{"uri": "my%20data.bin", "byteLength": len(chunk)}]
    else:
        document["buffers"] = []
        for number, view in enumerate(document["bufferViews"]):
            start = view.get("byteOffset", 0)
            part = chunk[start : start + view["byteLength"]]
            (glb.parent / f"{number}.bin").write_bytes(b"....." + part)
            view |= {"buffer": number, "byteOffset": 5}
            document["buffers"].append({"uri": f"{number}.bin", "byteLength": len(part) + 5})
    target.write_text(json.dumps(document))
    return target


@pytest.mark.parametrize("how", ["data URI", "file", "many files"])
def test_a_gltf_dances_as_the_glb_does(tmp_path, body, how):
    write_glb(body, tmp_path / "rig.glb")
    expected = danced(tmp_path / "rig.glb", tmp_path / "one.glb")
    places = danced(as_gltf(tmp_path / "rig.glb", how=how), tmp_path / "two.glb")
    for name in body.names.values():
        np.testing.assert_allclose(places[name], expected[name], atol=1e-6)
    document, _ = read_glb(tmp_path / "two.glb")
    assert len(document["buffers"]) == 1
    assert "uri" not in document["buffers"][0]


def test_pictures_beside_a_gltf_are_taken_in(tmp_path, body):
    write_glb(body, tmp_path / "rig.glb")
    path = as_gltf(tmp_path / "rig.glb", how="file")
    document = json.loads(path.read_text())
    document["images"] = [{"uri": "skin.png"}]
    path.write_text(json.dumps(document))
    (tmp_path / "skin.png").write_bytes(b"\x89PNG picture")
    danced(path, tmp_path / "out.glb")
    document, chunk = read_glb(tmp_path / "out.glb")
    view = document["bufferViews"][document["images"][0]["bufferView"]]
    assert chunk[view["byteOffset"] :][: view["byteLength"]] == b"\x89PNG picture"
    assert document["images"][0]["mimeType"] == "image/png"


@pytest.mark.parametrize(
    "uri",
    ["http://example.com/a.bin", "/etc/passwd", "../secret.bin", "%2e%2e/secret.bin", "gone.bin", "a\0b", "C:/a.bin"],
)
def test_nothing_outside_of_the_folder_is_read(tmp_path, body, uri):
    folder = tmp_path / "in"
    folder.mkdir()
    write_glb(body, folder / "rig.glb")
    path = as_gltf(folder / "rig.glb", how="file")
    (tmp_path / "secret.bin").write_bytes((folder / "my data.bin").read_bytes())
    document = json.loads(path.read_text())
    document["buffers"][0]["uri"] = uri
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match=r"rig\.gltf"):
        danced(path, tmp_path / "out.glb")


@pytest.mark.parametrize(
    ("extension", "advice"),
    [("EXT_meshopt_compression", "gltfpack without -c"), ("KHR_draco_mesh_compression", "Draco")],
)
@pytest.mark.parametrize("where", ["extensionsRequired", "extensionsUsed", "view"])
def test_compressed_files_are_refused_with_the_way_out(tmp_path, body, extension, advice, where):
    write_glb(body, tmp_path / "rig.glb")
    document, chunk = read_glb(tmp_path / "rig.glb")
    if where == "view":
        document["bufferViews"][0]["extensions"] = {extension: {}}
    else:
        document[where] = [extension]
    (tmp_path / "rig.glb").write_bytes(GlbBuilder(document, chunk).content())
    with pytest.raises(InputError, match=advice):
        danced(tmp_path / "rig.glb", tmp_path / "out.glb")


def test_cases_in_other_containers(shared_cases, tmp_path):
    with pytest.raises(InputError, match="meshopt; try"):
        danced(shared_cases / "meshopt.glb", tmp_path / "out.glb")
    places = danced(shared_cases / "plain.gltf", tmp_path / "out.glb")
    assert 0.9 < places["mixamorig:Hips"][0, 1] < 1.0


def test_other_fbx_is_refused_with_the_way_out(tmp_path, saved):
    for content in (fbx_nodes.MAGIC + struct.pack("<I", 6100), b"; FBX 7.4.0 project file"):
        (tmp_path / "rig.fbx").write_bytes(content + bytes(200))
        code, told = run(saved, "-o", tmp_path / "out.fbx", "--rig", tmp_path / "rig.fbx")
        assert code == 1
        assert "try saving it as binary FBX 7.4" in " ".join(told.split())


def test_the_file_at_fault_is_named_first_and_alone(tmp_path, saved):
    (tmp_path / "bad.glb").write_bytes(b"nothing")
    code, told = run(saved, "-o", tmp_path / "out.glb", "--rig", tmp_path / "bad.glb")
    assert code == 1
    assert "bad.glb" in told
    assert "dance.npz" not in told


def test_what_hangs_rigidly_on_the_feet_stands_on_the_floor(tmp_path, body):
    """A robot of separate parts: its soles are 0.14 m below its ankles and bound to nothing."""
    write_glb(body, tmp_path / "rig.glb")
    document, chunk = read_glb(tmp_path / "rig.glb")
    builder = GlbBuilder(document, chunk)
    order = list(body.names)
    for side in ("left", "right"):
        ankle = body.names[f"{side}_ankle"]
        node = next(entry for entry in document["nodes"] if entry["name"] == ankle)
        sole = body.turns[f"{side}_ankle"].T @ np.array([[0, -14, 0], [0.0, -14, 10]]).T
        positions = builder.add_array(sole.T, bounds=True)
        document["meshes"].append({"primitives": [{"attributes": {"POSITION": positions}}]})
        document["nodes"].append({"name": f"{side} sole", "mesh": len(document["meshes"]) - 1})
        node.setdefault("children", []).append(len(document["nodes"]) - 1)
    document["skins"][0]["joints"] = document["skins"][0]["joints"][: len(order)]
    (tmp_path / "rig.glb").write_bytes(builder.content())
    places = danced(tmp_path / "rig.glb", tmp_path / "out.glb")
    for side in ("left", "right"):
        assert places[body.names[f"{side}_ankle"]][:, 1] == pytest.approx(0.14, abs=0.01)


@pytest.mark.parametrize("form", ["glb", "fbx", "bvh"])
def test_a_table_says_which_bone_is_which(tmp_path, rng, saved, form):
    """Names that say nothing."""
    plain = character("mixamo", rng, axes=form != "bvh")
    names = {joint: f"node {number}" for number, joint in enumerate(plain.names)}
    hidden = Character(names, plain.parents, plain.places, plain.turns)
    rig, out, table = tmp_path / f"rig.{form}", tmp_path / f"out.{form}", tmp_path / "bones.yaml"
    if form == "fbx":
        write_fbx(hidden, rig, rng)
    else:
        (write_glb if form == "glb" else write_bvh)(hidden, rig)
    code, told = run(saved, "--rig", rig, "--write-bones", table)
    assert code == 0, told
    assert read_bone_table(table)["left_knee"] == names["left_knee"]
    # Corrected by hand: every bone as it is.
    table.write_text("".join(f"{joint}: {name}\n" for joint, name in names.items() if not joint.startswith("spine")))
    code, told = run(saved, "-o", out, "--rig", rig, "--bones", table)
    assert code == 0, told
    assert out.exists()
    table.write_text("left_knee: nobody\n")
    code, told = run(saved, "-o", tmp_path / f"no.{form}", "--rig", rig, "--bones", table)
    assert code == 1
    assert "nobody" in told


def test_a_table_for_a_dance_and_a_table_begun_from_one(tmp_path, shared_cases):
    table = tmp_path / "bones.yaml"
    code, told = run(shared_cases / "cesium.bvh", "--write-bones", table)
    assert code == 0, told
    assert read_bone_table(table)["left_knee"] == "leg_joint_L_2"
    code, told = run(shared_cases / "cesium.bvh", "-o", tmp_path / "a.npz", "--bones", table)
    assert code == 0, told
    assert Motion.load(tmp_path / "a.npz").joints()[0, SMPL24.index("head"), 1] > 1.3


def test_the_source_s_rate_axis_and_actor_are_options(tmp_path, rng):
    np.save(tmp_path / "a.npy", standing(6).joints() @ np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]))
    code, told = run(tmp_path / "a.npy", "-o", tmp_path / "a.npz", "--source-fps", "24", "--source-up", "z")
    assert code == 0, told
    motion = Motion.load(tmp_path / "a.npz")
    assert motion.fps == 24
    assert motion.joints()[0, SMPL24.index("head"), 1] > 1.3
    code, told = run(tmp_path / "a.npy", "-o", tmp_path / "b.npz", "--actor", "2")
    assert code == 1
    assert "actor" in told
    assert run(tmp_path / "a.npy")[0] == 2


def test_all_joints_of_a_character_are_listed(tmp_path, body):
    write_glb(body, tmp_path / "rig.glb")
    names, found = rig_joints(tmp_path / "rig.glb")
    assert {names[bone] for bone in found.values()} <= {*body.names.values()}
    assert len(found) > 15
