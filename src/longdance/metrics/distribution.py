"""Comparing sets of feature rows: the Fréchet distance (FID_k, FID_g) and diversity (Div_k, Div_g)."""

import numpy as np
from jaxtyping import Float

from longdance.errors import InputError

SPREAD_FLOOR = 1e-10
"""Added to every column's standard deviation by the published code; a constant column is divided by it."""


def frechet_distance(
    real: Float[np.ndarray, "rows features"],
    generated: Float[np.ndarray, "other_rows features"],
    *,
    normalise: bool = True,
) -> float:
    """Squared 2-Wasserstein distance between the Gaussians fitted to two sets of feature rows.

    ``real`` (n, features) and ``generated`` (m, features), at least two rows each. With ``normalise``, as
    in every published dance FID, both sets are first standardised by the mean and the standard deviation of
    the real set; a column that is constant in the real set alone then dominates everything, so use a real
    set of many dances.
    Raises ``InputError`` for other shapes.

    Source: Heusel et al., GANs trained by a two time-scale update rule (NeurIPS 2017); normalisation as in
    AI Choreographer (Li et al., ICCV 2021).
    Differs: the originals take a general matrix square root, which turns complex or fails for fewer rows
    than columns; here tr (S1 S2)^(1/2) is the sum of the singular values of A Bᵀ, with S1 = AᵀA and S2 =
    BᵀB.
    """
    real, generated = _checked(real, least_rows=2), _checked(generated, least_rows=2)
    if real.shape[1] != generated.shape[1]:
        raise InputError(
            f"expected equally many features, got {real.shape[1]} and {generated.shape[1]}; "
            "try the same variant for both sets"
        )
    if normalise:
        real, generated = standardise(real, real), standardise(generated, real)
    shift = real.mean(axis=0) - generated.mean(axis=0)
    a, b = _covariance_root(real), _covariance_root(generated)
    overlap = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return float(shift @ shift + (a**2).sum() + (b**2).sum() - 2 * overlap)


def diversity(
    features: Float[np.ndarray, "rows features"],
    *,
    reference: Float[np.ndarray, "other_rows features"] | None = None,
) -> float:
    """Mean Euclidean distance between all pairs of different feature rows; NaN for fewer than two rows.

    ``reference``: standardise by the mean and standard deviation of these rows first. Bailando, Lodge and
    POPDG pass their real set, for the real and for the generated rows.

    Source: Bailando (Siyao et al., CVPR 2022).
    """
    features = _checked(features, least_rows=0)
    if reference is not None:
        features = standardise(features, _checked(reference, least_rows=1))
    if len(features) < 2:
        return float("nan")
    from scipy.spatial.distance import pdist

    return float(pdist(features).mean())


def standardise(
    features: Float[np.ndarray, "rows features"], reference: Float[np.ndarray, "other_rows features"]
) -> Float[np.ndarray, "rows features"]:
    """Features minus the reference's column means, over its population standard deviations (plus 1e-10)."""
    return (features - reference.mean(axis=0)) / (reference.std(axis=0) + SPREAD_FLOOR)


def _covariance_root(rows: np.ndarray) -> np.ndarray:
    """A with AᵀA the covariance (ddof 1) of the rows; no taller than the number of columns."""
    centred = (rows - rows.mean(axis=0)) / np.sqrt(len(rows) - 1)
    return np.asarray(np.linalg.qr(centred, mode="r")) if len(rows) > rows.shape[1] else centred


def _checked(features: np.ndarray, *, least_rows: int) -> np.ndarray:
    features = np.asarray(features, dtype=np.float64)
    if features.ndim != 2 or len(features) < least_rows:
        raise InputError(
            f"expected (rows, features) with at least {least_rows} rows, got {features.shape}; "
            "try stacking the features of more dances"
        )
    if not np.isfinite(features).all():
        raise InputError("expected finite features, got NaN or infinity; try leaving out the broken dance")
    return features
