"""A character given as a binary FBX file: everything in it is kept but its animations, which the dance replaces."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from longdance.errors import InputError
from longdance.export import fbx_nodes
from longdance.export.fbx import Objects, continuous_euler, key_times, property_row, time_mode
from longdance.export.fbx_nodes import CLASS_SEPARATOR, FbxFile, Node, PackedArray, double, integer, long, node, text
from longdance.export.rig import dance_on_rig, find_bones
from longdance.export.rig_rest import Rig
from longdance.motion import rotations as rot
from longdance.motion.motion import Motion

ORDERS = ("ZYX", "YZX", "XZY", "ZXY", "YXZ", "XYZ")
"""The product of turns that FBX's rotation orders 0 to 5 stand for (0 is X first, so Rz Ry Rx)."""

ANIMATION_KINDS = ("AnimationStack", "AnimationLayer", "AnimationCurveNode", "AnimationCurve")
MOST_MODELS = 20_000


def fbx_bones(path: str | os.PathLike) -> tuple[tuple[str, ...], tuple[int, ...], np.ndarray]:
    """Names, parents and places (bones, 3) as saved of a file's models."""
    try:
        models, parents, _ = _tree(fbx_nodes.read(path))
    except DAMAGED as error:
        raise InputError(f"{path}: expected an FBX file by the rules, got one with a wrong entry ({error})") from error
    return tuple(model.name for model in models), parents, _world(models, parents)[:, :3, 3]


def save_on_fbx(
    motion: Motion,
    rig_path: str | os.PathLike,
    path: str | os.PathLike,
    *,
    name: str = "dance",
    bones: Mapping[str, str] | None = None,
    hands: bool = True,
) -> None:
    """Write the character dancing. ``InputError`` names the file and what is wrong with it."""
    file = fbx_nodes.read(rig_path)
    try:
        rig, models = fbx_rig(file, bones)
        dance = dance_on_rig(motion, rig, hands=hands)
        objects = Objects(first_id=_highest_id(file) + 1)
        layer, times = objects.add_stack(name, motion.frames, motion.fps), key_times(motion.frames, motion.fps)
        place = models[dance.pelvis].translations(dance.place, dance.rotations[dance.pelvis])
        objects.add_track(layer, models[dance.pelvis].number, "Lcl Translation", place, times)
        for bone, track in dance.rotations.items():
            model = models[bone]
            angles = continuous_euler(model.before.T @ track @ model.after, ORDERS[model.order])
            columns = [ORDERS[model.order].index(axis) for axis in "XYZ"]
            objects.add_track(layer, model.number, "Lcl Rotation", np.degrees(angles[:, columns]), times)
    except InputError as error:
        raise InputError(f"{rig_path}: {error}") from error
    _rescale(file, models)
    roots = _with_animation(file, objects, name, motion)
    fbx_nodes.save(roots, path, version=file.version, footer_id=file.footer_id)


@dataclass(frozen=True, eq=False)
class _Model:
    """A node of the scene: its local transform is T Roff Rp before R after^-1 Rp^-1 Soff Sp S Sp^-1."""

    number: int
    name: str
    place: np.ndarray
    angles: np.ndarray
    scale: np.ndarray
    order: int
    before: np.ndarray
    after: np.ndarray
    rotation_offset: np.ndarray
    rotation_pivot: np.ndarray
    inherits: int
    """How the parent's scale is inherited: 0 RrSs, 1 RSrs, 2 Rrs, in the format's letters."""
    jointed: bool
    """Whether it is a bone rather than an object."""
    geometry: np.ndarray
    """(4, 4) of its mesh against itself."""

    def turn(self, angles: np.ndarray | None = None) -> np.ndarray:
        """(..., 3, 3) by some angles (..., 3) in degrees; those at rest if none are given."""
        return self.before @ _euler(self.angles if angles is None else angles, self.order) @ self.after.T

    def matrix(self, place: np.ndarray | None = None, angles: np.ndarray | None = None) -> np.ndarray:
        """(..., 4, 4) for column vectors, at rest, or at some places and angles (..., 3)."""
        turn, pivot = self.turn(angles), self.rotation_pivot
        matrix = np.broadcast_to(np.eye(4), (*turn.shape[:-2], 4, 4)).copy()
        matrix[..., :3, :3] = turn * self.scale
        matrix[..., :3, 3] = (self.place if place is None else place) + self.rotation_offset + pivot - turn @ pivot
        return matrix

    def translations(self, places: np.ndarray, turns: np.ndarray) -> np.ndarray:
        """Values (frames, 3) of Lcl Translation that bring the model to ``places`` while it is turned."""
        return places - self.rotation_offset - self.rotation_pivot + turns @ self.rotation_pivot


