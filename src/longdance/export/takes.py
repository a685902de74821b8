"""What every animation format is written from: joint tracks with their options applied, and a skinned body.

What belongs here: options, the tree of joints to write, the mannequin with texture coordinates. What does not:
file formats.
"""

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from longdance.errors import InputError
from longdance.export.cuts import stretch_of, without_silence
from longdance.export.figure import mannequin
from longdance.export.hands import JOINTS, SIDES, before, offset_of
from longdance.export.loops import in_place, looped
from longdance.export.naming import GROUND_BONE, joint_names
from longdance.export.roblox import on_parts
from longdance.export.scene import PALETTE
from longdance.motion.bvh import end_sites
from longdance.motion.motion import Motion
from longdance.motion.skeleton import SMPL24

Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""Turns our axes (y up) into z up with x kept, as in Blender, Unreal's importers, 3ds Max and AMASS."""


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """How a dance is written; what a format cannot do is refused by that format with ``InputError``.

    ``naming`` of the joints is one of ``NAMINGS``, or "roblox", which leaves some out; ``up`` is "y" or "z" (None: the
    format's own); ``fps`` hertz (None: the dance's own). ``start`` and ``seconds`` (None: to the end) cut a part out,
    ``trim_silence`` takes silence off both ends, as ``cuts`` has it. ``in_place`` takes the travel out. ``root_bone``
    adds a bone on the floor that carries the travel, as game engines want for root motion. ``loop`` makes the end run
    into the beginning. ``mesh`` adds the mannequin where the format can hold one, ``hands`` bends fingers by rule where
    there are some. ``quality`` of a film is one of ``video.QUALITIES``. ``unit`` is "m" or "cm" (None: the format's
    own). ``wav`` puts the stretch of the song beside the file. ``rig`` is the file of a character that is to dance
    instead of ours, ``bones`` our joint names to its bones where these are not found by themselves. ``dancers`` from 2
    make a group of it, see ``groups.group_of`` for ``canon`` (beats), ``mirror_pairs`` and ``formation``.
    """

    naming: str = "smpl"
    up: str | None = None
    fps: float | None = None
    start: float = 0.0
    seconds: float | None = None
    trim_silence: bool = False
    in_place: bool = False
    root_bone: bool = False
    loop: bool = False
    mesh: bool = True
    hands: bool = True
    dancers: int = 1
    canon: float = 0.0
    mirror_pairs: bool = False
    formation: str = "line"
    quality: str = "preview"
    unit: str | None = None
    wav: bool = False
    rig: str | os.PathLike | None = None
    bones: Mapping[str, str] | None = None


def prepared(motion: Motion, options: ExportOptions, *, song_path: str | os.PathLike | None = None) -> Motion:
    """The dance cut, at the frame rate asked for, looped and in place where asked for. ``InputError`` if it cannot be.

    ``song_path`` is where silence is heard.
    """
    if not motion.frames:
        raise InputError("expected a dance with at least one frame, got none")
    motion = stretch_of(motion, start=options.start, seconds=options.seconds)
    if options.trim_silence:
        motion = without_silence(motion, song_path)
    if options.fps is not None:
        if not 1 <= options.fps <= 1000:
            raise InputError(f"expected a frame rate from 1 to 1000, got {options.fps:g}")
        motion = motion.resample(float(options.fps))
    if options.loop:
        motion = looped(motion)
    return in_place(motion) if options.in_place else motion


def require_smpl(motion: Motion) -> None:
    """``InputError`` for a skeleton without SMPL's joint names."""
    names = motion.skeleton.names
    if names != SMPL24.names[: len(names)] or len(names) < 22:
        raise InputError(f"expected a dance on SMPL's 22 or 24 joints, got {', '.join(names[:4])}, ...")


