"""How sure a number is: confidence intervals over seeds, and over dances where there is one seed.

Resampling dances with replacement would copy rows, which a Fréchet distance mistakes for less variety; leaving groups
of dances out does not.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

CONFIDENCE = 0.95
GROUPS = 20
"""Most groups that are left out in turn."""


class Estimate(NamedTuple):
    """A number with half the width of its 95 per cent confidence interval; NaN where that cannot be told."""

    value: float
    margin: float
    over: str
    """What varies: seeds or dances."""


def over_seeds(values: Sequence[float]) -> Estimate:
    """Mean of one value per seed with Student's interval; seeds without a value are left out."""
    known = np.array([value for value in values if np.isfinite(value)])
    if len(known) < 2:
        return Estimate(float(known[0]) if len(known) else float("nan"), float("nan"), "seeds")
    return Estimate(float(known.mean()), _quantile(len(known)) * float(known.std(ddof=1) / len(known) ** 0.5), "seeds")


def over_dances(statistic: Callable[[list[int]], float], count: int) -> Estimate:
    """A statistic of ``count`` dances with the interval of the delete-a-group jackknife.

    ``statistic(chosen)`` gets the indices of the dances to use.
    Source: Efron and Stein, The jackknife estimate of variance (Annals of Statistics 1981).
    """
    value, groups = statistic(list(range(count))), min(GROUPS, count)
    if count < 3 or not np.isfinite(value):
        return Estimate(value, float("nan"), "dances")
    left = np.array([statistic([i for i in range(count) if i % groups != group]) for group in range(groups)])
    left = left[np.isfinite(left)]
    if len(left) < 3:
        return Estimate(value, float("nan"), "dances")
    spread = np.sqrt((len(left) - 1) * left.var())
    return Estimate(value, _quantile(len(left)) * float(spread), "dances")


def _quantile(count: int) -> float:
    from scipy.stats import t

    return float(t.ppf(0.5 + CONFIDENCE / 2, count - 1))
