"""The body of somebody's character at rest: where its bones are when nobody has posed it, and how it stands.

A file holds its bones twice. The mesh is bound to them in one pose, the bind pose, and the file's nodes have whatever
pose it was saved in. Limbs are told from the bind pose; what lies above the pelvis is not animated and stays as the
nodes have it.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from longdance.errors import InputError
from longdance.motion.directions import CUBE_ROTATIONS, turn_about, turn_angle, turn_between, unit
from longdance.motion.filters import nearest_rotation
from longdance.motion.joint_names import REQUIRED
from longdance.motion.skeleton import BALL_HEIGHT, Skeleton

ANKLE_HEIGHTS = (0.01, 0.25)
"""Metres, for legs of our length, between which the height of an ankle over a floor is believed."""
NEAR_FLOOR, NEAR_FLOOR_POSED = 0.35, 0.8
"""Of a leg's length: how far from the floor of the world a character may stand, or be posed, that is meant for it."""
FOOT_LENGTH, FOOT_WIDTH = 0.14, 0.15
"""Metres, for legs of our length: from the ankle to the ball, or the ball to the tip, where a rig does not say; and
to either side of the ankle, where points of a mesh are taken for the foot's."""
LIMB_JOINTS = ("collar", "shoulder", "elbow", "wrist", "hip", "knee", "ankle", "foot")


@dataclass(frozen=True, eq=False, kw_only=True)
class Rig:
    """A character's bones, in the file's units and axes, for column vectors; ``parents`` (-1 for roots) come first.

    ``nodes`` (bones, 4, 4) carry points of a bone's own space into the world as the file was saved. ``bind``
    (bones, 4, 4) carry them to where the mesh was bound, in a space of its own, NaN for bones that no mesh is bound to;
    None for a file without such a mesh. ``found`` maps our
    joint names to bones. ``jointed`` (bones,) are bones, the others objects that were placed in a scene. ``up`` is the
    file's upward axis, 0 to 2, if it states one.
    ``mesh_points`` (points, 3) are those of the bound mesh in that space; ``part_points`` maps bones to points in their
    own space of what hangs on them rigidly. ``floor`` is the height of the floor to dance on, None for the
    one that the character stands on.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    nodes: np.ndarray
    found: dict[str, int]
    jointed: np.ndarray
    bind: np.ndarray | None = None
    up: int | None = None
    mesh_points: np.ndarray | None = None
    part_points: dict[int, np.ndarray] | None = None
    floor: float | None = None


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A rig upright, facing +z, left on +x, with legs as long as ours.

    ``places`` (bones, 3) and world ``rotations`` (bones, 3, 3) at rest; ``turn`` (3, 3) leads back to the directions of
    the file's world, ``size`` is how many times larger the rig is here than in the file. ``stage`` is the height of the
    floor in the file's world, in its units, along its upward axis. ``own_turns`` (bones, 3, 3) are rotations relative
    to the parent of bones that do not dance: as saved, or as bound for those ``between`` others that do. ``soles`` are
    points (points, 3) of the left and right foot, without toes that have a joint of their own, against the ankle in our
    rest pose; ``ball_heights`` are those over the floor, left and right, and ``toes`` how far toes reach ahead of them.
    """

    places: np.ndarray
    rotations: np.ndarray
    turn: np.ndarray
    size: float
    stage: float
    pelvis: int
    spine: tuple[int, ...]
    neck: tuple[int, ...]
    own_turns: np.ndarray
    between: list[int]
    soles: tuple[np.ndarray, np.ndarray]
    ball_heights: tuple[float, float]
    toes: tuple[float, float]


def upwards(parents: tuple[int, ...], bone: int) -> list[int]:
    """The bone, its parent, and so on to the root."""
    chain = [bone]
    while parents[chain[-1]] >= 0:
        chain.append(parents[chain[-1]])
    return chain


