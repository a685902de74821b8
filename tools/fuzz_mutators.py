"""Changes of files that keep their form, so that fuzzing reaches what lies behind checksums, lengths and parsers."""

import contextlib
import io
import json
import random
import re
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from longdance.export import fbx_nodes
from longdance.export.glb import GlbBuilder
from longdance.export.gltf_file import read_glb

ODD: tuple[Any, ...] = (
    None, True, 0, 1, -1, 2, 3, 255, 65536, 2**31, 2**32, -(2**63), 10**30, 0.5, -0.0, 1e-300, 1e300, 1e12,
    float("nan"), float("inf"), -float("inf"), "", "a", "\x00", "\x1b[1m", "a" * 300, [], {}, [0], [[]], [0, 0, 0],
    {"a": 0},
)  # fmt: skip
WORD = re.compile(r"[^\s,:{}\[\]()]+")


def mutate(reader: str, data: bytes, folder: Path, seed: int) -> bytes:
    """One to four changes of a file of the reader's kind; the data as they are where they are no such file."""
    rng = random.Random(seed)
    change = {
        "bvh": _text, "score": _text, "glb": _glb, "fbx": _fbx, "npz": _npz, "safetensors": _safetensors
    }[reader]  # fmt: skip
    with contextlib.suppress(Exception):  # the data were changed before: other libraries' readers raise anything
        for _ in range(rng.randint(1, 4)):
            data = change(data, rng, folder)
    return data


def _text(data: bytes, rng: random.Random, folder: Path | None = None) -> bytes:
    """A word changed to something odd or to another word, or a line moved, doubled or left out."""
    content = data.decode("utf-8", errors="surrogateescape")
    if rng.random() < 0.6 and (words := list(WORD.finditer(content))):
        word = rng.choice(words)
        new = rng.choice(words).group() if rng.random() < 0.5 else str(rng.choice(ODD))
        content = content[: word.start()] + new + content[word.end() :]
    else:
        lines = content.splitlines(keepends=True)
        line, place = lines[rng.randrange(len(lines))], rng.randrange(len(lines))
        if rng.random() < 0.5:
            lines.remove(line)
        if rng.random() < 0.7:
            lines.insert(place, line)
        content = "".join(lines)
    return content.encode("utf-8", errors="surrogateescape")


def _value(value: Any, rng: random.Random) -> Any:
    """A JSON value with one entry, however deep, changed."""
    if isinstance(value, dict | list) and value and rng.random() < 0.9:
        key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        other = rng.choice(list(value.values()) if isinstance(value, dict) else value)
        what = rng.random()
        if what < 0.1:
            del value[key]
        elif what < 0.2:
            value[key] = other
        elif what < 0.25 and isinstance(value, list):
            value.append(other)
        else:
            value[key] = _value(value[key], rng)
        return value
    if isinstance(value, int | float) and rng.random() < 0.5:
        return rng.choice((value + 1, value - 1, -value, value * 1000, rng.randrange(40)))
    return rng.choice(ODD)


def _binary(data: bytes, rng: random.Random) -> bytes:
    """A few bytes, or one number of four or eight, changed."""
    changed = bytearray(data)
    if changed:
        new = rng.choice((b"\xff", b"\0", rng.randbytes(2), *(struct.pack(f, v) for f in "fd" for v in
                          (float("nan"), float("inf"), 1e30, 0.0, -1.0))))  # fmt: skip
        at = rng.randrange(len(changed)) // len(new) * len(new)
        changed[at : at + len(new)] = new[: len(changed) - at]
    return bytes(changed)


def _glb(data: bytes, rng: random.Random, folder: Path) -> bytes:
    path = folder / "mutated.glb"
    path.write_bytes(data)
    document, chunk = read_glb(path)
    if rng.random() < 0.2:
        chunk = _binary(chunk, rng)
    else:
        document = _value(document, rng)
    return GlbBuilder(document, chunk).content()