def _euler(degrees: np.ndarray, order: int) -> np.ndarray:
    letters = ORDERS[order]
    angles = np.radians(degrees)[..., ["XYZ".index(axis) for axis in letters]]
    return rot.matrix_from_euler(torch.from_numpy(angles.copy()), letters).numpy()


DAMAGED = (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError, np.linalg.LinAlgError)


def _rescale(file: FbxFile, models: list[_Model]) -> None:
    """Put the models' scales into the file where they are read as others than it has.

    Bones of some files have scales that shrink the body to nothing by the format's rules and that no mesh follows.
    """
    scales = {model.number: model.scale for model in models}
    for each in file.find("Objects").children:
        rows = each.find("Properties70") if each.name == "Model" else None
        for row in rows.children if rows is not None else ():
            if row.properties and row.properties[0][1] == b"Lcl Scaling":
                own = scales[int(each.properties[0][1])]
                if not np.array_equal(row.values()[4:7], own):
                    row.properties[4:7] = [double(value) for value in own]


def fbx_rig(file: FbxFile, table: Mapping[str, str] | None = None) -> tuple[Rig, list[_Model]]:
    """The bones of a file, and its models. ``table`` maps our joint names to models where these are not found."""
    try:
        return _rig(file, table)
    except DAMAGED as error:
        raise InputError(f"expected an FBX file by the rules, got one with a wrong entry ({error})") from error


def _tree(file: FbxFile) -> tuple[list[_Model], tuple[int, ...], list[list]]:
    """The models of a file, parents before children, and all connections."""
    objects = file.find("Objects").children
    models = {int(each.properties[0][1]): _model(each) for each in objects if each.name == "Model"}
    if len(models) > MOST_MODELS:
        raise InputError(f"expected at most {MOST_MODELS} models, got {len(models)}")
    links = [link.values() for link in file.find("Connections").all("C")]
    above = {row[1]: row[2] for row in links if row[0] == b"OO" and row[1] in models and row[2] in models}
    below: dict[int, list[int]] = {}
    for child, parent in above.items():
        below.setdefault(parent, []).append(child)
    order, waiting = [], [number for number in models if number not in above][::-1]
    while waiting:
        order.append(waiting.pop())
        waiting += below.get(order[-1], [])[::-1]
    if len(order) != len(models):
        raise ValueError("models that are their own parents")
    slots = {number: slot for slot, number in enumerate(order)}
    parents = tuple(slots[above[number]] if number in above else -1 for number in order)
    return [models[number] for number in order], parents, links


def _rig(file: FbxFile, table: Mapping[str, str] | None) -> tuple[Rig, list[_Model]]:
    bones, parents, links = _tree(file)
    objects = file.find("Objects").children
    names = tuple(bone.name for bone in bones)
    slots = {bone.number: slot for slot, bone in enumerate(bones)}
    nodes = _world(bones, parents)
    found = find_bones(names, parents, nodes[:, :3, 3], table)
    plain = [replace(bone, scale=np.ones(3)) if bone.jointed else bone for bone in bones]
    if not _plausible(nodes, found) and _plausible(_world(plain, parents), found):
        bones, nodes = plain, _world(plain, parents)
    bind = np.full(nodes.shape, np.nan)
    geometries = {int(each.properties[0][1]): each for each in objects if each.name == "Geometry"}
    points = []
    for number, matrix, mesh in _bound(objects, links, geometries):
        if number in slots:
            bind[slots[number]] = matrix
            points += [mesh] if mesh is not None else []
    bound = np.isfinite(bind).all((1, 2))
    skinned = _skinned(objects, links)
    parts: dict[int, np.ndarray] = {}
    for row in links:
        if row[0] == b"OO" and row[1] in geometries and row[2] in slots and row[1] not in skinned:
            box = _geometry_points(geometries[row[1]])
            if box is not None:
                parts[slots[row[2]]] = _moved(bones[slots[row[2]]].geometry, box)
    rig = Rig(
        names=names,
        parents=parents,
        nodes=nodes,
        found=found,
        jointed=np.array([bone.jointed for bone in bones]) | bound,
        bind=bind if bound[list(found.values())].any() else None,
        up=_up_axis(file),
        mesh_points=np.concatenate(points) if points else None,
        part_points=parts,
    )
    return rig, bones


