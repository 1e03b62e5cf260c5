"""How well does each score rank networks whose accuracy is known? Benchmark and `archlab proxy correlate` ask alike.

Three sets of pairs: all; those of about equal cost, their multiply-adds within a factor of 1.5; those of about equal
measured latency, within 1.25. What a search has to do is the second and the third: a score that ranks all pairs well
may just tell large from small, which a count does too.

Pairs count whose accuracies are at least 0.2 points apart, and at least one standard deviation of such a difference
between seeds, where networks were trained from several. Intervals draw the networks again a thousand times.
"""

import dataclasses
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from archlab.proxy.ranking import Estimate, Floats, Mask, Tau, again, gain, near, spearman, tau

__all__ = [
    "ALL_PAIRS",
    "BASELINES",
    "EQUAL_COST",
    "EQUAL_LATENCY",
    "LEAST_NETWORKS",
    "PARTS",
    "Bench",
    "Correlation",
    "correlations",
    "deviation_between_seeds",
    "least_gap",
]

ALL_PAIRS, EQUAL_COST, EQUAL_LATENCY = "all pairs", "equal cost", "equal latency"
PARTS = (ALL_PAIRS, EQUAL_COST, EQUAL_LATENCY)
BASELINES = ("params", "macs")
LEAST_NETWORKS = 8
"""Of fewer networks no correlation is told."""

_COST, _LATENCY = 1.5, 1.25
_LEAST_GAP = 0.2


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Correlation:
    """Kendall's τ of a score on the pairs of one of `PARTS`, with its 95 % interval.

    `spearman` is over all networks, and told beside all pairs alone. `seconds` are those of one network, the median;
    None where no time is known. `source` says where the accuracies are from.
    """

    proxy: str
    part: str
    tau: float
    low: float
    high: float
    pairs: int
    networks: int
    spearman: float | None = None
    seconds: float | None = None
    source: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Every field as plain JSON."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bench:
    """Networks whose accuracy is known, in one order, `(N,)` each; a latency that was not measured is NaN.

    `top1` is in percent, and `gap` the difference from which on two accuracies are told apart.
    """

    names: tuple[str, ...]
    top1: Floats
    macs: Floats
    latency_ms: Floats
    gap: float

    def only(self, which: npt.NDArray[Any]) -> "Bench":
        """Some of the networks, by mask or by index."""
        return dataclasses.replace(
            self,
            names=tuple(np.array(self.names, dtype=object)[which]),
            top1=self.top1[which],
            macs=self.macs[which],
            latency_ms=self.latency_ms[which],
        )

    def taus(self, scores: Floats) -> dict[str, Tau]:
        """τ on each of `PARTS`; networks that have no such score, NaN, are left out."""
        if not np.isfinite(scores).all():
            at = np.flatnonzero(np.isfinite(scores))
            return self.only(at).taus(scores[at])
        times_RN = again(len(scores))
        return {
            part: tau(scores, self.top1, gap=self.gap, pairs=self._pairs(part), times_RN=times_RN) for part in PARTS
        }

    def tau(self, scores: Floats, part: str = EQUAL_COST) -> float:
        """τ on one of `PARTS`, as in `taus` but without an interval; NaN without pairs."""
        if not np.isfinite(scores).all():
            at = np.flatnonzero(np.isfinite(scores))
            return self.only(at).tau(scores[at], part)
        none_RN = np.zeros((0, len(scores)))
        return tau(scores, self.top1, gap=self.gap, pairs=self._pairs(part), times_RN=none_RN).value

    def gain(self, scores: Floats, others: Floats, part: str = EQUAL_COST) -> Estimate:
        """By how much τ of one score is above τ of another, over the networks that have both; NaN without pairs."""
        has = np.isfinite(scores) & np.isfinite(others)
        if not has.all():
            return self.only(has).gain(scores[has], others[has], part)
        return gain(scores, others, self.top1, gap=self.gap, pairs=self._pairs(part))

    def _pairs(self, part: str) -> Mask | None:
        if part == EQUAL_COST:
            return near(self.macs, _COST)
        return near(self.latency_ms, _LATENCY) if part == EQUAL_LATENCY else None


def deviation_between_seeds(tops: Iterable[Sequence[float]]) -> float | None:
    """Standard deviation of a training's accuracy over seeds, pooled over networks; None where each has one seed."""
    runs = [values for values in tops if len(values) > 1]
    if not runs:
        return None
    squares = sum(statistics.variance(values) * (len(values) - 1) for values in runs)
    return math.sqrt(squares / sum(len(values) - 1 for values in runs))


def least_gap(deviation: float | None) -> float:
    """Points from which on two accuracies are told apart: 0.2, and a deviation of the difference of two trainings."""
    return _LEAST_GAP if deviation is None else max(_LEAST_GAP, math.sqrt(2) * deviation)


def correlations(
    bench: Bench, scores: Mapping[str, Floats], seconds: Mapping[str, float], *, source: str = ""
) -> list[Correlation]:
    """Correlate scores with accuracies: a row per score and part that has pairs.

    Args:
        bench: The networks.
        scores: Name → `(N,)`, NaN where a network has no such score.
        seconds: Name → seconds per network.
        source: Where the accuracies are from.

    Returns:
        The best at equal cost first, or over all pairs where no costs are equal; the parts of a score together.
    """
    found: dict[str, list[Correlation]] = {}
    for name, values in scores.items():
        has = np.isfinite(values)
        rho = spearman(values[has], bench.top1[has], times_RN=np.zeros((0, int(has.sum())))).value
        facts = {"proxy": name, "seconds": seconds.get(name), "source": source}
        for part, one in bench.taus(values).items():
            if one.pairs:
                told = Correlation(
                    **facts,  # type: ignore[arg-type]
                    part=part,
                    tau=one.value,
                    low=one.low,
                    high=one.high,
                    pairs=one.pairs,
                    networks=int((has & np.isfinite(bench.latency_ms)).sum() if part == EQUAL_LATENCY else has.sum()),
                    spearman=rho if part == ALL_PAIRS and math.isfinite(rho) else None,
                )
                found.setdefault(name, []).append(told)
    return [row for rows in sorted(found.values(), key=_order) for row in rows]


def _order(rows: Sequence[Correlation]) -> tuple[float, float, str]:
    value = {row.part: row.tau for row in rows}
    return -value.get(EQUAL_COST, -2.0), -value.get(ALL_PAIRS, -2.0), rows[0].proxy
