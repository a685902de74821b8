"""Movements made up for tests: natural joint limits, smooth in time; and the same in foreign BVH rigs."""

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from longdance.motion import rotations as rot
from longdance.motion.motion import Motion
from longdance.motion.skeleton import SMPL24

SWINGS = {  # joint: limits in degrees about x, y, z of a smooth random walk
    "left_hip": ((-70, 10), (-20, 20), (-5, 30)),
    "left_knee": ((5, 80), (0, 0), (0, 0)),
    "spine1": ((-5, 12), (-8, 8), (-6, 6)),
    "spine2": ((-5, 12), (-8, 8), (-6, 6)),
    "spine3": ((-5, 12), (-8, 8), (-6, 6)),
    "head": ((-20, 20), (-40, 40), (-10, 10)),
    "left_shoulder": ((-20, 20), (-40, 10), (-80, 60)),
    "left_elbow": ((0, 0), (-110, -5), (0, 0)),
}


def smooth_noise(rng: np.random.Generator, frames: int, fps: float) -> np.ndarray:
    """(frames,) values from 0 to 1 that wander slowly."""
    walk = gaussian_filter1d(rng.normal(size=frames + 200), 0.25 * fps)[100:-100]
    return (walk - walk.min()) / max(np.ptp(walk), 1e-9)


def wandering(rng: np.random.Generator, frames: int = 120, fps: float = 60.0) -> Motion:
    """Limbs, spine and head wander within natural limits while the body turns and moves about; feet are level."""
    rotations = np.tile(np.eye(3), (frames, len(SMPL24), 1, 1))
    for name, limits in SWINGS.items():
        for twin in dict.fromkeys((name, name.replace("left", "right"))):
            angles = np.stack([low + (high - low) * smooth_noise(rng, frames, fps) for low, high in limits], -1)
            if twin.startswith("right"):
                angles = angles * np.array([1, -1, -1])
            rotations[:, SMPL24.index(twin)] = Rotation.from_euler(
                "YZX", angles[:, [1, 2, 0]], degrees=True
            ).as_matrix()
    yaw = np.cumsum(smooth_noise(rng, frames, fps)) * 3 / fps
    rotations[:, 0] = Rotation.from_euler("YX", np.stack((yaw, 0.1 * smooth_noise(rng, frames, fps)), -1)).as_matrix()
    root = np.stack([smooth_noise(rng, frames, fps) for _ in range(3)], -1)
    motion = Motion(root, rotations, fps=fps)
    turns = motion.global_rotations()
    ahead = np.arctan2(turns[:, 0, 0, 2], turns[:, 0, 2, 2])[:, None]
    for side in ("left", "right"):
        shin = turns[:, SMPL24.index(f"{side}_knee")]
        level = Rotation.from_euler("y", ahead).as_matrix()
        rotations[:, SMPL24.index(f"{side}_ankle")] = np.swapaxes(shin, -1, -2) @ level
    motion = Motion(root, rotations, fps=fps)
    feet = motion.joints()[:, [SMPL24.index("left_foot"), SMPL24.index("right_foot")], 1]
    root[:, 1] += 0.02 - feet.min(1)
    return Motion(root, rotations, fps=fps)


def standing(frames: int = 60, fps: float = 60.0, *, root: np.ndarray | None = None) -> Motion:
    """The rest pose with arms hanging and knees a little bent, feet flat at their standing height."""
    rotations = np.tile(np.eye(3), (frames, len(SMPL24), 1, 1))
    bend = np.deg2rad(15)
    for side, sign in (("left", -1), ("right", 1)):
        for joint, axis, angle in (
            ("hip", 0, -bend),
            ("knee", 0, 2 * bend),
            ("ankle", 0, -bend),
            ("shoulder", 2, sign * np.deg2rad(75)),
            ("elbow", 1, sign * bend),
        ):
            vector = torch.zeros(3, dtype=torch.float64)
            vector[axis] = angle
            rotations[:, SMPL24.index(f"{side}_{joint}")] = rot.matrix_from_axis_angle(vector).numpy()
    motion = Motion(np.zeros((frames, 3)), rotations, fps=fps)
    height = 0.02 - motion.joints()[0, SMPL24.index("left_foot"), 1]
    place = np.zeros((frames, 3)) if root is None else root
    return Motion(place + np.array([0, height, 0]), rotations, fps=fps)


