"""Dances of characters in FBX and GLB files, on our skeleton: what other programs animated, to cut phrases from.

Bones are found as for characters that we dance on (``export.rig``). Keys are joined by straight lines, turns by the
shortest way: what is animated by a few keys with curves should be baked before.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from longdance.errors import InputError
from longdance.export import fbx_nodes
from longdance.export.fbx import TICKS
from longdance.export.fbx_nodes import FbxFile, Node, PackedArray
from longdance.export.gltf_file import read_glb, read_numbers
from longdance.export.rig_fbx import DAMAGED, fbx_rig
from longdance.export.rig_glb import glb_rig, node_parts
from longdance.export.rig_rest import Rig, upwards
from longdance.motion import filters
from longdance.motion.bvh import BvhFile
from longdance.motion.dance_files import DANCE_ENDINGS, read_dance
from longdance.motion.motion import Motion
from longdance.motion.retarget import retarget_bvh

CLIP_ENDINGS = (".fbx", ".glb", ".vrma")
TAKE_ENDINGS = (*DANCE_ENDINGS, *CLIP_ENDINGS)
"""Endings of all files that ``read_take`` reads."""
FPS = 60.0
"""Frames per second at which animations are read."""
LONGEST = 600.0
"""Seconds of an animation."""


class Keys(NamedTuple):
    """Keys of one property of a bone."""

    times: np.ndarray
    """(keys,) seconds, rising."""
    values: np.ndarray
    """(keys, ...)."""

    def numbers_at(self, times: np.ndarray) -> np.ndarray:
        """(times, ...) values on straight lines between keys."""
        flat = self.values.reshape(len(self.times), -1)
        columns = [np.interp(times, self.times, column) for column in flat.T]
        return np.stack(columns, -1).reshape(len(times), *self.values.shape[1:])

    def turns_at(self, times: np.ndarray) -> np.ndarray:
        """(times, 3, 3) of (keys, 3, 3) rotations."""
        return filters.interpolate_rotations(self.values, np.interp(times, self.times, np.arange(len(self.times))))


class Animated(NamedTuple):
    """A character with one animation."""

    rig: Rig
    span: tuple[float, float]
    """Seconds of its first and last key."""
    locals: Callable[[int, np.ndarray], np.ndarray]
    """(times, 4, 4) of a bone against its parent at some seconds."""


def read_take(path: str | os.PathLike) -> Motion:
    """A dance from any file that we read: those of ``read_dance``, or a character's; ``InputError`` names the file."""
    return read_clip(path) if Path(path).suffix.lower() in CLIP_ENDINGS else read_dance(path)


def read_clip(path: str | os.PathLike) -> Motion:
    """The dance of a character in a binary FBX, GLB or VRMA file: the longest of its animations, at 60 fps.

    ``InputError`` names the file, and what is wrong with it or missing.
    """
    path = Path(path)
    reader = _of_fbx if path.suffix.lower() == ".fbx" else _of_glb
    try:
        return _motion(*reader(path))
    except InputError as error:
        text = str(error)
        raise InputError(text if str(path) in text else f"{path}: {text}") from error
    except (*DAMAGED, NotImplementedError) as error:
        raise InputError(f"{path}: expected an animated character, got damaged entries ({error})") from error


def _motion(animated: Animated, up: str | None) -> Motion:
    """The animation as our skeleton does it."""
    rig, (begin, end) = animated.rig, animated.span
    if not 0 < end - begin <= LONGEST:
        raise InputError(f"expected up to {LONGEST / 60:g} minutes of animation, got {end - begin:g} seconds")
    times = begin + np.arange(int((end - begin) * FPS + 1e-6) + 1) / FPS
    needed = sorted({bone for joint in rig.found.values() for bone in upwards(rig.parents, joint)})
    slots = {bone: slot for slot, bone in enumerate(needed)} | {-1: -1}
    world = np.empty((len(times), len(needed), 4, 4))
    for slot, bone in enumerate(needed):
        own, above = animated.locals(bone, times), slots[rig.parents[bone]]
        world[:, slot] = own if above < 0 else world[:, above] @ own
    if not np.isfinite(world).all():
        raise InputError("expected finite numbers in the animation, got others")
    parents = tuple(slots[rig.parents[bone]] for bone in needed)
    turns = filters.nearest_rotation(world[..., :3, :3])
    steps, local = world[..., :3, 3].copy(), turns.copy()
    rest = _rest(rig)[needed]
    offsets = rest.copy()
    for slot, parent in enumerate(parents):
        if parent >= 0:
            back = np.swapaxes(turns[:, parent], -1, -2)
            steps[:, slot] = (back @ (world[:, slot, :3, 3] - world[:, parent, :3, 3])[..., None])[..., 0]
            local[:, slot] = back @ turns[:, slot]
            offsets[slot] = rest[slot] - rest[parent]
    names = tuple(f"{slot} {rig.names[bone]}" for slot, bone in enumerate(needed))  # names of a file may come twice
    table = {joint: names[slots[bone]] for joint, bone in rig.found.items()}
    clip = BvhFile(names, parents, offsets, ((),) * len(names), (), np.zeros((0, 3)), steps, local, FPS)
    return retarget_bvh(clip, up=up, bones=table)


def _rest(rig: Rig) -> np.ndarray:
    """(bones, 3) places as bound, or as saved where not all of the body is bound."""
    bound = rig.bind is not None and np.isfinite(rig.bind[list(rig.found.values())]).all()
    if rig.bind is None or not bound:
        return rig.nodes[:, :3, 3]
    return np.where(np.isfinite(rig.bind[:, :3, 3]), rig.bind[:, :3, 3], rig.nodes[:, :3, 3])


