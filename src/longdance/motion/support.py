"""What of a moving body stands on the floor or lies on it, where that floor is, and feet and hands put there.

Works on landmarks (``longdance.motion.landmarks``) scaled to our skeleton's size: metres, y up, any floor.
"""

import numpy as np
from scipy import ndimage

from longdance.motion.contacts import HEEL_LIMIT, REST_HEIGHTS, speeds
from longdance.motion.directions import align, apply, calibrated, frame, smooth_track, unit
from longdance.motion.filters import low_pass, smoothstep
from longdance.motion.landmarks import FLAT, Landmarks
from longdance.motion.motion import Motion
from longdance.motion.skeleton import BALL_HEIGHT, Skeleton

SIDES = ("left", "right")
CLEARANCE = {name.removeprefix("left_"): height for name, height in REST_HEIGHTS.items() if "right" not in name} | {
    "neck": 0.07, "shoulder": 0.07, "hip": 0.09, "ankle": HEEL_LIMIT,
    "chest": REST_HEIGHTS["spine3"], "spine_base": REST_HEIGHTS["pelvis"],
}  # fmt: skip
"""Metres at least between a landmark and the floor that its part of the body lies on, however feet lie."""
UPRIGHT_SHIN = 0.3
"""Cosine between a shin and the vertical from which on the foot under it may stand."""
STOOD = 0.2
"""Seconds a foot has to stand to tell how high and how level it stands; or half of a shorter clip."""
UNTOLD = 0.5
"""Share of that time for which what is known besides counts."""
SUNK = 0.1
"""Metres that a body may go below the floor its feet stand on, for a short time: capture errors."""


class Feet:
    """Both feet of scaled landmarks: when they stand, and how high their joints are then.

    ``upright`` (frames, 2) is where the left and right shin does not lie. ``standing`` (frames, 2) is how likely a foot
    stands flat: near the lowest still height of both feet, slow, under an upright shin, and not pointed. ``stands``
    (2,) is whether each does at all, ``treads`` whether any ball of a foot, or ankle, ever carries the body.
    """

    def __init__(self, points: dict[str, np.ndarray], fps: float):
        self.fps = fps
        self.ankles = np.stack([points[f"{side}_ankle"] for side in SIDES], 1)
        known = all(f"{side}_foot" in points for side in SIDES)
        self.balls = np.stack([points[f"{side}_foot"] for side in SIDES], 1) if known else None
        shins = unit(self.ankles - np.stack([points[f"{side}_knee"] for side in SIDES], 1))
        self.upright = -shins[..., 1] > UPRIGHT_SHIN
        flat = self.upright
        if self.balls is not None:
            pitch = np.degrees(_pitch(self.balls - self.ankles))
            flat = flat & (FLAT[0] < pitch) & (pitch < FLAT[1])
        self.ankle_floors = _floors(self.ankles, fps, self.upright)
        self.standing = flat * _near(self.ankles, self.ankle_floors, fps)
        treading, self.ball_floors = self.standing, np.zeros(2)
        if self.balls is not None:
            self.ball_floors = _floors(self.balls, fps, self.upright)
            near = _near(self.balls, self.ball_floors, fps)
            self.standing, treading = self.standing * near, self.upright * near
        self.enough = min(STOOD * fps, len(self.ankles) / 2)
        self.stands = self.standing.sum(0) >= self.enough
        self.treads = bool((treading.sum(0) >= self.enough).any())


def _pitch(along: np.ndarray) -> np.ndarray:
    """Radians (...) by which directions (..., 3) point down."""
    return np.asarray(np.arctan2(-along[..., 1], np.linalg.norm(along[..., [0, 2]], axis=-1)))


def _near(tracks: np.ndarray, floors: np.ndarray, fps: float) -> np.ndarray:
    """(frames, 2) how near the feet's (frames, 2, 3) points are to where they stand, and how slow."""
    slow = np.exp(-((speeds(tracks, fps) / 0.3) ** 2))
    return slow * np.exp(-((np.maximum(tracks[..., 1] - floors, 0) / 0.02) ** 2))


def _still_height(track: np.ndarray, fps: float, possible: np.ndarray) -> float:
    """A low percentile of the heights at which a point (frames, 3) is slow: jumps and dips do not count.

    Among the ``possible`` (frames,) ones, if there are enough.
    """
    quick = speeds(track, fps)
    if possible.sum() >= min(STOOD * fps, len(track) / 2):
        track, quick = track[possible], quick[possible]
    return float(np.percentile(track[quick <= max(0.25, np.percentile(quick, 20)), 1], 5))


