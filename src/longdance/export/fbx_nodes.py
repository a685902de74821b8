"""The binary container of FBX: a tree of named nodes with typed properties, read and written without loss.

What belongs here: bytes. What the nodes mean is ``longdance.export.fbx``'s and ``rig_fbx``'s. The layout is as
observed by many: Autodesk publishes none. Versions 7.0 to 7.7; from 7.5 on lengths take eight bytes.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from longdance.errors import InputError
from longdance.files import atomic_write

MAGIC = b"Kaydara FBX Binary  \x00\x1a\x00"
FILE_ID = bytes.fromhex("28b32aebb624ccc2bfc8b02aa92bfcf1")
CREATION_TIME = "1970-01-01 10:00:00:000"
FOOTER_ID = bytes.fromhex("fabcab09d0c8d466b176fb831cf7267e")
"""These three belong together: readers check that the footer fits the time and the id."""

FOOTER_MAGIC = bytes.fromhex("f85a8c6adef5d97eece90ce3758f290b")
CLASS_SEPARATOR = b"\x00\x01"
"""Stands between the name and the class of an object."""

_SCALARS = {"Y": "<h", "C": "<?", "I": "<i", "F": "<f", "D": "<d", "L": "<q"}
_ARRAYS = {"f": "<f4", "d": "<f8", "l": "<i8", "i": "<i4", "b": "?", "c": "u1"}
LARGEST_ARRAY = 2**29
"""Bytes that an array may unpack to."""
DEEPEST = 64
"""Levels of nodes beyond which a file is taken to be malicious."""


@dataclass(frozen=True)
class PackedArray:
    """An array property as it is in a file, unpacked only when asked for."""

    code: str
    count: int
    encoding: int
    data: bytes

    def values(self) -> np.ndarray:
        """The numbers; ``InputError`` where there are not as many as stated."""
        kind = np.dtype(_ARRAYS[self.code])
        size = self.count * kind.itemsize
        if size > LARGEST_ARRAY:
            raise InputError(f"expected at most {LARGEST_ARRAY} bytes in an array of the FBX file, got {size}")
        data = self.data
        if self.encoding:
            unpacker = zlib.decompressobj()
            try:
                data = unpacker.decompress(data, size + 1)
            except zlib.error as error:
                raise InputError(f"expected a compressed array in the FBX file, got damaged data ({error})") from error
        if len(data) != size:
            raise InputError(f"expected {self.count} numbers in an array of the FBX file, got {len(data)} bytes")
        return np.frombuffer(data, kind)


@dataclass
class Node:
    """A node: ``properties`` are rows (type code, value), arrays being numpy's or ``PackedArray``."""

    name: str
    properties: list[tuple[str, Any]] = field(default_factory=list)
    children: list["Node"] = field(default_factory=list)

    def find(self, name: str) -> "Node | None":
        """The first child of the name."""
        return next((child for child in self.children if child.name == name), None)

    def all(self, name: str) -> Iterator["Node"]:
        """All children of the name."""
        return (child for child in self.children if child.name == name)

    def values(self) -> list[Any]:
        """The properties without their types."""
        return [value for _, value in self.properties]


def node(name: str, *properties: tuple[str, Any], children: list[Node] | tuple = ()) -> Node:
    """A node; properties are given as (type code, value)."""
    return Node(name, list(properties), list(children))


def integer(value: int) -> tuple[str, int]:
    """A 32-bit property."""
    return "I", int(value)


def long(value: int) -> tuple[str, int]:
    """A 64-bit property."""
    return "L", int(value)


def double(value: float) -> tuple[str, float]:
    """A floating point property."""
    return "D", float(value)


def text(value: str | bytes) -> tuple[str, bytes]:
    """A string property."""
    return "S", value.encode() if isinstance(value, str) else value


def array(code: str, values: np.ndarray) -> tuple[str, np.ndarray]:
    """An array property: doubles d, floats f, integers i, longs l."""
    return code, np.ascontiguousarray(values, dtype=_ARRAYS[code]).reshape(-1)


# --- writing ------------------------------------------------------------------------------------------------


def encode(roots: list[Node], *, version: int = 7400, footer_id: bytes = FOOTER_ID) -> bytes:
    """The bytes of a whole file."""
    out = bytearray(MAGIC + struct.pack("<I", version))
    for root in roots:
        _encode_node(root, out, wide=version >= 7500)
    out += bytes(25 if version >= 7500 else 13)
    out += footer_id + bytes(4)
    out += bytes(16 - len(out) % 16)
    out += struct.pack("<I", version) + bytes(120) + FOOTER_MAGIC
    return bytes(out)


