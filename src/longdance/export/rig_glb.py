"""A character given as a GLB or VRM file: everything in it is kept but its animations, which the dance replaces."""

import json
import os
import struct
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from longdance.errors import InputError
from longdance.export.glb import FLOAT, GlbBuilder, add_animation
from longdance.export.naming import NAMINGS
from longdance.export.rig import Rig, dance_on_rig, find_bones
from longdance.files import atomic_write
from longdance.motion.filters import nearest_rotation
from longdance.motion.joint_names import REQUIRED
from longdance.motion.motion import Motion

MOST_NODES = 20_000


def save_on_glb(motion: Motion, rig_path: str | os.PathLike, path: str | os.PathLike, *, name: str = "dance") -> None:
    """Write the character dancing. ``InputError`` names the file and what is wrong with it."""
    document, chunk = read_glb(rig_path)
    try:
        rig, nodes = glb_rig(document, chunk)
        dance = dance_on_rig(motion, rig)
    except InputError as error:
        raise InputError(f"{rig_path}: {error}") from error
    document.pop("animations", None)
    tracks = [(nodes[dance.pelvis], "translation", dance.place)]
    for bone, track in dance.rotations.items():
        tracks.append((nodes[bone], "rotation", track))
        _split_matrix(document["nodes"][nodes[bone]])
    builder = GlbBuilder(document, chunk)
    add_animation(builder, name, motion.fps, tracks)
    with atomic_write(path) as temporary:
        temporary.write_bytes(builder.content())


def read_glb(path: str | os.PathLike) -> tuple[dict, bytes]:
    """The document and the binary chunk of a GLB file; ``InputError`` names the file."""
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: expected a readable GLB file ({error.strerror})") from error
    try:
        magic, version, _ = struct.unpack_from("<4sII", data)
        if magic != b"glTF" or version != 2:
            raise InputError(f"{path}: expected a GLB file of glTF 2.0, got something else; try exporting it as .glb")
        chunks: dict[bytes, bytes] = {}
        at = 12
        while at < len(data):
            length, kind = struct.unpack_from("<I4s", data, at)
            if at + 8 + length > len(data):
                raise ValueError("it is cut short")
            chunks.setdefault(kind, data[at + 8 : at + 8 + length])
            at += 8 + length
        document = json.loads(chunks[b"JSON"])
    except (struct.error, KeyError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected a complete GLB file, could not read it ({error})") from error
    buffers = document.get("buffers", []) if isinstance(document, dict) else None
    if not isinstance(buffers, list) or any(not isinstance(each, dict) or "uri" in each for each in buffers):
        raise InputError(f"{path}: expected a GLB file that holds all its data; try exporting it as one .glb")
    return document, chunks.get(b"BIN\0", b"")


def glb_rig(document: dict, chunk: bytes) -> tuple[Rig, list[int]]:
    """The bones of a document at rest, and their nodes. ``InputError`` for documents that break the rules."""
    try:
        return _rig(document, chunk)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, np.linalg.LinAlgError) as error:
        raise InputError(f"expected a glTF document by the rules, got one with a wrong entry ({error})") from error