def _fbx(data: bytes, rng: random.Random, folder: Path) -> bytes:
    path = folder / "mutated.fbx"
    path.write_bytes(data)
    roots = fbx_nodes.read(path).roots
    every: list[tuple[list, fbx_nodes.Node]] = []
    waiting = [(roots, root) for root in roots]
    while waiting:
        every.append(waiting.pop())
        waiting += [(every[-1][1].children, child) for child in every[-1][1].children]
    siblings, node = rng.choice(every)
    what = rng.random()
    if what < 0.1:
        siblings.remove(node)
    elif what < 0.2:
        siblings.insert(rng.randrange(len(siblings) + 1), rng.choice(every)[1])
    elif what < 0.25:
        node.name = rng.choice(every)[1].name
    elif node.properties:
        at = rng.randrange(len(node.properties))
        code, value = node.properties[at]
        if what < 0.35:
            del node.properties[at]
        elif what < 0.45:
            node.properties[at] = rng.choice([each for _, other in every for each in other.properties])
        elif code in "YILFD":
            value = _value(value, rng)
            node.properties[at] = ("D", float(value)) if code in "FD" else (code, int(value) % 2**15)
        elif isinstance(value, fbx_nodes.PackedArray | np.ndarray):
            numbers = np.array(value.values() if isinstance(value, fbx_nodes.PackedArray) else value)
            if rng.random() < 0.5:
                numbers = np.frombuffer(_binary(numbers.tobytes(), rng), numbers.dtype)
            node.properties[at] = (code, numbers[: rng.randrange(len(numbers) + 1)] if what > 0.9 else numbers)
        elif isinstance(value, bytes):
            node.properties[at] = (code, _binary(value, rng))
    return fbx_nodes.encode(roots)


def _npz(data: bytes, rng: random.Random, folder: Path) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(list(members))
    head, body = np.lib.format.MAGIC_PREFIX, members[name]
    what = rng.random()
    if what < 0.1:
        members[rng.choice(list(members))] = members.pop(name)
    elif what < 0.4 and body.startswith(head):
        length = struct.unpack_from("<H", body, 8)[0]
        text = _text(body[10 : 10 + length], rng)
        members[name] = body[:8] + struct.pack("<H", len(text) % 65536) + text + body[10 + length :]
    elif what < 0.8 and body.startswith(head):
        array = np.lib.format.read_array(io.BytesIO(body), allow_pickle=False)
        if array.dtype.kind in "US" and array.ndim == 0:  # the record
            array = np.array(json.dumps(_value(json.loads(str(array)), rng)))
        elif array.dtype.kind in "US":
            array = np.array([_text(str(each).encode(), rng).decode() for each in array.ravel()[:200]])
        else:
            odd = rng.choice([each for each in ODD if isinstance(each, int | float) and abs(each) < 2**31])
            array = array.copy()
            array.reshape(-1)[rng.randrange(max(array.size, 1))] = odd
            shape = rng.choice([array.shape, array.shape[::-1], array.shape[1:], (-1,), (1, *array.shape)])
            array = array[0] if shape == array.shape[1:] else array.reshape(shape)
            array = array.astype(rng.choice([array.dtype, "f2", "f4", "f8", "i4", "u1", "?", "c8", "U3"]))
        out = io.BytesIO()
        np.lib.format.write_array(out, array, allow_pickle=False)
        members[name] = out.getvalue()
    else:
        members[name] = _binary(body, rng)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for each, content in members.items():
            archive.writestr(zipfile.ZipInfo(each), content)  # no time of day
    return out.getvalue()


def _safetensors(data: bytes, rng: random.Random, folder: Path) -> bytes:
    record, _, tensors = data.partition(b"\n")
    if rng.random() < 0.5:
        return json.dumps(_value(json.loads(record), rng)).encode() + b"\n" + tensors
    length = struct.unpack_from("<Q", tensors)[0]
    header, body = json.loads(tensors[8 : 8 + length]), tensors[8 + length :]
    if rng.random() < 0.7:
        header = _value(header, rng)
    else:
        body = _binary(body, rng)
    text = json.dumps(header).encode()
    return record + b"\n" + struct.pack("<Q", len(text)) + text + body