def save(roots: list[Node], path: str | os.PathLike, *, version: int = 7400, footer_id: bytes = FOOTER_ID) -> None:
    """Write a whole file."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(encode(roots, version=version, footer_id=footer_id))


def _encode_node(item: Node, out: bytearray, *, wide: bool) -> None:
    head = struct.Struct("<QQQB" if wide else "<IIIB")
    start = len(out)
    name = item.name.encode()
    out += bytes(head.size) + name
    before = len(out)
    for code, value in item.properties:
        out += _encode_property(code, value)
    length = len(out) - before
    for child in item.children:
        _encode_node(child, out, wide=wide)
    if item.children or not item.properties:
        out += bytes(head.size)
    head.pack_into(out, start, len(out), len(item.properties), length, len(name))


def _encode_property(code: str, value) -> bytes:
    mark = code.encode()
    if code in _SCALARS:
        return mark + struct.pack(_SCALARS[code], value)
    if code in "SR":
        return mark + struct.pack("<I", len(value)) + value
    if isinstance(value, PackedArray):
        return mark + struct.pack("<III", value.count, value.encoding, len(value.data)) + value.data
    data, encoding = value.tobytes(), 0
    if len(data) > 128:
        data, encoding = zlib.compress(data, 1), 1
    return mark + struct.pack("<III", len(value), encoding, len(data)) + data


# --- reading ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FbxFile:
    """The nodes of a file, its version, and the footer's id that goes with its creation time."""

    roots: list[Node]
    version: int
    footer_id: bytes

    def find(self, name: str) -> Node:
        """The first root of the name, an empty node if there is none."""
        return next((root for root in self.roots if root.name == name), Node(name))


def read(path: str | os.PathLike) -> FbxFile:
    """Read a binary FBX file; ``InputError`` names the file and what is wrong with it."""
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: expected a readable FBX file ({error.strerror})") from error
    if not data.startswith(MAGIC[:20]):
        kind = "text" if b"FBX" in data[:200] else "something else"
        raise InputError(f"{path}: expected a binary FBX file, got {kind}; try saving it as binary FBX 7.4")
    try:
        return _Reader(data).file()
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (struct.error, IndexError, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"{path}: expected a complete binary FBX file, could not read it ({error})") from error


class _Reader:
    """Walks over the bytes; every length is checked against the end of what encloses it."""

    def __init__(self, data: bytes):
        self.data = data
        (self.version,) = struct.unpack_from("<I", data, len(MAGIC))
        if not 7000 <= self.version < 8000:
            raise InputError(f"expected FBX 7.0 to 7.7, got version {self.version}; try saving it as binary FBX 7.4")
        self.head = struct.Struct("<QQQB" if self.version >= 7500 else "<IIIB")

    def file(self) -> FbxFile:
        roots, at = [], len(MAGIC) + 4
        while True:
            found, at = self.node(at, len(self.data), 0)
            if found is None:
                break
            roots.append(found)
        footer = self.data[at : at + 16]
        return FbxFile(roots, self.version, footer if len(footer) == 16 else FOOTER_ID)

    def node(self, at: int, limit: int, depth: int) -> tuple[Node | None, int]:
        """The node at an offset and the offset after it; None for the mark that ends a list."""
        end, count, length, name_length = self.head.unpack_from(self.data, at)
        at += self.head.size
        if end == 0:
            return None, at
        after_properties = at + name_length + length
        if not after_properties <= end <= limit or depth > DEEPEST:
            raise ValueError(f"a node at byte {at} that ends outside of what it is in")
        name = self.data[at : at + name_length].decode()
        at += name_length
        properties = []
        for _ in range(count):
            value, at = self.property(at, after_properties)
            properties.append(value)
        children: list[Node] = []
        at = after_properties
        while at < end:
            child, at = self.node(at, end, depth + 1)
            if child is None:
                break
            children.append(child)
        return Node(name, properties, children), end

    def property(self, at: int, limit: int) -> tuple[tuple[str, Any], int]:
        code = chr(self.data[at])
        at += 1
        if code in _SCALARS:
            kind = struct.Struct(_SCALARS[code])
            value: Any = kind.unpack_from(self.data, at)[0]
            at += kind.size
        elif code in "SR":
            (length,) = struct.unpack_from("<I", self.data, at)
            value, at = self.data[at + 4 : at + 4 + length], at + 4 + length
        elif code in _ARRAYS:
            count, encoding, length = struct.unpack_from("<III", self.data, at)
            value = PackedArray(code, count, encoding, self.data[at + 12 : at + 12 + length])
            at += 12 + length
        else:
            raise ValueError(f"a property of the unknown type {code!r} at byte {at - 1}")
        if at > limit:
            raise ValueError(f"a property that ends after its node at byte {at}")
        return (code, value), at
