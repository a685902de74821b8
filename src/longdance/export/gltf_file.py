"""Reading glTF 2.0 documents, as one ``.glb`` or as ``.gltf`` with files beside it, into one document and one chunk.

What belongs here: containers, buffers, accessors. What the nodes mean is ``longdance.export.rig_glb``'s.
Source: Khronos, glTF 2.0 specification.
"""

import base64
import binascii
import json
import os
import struct
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from longdance.errors import InputError

COMPONENTS = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
SHAPES = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
COMPRESSED = {
    "EXT_meshopt_compression": "meshopt; try gltfpack without -c, or `gltf-transform copy IN OUT`",
    "KHR_meshopt_compression": "meshopt; try gltfpack without -c, or `gltf-transform copy IN OUT`",
    "MESHOPT_compression": "meshopt; try gltfpack without -c, or `gltf-transform copy IN OUT`",
    "KHR_draco_mesh_compression": "Draco; try exporting it without compression, or `gltf-transform copy IN OUT`",
}
"""Extensions by which parts of a file are not what they seem, and what to do about it."""
LARGEST_BUFFER = 2**31
"""Bytes of all buffers together."""


def read_glb(path: str | os.PathLike) -> tuple[dict, bytes]:
    """The document and all its data as one chunk, from a GLB, VRM or glTF file; ``InputError`` names the file.

    Data that the document has in several buffers, in data URIs or in files beside a ``.gltf`` are put together, and
    images that a ``.gltf`` keeps in files are taken in. Nothing outside of the file's folder is read.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: expected a readable GLB file ({error.strerror})") from error
    plain = data[:4] != b"glTF" and path.suffix.lower() == ".gltf"
    try:
        document, chunk = (json.loads(data), None) if plain else _of_binary(data, path)
    except (struct.error, KeyError, ValueError, RecursionError) as error:
        kind = "glTF" if plain else "GLB"
        raise InputError(f"{path}: expected a complete {kind} file, could not read it ({error})") from error
    if not isinstance(document, dict):
        raise InputError(f"{path}: expected a glTF document, got {type(document).__name__}")
    try:
        _refuse_compressed(document)
        return document, _one_chunk(document, chunk, path)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path}: expected a glTF document by the rules, got one with a wrong entry ({error})"
        ) from error


def _of_binary(data: bytes, path: Path) -> tuple[dict, bytes]:
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
    return json.loads(chunks[b"JSON"]), chunks.get(b"BIN\0", b"")


def _refuse_compressed(document: dict) -> None:
    named = [*document.get("extensionsRequired", ()), *document.get("extensionsUsed", ())]
    for view in document.get("bufferViews", ()):
        named += view.get("extensions", {})
    for extension, advice in COMPRESSED.items():
        if extension in named:
            raise InputError(f"expected a character that is not compressed, got one compressed by {advice}")


def _one_chunk(document: dict, chunk: bytes | None, path: Path) -> bytes:
    """The data of all buffers in a row; the document's views are led there."""
    buffers = document.get("buffers", [])
    if not isinstance(buffers, list):
        raise InputError("expected a list of buffers, got something else")
    parts, starts, length = [], [], 0
    for number, buffer in enumerate(buffers):
        own = number == 0 and chunk is not None and "uri" not in buffer
        data = chunk if own and chunk is not None else _data_of(buffer["uri"], path)
        if len(data) < buffer["byteLength"]:
            raise InputError(f"expected {buffer['byteLength']} bytes in buffer {number}, got {len(data)}")
        gap = -length % 16
        parts += [bytes(gap), data]
        starts.append(length + gap)
        length += gap + len(data)
        if length > LARGEST_BUFFER:
            raise InputError(f"expected at most {LARGEST_BUFFER} bytes of data, got more")
    for view in document.get("bufferViews", ()):
        if not 0 <= view["buffer"] < len(starts):
            raise InputError("expected views into the buffers that there are, got others")
        start = view.get("byteOffset", 0)
        if start < 0 or start + view["byteLength"] > buffers[view["buffer"]]["byteLength"]:
            raise InputError("expected views inside of their buffers, got others")
        if starts[view["buffer"]]:
            view["byteOffset"] = start + starts[view["buffer"]]
        view["buffer"] = 0
    if len(buffers) > 1 or any("uri" in buffer for buffer in buffers):
        document["buffers"] = [{"byteLength": length}]
    for image in document.get("images", ()):
        uri = image.get("uri", "data:")
        if not uri.startswith("data:"):
            data = _data_of(uri, path)
            gap = -length % 16
            views = document.setdefault("bufferViews", [])
            views.append({"buffer": 0, "byteOffset": length + gap, "byteLength": len(data)})
            del image["uri"]
            image |= {"bufferView": len(views) - 1, "mimeType": image.get("mimeType", _image_kind(data))}
            parts += [bytes(gap), data]
            length += gap + len(data)
            document.setdefault("buffers", [{}])[0]["byteLength"] = length
    return b"".join(parts)


