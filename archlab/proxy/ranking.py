"""How well does a score rank networks? Kendall's τ over chosen pairs, Spearman's ρ, and how sure both are.

τ is the number of pairs in the same order less that of pairs in the other, over all pairs that count. A pair counts if
the accuracies tell it apart; a tie of the score is neither order. That is Somers' D of the score given the accuracy,
and without ties Kendall's τ. Intervals hold 95 % of what comes out when the networks, or whole groups of them, are
drawn again with replacement (percentile bootstrap).

Legend of shapes: N networks, R draws.

Sources: M. Kendall, "A new measure of rank correlation", Biometrika 1938; R. Somers, American Sociological Review 1962;
C. Spearman, American Journal of Psychology 1904; B. Efron, Annals of Statistics 1979.
"""

import dataclasses

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

__all__ = ["Estimate", "Floats", "Mask", "Tau", "again", "gain", "interval", "near", "spearman", "tau"]

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_DRAWS = 1000
_ROUNDING = 1e-9
"""Accuracies are decimals: 0.3 and 0.1 are 0.2 apart."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Tau:
    """Kendall's τ with its 95 % interval over `pairs` pairs; all NaN where there is none."""

    value: float
    low: float
    high: float
    pairs: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


def near(costs: Floats, factor: float) -> Mask:
    """Mark the pairs of networks whose costs lie within a factor: `(N, N)`; none with a cost that is not known, NaN."""
    larger, smaller = np.maximum.outer(costs, costs), np.minimum.outer(costs, costs)
    mask: Mask = larger <= factor * smaller
    return mask


def again(
    networks: int, *, number: int = _DRAWS, seed: int = 0, groups: npt.NDArray[np.generic] | None = None
) -> Floats:
    """Draw networks with replacement; says how often each was drawn: `(R, N)`.

    Args:
        networks: N.
        number: R.
        seed: Same seed, same draws.
        groups: `(N,)` a label each; whole groups are drawn instead of networks.
    """
    rng = np.random.default_rng(seed)
    labels, of_network = (np.arange(networks),) * 2 if groups is None else np.unique(groups, return_inverse=True)
    many = len(labels)
    drawn = [np.bincount(rng.integers(0, many, many), minlength=many) for _ in range(number)]
    times: Floats = np.array(drawn, np.float64).reshape(number, many)[:, of_network]
    return times


def tau(
    scores: Floats, truth: Floats, *, gap: float = 0.0, pairs: Mask | None = None, times_RN: Floats | None = None
) -> Tau:
    """Compare the order of a score with that of the accuracies.

    Args:
        scores: `(N,)`, higher is better.
        truth: `(N,)` accuracies.
        gap: Pairs count whose accuracies lie so far apart, or farther; equal ones never do.
        pairs: `(N, N)` pairs that count; all if left out.
        times_RN: What `again` drew; left out, it draws networks. With no draws at all the interval is NaN.
    """
    counted = _counted(truth, gap, pairs)
    total = int(counted.sum())
    if not total:
        return Tau(value=np.nan, low=np.nan, high=np.nan, pairs=0)
    agree = _agree(scores, truth, counted)
    times = again(len(truth)) if times_RN is None else times_RN
    drawn = _drawn(agree, counted, times)
    low, high = interval(drawn[np.isfinite(drawn)])
    return Tau(value=float(agree.sum() / total), low=low, high=high, pairs=total)


def gain(scores: Floats, others: Floats, truth: Floats, *, gap: float = 0.0, pairs: Mask | None = None) -> Estimate:
    """Say by how much τ of one score is above τ of another, on the same pairs and the same draws; arguments as `tau`.

    Two scores err on the same pairs, so that the difference is known better than their intervals suggest.
    """
    counted = _counted(truth, gap, pairs)
    if not counted.any():
        return Estimate(value=np.nan, low=np.nan, high=np.nan)
    difference = _agree(scores, truth, counted) - _agree(others, truth, counted)
    drawn = _drawn(difference, counted, again(len(truth)))
    low, high = interval(drawn[np.isfinite(drawn)])
    return Estimate(value=float(difference.sum() / counted.sum()), low=low, high=high)


def _counted(truth: Floats, gap: float, pairs: Mask | None) -> Mask:
    apart = np.abs(np.subtract.outer(truth, truth))
    mask: Mask = np.triu((apart >= gap - _ROUNDING) & (apart != 0) & (True if pairs is None else pairs), 1)
    return mask


def _agree(scores: Floats, truth: Floats, counted: Mask) -> Floats:
    """1 for a pair in the same order, -1 for one in the other, 0 for a tie or a pair that does not count: `(N, N)`."""
    signs = np.sign(np.subtract.outer(truth, truth)) * np.sign(np.subtract.outer(scores, scores))
    return np.where(counted, signs, 0.0)


def _drawn(agree_NN: Floats, counted_NN: Mask, times_RN: Floats) -> Floats:
    """The mean over the pairs of each draw, `(R,)`; NaN where a draw has none."""
    weight_R = ((times_RN @ counted_NN) * times_RN).sum(1)
    sum_R = ((times_RN @ agree_NN) * times_RN).sum(1)
    return np.divide(sum_R, weight_R, out=np.full(len(times_RN), np.nan), where=weight_R > 0)


def interval(drawn: Floats) -> tuple[float, float]:
    """The ends between which 95 % of the draws lie; NaN without any."""
    if not len(drawn):
        return np.nan, np.nan
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def spearman(scores: Floats, truth: Floats, *, times_RN: Floats | None = None) -> Estimate:
    """Spearman's ρ, the correlation of the ranks; NaN where all scores, or all accuracies, are equal.

    Args:
        scores: `(N,)`.
        truth: `(N,)`.
        times_RN: What `again` drew; left out, it draws networks. With no draws at all the interval is NaN.
    """
    times = again(len(truth)) if times_RN is None else times_RN
    at = np.arange(len(truth))
    drawn = (np.repeat(at, row.astype(np.intp)) for row in times)
    values = np.array([_rho(scores[some], truth[some]) for some in drawn])
    low, high = interval(values[np.isfinite(values)])
    return Estimate(value=_rho(scores, truth), low=low, high=high)


def _rho(scores: Floats, truth: Floats) -> float:
    """Spearman's ρ; unlike `scipy.stats.spearmanr` it does not warn of values that are all equal."""
    if np.ptp(scores) == 0 or np.ptp(truth) == 0:
        return np.nan
    return float(np.corrcoef(rankdata(scores), rankdata(truth))[0, 1])
