"""Readers of exported files that share no code with the writers: other libraries, or the format's own rules.

Used by the tests and by ``check_exports.py``. Each returns joint places by name, (frames, 3) in metres with y up, and
the frame rate that the file states.
"""

import warnings
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

Read = tuple[dict[str, np.ndarray], float]

Y_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
"""Turns z up into y up."""


def read_pybvh(path: Path, *, scale: float = 1.0) -> Read:
    """A BVH file through pybvh; ``scale`` units per metre."""
    import pybvh

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the other library's own
        bvh = pybvh.read_bvh_file(path)
        places = np.asarray(bvh.joint_positions()) / scale
    return {name: places[:, i] for i, name in enumerate(bvh.joint_names)}, 1 / bvh.frame_time


def read_bvhio(path: Path, *, scale: float = 1.0, frames: list[int]) -> Read:
    """Some frames of a BVH file through bvhio, which is slow."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the other library's own
        import bvhio

    raw = bvhio.readAsBvh(str(path))
    tree = bvhio.readAsHierarchy(str(path))
    rows = []
    for frame in frames:
        tree.loadPose(frame)
        rows.append({joint.Name: np.array(joint.PositionWorld.to_tuple()) / scale for joint, _, _ in tree.layout()})
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}, 1 / raw.FrameTime


# --- GLB ----------------------------------------------------------------------------------------------------


class Glb:
    """A GLB file through pygltflib: its nodes evaluated at every key of one animation."""

    def __init__(self, path: Path, animation: int = 0):
        from pygltflib import GLTF2

        self.gltf = GLTF2().load(str(path))
        self.chunk = self.gltf.binary_blob()
        chosen = self.gltf.animations[animation]
        self.name = chosen.name
        self.times = self.array(chosen.samplers[0].input)
        frames = len(self.times)
        parts = {
            (channel.target.node, channel.target.path): self.array(chosen.samplers[channel.sampler].output)
            for channel in chosen.channels
        }
        self.world: dict[int, np.ndarray] = {}

        def visit(index: int, above: np.ndarray) -> None:
            node = self.gltf.nodes[index]
            local = np.tile(np.eye(4), (frames, 1, 1))
            if node.matrix is not None:
                local[:] = np.array(node.matrix).reshape(4, 4).T
            else:
                turn = parts.get((index, "rotation"), np.array([node.rotation or (0, 0, 0, 1)]))
                stretch = parts.get((index, "scale"), np.array([node.scale or (1, 1, 1)]))
                local[:, :3, :3] = Rotation.from_quat(turn).as_matrix() * stretch[:, None, :]
                local[:, :3, 3] = parts.get((index, "translation"), np.array([node.translation or (0, 0, 0)]))
            self.world[index] = above @ local
            for child in node.children or ():
                visit(child, self.world[index])

        for root in self.gltf.scenes[self.gltf.scene or 0].nodes:
            visit(root, np.tile(np.eye(4), (frames, 1, 1)))

    def array(self, index: int) -> np.ndarray:
        """The values of an accessor as float64."""
        accessor = self.gltf.accessors[index]
        view = self.gltf.bufferViews[accessor.bufferView]
        kind = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}[accessor.componentType]
        width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}[accessor.type]
        start = (view.byteOffset or 0) + (accessor.byteOffset or 0)
        if view.byteStride and view.byteStride != width * np.dtype(kind).itemsize:
            rows = [
                np.frombuffer(self.chunk, kind, width, start + row * view.byteStride) for row in range(accessor.count)
            ]
            values = np.concatenate(rows)
        else:
            values = np.frombuffer(self.chunk, kind, accessor.count * width, start)
        shape = {1: (-1,), 16: (-1, 4, 4)}.get(width, (-1, width))
        values = values.reshape(shape).astype(np.float64)
        return values.swapaxes(-1, -2) if width == 16 else values

    def joints(self) -> Read:
        """Places of all named nodes."""
        fps = (len(self.times) - 1) / (self.times[-1] - self.times[0]) if len(self.times) > 1 else 0.0
        return {self.gltf.nodes[i].name: world[:, :3, 3] for i, world in self.world.items()}, fps

    def skinned(self, frame: int) -> np.ndarray:
        """(vertices, 3) of the first skinned mesh at one key."""
        node = next(node for node in self.gltf.nodes if node.skin is not None)
        skin = self.gltf.skins[node.skin]
        inverse = self.array(skin.inverseBindMatrices)
        matrices = np.stack([self.world[joint][frame] for joint in skin.joints]) @ inverse
        attributes = self.gltf.meshes[node.mesh].primitives[0].attributes
        points = np.pad(self.array(attributes.POSITION), ((0, 0), (0, 1)), constant_values=1.0)
        bones = self.array(attributes.JOINTS_0).astype(int)
        blended = np.einsum("vi,viab->vab", self.array(attributes.WEIGHTS_0), matrices[bones])
        return np.einsum("vab,vb->va", blended, points)[:, :3]


# --- AMASS --------------------------------------------------------------------------------------------------


def read_amass(path: Path, names: tuple[str, ...], parents: tuple[int, ...], offsets: np.ndarray) -> Read:
    """Joint places by forward kinematics of the body's axis-angles with the given bones."""
    with np.load(path, allow_pickle=False) as file:
        poses, trans, fps = file["poses"], file["trans"], float(file["mocap_framerate"])
    turns = Rotation.from_rotvec(poses.reshape(-1, 3)).as_matrix().reshape(len(poses), -1, 3, 3)
    places, world = [trans], [turns[:, 0]]
    for joint in range(1, len(names)):
        parent = parents[joint]
        places.append(places[parent] + world[parent] @ offsets[joint])
        world.append(world[parent] @ turns[:, joint])
    return {name: place @ Y_UP.T for name, place in zip(names, places, strict=True)}, fps
