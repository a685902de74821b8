"""How well the beats of a dance, its moments of least movement, meet the beats of the music.

Variants are named after the published code they agree with. All of them count in frames, so their tolerance
in seconds doubles when the frame rate halves. ``corrected`` is Bailando's score with the times of 60 fps at
any rate, beats of either kind that are not rounded to frames, and a step's speed timed at its middle
instead of its start.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d
from scipy.signal import argrelmin, find_peaks

from longdance.errors import InputError
from longdance.metrics.joints import checked_joints, checked_variant

BEAT_VARIANTS = ("bailando", "lodge", "mint", "popdg", "corrected")
SMOOTHING_FRAMES = 5.0
"""Standard deviation of Bailando's smoothing of the speed curve."""
TOLERANCE_FRAMES = 3.0
"""Standard deviation of the score's Gaussian, in every published variant."""
MINT_ORDER = 10
"""A beat of the mint variant is lower than this many frames on either side."""
POPDG_FRAMES = 300
CORRECTED_FPS = 60.0
"""Frame rate whose smoothing and tolerance, in seconds, ``corrected`` uses at every rate."""


def motion_beats(
    joints: Float[np.ndarray, "frames joints 3"], fps: float | int, *, variant: str = "bailando"
) -> Float[np.ndarray, " beats"]:
    """Times in seconds at which the dance pauses: local minima of the joints' speed, in the world.

    ``bailando`` and ``lodge`` smooth the mean speed with a Gaussian of 5 frames and take every minimum (the
    speed between frames 0 and 1 counts as time 0); ``mint`` and ``popdg`` take minima of the raw speed that
    are lowest among 10 frames on either side, ``popdg`` within the first 300 frames; ``corrected`` smooths
    by 1/12 s. Empty for a dance without such minima.

    Source: AI Choreographer (Li et al., ICCV 2021); Bailando (Siyao et al., CVPR 2022).
    """
    joints = checked_joints(joints, fps)
    return _motion_beat_frames(joints, fps, checked_variant(variant, BEAT_VARIANTS)) / fps


def beat_alignment(
    joints: Float[np.ndarray, "frames joints 3"],
    beat_times: Sequence[float] | np.ndarray,
    fps: float | int,
    *,
    variant: str = "bailando",
) -> float:
    """Beat alignment score in [0, 1]: the mean of exp(-d²/2σ²), d from each beat to the nearest other.

    ``joints`` (frames, joints, 3) metres; ``beat_times`` seconds from the first frame, those after the end
    of the dance are left out. ``bailando``, ``lodge`` and ``corrected`` average over the music's beats,
    ``mint`` and ``popdg`` over the dance's. σ is 3 frames, in ``corrected`` 1/20 s. 0 for a dance without
    beats.
    Raises ``InputError`` if no music beat falls into the dance.

    Source: AI Choreographer (from the dance's beats); Bailando (from the music's beats).
    Differs: Bailando's code fails on a dance without beats.
    """
    joints = checked_joints(joints, fps)
    checked_variant(variant, BEAT_VARIANTS)
    motion = _motion_beat_frames(joints, fps, variant)
    return _score(motion, _music_beat_frames(beat_times, fps, len(joints), variant), fps, variant)


class BeatAlignmentTest(NamedTuple):
    """A beat alignment score beside what chance would give the same dance."""

    score: float
    """Beat alignment with the beats where they are."""
    chance_mean: float
    """Mean score over the shifted beats."""
    chance_spread: float
    """Standard deviation of the score over the shifted beats."""
    p_value: float
    """Share of shifts that do at least as well, the beats as they are counted as one of them."""