def inverse(matrices: np.ndarray) -> np.ndarray:
    """Inverses of (..., 4, 4), NaN of what is not finite.

    The pseudo-inverse of bones that are scaled to nothing, by which files hide parts.
    """
    known = np.isfinite(matrices).all((-2, -1), keepdims=True)
    finite = np.where(known, matrices, np.eye(4))  # LAPACK may never come back from NaN
    try:
        inverses = np.linalg.inv(finite)
    except np.linalg.LinAlgError:
        inverses = np.linalg.pinv(finite)
    return np.where(known, inverses, np.nan)


def _common(parents: tuple[int, ...], bones: list[int], names: tuple[str, ...]) -> int:
    """The last bone above all of some; ``InputError`` if there is none."""
    chains = [upwards(parents, bone) for bone in bones]
    for bone in chains[0]:
        if all(bone in chain for chain in chains):
            return bone
    shown = ", ".join(names[bone] for bone in bones)
    raise InputError(f"expected bones of one tree, got {shown}, which have no common parent")


def anatomy(rig: Rig, skeleton: Skeleton) -> Anatomy:
    """The rig at rest. ``InputError`` for bones that coincide, or limbs that do not hang on the pelvis."""
    if not np.isfinite(rig.nodes).all():
        raise InputError("expected finite places of bones in the rig, got others")
    found = rig.found
    chest = _common(rig.parents, [found["left_shoulder"], found["right_shoulder"]], rig.names)
    pelvis = _common(rig.parents, [found["left_hip"], found["right_hip"], chest], rig.names)
    to_chest = upwards(rig.parents, chest)
    spine = tuple(reversed(to_chest[: to_chest.index(pelvis)]))
    to_head = upwards(rig.parents, found.get("head", found.get("neck", chest)))
    neck = tuple(reversed(to_head[: to_head.index(chest)])) if chest in to_head else (to_head[0],)
    limbs = [
        found[f"{side}_{joint}"] for side in ("left", "right") for joint in LIMB_JOINTS if f"{side}_{joint}" in found
    ]
    for name in REQUIRED:
        if pelvis not in upwards(rig.parents, found[name]):
            raise InputError(
                f"expected legs and arms that hang on {rig.names[pelvis]!r}, got {rig.names[found[name]]!r} beside it; "
                "try a skeleton whose bones follow one another from the hips"
            )
    own_turns = _turns_in_parents(rig, rig.nodes)
    bind = _whole_bind(rig, pelvis)
    danced = {pelvis, *spine, *neck, *limbs}
    between = _between(rig, pelvis, danced)
    own_turns[between] = _turns_in_parents(rig, bind)[between]
    rotations, places = _posed_at_rest(rig, bind, own_turns, pelvis, danced)

    at = {name: places[bone] for name, bone in found.items()}
    _refuse_small(at, places)
    upright = (at["left_shoulder"] + at["right_shoulder"] - at["left_ankle"] - at["right_ankle"]) / 2
    axis = int(np.abs(upright).argmax())
    up = np.sign(upright[axis]) * np.eye(3)[axis]
    across = at["left_hip"] - at["right_hip"]
    left = unit(across - up * (across @ up))
    turn = np.stack((left, up, np.cross(left, up)))
    leg = _leg(at)
    bound_leg = _leg({name: bind[bone, :3, 3] for name, bone in found.items()}) if rig.bind is not None else leg
    if not 1e-9 < bound_leg < 1e9 or not np.isfinite(bind).all():
        raise InputError("expected a mesh bound to legs of some length, got one bound to nothing or beyond measure")
    scale = leg / bound_leg
    size = skeleton.leg_length / leg
    # The pelvis is where it was bound, so that heights are those over the zero of the bind pose.
    places = places + scale * bind[pelvis, :3, 3]
    ours = places @ turn.T * size
    points = _points(rig, rotations, places, scale)
    points = np.zeros((0, 3)) if points is None else points @ turn.T * size
    ankles = float(np.mean([ours[found[f"{side}_ankle"], 1] for side in ("left", "right")]))
    floor = _floor(found, ours, points, ankles)
    stand = _Stand.of(rig, bind, pelvis, up, leg)
    stage = stand.floor(rig, floor / size, up, ankles / size) if rig.floor is None else rig.floor
    feet = [_foot(found, side, ours, points, floor) for side in ("left", "right")]
    return Anatomy(
        places=ours,
        rotations=turn @ rotations,
        turn=stand.turn @ turn.T,
        size=size,
        stage=stage,
        pelvis=pelvis,
        spine=spine,
        neck=neck,
        own_turns=own_turns,
        between=between,
        soles=(feet[0][0], feet[1][0]),
        ball_heights=(feet[0][1], feet[1][1]),
        toes=(feet[0][2], feet[1][2]),
    )