def _world(bones: list[_Model], parents: tuple[int, ...]) -> np.ndarray:
    """World matrices (bones, 4, 4), each inheriting the scale of what is above it in its own way."""
    world = np.stack([bone.matrix() for bone in bones])
    turns = [bone.turn() for bone in bones]
    for slot, parent in enumerate(parents):
        if parent < 0:
            continue
        world[slot] = world[parent] @ world[slot]
        turns[slot] = turns[parent] @ turns[slot]
        above = np.linalg.norm(world[parent, :3, :3], axis=0)
        if bones[slot].inherits == 2:  # the parent's own scale reaches the place alone
            world[slot, :3, :3] = turns[slot] * (above / bones[parent].scale * bones[slot].scale)
        elif bones[slot].inherits == 0:  # it comes after the turn
            world[slot, :3, :3] = turns[slot] * (above * bones[slot].scale)
    return world


def _plausible(nodes: np.ndarray, found: dict[str, int]) -> bool:
    """Whether the hips are less than five legs from the middle of the world."""
    hip, knee, ankle = (nodes[found[f"left_{joint}"], :3, 3] for joint in ("hip", "knee", "ankle"))
    leg = np.linalg.norm(knee - hip) + np.linalg.norm(ankle - knee)
    return bool(np.linalg.norm(hip) < 5 * leg)


def _up_axis(file: FbxFile) -> int | None:
    """The upward axis that the file states, None for none or one that points down."""
    table = _properties(file.find("GlobalSettings"))
    axis, sign = table.get(b"UpAxis", [None])[0], table.get(b"UpAxisSign", [1])[0]
    return axis if axis in (0, 1, 2) and sign == 1 else None


def _properties(item: Node) -> dict:
    """Values of a node's properties by name."""
    rows = (item.find("Properties70") or Node("")).all("P")
    return {row.properties[0][1]: row.values()[4:] or [None] for row in rows if row.properties}


def _model(item: Node) -> _Model:
    number, full = int(item.properties[0][1]), item.properties[1][1]
    table = _properties(item)

    def three(name: bytes, default: float = 0.0) -> np.ndarray:
        values = np.array(table.get(name, [default] * 3), dtype=np.float64)
        if values.shape != (3,) or not np.isfinite(values).all():
            raise ValueError(f"{name.decode()} of {values.shape}")
        return values

    order, inherits = int(table.get(b"RotationOrder", [0])[0]), int(table.get(b"InheritType", [1])[0])
    geometry = np.eye(4)
    geometry[:3, :3] = _euler(three(b"GeometricRotation"), 0) * three(b"GeometricScaling", 1.0)
    geometry[:3, 3] = three(b"GeometricTranslation")
    kind = item.properties[2][1] if len(item.properties) > 2 else b""
    return _Model(
        number=number,
        name=full.split(CLASS_SEPARATOR)[0].decode(errors="replace"),
        place=three(b"Lcl Translation"),
        angles=three(b"Lcl Rotation"),
        scale=three(b"Lcl Scaling", 1.0),
        order=order if 0 <= order < len(ORDERS) else 0,
        before=_euler(three(b"PreRotation"), 0),
        after=_euler(three(b"PostRotation"), 0),
        rotation_offset=three(b"RotationOffset"),
        rotation_pivot=three(b"RotationPivot"),
        inherits=inherits,
        jointed=kind in (b"LimbNode", b"Limb", b"Root"),
        geometry=geometry,
    )


def _bound(
    objects: list[Node], links: list[list], geometries: dict[int, Node]
) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
    """Models, their world matrices (4, 4) as meshes were bound to them, and points of that mesh, by the clusters."""
    clusters = {int(each.properties[0][1]): each for each in objects if each.name == "Deformer"}
    above = {row[1]: row[2] for row in links if row[0] == b"OO" and row[1] in clusters}
    measured: set[int] = set()
    for row in links:
        link = clusters[row[2]].find("TransformLink") if row[2] in clusters else None
        if link is None:
            continue
        matrix, mesh = _matrix(link), None
        geometry = above.get(above.get(row[2]))  # the cluster's skin, and its geometry
        inside = clusters[row[2]].find("Transform")
        if geometry in geometries and geometry not in measured and inside is not None:
            measured.add(geometry)
            box = _geometry_points(geometries[geometry])
            mesh = None if box is None else _moved(matrix @ _matrix(inside), box)
        yield row[1], matrix, mesh