def beat_alignment_test(
    joints: Float[np.ndarray, "frames joints 3"],
    beat_times: Sequence[float] | np.ndarray,
    fps: float | int,
    *,
    shifts: int = 200,
    seed: int | np.random.Generator,
    variant: str = "corrected",
) -> BeatAlignmentTest:
    """Beat alignment against the same dance with the beats moved in time by chance.

    Each of ``shifts`` times, one offset is drawn uniformly from [0, length of the dance) and added to all
    beats; a beat that passes the end re-enters at the start. Tempo, number and spacing of the beats stay
    (but for the one interval across the seam), and so does the dance: only their relation is broken. The
    whole length is used rather than one beat interval, because neither music nor dance is exactly periodic.
    The p value is (1 + shifts with a score at least as high) / (1 + shifts), so it is never 0 and valid for
    any number of shifts.
    """
    joints = checked_joints(joints, fps)
    checked_variant(variant, BEAT_VARIANTS)
    if shifts < 1:
        raise InputError(f"expected at least one shift, got {shifts}; try 200")
    rng = np.random.default_rng(seed)
    motion = _motion_beat_frames(joints, fps, variant)
    music = _music_beat_frames(beat_times, fps, len(joints), variant)
    score = _score(motion, music, fps, variant)
    length = min(len(joints), POPDG_FRAMES) if variant == "popdg" else len(joints)
    offsets = rng.uniform(0, length, size=shifts)
    if variant != "corrected":
        # Beats on whole frames stay on whole frames, so that rounding favours no offset.
        offsets = np.floor(offsets)
    chance = np.array([_score(motion, (music + offset) % length, fps, variant) for offset in offsets])
    as_good = int((chance >= score - 1e-12).sum())
    return BeatAlignmentTest(score, float(chance.mean()), float(chance.std()), (1 + as_good) / (1 + shifts))


def _music_beat_frames(
    beat_times: Sequence[float] | np.ndarray, fps: float | int, frames: int, variant: str
) -> np.ndarray:
    times = np.asarray(beat_times, dtype=np.float64)
    if times.ndim != 1 or not np.isfinite(times).all():
        raise InputError(f"expected a list of finite beat times, got shape {times.shape}; try seconds")
    # Whole frames, as published; `corrected` keeps the times, since a frame can be most of the tolerance.
    beats = times * fps if variant == "corrected" else np.round(times * fps)
    end = min(frames, POPDG_FRAMES) if variant == "popdg" else frames
    beats = beats[(beats >= 0) & (beats < end)]
    if not len(beats):
        raise InputError(
            f"expected a music beat within the {frames / fps:.1f} s of the dance, got none; "
            "try beat times in seconds from the dance's first frame"
        )
    return beats


def _motion_beat_frames(joints: np.ndarray, fps: float | int, variant: str) -> np.ndarray:
    if variant == "popdg":
        joints = joints[:POPDG_FRAMES]
    steps = np.linalg.norm(np.diff(joints, axis=0), axis=-1)
    if variant in ("mint", "popdg"):
        speed = np.concatenate([[0.0], steps.sum(axis=1)])
        return argrelmin(speed, order=MINT_ORDER)[0]
    speed = steps.mean(axis=1)
    if variant == "corrected":
        return _rests(gaussian_filter1d(speed, SMOOTHING_FRAMES * fps / CORRECTED_FPS)) + 0.5
    return argrelmin(gaussian_filter1d(speed, SMOOTHING_FRAMES))[0]


def _rests(speed: np.ndarray) -> np.ndarray:
    """Where a curve is lowest, between samples: a parabola's vertex, or the middle of a flat stretch."""
    lowest, edges = find_peaks(-speed, plateau_size=1)
    before, here, after = speed[lowest - 1], speed[lowest], speed[lowest + 1]
    single = edges["plateau_sizes"] == 1
    curvature = np.where(single, before - 2 * here + after, 1.0)
    vertex = lowest + 0.5 * (before - after) / curvature
    return np.where(single, vertex, (edges["left_edges"] + edges["right_edges"]) / 2)


def _score(motion: np.ndarray, music: np.ndarray, fps: float | int, variant: str) -> float:
    if not len(motion):
        return 0.0
    apart = np.abs(music[:, None] - motion[None, :])
    nearest = apart.min(axis=0) if variant in ("mint", "popdg") else apart.min(axis=1)
    tolerance = TOLERANCE_FRAMES * (fps / CORRECTED_FPS if variant == "corrected" else 1.0)
    return float(np.exp(-(nearest**2) / (2 * tolerance**2)).mean())
