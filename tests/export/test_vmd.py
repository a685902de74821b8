"""Motion for MikuMikuDance, read by the format's description and laid on a skeleton as its models have it."""

import struct

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from conftest import swaying
from longdance.errors import InputError
from longdance.export.formats import export
from longdance.export.takes import ExportOptions
from longdance.motion.motion import Motion
from longdance.motion.skeleton import SMPL22
from sample_motions import wandering

SLOPE = np.radians(37.5)
ALONG = np.array([np.cos(SLOPE), -np.sin(SLOPE), 0.0])


def skeleton() -> dict[str, tuple[str | None, np.ndarray]]:
    """A model's bones: parents and places in MMD's axes (left-handed, facing -z), which are about 8 cm."""
    bones: dict[str, tuple[str | None, tuple]] = {
        "全ての親": (None, (0, 0, 0)), "センター": ("全ての親", (0, 8, 0)), "グルーブ": ("センター", (0, 8.2, 0)),
        "上半身": ("グルーブ", (0, 12.1, 0)), "上半身2": ("上半身", (0, 13.6, 0)), "首": ("上半身2", (0, 16.4, 0)),
        "頭": ("首", (0, 17.3, 0)), "下半身": ("グルーブ", (0, 12.1, 0)),
    }  # fmt: skip
    for side, x in (("左", 1.0), ("右", -1.0)):
        at = np.array([1.2, 16.0, 0.0])
        bones[f"{side}肩"] = ("上半身2", (0.3 * x, 15.9, 0))
        for name, parent, length in (
            ("腕", "肩", 0),
            ("ひじ", "腕", 2.6),
            ("手首", "ひじ", 2.3),
            ("中指１", "手首", 0.9),
        ):
            at = at + ALONG * length
            bones[side + name] = (side + parent, tuple(at * [x, 1, 1]))
        for name, parent, y, z in (("足", None, 10.7, 0), ("ひざ", "足", 5.5, 0), ("足首", "ひざ", 0.8, 0)):
            bones[side + name] = (side + parent if parent else "下半身", (0.9 * x, y, z))
        bones[f"{side}つま先"] = (f"{side}足首", (0.9 * x, 0, -1.5))
    return {name: (parent, np.array(place, float)) for name, (parent, place) in bones.items()}


class Vmd:
    """What a file holds, by the description of the format."""

    def __init__(self, path):
        data = path.read_bytes()
        assert data[:30].rstrip(b"\0") == b"Vocaloid Motion Data 0002"
        (count,) = struct.unpack_from("<I", data, 50)
        self.tracks: dict[str, dict[int, tuple[np.ndarray, np.ndarray]]] = {}
        at = 54
        for _ in range(count):
            name, frame, *values = struct.unpack_from("<15sI7f", data, at)
            assert data[at + 47 : at + 63] == bytes([20] * 8 + [107] * 8)
            word = name.split(b"\0")[0].decode("shift_jis")
            self.tracks.setdefault(word, {})[frame] = (np.array(values[:3]), np.array(values[3:]))
            at += 111
        faces, cameras, lamps, shadows, shown = struct.unpack_from("<5I", data, at)
        assert (faces, cameras, lamps, shadows, shown) == (0, 0, 0, 0, 1)
        frame, visible, switches = struct.unpack_from("<IBI", data, at + 20)
        assert (frame, visible) == (0, 1)
        rows = [struct.unpack_from("<20sB", data, at + 29 + 21 * n) for n in range(switches)]
        self.inverse = {name.split(b"\0")[0].decode("shift_jis"): on for name, on in rows}
        assert at + 29 + 21 * switches == len(data)

    def key(self, name, frame):
        track = self.tracks.get(name, {})
        return track.get(frame) or track.get(0) or (np.zeros(3), np.array([0.0, 0, 0, 1]))

    def places(self, bones, frame):
        """Places of a model's bones; left-handed matrices of quaternions are written as right-handed ones are."""
        world: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for name, (parent, rest) in bones.items():
            move, quaternion = self.key(name, frame)
            turn = Rotation.from_quat(quaternion).as_matrix()
            if parent is None:
                world[name] = (rest + move, turn)
            else:
                place, above = world[parent]
                world[name] = (place + above @ (rest - bones[parent][1] + move), above @ turn)
        return {name: place for name, (place, _) in world.items()}


