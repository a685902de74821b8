"""Binary FBX 7.4: skeleton, skinned mannequin with its texture inside, one animation stack per take; centimetres.

What belongs here: which objects the file holds and how they are connected. What does not: bytes (``fbx_nodes``).
"""

import os
from typing import Any

import numpy as np
import torch

from longdance import __version__
from longdance.export import fbx_nodes
from longdance.export.fbx_nodes import CLASS_SEPARATOR, Node, array, double, integer, long, node, text
from longdance.export.job import Job
from longdance.export.takes import Body, Take
from longdance.motion import rotations as rot

REGISTER = {
    "format": {
        "fbx": {
            "make": "write", "order": 6, "about": "skeleton, mannequin, texture, takes",
            "up": ("y", "z"), "unit": ("cm",), "takes": True, "bones": True, "hands": True, "dancers": True,
        },
    },
}  # fmt: skip

TICKS = 46186158000
"""Units of time per second."""

CENTIMETRES = 100.0
"""Per metre; FBX's own unit, which all programs scale from."""

TIME_MODES = {120: 1, 100: 2, 60: 3, 50: 4, 48: 5, 30: 6, 25: 10, 24: 11, 1000: 12, 96: 15, 72: 16}
CUSTOM_TIME_MODE = 14
_AXES = {"y": (1, 2, 1), "z": (2, 1, -1)}
"""Up axis, front axis, sign of the front axis; x is the third in both."""

LINEAR = 0x4
"""Flag of a key: straight to the next one."""


def save_fbx(casts: list[list[Take]], figure: Body | None, path: str | os.PathLike, *, up: str = "y") -> None:
    """Write an animation for every cast, which are the takes of each dancer, all on one skeleton.

    ``up`` says which axis of theirs points upwards.
    """
    fbx_nodes.save(_Document(casts, figure, up).roots(), path)


def property_row(name: str, kind: str, label: str, flags: str, *values: tuple[str, Any]) -> Node:
    """A row of a Properties70 list."""
    return node("P", text(name), text(kind), text(label), text(flags), *values)


def time_mode(fps: float) -> int:
    """FBX's number for a frame rate, that of a custom one where there is none."""
    return TIME_MODES.get(round(fps), CUSTOM_TIME_MODE) if abs(fps - round(fps)) < 1e-6 else CUSTOM_TIME_MODE


def key_times(frames: int, fps: float) -> np.ndarray:
    """(frames,) ticks at which frames lie."""
    return np.round(np.arange(frames) * (TICKS / fps)).astype(np.int64)


def continuous_euler(rotations: np.ndarray, order: str) -> np.ndarray:
    """Angles (frames, ..., 3) in radians of (frames, ..., 3, 3), as near to the last frame's as there are.

    Programs interpolate each angle by itself, so that a leap of whole or half turns would show between frames.
    """
    angles = rot.euler_from_matrix(torch.from_numpy(np.ascontiguousarray(rotations)), order).numpy().copy()
    for t in range(1, len(angles)):
        last, one = angles[t - 1], angles[t]
        two = np.stack((one[..., 0] + np.pi, np.pi - one[..., 1], one[..., 2] + np.pi), -1)
        both = np.stack((one, two))
        both += 2 * np.pi * np.round((last - both) / (2 * np.pi))
        nearer = np.abs(both - last).sum(-1).argmin(0)
        angles[t] = np.where(nearer[..., None] == 0, both[0], both[1])
    return angles


