"""Dances of characters in FBX and GLB files: what our own writers make of a dance is read back as that dance."""

import numpy as np
import pytest
from typer.testing import CliRunner

from longdance.choreography.phrases.shelf import FOLDER_VARIABLE, open_library
from longdance.cli import app
from longdance.clips import read_clip, read_take
from longdance.errors import InputError
from longdance.export import fbx_nodes
from longdance.export.formats import export
from longdance.export.glb import GlbBuilder
from longdance.export.gltf_file import read_glb, read_numbers
from longdance.export.groups import group_of
from longdance.export.takes import ExportOptions
from longdance.motion.motion import Motion
from longdance.motion.skeleton import SMPL24
from made_up_phrases import stepping
from sample_characters import character, write_fbx, write_glb
from sample_motions import wandering

LIMBS = [(f"{side}_{a}", f"{side}_{b}") for side in ("left", "right") for a, b in (
    ("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"),
)]  # fmt: skip


def angles_apart(one: Motion, other: Motion) -> np.ndarray:
    """Degrees between limbs of two dances (frames, limbs)."""
    first, second = one.joints(), other.joints()
    found = []
    for upper, lower in LIMBS:
        ways = [places[:, SMPL24.index(lower)] - places[:, SMPL24.index(upper)] for places in (first, second)]
        ways = [way / np.linalg.norm(way, axis=-1, keepdims=True) for way in ways]
        found.append(np.degrees(np.arccos(np.clip((ways[0] * ways[1]).sum(-1), -1, 1))))
    return np.stack(found, -1)


@pytest.fixture(scope="module")
def dance() -> Motion:
    return wandering(np.random.default_rng(3), frames=90)


@pytest.mark.parametrize(
    ("ending", "options"),
    [("fbx", {}), ("fbx", {"up": "z", "mesh": False}), ("glb", {}), ("glb", {"dancers": 2}), ("vrma", {})],
)
def test_what_we_write_is_read_as_the_same_dance(ending, options, dance, tmp_path):
    path = tmp_path / f"dance.{ending}"
    export(dance, path, options=ExportOptions(**options))
    read = read_clip(path)
    assert (read.frames, read.fps) == (dance.frames, 60.0)
    first = group_of(dance, 2)[0] if "dancers" in options else dance
    assert np.percentile(angles_apart(read, first), 95) < 1.0
    assert np.abs(np.diff(read.root_position, axis=0) - np.diff(first.root_position, axis=0)).max() < 0.01


@pytest.mark.parametrize("ending", ["glb", "fbx"])
@pytest.mark.parametrize(
    "shape", [{}, {"leg": 0.8, "arm": 1.2, "arms_down": 45.0, "facing": 90.0}, {"without": ("left_hand", "right_hand")}]
)
def test_characters_of_any_shape_are_read(ending, shape, dance, tmp_path):
    rig, out = tmp_path / f"rig.{ending}", tmp_path / f"danced.{ending}"
    body, rng = character("mixamo", np.random.default_rng(5), **shape), np.random.default_rng(6)
    write_glb(body, rig) if ending == "glb" else write_fbx(body, rig, rng)
    export(dance, out, options=ExportOptions(rig=rig))
    read = read_clip(out)
    assert read.frames == dance.frames
    turned = dance.turn(np.radians(shape.get("facing", 0.0)))
    # Legs of other proportions are bent otherwise, so that feet land where ours do.
    assert np.percentile(angles_apart(read, turned)[:, LIMBS.index(("left_shoulder", "left_elbow")) :], 95) < 4.0
    assert np.percentile(angles_apart(read, turned), 95) < (4.0 if "leg" not in shape else 12.0)


def test_a_glb_may_be_saved_in_a_pose_turned_and_keyed_anyhow(dance, tmp_path):
    """Keys at odd times, steps of slopes, and matrices say the same."""
    path = tmp_path / "dance.glb"
    export(dance, path)
    document, chunk = read_glb(path)
    builder = GlbBuilder(document, chunk)
    animation = document["animations"][0]
    for sampler in animation["samplers"]:
        values = read_numbers(document, chunk, sampler["output"])
        zeros = np.zeros_like(values)
        sampler["output"] = builder.add_array(np.stack((zeros, values, zeros), 1).reshape(-1, values.shape[1]))
        sampler["interpolation"] = "CUBICSPLINE"
    document["animations"].insert(0, {"name": "none", "samplers": [], "channels": []})
    for node in document["nodes"]:
        if "translation" in node:
            matrix = np.eye(4)
            matrix[:3, 3] = node.pop("translation")
            node["matrix"] = matrix.T.reshape(-1).tolist()
    path.write_bytes(builder.content())
    assert np.percentile(angles_apart(read_clip(path), dance), 95) < 1.0


def test_characters_without_a_dance_and_damaged_files_are_named(dance, tmp_path):
    rng = np.random.default_rng(5)
    write_fbx(character("mixamo", rng), tmp_path / "still.fbx", rng)
    write_glb(character("mixamo", rng), tmp_path / "still.glb")
    file = fbx_nodes.read(tmp_path / "still.fbx")
    objects = file.find("Objects")
    objects.children = [each for each in objects.children if each.name != "AnimationCurve"]
    fbx_nodes.save(file.roots, tmp_path / "still.fbx")
    document, chunk = read_glb(tmp_path / "still.glb")
    del document["animations"]
    (tmp_path / "still.glb").write_bytes(GlbBuilder(document, chunk).content())
    for name in ("still.fbx", "still.glb"):
        with pytest.raises(InputError, match=rf"{name}: .*(animation|dance)"):
            read_clip(tmp_path / name)
    for ending in ("fbx", "glb"):
        export(dance, tmp_path / f"whole.{ending}")
        data = (tmp_path / f"whole.{ending}").read_bytes()
        for size in (0, 10, 1000, len(data) // 2, len(data) - 200):
            (tmp_path / f"cut.{ending}").write_bytes(data[:size])
            with pytest.raises(InputError, match=rf"cut\.{ending}"):
                read_take(tmp_path / f"cut.{ending}")
        said: list[str] = []
        for _ in range(6):  # any byte may be wrong: read or refused, nothing else
            wrong = bytearray(data)
            for at in rng.integers(0, len(data), 30):
                wrong[at] = rng.integers(256)
            (tmp_path / f"wrong.{ending}").write_bytes(wrong)
            try:
                read = read_take(tmp_path / f"wrong.{ending}")
            except InputError as error:
                said.append(str(error))
            else:
                assert np.isfinite(read.joints()).all()
        assert all(f"wrong.{ending}" in text for text in said)


def test_a_library_is_made_of_characters_dances_and_what_is_none_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "libraries"))
    folder = tmp_path / "dances"
    folder.mkdir()
    for name, bpm in (("one.fbx", 100.0), ("two.glb", 110.0)):
        export(stepping(bpm, seconds=9.0), folder / name)
    (folder / "broken.fbx").write_bytes((folder / "one.fbx").read_bytes()[:5000])
    made = CliRunner().invoke(app, ["library", "add", "mine", str(folder), "--genre", "salsa"])
    assert made.exit_code == 1
    assert "broken.fbx" in made.stderr
    library = open_library("mine")
    assert [take.clip for take in library.takes] == ["one", "two"]
    assert {round(phrase.tempo_bpm) for phrase in library.phrases if phrase.take == 0} <= {99, 100, 101}
