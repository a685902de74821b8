"""Dances on other characters: limbs point as they should, planted feet stay planted, everything else is kept."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tools.export_readers import Fbx, Glb, read_pybvh

from longdance.errors import InputError
from longdance.export.formats import export
from longdance.export.gltf_file import read_glb, read_numbers
from longdance.export.takes import ExportOptions
from longdance.motion.contacts import speeds
from longdance.motion.ik import detect_contacts, lock_feet
from longdance.motion.motion import Motion
from longdance.motion.skeleton import SMPL24
from sample_characters import NAMES, Character, character, write_bvh, write_fbx, write_glb
from sample_motions import standing, wandering

LIMBS = [
    (f"{side}_{a}", f"{side}_{b}") for side in ("left", "right") for a, b in (("shoulder", "elbow"), ("elbow", "wrist"))
]
LEGS = [(f"{side}_{a}", f"{side}_{b}") for side in ("left", "right") for a, b in (("hip", "knee"), ("knee", "ankle"))]
ODD = {  # proportions that users' characters have
    "like us": {},
    "long legs": {"leg": 1.4, "arm": 0.9},
    "short legs": {"leg": 0.6, "hips": 1.2},
    "long shins": {"shin": 1.3},
    "wide hips": {"hips": 1.8},
    "big feet": {"foot": 1.7},
    "arms down": {"arms_down": 45.0},
    "facing back": {"facing": 180.0, "arms_down": 30.0},
    "facing left": {"facing": 90.0},
    "no toes": {"without": ("left_foot", "right_foot", "left_hand", "right_hand")},
    "one spine bone": {"without": ("spine1", "spine2", "left_collar", "right_collar")},
}


@pytest.fixture(scope="module")
def dance() -> Motion:
    """Movement with feet that stand when they are meant to."""
    return lock_feet(wandering(np.random.default_rng(8), frames=120, fps=60.0))


def on_rig(dance: Motion, body: Character, folder: Path, form: str, **options) -> dict[str, np.ndarray]:
    """The joints of the character that dances, by our names, y up, facing +z, metres, by a reader that is not ours."""
    rig, out = folder / f"rig.{form}", folder / f"out.{form}"
    if form == "glb":
        write_glb(body, rig)
    elif form == "fbx":
        write_fbx(body, rig, np.random.default_rng(1))
    else:
        write_bvh(body, rig)
    export(dance, out, options=ExportOptions(rig=rig, **options))
    if form == "glb":
        found, fps = Glb(out).joints()
    elif form == "fbx":
        found, fps = Fbx(out).joints()
    else:
        found, fps = read_pybvh(out, scale=100)
    assert fps == pytest.approx(dance.fps, rel=1e-4)
    back = front(body).T
    return {name: found[bone] @ back.T for name, bone in body.names.items()}


def front(body: Character) -> np.ndarray:
    """The turn (3, 3) that the character as a whole has against us."""
    across = body.places["left_hip"] - body.places["right_hip"]
    across /= np.linalg.norm(across)
    return np.stack((across, [0, 1, 0], np.cross(across, [0, 1, 0])), 1)


def angles(found: dict[str, np.ndarray], dance: Motion, limbs) -> np.ndarray:
    """(limbs, frames) degrees between the character's limbs and ours."""
    ours = dance.joints()
    rows = []
    for start, end in limbs:
        one, two = found[end] - found[start], ours[:, SMPL24.index(end)] - ours[:, SMPL24.index(start)]
        cosine = (one * two).sum(-1) / np.linalg.norm(one, axis=-1) / np.linalg.norm(two, axis=-1)
        rows.append(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    return np.array(rows)


def check(found: dict[str, np.ndarray], dance: Motion, body: Character) -> None:
    """What is asked of every dance on every character."""
    leg = sum(np.linalg.norm(body.places[b] - body.places[a]) for a, b in LEGS) / 2
    size = leg / SMPL24.leg_length
    assert angles(found, dance, LIMBS).max() < 0.1
    assert angles(found, dance, LEGS).max() < 1
    contacts = detect_contacts(dance.joints(), dance.fps, skeleton=SMPL24)
    toes = "left_foot" in found
    for side, name in enumerate(("left", "right")):
        flat = contacts[:, 2 * side] & contacts[:, 2 * side + 1]
        flat = flat & np.roll(flat, 3) & np.roll(flat, -3)
        ankle = found[f"{name}_ankle"]
        wanted = body.places[f"{name}_ankle"][1]
        if flat.any():
            assert speeds(ankle[:, [0, 2]], dance.fps)[flat].mean() < 0.02 * size  # metres per second
            assert np.abs(ankle[flat, 1] - wanted).max() < 0.012 * size
        if toes:
            assert found[f"{name}_foot"][:, 1].min() > 0.0
        assert ankle[:, 1].min() > 0.3 * wanted
    # Hips are as high as such legs hold them.
    hips = (found["left_hip"] + found["right_hip"])[:, 1] / 2
    ours = dance.joints()[:, [SMPL24.index("left_hip"), SMPL24.index("right_hip")], 1].mean(1)
    floor = body.places["left_ankle"][1]
    assert np.abs((hips - floor) / leg - (ours - 0.08) / SMPL24.leg_length).max() < 0.12


@pytest.mark.parametrize(
    ("how", "form"),
    [(how, "glb") for how in ODD]
    + [(how, form) for form in ("fbx", "bvh") for how in ("long legs", "big feet", "facing back", "no toes")],
)
def test_every_build_dances(dance, rng, tmp_path, how, form):
    body = character("mixamo", rng, **ODD[how], axes=form != "bvh")
    check(on_rig(dance, body, tmp_path, form), dance, body)


@pytest.mark.parametrize("names", NAMES)
def test_every_convention_of_names(dance, rng, tmp_path, names):
    body = character(names, rng, leg=1.1)
    check(on_rig(dance.slice(0, 60), body, tmp_path, "glb"), dance.slice(0, 60), body)


def test_a_character_like_us_does_exactly_what_we_do(dance, rng, tmp_path):
    body = character("mixamo", rng)
    found = on_rig(dance, body, tmp_path, "glb")
    # But where a foot of the dance is in the floor by a few millimetres, ours is on it.
    ours = dance.joints()
    for name in body.names:
        apart = np.abs(found[name] - ours[:, SMPL24.index(name)])
        assert np.median(apart) < 1e-4
        assert apart.max() < 5e-3


def test_a_standing_dance_does_not_move_on_other_legs(rng, tmp_path):
    body = character("mixamo", rng, leg=1.3, hips=1.5, foot=1.4)
    found = on_rig(standing(60), body, tmp_path, "fbx")
    for track in found.values():
        assert np.ptp(track, axis=0).max() < 2e-3


def test_a_file_saved_in_another_pose_dances_from_the_pose_it_was_bound_in(dance, rng, tmp_path):
    bind = character("mixamo", rng, arms_down=20.0)
    # The nodes as saved: the whole body turned and bowed, on the same bones.
    turn = {name: np.eye(3) for name in bind.names}
    for name in bind.names:
        parent = bind.parents[name]
        own = np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]]) if name in ("spine2", "left_shoulder") else np.eye(3)
        turn[name] = (turn[parent] if parent else np.eye(3)) @ own
    places = {"pelvis": bind.places["pelvis"]}
    for name, parent in bind.parents.items():
        if parent:
            places[name] = places[parent] + turn[parent] @ (bind.places[name] - bind.places[parent])
    posed = replace(bind, places=places, turns={name: turn[name] @ bind.turns[name] for name in bind.names})
    write_glb(posed, tmp_path / "rig.glb", bind=bind)
    export(dance, tmp_path / "out.glb", options=ExportOptions(rig=tmp_path / "rig.glb"))
    found = Glb(tmp_path / "out.glb").joints()[0]
    check({name: found[bone] for name, bone in bind.names.items()}, dance, bind)