def _leg(at: dict[str, np.ndarray]) -> float:
    """Length of a leg, on average."""
    pairs = [(f"{s}_{a}", f"{s}_{b}") for s in ("left", "right") for a, b in (("hip", "knee"), ("knee", "ankle"))]
    return float(sum(np.linalg.norm(at[b] - at[a]) for a, b in pairs)) / 2


def _refuse_small(at: dict[str, np.ndarray], places: np.ndarray) -> None:
    parts = [at["left_hip"] - at["right_hip"]]
    for side in ("left", "right"):
        chain = [f"{side}_{joint}" for joint in ("hip", "knee", "ankle")]
        parts += [at[b] - at[a] for a, b in pairwise(chain)]
        parts.append(at[f"{side}_elbow"] - at[f"{side}_shoulder"])
    parts.append(at["left_shoulder"] + at["right_shoulder"] - at["left_ankle"] - at["right_ankle"])
    if min(np.linalg.norm(part) for part in parts) < 1e-6 * max(1e-6, np.abs(places).max()):
        raise InputError("expected a rig with hips, legs and arms of some size, got bones at the same place")


def _between(rig: Rig, pelvis: int, danced: set[int]) -> list[int]:
    """Bones between those that dance that a mesh is bound to."""
    above = {bone for limb in danced for bone in upwards(rig.parents, limb)} - danced
    above -= set(upwards(rig.parents, pelvis))
    bound = np.zeros(len(rig.names), bool) if rig.bind is None else np.isfinite(rig.bind).all((1, 2))
    return sorted(bone for bone in above if bound[bone])


def _turns_in_parents(rig: Rig, matrices: np.ndarray) -> np.ndarray:
    """(bones, 3, 3) rotations relative to the parent of bones that are at (bones, 4, 4)."""
    turns = nearest_rotation(matrices[:, :3, :3])
    above = np.stack([turns[parent] if parent >= 0 else np.eye(3) for parent in rig.parents])
    return np.swapaxes(above, -1, -2) @ turns


def _whole_bind(rig: Rig, pelvis: int) -> np.ndarray:
    """(bones, 4, 4) the bind pose; the nodes' own where there is none or it says nothing."""
    if rig.bind is None:
        return rig.nodes
    bind = rig.bind.copy()
    known = np.isfinite(bind).all((1, 2))
    if not known[pelvis]:  # some skins leave the hips out: as it is against what hangs on it
        for bone, parent in enumerate(rig.parents):
            if parent == pelvis and known[bone]:
                bind[pelvis] = bind[bone] @ inverse(rig.nodes[bone]) @ rig.nodes[pelvis]
                break
    for bone, parent in enumerate(rig.parents):
        if not np.isfinite(bind[bone]).all():
            moved = parent >= 0 and np.isfinite(bind[parent]).all()
            bind[bone] = bind[parent] @ inverse(rig.nodes[parent]) @ rig.nodes[bone] if moved else rig.nodes[bone]
    return bind


def _posed_at_rest(
    rig: Rig, bind: np.ndarray, own_turns: np.ndarray, pelvis: int, animated: set[int]
) -> tuple[np.ndarray, np.ndarray]:
    """World rotations (bones, 3, 3) and places (bones, 3) from the pelvis, of the body in its bind pose.

    Bones that are animated are turned as they were bound; all others stay against their parents as saved, and every
    bone is as far from its parent as it was saved.
    """
    rotations = nearest_rotation(bind[:, :3, :3])
    places = np.zeros((len(rotations), 3))
    below = {pelvis}
    for bone, parent in enumerate(rig.parents):
        if parent not in below:
            continue
        below.add(bone)
        if bone not in animated:
            rotations[bone] = rotations[parent] @ own_turns[bone]
        step = inverse(rig.nodes[parent])[:3] @ np.append(rig.nodes[bone, :3, 3], 1.0)
        scale = np.linalg.norm(rig.nodes[parent, :3, :3], axis=0)
        places[bone] = places[parent] + rotations[parent] @ (scale * step)
    return rotations, places


