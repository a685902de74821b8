"""A character given as a GLB or VRM file: everything in it is kept but its animations, which the dance replaces."""

import os
from collections.abc import Mapping

import numpy as np
from scipy.spatial.transform import Rotation

from longdance.errors import InputError
from longdance.export.glb import GlbBuilder, add_animation, moments_of
from longdance.export.gltf_file import read_glb, read_numbers, read_positions
from longdance.export.naming import NAMINGS
from longdance.export.rig import dance_on_rig, find_bones
from longdance.export.rig_rest import Rig, inverse, upwards
from longdance.files import atomic_write
from longdance.motion.joint_names import REQUIRED
from longdance.motion.motion import Motion

MOST_NODES = 20_000


def glb_bones(path: str | os.PathLike) -> tuple[tuple[str, ...], tuple[int, ...], np.ndarray]:
    """Names, parents and places (bones, 3) as saved of a file's nodes."""
    document, _ = read_glb(path)
    try:
        _, parents, names, matrices = _tree(document)
    except DAMAGED as error:
        raise InputError(
            f"{path}: expected a glTF document by the rules, got one with a wrong entry ({error})"
        ) from error
    return names, parents, matrices[:, :3, 3]


def save_on_glb(
    motion: Motion,
    rig_path: str | os.PathLike,
    path: str | os.PathLike,
    *,
    name: str = "dance",
    bones: Mapping[str, str] | None = None,
    hands: bool = True,
) -> None:
    """Write the character dancing. ``InputError`` names the file and what is wrong with it."""
    document, chunk = read_glb(rig_path)
    try:
        rig, nodes = glb_rig(document, chunk, bones)
        dance = dance_on_rig(motion, rig, hands=hands)
    except InputError as error:
        raise InputError(f"{rig_path}: {error}") from error
    document.pop("animations", None)
    tracks = [(nodes[dance.pelvis], "translation", dance.place)]
    for bone, track in dance.rotations.items():
        tracks.append((nodes[bone], "rotation", track))
        _split_matrix(document["nodes"][nodes[bone]])
    builder = GlbBuilder(document, chunk)
    add_animation(builder, name, motion.fps, tracks, moments_of(motion.meta))
    with atomic_write(path) as temporary:
        temporary.write_bytes(builder.content())


DAMAGED = (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError, np.linalg.LinAlgError)


def glb_rig(document: dict, chunk: bytes, table: Mapping[str, str] | None = None) -> tuple[Rig, list[int]]:
    """The bones of a document, and their nodes. ``InputError`` for documents that break the rules.

    ``table`` maps our joint names to nodes where these are not found by themselves.
    """
    try:
        return _rig(document, chunk, table or {})
    except DAMAGED as error:
        raise InputError(f"expected a glTF document by the rules, got one with a wrong entry ({error})") from error


def _tree(document: dict) -> tuple[list[int], tuple[int, ...], tuple[str, ...], np.ndarray]:
    """The nodes, parents before children, their parents among these, names, and world matrices as saved."""
    nodes = document["nodes"]
    if len(nodes) > MOST_NODES:
        raise InputError(f"expected at most {MOST_NODES} nodes, got {len(nodes)}")
    above = {child: parent for parent, node in enumerate(nodes) for child in node.get("children", ())}
    order, waiting = [], [node for node in range(len(nodes)) if node not in above][::-1]
    while waiting:
        order.append(waiting.pop())
        waiting += [int(child) for child in nodes[order[-1]].get("children", ())][::-1]
        if len(order) > len(nodes):
            raise ValueError("nodes that are their own parents")
    slots = {node: slot for slot, node in enumerate(order)}
    parents = tuple(slots[above[node]] if node in above else -1 for node in order)
    names = tuple(str(nodes[node].get("name", f"node {node}")) for node in order)
    return order, parents, names, _world(np.stack([_local(nodes[node]) for node in order]), parents)


def _rig(document: dict, chunk: bytes, table: Mapping[str, str]) -> tuple[Rig, list[int]]:
    # 1. Parents before children.
    nodes = document["nodes"]
    order, parents, names, matrices = _tree(document)
    slots = {node: slot for slot, node in enumerate(order)}

    # 2. Which is which: by VRM's own table, else by names, of skins' joints if there are skins.
    skins = document.get("skins", [])
    joints = [slots[joint] for skin in skins for joint in skin["joints"]]
    found = {joint: slots[node] for joint, node in _vrm_bones(document).items()}
    if not found or table:
        candidates = sorted(set(joints)) or list(range(len(order)))
        # Nodes above the skeleton count as well: some skins leave the hips out.
        candidates = sorted({bone for joint in candidates for bone in upwards(parents, joint)})
        at = {slot: place for place, slot in enumerate(candidates)} | {-1: -1}
        own_parents = tuple(at[parents[slot]] for slot in candidates)
        own_names = tuple(names[slot] for slot in candidates)
        by_name = find_bones(own_names, own_parents, matrices[candidates, :3, 3], table)
        found = {joint: candidates[place] for joint, place in by_name.items()}
    elif missing := [joint for joint in REQUIRED if joint not in found]:
        raise InputError(f"expected a VRM humanoid with all its limbs, got one without {', '.join(missing)}")

    # 3. The pose that the mesh was bound in.
    bind, points = _bound(document, chunk, slots, matrices, found)
    parts: dict[int, list[np.ndarray]] = {}
    for node, entry in enumerate(nodes):
        if "mesh" in entry and "skin" not in entry:
            parts.setdefault(slots[node], []).extend(_mesh_points(document, chunk, entry["mesh"]))
    jointed = np.zeros(len(order), dtype=bool)
    jointed[joints] = True
    for slot, parent in enumerate(parents):
        jointed[slot] |= parent >= 0 and jointed[parent]
    rig = Rig(
        names=names,
        parents=parents,
        nodes=matrices,
        found=found,
        jointed=jointed,
        bind=bind,
        up=1,
        mesh_points=points,
        part_points={slot: np.concatenate(boxes) for slot, boxes in parts.items() if boxes},
    )
    return rig, order