@dataclass(frozen=True, eq=False)
class Take:
    """Tracks of a tree of joints, ready to write.

    ``offsets`` (joints, 3) metres are the rest pose, in which every local frame is parallel to the world's and the
    first joint's place is in the world. ``rotations`` (frames, joints, 3, 3) are relative to the parent;
    ``translations`` maps the joints that move in their parent's frame to (frames, 3) metres, which then stand for
    their offset. ``smpl_joints`` (joints,) are the indices among our joints, -1 for added bones; ``ends`` says for
    joints without a child where their bone ends.
    """

    name: str
    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: np.ndarray
    rotations: np.ndarray
    translations: dict[int, np.ndarray]
    fps: float
    smpl_joints: tuple[int, ...]
    ends: dict[int, np.ndarray]
    meta: dict

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.rotations)

    def numbered(self, number: int) -> "Take":
        """The same with a number behind every joint's name, for files in which it is one of several."""
        return replace(self, names=tuple(f"{name}_{number}" for name in self.names))

    @property
    def rest_positions(self) -> np.ndarray:
        """(joints, 3) metres in the world of the rest pose."""
        places = self.offsets.copy()
        for joint, parent in enumerate(self.parents):
            if parent >= 0:
                places[joint] += places[parent]
        return places


def as_take(motion: Motion, options: ExportOptions, *, name: str = "dance", up: str = "y") -> Take:
    """The tracks of a dance whose options were applied by ``prepared``; ``up`` is the file's upward axis.

    ``InputError`` for a skeleton without SMPL's joint names.
    """
    require_smpl(motion)
    skeleton = motion.skeleton
    if options.naming == "roblox":
        if options.root_bone:
            raise InputError("expected no bone on the floor beside R15's own root; leave out --root-bone")
        names, parents, offsets, rotations, translations, joints = on_parts(motion)
        own = {joint: end for joint, end in end_sites(skeleton).items() if joint in joints}
        own |= {above: skeleton.offsets[joint] for joint, above in enumerate(skeleton.parents) if joint not in joints}
        ends = {part: own[joint] for part, joint in enumerate(joints) if part not in parents}
    else:
        offsets = skeleton.offsets.copy()
        offsets[0] = (0.0, skeleton.rest_root_height, 0.0)
        names, parents = joint_names(skeleton.names, options.naming), skeleton.parents
        rotations, translations = motion.rotations, {0: motion.root_position}
        joints, ends = tuple(range(len(skeleton))), end_sites(skeleton)
    if options.root_bone:
        ground = motion.root_position * [1.0, 0.0, 1.0]
        offsets = np.concatenate((np.zeros((1, 3)), offsets))
        names, parents = (GROUND_BONE, *names), (-1, *(parent + 1 for parent in parents))
        still = np.broadcast_to(np.eye(3), (motion.frames, 1, 3, 3))
        rotations = np.concatenate((still, rotations), 1)
        translations = {0: ground, 1: motion.root_position - ground}
        joints, ends = (-1, *joints), {joint + 1: end for joint, end in ends.items()}
    if up not in ("y", "z"):
        raise InputError(f"expected up to be y or z, got {up!r}")
    if up == "z":
        offsets = offsets @ Z_UP.T
        rotations = Z_UP @ rotations @ Z_UP.T
        translations = {joint: track @ Z_UP.T for joint, track in translations.items()}
        ends = {joint: Z_UP @ end for joint, end in ends.items()}
    return Take(name, names, parents, offsets, rotations, translations, motion.fps, joints, ends, motion.meta)


def with_fingers(take: Take, fingers: Mapping[str, np.ndarray]) -> Take:
    """The take with finger joints, from ``hands``, behind its others; where it has a joint at the knuckles, that is the
    middle finger's first. For takes with y up whose joints are called as ours are or otherwise."""
    slots = {SMPL24.names[joint]: slot for slot, joint in enumerate(take.smpl_joints) if joint >= 0}
    slots |= {f"{side}_middle1": slots[f"{side}_hand"] for side in SIDES if f"{side}_hand" in slots}
    names, parents, offsets, rotations = list(take.names), list(take.parents), [*take.offsets], take.rotations.copy()
    added = []
    for joint in JOINTS:
        if joint in slots:
            rotations[:, slots[joint]] = fingers[joint]
            continue
        slots[joint] = len(names)
        names.append(joint)
        parents.append(slots[before(joint)])
        offsets.append(offset_of(joint))
        added.append(fingers[joint])
    return replace(
        take,
        names=tuple(names),
        parents=tuple(parents),
        offsets=np.array(offsets),
        rotations=np.concatenate((rotations, np.stack(added, 1)), 1),
        smpl_joints=(*take.smpl_joints, *[-1] * len(added)),
    )