def _rig(document: dict, chunk: bytes) -> tuple[Rig, list[int]]:
    nodes = document["nodes"]
    if len(nodes) > MOST_NODES:
        raise InputError(f"expected at most {MOST_NODES} nodes, got {len(nodes)}")
    above = {child: parent for parent, node in enumerate(nodes) for child in node.get("children", ())}
    # 1. Parents before children.
    order, waiting = [], [node for node in range(len(nodes)) if node not in above][::-1]
    while waiting:
        order.append(waiting.pop())
        waiting += [int(child) for child in nodes[order[-1]].get("children", ())][::-1]
        if len(order) > len(nodes):
            raise ValueError("nodes that are their own parents")
    slots = {node: slot for slot, node in enumerate(order)}
    parents = tuple(slots[above[node]] if node in above else -1 for node in order)
    names = tuple(str(nodes[node].get("name", f"node {node}")) for node in order)
    locals_ = np.stack([_local(nodes[node]) for node in order])
    matrices = _world(locals_, parents)

    # 2. Which is which: by VRM's own table, else by names, of skins' joints if there are skins.
    skins = document.get("skins", [])
    joints = [slots[joint] for skin in skins for joint in skin["joints"]]
    found = {joint: slots[node] for joint, node in _vrm_bones(document).items()}
    if not found:
        candidates = sorted(set(joints)) or list(range(len(order)))
        # Nodes above the skeleton count as well: some skins leave the hips out.
        chains = {bone for joint in candidates for bone in _upwards(parents, joint)}
        candidates = sorted(chains)
        by_name = find_bones(tuple(names[slot] for slot in candidates))
        found = {joint: candidates[place] for joint, place in by_name.items()}
    elif missing := [joint for joint in REQUIRED if joint not in found]:
        raise InputError(f"expected a VRM humanoid with all its limbs, got one without {', '.join(missing)}")

    # 3. The pose that the mesh was bound in, where the nodes have another one.
    corners = []
    for number, skin in enumerate(skins):
        if "inverseBindMatrices" not in skin:
            continue
        own = [slots[joint] for joint in skin["joints"]]
        inverse = read_floats(document, chunk, skin["inverseBindMatrices"]).reshape(-1, 4, 4).swapaxes(-1, -2)
        base = own.index(found["left_hip"]) if found["left_hip"] in own else 0
        frame = matrices[own[base]] @ inverse[base]
        bound = frame @ np.linalg.inv(inverse[: len(own)])
        scale = np.abs(bound[:, :3, 3]).max() + 1e-9
        if found["left_hip"] in own and np.abs(bound - matrices[own])[:, :3, 3].max() > 1e-3 * scale:
            matrices[own] = bound
            for slot, parent in enumerate(parents):
                if slot not in own and parent >= 0:
                    matrices[slot] = matrices[parent] @ locals_[slot]
        corners += [_corners(low, high) @ frame[:3, :3].T + frame[:3, 3] for low, high in _boxes(document, number)]
    turns = nearest_rotation(locals_[:, :3, :3])
    return Rig(names, parents, matrices, found, turns, np.concatenate(corners) if corners else None), order


def _upwards(parents: tuple[int, ...], slot: int) -> list[int]:
    chain = [slot]
    while parents[chain[-1]] >= 0:
        chain.append(parents[chain[-1]])
    return chain


def _local(node: dict) -> np.ndarray:
    if "matrix" in node:
        return np.array(node["matrix"], dtype=np.float64).reshape(4, 4).T
    matrix = np.eye(4)
    turn = np.array(node.get("rotation", (0, 0, 0, 1)), dtype=np.float64)
    matrix[:3, :3] = Rotation.from_quat(turn).as_matrix() * np.array(node.get("scale", (1, 1, 1)), dtype=np.float64)
    matrix[:3, 3] = node.get("translation", (0, 0, 0))
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
    matrix = np.array(node.pop("matrix"), dtype=np.float64).reshape(4, 4).T
    scale = np.linalg.norm(matrix[:3, :3], axis=0)
    node["translation"] = matrix[:3, 3].tolist()
    node["rotation"] = Rotation.from_matrix(matrix[:3, :3] / scale).as_quat().tolist()
    node["scale"] = scale.tolist()


def read_floats(document: dict, chunk: bytes, accessor_index: int) -> np.ndarray:
    """The numbers of an accessor of floats that lie close together; ``ValueError`` for any other."""
    accessor = document["accessors"][accessor_index]
    view = document["bufferViews"][accessor["bufferView"]]
    width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}[accessor["type"]]
    if accessor["componentType"] != FLOAT or view.get("byteStride", 4 * width) != 4 * width or "sparse" in accessor:
        raise ValueError("matrices that are no plain floats")
    start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
    if start < 0 or accessor["count"] < 0:
        raise ValueError("data that begins before its start")
    return np.frombuffer(chunk, "<f4", accessor["count"] * width, start).astype(np.float64)


def _boxes(document: dict, skin: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Lowest and highest coordinates of the meshes bound to a skin."""
    found = []
    for node in document["nodes"]:
        if node.get("skin") == skin and "mesh" in node:
            for primitive in document["meshes"][node["mesh"]]["primitives"]:
                accessor = document["accessors"][primitive["attributes"]["POSITION"]]
                if "min" in accessor and "max" in accessor:
                    found.append((np.array(accessor["min"], float), np.array(accessor["max"], float)))
    return found


def _corners(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return np.array([[(low, high)[(corner >> axis) & 1][axis] for axis in range(3)] for corner in range(8)])


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
