"""What do devices that were measured say about networks? One scale for all, and values where nobody measured.

Legend: `n` networks, `d` devices, `f` features; NaN marks what was not measured. A device's *offset* is how much slower
it is than the others on the networks they share; without it, rows of a table with holes can be compared. A table is
carried on as `smooth` (what the features explain of each device, by a Gaussian process of its own: it fills the holes
and drops the noise of single measurements) and `rest` (what they do not).

Source: offsets as in two-way tables (median polish, Tukey 1977); the process with its evidence, Rasmussen and Williams
2006, equation 5.8, its scale integrated out.
"""

import dataclasses

import numpy as np
import numpy.typing as npt

__all__ = ["Table", "relative", "smoothed", "standardised", "tabulate"]

Floats = npt.NDArray[np.float64]

_ROUNDS = 20
_MOST_ROWS = 700
"""Networks that a device's process is fitted to; evenly taken from those that were measured."""
_LENGTHS = (0.5, 1.0, 2.0)
_NOISES = (0.001, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
_LINEAR = 1.0
"""Weight of the part that is linear in the features, against the part that is any smooth function."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Latencies of `d` devices on one scale: `smooth` (n, d) without holes, `rest` (n, d) with NaN, sum = the latency.

    `is_log` says whether values are logarithms or multiples of a typical network's latency.
    """

    smooth: Floats
    rest: Floats
    is_log: bool

    def without(self, device: int) -> "Table":
        """The same without one device: as if it were new."""
        keep = np.arange(self.smooth.shape[1]) != device
        return dataclasses.replace(self, smooth=self.smooth[:, keep], rest=self.rest[:, keep])


def tabulate(log_ms: Floats, features: Floats | None) -> tuple[Table, Table]:
    """Bring the devices to one scale and split their latencies in what the features explain and the rest.

    Args:
        log_ms: `(n, d)` natural logarithms of ms, NaN where not measured.
        features: `(n, f)` standardised numbers of the networks; None: nothing is explained, each device is its mean.

    Returns:
        Two tables: of logarithms, and of multiples of a typical latency, where the times of a network's parts add up.
    """
    level = relative(log_ms)
    values = np.hstack([level, _multiples(level)])
    smooth = np.tile(np.nanmean(values, axis=0), (len(values), 1)) if features is None else smoothed(values, features)
    pairs = zip(*(np.hsplit(table, 2) for table in (smooth, values - smooth)), (True, False), strict=True)
    logs, multiples = (Table(smooth=smooth, rest=rest, is_log=is_log) for smooth, rest, is_log in pairs)
    return logs, multiples


def relative(log_ms: Floats) -> Floats:
    """Take off each device's offset, so that a typical network is 0 on every device, `(n, d)`."""
    seen = ~np.isnan(log_ms).all(axis=1)
    told = log_ms[seen]
    offsets = np.nanmedian(told, axis=0)
    sizes = np.zeros(len(told))
    for _ in range(_ROUNDS):
        sizes = np.nanmean(told - offsets, axis=1)
        offsets = np.nanmedian(told - sizes[:, None], axis=0)
    return np.asarray(log_ms - offsets - np.median(sizes), np.float64)


def standardised(features: Floats, seen: npt.NDArray[np.bool_]) -> Floats:
    """Scale features to mean 0 and deviation 1 over the networks that somebody measured; constant ones are dropped."""
    spread = features[seen].std(axis=0)
    varies = spread > 1e-9 * (1 + np.abs(features[seen]).max(axis=0))
    return np.asarray((features - features[seen].mean(axis=0))[:, varies] / spread[varies], np.float64)


def smoothed(values: Floats, features: Floats) -> Floats:
    """Predict every device's value of every network from the network's features, `(n, d)`.

    Args:
        values: `(n, d)`, NaN where not measured.
        features: `(n, f)`, standardised.
    """
    found = np.empty(values.shape)
    holes = np.isnan(values)
    for pattern in np.unique(holes, axis=1).T:
        devices = np.flatnonzero((holes == pattern[:, None]).all(axis=0))
        rows = np.flatnonzero(~pattern)
        rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(_MOST_ROWS, len(rows))).astype(int))]
        found[:, devices] = _processes(values[np.ix_(rows, devices)], rows, features)
    return found


def _multiples(log_relative: Floats) -> Floats:
    """Multiples of a typical latency; every device is scaled so that it sums to the mean device's sum."""
    values = np.exp(log_relative)
    seen = ~np.isnan(values).all(axis=1)
    typical = np.full(len(values), np.nan)
    typical[seen] = np.nanmean(values[seen], axis=1)
    told = np.where(np.isnan(values), np.nan, typical[:, None])
    return np.asarray(values * np.nansum(told, axis=0) / np.nansum(values, axis=0), np.float64)


def _processes(values: Floats, rows: npt.NDArray[np.intp], features: Floats) -> Floats:
    """One process for each column of `values` over the networks in `rows`; its length and noise of most evidence."""
    centre = values.mean(axis=0)
    off = values - centre
    best = np.full(values.shape[1], -np.inf)
    lengths, solved = np.empty(values.shape[1]), np.empty(values.shape)
    for length in _LENGTHS:
        eigen, basis = np.linalg.eigh(_kernel(features[rows], features[rows], length))
        turned = basis.T @ off
        for noise in _NOISES:
            weights = 1 / (np.maximum(eigen, 0) + noise)
            squares = np.maximum((turned**2 * weights[:, None]).sum(axis=0), 1e-12)
            evidence = 0.5 * np.log(weights).sum() - len(rows) / 2 * np.log(squares)
            better = evidence > best
            best[better], lengths[better] = evidence[better], length
            solved[:, better] = basis @ (weights[:, None] * turned[:, better])
    found = np.empty((len(features), values.shape[1]))
    for length in np.unique(lengths):
        found[:, lengths == length] = _kernel(features, features[rows], length) @ solved[:, lengths == length]
    return found + centre


def _kernel(a: Floats, b: Floats, length: float) -> Floats:
    """Similarity of networks, `(len(a), len(b))`: linear in the features and, nearby, anything smooth."""
    width = max(a.shape[1], 1)
    inner = a @ b.T / width
    square = (a**2).sum(axis=1)[:, None] / width + (b**2).sum(axis=1) / width - 2 * inner
    return np.asarray(_LINEAR * inner + np.exp(-np.maximum(square, 0) / (2 * length**2)), np.float64)