def test_mesh_materials_and_other_bones_are_kept(dance, rng, tmp_path):
    body = character("mixamo", rng)
    on_rig(dance, body, tmp_path, "glb")
    (before, data), (after, more) = read_glb(tmp_path / "rig.glb"), read_glb(tmp_path / "out.glb")
    for key in ("nodes", "meshes", "skins", "materials", "scenes"):
        assert before[key] == after[key]
    assert more.startswith(data)
    assert [animation["name"] for animation in after["animations"]] == ["out"]
    moved = {channel["target"]["node"] for channel in after["animations"][0]["channels"]}
    assert next(i for i, node in enumerate(after["nodes"]) if node["name"] == "twist") not in moved


def test_an_fbx_keeps_its_materials_and_gets_one_animation_at_the_right_rate(dance, rng, tmp_path):
    on_rig(dance, character("mixamo", rng), tmp_path, "fbx")
    fbx = Fbx(tmp_path / "out.fbx")
    assert fbx.stack_names == ["out"]
    assert fbx.settings["TimeMode"] == 3
    assert any(row[0] == "Material" for row in fbx.objects.values())
    np.testing.assert_allclose(fbx.times, np.arange(dance.frames) / dance.fps, atol=1e-9)


def test_a_vrm_is_read_by_its_own_table(dance, rng, tmp_path):
    body = character("mixamo", rng)
    hidden = replace(body, names={name: f"bone {i}" for i, name in enumerate(body.names)})
    bones = {
        "pelvis": "hips", "spine1": "spine", "spine3": "chest", "neck": "neck", "head": "head",
        **{f"{s}_{a}": s + b for s in ("left", "right") for a, b in (
            ("hip", "UpperLeg"), ("knee", "LowerLeg"), ("ankle", "Foot"), ("foot", "Toes"), ("collar", "Shoulder"),
            ("shoulder", "UpperArm"), ("elbow", "LowerArm"), ("wrist", "Hand"))},
    }  # fmt: skip
    slots = {name: i + 1 for i, name in enumerate(body.names)}
    tables = {
        "VRMC_vrm": {"humanoid": {"humanBones": {bone: {"node": slots[joint]} for joint, bone in bones.items()}}},
        "VRM": {"humanoid": {"humanBones": [{"bone": bone, "node": slots[joint]} for joint, bone in bones.items()]}},
    }
    for extension, table in tables.items():
        write_glb(hidden, tmp_path / "rig.vrm", document={"extensions": {extension: table}})
        export(dance, tmp_path / "out.glb", options=ExportOptions(rig=tmp_path / "rig.vrm"))
        found = Glb(tmp_path / "out.glb").joints()[0]
        check({name: found[bone] for name, bone in hidden.names.items()}, dance, body)


