"""GLB, the binary form of glTF 2.0: skeleton, skinned mannequin, one animation per take.

Also VRMA, which is a GLB without mesh that says which joint is which bone of a VRM humanoid.
Source: Khronos, glTF 2.0 specification; VRM Consortium, VRMC_vrm_animation 1.0.
"""

import json
import os
import struct

import numpy as np

from longdance import __version__
from longdance.export.hands import JOINTS, finger_rotations
from longdance.export.job import Job
from longdance.export.naming import NAMINGS, vrm_finger
from longdance.export.takes import Body, Take, with_fingers
from longdance.files import atomic_write
from longdance.motion import moments
from longdance.motion.directions import quaternion_track
from longdance.motion.skeleton import SMPL24

REGISTER = {
    "format": {
        "glb": {
            "make": "write_glb", "order": 4, "about": "skeleton, mannequin, texture, takes",
            "takes": True, "bones": True, "hands": True, "dancers": True,
        },
        "vrma": {
            "make": "write_vrma", "order": 5, "about": "movement for VRM humanoids",
            "bones": True, "humanoid": True,
        },
    },
}  # fmt: skip

FLOAT, USHORT, UBYTE, UINT = 5126, 5123, 5121, 5125
_TYPES = {FLOAT: np.float32, USHORT: np.uint16, UBYTE: np.uint8, UINT: np.uint32}
VERTEX_DATA, INDEX_DATA = 34962, 34963
_SHAPES = {(): "SCALAR", (2,): "VEC2", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}


class GlbBuilder:
    """A glTF document and its binary chunk, to which arrays are added one by one."""

    def __init__(self, document: dict | None = None, chunk: bytes = b""):
        self.document = {} if document is None else document
        self._parts = [chunk]
        self._length = len(chunk)

    def add_bytes(self, data: bytes, *, target: int | None = None) -> int:
        """Index of a new buffer view; it starts at a multiple of four bytes."""
        gap = -self._length % 4
        view = {"buffer": 0, "byteOffset": self._length + gap, "byteLength": len(data)}
        if target is not None:
            view["target"] = target
        self._parts += [b"\0" * gap, data]
        self._length += gap + len(data)
        views = self.document.setdefault("bufferViews", [])
        views.append(view)
        return len(views) - 1

    def add_array(self, values: np.ndarray, kind: int = FLOAT, *, target: int | None = None, bounds=False) -> int:
        """Index of a new accessor for (count, ...) values; matrices are given as (count, 4, 4), row by row."""
        array = np.ascontiguousarray(values, dtype=_TYPES[kind])
        stored = array.swapaxes(-1, -2) if array.ndim == 3 else array  # glTF stores columns
        accessor = {
            "bufferView": self.add_bytes(np.ascontiguousarray(stored).tobytes(), target=target),
            "componentType": kind,
            "count": len(array),
            "type": _SHAPES[array.shape[1:]],
        }
        if bounds:
            low, high = array.min(0), array.max(0)
            accessor |= {"min": np.atleast_1d(low).tolist(), "max": np.atleast_1d(high).tolist()}
        accessors = self.document.setdefault("accessors", [])
        accessors.append(accessor)
        return len(accessors) - 1

    def content(self) -> bytes:
        """The whole file."""
        chunk = b"".join(self._parts)
        chunk += b"\0" * (-len(chunk) % 4)
        buffers = self.document.setdefault("buffers", [{}])
        buffers[0]["byteLength"] = len(chunk)
        text = json.dumps(self.document, separators=(",", ":"), ensure_ascii=False).encode()
        text += b" " * (-len(text) % 4)
        total = 12 + 8 + len(text) + 8 + len(chunk)
        head = struct.pack("<4sII", b"glTF", 2, total)
        return b"".join(
            (head, struct.pack("<I4s", len(text), b"JSON"), text, struct.pack("<I4s", len(chunk), b"BIN\0"), chunk)
        )


def glb_bytes(casts: list[list[Take]], figure: Body | None) -> bytes:
    """A GLB file with an animation for every cast, which are the takes of each dancer; all on one skeleton, y up."""
    return _build(casts, figure).content()


