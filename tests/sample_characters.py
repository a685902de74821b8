"""Characters made up for tests: odd proportions, rest poses, bone axes, units and names, as GLB, FBX and BVH files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from longdance.export import fbx_nodes
from longdance.export.fbx import Objects, property_row
from longdance.export.fbx_nodes import double, integer, node, text
from longdance.export.glb import VERTEX_DATA, GlbBuilder
from longdance.motion.skeleton import SMPL24
from sample_motions import RIGS, rig_name

NAMES = RIGS | {
    "vrm": dict(
        pelvis="J_Bip_C_Hips", spine1="J_Bip_C_Spine", spine2="J_Bip_C_Chest", spine3="J_Bip_C_UpperChest",
        neck="J_Bip_C_Neck", head="J_Bip_C_Head", hip="J_Bip_{S}_UpperLeg", knee="J_Bip_{S}_LowerLeg",
        ankle="J_Bip_{S}_Foot", foot="J_Bip_{S}_ToeBase", collar="J_Bip_{S}_Shoulder", shoulder="J_Bip_{S}_UpperArm",
        elbow="J_Bip_{S}_LowerArm", wrist="J_Bip_{S}_Hand", hand="J_Bip_{S}_Middle1",
    ),
    "unreal": dict(
        pelvis="pelvis", spine1="spine_01", spine2="spine_02", spine3="spine_03", neck="neck_01", head="head",
        hip="thigh_{s}", knee="calf_{s}", ankle="foot_{s}", foot="ball_{s}", collar="clavicle_{s}",
        shoulder="upperarm_{s}", elbow="lowerarm_{s}", wrist="hand_{s}", hand="middle_01_{s}",
    ),
    "rigify": dict(
        pelvis="spine", spine1="spine.001", spine2="spine.002", spine3="spine.003", neck="spine.004",
        head="spine.006", hip="thigh.{S}", knee="shin.{S}", ankle="foot.{S}", foot="toe.{S}", collar="shoulder.{S}",
        shoulder="upper_arm.{S}", elbow="forearm.{S}", wrist="hand.{S}", hand="f_middle.01.{S}",
    ),
    "sketchfab": {joint: f"{name}_0{number}" for number, (joint, name) in enumerate(RIGS["mixamo"].items(), start=10)},
}  # fmt: skip


def bone_name(rig: str, joint: str) -> str:
    """What a rig calls one of our joints."""
    if rig in RIGS:
        return rig_name(rig, joint)
    side, _, rest = joint.partition("_")
    if side not in ("left", "right"):
        return NAMES[rig][joint]
    return NAMES[rig][rest].format(Side=side.title(), S=side[0].upper(), s=side[0])


@dataclass(frozen=True)
class Character:
    """Bones at rest, metres, y up: ``places`` and world ``turns`` of the joints of SMPL24 that it has."""

    names: dict[str, str]
    parents: dict[str, str | None]
    places: dict[str, np.ndarray]
    turns: dict[str, np.ndarray]


def character(
    rig: str,
    rng: np.random.Generator,
    *,
    leg: float = 1.0,
    shin: float = 1.0,
    arm: float = 1.0,
    hips: float = 1.0,
    foot: float = 1.0,
    arms_down: float = 0.0,
    facing: float = 0.0,
    without: tuple[str, ...] = (),
    axes: bool = True,
) -> Character:
    """Our skeleton with parts that many times as long, arms lowered by degrees, turned by degrees, joints left out.

    ``axes`` gives every bone axes of its own.
    """
    stretch = {"knee": leg, "ankle": leg * shin, "elbow": arm, "wrist": arm, "hip": hips, "foot": foot}
    places: dict[str, np.ndarray] = {}
    for joint, name in enumerate(SMPL24.names):
        side, _, part = name.partition("_")
        offset = SMPL24.offsets[joint] * stretch.get(part, 1.0)
        if part == "foot":
            offset = SMPL24.offsets[joint] * [1, 1, foot]
        if part in ("elbow", "wrist", "hand"):
            offset = Rotation.from_euler("z", -arms_down if side == "left" else arms_down, degrees=True).apply(offset)
        parent = SMPL24.parents[joint]
        places[name] = offset + (places[SMPL24.names[parent]] if parent >= 0 else 0)
    lift = np.array([0, 0.02 - places["left_foot"][1], 0])
    whole = Rotation.from_euler("y", facing, degrees=True)
    kept = [name for name in SMPL24.names if name not in without]
    parents: dict[str, str | None] = {}
    for name in kept:
        above = SMPL24.parents[SMPL24.index(name)]
        while above >= 0 and SMPL24.names[above] in without:
            above = SMPL24.parents[above]
        parents[name] = SMPL24.names[above] if above >= 0 else None
    random = Rotation.random(len(kept), random_state=int(rng.integers(1 << 31))).as_matrix()
    return Character(
        names={name: bone_name(rig, name) for name in kept},
        parents=parents,
        places={name: whole.apply(places[name] + lift) for name in kept},
        turns={name: random[i] if axes else np.eye(3) for i, name in enumerate(kept)},
    )


def _locals(body: Character, name: str) -> tuple[np.ndarray, np.ndarray]:
    parent = body.parents[name]
    if parent is None:
        return body.places[name], body.turns[name]
    inverse = body.turns[parent].T
    return inverse @ (body.places[name] - body.places[parent]), inverse @ body.turns[name]


def write_glb(body: Character, path: Path, *, bind: Character | None = None, document: dict | None = None) -> None:
    """A GLB file as Blender or Mixamo make them: centimetres and z up below a node that mends both.

    The file's nodes are posed as ``body``; the mesh is bound as ``bind``, by default the same. It has an animation of
    its own, a twist bone in the forearm, and a mesh of a few points.
    """
    bind = bind or body
    fix = Rotation.from_euler("x", -90, degrees=True)
    builder = GlbBuilder(dict(document or {}))
    order = list(body.names)
    nodes = [{"name": "Armature", "rotation": fix.as_quat().tolist(), "scale": [0.01] * 3, "children": [1]}]
    for name in order:
        place, turn = _locals(body, name)
        if body.parents[name] is None:
            place, turn = fix.inv().apply(place), fix.inv().as_matrix() @ turn
        children = [order.index(child) + 1 for child in order if body.parents[child] == name]
        nodes.append(
            {
                "name": body.names[name],
                "translation": (100 * place).tolist(),
                "rotation": Rotation.from_matrix(turn).as_quat().tolist(),
                **({"children": children} if children else {}),
            }
        )
    twist = len(nodes)
    nodes.append({"name": "twist", "translation": [0.0, 0.0, 1.0]})
    nodes[order.index("left_elbow") + 1]["children"].append(twist)
    inverse = []
    for name in order:
        world = np.eye(4)
        world[:3, :3], world[:3, 3] = 0.01 * bind.turns[name], bind.places[name]
        inverse.append(np.linalg.inv(world))
    points = np.array([bind.places["left_ankle"] * [1, 0, 1], bind.places["head"], bind.places["left_wrist"]])
    slots = np.zeros((3, 4), dtype=int)
    slots[:, 0] = [order.index(name) for name in ("left_ankle", "head", "left_wrist")]
    builder.document |= {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0, len(nodes)]}],
        "nodes": [*nodes, {"name": "Mesh", "mesh": 0, "skin": 0}],
        "skins": [
            {"joints": list(range(1, len(order) + 1)), "inverseBindMatrices": builder.add_array(np.array(inverse))}
        ],
        "materials": [{"name": "the user's own"}],
        "meshes": [
            {
                "primitives": [
                    {
                        "attributes": {
                            "POSITION": builder.add_array(points, target=VERTEX_DATA, bounds=True),
                            "JOINTS_0": builder.add_array(slots, 5121, target=VERTEX_DATA),
                            "WEIGHTS_0": builder.add_array(np.eye(4)[[0, 0, 0]], target=VERTEX_DATA),
                        },
                        "material": 0,
                    }
                ]
            }
        ],
        "animations": [
            {
                "name": "idle",
                "samplers": [
                    {
                        "input": builder.add_array(np.zeros(1), bounds=True),
                        "output": builder.add_array(np.zeros((1, 3))),
                    }
                ],
                "channels": [{"sampler": 0, "target": {"node": 1, "path": "translation"}}],
            }
        ],
    }
    path.write_bytes(builder.content())


def write_fbx(body: Character, path: Path, rng: np.random.Generator) -> None:
    """An FBX file in centimetres whose bones have rotations before and after their own, in any order of axes."""
    objects = Objects(first_id=5000)
    numbers: dict[str, int] = {}
    for name in body.names:
        place, turn = _locals(body, name)
        before, after = Rotation.random(2, random_state=int(rng.integers(1 << 31)))
        order = int(rng.integers(6))
        letters = ("xyz", "xzy", "yzx", "yxz", "zxy", "zyx")[order]
        own = before.inv() * Rotation.from_matrix(turn) * after
        angles = own.as_euler(letters, degrees=True)[[letters.index(axis) for axis in "xyz"]]
        rows = [
            property_row("RotationOrder", "enum", "", "", integer(order)),
            property_row("PreRotation", "Vector3D", "Vector", "", *map(double, before.as_euler("xyz", degrees=True))),
            property_row("PostRotation", "Vector3D", "Vector", "", *map(double, after.as_euler("xyz", degrees=True))),
            property_row("Lcl Translation", "Lcl Translation", "", "A", *map(double, 100 * place)),
            property_row("Lcl Rotation", "Lcl Rotation", "", "A", *map(double, angles)),
        ]
        number = objects.add("Model", body.names[name], "Model", "LimbNode", node("Properties70", children=rows))
        parent = body.parents[name]
        objects.connect(number, 0 if parent is None else numbers[parent])
        numbers[name] = number
    layer = objects.add_stack("idle", 2, 30.0)
    objects.add_track(layer, numbers["pelvis"], "Lcl Translation", np.zeros((2, 3)), np.array([0, 1]))
    objects.add("Material", "the user's own", "Material", "")
    settings = [
        property_row("UpAxis", "int", "Integer", "", integer(1)),
        property_row("UnitScaleFactor", "double", "Number", "", double(1.0)),
        property_row("TimeMode", "enum", "", "", integer(11)),
    ]
    roots = [
        node("GlobalSettings", children=[node("Properties70", children=settings)]),
        node("Definitions", children=[node("ObjectType", text("Model"), children=[node("Count", integer(1))])]),
        node("Objects", children=objects.nodes),
        node("Connections", children=objects.connections),
        node("Takes", children=[node("Current", text("idle"))]),
    ]
    fbx_nodes.save(roots, path)


def write_bvh(body: Character, path: Path) -> None:
    """A BVH file in centimetres; its bones have no axes of their own."""
    lines = ["HIERARCHY"]

    def write(name: str, indent: str) -> None:
        parent = body.parents[name]
        offset = 100 * (body.places[name] - body.places[parent]) if parent else np.zeros(3)
        lines.append(f"{indent}{'JOINT' if parent else 'ROOT'} {body.names[name]}\n{indent}{{")
        lines.append(f"{indent} OFFSET {offset[0]:.6f} {offset[1]:.6f} {offset[2]:.6f}")
        position = "" if parent else "Xposition Yposition Zposition "
        lines.append(f"{indent} CHANNELS {3 if parent else 6} {position}Yrotation Xrotation Zrotation")
        children = [child for child in body.names if body.parents[child] == name]
        for child in children:
            write(child, indent + " ")
        if not children:
            lines.append(f"{indent} End Site\n{indent} {{\n{indent}  OFFSET 0 0 0\n{indent} }}")
        lines.append(f"{indent}}}")

    write("pelvis", "")
    lines += ["MOTION", "Frames: 1", "Frame Time: 0.0333333", " ".join(["0"] * (3 + 3 * len(body.names)))]
    path.write_text("\n".join(lines) + "\n")
