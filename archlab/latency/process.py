"""Which ways of being unlike the other devices are likely? A Gaussian process over networks, for one new device.

A device's latencies are the sources' mean plus a deviation. The deviation's covariance is a sum of components: those
that the sources have from each other (`source` from their smoothed values, `rest` from what no feature explains),
costs of single features that differ from device to device (`feature`), another slope (`slope`), a shift (`level`), and
any smooth function of the features (`near`). How large each of them is, and the noise of the measurements, is not
chosen but averaged over a grid, weighted by how well each row explains the few measurements (the evidence).

Source: Rasmussen and Williams 2006, chapter 2, equations 5.8 (evidence) and 5.12 (leaving one measurement out).
"""

import itertools

import numpy as np
import numpy.typing as npt

from archlab.latency.sources import Table

__all__ = ["Process"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

_GRID = np.array(
    [
        (1.0, 0.03, size * source, size * rest, size * feature, size * 0.05, noise)
        for size, source, rest, feature, noise in itertools.product(
            (0.01, 0.1, 1.0), (0.1, 0.5), (0.0, 0.3), (0.2, 1.0), (0.001, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
        )
    ]
)
"""Variances of the components and of the noise to average over, in units of the sources' variance around their mean."""
_TYPICAL = np.array((1.0, 0.03, 0.3, 0.1, 0.5, 0.05, 0.1))
_LEAST_WEIGHT = 0.01
_LEAST_SHARE = 0.05
"""Multiples below this share of the median network's are bent upwards, so that a latency stays positive."""
_FIRM = 1.0
"""How many measurements the process's own deviations weigh, against what leaving one out says of them."""


class Process:
    """What to expect of a new device: `mean` `(n,)` and, by component, factors whose rows' products are covariances.

    Args (of the constructor):
        table: The sources, on one scale.
        features: `(n, f)`, standardised, or None.
    """

    def __init__(self, table: Table, features: Floats | None) -> None:
        common = _common(table.rest)
        deviation = table.smooth - table.smooth.mean(axis=1, keepdims=True)
        rest = np.nan_to_num(table.rest - common[:, None])
        devices = table.smooth.shape[1]
        self.is_log = table.is_log
        self.mean = table.smooth.mean(axis=1) + common
        around = deviation - deviation.mean(axis=0)
        whole = around + rest
        self.variance = float(whole.var()) if devices > 1 else float(0.1 * self.mean.var())
        self.variance = max(self.variance, 1e-8)
        networks = len(self.mean)
        self.factors: dict[str, Floats] = {
            "level": np.full((networks, 1), 3 * self.variance**0.5),
            "slope": (self.mean - self.mean.mean())[:, None],
            "source": around / devices**0.5,
            "rest": rest / devices**0.5,
        }
        self.features = np.zeros((networks, 0)) if features is None else features
        self.factors["feature"] = self.features * self._feature_scales(around)

    def _feature_scales(self, around: Floats) -> Floats:
        """How much the cost of each feature differs between devices, `(f,)`; at least a share of the mean device's."""
        width = self.features.shape[1]
        if not width:
            return np.zeros(0)
        moved = np.column_stack([around, 0.3 * (self.mean - self.mean.mean())])
        gram = self.features.T @ self.features + 3.0 * np.eye(width)
        costs = np.linalg.solve(gram, self.features.T @ moved)
        least = 0.2 * self.variance / width
        return np.asarray(np.sqrt((costs**2).mean(axis=1) + least), np.float64)

    def parts(self, a: Indices, b: Indices) -> Floats:
        """Covariances by component, `(components, len(a), len(b))`."""
        plain = [factor[a] @ factor[b].T for factor in self.factors.values()]
        return np.stack([*plain, self.variance * _nearness(self.features[a], self.features[b])])

    def variances(self, a: Indices) -> Floats:
        """Covariances of networks with themselves by component, `(components, len(a))`."""
        plain = [(factor[a] ** 2).sum(axis=1) for factor in self.factors.values()]
        return np.stack([*plain, np.full(len(a), self.variance)])

    def to_values(self, chosen: Indices, measured_ms: Floats) -> tuple[Floats, float]:
        """Measurements on the table's scale, and the log of ms (or the factor in ms) that this took off."""
        if self.is_log:
            off = float((np.log(measured_ms) - self.mean[chosen]).mean())
            return np.log(measured_ms) - off, off
        factor = float(measured_ms.mean() / max(self.mean[chosen].mean(), 1e-6))
        return measured_ms / factor, factor

    def to_log_ms(self, values: Floats, deviation: Floats, off: float) -> tuple[Floats, Floats]:
        """Natural logarithms of ms and their deviation, from values on the table's scale and theirs."""
        if self.is_log:
            return values + off, deviation
        least = _LEAST_SHARE * float(np.median(self.mean))
        bent = np.where(values > least, values, least * np.exp(np.minimum(values / least, 1) - 1))
        return np.log(bent) + np.log(off), deviation / np.maximum(values, least)

    def predict(self, chosen: Indices, measured_ms: Floats, asked: Indices) -> tuple[Floats, Floats]:
        """Logarithms of ms of the networks `asked`, and their standard deviation."""
        values, off = self.to_values(chosen, measured_ms)
        away = values - self.mean[chosen]
        within, across, alone = self.parts(chosen, chosen), self.parts(asked, chosen), self.variances(asked)
        noises = _GRID[:, -1] * self.variance
        kernels = np.tensordot(_GRID[:, :-1], within, 1) + noises[:, None, None] * np.eye(len(chosen))
        weights = _evidence_weights(kernels, away)
        mean, square, surprise = np.zeros(len(asked)), np.zeros(len(asked)), 0.0
        for at in np.flatnonzero(weights):
            reach = np.tensordot(_GRID[at, :-1], across, 1)
            inverse = np.linalg.inv(kernels[at])
            solved = inverse @ away
            moved = reach @ solved
            left = _GRID[at, :-1] @ alone - ((reach @ inverse) * reach).sum(axis=1)
            surprise += weights[at] * float((solved**2 / np.diag(inverse)).sum())
            mean += weights[at] * moved
            square += weights[at] * (moved**2 + np.maximum(left, 0) + noises[at])
        deviation = np.sqrt(np.maximum(square - mean**2, 1e-12) * (_FIRM + surprise) / (_FIRM + len(chosen)))
        return self.to_log_ms(self.mean[asked] + mean, deviation, off)

    def uncertainty(self, among: Indices) -> tuple[Floats, float]:
        """Covariance of networks before anything is measured, at typical sizes of the components, and the noise."""
        covariance = np.tensordot(_TYPICAL[:-1], self.parts(among, among), 1)
        return np.asarray(covariance, np.float64), float(_TYPICAL[-1] * self.variance)


def _common(rest: Floats) -> Floats:
    """What all devices' rests of a network share, `(n,)`: their mean, shrunk by how little they agree."""
    known = ~np.isnan(rest)
    filled = np.nan_to_num(rest)
    count = known.sum(axis=1)
    total = filled.sum(axis=1)
    pairs = float((count * (count - 1)).sum())
    shared = max(float((total**2 - (filled**2).sum(axis=1)).sum()) / pairs, 0.0) if pairs else 0.0
    single = max(float((filled**2).sum()) / max(int(known.sum()), 1) - shared, 0.0)
    if not pairs:
        return np.asarray(total / np.maximum(count, 1), np.float64)
    return np.asarray(total * shared / np.maximum(count * shared + single, 1e-12), np.float64)


def _nearness(a: Floats, b: Floats) -> Floats:
    width = max(a.shape[1], 1)
    square = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.asarray(np.exp(-np.maximum(square, 0) / (2 * width)), np.float64)


def _evidence_weights(kernels: Floats, away: Floats) -> Floats:
    """How well each row of the grid explains the measurements; rows that hardly count are set to zero."""
    lower = np.linalg.cholesky(kernels)
    white = np.linalg.solve(lower, np.broadcast_to(away[:, None], (len(kernels), len(away), 1)))[:, :, 0]
    evidence = -0.5 * (white**2).sum(axis=1) - np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(axis=1)
    weights = np.exp(evidence - evidence.max())
    weights[weights < _LEAST_WEIGHT * weights.max()] = 0
    return np.asarray(weights / weights.sum(), np.float64)
