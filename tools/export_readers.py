"""Readers of exported files that share no code with the writers: other libraries, or the format's own rules.

Used by the tests and by ``check_exports.py``. Each returns joint places by name, (frames, 3) in metres with y up, and
the frame rate that the file states.
"""

import struct
import warnings
import zlib
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


# --- USD ----------------------------------------------------------------------------------------------------


class Usd:
    """A USD file through usd-core's own skinning queries."""

    def __init__(self, path: Path):
        from pxr import Usd, UsdGeom, UsdSkel

        self.stage = Usd.Stage.Open(str(path))
        self.times = np.arange(self.stage.GetStartTimeCode(), self.stage.GetEndTimeCode() + 1)
        self.turn = Y_UP if UsdGeom.GetStageUpAxis(self.stage) == "Z" else np.eye(3)
        self.unit = UsdGeom.GetStageMetersPerUnit(self.stage)
        root = UsdSkel.Root(self.stage.GetDefaultPrim())
        cache = UsdSkel.Cache()
        cache.Populate(root, Usd.PrimDefaultPredicate)
        skeletons = [UsdSkel.Skeleton(prim) for prim in self.stage.Traverse() if prim.IsA(UsdSkel.Skeleton)]
        self.query = cache.GetSkelQuery(skeletons[0])
        bindings = cache.ComputeSkelBindings(root, Usd.PrimDefaultPredicate)
        self.targets = [target for binding in bindings for target in binding.GetSkinningTargets()]

    def joints(self) -> Read:
        """Places of all joints."""
        rows = [self.query.ComputeJointSkelTransforms(time) for time in self.times]
        places = np.array([[matrix.ExtractTranslation() for matrix in row] for row in rows]) * self.unit @ self.turn.T
        names = [str(path).split("/")[-1] for path in self.query.GetJointOrder()]
        return {name: places[:, i] for i, name in enumerate(names)}, self.stage.GetTimeCodesPerSecond()

    def skinned(self, frame: int) -> np.ndarray:
        """(vertices, 3) of the only mesh."""
        from pxr import UsdGeom

        (target,) = self.targets
        points = UsdGeom.Mesh(target.GetPrim()).GetPointsAttr().Get()
        target.ComputeSkinnedPoints(self.query.ComputeSkinningTransforms(self.times[frame]), points)
        return np.array(points, dtype=np.float64) * self.unit @ self.turn.T


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


# --- FBX ----------------------------------------------------------------------------------------------------


def parse_fbx(path: Path) -> list:
    """The node tree of a binary FBX file of a version below 7.5: rows (name, properties, children)."""
    data = path.read_bytes()
    assert data[:18] == b"Kaydara FBX Binary"
    plain = {"Y": "<h", "C": "<?", "I": "<i", "F": "<f", "D": "<d", "L": "<q"}
    arrays = {"f": "<f4", "d": "<f8", "l": "<i8", "i": "<i4", "b": "?", "c": "u1"}

    def value(at):
        kind, at = chr(data[at]), at + 1
        if kind in plain:
            return struct.unpack_from(plain[kind], data, at)[0], at + struct.calcsize(plain[kind])
        if kind in arrays:
            count, packed, size = struct.unpack_from("<III", data, at)
            raw = data[at + 12 : at + 12 + size]
            return np.frombuffer(zlib.decompress(raw) if packed else raw, arrays[kind], count), at + 12 + size
        (size,) = struct.unpack_from("<I", data, at)
        return data[at + 4 : at + 4 + size], at + 4 + size

    def nodes(at, stop):
        found = []
        while at < stop:
            end, count, _, name_size = struct.unpack_from("<IIIB", data, at)
            if end == 0:
                break
            at += 13
            name, at = data[at : at + name_size].decode(), at + name_size
            values = []
            for _ in range(count):
                item, at = value(at)
                values.append(item)
            found.append((name, values, nodes(at, end)))
            at = end
        return found

    return nodes(27, len(data))


def _child(children: list, name: str):
    return next((row for row in children if row[0] == name), (name, [], []))


def _table(children: list) -> dict[str, list]:
    """A Properties70 list by name."""
    return {row[1][0].decode(): row[1][4:] for row in _child(children, "Properties70")[2]}


