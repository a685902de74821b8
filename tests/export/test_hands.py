"""Hands made by rule: poses, how they follow the movement, and where they are written."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from tools.export_readers import Glb

from conftest import swaying
from export.test_vmd import Vmd
from longdance.export import hands, vmc
from longdance.export.formats import export
from longdance.export.glb import save_glb
from longdance.export.hands import JOINTS, before, finger_rotations, offset_of, with_knuckles
from longdance.export.takes import ExportOptions, as_take, with_fingers
from longdance.motion.motion import Motion

MIXAMO = {"thumb": "Thumb", "index": "Index", "middle": "Middle", "ring": "Ring", "pinky": "Pinky"}


def posed(pose: str, frames: int = 90) -> Motion:
    """A dance whose hands come to rest in a pose: a genre made up for it."""
    still = Motion(np.tile([0.0, 1.0, 0.0], (frames, 1)), np.tile(np.eye(3), (frames, 24, 1, 1)), 30.0)
    return replace(still, meta={"genre": f"only {pose}"})


@pytest.fixture(autouse=True)
def made_up_genres(monkeypatch):
    for pose in hands.POSES:
        monkeypatch.setitem(hands.STYLES, f"only {pose}", hands.Style(pose, pose, pose))


def tips(rotations, frame=-1) -> dict[str, np.ndarray]:
    """Where fingers end, from the wrist, in the axes of the T pose."""
    places, turns = {}, {}
    for joint in JOINTS:
        root = before(joint)
        above = turns.get(root, np.eye(3))
        places[joint] = places.get(root, np.zeros(3)) + above @ offset_of(joint)
        turns[joint] = above @ rotations[joint][frame]
    return {joint[:-1]: places[joint] + turns[joint] @ (0.6 * offset_of(joint)) for joint in JOINTS if joint[-1] == "3"}


def test_poses_look_like_what_they_are_called_and_both_hands_are_mirror_images():
    found = {pose: tips(finger_rotations(posed(pose))) for pose in hands.POSES}
    for pose, places in found.items():
        for finger in MIXAMO:
            mirrored = places[f"right_{finger}"] * [-1, 1, 1]
            np.testing.assert_allclose(places[f"left_{finger}"], mirrored, atol=0.012, err_msg=pose)  # each lives
    reach = {pose: {finger: places[f"left_{finger}"][0] for finger in MIXAMO} for pose, places in found.items()}
    assert all(reach["flat"][finger] > 0.14 for finger in ("index", "middle", "ring"))
    assert all(reach["fist"][finger] < 0.11 for finger in ("index", "middle", "ring", "pinky"))
    assert reach["pointing"]["index"] > 0.16
    assert all(reach["pointing"][finger] < 0.11 for finger in ("middle", "ring", "pinky"))
    # Tips of a fist lie under the palm; those of a relaxed hand hang a little; a thumb crosses the palm.
    assert -0.06 < found["fist"]["left_middle"][1] < -0.01
    assert -0.08 < found["relaxed"]["left_middle"][1] < -0.02
    assert found["fist"]["left_thumb"][2] < found["flat"]["left_thumb"][2] - 0.01
    spread = {pose: places["left_index"][2] - places["left_pinky"][2] for pose, places in found.items()}
    assert spread["open"] > spread["flat"] + 0.01


def waving(amplitude: float, genre: str) -> Motion:
    """Arms that swing about their shoulders twice a second, bent."""
    dance = swaying(240, 30.0)
    turns = dance.rotations.copy()
    swing = amplitude * np.sin(4 * np.pi * np.arange(240) / 30)
    for side, sign in (("left", 1), ("right", -1)):
        turned = Rotation.from_euler("z", sign * swing[:, None]).as_matrix()
        turns[:, dance.skeleton.index(f"{side}_shoulder")] = turned
        turns[:, dance.skeleton.index(f"{side}_elbow")] = Rotation.from_euler("y", -sign * 1.2).as_matrix()
    return replace(dance, rotations=turns, meta={"genre": genre})


def bent(rotations, joint="left_middle2") -> np.ndarray:
    return np.degrees(Rotation.from_matrix(rotations[joint]).magnitude())


def test_hands_follow_energy_and_genre():
    slow, fast = (np.median(bent(finger_rotations(waving(size, "krump")))[60:]) for size in (0.05, 0.7))
    assert slow < 40 < fast
    flat = np.median(bent(finger_rotations(waving(0.7, "ballet-jazz")))[60:])
    assert flat < 15
    straight = posed("relaxed")
    straight = replace(straight, meta={"genre": "disco"})  # arms stretched sideways
    found = finger_rotations(straight)
    assert bent(found, "left_index2")[-1] < 15
    assert bent(found, "left_ring2")[-1] > 60


def test_hands_are_never_frozen_and_never_leap():
    for motion in (posed("relaxed", 300), waving(0.7, "krump"), waving(0.3, "salsa")):
        found = finger_rotations(motion)
        for joint in ("left_index1", "right_pinky2", "left_thumb2"):
            vectors = Rotation.from_matrix(found[joint]).as_rotvec(degrees=True)
            assert np.linalg.norm(np.diff(vectors, axis=0), axis=-1).max() * motion.fps < 600
            windows = vectors[: len(vectors) // 60 * 60].reshape(-1, 60, 3)
            assert np.ptp(windows, axis=1).max(-1).min() > 1.0


def test_the_same_dance_has_the_same_fingers_in_pieces_and_as_a_whole():
    dance = waving(0.5, "salsa")
    whole, again = finger_rotations(dance), finger_rotations(dance)
    parts = hands.Hands("salsa")
    pieces = [parts.more(dance.slice(begin, begin + 80)) for begin in (0, 80, 160)]
    for joint in JOINTS:
        np.testing.assert_array_equal(whole[joint], again[joint])
        joined = np.concatenate([piece[joint] for piece in pieces])
        # Speeds at the ends of pieces are told from one side.
        assert Rotation.from_matrix(np.swapaxes(joined, -1, -2) @ whole[joint]).magnitude().max() < np.radians(12)


def test_one_knuckle_bends_as_four_fingers_do_unless_it_moves_by_itself():
    fist = with_knuckles(posed("fist"))
    for name, axis in (("left_hand", -1), ("right_hand", 1)):
        vector = Rotation.from_matrix(fist.rotations[-1, fist.skeleton.index(name)]).as_rotvec(degrees=True)
        np.testing.assert_allclose(vector, [0, 0, axis * 58], atol=5)
    np.testing.assert_allclose(fist.joints(), posed("fist").joints(), atol=1e-9)
    own = posed("fist")
    own.rotations[:, own.skeleton.index("left_hand")] = Rotation.from_euler("y", 0.5).as_matrix()
    assert with_knuckles(own) is own


def test_files_hold_hands_unless_told_not_to(tmp_path):
    dance = posed("fist")
    for ending in ("vmd", "vrma", "glb"):
        for wanted in (True, False):
            export(dance, tmp_path / f"{wanted}.{ending}", options=ExportOptions(hands=wanted))
    vmd = Vmd(tmp_path / "True.vmd")
    fingers = {name for name in vmd.tracks if "指" in name}
    assert len(fingers) == 30
    assert {"左親指０", "右人指３", "左小指１", "右薬指２"} <= fingers
    # In the model's A pose the finger bends about the same axis of the hand: z, whichever way the arm slopes.
    vector = Rotation.from_quat(vmd.key("左中指１", 60)[1]).as_rotvec(degrees=True)
    np.testing.assert_allclose(np.abs(vector), [0, 0, 74], atol=6)
    assert not [name for name in Vmd(tmp_path / "False.vmd").tracks if "指" in name]
    for wanted in (True, False):
        (tmp_path / f"{wanted}.vrma").rename(tmp_path / f"{wanted}-vrma.glb")
        glb = Glb(tmp_path / f"{wanted}-vrma.glb")
        bones = glb.gltf.extensions["VRMC_vrm_animation"]["humanoid"]["humanBones"]
        found = [bone for bone in bones if any(word in bone for word in ("Thumb", "Index", "Middle", "Ring", "Little"))]
        assert len(found) == (30 if wanted else 2)
        if wanted:
            assert {"leftThumbMetacarpal", "rightLittleDistal", "leftIndexIntermediate"} <= set(found)
            places, wrist = glb.joints()[0], dance.joints()[-1, dance.skeleton.index("left_wrist")]
            index = places[glb.gltf.nodes[bones["leftIndexDistal"]["node"]].name][-1] - wrist
            assert index[1] < -0.03  # below the palm
    skins = [Glb(tmp_path / f"{wanted}.glb").skinned(60) for wanted in (True, False)]
    moved = np.linalg.norm(skins[0] - skins[1], axis=-1)
    assert 0.04 < moved.max() < 0.15


def test_live_avatars_have_fingers_of_unity_s_names():
    pythonosc = pytest.importorskip("pythonosc.osc_bundle")
    dance = posed("fist")
    data = list(vmc.bundles(dance, hands=hands.Hands(dance.meta["genre"])))[-1]
    bones = {each.params[0]: each.params[1:] for each in pythonosc.OscBundle(data) if each.address.endswith("Bone/Pos")}
    assert len(bones) == 22 + 30
    assert {"LeftThumbProximal", "LeftThumbIntermediate", "RightLittleDistal", "LeftIndexIntermediate"} <= set(bones)
    # Left-handed about z as ours is right-handed: fingers of the left hand, which point to -x, bend down.
    turn = Rotation.from_quat(bones["LeftMiddleProximal"][3:]).as_matrix()
    assert (turn @ [-1, 0, 0])[1] < -0.8


def character(path, *, roll: float = 0.0) -> None:
    """Our bones with fingers, called as Mixamo calls them; ``roll`` turns the hands about the arms at rest."""
    take = with_fingers(as_take(posed("flat", 2), ExportOptions(naming="mixamo")), finger_rotations(posed("flat", 2)))
    names = list(take.names)
    for slot, name in enumerate(names):
        if name in JOINTS:
            side, _, word = name.partition("_")
            names[slot] = f"mixamorig:{side.title()}Hand{MIXAMO[word[:-1]]}{word[-1]}"
    offsets = take.offsets.copy()
    for side in ("Left", "Right"):
        for slot, name in enumerate(names):
            if name.startswith(f"mixamorig:{side}Hand") and name != f"mixamorig:{side}Hand":
                offsets[slot] = Rotation.from_euler("x", roll, degrees=True).as_matrix() @ offsets[slot]
    rest = np.broadcast_to(np.eye(3), take.rotations.shape)
    save_glb([[replace(take, names=tuple(names), offsets=offsets, rotations=rest)]], None, path)


@pytest.mark.parametrize("roll", [0.0, 70.0, -40.0])
def test_characters_with_fingers_bend_them_however_their_hands_lie_at_rest(tmp_path, roll):
    character(tmp_path / "character.glb", roll=roll)
    dance = posed("fist")
    for wanted in (True, False):
        options = ExportOptions(rig=tmp_path / "character.glb", hands=wanted)
        export(dance, tmp_path / f"{wanted}.glb", options=options)
    places, open_places = (Glb(tmp_path / f"{wanted}.glb").joints()[0] for wanted in (True, False))
    wrist = places["mixamorig:LeftHand"][-1]
    tip, open_tip = (found["mixamorig:LeftHandMiddle3"][-1] - wrist for found in (places, open_places))
    assert open_tip[0] > 0.14
    # The arms are stretched, palms down if they are so at rest: a fist is before the palm, wherever that faces.
    bent_tip = Rotation.from_euler("x", -roll, degrees=True).apply(tip)
    assert bent_tip[1] < -0.035
    assert bent_tip[0] < 0.12
    assert abs(bent_tip[2]) < 0.02
    right = Rotation.from_euler("x", -roll, degrees=True).apply(
        places["mixamorig:RightHandMiddle3"][-1] - places["mixamorig:RightHand"][-1]
    )
    np.testing.assert_allclose(right, bent_tip * [-1, 1, 1], atol=0.015)
