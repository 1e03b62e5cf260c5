"""How well does a score rank networks? Kendall's τ over chosen pairs, and its interval by drawing networks again.

Source: M. Kendall, "A new measure of rank correlation", 1938: pairs in the same order less pairs in the other, over all
pairs; a tie of the score counts as neither (τ-a), pairs that are not told apart by the accuracy are left out.
"""

import dataclasses

import numpy as np
import numpy.typing as npt

__all__ = ["Floats", "Tau", "near", "tau"]

Floats = npt.NDArray[np.float64]
_DRAWS = 1000
_SEED = 11


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Tau:
    """Kendall's τ with its 95 % interval over `pairs` pairs; all NaN where there is none."""

    value: float
    low: float
    high: float
    pairs: int


def near(costs: Floats, factor: float) -> npt.NDArray[np.bool_]:
    """Mark the pairs of networks whose costs lie within a factor: `(n, n)`."""
    logs = np.log(costs)
    mask: npt.NDArray[np.bool_] = np.abs(logs[:, None] - logs[None, :]) <= np.log(factor)
    return mask


def tau(scores: Floats, truth: Floats, *, gap: float = 0.0, pairs: npt.NDArray[np.bool_] | None = None) -> Tau:
    """Compare two orders of the same networks.

    Args:
        scores: `(n,)`, higher is better.
        truth: `(n,)` accuracies.
        gap: Pairs count whose accuracies differ by more.
        pairs: `(n, n)` pairs that count; all if left out.
    """
    apart = truth[:, None] - truth[None, :]
    counted = (np.abs(apart) > gap) & (True if pairs is None else pairs)
    counted &= np.triu(np.ones(counted.shape, dtype=bool), 1)
    agree = counted * np.sign(apart) * np.sign(scores[:, None] - scores[None, :])
    total = int(counted.sum())
    if not total:
        return Tau(value=float("nan"), low=float("nan"), high=float("nan"), pairs=0)
    rng = np.random.default_rng(_SEED)
    times = rng.multinomial(len(truth), np.full(len(truth), 1 / len(truth)), size=_DRAWS).astype(float)
    weight = ((times @ counted) * times).sum(1)
    drawn = ((times @ agree) * times).sum(1)[weight > 0] / weight[weight > 0]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Tau(value=float(agree.sum() / total), low=float(low), high=float(high), pairs=total)