class Objects:
    """Objects and connections of a file, with numbers for the new ones."""

    def __init__(self, first_id: int = 1_000_000):
        self.next_id = first_id
        self.nodes: list[Node] = []
        self.connections: list[Node] = []

    def add(self, kind: str, name: str, class_name: str, subclass: str, *children: Node) -> int:
        """The number of a new object."""
        number, self.next_id = self.next_id, self.next_id + 1
        full = name.encode() + CLASS_SEPARATOR + class_name.encode()
        self.nodes.append(node(kind, long(number), text(full), text(subclass), children=children))
        return number

    def connect(self, child: int, parent: int, property_name: str | None = None) -> None:
        """Hang an object on another, or on one of its properties."""
        if property_name is None:
            self.connections.append(node("C", text("OO"), long(child), long(parent)))
        else:
            self.connections.append(node("C", text("OP"), long(child), long(parent), text(property_name)))

    def add_stack(self, name: str, frames: int, fps: float) -> int:
        """The layer of a new animation stack."""
        stop = int(key_times(frames, fps)[-1])
        spans = [
            property_row(which, "KTime", "Time", "", long(value))
            for which, value in (("LocalStart", 0), ("LocalStop", stop), ("ReferenceStart", 0), ("ReferenceStop", stop))
        ]
        stack = self.add("AnimationStack", name, "AnimStack", "", node("Properties70", children=spans))
        layer = self.add("AnimationLayer", name, "AnimLayer", "")
        self.connect(layer, stack)
        return layer

    def add_track(self, layer: int, model: int, property_name: str, values: np.ndarray, times: np.ndarray) -> None:
        """Animate a property of a model, such as Lcl Rotation, by (frames, 3) values."""
        channels = [
            property_row(f"d|{axis}", "Number", "", "A", double(value))
            for axis, value in zip("XYZ", values[0], strict=True)
        ]
        short = {"Lcl Translation": "T", "Lcl Rotation": "R", "Lcl Scaling": "S"}[property_name]
        curve_node = self.add("AnimationCurveNode", short, "AnimCurveNode", "", node("Properties70", children=channels))
        self.connect(curve_node, layer)
        self.connect(curve_node, model, property_name)
        for axis, column in zip("XYZ", values.T, strict=True):
            curve = self.add(
                "AnimationCurve",
                "",
                "AnimCurve",
                "",
                node("Default", double(column[0])),
                node("KeyVer", integer(4008)),
                node("KeyTime", array("l", times)),
                node("KeyValueFloat", array("f", column)),
                node("KeyAttrFlags", array("i", np.array([LINEAR]))),
                node("KeyAttrDataFloat", array("f", np.zeros(4))),
                node("KeyAttrRefCount", array("i", np.array([len(times)]))),
            )
            self.connect(curve, curve_node, f"d|{axis}")