def _longest(spans: Mapping[int, tuple[float, float]]) -> int:
    """Which animation lasts longest; ``InputError`` where there is none."""
    if not spans:
        raise InputError("expected a dance, found no animation of the body's bones in the file")
    return max(spans, key=lambda number: spans[number][1] - spans[number][0])


def _span(tracks: Sequence[Keys]) -> tuple[float, float]:
    return min(float(keys.times[0]) for keys in tracks), max(float(keys.times[-1]) for keys in tracks)


def _checked(times: np.ndarray, values: np.ndarray) -> Keys:
    """Keys in their order; ``ValueError`` for none and for what is no number."""
    if not len(times) or len(values) != len(times) or not (np.isfinite(times).all() and np.isfinite(values).all()):
        raise ValueError("keys without finite times and values")
    times, kept = np.unique(times, return_index=True)
    return Keys(times, values[kept])


# --- GLB ----------------------------------------------------------------------------------------------------


def _of_glb(path: Path) -> tuple[Animated, str]:
    document, chunk = read_glb(path)
    rig, nodes = glb_rig(document, chunk)
    body = {nodes[bone] for joint in rig.found.values() for bone in upwards(rig.parents, joint)}
    tracks: dict[int, dict[tuple[int, str], Keys]] = {}
    for number, animation in enumerate(document.get("animations", ())):
        found = {}
        for channel in animation["channels"]:
            node, what = channel["target"].get("node"), channel["target"]["path"]
            if node in body and what in ("translation", "rotation", "scale"):
                found[node, what] = _glb_keys(document, chunk, animation["samplers"][channel["sampler"]], what)
        if found:
            tracks[number] = found
    spans = {number: _span(list(found.values())) for number, found in tracks.items()}
    chosen = _longest(spans)
    keys = tracks[chosen]

    def local(bone: int, times: np.ndarray) -> np.ndarray:
        node = document["nodes"][nodes[bone]]
        place, turn, scale = node_parts(node)
        made = np.tile(np.eye(4), (len(times), 1, 1))
        moved, turned, scaled = (keys.get((nodes[bone], what)) for what in ("translation", "rotation", "scale"))
        made[:, :3, :3] = turn if turned is None else turned.turns_at(times)
        made[:, :3, :3] *= (scale if scaled is None else scaled.numbers_at(times))[..., None, :]
        made[:, :3, 3] = place if moved is None else moved.numbers_at(times)
        return made

    return Animated(rig, spans[chosen], local), "y"


def _glb_keys(document: dict, chunk: bytes, sampler: dict, what: str) -> Keys:
    times = read_numbers(document, chunk, sampler["input"])[:, 0]
    values = read_numbers(document, chunk, sampler["output"])
    if sampler.get("interpolation") == "CUBICSPLINE":
        values = values[1::3]  # between its slopes
    return _checked(times, Rotation.from_quat(values).as_matrix() if what == "rotation" else values)


# --- FBX ----------------------------------------------------------------------------------------------------


def _of_fbx(path: Path) -> tuple[Animated, str | None]:
    file = fbx_nodes.read(path)
    rig, models = fbx_rig(file)
    body = {models[bone].number for joint in rig.found.values() for bone in upwards(rig.parents, joint)}
    stacks = _fbx_tracks(file, body)
    spans = {
        stack: _span([keys for axes in found.values() for keys in axes.values()]) for stack, found in stacks.items()
    }
    chosen = _longest(spans)
    tracks = stacks[chosen]

    def local(bone: int, times: np.ndarray) -> np.ndarray:
        model = models[bone]

        def three(what: bytes, saved: np.ndarray) -> np.ndarray:
            axes = tracks.get((model.number, what), {})
            columns = [
                axes[axis].numbers_at(times) if axis in axes else np.full(len(times), saved[axis]) for axis in range(3)
            ]
            return np.stack(columns, -1)

        return model.matrix(three(b"Lcl Translation", model.place), three(b"Lcl Rotation", model.angles))

    return Animated(rig, spans[chosen], local), None if rig.up is None else "xyz"[rig.up]


def _fbx_tracks(file: FbxFile, body: set[int]) -> dict[int, dict[tuple[int, bytes], dict[int, Keys]]]:
    """By animation and by model and property the keys of each axis; what several layers do is the last one's."""
    objects = {int(each.properties[0][1]): each for each in file.find("Objects").children if each.properties}
    links = [row.values() for row in file.find("Connections").all("C")]
    above: dict[int, list[list]] = {}
    for row in links:
        above.setdefault(row[1], []).append(row)
    found: dict[int, dict[tuple[int, bytes], dict[int, Keys]]] = {}
    for number, each in objects.items():
        if each.name != "AnimationCurve":
            continue
        for curve in above.get(number, ()):
            axis = {b"d|X": 0, b"d|Y": 1, b"d|Z": 2}.get(curve[3] if len(curve) > 3 else b"")
            links_up = above.get(curve[2], ())
            stacks = [up[2] for layer in links_up if layer[0] == b"OO" for up in above.get(layer[2], ())]
            for target in links_up:
                moves = target[0] == b"OP" and target[2] in body and target[3] in (b"Lcl Translation", b"Lcl Rotation")
                for stack in stacks if moves and axis is not None else ():
                    found.setdefault(stack, {}).setdefault((target[2], target[3]), {})[axis] = _fbx_keys(each)
    return found


def _fbx_keys(curve: Node) -> Keys:
    columns = []
    for name in ("KeyTime", "KeyValueFloat"):
        entry = curve.find(name)
        if entry is None or not entry.properties:
            raise ValueError(f"a curve without {name}")
        values = entry.properties[0][1]
        columns.append(np.asarray(values.values() if isinstance(values, PackedArray) else values, dtype=np.float64))
    return _checked(columns[0] / TICKS, columns[1])