@pytest.mark.parametrize(
    "options",
    [{"naming": "mixamo"}, {"up": "z"}, {"unit": "cm"}, {"root_bone": True}, {"mesh": False}, {"wav": True}],
    ids=str,
)
def test_what_a_character_decides_itself_cannot_be_asked_for(dance, rng, tmp_path, options):
    write_glb(character("mixamo", rng), tmp_path / "rig.glb")
    with pytest.raises(InputError):
        export(dance, tmp_path / "out.glb", options=ExportOptions(rig=tmp_path / "rig.glb", **options))
    assert [path.name for path in tmp_path.iterdir()] == ["rig.glb"]


def test_kinds_of_files_are_not_mixed_and_the_character_is_not_overwritten(dance, rng, tmp_path):
    write_glb(character("mixamo", rng), tmp_path / "rig.glb")
    for name, match in (("out.fbx", "kind"), ("rig.glb", "overwritten"), ("rig.docx", "kind")):
        with pytest.raises(InputError, match=match):
            export(dance, tmp_path / name, options=ExportOptions(rig=tmp_path / "rig.glb"))
    with pytest.raises(InputError, match="ending in"):
        export(dance, tmp_path / "out.glb", options=ExportOptions(rig=tmp_path / "rig.obj"))
    with pytest.raises(InputError, match=r"gone\.glb"):
        export(dance, tmp_path / "out.glb", options=ExportOptions(rig=tmp_path / "gone.glb"))