class Fbx:
    """The models of a parsed FBX file, evaluated at every key of one animation stack; y up, metres."""

    def __init__(self, path: Path, stack: int = 0):
        roots = parse_fbx(path)
        objects = {row[1][0]: row for row in _child(roots, "Objects")[2]}
        settings = _table(_child(roots, "GlobalSettings")[2])
        self.settings = {name: values[0] for name, values in settings.items()}
        links = [(row[1][1], row[1][2], (row[1][3:] or [b""])[0].decode()) for row in _child(roots, "Connections")[2]]
        stacks = [number for number, row in objects.items() if row[0] == "AnimationStack"]
        self.stack_names = [_title(objects[number]) for number in stacks]
        layers = {child for child, parent, _ in links if parent == stacks[stack]}
        curve_nodes = {child for child, parent, _ in links if parent in layers}
        self.times = np.zeros(1)
        tracks: dict[tuple[int, str], np.ndarray] = {}
        for child, parent, property_name in links:
            if child in curve_nodes and property_name:
                curves = {p: objects[c][2] for c, above, p in links if above == child}
                columns = [_child(curves[f"d|{axis}"], "KeyValueFloat")[1][0] for axis in "XYZ"]
                tracks[parent, property_name] = np.stack(columns, 1).astype(np.float64)
                self.times = _child(curves["d|X"], "KeyTime")[1][0] / 46186158000
        frames = len(self.times)
        models = {number: row for number, row in objects.items() if row[0] == "Model"}
        above = {child: parent for child, parent, _ in links if child in models and (parent in models or not parent)}
        self.world: dict[int, np.ndarray] = {0: np.tile(np.eye(4), (frames, 1, 1))}

        turns = {0: np.eye(3)}

        def world(number: int) -> np.ndarray:
            if number not in self.world:
                rows = _table(models[number][2])
                place = tracks.get((number, "Lcl Translation"), np.array([rows.get("Lcl Translation", [0, 0, 0])]))
                turn = tracks.get((number, "Lcl Rotation"), np.array([rows.get("Lcl Rotation", [0, 0, 0])]))
                before, after = (
                    Rotation.from_euler("xyz", rows.get(name, [0, 0, 0]), degrees=True).as_matrix()
                    for name in ("PreRotation", "PostRotation")
                )
                # The letters in the order in which the turns are made, about axes that stay.
                order = ("xyz", "xzy", "yzx", "yxz", "zxy", "zyx")[rows.get("RotationOrder", [0])[0]]
                turn = turn[:, ["xyz".index(axis) for axis in order]]
                local = np.tile(np.eye(4), (frames, 1, 1))
                stretch = np.array(rows.get("Lcl Scaling", [1, 1, 1]))
                turned = before @ Rotation.from_euler(order, turn, degrees=True).as_matrix() @ after.T
                local[:, :3, :3] = turned * stretch
                local[:, :3, 3] = place
                parent = above.get(number, 0)
                self.world[number] = made = world(parent) @ local
                turns[number] = turns[parent] @ turned
                if rows.get("InheritType", [1])[0] == 2:  # scale reaches the place alone
                    made[:, :3, :3] = turns[number] * stretch
            return self.world[number]

        unit = self.settings["UnitScaleFactor"] / 100
        turn = Y_UP if self.settings["UpAxis"] == 2 else np.eye(3)
        self.places = {_title(models[number]): world(number)[:, :3, 3] * unit @ turn.T for number in models}
        self.objects, self.links, self.unit, self.turn = objects, links, unit, turn

    def joints(self) -> Read:
        """Places of all models; the frame rate of the settings."""
        return self.places, float(self.settings["CustomFrameRate"])

    def skinned(self, frame: int) -> np.ndarray:
        """(vertices, 3) of the only mesh at one key, by its clusters."""
        geometry = next(row for row in self.objects.values() if row[0] == "Geometry")
        points = np.pad(_child(geometry[2], "Vertices")[1][0].reshape(-1, 3), ((0, 0), (0, 1)), constant_values=1.0)
        moved, total = np.zeros((len(points), 3)), np.zeros(len(points))
        for number, row in self.objects.items():
            if row[0] != "Deformer" or row[1][2] != b"Cluster":
                continue
            bone = next(child for child, parent, _ in self.links if parent == number)
            indices, weights = (_child(row[2], name)[1][0] for name in ("Indexes", "Weights"))
            # Transform takes the mesh into the bone's own space; matrices are for row vectors.
            matrix = self.world[bone][frame] @ _child(row[2], "Transform")[1][0].reshape(4, 4).T
            moved[indices] += weights[:, None] * (points[indices] @ matrix.T)[:, :3]
            total[indices] += weights
        np.testing.assert_allclose(total, 1, atol=1e-6)
        return moved * self.unit @ self.turn.T


def _title(row) -> str:
    return row[1][1].split(b"\x00\x01")[0].decode()
