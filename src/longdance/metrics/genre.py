"""Recognising the genre of a dance from how the body moves, to check that a prompted genre comes out.

A small linear classifier, fitted on windows of real dances whenever it is needed: it is a measuring
instrument, not a model that is shipped. It sees kinetic and geometric features, so neither where a dancer
stands nor which way the dancer faces matters.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from longdance.errors import InputError
from longdance.metrics.features import geometric_features, kinetic_features
from longdance.metrics.joints import ROOT, UP, checked_joints
from longdance.motion.filters import low_pass
from longdance.motion.skeleton import SMPL22, SMPL24

PENALTY = 0.1
"""Weight of the squared coefficients beside the mean log loss; chosen on held-out training clips."""
CUTOFF = 5.0
"""Hertz of the low-pass before measuring, so that jitter makes no calm genre look like a lively one."""
LEFT_WRIST, RIGHT_WRIST = SMPL24.index("left_wrist"), SMPL24.index("right_wrist")
LEFT_ANKLE, RIGHT_ANKLE = SMPL24.index("left_ankle"), SMPL24.index("right_ankle")
SPEED_FLOOR = 0.02
"""Added to speeds (m/s) and accelerations before their logarithm, so that stillness has a finite one."""


@dataclass(frozen=True, kw_only=True)
class GenreClassifier:
    """Multinomial logistic regression on standardised window features; made by ``fit``.

    Source: Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, section 4.4.
    """

    genres: tuple[str, ...]
    """Sorted; the order of the probabilities' columns."""
    centre: np.ndarray
    spread: np.ndarray
    weights: np.ndarray
    """(features + 1, genres); the last row is the intercept."""

    @classmethod
    def fit(
        cls,
        windows: Sequence[np.ndarray],
        labels: Sequence[str],
        fps: float | int,
        *,
        penalty: float | int = PENALTY,
    ) -> "GenreClassifier":
        """Learns from windows (frames, joints, 3) in metres and their genres, each genre counting equally.

        Every window is used as it is and mirrored. Deterministic. Raises ``InputError`` for fewer than two
        genres.
        """
        if len(windows) != len(labels) or len(set(labels)) < 2:
            raise InputError(
                f"expected one label per window and at least two genres, got {len(windows)} windows, "
                f"{len(labels)} labels, {len(set(labels))} genres; try more clips"
            )
        genres = tuple(sorted(set(labels)))
        rows = np.stack([genre_features(w, fps) for window in windows for w in (window, mirrored(window))])
        truth = np.repeat([[genre == label for genre in genres] for label in labels], 2, axis=0).astype(float)
        centre, spread = rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-6)
        design = _with_intercept((rows - centre) / spread)
        share = (truth / truth.sum(axis=0)).sum(axis=1) / len(genres)
        shape = (design.shape[1], len(genres))

        def loss(flat):
            weights = flat.reshape(shape)
            likelihood = log_softmax(design @ weights, axis=1)
            gradient = design.T @ (share[:, None] * (np.exp(likelihood) - truth))
            slopes = weights * (np.arange(shape[0]) < shape[0] - 1)[:, None]  # the intercept is free
            value = -(share[:, None] * truth * likelihood).sum() + 0.5 * penalty * (slopes**2).sum()
            return value, (gradient + penalty * slopes).ravel()

        weights = minimize(loss, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B").x.reshape(shape)
        return cls(genres=genres, centre=centre, spread=spread, weights=weights)

    def predict_proba(
        self, windows: Sequence[np.ndarray], fps: float | int
    ) -> Float[np.ndarray, "windows genres"]:
        """(windows, genres) probabilities in the order of ``genres``; the same for a mirrored window."""
        probabilities = np.empty((len(windows), len(self.genres)))
        for i, window in enumerate(windows):
            rows = np.stack([genre_features(w, fps) for w in (window, mirrored(window))])
            scores = _with_intercept((rows - self.centre) / self.spread) @ self.weights
            probabilities[i] = softmax(scores, axis=1).mean(axis=0)
        return probabilities

    def predict(self, windows: Sequence[np.ndarray], fps: float | int) -> list[str]:
        """The likeliest genre of each window."""
        return [self.genres[i] for i in self.predict_proba(windows, fps).argmax(axis=1)]

    def predict_dance(
        self, joints: Float[np.ndarray, "frames joints 3"], fps: float | int, *, seconds: float | int
    ) -> dict[str, float]:
        """Genre probabilities of a whole dance: the mean over its windows of ``seconds``."""
        parts = windows_of(joints, fps, seconds=seconds, hop=seconds / 2)
        return dict(zip(self.genres, self.predict_proba(parts, fps).mean(axis=0).tolist(), strict=True))


def windows_of(
    joints: Float[np.ndarray, "frames joints 3"],
    fps: float | int,
    *,
    seconds: float | int = 4.0,
    hop: float | int = 2.0,
) -> list[np.ndarray]:
    """Cuts of ``seconds`` every ``hop`` seconds; the whole dance if it is shorter than one."""
    length, step = round(seconds * fps), max(round(hop * fps), 1)
    starts = range(0, max(len(joints) - length, 0) + 1, step)
    return [joints[start : start + length] for start in starts]


def genre_features(
    joints: Float[np.ndarray, "frames joints 3"], fps: float | int
) -> Float[np.ndarray, " features"]:
    """What the classifier sees of a window: energies in the world and around the pelvis, relations, posture.

    Unchanged by moving or turning the dancer on the floor. Hands are left out, as Lodge's dances have none.
    """
    joints = low_pass(checked_joints(joints, fps, least_frames=4)[:, : len(SMPL22)], float(fps), cutoff=CUTOFF)
    around_root = joints - joints[:, ROOT : ROOT + 1]
    return np.concatenate(
        [
            _log_energies(joints, fps),
            _log_energies(around_root, fps),
            geometric_features(joints, fps, variant="corrected"),
            _posture(joints),
        ]
    )


def mirrored(joints: Float[np.ndarray, "frames joints 3"]) -> Float[np.ndarray, "frames joints 3"]:
    """The dance in a mirror: x negated, left and right joints exchanged."""
    skeleton = SMPL24 if joints.shape[1] == len(SMPL24) else SMPL22
    return joints[:, skeleton.mirror_index] * np.array([-1.0, 1.0, 1.0])


def _log_energies(joints: np.ndarray, fps: float | int) -> np.ndarray:
    energies = kinetic_features(joints, fps, variant="corrected").astype(np.float64).reshape(-1, 3)
    speeds = np.sqrt(energies[:, :2])
    return np.log(SPEED_FLOOR + np.concatenate([speeds.ravel(), energies[:, 2]]))


def _posture(joints: np.ndarray) -> np.ndarray:
    """Mean, least and greatest height of every joint, mean distance between hands and between feet."""
    heights = joints[..., UP]
    return np.concatenate(
        [heights.mean(axis=0), heights.min(axis=0), heights.max(axis=0)]
        + [
            [np.linalg.norm(joints[:, left] - joints[:, right], axis=-1).mean()]
            for left, right in ((LEFT_WRIST, RIGHT_WRIST), (LEFT_ANKLE, RIGHT_ANKLE))
        ]
    )


def _with_intercept(rows: np.ndarray) -> np.ndarray:
    return np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