RIGS = {  # what rigs call our joints
    "mixamo": dict(
        pelvis="mixamorig:Hips", spine1="mixamorig:Spine", spine2="mixamorig:Spine1", spine3="mixamorig:Spine2",
        neck="mixamorig:Neck", head="mixamorig:Head", hip="mixamorig:{Side}UpLeg", knee="mixamorig:{Side}Leg",
        ankle="mixamorig:{Side}Foot", foot="mixamorig:{Side}ToeBase", collar="mixamorig:{Side}Shoulder",
        shoulder="mixamorig:{Side}Arm", elbow="mixamorig:{Side}ForeArm", wrist="mixamorig:{Side}Hand",
        hand="mixamorig:{Side}HandMiddle1",
    ),
    "cmu": dict(
        pelvis="Hips", spine1="LowerBack", spine2="Spine", spine3="Spine1", neck="Neck", head="Head",
        hip="{Side}UpLeg", knee="{Side}Leg", ankle="{Side}Foot", foot="{Side}ToeBase", collar="{Side}Shoulder",
        shoulder="{Side}Arm", elbow="{Side}ForeArm", wrist="{Side}Hand", hand="{Side}FingerBase",
    ),
    "smpl": dict(
        pelvis="Pelvis", spine1="Spine1", spine2="Spine2", spine3="Spine3", neck="Neck", head="Head", hip="{S}_Hip",
        knee="{S}_Knee", ankle="{S}_Ankle", foot="{S}_Foot", collar="{S}_Collar", shoulder="{S}_Shoulder",
        elbow="{S}_Elbow", wrist="{S}_Wrist", hand="{S}_Hand",
    ),
    "biped": dict(
        pelvis="Bip01 Pelvis", spine1="Bip01 Spine", spine2="Bip01 Spine1", spine3="Bip01 Spine2",
        neck="Bip01 Neck", head="Bip01 Head", hip="Bip01 {S} Thigh", knee="Bip01 {S} Calf", ankle="Bip01 {S} Foot",
        foot="Bip01 {S} Toe0", collar="Bip01 {S} Clavicle", shoulder="Bip01 {S} UpperArm",
        elbow="Bip01 {S} Forearm", wrist="Bip01 {S} Hand", hand="Bip01 {S} Finger2",
    ),
    "iclone": dict(
        pelvis="CC_Base_Hip", spine1="CC_Base_Waist", spine2="CC_Base_Spine01", spine3="CC_Base_Spine02",
        neck="CC_Base_NeckTwist01", head="CC_Base_Head", hip="CC_Base_{S}_Thigh", knee="CC_Base_{S}_Calf",
        ankle="CC_Base_{S}_Foot", foot="CC_Base_{S}_ToeBase", collar="CC_Base_{S}_Clavicle",
        shoulder="CC_Base_{S}_Upperarm", elbow="CC_Base_{S}_Forearm", wrist="CC_Base_{S}_Hand",
        hand="CC_Base_{S}_Mid1",
    ),
    "poser": dict(
        pelvis="hip", spine1="abdomen", spine2="chestLower", spine3="chest", neck="neck", head="head",
        hip="{s}Thigh", knee="{s}Shin", ankle="{s}Foot", foot="{s}Toe", collar="{s}Collar", shoulder="{s}Shldr",
        elbow="{s}ForeArm", wrist="{s}Hand", hand="{s}Mid1",
    ),
    "neo": dict(
        pelvis="Neo_Hips", spine1="Neo_Spine", spine2="Neo_Spine1", spine3="Neo_Spine2", neck="Neo_Neck",
        head="Neo_Head", hip="Neo_{Side}UpLeg", knee="Neo_{Side}Leg", ankle="Neo_{Side}Foot",
        foot="Neo_{Side}ToeBase", collar="Neo_{Side}Shoulder", shoulder="Neo_{Side}Arm",
        elbow="Neo_{Side}ForeArm", wrist="Neo_{Side}Hand", hand="Neo_{Side}HandEnd",
    ),
}  # fmt: skip


def rig_name(rig: str, joint: str) -> str:
    """What a rig calls one of our joints."""
    side, _, rest = joint.partition("_")
    if side not in ("left", "right"):
        return RIGS[rig][joint]
    return RIGS[rig][rest].format(Side=side.title(), S=side[0].upper(), s=side[0])


def foreign_bvh(
    motion: Motion,
    rig: str,
    *,
    scale: float = 100.0,
    order: str = "ZYX",
    frames_of_bones: np.ndarray | None = None,
    world: np.ndarray | None = None,
) -> str:
    """The motion as the text of a BVH file of another rig.

    ``frames_of_bones`` (joints, 3, 3) turn every joint's local frame, as rigs do whose rest pose is not ours;
    ``world`` (3, 3) turns the world, for example to z up.
    """
    skeleton = motion.skeleton
    places, turns = motion.forward_kinematics()
    bones = np.tile(np.eye(3), (len(skeleton), 1, 1)) if frames_of_bones is None else frames_of_bones
    world = np.eye(3) if world is None else world
    turns = world @ turns @ bones
    header, columns = ["HIERARCHY"], []

    def write(joint: int, indent: str) -> None:
        parent = skeleton.parents[joint]
        offset = bones[parent].T @ skeleton.offsets[joint] * scale if joint else np.zeros(3)
        local = turns[:, joint] if joint == 0 else np.swapaxes(turns[:, parent], -1, -2) @ turns[:, joint]
        header.append(f"{indent}{'JOINT' if joint else 'ROOT'} {rig_name(rig, skeleton.names[joint])}\n{indent}{{")
        header.append(f"{indent}  OFFSET {offset[0]:.8f} {offset[1]:.8f} {offset[2]:.8f}")
        position = "6 Xposition Yposition Zposition" if joint == 0 else "3"
        header.append(f"{indent}  CHANNELS {position} " + " ".join(f"{axis}rotation" for axis in order))
        if joint == 0:
            columns.append(places[:, 0] @ world.T * scale)
        columns.append(Rotation.from_matrix(local).as_euler(order, degrees=True))
        for child in skeleton.children[joint]:
            write(child, indent + "  ")
        if not skeleton.children[joint]:
            header.append(f"{indent}  End Site\n{indent}  {{\n{indent}    OFFSET 0 0 0\n{indent}  }}")
        header.append(f"{indent}}}")

    write(0, "")
    rows = np.concatenate(columns, axis=1)
    header += ["MOTION", f"Frames: {motion.frames}", f"Frame Time: {1 / motion.fps:.8f}"]
    return "\n".join(header + [" ".join(f"{value:.7f}" for value in row) for row in rows]) + "\n"