def broken(document: dict, how: str) -> None:
    nodes = document["nodes"]
    if how == "no nodes":
        document.pop("nodes")
    elif how == "own child":
        nodes[3]["children"] = [1]
    elif how == "child out of range":
        nodes[3].setdefault("children", []).append(999)
    elif how == "names":
        for node in nodes:
            node["name"] = "bone"
        nodes[1]["children"] = []
    elif how == "numbers as text":
        nodes[4]["translation"] = ["a", "b", "c"]
    elif how == "rotation of zero":
        nodes[4]["rotation"] = [0, 0, 0, 0]
    elif how == "all at one place":
        for node in nodes:
            node["translation"] = [0, 0, 0]
        document["skins"][0].pop("inverseBindMatrices")
    elif how == "skin without data":
        document["accessors"][document["skins"][0]["inverseBindMatrices"]]["count"] = 10**9
    elif how == "data elsewhere":
        document["buffers"][0]["uri"] = "http://example.com/data.bin"
    elif how == "not finite":
        nodes[4]["translation"] = [float("nan"), 0, 0]
    elif how == "no parent in common":
        nodes[0]["children"], nodes[1]["children"] = [], []
    elif how == "list":
        document["skins"] = 5


@pytest.mark.parametrize(
    "how",
    [
        "no nodes", "own child", "child out of range", "names", "numbers as text", "rotation of zero",
        "all at one place", "skin without data", "data elsewhere", "not finite", "no parent in common", "list",
    ],
)  # fmt: skip
def test_malformed_characters_are_refused_by_name(dance, rng, tmp_path, how):
    from longdance.export.glb import GlbBuilder

    write_glb(character("mixamo", rng), tmp_path / "rig.glb")
    document, chunk = read_glb(tmp_path / "rig.glb")
    broken(document, how)
    builder = GlbBuilder(document, chunk)
    (tmp_path / "rig.glb").write_bytes(builder.content())
    with pytest.raises(InputError, match=r"rig\.glb"):
        export(dance, tmp_path / "out.glb", options=ExportOptions(rig=tmp_path / "rig.glb"))
    assert [path.name for path in tmp_path.iterdir()] == ["rig.glb"]


@pytest.mark.parametrize("skinned", [False, True])
def test_parts_hidden_by_a_scale_of_nothing_change_nothing(dance, rng, tmp_path, skinned):
    """A hidden prop in the hand, with a bone of its own; bound by the skin or not."""
    from longdance.export.glb import GlbBuilder

    body = character("mixamo", rng)
    write_glb(body, tmp_path / "rig.glb")
    document, chunk = read_glb(tmp_path / "rig.glb")
    nodes = document["nodes"]
    hand = next(node for node in nodes if node["name"] == body.names["left_wrist"])
    hand["children"] = [*hand.get("children", []), len(nodes)]
    nodes += [{"name": "prop", "scale": [0, 0, 0], "children": [len(nodes) + 1]}, {"name": "prop end"}]
    builder = GlbBuilder(document, chunk)
    if skinned:
        old = read_numbers(document, chunk, document["skins"][0]["inverseBindMatrices"]).reshape(-1, 4, 4)
        old = old.swapaxes(-1, -2)
        document["skins"][0]["joints"].append(len(nodes) - 1)
        document["skins"][0]["inverseBindMatrices"] = builder.add_array(np.concatenate((old, np.zeros((1, 4, 4)))))
    (tmp_path / "hidden.glb").write_bytes(builder.content())
    found = []
    for name in ("rig", "hidden"):
        export(dance, tmp_path / f"{name}_out.glb", options=ExportOptions(rig=tmp_path / f"{name}.glb"))
        found.append(Glb(tmp_path / f"{name}_out.glb").joints()[0])
    for bone in body.names.values():
        np.testing.assert_allclose(found[1][bone], found[0][bone], atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e38])