def _image_kind(data: bytes) -> str:
    return "image/png" if data.startswith(b"\x89PNG") else "image/jpeg"


def _data_of(uri: str, path: Path) -> bytes:
    """What a URI stands for: data in itself, or a file in the folder of ``path``."""
    if uri.startswith("data:"):
        head, _, body = uri.partition(",")
        if not head.endswith(";base64"):
            raise InputError("expected data URIs in base64, got another; try exporting it as one .glb")
        try:
            return base64.b64decode(body, validate=True)
        except (binascii.Error, ValueError) as error:
            raise InputError(f"expected data in base64, got others ({error})") from error
    name = unquote(uri)
    folder = path.parent.resolve()
    beside = (folder / name).resolve() if "\0" not in name else folder
    if ":" in name or folder not in beside.parents:
        raise InputError(f"expected data in files beside it, got {uri[:80]!r}; try exporting it as one .glb")
    try:
        if beside.stat().st_size > LARGEST_BUFFER:
            raise InputError(f"expected at most {LARGEST_BUFFER} bytes in {name}, got more")
        return beside.read_bytes()
    except OSError as error:
        raise InputError(f"expected its data in {name} beside it, could not read that ({error.strerror})") from error


def read_numbers(document: dict, chunk: bytes, accessor_index: int) -> np.ndarray:
    """The values (count, width) of an accessor as float64, of any component type; ``ValueError`` for damaged ones."""
    accessor = document["accessors"][accessor_index]
    if "sparse" in accessor:
        raise ValueError("sparse numbers")
    view = document["bufferViews"][accessor["bufferView"]]
    width, kind, count = SHAPES[accessor["type"]], np.dtype(COMPONENTS[accessor["componentType"]]), accessor["count"]
    start, stride = (
        view.get("byteOffset", 0) + accessor.get("byteOffset", 0),
        view.get("byteStride", width * kind.itemsize),
    )
    if min(start, count) < 0 or stride < width * kind.itemsize or start + (count - 1) * stride + width > len(chunk):
        raise ValueError("numbers outside of the data")
    if not count:
        return np.zeros((0, width))
    shape, strides = (count, width), (stride, kind.itemsize)
    last = start + (count - 1) * stride + width * kind.itemsize
    values = np.ndarray(shape, kind, np.frombuffer(chunk, "u1", last)[start:].tobytes(), 0, strides)
    return dequantised(values, accessor)


def dequantised(values: np.ndarray, accessor: dict) -> np.ndarray:
    """Values of an accessor as they are meant: normalised integers are fractions of their largest."""
    values = np.asarray(values, dtype=np.float64)
    kind = np.dtype(COMPONENTS[accessor["componentType"]])
    if accessor.get("normalized") and kind.kind in "iu":
        return np.maximum(values / np.iinfo(kind).max, -1.0)
    return values


def read_positions(document: dict, chunk: bytes, accessor_index: int) -> np.ndarray:
    """(points, 3) of an accessor of positions, or the corners of the box around them where they are sparse."""
    accessor = document["accessors"][accessor_index]
    if accessor["type"] != "VEC3":
        raise ValueError("positions that are no three numbers")
    if "sparse" not in accessor and "bufferView" in accessor:
        points = read_numbers(document, chunk, accessor_index)
    else:
        low, high = (dequantised(np.array(accessor[key], float), accessor) for key in ("min", "max"))
        points = np.array([[(low, high)[(corner >> axis) & 1][axis] for axis in range(3)] for corner in range(8)])
    return points[np.isfinite(points).all(1)]