def _points(rig: Rig, rotations: np.ndarray, places: np.ndarray, scale: float) -> np.ndarray | None:
    """(points, 3) of the character at rest."""
    parts = [] if rig.mesh_points is None else [rig.mesh_points * scale]
    for bone, points in (rig.part_points or {}).items():
        if places[bone].any():  # below the pelvis
            stretch = np.linalg.norm(rig.nodes[bone, :3, :3], axis=0)
            parts.append(places[bone] + (points * stretch) @ rotations[bone].T)
    return np.concatenate(parts) if parts else None


def _floor(found: dict[str, int], places: np.ndarray, points: np.ndarray, ankle: float) -> float:
    """Height at which the rig stands: under its mesh, at zero, or a little below its toes or ankles."""
    guesses = [float(points[:, 1].min()), 0.0] if len(points) else [0.0]
    toes = [places[found[name], 1] for name in ("left_foot", "right_foot") if name in found]
    if toes:
        guesses.append(float(np.mean(toes)) - BALL_HEIGHT)
    for guess in guesses:
        if ANKLE_HEIGHTS[0] <= ankle - guess <= ANKLE_HEIGHTS[1]:
            return guess
    return ankle - 0.08


def foot_heading(found: dict[str, int], side: str, places: np.ndarray) -> np.ndarray:
    """The rotation (3, 3) about the vertical that leads a foot at rest to where ours points."""
    if f"{side}_foot" in found:
        ahead = places[found[f"{side}_foot"]] - places[found[f"{side}_ankle"]]
        if np.hypot(ahead[0], ahead[2]) > 0.02:
            return turn_about(np.array([[0.0, 1.0, 0.0]]), np.array([-np.arctan2(ahead[0], ahead[2])]))[0]
    return np.eye(3)


def _foot(
    found: dict[str, int], side: str, places: np.ndarray, points: np.ndarray, floor: float
) -> tuple[np.ndarray, float, float]:
    """The sole, the height of the ball and the length of the toes, as in ``Anatomy``; of what is known of the mesh."""
    ankle, heading = places[found[f"{side}_ankle"]], foot_heading(found, side, places)
    ball = found.get(f"{side}_foot")
    ahead = (heading @ (places[ball] - ankle))[2] if ball is not None else FOOT_LENGTH
    near = (points - ankle) @ heading.T
    middle = (places[found["left_ankle"]] + places[found["right_ankle"]])[0] / 2
    near = near[(points[:, 0] > middle) == (ankle[0] > middle)]
    near = near[(np.abs(near[:, 0]) < FOOT_WIDTH) & (near[:, 1] < 0) & (near[:, 1] > floor - ankle[1] - 0.01)]
    near = near[(near[:, 2] > -ahead - FOOT_WIDTH) & (near[:, 2] < ahead + FOOT_LENGTH)]
    under = np.array([[0.0, floor - ankle[1], 0.0], [0.0, floor - ankle[1], ahead]])
    if ball is None:
        return np.concatenate((_outermost(near), under)), 0.0, FOOT_LENGTH
    heel = near[near[:, 2] < ahead]
    toes = near[:, 2].max(initial=0.0) - ahead
    sole = np.concatenate((_outermost(heel), under[1:] if len(heel) else under))
    return sole, float(places[ball][1] - floor), float(toes) if toes > 0.02 else FOOT_LENGTH / 2