def test_bind_poses_beyond_measure_end_soon(dance, rng, tmp_path, value):
    from longdance.export.glb import GlbBuilder

    body = character("mixamo", rng)
    write_glb(body, tmp_path / "rig.glb")
    document, chunk = read_glb(tmp_path / "rig.glb")
    matrices = np.zeros((len(body.names), 4, 4))  # singular, so that inverses are pseudo-inverses
    matrices[::2] = value
    builder = GlbBuilder(document, chunk)
    document["skins"][0]["inverseBindMatrices"] = builder.add_array(matrices)
    (tmp_path / "rig.glb").write_bytes(builder.content())
    with pytest.raises(InputError, match=r"rig\.glb"):
        export(dance, tmp_path / "out.glb", options=ExportOptions(rig=tmp_path / "rig.glb"))


@pytest.mark.parametrize("joint", [None, "pelvis", "left_knee", "spine2"])
def test_bodies_scaled_to_nothing_never_crash(dance, rng, tmp_path, joint):
    from longdance.export.glb import GlbBuilder

    body = character("mixamo", rng)
    write_glb(body, tmp_path / "rig.glb")
    document, chunk = read_glb(tmp_path / "rig.glb")
    name = "Armature" if joint is None else body.names[joint]
    next(node for node in document["nodes"] if node["name"] == name)["scale"] = [0, 0, 0]
    (tmp_path / "rig.glb").write_bytes(GlbBuilder(document, chunk).content())
    with pytest.raises(InputError, match=r"rig\.glb"):
        export(dance, tmp_path / "out.glb", options=ExportOptions(rig=tmp_path / "rig.glb"))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 255), st.sampled_from(["glb", "fbx", "bvh"]))
def test_a_changed_byte_never_crashes(tmp_path_factory, place, change, form):
    folder = tmp_path_factory.mktemp("rig")
    rng = np.random.default_rng(0)
    body = character("mixamo", rng, axes=form != "bvh")
    path = folder / f"rig.{form}"
    if form == "fbx":
        write_fbx(body, path, rng)
    else:
        (write_glb if form == "glb" else write_bvh)(body, path)
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= change
    path.write_bytes(bytes(content))
    message = ""
    try:
        export(standing(4), folder / f"out.{form}", options=ExportOptions(rig=path))
    except InputError as error:
        message = str(error)
    assert (path.name in message) != (folder / f"out.{form}").exists()


@pytest.mark.parametrize("content", [b"", b"glTF", b"glTF\x02\0\0\0\xff\xff\xff\xff\xff\xff\xff\x7fJSON", b"{}"])
def test_what_is_no_glb_is_refused(dance, tmp_path, content):
    (tmp_path / "rig.glb").write_bytes(content)
    with pytest.raises(InputError, match=r"rig\.glb"):
        export(dance, tmp_path / "out.glb", options=ExportOptions(rig=tmp_path / "rig.glb"))


def test_deeply_nested_json_is_refused(dance, tmp_path):
    text = ("[" * 200_000).encode()
    head = b"glTF" + (2).to_bytes(4, "little") + (20 + len(text)).to_bytes(4, "little")
    (tmp_path / "rig.glb").write_bytes(head + len(text).to_bytes(4, "little") + b"JSON" + text)
    with pytest.raises(InputError, match=r"rig\.glb"):
        export(dance, tmp_path / "out.glb", options=ExportOptions(rig=tmp_path / "rig.glb"))