def _bound(
    document: dict, chunk: bytes, slots: dict[int, int], nodes: np.ndarray, found: dict[str, int]
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """World matrices (bones, 4, 4) as the skins were bound, and points of what is bound; None where nothing is.

    Every skin has a space of its own. All are led into that of the skin with most of our joints.
    """
    skins: list[tuple[dict[int, np.ndarray], list[np.ndarray]]] = []
    for number, skin in enumerate(document.get("skins", [])):
        if "inverseBindMatrices" in skin:
            unbound = read_numbers(document, chunk, skin["inverseBindMatrices"]).reshape(-1, 4, 4).swapaxes(-1, -2)
            own = [slots[joint] for joint in skin["joints"]]
            boxes: list[np.ndarray] = []
            for entry in document["nodes"]:
                if entry.get("skin") == number and "mesh" in entry:
                    boxes += _mesh_points(document, chunk, entry["mesh"])
            skins.append((dict(zip(own, inverse(unbound[: len(own)]), strict=True)), boxes))
    ours = set(found.values())
    skins.sort(key=lambda skin: -len(ours & set(skin[0])))
    if not skins or not ours & set(skins[0][0]):
        return None, None
    bind = np.full(nodes.shape, np.nan)
    points: list[np.ndarray] = []
    for own, boxes in skins:
        shared = [bone for bone in own if np.isfinite(bind[bone]).all()]
        if np.isnan(bind).all():
            lead = np.eye(4)
        elif shared:
            lead = bind[shared[0]] @ inverse(own[shared[0]])
        else:  # as the nodes have them against each other
            one, known = next(iter(own)), int(np.flatnonzero(np.isfinite(bind).all((1, 2)))[0])
            lead = bind[known] @ inverse(nodes[known]) @ nodes[one] @ inverse(own[one])
        for bone, matrix in own.items():
            if bone not in shared:
                bind[bone] = lead @ matrix
        points += [box @ lead[:3, :3].T + lead[:3, 3] for box in boxes]
    return bind, np.concatenate(points) if points else None


def node_parts(node: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Place (3,), turn (3, 3) and scale (3,) of a node as saved."""
    if "matrix" in node:
        matrix = np.array(node["matrix"], dtype=np.float64).reshape(4, 4).T
        scale = np.linalg.norm(matrix[:3, :3], axis=0)
        return matrix[:3, 3], matrix[:3, :3] / scale, scale
    turn = Rotation.from_quat(np.array(node.get("rotation", (0, 0, 0, 1)), dtype=np.float64)).as_matrix()
    place, scale = (np.array(node.get(key, [value] * 3), float) for key, value in (("translation", 0), ("scale", 1)))
    return place, turn, scale


def _local(node: dict) -> np.ndarray:
    if "matrix" in node:
        return np.array(node["matrix"], dtype=np.float64).reshape(4, 4).T
    place, turn, scale = node_parts(node)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn * scale, place
    return matrix


def _world(locals_: np.ndarray, parents: tuple[int, ...]) -> np.ndarray:
    world = locals_.copy()
    for slot, parent in enumerate(parents):
        if parent >= 0:
            world[slot] = world[parent] @ locals_[slot]
    return world


def _split_matrix(node: dict) -> None:
    """Replace a node's matrix by its parts, since only those can be animated."""
    if "matrix" not in node:
        return
    place, turn, scale = node_parts(node)
    del node["matrix"]
    node["translation"] = place.tolist()
    node["rotation"] = Rotation.from_matrix(turn).as_quat().tolist()
    node["scale"] = scale.tolist()


def _mesh_points(document: dict, chunk: bytes, mesh: int) -> list[np.ndarray]:
    """Points (points, 3) of a mesh's parts."""
    attributes = [primitive["attributes"] for primitive in document["meshes"][mesh]["primitives"]]
    return [read_positions(document, chunk, each["POSITION"]) for each in attributes if "POSITION" in each]


def _vrm_bones(document: dict) -> dict[str, int]:
    """Our joints to nodes by the table that VRM files (1.0 and 0.x) carry; empty for other files."""
    extensions = document.get("extensions", {})
    if "VRMC_vrm" in extensions:
        table = {bone: entry["node"] for bone, entry in extensions["VRMC_vrm"]["humanoid"]["humanBones"].items()}
    elif "VRM" in extensions:
        table = {entry["bone"]: entry["node"] for entry in extensions["VRM"]["humanoid"]["humanBones"]}
    else:
        return {}
    return {joint: int(table[bone]) for joint, bone in NAMINGS["vrm"].items() if bone in table}