class _Document(Objects):
    """All of one file."""

    def __init__(self, casts: list[list[Take]], figure: Body | None, up: str):
        super().__init__()
        self.takes, self.up = [cast[0] for cast in casts], up
        dancers: list[list[int]] = []
        for number, take in enumerate(casts[0], 1):
            # Programs tell skeletons apart by what they hang on.
            root = self._model(f"dancer_{number}", "Null", np.zeros(3)) if len(casts[0]) > 1 else 0
            if root:
                self.connect(root, 0)
            models = [self._bone(take, joint) for joint in range(len(take.names))]
            dancers.append(models)
            for joint, parent in enumerate(take.parents):
                self.connect(models[joint], models[parent] if parent >= 0 else root)
            if figure is not None:
                self._add_body(figure, take, models)
        for cast in casts:
            first = cast[0]
            layer, times = self.add_stack(first.name, first.frames, first.fps), key_times(first.frames, first.fps)
            for take, models in zip(cast, dancers, strict=True):
                angles = np.degrees(continuous_euler(take.rotations, "ZYX"))[..., ::-1]
                for joint, track in take.translations.items():
                    self.add_track(layer, models[joint], "Lcl Translation", track * CENTIMETRES, times)
                for joint, model in enumerate(models):
                    self.add_track(layer, model, "Lcl Rotation", angles[:, joint], times)

    def _bone(self, take: Take, joint: int) -> int:
        attribute = self.add(
            "NodeAttribute", take.names[joint], "NodeAttribute", "LimbNode", node("TypeFlags", text("Skeleton"))
        )
        model = self._model(take.names[joint], "LimbNode", take.offsets[joint] * CENTIMETRES)
        self.connect(attribute, model)
        return model

    def _model(self, name: str, subclass: str, place: np.ndarray) -> int:
        rows = [
            property_row("InheritType", "enum", "", "", integer(1)),
            property_row("DefaultAttributeIndex", "int", "Integer", "", integer(0)),
            property_row("Lcl Translation", "Lcl Translation", "", "A", *(double(value) for value in place)),
            property_row("Lcl Rotation", "Lcl Rotation", "", "A", *[double(0.0)] * 3),
            property_row("Lcl Scaling", "Lcl Scaling", "", "A", *[double(1.0)] * 3),
        ]
        return self.add(
            "Model",
            name,
            "Model",
            subclass,
            node("Version", integer(232)),
            node("Properties70", children=rows),
            node("Shading", ("C", True)),
            node("Culling", text("CullingOff")),
        )

    def _add_body(self, figure: Body, take: Take, models: list[int]) -> None:
        mesh = self._model("mannequin", "Mesh", np.zeros(3))
        geometry = self._geometry(figure)
        self.connect(mesh, 0)
        self.connect(geometry, mesh)
        self.connect(self._material(figure.texture), mesh)
        skin = self.add(
            "Deformer",
            "mannequin",
            "Deformer",
            "Skin",
            node("Version", integer(101)),
            node("Link_DeformAcuracy", double(50.0)),
        )
        self.connect(skin, geometry)
        places = np.tile(np.eye(4), (len(models), 1, 1))
        places[:, 3, :3] = take.rest_positions * CENTIMETRES  # row vectors
        poses = [(mesh, np.eye(4)), *zip(models, places, strict=True)]
        for joint, model in enumerate(models):
            held = (figure.bones == joint) & (figure.weights > 0)
            vertices = np.flatnonzero(held.any(1))
            cluster = self.add(
                "Deformer",
                take.names[joint],
                "SubDeformer",
                "Cluster",
                node("Version", integer(100)),
                node("UserData", text(""), text("")),
                node("Indexes", array("i", vertices)),
                node("Weights", array("d", (figure.weights * held).sum(1)[vertices])),
                node("Transform", array("d", np.linalg.inv(places[joint]))),
                node("TransformLink", array("d", places[joint])),
            )
            self.connect(cluster, skin)
            self.connect(model, cluster)
        self.add(
            "Pose",
            "mannequin",
            "Pose",
            "BindPose",
            node("Type", text("BindPose")),
            node("Version", integer(100)),
            node("NbPoseNodes", integer(len(poses))),
            *(
                node("PoseNode", children=[node("Node", long(model)), node("Matrix", array("d", matrix))])
                for model, matrix in poses
            ),
        )

    def _geometry(self, figure: Body) -> int:
        corners = figure.faces.astype(np.int64).copy()
        corners[:, 2] = ~corners[:, 2]  # the last corner of a polygon is marked so

        def layer(kind: str, mapping: str, reference: str, *data: Node) -> Node:
            return node(
                f"LayerElement{kind}",
                integer(0),
                children=[
                    node("Version", integer(101)),
                    node("Name", text("map" if kind == "UV" else "")),
                    node("MappingInformationType", text(mapping)),
                    node("ReferenceInformationType", text(reference)),
                    *data,
                ],
            )

        upwards = figure.uvs * [1.0, -1.0] + [0.0, 1.0]
        layers = ("Normal", "UV", "Material")
        entries = [
            node("LayerElement", children=[node("Type", text(f"LayerElement{kind}")), node("TypedIndex", integer(0))])
            for kind in layers
        ]
        return self.add(
            "Geometry",
            "mannequin",
            "Geometry",
            "Mesh",
            node("GeometryVersion", integer(124)),
            node("Vertices", array("d", figure.vertices * CENTIMETRES)),
            node("PolygonVertexIndex", array("i", corners)),
            layer("Normal", "ByPolygonVertex", "Direct", node("Normals", array("d", figure.normals[figure.faces]))),
            layer(
                "UV",
                "ByPolygonVertex",
                "IndexToDirect",
                node("UV", array("d", upwards)),
                node("UVIndex", array("i", figure.faces)),
            ),
            layer("Material", "AllSame", "IndexToDirect", node("Materials", array("i", np.zeros(1)))),
            node("Layer", integer(0), children=[node("Version", integer(100)), *entries]),
        )

    def _material(self, picture: bytes) -> int:
        white = [double(1.0)] * 3
        material = self.add(
            "Material",
            "mannequin",
            "Material",
            "",
            node("Version", integer(102)),
            node("ShadingModel", text("phong")),
            node("MultiLayer", integer(0)),
            node(
                "Properties70",
                children=[
                    property_row("DiffuseColor", "Color", "", "A", *white),
                    property_row("SpecularColor", "Color", "", "A", *[double(0.15)] * 3),
                    property_row("Shininess", "Number", "", "A", double(8.0)),
                ],
            ),
        )
        name = "mannequin.png"
        video = self.add(
            "Video",
            "mannequin",
            "Video",
            "Clip",
            node("Type", text("Clip")),
            node("Properties70", children=[property_row("Path", "KString", "XRefUrl", "", text(name))]),
            node("UseMipMap", integer(0)),
            node("Filename", text(name)),
            node("RelativeFilename", text(name)),
            node("Content", ("R", picture)),
        )
        wrap = [
            property_row(which, "enum", "", "", integer(1))  # clamp
            for which in ("WrapModeU", "WrapModeV")
        ]
        texture = self.add(
            "Texture",
            "mannequin",
            "Texture",
            "",
            node("Type", text("TextureVideoClip")),
            node("Version", integer(202)),
            node("TextureName", text(b"mannequin" + CLASS_SEPARATOR + b"Texture")),
            node("Media", text(b"mannequin" + CLASS_SEPARATOR + b"Video")),
            node("FileName", text(name)),
            node("RelativeFilename", text(name)),
            node("Properties70", children=wrap),
        )
        self.connect(texture, material, "DiffuseColor")
        self.connect(video, texture)
        return material

    # --- the frame around the objects ---

    def roots(self) -> list[Node]:
        """The top-level nodes."""
        kinds: dict[str, int] = {"GlobalSettings": 1}
        for item in self.nodes:
            kinds[item.name] = kinds.get(item.name, 0) + 1
        types = [
            node("ObjectType", text(kind), children=[node("Count", integer(count))]) for kind, count in kinds.items()
        ]
        return [
            self._header(),
            node("FileId", ("R", fbx_nodes.FILE_ID)),
            node("CreationTime", text(fbx_nodes.CREATION_TIME)),
            node("Creator", text(f"longdance {__version__}")),
            self._settings(),
            node(
                "Documents",
                children=[
                    node("Count", integer(1)),
                    node(
                        "Document",
                        long(self.next_id),
                        text("Scene"),
                        text("Scene"),
                        children=[
                            node(
                                "Properties70",
                                children=[
                                    property_row("SourceObject", "object", "", ""),
                                    property_row("ActiveAnimStackName", "KString", "", "", text(self.takes[0].name)),
                                ],
                            ),
                            node("RootNode", long(0)),
                        ],
                    ),
                ],
            ),
            node("References"),
            node(
                "Definitions",
                children=[node("Version", integer(100)), node("Count", integer(sum(kinds.values()))), *types],
            ),
            node("Objects", children=self.nodes),
            node("Connections", children=self.connections),
            self._take_list(),
        ]

    def _header(self) -> Node:
        stamp = ("Year", 1970), ("Month", 1), ("Day", 1), ("Hour", 10), ("Minute", 0), ("Second", 0), ("Millisecond", 0)
        return node(
            "FBXHeaderExtension",
            children=[
                node("FBXHeaderVersion", integer(1003)),
                node("FBXVersion", integer(7400)),
                node("EncryptionType", integer(0)),
                node(
                    "CreationTimeStamp",
                    children=[node("Version", integer(1000)), *(node(name, integer(value)) for name, value in stamp)],
                ),
                node("Creator", text(f"longdance {__version__}")),
            ],
        )

    def _settings(self) -> Node:
        up, front, front_sign = _AXES[self.up]
        fps = self.takes[0].fps
        whole = max(int(key_times(take.frames, take.fps)[-1]) for take in self.takes)
        numbers = (
            ("UpAxis", up), ("UpAxisSign", 1), ("FrontAxis", front), ("FrontAxisSign", front_sign), ("CoordAxis", 0),
            ("CoordAxisSign", 1), ("OriginalUpAxis", up), ("OriginalUpAxisSign", 1),
        )  # fmt: skip
        rows = [property_row(name, "int", "Integer", "", integer(value)) for name, value in numbers]
        rows += [
            property_row(name, "double", "Number", "", double(1.0))
            for name in ("UnitScaleFactor", "OriginalUnitScaleFactor")
        ]
        rows += [
            property_row("TimeMode", "enum", "", "", integer(time_mode(fps))),
            property_row("TimeSpanStart", "KTime", "Time", "", long(0)),
            property_row("TimeSpanStop", "KTime", "Time", "", long(whole)),
            property_row("CustomFrameRate", "double", "Number", "", double(fps)),
        ]
        return node("GlobalSettings", children=[node("Version", integer(1000)), node("Properties70", children=rows)])

    def _take_list(self) -> Node:
        entries = []
        for take in self.takes:
            span = (long(0), long(int(key_times(take.frames, take.fps)[-1])))
            entries.append(
                node(
                    "Take",
                    text(take.name),
                    children=[
                        node("FileName", text("dance.tak")),
                        node("LocalTime", *span),
                        node("ReferenceTime", *span),
                    ],
                )
            )
        return node("Takes", children=[node("Current", text(self.takes[0].name)), *entries])


def write(job: Job) -> None:
    """Write all takes, or a group."""
    casts = job.casts()
    save_fbx(casts, job.figure(casts[0][0]), job.path, up=job.up)
