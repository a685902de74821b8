"""Key motions of a dance, and the primitives that Lodge's global stage learns from them.

A dance alternates between key motions, which arrive at a pose, and transitions between them. Here belong where the
key motions are, and how primitives are cut out of a training take; where in a long stretch of dance they lie is in
`models.primitives`. Source: Lodge sections 3.2 and 3.3, appendices B and C.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from longdance.models.primitives import PRIMITIVE_FRAMES, SOFT_PER_SEGMENT, PrimitivePlan
from longdance.motion.layout import Layout, centred

SPEED_SMOOTHING = 0.05
"""Seconds, standard deviation: capture noise has no pauses of its own."""
SURROUNDINGS = 0.25
"""Seconds, standard deviation: the movement that leads into a pose and out of it."""
LEAST_GAP = 0.25
"""Seconds between neighbouring key motions: shorter pauses are parts of one movement."""
LEAST_EXPRESSIVE = 0.2
"""Share of the mean kinetic energy of a take that a key motion must give up and take up again."""
STILL = 1e-4
"""(m/s)^2 of kinetic energy per mass below which a body stands still: 1.4 cm/s."""


class KeyMotions(NamedTuple):
    """Where a dance reaches its poses, in order of time."""

    frames: np.ndarray
    """(keys,) frame of least speed."""
    expressiveness: np.ndarray
    """(keys,) kinetic energy per mass, (m/s)^2, around the pose less that in the pose."""


class Primitives(NamedTuple):
    """Primitives in the order that the global stage has them: all hard ones, then all soft ones, each in time."""

    values: Float[np.ndarray, "primitives primitive_frames features"]
    """Features; the root is above the origin in each one's first frame, heights and facing are the dance's."""
    valid: Bool[np.ndarray, " primitives"]
    """False where the take has no such primitive; its values are zero then."""
    starts: Int[np.ndarray, " primitives"]
    """First frame of each on the timeline; -1 where there is none."""


def kinetic_energy(joints: Float[np.ndarray, "frames joints 3"], fps: float) -> Float[np.ndarray, " frames"]:
    """Kinetic energy per mass, (m/s)^2: half the mean squared speed of the joints, of slightly smoothed positions.

    ``joints`` are metres. Zero for fewer than two frames.
    """
    if len(joints) < 2:
        return np.zeros(len(joints))
    smooth = gaussian_filter1d(joints.astype(np.float64), SPEED_SMOOTHING * fps, axis=0, mode="nearest")
    velocity = np.gradient(smooth, axis=0) * fps
    return 0.5 * (velocity**2).sum(-1).mean(-1)


def find_key_motions(joints: Float[np.ndarray, "frames joints 3"], fps: float) -> KeyMotions:
    """The expressive key motions of a take: pauses between energetic movements.

    A key motion is at a local minimum of the velocity curve, and expressive by the energy that goes into the pose and
    out of it; pauses of a body that hardly moves anyway are none. ``joints`` are metres.

    Source: Lodge section 3.3, "velocity curves near local minima, displaying greater expressiveness", and section 3.2,
    "higher motion kinematic energy". The paper gives no formula: the threshold is ours.
    """
    energy = kinetic_energy(joints, fps)
    minima = find_peaks(-energy, distance=max(1, round(LEAST_GAP * fps)))[0]
    expressiveness = (gaussian_filter1d(energy, SURROUNDINGS * fps, mode="nearest") - energy)[minima]
    threshold = max(LEAST_EXPRESSIVE * energy.mean(), STILL) if len(energy) else STILL
    kept = expressiveness > threshold
    return KeyMotions(minima[kept], expressiveness[kept])


def key_frames(features: Float[np.ndarray, "frames features"], *, layout: Layout, fps: float) -> np.ndarray:
    """(keys,) frames of the expressive key motions of a take's denormalised features."""
    motion = layout.decode(features, fps)
    return find_key_motions(motion.joints(), fps).frames


def global_primitives(
    features: Float[np.ndarray, "frames features"],
    *,
    layout: Layout,
    keys: Int[np.ndarray, " keys"],
    plan: PrimitivePlan,
    offset: int = 0,
) -> Primitives:
    """The primitives of a take whose first frame lies at frame ``offset`` of the timeline (negative: it began before).

    ``features`` are the whole take's, denormalised; ``keys`` its key motions as by ``key_frames``, computed once per
    take. Hard primitives are what the take does where segments meet. A segment's soft ones are its key motions nearest
    to the middles of its halves; no two share a frame.
    """
    frames = len(features)
    values = np.zeros((plan.count, PRIMITIVE_FRAMES, layout.width), np.float32)
    valid = np.zeros(plan.count, bool)
    starts = np.full(plan.count, -1)
    places = [np.arange(PRIMITIVE_FRAMES) + start for start in plan.hard_starts()]
    places += [None if centre is None else plan.soft_frames(centre) for centre in _soft_centres(keys + offset, plan)]
    for row, place in enumerate(places):
        if place is None or place[0] < offset or place[-1] >= offset + frames:
            continue
        values[row] = centred(features[place - offset], layout)
        valid[row] = True
        starts[row] = place[0]
    return Primitives(values, valid, starts)


def _soft_centres(keys: np.ndarray, plan: PrimitivePlan) -> list[int | None]:
    """For every soft primitive the frame of its key motion on the timeline, in time order; None where there is none."""
    centres: list[int | None] = []
    for segment in range(plan.segments):
        begin = segment * plan.segment
        first, last = begin + plan.clearance, begin + plan.segment - plan.clearance
        for part in range(SOFT_PER_SEGMENT):
            left, right = begin + part * plan.share, begin + (part + 1) * plan.share
            free = keys[(keys >= max(left, first)) & (keys < right) & (keys <= last)]
            if part and centres[-1] is not None:
                free = free[free - centres[-1] >= PRIMITIVE_FRAMES * plan.soft_spacing]
            nearest = np.abs(free - (left + right) / 2).argmin() if len(free) else None
            centres.append(None if nearest is None else int(free[nearest]))
    return centres