LIMBS = [(f"{side}_{a}", f"{side}_{b}", f"{sign}{c}", f"{sign}{d}")
         for side, sign in (("left", "左"), ("right", "右"))
         for a, b, c, d in (("shoulder", "elbow", "腕", "ひじ"), ("elbow", "wrist", "ひじ", "手首"),
                            ("wrist", "hand", "手首", "中指１"), ("hip", "knee", "足", "ひざ"),
                            ("knee", "ankle", "ひざ", "足首"))]  # fmt: skip


def worst_angle(vmd, motion, bones):
    joints, worst = motion.joints(), 0.0
    index = motion.skeleton.index
    for frame in range(0, motion.frames, 7):
        places = vmd.places(bones, frame)
        for begin, end, from_bone, to_bone in LIMBS:
            if end not in motion.skeleton.names:
                continue
            ours = joints[frame, index(end)] - joints[frame, index(begin)]
            theirs = (places[to_bone] - places[from_bone]) * [1, 1, -1]
            cosine = ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs)
            worst = max(worst, np.degrees(np.arccos(min(cosine, 1.0))))
    return worst


def test_limbs_of_a_standard_model_point_where_ours_point(tmp_path):
    dance = wandering(np.random.default_rng(3), frames=60, fps=30.0)
    export(dance, tmp_path / "dance.vmd")
    vmd = Vmd(tmp_path / "dance.vmd")
    assert worst_angle(vmd, dance, skeleton()) < 0.1
    # A model without the second bone of the upper body moves alike.
    short = {name: ("上半身" if parent == "上半身2" else parent, place) for name, (parent, place) in skeleton().items()}
    del short["上半身2"]
    assert worst_angle(vmd, dance, short) < 0.1
    assert set(vmd.inverse.items()) == {(f"{s}{p}ＩＫ", 0) for s in "左右" for p in ("足", "つま先")}


def test_the_middle_of_the_hips_travels_as_far_as_the_legs_are_long_and_feet_are_where_their_ik_is(tmp_path):
    dance = wandering(np.random.default_rng(4), frames=40, fps=30.0)
    export(dance, tmp_path / "dance.vmd")
    vmd, bones, joints = Vmd(tmp_path / "dance.vmd"), skeleton(), dance.joints()
    scale = 9.9 / dance.skeleton.leg_length
    index = dance.skeleton.index
    at_rest = dance.skeleton.rest_positions[index("left_hip")] * [0, 1, 1]
    for frame in (0, 13, 39):
        places = vmd.places(bones, frame)
        hips = (places["左足"] + places["右足"]) / 2
        ours = (joints[frame, index("left_hip")] + joints[frame, index("right_hip")]) / 2 - at_rest
        np.testing.assert_allclose((hips - [0, 10.7, 0]) * [1, 1, -1], ours * scale, atol=1e-4)
        moved = joints[frame, index("left_ankle")] - dance.skeleton.rest_positions[index("left_ankle")]
        np.testing.assert_allclose(vmd.key("左足ＩＫ", frame)[0] * [1, 1, -1], moved * scale, atol=1e-4)


def test_the_rest_pose_is_the_models_a_pose_with_raised_arms_only(tmp_path):
    still = Motion(np.array([[0.0, SMPL22.rest_root_height, 0.0]]), np.tile(np.eye(3), (1, 22, 1, 1)), 30.0, SMPL22)
    export(still, tmp_path / "still.vmd", options=ExportOptions(hands=False))
    vmd = Vmd(tmp_path / "still.vmd")
    angles = {name: np.degrees(Rotation.from_quat(track[0][1]).magnitude()) for name, track in vmd.tracks.items()}
    moved = {name for name, track in vmd.tracks.items() if np.abs(track[0][0]).max() > 1e-6}
    assert {name for name, angle in angles.items() if angle > 2} == {"左腕", "右腕"}
    assert angles["左腕"] == pytest.approx(37.5, abs=1e-3)
    assert not moved
    assert worst_angle(vmd, still, skeleton()) < 0.1


def test_another_rate_becomes_the_format_s_and_cannot_be_asked_for(tmp_path):
    dance = swaying(60, 60.0)
    export(dance, tmp_path / "dance.vmd")
    assert max(Vmd(tmp_path / "dance.vmd").tracks["センター"]) == 29
    with pytest.raises(InputError, match="30 frames a second"):
        export(dance, tmp_path / "other.vmd", options=ExportOptions(fps=60))
    assert not (tmp_path / "other.vmd").exists()
