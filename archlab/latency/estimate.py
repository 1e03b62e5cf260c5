"""What a prediction says: milliseconds, an interval, and how wrong the predictor was on what it had not seen."""

import dataclasses
import math
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.stats import kendalltau
from scipy.stats import t as student_t

from archlab.cost.rows import OpTrace
from archlab.device.catalog import Device, RunSpec

__all__ = ["LEVEL", "Estimate", "HeldOut", "Predictor", "central", "compared", "ends_of", "spread_of", "stretch"]

Floats = npt.NDArray[np.float64]

LEVEL = 0.90
"""How often an interval holds the truth."""

_FAR = 2.0
_FEWEST_FOR_QUANTILES = 39


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class HeldOut:
    """Error on networks, or whole families of them, that the fit had not seen.

    `mean_abs_pct` is the mean of |predicted / measured - 1| in percent (published where nobody of us measured),
    `within_10_share` the share of points within ten percent, `kendall_tau` the rank correlation, `coverage` the share
    of points that a 90 % interval held whose width was settled without them; `families` counts the groups left out.
    """

    mean_abs_pct: float
    within_10_share: float
    kendall_tau: float
    coverage: float | None
    points: int
    families: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A latency that nobody measured: `lo_ms` to `hi_ms` holds the truth nine times in ten.

    `seen_ms` are the shortest and the longest latency that the fit has seen, None where it does not say.
    """

    ms: float
    lo_ms: float
    hi_ms: float
    predictor: str
    device: str
    held_out: HeldOut
    seen_ms: tuple[float, float] | None = None

    @property
    def note(self) -> str | None:
        """A warning where the latency lies more than a factor of two outside of what the fit has seen."""
        if self.seen_ms is None or self.seen_ms[0] / _FAR <= self.ms <= self.seen_ms[1] * _FAR:
            return None
        shortest, longest = self.seen_ms
        return (
            f"an estimate of {self.ms:.3g} ms for {self.device} lies far outside the {shortest:.3g} to "
            f"{longest:.3g} ms that it was fitted on: take it as a hint"
        )

    @property
    def source(self) -> str:
        """How the number came about, e.g. `estimated:roofline@orin`."""
        return f"estimated:{self.predictor}@{self.device}"


class Predictor(Protocol):
    """A way to predict a latency; it says by a DeviceError which devices it does not serve, and why."""

    @property
    def name(self) -> str:
        """What stands in its source text."""

    def predict(self, trace: OpTrace, device: Device, run: RunSpec | None = None) -> Estimate:
        """Estimate the latency of a network, in ms."""

    def held_out(self, device: Device) -> HeldOut:
        """How wrong it was on what it had not seen."""


def compared(
    predicted_ms: npt.ArrayLike, true_ms: npt.ArrayLike, *, coverage: float | None = None, groups: int | None = None
) -> HeldOut:
    """Compare predictions with the truth, both in ms, point by point."""
    predicted, true = np.asarray(predicted_ms, np.float64), np.asarray(true_ms, np.float64)
    off = np.abs(predicted / true - 1)
    tau = float(kendalltau(predicted, true)[0]) if len(true) > 1 else math.nan
    return HeldOut(
        mean_abs_pct=round(float(100 * off.mean()), 2),
        within_10_share=round(float((off <= 0.1).mean()), 4),
        kendall_tau=round(tau, 4),
        coverage=None if coverage is None else round(coverage, 4),
        points=len(off),
        families=len(off) if groups is None else groups,
    )


def central(scores: npt.ArrayLike) -> tuple[float, float]:
    """The central 90 % of some scores, with the usual correction for their small number."""
    tail = (1 - LEVEL) / 2
    values = np.asarray(scores, np.float64)
    tail = max(0.0, tail - (1 - tail) / len(values))
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def ends_of(scores: npt.ArrayLike) -> tuple[float, float]:
    """Where the next score lies nine times in ten: between quantiles, or where these are too few, by Student's t.

    With less than 39 scores the corrected quantiles are the least and the greatest of them, which hold too much or too
    little by chance; then the ends are symmetrical, as many standard errors from zero as t with that many degrees asks.
    """
    values = np.asarray(scores, np.float64)
    if len(values) >= _FEWEST_FOR_QUANTILES:
        return central(values)
    half = float(student_t.ppf((1 + LEVEL) / 2, len(values)) * np.sqrt(np.square(values).mean()))
    return -half, half


def spread_of(
    predicted_ms: npt.ArrayLike, true_ms: npt.ArrayLike, scales: npt.ArrayLike | None = None
) -> tuple[tuple[float, float], float]:
    """How far the truth strays from predictions of networks left out, and how often an interval of it would hold.

    Args:
        predicted_ms: The predictions.
        true_ms: What was measured.
        scales: How uncertain each network is relative to the others; one for all unless told otherwise.

    Returns:
        Ends that hold 90 % of log(true / predicted) / scale, and the share of points that lie inside the ends which
        the other points give.
    """
    scores = np.log(np.asarray(true_ms, np.float64) / np.asarray(predicted_ms, np.float64))
    if scales is not None:
        scores = scores / np.asarray(scales, np.float64)
    held = 0
    for i, score in enumerate(scores):
        low, high = ends_of(np.delete(scores, i))
        held += low <= score <= high
    return ends_of(scores), float(held / len(scores))


def stretch(ms: float, seen_ms: tuple[float, float]) -> float:
    """How much wider an interval is outside the latencies seen: 1 inside, one more for every factor of e beyond."""
    return 1.0 + max(0.0, math.log(ms / seen_ms[1]), math.log(seen_ms[0] / ms))
