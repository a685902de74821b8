"""VMD, the motion files of MikuMikuDance: keys at 30 frames a second for bones with their standard Japanese names.

Bones of MMD's models have frames parallel to the world's at rest, as ours; axes are left-handed, y up, the model faces
-z. Models rest with their arms ``A_POSE`` degrees below the horizontal, legs straight down; the keys are relative to
that. The chest's whole turn is on the bone of the upper body, which every model has; the pelvis' turn on that of the
lower body. The centre alone travels. Legs are keyed by their joints, and their inverse kinematics is switched off; its
bones are keyed too, for those who switch it on.
"""

import struct

import numpy as np

from longdance.errors import InputError
from longdance.export.hands import finger_rotations
from longdance.export.job import Job
from longdance.export.takes import require_smpl
from longdance.files import atomic_write
from longdance.motion.directions import quaternion_track, turn_between
from longdance.motion.motion import Motion

REGISTER = {
    "format": {"vmd": {"make": "write", "order": 10, "about": "motion for MikuMikuDance models"}},
}

FPS = 30.0
A_POSE = 37.5
"""Degrees of the arms below the horizontal at rest: models have 35 to 40."""
LEG = 9.9
"""Length of hip to ankle in MMD's units, of about 8 cm, for a model 20 units tall."""
WAIST = 1.4
"""Units from the middle between the hips up to where upper and lower body begin, and turn."""
SIDES = {"left": "左", "right": "右"}
ARM = {"collar": "肩", "shoulder": "腕", "elbow": "ひじ", "wrist": "手首"}
LEGS = {"hip": "足", "knee": "ひざ", "ankle": "足首"}
CENTRE, GROOVE, LOWER, UPPER, UPPER2, NECK, HEAD = "センター", "グルーブ", "下半身", "上半身", "上半身2", "首", "頭"
FINGER_WORDS = {"thumb": "親指", "index": "人指", "middle": "中指", "ring": "薬指", "pinky": "小指"}
INVERSE = tuple(f"{side}{part}ＩＫ" for side in SIDES.values() for part in ("足", "つま先"))
"""Bones of inverse kinematics."""
LINEAR = bytes((20,) * 8 + (107,) * 8)
"""Handles of a straight curve from a key to the next."""
TO_MMD = np.diag([1.0, 1.0, -1.0])

Keys = tuple[np.ndarray, np.ndarray]
"""Places (frames, 3) in units, relative to rest, and rotations (frames, 3, 3) in our axes."""


def write(job: Job) -> None:
    """Write one dance; ``InputError`` for another frame rate than the format's."""
    if job.options.fps not in (None, FPS):
        raise InputError(f"{job.path}: expected {FPS:g} frames a second, as the format has them; leave out the rate")
    motion = job.motion.resample(FPS)
    keys = body_keys(motion)
    if job.options.hands:
        keys |= finger_keys(motion)
    content = vmd_bytes(keys)
    with atomic_write(job.path) as temporary:
        temporary.write_bytes(content)