def save_glb(casts: list[list[Take]], figure: Body | None, path: str | os.PathLike) -> None:
    """Write ``glb_bytes`` to a file."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(glb_bytes(casts, figure))


def save_vrma(take: Take, path: str | os.PathLike) -> None:
    """Write one take as a VRM animation, which any VRM avatar can play."""
    builder = _build([[take]], None)
    vrm = NAMINGS["vrm"]
    bones = {vrm[SMPL24.names[smpl]]: {"node": joint} for joint, smpl in enumerate(take.smpl_joints) if smpl >= 0}
    fingers = {vrm_finger(name): {"node": joint} for joint, name in enumerate(take.names) if name in JOINTS}
    bones = fingers | bones
    builder.document["extensionsUsed"] = ["VRMC_vrm_animation"]
    builder.document["extensions"] = {"VRMC_vrm_animation": {"specVersion": "1.0", "humanoid": {"humanBones": bones}}}
    with atomic_write(path) as temporary:
        temporary.write_bytes(builder.content())


def _build(casts: list[list[Take]], figure: Body | None) -> GlbBuilder:
    builder, dancers = GlbBuilder(), casts[0]
    nodes, begins = [], []
    for take in dancers:
        begin = len(nodes)
        begins.append(begin)
        for joint, name in enumerate(take.names):
            node = {"name": name, "translation": np.round(take.offsets[joint], 7).tolist()}
            children = [begin + child for child, parent in enumerate(take.parents) if parent == joint]
            nodes.append(node | ({"children": children} if children else {}))
    roots = list(begins)
    if len(dancers) > 1:  # programs tell skeletons apart by what they hang on
        roots = list(range(len(nodes), len(nodes) + len(begins)))
        nodes += [{"name": f"dancer_{number}", "children": [begin]} for number, begin in enumerate(begins, 1)]
    builder.document |= {
        "asset": {"version": "2.0", "generator": f"longdance {__version__}"},
        "scene": 0,
        "scenes": [{"name": "dance", "nodes": roots}],
        "nodes": nodes,
    }
    if figure is not None:
        _add_bodies(builder, figure, dancers, begins)
    for cast in casts:
        tracks = []
        for take, begin in zip(cast, begins, strict=True):
            tracks += [(begin + joint, "translation", track) for joint, track in take.translations.items()]
            tracks += [(begin + joint, "rotation", take.rotations[:, joint]) for joint in range(len(take.names))]
        add_animation(builder, cast[0].name, cast[0].fps, tracks, moments_of(cast[0].meta))
    return builder


def moments_of(meta: dict) -> dict:
    """Beats, bars and sections of a dance's record: seconds from the first frame."""
    times = {key: moments.times_of(meta, key) for key in moments.TIMES if key in meta}
    return times | ({"sections": moments.spans_of(meta, "sections")} if "sections" in meta else {})


def add_animation(
    builder: GlbBuilder, name: str, fps: float, tracks: list[tuple[int, str, np.ndarray]], extras: dict
) -> None:
    """Add an animation of nodes: rows (node, "translation" or "rotation", (frames, 3) or (frames, 3, 3)).

    ``extras`` are put beside its frame rate and length, for programs that look for more.
    """
    frames = len(tracks[0][2])
    times = builder.add_array(np.arange(frames) / fps, bounds=True)
    samplers, channels = [], []
    for node, path, track in tracks:
        values = track if path == "translation" else quaternion_track(track)
        channels.append({"sampler": len(samplers), "target": {"node": node, "path": path}})
        samplers.append({"input": times, "output": builder.add_array(values), "interpolation": "LINEAR"})
    animation = {
        "name": name,
        "samplers": samplers,
        "channels": channels,
        "extras": {"fps": fps, "frames": frames, "seconds": frames / fps, **extras},
    }
    builder.document.setdefault("animations", []).append(animation)


def _add_bodies(builder: GlbBuilder, figure: Body, dancers: list[Take], begins: list[int]) -> None:
    """A skinned mesh node beside the joints of each dancer; all share the mesh, each has a skin of its own."""
    document, take = builder.document, dancers[0]
    inverse = np.tile(np.eye(4), (len(take.names), 1, 1))
    inverse[:, :3, 3] = -take.rest_positions
    # Bones of weight zero are bone 0, as the standard demands.
    bones = np.where(figure.weights > 0, figure.bones, 0)
    attributes = {
        "POSITION": builder.add_array(figure.vertices, target=VERTEX_DATA, bounds=True),
        "NORMAL": builder.add_array(figure.normals, target=VERTEX_DATA),
        "TEXCOORD_0": builder.add_array(figure.uvs, target=VERTEX_DATA),
        "JOINTS_0": builder.add_array(bones, UBYTE, target=VERTEX_DATA),
        "WEIGHTS_0": builder.add_array(figure.weights, target=VERTEX_DATA),
    }
    kind = USHORT if len(figure.vertices) < 65535 else UINT
    indices = builder.add_array(figure.faces.reshape(-1), kind, target=INDEX_DATA)
    document |= {
        "images": [{"name": "mannequin", "mimeType": "image/png", "bufferView": builder.add_bytes(figure.texture)}],
        # Linear without mipmaps, clamped: the picture is a table of colours, its far ends must not mix.
        "samplers": [{"magFilter": 9729, "minFilter": 9729, "wrapS": 33071, "wrapT": 33071}],
        "textures": [{"source": 0, "sampler": 0}],
        "materials": [
            {
                "name": "mannequin",
                "pbrMetallicRoughness": {
                    "baseColorTexture": {"index": 0},
                    "metallicFactor": 0.0,
                    "roughnessFactor": 0.75,
                },
            }
        ],
        "meshes": [
            {"name": "mannequin", "primitives": [{"attributes": attributes, "indices": indices, "material": 0}]}
        ],
    }
    places = builder.add_array(inverse)
    document["skins"] = []
    for number, begin in enumerate(begins):
        name = "mannequin" if number == 0 else f"mannequin_{number + 1}"
        joints = list(range(begin, begin + len(take.names)))
        document["skins"].append({"name": name, "joints": joints, "skeleton": begin, "inverseBindMatrices": places})
        document["nodes"].append({"name": name, "mesh": 0, "skin": number})
        document["scenes"][0]["nodes"].append(len(document["nodes"]) - 1)


def write_glb(job: Job) -> None:
    """Write all takes, or a group."""
    casts = job.casts()
    save_glb(casts, job.figure(casts[0][0]), job.path)


def write_vrma(job: Job) -> None:
    """Write one take."""
    take = job.takes()[0]
    save_vrma(with_fingers(take, finger_rotations(job.motion)) if job.options.hands else take, job.path)