def _floors(tracks: np.ndarray, fps: float, possible: np.ndarray) -> np.ndarray:
    """(2,) heights at which the left and the right foot's (frames, 2, 3) point stands.

    Captures often have one foot a little higher than the other; a larger difference means that the foot never
    stands flat, and it gets the other one's floor.
    """
    own = np.array([_still_height(tracks[:, side], fps, possible[:, side]) for side in (0, 1)])
    above = own - own.min()
    return own.min() + above * np.clip(2 - above / 0.02, 0, 1)


def lowest(points: dict[str, np.ndarray]) -> np.ndarray:
    """(frames,) height of the lowest part of a body, by the clearance of its joints."""
    clear = {name: CLEARANCE.get(name.removeprefix("left_").removeprefix("right_")) for name in points}
    return np.min([points[name][:, 1] - gap for name, gap in clear.items() if gap is not None], axis=0)


def place_feet(
    points: dict[str, np.ndarray], feet: Feet, turns: np.ndarray, pelvis: np.ndarray, skeleton: Skeleton
) -> tuple[np.ndarray, float]:
    """Ankles (frames, 2, 3) on our floor, and the height of the source's floor.

    The floor is where the feet stand. Where none ever does, or the body is deeper for long, it is under the lowest part
    of the body: hands, head, back. Each foot hangs on whichever of its ankle and its ball moves less, since a foot of
    another length cannot keep both. A stance is as much narrower or wider as our hips are, but by an amount that rests
    while the foot stands. ``turns`` (frames, 2, 3, 3) are the feet's world rotations, ``pelvis`` (frames, 3, 3).
    """
    fps = feet.fps
    flat_ankle = -skeleton.offsets[skeleton.index("left_foot")][1] + BALL_HEIGHT
    ankle_floors, ball_floors = feet.ankle_floors - flat_ankle, feet.ball_floors - BALL_HEIGHT
    under = float(np.percentile(lowest(points), 5))
    if not feet.treads or under < ankle_floors.mean() - SUNK:
        ankle_floors = ball_floors = np.full(2, under)
    ankles = feet.ankles - ankle_floors[:, None] * np.array([0.0, 1.0, 0.0])
    stillness = 1 / (speeds(ankles, fps) ** 2 + 0.1**2)
    if feet.balls is not None:
        balls = feet.balls - ball_floors[:, None] * np.array([0.0, 1.0, 0.0])
        hung = np.stack([skeleton.offsets[skeleton.index(f"{side}_foot")] for side in SIDES])
        by_ball = balls - apply(turns, np.broadcast_to(hung, balls.shape))
        ball_stillness = 1 / (speeds(balls, fps) ** 2 + 0.1**2)
        share = low_pass(ball_stillness / (stillness + ball_stillness), fps, cutoff=min(3.0, fps / 4))
        ankles = ankles + np.clip(share, 0, 1)[..., None] * (by_ball - ankles)
        stillness = np.maximum(stillness, ball_stillness)
    wide = np.linalg.norm(points["left_hip"] - points["right_hip"], axis=-1).mean()
    ours = skeleton.offsets[skeleton.index("left_hip")][0] - skeleton.offsets[skeleton.index("right_hip")][0]
    ankles = stance_for_hips(ankles, pelvis, stillness, source_width=wide, width=ours, fps=fps)
    return ankles, float(ankle_floors.mean())


def stance_for_hips(
    ankles: np.ndarray, pelvis: np.ndarray, stillness: np.ndarray, *, source_width: float, width: float, fps: float
) -> np.ndarray:
    """Ankles (frames, 2, 3) moved apart as much as the hips are wider than the source's, or nearer.

    By an amount that rests while a foot does: ``stillness`` (frames, 2) is large then. ``pelvis`` (frames, 3, 3).
    """
    # Feet that stand closer than the source's hips, or crossed, are moved by less, so that they never change sides.
    apart = ((ankles[:, 0] - ankles[:, 1]) * pelvis[..., 0]).sum(-1)
    share = np.clip(apart / source_width, 0, 1)[:, None] * pelvis[..., 0] * np.array([1.0, 0.0, 1.0])
    moved = ankles.copy()
    for side, sign in enumerate((1, -1)):
        stiffness = (0.1 * stillness[1:, side] + 0.01) * (0.1 * fps) ** 2
        moved[:, side] += smooth_track(sign * (width - source_width) / 2 * share, np.ones(len(share)), stiffness)
    return moved