@dataclass(frozen=True, eq=False)
class Body:
    """A skinned mesh in the rest pose of a ``Take``: metres, counter-clockwise triangles.

    ``uvs`` (vertices, 2) with v downwards from the picture's top; ``bones`` (vertices, 4) index the take's joints,
    ``weights`` (vertices, 4) add up to one; ``colours`` (vertices, 3) sRGB, 0 to 1; ``texture`` is a PNG.
    """

    vertices: np.ndarray
    normals: np.ndarray
    uvs: np.ndarray
    faces: np.ndarray
    bones: np.ndarray
    weights: np.ndarray
    colours: np.ndarray
    texture: bytes


SEAM_REACH = 0.08
"""Metres from a border between two colours that the texture's edge stands for."""


def body(motion: Motion, take: Take, *, up: str = "y") -> Body:
    """The mannequin for a dance's skeleton, bound to a take's joints.

    Its texture coordinates are the distances to the borders of suit and accents, so that one small picture paints
    borders finer than the mesh.
    """
    figure = mannequin(motion.skeleton)
    turn = Z_UP if up == "z" else np.eye(3)
    held = {joint: slot for slot, joint in enumerate(take.smpl_joints)}
    slots = np.zeros(len(motion.skeleton), dtype=np.int64)
    for joint, parent in enumerate(motion.skeleton.parents):  # what was left out goes with what it hangs on
        slots[joint] = held.get(joint, slots[parent])
    bones, weights = _merged(slots[figure.bones], figure.weights)
    palette = np.array([PALETTE[name] for name in ("skin", "suit", "accent")])
    return Body(
        vertices=figure.vertices @ turn.T,
        normals=figure.normals @ turn.T,
        uvs=np.clip(0.5 + figure.seams / (2 * SEAM_REACH), 0.0, 1.0),
        faces=figure.faces,
        bones=bones,
        weights=weights,
        colours=palette[figure.colour_groups],
        texture=_texture(),
    )


def _merged(bones: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Influences (vertices, 4) of which none names a bone twice: weights go to the first of the same bone."""
    weights = weights.copy()
    for later in range(1, bones.shape[1]):
        for first in range(later):
            same = bones[:, first] == bones[:, later]
            weights[same, first] += weights[same, later]
            weights[same, later] = 0.0
    return bones, weights


def _texture(size: int = 256) -> bytes:
    """The PNG in which u runs into the suit and v into the accents, borders in the middle."""
    distance = ((np.arange(size) + 0.5) / size - 0.5) * size  # in pixels
    share = np.clip(distance + 0.5, 0.0, 1.0)
    skin, suit, accent = (np.array(PALETTE[name]) for name in ("skin", "suit", "accent"))
    below = skin + share[None, :, None] * (suit - skin)
    colours = below + share[:, None, None] * (accent - below)
    file = io.BytesIO()
    Image.fromarray(np.round(255 * colours).astype(np.uint8)).save(file, "PNG", optimize=True)
    return file.getvalue()


def common_takes(takes: list[Take]) -> list[Take]:
    """The takes with a name of their own each; ``InputError`` if they are not on one skeleton."""
    first, seen, found = takes[0], set(), []
    for take in takes:
        if take.names != first.names or not np.allclose(take.offsets, first.offsets, atol=1e-5):
            raise InputError(
                f"expected takes on one skeleton, got another one in {take.name}; write files of their own"
            )
        name, number = take.name, 1
        while name in seen:
            number += 1
            name = f"{take.name}-{number}"
        seen.add(name)
        found.append(replace(take, name=name))
    return found
