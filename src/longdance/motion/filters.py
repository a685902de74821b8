"""Resampling, fading and zero-phase smoothing along time, for positions and for rotations."""

import numpy as np
import torch
from scipy import signal

from longdance.motion import rotations as rot


def low_pass(values: np.ndarray, fps: float, *, cutoff: float) -> np.ndarray:
    """Zero-phase Butterworth low-pass of (frames, ...) values at ``cutoff`` hertz; order 4 in effect.

    A cutoff at or above half the frame rate, or fewer than four frames, returns the values unchanged. The ends are
    padded by odd reflection, so a still pose stays still.
    """
    frames = len(values)
    if cutoff >= fps / 2 or frames < 4:
        return np.asarray(values, dtype=np.float64)
    sections = signal.butter(2, cutoff, fs=fps, output="sos")
    padding = min(frames - 1, int(3 * fps / cutoff))
    return signal.sosfiltfilt(sections, values, axis=0, padlen=padding)


def low_pass_rotations(rotations: np.ndarray, fps: float, *, cutoff: float) -> np.ndarray:
    """Low-pass (frames, ..., 3, 3) rotations by filtering the matrices and projecting back onto rotations.

    The projection is the nearest rotation in the Frobenius norm, so no sign or axis convention can flip.
    """
    smoothed = low_pass(rotations, fps, cutoff=cutoff)
    return nearest_rotation(smoothed) if smoothed is not rotations else rotations


def smoothstep(values: np.ndarray, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """Values (frames, ...) to 0 below ``low``, 1 above ``high``, and a cubic between that begins and ends level."""
    share = np.clip((values - low) / (high - low), 0.0, 1.0)
    return share * share * (3 - 2 * share)


def runs(chosen: np.ndarray) -> list[tuple[int, int]]:
    """Begin and end (exclusive) of every run of true values among (frames,)."""
    edges = np.diff(np.pad(chosen.astype(int), 1))
    return [(int(a), int(b)) for a, b in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True)]


def nearest_rotation(matrices: np.ndarray) -> np.ndarray:
    """(..., 3, 3) rotation nearest to each matrix in the Frobenius norm, by singular value decomposition."""
    u, _, vt = np.linalg.svd(matrices)
    flip = np.linalg.det(u @ vt)
    u[..., :, 2] *= np.sign(flip)[..., None]
    return u @ vt


def going_on(values: np.ndarray, begun: np.ndarray, fade: int) -> np.ndarray:
    """Values (frames, ...) that begin as ``begun`` (some frames, ...) and come back to their own course.

    Over ``fade`` frames the difference in value and slope fades out without a jump in value, slope or curvature.
    """
    count = min(len(begun), len(values))
    if not count:
        return values
    begun = begun[:count]
    apart = begun[-1] - values[count - 1]
    drift = begun[-1] - begun[-2] - (values[count - 1] - values[count - 2]) if count > 1 else np.zeros_like(apart)
    time = np.minimum(np.arange(1, len(values) - count + 1) / max(1, fade), 1.0)
    left = (1 - time) ** 3
    axes = (slice(None), *[None] * (values.ndim - 1))
    course = (left * (1 + 3 * time + 6 * time**2))[axes] * apart
    course = course + (left * time * (1 + 3 * time) * fade)[axes] * drift
    return np.concatenate((begun, values[count:] + course))


def sample_times(frames: int, fps: float, target_fps: float) -> np.ndarray:
    """Positions, in source frames, of the frames at another rate that lie inside the motion."""
    count = int(np.floor((frames - 1) / fps * target_fps + 1e-6)) + 1 if frames else 0
    return np.minimum(np.arange(count) * (fps / target_fps), frames - 1)


def interpolate(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Values (frames, ...) at fractional frames by a cubic spline (linear for fewer than four frames)."""
    from scipy.interpolate import make_interp_spline

    frames = len(values)
    if frames == 1:
        return np.repeat(values, len(at), axis=0)
    degree = 3 if frames >= 4 else 1
    return make_interp_spline(np.arange(frames), values, k=degree, axis=0)(at)


def interpolate_rotations(rotations: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Rotations (frames, ..., 3, 3) at fractional frames by slerp between neighbours."""
    before = np.clip(np.floor(at).astype(int), 0, max(len(rotations) - 2, 0))
    after = np.minimum(before + 1, len(rotations) - 1)
    start, end = (torch.from_numpy(np.ascontiguousarray(rotations[i])) for i in (before, after))
    fraction = torch.from_numpy(at - before).to(start.dtype)
    fraction = fraction.reshape(-1, *[1] * (start.ndim - 3)).expand(start.shape[:-2])
    return rot.slerp(start, end, fraction).numpy()
