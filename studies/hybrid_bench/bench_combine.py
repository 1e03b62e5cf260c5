"""Which scores together rank networks better than each alone? Chosen on one half of the benchmark, used on the other.

Every way learns from the networks of the half `tune` alone: where a score lies and how wide it spreads there, which
scores to take, and how much of each. What comes out is a score of any network:

- the best pair and the best triple, as the mean of standardised scores, or of ranks among the networks of `tune`;
- scores added one by one, as long as Kendall's τ at equal cost grows by 0.01;
- least squares with weights that are not negative, over the handful that is best alone, and params and macs.

A pair or a triple is one of hundreds or thousands, and the best of so many looks better on `tune` than it is.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from scipy.optimize import nnls

from archlab.proxy.judging import ALL_PAIRS, BASELINES, Bench
from archlab.proxy.ranking import Floats, Mask

__all__ = ["Combination", "combinations"]

_MOST_MEMBERS, _LEAST_GAIN = 4, 0.01
_HANDFUL = 5
_LEAST_WEIGHT = 0.005


@dataclasses.dataclass(frozen=True, kw_only=True)
class Combination:
    """A score that is put together of `members`; `title` says how, `values` are `(N,)`."""

    title: str
    members: frozenset[str]
    values: Floats


def combinations(bench: Bench, scores: Mapping[str, Floats], is_tune: Mask, *, among: str = "") -> list[Combination]:
    """Put scores together in every way; only scores that every network has take part, and one alone is no way.

    Args:
        bench: All networks.
        scores: Name → `(N,)`, NaN where a network has no such score.
        is_tune: `(N,)` the networks that may be learnt from.
        among: Which scores these are, for the titles.
    """
    whole = {name: values for name, values in scores.items() if np.isfinite(values).all()}
    judge = _Judge(bench, is_tune)
    if len(whole) < 2 or not math.isfinite(judge.tuned(next(iter(whole.values())))[0]):
        return []
    found = []
    for way, scale in (("z", _standardised), ("rank", _ranked)):
        scaled = {name: scale(values, values[is_tune]) for name, values in whole.items()}
        sets = [("pair", 2), ("triple", 3)][: len(scaled) - 1]
        picked = [(f"best {title}", judge.best(scaled, itertools.combinations(scaled, many))) for title, many in sets]
        picked.append(("one by one", judge.one_by_one(scaled)))
        found += [judge.told(f"{title} ({way}){among}", scaled, dict.fromkeys(names, 1.0)) for title, names in picked]
    standard = {name: _standardised(values, values[is_tune]) for name, values in whole.items()}
    found.append(judge.told(f"least squares{among}", standard, judge.weights(standard)))
    return [one for one in found if len(one.members) > 1]


class _Judge:
    """What the half `tune` says of scores and of sums of them."""

    def __init__(self, bench: Bench, is_tune: Mask) -> None:
        self._tune, self._is_tune = bench.only(is_tune), is_tune

    def tuned(self, values: Floats) -> tuple[float, float]:
        """τ at equal cost and, where that is equal, τ of all pairs."""
        shown = values[self._is_tune]
        return self._tune.tau(shown), self._tune.tau(shown, ALL_PAIRS)

    def best(self, scaled: Mapping[str, Floats], sets: Iterable[Sequence[str]]) -> Sequence[str]:
        return max(sets, key=lambda names: self.tuned(_sum(scaled, names)))

    def one_by_one(self, scaled: Mapping[str, Floats]) -> Sequence[str]:
        """Start from the best, add what helps most, stop when nothing does."""
        chosen: list[str] = []
        reached = -math.inf
        while len(chosen) < min(_MOST_MEMBERS, len(scaled)):
            tried = {name: self.tuned(_sum(scaled, [*chosen, name])) for name in scaled if name not in chosen}
            best = max(tried, key=lambda name: tried[name])
            if not tried[best][0] >= reached + _LEAST_GAIN:
                break
            chosen, reached = [*chosen, best], tried[best][0]
        return chosen

    def weights(self, standard: Mapping[str, Floats]) -> dict[str, float]:
        """Weights by which a handful of scores adds up to the accuracy, in the sense of least squares."""
        alone = sorted(standard, key=lambda name: self.tuned(standard[name]), reverse=True)[:_HANDFUL]
        names = list(dict.fromkeys([*alone, *(name for name in BASELINES if name in standard)]))
        table = np.column_stack([standard[name][self._is_tune] for name in names])
        top1 = self._tune.top1 - self._tune.top1.mean()
        solved, _ = nnls(table, top1)
        weights = solved / (solved.sum() or 1.0)
        return {name: float(w) for name, w in zip(names, weights, strict=True) if w >= _LEAST_WEIGHT}

    def told(self, title: str, scaled: Mapping[str, Floats], weights: Mapping[str, float]) -> Combination:
        values = _sum(scaled, list(weights), list(weights.values()))
        is_plain = len(set(weights.values())) == 1
        parts = weights if is_plain else [f"{weight:.2f} {name}" for name, weight in weights.items()]
        return Combination(title=f"{title}: {' + '.join(parts)}", members=frozenset(weights), values=values)


def _sum(scaled: Mapping[str, Floats], names: Sequence[str], weights: Sequence[float] | None = None) -> Floats:
    total: Floats = np.average([scaled[name] for name in names], axis=0, weights=weights)
    return total


def _standardised(values: Floats, tune: Floats) -> Floats:
    """Mean 0 and deviation 1 on the half `tune`."""
    scaled: Floats = (values - tune.mean()) / (tune.std() or 1.0)
    return scaled


def _ranked(values: Floats, tune: Floats) -> Floats:
    """Share of the networks of `tune` that are worse, half of the equal ones added."""
    ordered = np.sort(tune)
    worse, not_better = (np.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    shares: Floats = (worse + not_better) / 2 / len(tune)
    return shares
