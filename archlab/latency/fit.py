"""Which coefficients explain a set of latencies? A regularised fit of logarithms that forgives single outliers.

Every coefficient is exp(prior + step); what is minimised over the steps is

    Σ_points ρ(log predicted - log published) + Σ_steps (tightness · step)²

with ρ(r) = (s · atan(r / s))², s = 0.3: a point that is off by a factor of two pulls no harder than one that is off by
a third. The prior of one device may be the fit of another; then three shared steps move all floors, all compute and
all traffic together, so that a device that is merely slower needs no step of each coefficient. A source that times
more than the network (host transfer, say) has its own addend in ms.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from archlab.latency.terms import PARTS, TERMS, Design

__all__ = ["Fit", "Points", "Prior", "fit", "leave_out"]

Floats = npt.NDArray[np.float64]

_SCALE = 0.3
_SHARED = 0.8
"""Tightness of the shared steps, relative to that of the single ones."""
_ADDEND = 0.3
"""Tightness of the logarithms of the sources' addends."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Points:
    """Published latencies: one network of `design` each; `addends` are indices of the sources' addends, -1 for none."""

    design: Design
    log_ms: Floats
    families: npt.NDArray[np.str_]
    networks: npt.NDArray[np.str_]
    addends: npt.NDArray[np.intp]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prior:
    """Where the fit starts: logarithms of the coefficients, of the addends in ms, and how hard it is to leave them."""

    log_coefficients: Floats
    log_addends: Floats
    tightness: float
    is_shared: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fit:
    """What came out: `log_ms` for all points, also those left out; `shares` of each point's time by term.

    `spread` is the inverse information of the single steps, in units of the residuals' variance.
    """

    log_coefficients: Floats
    log_addends: Floats
    log_ms: Floats
    shares: Floats
    spread: Floats
    steps: Floats


def fit(points: Points, prior: Prior, *, keep: npt.NDArray[np.bool_] | None = None, start: Floats | None = None) -> Fit:
    """Fit the coefficients.

    Args:
        points: The published latencies.
        prior: Where to start, and how hard it is to leave.
        keep: Which points count; the others are predicted only.
        start: Steps to begin the search from, e.g. those of the fit to all points.
    """
    problem = _Problem(points, prior, np.ones(len(points.log_ms), bool) if keep is None else keep)
    begin = np.zeros(problem.size) if start is None else start
    found = least_squares(problem.residuals, begin, problem.jacobian, max_nfev=100, ftol=1e-6, xtol=1e-6)
    return problem.result(found.x)


def leave_out(
    points: Points, groups: npt.NDArray[np.str_], prior_without: Callable[[str], Prior], start: Floats
) -> tuple[Floats, list[tuple[npt.NDArray[np.bool_], Fit]]]:
    """Predict every group of points by a fit that did not see it.

    Args:
        points: The published latencies.
        groups: The group of each point: its family, or its network.
        prior_without: The prior to use when a group is left out.
        start: Steps of the fit to all points, which the search begins from.

    Returns:
        The predicted logarithms of ms, and for each group its points and the fit that left it out.
    """
    predicted = np.empty(len(points.log_ms))
    folds = []
    for name in np.unique(groups):
        left = groups == name
        without = fit(points, prior_without(str(name)), keep=~left, start=start)
        predicted[left] = without.log_ms[left]
        folds.append((left, without))
    return predicted, folds


class _Problem:
    """The residuals and their derivatives in the steps: single ones, then shared ones, then the addends'."""

    def __init__(self, points: Points, prior: Prior, keep: npt.NDArray[np.bool_]) -> None:
        self._points, self._prior, self._keep = points, prior, keep
        self._shared = _shared_steps() if prior.is_shared else np.zeros((len(TERMS), 0))
        self._carries = np.equal.outer(points.addends, np.arange(len(prior.log_addends))).astype(np.float64)
        self._tightness = np.repeat(
            prior.tightness * np.array([1.0, _SHARED, _ADDEND / prior.tightness]),
            [len(TERMS), self._shared.shape[1], len(prior.log_addends)],
        )
        self.size = len(self._tightness)
        self._at: tuple[bytes, tuple[Floats, Floats]] | None = None

    def residuals(self, steps: Floats) -> Floats:
        return self._evaluate(steps)[0]

    def jacobian(self, steps: Floats) -> Floats:
        return self._evaluate(steps)[1]

    def _evaluate(self, steps: Floats) -> tuple[Floats, Floats]:
        key = steps.tobytes()
        if self._at is None or self._at[0] != key:
            log_ms, slopes = self._predict(steps)
            off = (log_ms - self._points.log_ms)[self._keep] / _SCALE
            slopes = slopes[self._keep] / (1 + off**2)[:, None]
            residuals = np.concatenate([_SCALE * np.arctan(off), self._tightness * steps])
            self._at = key, (residuals, np.vstack([slopes, np.diag(self._tightness)]))
        return self._at[1]

    def _predict(self, steps: Floats) -> tuple[Floats, Floats]:
        """Logarithms of ms of all points, and their derivatives in the steps."""
        coefficients, addends = (np.exp(x) for x in self._unpack(steps))
        parts = self._points.design.weighted(coefficients) * coefficients
        extra = self._carries * addends
        ms = parts.sum(axis=1) + extra.sum(axis=1)
        return np.log(ms), np.hstack([parts, parts @ self._shared, extra]) / ms[:, None]

    def _unpack(self, steps: Floats) -> tuple[Floats, Floats]:
        single, shared, addends = np.split(steps, np.cumsum([len(TERMS), self._shared.shape[1]]))
        return self._prior.log_coefficients + single + self._shared @ shared, self._prior.log_addends + addends

    def result(self, steps: Floats) -> Fit:
        log_ms, slopes = self._predict(steps)
        log_coefficients, log_addends = self._unpack(steps)
        seen = slopes[self._keep]
        inverse = np.asarray(np.linalg.inv(seen.T @ seen + np.diag(self._tightness**2)), np.float64)
        return Fit(
            log_coefficients=log_coefficients,
            log_addends=log_addends,
            log_ms=log_ms,
            shares=slopes[:, : len(TERMS)],
            spread=self._in_coefficients(inverse),
            steps=steps,
        )

    def _in_coefficients(self, inverse: Floats) -> Floats:
        """The spread of the log coefficients, from that of the steps that make them."""
        made = np.hstack([np.eye(len(TERMS)), self._shared])
        count = made.shape[1]
        result: Floats = made @ inverse[:count, :count] @ made.T
        return result


def _shared_steps() -> Floats:
    return np.array([[float(term.part == part) for part in PARTS] for term in TERMS])