def _outermost(points: np.ndarray) -> np.ndarray:
    """Those of points (points, 3) that can be the lowest when the body is turned, about one in every direction."""
    if len(points) < 50:
        return points
    angles, heights = np.meshgrid(np.linspace(0, 2 * np.pi, 16, endpoint=False), np.linspace(-0.95, 0.3, 6))
    level = np.sqrt(1 - heights**2)
    ways = np.stack((level * np.cos(angles), heights, level * np.sin(angles)), -1).reshape(-1, 3)
    return points[np.unique((points @ ways.T).argmax(0))]


@dataclass(frozen=True, eq=False)
class _Stand:
    """How the space of the bind pose stands in the file's world.

    ``turn`` (3, 3) leads from it into the world, upright along ``up`` (3,). ``moved`` (4, 4) does so exactly where
    pelvis and ankles are as they were bound, else it is None. ``origin`` is the height of the object that the bones
    are in, ``leg`` the length of a leg in the world.
    """

    turn: np.ndarray
    up: np.ndarray
    moved: np.ndarray | None
    origin: float
    leg: float

    @classmethod
    def of(cls, rig: Rig, bind: np.ndarray, pelvis: int, up: np.ndarray, leg: float) -> "_Stand":
        """Bones are posed and their turn is snapped to axes; objects are placed and keep their heading."""
        if rig.bind is None:
            return cls(np.eye(3), up, np.eye(4), 0.0, leg)
        bones = [rig.found[name] for name in ("left_ankle", "right_ankle")]
        moves = rig.nodes[[pelvis, *bones]] @ inverse(bind[[pelvis, *bones]])
        apart = np.abs(moves[1:] @ bind[bones] - moves[:1] @ bind[bones])[:, :3, 3].max()
        unposed = bool(apart < 1e-3 * leg)
        fit = nearest_rotation(moves[0][:3, :3]) if unposed else _turned(rig, bind, pelvis)
        world_up = fit @ up
        axis = int(np.abs(world_up).argmax()) if unposed or rig.up is None else rig.up
        world_up = (np.sign(world_up[axis]) if unposed or rig.up is None else 1.0) * np.eye(3)[axis]
        objects = [bone for bone in upwards(rig.parents, pelvis)[1:] if not rig.jointed[bone]]
        placed = rig.nodes[objects[0]] if objects else np.eye(4)
        choices = nearest_rotation(placed[:3, :3]) @ CUBE_ROTATIONS
        choices = choices[choices @ up @ world_up > np.cos(np.radians(2))]
        if not len(choices):
            choices = CUBE_ROTATIONS[CUBE_ROTATIONS @ up @ world_up > 0.5]
        turn = choices[turn_angle(choices, fit).argmin()]
        turn = turn_between(turn @ up, world_up) @ turn
        upright = unposed and turn_angle(turn, fit) < np.radians(1)
        return cls(turn, world_up, moves[0] if upright else None, float(placed[:3, 3] @ world_up), leg)

    def floor(self, rig: Rig, floor: float, up: np.ndarray, ankle: float) -> float:
        """Height in the world of the floor that the rig stands on; ``floor`` and ``ankle`` are those when bound.

        The world's, or that of the object that the bones are in, unless the feet are far from it.
        """
        if self.moved is None:
            feet = [rig.nodes[rig.found[f"{side}_ankle"], :3, 3] @ self.up for side in ("left", "right")]
            about, near = float(min(feet)) - (ankle - floor), NEAR_FLOOR_POSED * self.leg
        else:
            scale = max(np.cbrt(abs(np.linalg.det(self.moved[:3, :3]))), 1e-12)
            about = float((self.moved[:3, :3] @ (floor * up / scale) + self.moved[:3, 3]) @ self.up)
            near = NEAR_FLOOR * self.leg
        return next((guess for guess in (self.origin, 0.0) if abs(guess - about) < near), about)


def _turned(rig: Rig, bind: np.ndarray, pelvis: int) -> np.ndarray:
    """The rotation (3, 3) from the space of the bind pose to the world, of the bone that limbs say least about."""
    bones = [bone for bone in upwards(rig.parents, pelvis) if np.isfinite(rig.bind[bone]).all()] or [pelvis]
    return nearest_rotation(rig.nodes[bones[-1], :3, :3]) @ nearest_rotation(bind[bones[-1], :3, :3]).T
