"""Characters as users save them, made up at random: any pose, posed or scaled parents, several skins, GLB and FBX."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from longdance.export import fbx_nodes
from longdance.export.fbx import Objects, property_row
from longdance.export.fbx_nodes import array, double, integer, node, text
from longdance.export.glb import GlbBuilder
from sample_characters import NAMES, character

POSES = ("as bound", "idle", "dancing", "lying", "turned round")
PARENTS = ("none", "armature", "root bone", "turned root", "moved root", "placed object", "both")
SPACES = ("world", "armature", "quantised")


@dataclass
class Bone:
    """A node as saved: ``place``, ``turn`` and ``scale`` against its parent."""

    name: str
    parent: int
    place: np.ndarray
    turn: np.ndarray
    scale: float = 1.0
    jointed: bool = True

    def matrix(self) -> np.ndarray:
        made = np.eye(4)
        made[:3, :3], made[:3, 3] = self.turn * self.scale, self.place
        return made


@dataclass
class PosedRig:
    """``bind`` maps bones to matrices (4, 4) in the space of the mesh, whose ``soles`` (2, 3) are under the ankles.

    ``joints`` maps our joint names to bones; ``heading`` is the turn (3, 3) of the character's facing against ours;
    ``ankle`` is the height of its ankles over the floor and ``leg`` the length of its legs, both in the world.
    """

    bones: list[Bone]
    bind: dict[int, np.ndarray]
    joints: dict[str, int]
    soles: np.ndarray
    heading: np.ndarray
    ankle: float
    leg: float
    described: dict[str, object] = field(default_factory=dict)


def small_turn(rng: np.random.Generator, degrees: float) -> np.ndarray:
    axis = rng.normal(size=3)
    return Rotation.from_rotvec(axis / np.linalg.norm(axis) * np.radians(rng.uniform(0.3, 1) * degrees)).as_matrix()


def posed_rig(rng: np.random.Generator, *, pose: str, parents: str, space: str, names: str, unit: float) -> PosedRig:
    """A character of random proportions, ``unit`` of its own units to the metre inside of what it is in."""
    body = character(
        names,
        rng,
        leg=rng.uniform(0.7, 1.4),
        shin=rng.uniform(0.8, 1.25),
        arm=rng.uniform(0.8, 1.2),
        hips=rng.uniform(0.8, 1.5),
        foot=rng.uniform(0.8, 1.4),
        arms_down=rng.uniform(0, 60),
        facing=float(rng.choice([0, 90, 180])),
    )
    bones: list[Bone] = []
    yaw = 0.0
    world = np.eye(4)  # of what the bones are in
    if parents in ("armature", "placed object", "both"):
        yaw = float(rng.uniform(-180, 180)) if parents != "armature" else 0.0
        tilt = Rotation.from_euler("x", -90 if rng.random() < 0.5 else 0, degrees=True)
        turn = Rotation.from_euler("y", yaw, degrees=True) * tilt
        bones.append(Bone("Armature", -1, np.zeros(3), turn.as_matrix(), 1 / unit, jointed=False))
        world = bones[0].matrix()
    else:
        unit = 1.0
    bound_in = world.copy()
    bound_in[:3, :3] = Rotation.from_euler("y", -yaw, degrees=True).as_matrix() @ bound_in[:3, :3]
    bind: dict[int, np.ndarray] = {}
    if parents in ("root bone", "turned root", "moved root", "both"):
        turn = small_turn(rng, 25) if parents in ("turned root", "both") else np.eye(3)
        moved = np.array([0, rng.uniform(-0.1, 0.1), 0]) if parents == "moved root" else np.zeros(3)
        inside = bound_in[:3, :3] * unit
        bind[len(bones)] = np.linalg.inv(bound_in)
        bones.append(Bone("root", len(bones) - 1, inside.T @ moved * unit, inside.T @ turn @ inside))
        bind[len(bones) - 1] = np.eye(4)
        bind[len(bones) - 1][:3, :3] = bound_in[:3, :3]
    order, first = list(body.names), len(bones)
    inside = np.linalg.inv(bound_in)
    for name in order:
        above = body.parents[name]
        turn = body.turns[name]
        if above is None:
            parent, local = first - 1, inside[:3, :3] / np.cbrt(np.linalg.det(inside[:3, :3])) @ turn
            place = inside[:3, :3] @ body.places[name]
        else:
            parent = first + order.index(above)
            local = body.turns[above].T @ turn
            place = body.turns[above].T @ (body.places[name] - body.places[above]) * unit
        made = np.eye(4)
        made[:3, :3], made[:3, 3] = turn / unit, body.places[name]
        bind[len(bones)] = made
        saved = local @ pose_of(rng, pose, name)
        if above is None:
            saved = local @ turn.T @ whole_pose(rng, pose) @ turn
            place = place * (0.3 if pose == "lying" else 1.0)
        bones.append(Bone(body.names[name], parent, place, saved))
    # The space of the mesh.
    lead = np.eye(4)
    if space == "armature":
        lead = inside
    elif space == "quantised":
        lead[:3, :3] *= rng.uniform(0.2, 5)
        lead[:3, 3] = rng.uniform(-1, 1, 3)
    soles = np.stack([body.places[f"{side}_ankle"] * [1, 0, 1] for side in ("left", "right")])
    across = body.places["left_hip"] - body.places["right_hip"]
    facing = Rotation.from_euler("y", np.arctan2(-across[2], across[0]))
    hip, knee, ankle = (body.places[f"left_{joint}"] for joint in ("hip", "knee", "ankle"))
    return PosedRig(
        bones=bones,
        bind={bone: lead @ matrix for bone, matrix in bind.items()},
        joints={name: first + at for at, name in enumerate(order)},
        soles=soles @ lead[:3, :3].T + lead[:3, 3],
        heading=(Rotation.from_euler("y", yaw, degrees=True) * facing).as_matrix(),
        ankle=float(body.places["left_ankle"][1]),
        leg=float(np.linalg.norm(knee - hip) + np.linalg.norm(ankle - knee)),
        described={"pose": pose, "parents": parents, "space": space, "names": names, "unit": unit},
    )


def pose_of(rng: np.random.Generator, pose: str, name: str) -> np.ndarray:
    """What a bone is turned by, in its own frame."""
    degrees = {"as bound": 0, "idle": 15, "dancing": 60, "lying": 20, "turned round": 20}[pose]
    return small_turn(rng, degrees) if degrees else np.eye(3)


def whole_pose(rng: np.random.Generator, pose: str) -> np.ndarray:
    """What the pelvis is turned by, in the world."""
    if pose == "lying":
        return Rotation.from_euler("xy", [-80, rng.uniform(-20, 20)], degrees=True).as_matrix()
    if pose == "turned round":
        return Rotation.from_euler("y", rng.uniform(-40, 40), degrees=True).as_matrix()
    return small_turn(rng, 12) if pose != "as bound" else np.eye(3)


def write_posed_glb(rig: PosedRig, path: Path, *, skins: int = 1) -> None:
    """The character with a mesh of two soles, bound by one skin or by several that share bones or not."""
    builder = GlbBuilder()
    nodes: list[dict] = []
    for at, bone in enumerate(rig.bones):
        children = [child for child, each in enumerate(rig.bones) if each.parent == at]
        entry = {
            "name": bone.name,
            "translation": bone.place.tolist(),
            "rotation": Rotation.from_matrix(bone.turn).as_quat().tolist(),
            "scale": [bone.scale] * 3,
        }
        nodes.append(entry | ({"children": children} if children else {}))
    bound = list(rig.bind)
    documents = []
    for number in range(skins):
        # Later skins have a space of their own, and only the upper half of the bones.
        lead = np.eye(4) if number == 0 else np.diag([2.0, 2.0, 2.0, 1.0])
        own = bound if number == 0 else bound[len(bound) // 2 :]
        inverse = np.stack([np.linalg.inv(lead @ rig.bind[bone]) for bone in own])
        documents.append({"joints": own, "inverseBindMatrices": builder.add_array(inverse)})
    soles = builder.add_array(rig.soles, bounds=True)
    slots = np.zeros((2, 4))
    slots[:, 0] = [bound.index(rig.joints[f"{side}_ankle"]) for side in ("left", "right")]
    attributes = {
        "POSITION": soles,
        "JOINTS_0": builder.add_array(slots, 5121),
        "WEIGHTS_0": builder.add_array(np.eye(4)[[0, 0]]),
    }
    builder.document |= {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [at for at, bone in enumerate(rig.bones) if bone.parent < 0] + [len(nodes)]}],
        "nodes": [*nodes, {"name": "Mesh", "mesh": 0, "skin": 0}],
        "skins": documents,
        "meshes": [{"primitives": [{"attributes": attributes}]}],
    }
    path.write_bytes(builder.content())


def write_posed_fbx(rig: PosedRig, path: Path) -> None:
    """The same in centimetres, with the clusters of a skin; the space of the mesh has to be the world's."""
    objects = Objects(first_id=5000)
    numbers: list[int] = []
    for bone in rig.bones:
        angles = Rotation.from_matrix(bone.turn).as_euler("xyz", degrees=True)
        rows = [
            property_row("InheritType", "enum", "", "", integer(1)),
            property_row("Lcl Translation", "Lcl Translation", "", "A", *map(double, _in_parent(rig, bone))),
            property_row("Lcl Rotation", "Lcl Rotation", "", "A", *map(double, angles)),
            property_row("Lcl Scaling", "Lcl Scaling", "", "A", *map(double, [bone.scale] * 3)),
        ]
        kind = "LimbNode" if bone.jointed else "Null"
        number = objects.add("Model", bone.name, "Model", kind, node("Properties70", children=rows))
        objects.connect(number, 0 if bone.parent < 0 else numbers[bone.parent])
        numbers.append(number)
    mesh = objects.add("Model", "Mesh", "Model", "Mesh")
    objects.connect(mesh, 0)
    vertices = array("d", 100 * rig.soles)
    geometry = objects.add("Geometry", "Mesh", "Geometry", "Mesh", node("Vertices", vertices))
    objects.connect(geometry, mesh)
    skin = objects.add("Deformer", "", "Deformer", "Skin")
    objects.connect(skin, geometry)
    for bone, matrix in rig.bind.items():
        placed = matrix.copy()
        placed[:3, 3] *= 100
        cluster = objects.add(
            "Deformer",
            "",
            "SubDeformer",
            "Cluster",
            node("Transform", array("d", np.linalg.inv(placed).T)),
            node("TransformLink", array("d", placed.T)),
        )
        objects.connect(cluster, skin)
        objects.connect(numbers[bone], cluster)
    settings = [
        property_row("UpAxis", "int", "Integer", "", integer(1)),
        property_row("UnitScaleFactor", "double", "Number", "", double(1.0)),
    ]
    roots = [
        node("GlobalSettings", children=[node("Properties70", children=settings)]),
        node("Definitions", children=[node("ObjectType", text("Model"), children=[node("Count", integer(1))])]),
        node("Objects", children=objects.nodes),
        node("Connections", children=objects.connections),
    ]
    fbx_nodes.save(roots, path)


def _in_parent(rig: PosedRig, bone: Bone) -> np.ndarray:
    """A place in centimetres of the world, whatever the parents' scale."""
    return bone.place * 100


def some_rig(rng: np.random.Generator, form: str) -> PosedRig:
    """One of the grid, at random."""
    return posed_rig(
        rng,
        pose=str(rng.choice(POSES)),
        parents=str(rng.choice(PARENTS)),
        space="world" if form == "fbx" else str(rng.choice(SPACES)),
        names=str(rng.choice([name for name in NAMES if name != "sketchfab"])),
        unit=float(rng.choice([1.0, 100.0, 39.37])),
    )