def body_keys(motion: Motion) -> dict[str, Keys]:
    """Keys of the body's bones by their names; ``InputError`` for a skeleton without SMPL's joint names."""
    require_smpl(motion)
    joints, turns = motion.forward_kinematics()
    index, offsets = motion.skeleton.index, motion.skeleton.offsets
    chest, pelvis = turns[:, index("spine3")], turns[:, 0]
    still, rest = np.zeros((motion.frames, 3)), np.broadcast_to(np.eye(3), pelvis.shape)
    keys: dict[str, Keys] = {GROOVE: (still, rest), UPPER2: (still, rest)}

    def put(name: str, turned: np.ndarray, above: np.ndarray) -> np.ndarray:
        keys[name] = (still, np.swapaxes(above, -1, -2) @ turned)
        return turned

    put(UPPER, chest, rest)
    put(LOWER, pelvis, rest)
    put(HEAD, turns[:, index("head")], put(NECK, turns[:, index("neck")], chest))
    for side, sign in SIDES.items():
        outward = 1.0 if side == "left" else -1.0
        slope = np.radians(A_POSE)
        rests = {"shoulder": (outward * np.cos(slope), -np.sin(slope), 0.0), "hip": (0.0, -1.0, 0.0)}
        for chain, above, begin, follow in ((ARM, chest, "shoulder", "hand"), (LEGS, pelvis, "hip", "foot")):
            ends = [*list(chain)[1:], follow]
            for (joint, word), child in zip(chain.items(), ends, strict=True):
                turned = turns[:, index(f"{side}_{joint}")]
                if joint not in ("collar", "ankle"):  # these have no direction at rest that all models share
                    own = offsets[index(f"{side}_{child}")] if child != "hand" else np.array([outward, 0.0, 0.0])
                    turned = turned @ turn_between(np.array(rests[begin]), own)
                above = put(sign + word, turned, above)

    # The middle between the hips is where the dance's is, as much larger as the model's legs are longer.
    scale = LEG / motion.skeleton.leg_length
    hips = joints[:, [index("left_hip"), index("right_hip")]].mean(1)
    at_rest = motion.skeleton.rest_positions[[index("left_hip"), index("right_hip")]].mean(0)
    up = np.array([0.0, WAIST, 0.0])
    keys[CENTRE] = ((hips - at_rest) * scale - up + pelvis @ up, rest)
    for side, sign in SIDES.items():
        ankle = index(f"{side}_ankle")
        moved = (joints[:, ankle] - motion.skeleton.rest_positions[ankle]) * scale
        keys[f"{sign}足ＩＫ"] = (moved, turns[:, ankle])
        keys[f"{sign}つま先ＩＫ"] = (still, rest)
    return keys


def finger_keys(motion: Motion) -> dict[str, Keys]:
    """Keys of the fingers' bones by their names."""
    keys: dict[str, Keys] = {}
    still = np.zeros((motion.frames, 3))
    for joint, turns in finger_rotations(motion).items():
        side, _, word = joint.partition("_")
        outward = 1.0 if side == "left" else -1.0
        rest = np.array([outward * np.cos(np.radians(A_POSE)), -np.sin(np.radians(A_POSE)), 0.0])
        to_ours = turn_between(rest, np.array([outward, 0.0, 0.0]))
        finger, part = word[:-1], int(word[-1])
        # Thumbs are counted from 0, which not every model has.
        number = "０１２３"[part - 1 if finger == "thumb" else part]
        keys[f"{SIDES[side]}{FINGER_WORDS[finger]}{number}"] = (still, to_ours.T @ turns @ to_ours)
    return keys


def vmd_bytes(keys: dict[str, Keys], *, model: str = "longdance") -> bytes:
    """The file: bones' keys on every frame, one where a bone never moves; inverse kinematics off."""
    rows = [b""]
    for name, (places, turns) in keys.items():
        quaternions = quaternion_track(TO_MMD @ turns @ TO_MMD)
        values = np.concatenate((places @ TO_MMD, quaternions), 1).astype("<f4")
        count = len(values) if np.ptp(values, axis=0).max() > 1e-6 else 1
        frames = np.zeros(count, _ROW)
        frames["name"], frames["frame"], frames["values"] = _text(name, 15), np.arange(count), values[:count]
        frames["curves"] = np.frombuffer(_curves(), "u1")
        rows.append(frames.tobytes())
    content = b"".join(rows)
    head = b"Vocaloid Motion Data 0002".ljust(30, b"\0") + _text(model, 20)
    off = b"".join(_text(name, 20) + b"\0" for name in INVERSE)
    shown = struct.pack("<IIBI", 1, 0, 1, len(INVERSE)) + off
    # No faces, cameras, lamps and shadows.
    return head + struct.pack("<I", len(content) // _ROW.itemsize) + content + struct.pack("<4I", 0, 0, 0, 0) + shown


_ROW = np.dtype([("name", "S15"), ("frame", "<u4"), ("values", "<f4", 7), ("curves", "u1", 64)])


def _curves() -> bytes:
    """The 64 bytes of a key's curves: four rows, each the one before without its first byte."""
    return b"".join(LINEAR[skip:].ljust(16, b"\0") for skip in range(4))


def _text(words: str, size: int) -> bytes:
    return words.encode("cp932")[:size].ljust(size, b"\0")