def _skinned(objects: list[Node], links: list[list]) -> set[int]:
    """Geometries that a deformer belongs to."""
    deformers = {int(each.properties[0][1]) for each in objects if each.name == "Deformer"}
    return {row[2] for row in links if row[1] in deformers and row[2] not in deformers}


def _matrix(item: Node) -> np.ndarray:
    """(4, 4) for column vectors; it is stored for row vectors."""
    return _numbers(item).reshape(4, 4).T.astype(np.float64)


def _numbers(item: Node) -> np.ndarray:
    values = item.properties[0][1]
    return values.values() if isinstance(values, PackedArray) else np.asarray(values)


def _geometry_points(geometry: Node) -> np.ndarray | None:
    """Points (points, 3) of a mesh."""
    vertices = geometry.find("Vertices")
    if vertices is None or not vertices.properties:
        return None
    points = _numbers(vertices).reshape(-1, 3)
    points = points[np.isfinite(points).all(1)]
    return points if len(points) else None


def _moved(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def _highest_id(file: FbxFile) -> int:
    numbers = [each.properties[0][1] for each in file.find("Objects").children if each.properties]
    numbers += [each.properties[0][1] for each in file.find("Documents").all("Document") if each.properties]
    highest = max((number for number in numbers if isinstance(number, int)), default=0)
    return max(highest, 1_000_000) if highest < 2**62 else 1_000_000


def _with_animation(file: FbxFile, objects: Objects, name: str, motion: Motion) -> list[Node]:
    """The file's nodes with its animations taken out and the new ones put in."""
    gone = {
        each.properties[0][1]
        for each in file.find("Objects").children
        if each.name in ANIMATION_KINDS and each.properties
    }
    stop = int(key_times(motion.frames, motion.fps)[-1])
    roots = []
    for root in file.roots:
        children = root.children
        if root.name == "Objects":
            children = [each for each in children if each.name not in ANIMATION_KINDS] + objects.nodes
        elif root.name == "Connections":
            children = [each for each in children if not gone & set(each.values()[1:3])] + objects.connections
        elif root.name == "Definitions":
            children = _counted(children, objects.nodes)
        elif root.name == "GlobalSettings":
            children = [_at_rate(each, motion.fps, stop) for each in children]
        elif root.name == "Takes":
            span = (long(0), long(stop))
            entry = [node("FileName", text("dance.tak")), node("LocalTime", *span), node("ReferenceTime", *span)]
            children = [node("Current", text(name)), node("Take", text(name), children=entry)]
        roots.append(Node(root.name, root.properties, children))
    return roots


def _counted(children: list[Node], added: list[Node]) -> list[Node]:
    """The definitions with the numbers of animation objects as they are now."""
    kept = [each for each in children if each.name != "ObjectType" or _kind(each) not in ANIMATION_KINDS]
    templates = {_kind(each): each for each in children if each.name == "ObjectType"}
    for kind in ANIMATION_KINDS:
        count = sum(each.name == kind for each in added)
        rest = [each for each in (templates[kind].children if kind in templates else []) if each.name != "Count"]
        kept.append(node("ObjectType", text(kind), children=[node("Count", integer(count)), *rest]))
    return kept


def _kind(item: Node) -> str:
    value = item.properties[0][1] if item.properties else b""
    return value.decode(errors="replace") if isinstance(value, bytes) else ""


def _at_rate(item: Node, fps: float, stop: int) -> Node:
    if item.name != "Properties70":
        return item
    changed = {b"TimeMode", b"TimeSpanStart", b"TimeSpanStop", b"CustomFrameRate"}
    rows = [row for row in item.children if not row.properties or row.properties[0][1] not in changed]
    rows += [
        property_row("TimeMode", "enum", "", "", integer(time_mode(fps))),
        property_row("TimeSpanStart", "KTime", "Time", "", long(0)),
        property_row("TimeSpanStop", "KTime", "Time", "", long(stop)),
        property_row("CustomFrameRate", "double", "Number", "", double(fps)),
    ]
    return Node(item.name, item.properties, rows)