def foot_turns(landmarks: Landmarks, feet: Feet, shins: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """World rotations (frames, 2, 3, 3) of the feet, level on average while they stand.

    The less a foot stands, the more it counts how level the rest pose or the other foot tells that it would be. Where
    nothing is known the foot points where the source's points. ``shins`` (frames, 2, 3, 3) are our shins' world
    rotations.
    """
    if feet.balls is None:
        turns = [landmarks.rotations.get(f"{side}_ankle") for side in SIDES]
        known = [None if turn is None else calibrated(turn, shins[:, at]) for at, turn in enumerate(turns)]
        return np.stack([shins[:, at] if turn is None else turn for at, turn in enumerate(known)], 1)
    along = feet.balls - feet.ankles
    levels = along * np.array([1.0, 0.0, 1.0])
    levels = frame("y", np.broadcast_to([0.0, 1.0, 0.0], along.shape), "z", levels)
    own = float(_pitch(skeleton.offsets[skeleton.index("left_foot")]))
    pitches = [landmarks.foot_pitch.get(side) for side in SIDES]
    fitted = []
    for at in np.argsort(-feet.standing.sum(0)):  # the foot that tells more first
        weights = feet.standing[:, at]
        pitch = own if pitches[at] is None else pitches[at]
        flat = np.array([0.0, -np.sin(pitch), np.cos(pitch)])
        pointed = align(flat, (1.0, 0.0, 0.0), along[:, at], shins[:, at, :, 0])
        rotation = landmarks.rotations.get(f"{SIDES[at]}_ankle")
        if rotation is None:
            rotation = frame("z", along[:, at], "x", shins[:, at, :, 0])
        known = calibrated(
            np.concatenate((rotation, rotation)),
            np.concatenate((levels[:, at], pointed)),
            weights=np.concatenate((weights, np.full(len(weights), UNTOLD * feet.enough / len(weights)))),
        )
        turn = pointed if known is None else known[: len(weights)]
        if pitches[1 - at] is None and feet.stands[at]:
            inside = apply(np.swapaxes(turn, -1, -2), unit(along[:, at]))
            pitches[1 - at] = float(_pitch(np.average(inside, axis=0, weights=weights)))
        fitted.append((at, turn))
    return np.stack([turn for _, turn in sorted(fitted, key=lambda pair: pair[0])], 1)


# --- bodies on hands, backs and heads -----------------------------------------------------------------------

REACH = (0.15, 0.30)
"""Metres of a wrist over the floor: below the first it is as high as the source's, above the second it is free."""
GRIP = 10.0
"""How much rather a hand that is still on the floor stays in one place than where its arm points, over 0.1 s."""


def _named(motion: Motion) -> dict[str, np.ndarray]:
    joints = motion.joints()
    return {name: joints[:, index] for index, name in enumerate(motion.skeleton.names)}


def _of_feet(name: str) -> bool:
    return name.endswith(("ankle", "foot", "heel"))


def body_lift(points: dict[str, np.ndarray], feet: Feet, motion: Motion) -> np.ndarray:
    """(frames,) metres that raise our body to lie, or stand on its hands, as high as the source's does.

    Our trunk and arms are of other lengths; a body that stands on its feet stays as it is. ``points`` are over our
    floor.
    """
    theirs = lowest({name: track for name, track in points.items() if not _of_feet(name)})
    ours = lowest({name: track for name, track in _named(motion).items() if not _of_feet(name)})
    soles = lowest({name: track for name, track in points.items() if _of_feet(name)})
    on_feet = feet.upright.any(1) * np.clip(1.5 - soles / 0.1, 0, 1)
    lying = np.clip(1.5 - theirs / 0.1, 0, 1) * (1 - on_feet)
    width = 0.1 * motion.fps
    return ndimage.gaussian_filter1d(lying * (np.maximum(theirs, 0) - ours), width, mode="nearest")


def wrist_targets(points: dict[str, np.ndarray], motion: Motion) -> np.ndarray:
    """Wrists (frames, 2, 3): ours, but near the floor as high as the source's (over our floor), and as still."""
    skeleton, joints, fps = motion.skeleton, motion.joints(), motion.fps
    targets = []
    for side in SIDES:
        at = skeleton.index(f"{side}_wrist")
        own, theirs = joints[:, at], points[f"{side}_wrist"]
        near = smoothstep(theirs[:, 1], REACH[1], REACH[0])
        target = own.copy()
        target[:, 1] += near * (theirs - own)[:, 1]
        grip = near / (1 + (speeds(theirs, fps) / 0.3) ** 2)
        stiffness = GRIP * (0.1 * fps) ** 2 * np.minimum(grip[1:], grip[:-1])
        level = (own - theirs)[:, [0, 2]]
        target[:, [0, 2]] = theirs[:, [0, 2]] + smooth_track(level, np.ones(len(level)), stiffness)
        # The hand stays out of the floor.
        for joint in (at, *(j for j in range(len(skeleton)) if skeleton.names[j] == f"{side}_hand")):
            clear = CLEARANCE[skeleton.names[joint].removeprefix(f"{side}_")]
            target[:, 1] += np.maximum(clear - target[:, 1] - (joints[:, joint] - own)[:, 1], 0)
        targets.append(target)
    return np.stack(targets, 1)
