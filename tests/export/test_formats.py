"""Every format, read back by readers that are not ours."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from tools.export_readers import Fbx, Glb, Usd, read_amass, read_bvhio, read_pybvh

from longdance.errors import InputError
from longdance.export.endings import FORMATS, format_of
from longdance.export.figure import mannequin
from longdance.export.formats import export
from longdance.export.naming import NAMINGS, joint_names
from longdance.export.takes import ExportOptions
from longdance.features.audio import decode, write_audio
from longdance.motion.motion import Motion
from longdance.motion.skeleton import SMPL22, SMPL24, Skeleton
from sample_motions import wandering

ACCURACY = 1e-4  # metres


@pytest.fixture(scope="module")
def dance() -> Motion:
    """A second of movement all about the place, at a rate that is none of the usual ones."""
    motion = wandering(np.random.default_rng(3), frames=50, fps=48.0)
    return replace(motion, meta={"genre": "salsa", "start": 1.5, "beat_times": [0.0, 0.5, 1.0], "song": "song.wav"})


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    """Four seconds of stereo in which every sample says what time it is."""
    path = tmp_path_factory.mktemp("songs") / "song.wav"
    ramp = np.arange(4 * 44100) / (4 * 44100)
    write_audio(path, np.stack((ramp, -ramp), 1), 44100)
    return path


def assert_places(found: dict[str, np.ndarray], motion: Motion, naming: str = "smpl") -> None:
    ours = motion.joints()
    for joint, name in enumerate(joint_names(motion.skeleton.names, naming)):
        np.testing.assert_allclose(found[name], ours[:, joint], atol=ACCURACY, err_msg=name)


# --- BVH ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("naming", NAMINGS)
@pytest.mark.parametrize("unit", [None, "cm"])
def test_bvh_in_another_library(dance, tmp_path, naming, unit):
    export(dance, tmp_path / "dance.bvh", options=ExportOptions(naming=naming, unit=unit))
    found, fps = read_pybvh(tmp_path / "dance.bvh", scale=100 if unit == "cm" else 1)
    assert_places(found, dance, naming)
    assert fps == pytest.approx(dance.fps, rel=1e-6)


def test_bvh_z_up_is_the_same_dance_lying_on_its_back_for_y_up_readers(dance, tmp_path):
    export(dance, tmp_path / "dance.bvh", options=ExportOptions(up="z"))
    found, _ = read_pybvh(tmp_path / "dance.bvh")
    upright = {name: np.stack((x, z, -y), -1) for name, (x, y, z) in ((n, p.T) for n, p in found.items())}
    assert_places(upright, dance)


def test_a_bone_on_the_floor_carries_the_travel(dance, tmp_path):
    export(dance, tmp_path / "dance.bvh", options=ExportOptions(root_bone=True))
    frames = [0, 17, 49]
    found, _ = read_bvhio(tmp_path / "dance.bvh", frames=frames)
    ours = dance.joints()[frames]
    np.testing.assert_allclose(found["root"], ours[:, 0] * [1, 0, 1], atol=ACCURACY)
    np.testing.assert_allclose(found["left_wrist"], ours[:, SMPL24.index("left_wrist")], atol=ACCURACY)


# --- GLB ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("naming", NAMINGS)
@pytest.mark.parametrize("root_bone", [False, True])
def test_glb_joints_and_skin_in_another_library(dance, tmp_path, naming, root_bone):
    export(dance, tmp_path / "dance.glb", options=ExportOptions(naming=naming, root_bone=root_bone, hands=False))
    glb = Glb(tmp_path / "dance.glb")
    found, fps = glb.joints()
    assert_places(found, dance, naming)
    assert fps == pytest.approx(dance.fps, rel=1e-5)
    joints, rotations = dance.forward_kinematics()
    for frame in (0, 30):
        wanted = mannequin(SMPL24).pose(joints[frame], rotations[frame])
        np.testing.assert_allclose(glb.skinned(frame), wanted, atol=ACCURACY)


def test_glb_mesh_is_what_viewers_need(dance, tmp_path):
    export(dance, tmp_path / "dance.glb")
    glb = Glb(tmp_path / "dance.glb")
    primitives = glb.gltf.meshes[0].primitives
    assert len(primitives) == len(glb.gltf.materials) == 1
    attributes = primitives[0].attributes
    np.testing.assert_allclose(glb.array(attributes.WEIGHTS_0).sum(-1), 1, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(glb.array(attributes.NORMAL), axis=-1), 1, atol=1e-6)
    uvs = glb.array(attributes.TEXCOORD_0)
    assert uvs.min() >= 0
    assert uvs.max() <= 1
    assert glb.gltf.images[0].mimeType == "image/png"
    view = glb.gltf.bufferViews[glb.gltf.images[0].bufferView]
    assert glb.chunk[view.byteOffset : view.byteOffset + 4] == b"\x89PNG"


def test_takes_become_animations_of_their_own(dance, tmp_path):
    other = replace(dance.mirror(), fps=30.0)
    export({"one": dance, "two": other}, tmp_path / "takes.glb")
    for number, (name, motion) in enumerate((("one", dance), ("two", other))):
        glb = Glb(tmp_path / "takes.glb", number)
        assert glb.name == name
        found, fps = glb.joints()
        assert_places(found, motion)
        assert fps == pytest.approx(motion.fps, rel=1e-5)


def test_takes_need_one_skeleton_and_a_format_that_holds_them(dance, tmp_path):
    taller = replace(dance, skeleton=Skeleton(SMPL24.names, SMPL24.parents, SMPL24.offsets * 1.1))
    with pytest.raises(InputError, match="one skeleton"):
        export({"one": dance, "two": taller}, tmp_path / "takes.glb")
    with pytest.raises(InputError, match="glb"):
        export({"one": dance, "two": dance}, tmp_path / "takes.bvh")
    with pytest.raises(InputError, match="got none"):
        export({}, tmp_path / "takes.glb")
    assert not list(tmp_path.iterdir())


def test_vrma_names_every_bone_that_a_vrm_must_have(dance, tmp_path):
    export(dance, tmp_path / "dance.vrma")
    (tmp_path / "dance.vrma").rename(tmp_path / "dance.glb")
    glb = Glb(tmp_path / "dance.glb")
    bones = glb.gltf.extensions["VRMC_vrm_animation"]["humanoid"]["humanBones"]
    required = {"hips", "spine", "head"} | {
        side + bone
        for side in ("left", "right")
        for bone in ("UpperArm", "LowerArm", "Hand", "UpperLeg", "LowerLeg", "Foot")
    }
    assert required <= set(bones)
    assert glb.gltf.nodes[bones["leftLowerLeg"]["node"]].name == "left_knee"
    assert_places(glb.joints()[0], dance)


# --- FBX ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("up", ["y", "z"])
@pytest.mark.parametrize("root_bone", [False, True])
def test_fbx_joints_and_skin_by_another_reader(dance, tmp_path, up, root_bone):
    options = ExportOptions(naming="mixamo", up=up, root_bone=root_bone, hands=False)
    export(dance, tmp_path / "dance.fbx", options=options)
    fbx = Fbx(tmp_path / "dance.fbx")
    found, fps = fbx.joints()
    assert_places(found, dance, "mixamo")
    assert fps == dance.fps
    np.testing.assert_allclose(fbx.times, np.arange(dance.frames) / dance.fps, atol=1e-9)
    joints, rotations = dance.forward_kinematics()
    wanted = mannequin(SMPL24).pose(joints[30], rotations[30])
    np.testing.assert_allclose(fbx.skinned(30), wanted, atol=ACCURACY)


def test_fbx_takes_are_stacks_of_their_own(dance, tmp_path):
    other = dance.mirror()
    export({"one": dance, "two": other}, tmp_path / "takes.fbx", options=ExportOptions(mesh=False))
    for number, motion in enumerate((dance, other)):
        fbx = Fbx(tmp_path / "takes.fbx", number)
        assert fbx.stack_names == ["one", "two"]
        assert_places(fbx.joints()[0], motion)


@pytest.mark.parametrize(("fps", "mode"), [(30, 6), (60, 3), (120, 1), (24, 11), (24000 / 1001, 14), (59, 14)])
def test_fbx_states_its_frame_rate(dance, tmp_path, fps, mode):
    export(replace(dance, fps=fps), tmp_path / "dance.fbx", options=ExportOptions(mesh=False))
    settings = Fbx(tmp_path / "dance.fbx").settings
    assert settings["TimeMode"] == mode
    assert settings["CustomFrameRate"] == pytest.approx(fps)


# --- USD ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ending", "up"), [("usd", "y"), ("usda", "z"), ("usdc", "z"), ("usdz", "y")])
def test_usd_joints_and_skin_by_the_library_itself(dance, tmp_path, ending, up):
    pytest.importorskip("pxr")
    path = tmp_path / f"dance.{ending}"
    export(dance, path, options=ExportOptions(up=up, root_bone=up == "z", hands=False))
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    usd = Usd(path)
    found, fps = usd.joints()
    assert_places(found, dance)
    assert fps == dance.fps
    joints, rotations = dance.forward_kinematics()
    np.testing.assert_allclose(usd.skinned(30), mannequin(SMPL24).pose(joints[30], rotations[30]), atol=ACCURACY)


def test_usd_takes_names_with_colons(dance, tmp_path):
    pytest.importorskip("pxr")
    export(dance, tmp_path / "dance.usda", options=ExportOptions(naming="mixamo", mesh=False))
    found, _ = Usd(tmp_path / "dance.usda").joints()
    np.testing.assert_allclose(found["mixamorig_Hips"], dance.root_position, atol=ACCURACY)


def test_without_the_library_usd_says_what_to_install(dance, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pxr", None)
    with pytest.raises(InputError, match=r"longdance\[usd\]"):
        export(dance, tmp_path / "dance.usd")
    assert not list(tmp_path.iterdir())


# --- AMASS --------------------------------------------------------------------------------------------------


def test_amass_keys_and_places(dance, tmp_path):
    export(dance, tmp_path / "dance.amass.npz")
    with np.load(tmp_path / "dance.amass.npz", allow_pickle=False) as file:
        assert {"poses", "trans", "betas", "gender", "mocap_framerate"} <= set(file.files)
        assert file["poses"].shape == (dance.frames, 156)
        assert str(file["gender"]) == "neutral"
        # Standing bodies are above the floor along z.
        np.testing.assert_allclose(file["trans"][:, 2], dance.root_position[:, 1])
    found, fps = read_amass(tmp_path / "dance.amass.npz", SMPL22.names, SMPL22.parents, SMPL22.offsets)
    assert fps == dance.fps
    ours = dance.joints()
    for joint, name in enumerate(SMPL22.names):
        np.testing.assert_allclose(found[name], ours[:, joint], atol=ACCURACY)


def test_a_motion_saves_itself_as_amass(dance, tmp_path):
    dance.save(tmp_path / "dance.amass.npz")
    with np.load(tmp_path / "dance.amass.npz", allow_pickle=False) as file:
        assert "mocap_framerate" in file.files


# --- options ------------------------------------------------------------------------------------------------


def test_frame_rate_keeps_the_length_and_the_movement(dance, tmp_path):
    export(dance, tmp_path / "dance.bvh", options=ExportOptions(fps=96))
    found, fps = read_pybvh(tmp_path / "dance.bvh")
    assert fps == pytest.approx(96, rel=1e-6)
    np.testing.assert_allclose(found["pelvis"][::2], dance.root_position, atol=1e-3)


def test_in_place_keeps_the_height_only(dance, tmp_path):
    export(dance, tmp_path / "dance.glb", options=ExportOptions(in_place=True))
    pelvis = Glb(tmp_path / "dance.glb").joints()[0]["pelvis"]
    np.testing.assert_allclose(pelvis[:, [0, 2]], 0, atol=1e-7)
    np.testing.assert_allclose(pelvis[:, 1], dance.root_position[:, 1], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dance.glb", ExportOptions(up="z")),
        ("dance.amass.npz", ExportOptions(up="y")),
        ("dance.glb", ExportOptions(unit="cm")),
        ("dance.npz", ExportOptions(naming="mixamo")),
        ("dance.bvh", ExportOptions(naming="esperanto")),
        ("dance.bvh", ExportOptions(up="x")),
        ("dance.bvh", ExportOptions(fps=0.0)),
        ("dance.bvh", ExportOptions(loop=True, fps=1)),
        ("dance.bvh", ExportOptions(wav=True)),
        ("dance.docx", ExportOptions()),
        ("dance", ExportOptions()),
    ],
    ids=str,
)
def test_what_a_format_cannot_do_is_refused_and_nothing_written(dance, tmp_path, name, options):
    with pytest.raises(InputError):
        export(dance, tmp_path / name, options=options)
    assert not list(tmp_path.iterdir())


def test_a_skeleton_of_other_names_is_refused(tmp_path):
    names = tuple(f"bone{i}" for i in range(24))
    motion = Motion(
        np.zeros((2, 3)),
        np.tile(np.eye(3), (2, 24, 1, 1)),
        fps=30,
        skeleton=Skeleton(names, SMPL24.parents, SMPL24.offsets),
    )
    with pytest.raises(InputError, match="SMPL"):
        export(motion, tmp_path / "dance.glb")


def test_formats_are_told_by_the_end_of_the_name():
    assert format_of("a.b.GLB") == "glb"
    assert format_of("x/dance.amass.npz") == "amass"
    assert format_of("dance.npz") == "npz"
    assert set(FORMATS) >= {"npz", "bvh", "glb", "amass", "mp4"}


# --- sound --------------------------------------------------------------------------------------------------


def test_the_stretch_of_the_song_lies_beside(dance, song, tmp_path):
    written = export(dance, tmp_path / "dance.glb", options=ExportOptions(wav=True), song_path=song)
    assert [path.name for path in written] == ["dance.glb", "dance.wav"]
    samples = decode(tmp_path / "dance.wav", sample_rate=48000, channels=None)
    assert len(samples) == round(dance.seconds * 48000)
    wanted = (1.5 + np.arange(len(samples)) / 48000) / 4
    np.testing.assert_allclose(samples[100:-100], np.stack((wanted, -wanted), 1)[100:-100], atol=2e-3)


def test_after_the_song_there_is_silence_of_the_dance_s_length(dance, song, tmp_path):
    late = replace(dance, meta={"start": 3.5})
    export(late, tmp_path / "dance.bvh", options=ExportOptions(wav=True), song_path=song)
    samples = decode(tmp_path / "dance.wav", sample_rate=48000)
    assert len(samples) == round(dance.seconds * 48000)
    assert not samples[-20000:].any()


def test_the_song_itself_is_never_overwritten(dance, song):
    before = song.read_bytes()
    with pytest.raises(InputError, match="another name"):
        export(dance, song.with_suffix(".bvh"), options=ExportOptions(wav=True), song_path=song)
    assert song.read_bytes() == before


@pytest.mark.parametrize("start", ["soon", -1, None, True])
def test_a_dance_whose_meta_lies_about_its_start_is_refused(dance, song, tmp_path, start):
    with pytest.raises(InputError, match="start"):
        export(
            replace(dance, meta={"start": start}),
            tmp_path / "dance.bvh",
            options=ExportOptions(wav=True),
            song_path=song,
        )
