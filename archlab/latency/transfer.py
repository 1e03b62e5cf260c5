"""How fast is every network on a new device, of which ten are measured, when other devices are known?

The new device is taken for one more of the kind that the known devices, the *sources*, are of (`process` says which
deviations from their mean are likely). Whether latencies are compared as logarithms or as multiples, where the times
of a network's parts add up, and how wide the interval is, is learnt by treating each source as the new device in turn:
the new device itself is only ever asked for its few measurements.

Where one source is all but the new device, a line through that source alone errs less: the mean of all sources is
where this begins (figures in `studies/predictors/few_shot.md`).

A calibration of a board uses it in two steps: `choose` says which networks to measure, `transfer` predicts the rest;
the sources may be any devices with measurements of the same networks, other boards or a GPU. Who predicts again and
again with the same sources keeps the `Learned` of `learn`.

Source: the task and its rank-correlation anchor, HELP (Lee et al., NeurIPS 2021, arXiv 2106.08630), which meta-learns
a network instead; that one device's ranking serves another, One Proxy Device Is Enough (Lu et al., 2021, arXiv
2111.01203); that the choice of the few samples matters, NASFLAT (Akhauri and Abdelfattah, 2024, arXiv 2403.02446).
"""

import dataclasses

import numpy as np
import numpy.typing as npt

from archlab.errors import PlanError, four_parts
from archlab.latency.process import Process
from archlab.latency.sources import Table, standardised, tabulate

__all__ = ["Learned", "Prediction", "choose", "learn", "transfer"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

_DRAWS, _LEARN_DEVICES, _LEARN_ROWS = 4, 12, 300
_MOST_CANDIDATES = 1500
_STUDENT = 1.83
"""The 95 % quantile of Student's t with 9 degrees: half-width in deviations where too few sources can be asked."""
_COVERED = 0.9
_LEAST_MEASURED = 2


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """Latencies of networks in ms, predicted also where measured; `lo_ms` to `hi_ms` holds nine measurements in ten."""

    ms: Floats
    lo_ms: Floats
    hi_ms: Floats


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Learned:
    """What the sources teach about a new device.

    `error` is the median |log error| on a source that was treated as new, the mean over sources (NaN with less than two
    sources); `width` the half-width of the interval, in the process's own deviations.
    """

    process: Process
    error: float
    width: float

    @property
    def is_log(self) -> bool:
        """Whether logarithms of latencies are compared, or multiples of a typical network's."""
        return self.process.is_log

    def predict(
        self, chosen: npt.ArrayLike, measured_ms: npt.ArrayLike, *, asked: npt.ArrayLike | None = None
    ) -> Prediction:
        """Predict networks of the new device in ms.

        Args:
            chosen: `(k,)` indices of the networks measured on the new device, at least two.
            measured_ms: `(k,)` their latencies in ms.
            asked: `(m,)` indices of the networks to predict, in this order; None: all.

        Raises:
            PlanError: The measurements do not fit the networks, or are no latencies.
        """
        at, ms = _checked_measurements(chosen, measured_ms, len(self.process.mean))
        every = np.arange(len(self.process.mean))
        log_ms, deviation = self.process.predict(at, ms, every if asked is None else every[np.asarray(asked, np.intp)])
        return Prediction(
            ms=np.exp(log_ms),
            lo_ms=np.exp(log_ms - self.width * deviation),
            hi_ms=np.exp(log_ms + self.width * deviation),
        )

    def choose(self, among: npt.ArrayLike, count: int, *, seed: int = 0) -> Indices:
        """Choose the networks to measure, as the function `choose` does, from what has been learnt.

        Args:
            among: `(m,)` indices of the networks that can be measured.
            count: How many.
            seed: Draws the candidates where there are more than can be weighed against each other.

        Raises:
            PlanError: More networks asked for than there are.
        """
        candidates = np.asarray(among, np.intp)
        _check_count(count, len(candidates))
        return _most_telling(self.process, candidates, count, seed)


def transfer(
    sources: npt.ArrayLike, features: npt.ArrayLike | None, chosen: npt.ArrayLike, measured_ms: npt.ArrayLike
) -> Prediction:
    """Predict, in ms, all networks of a new device from a few of them measured and from other devices.

    Args:
        sources: `(n, d)` natural logarithms of ms of `n` networks on `d` other devices, NaN where not measured.
        features: `(n, f)` numbers that describe the networks (operator counts, logarithms of MACs …), or None.
        chosen: `(k,)` indices of the networks measured on the new device, at least two.
        measured_ms: `(k,)` their latencies in ms.

    Raises:
        PlanError: Tables that do not fit each other, or values that are no latencies.
    """
    return learn(sources, features, count=max(np.size(chosen), _LEAST_MEASURED)).predict(chosen, measured_ms)


def learn(sources: npt.ArrayLike, features: npt.ArrayLike | None, *, count: int = 10, seed: int = 0) -> Learned:
    """Learn from the sources how a device may differ, each of them being the new one in turn.

    Args:
        sources: `(n, d)` natural logarithms of ms, NaN where not measured.
        features: `(n, f)`, or None.
        count: How many networks of the new device will be measured.
        seed: Draws the networks of the trials.

    Raises:
        PlanError: No sources, networks about which nothing is known, values that are no numbers.
    """
    table, described = _checked_tables(sources, features)
    found = []
    for one in tabulate(table, described):
        error, scores = _trials(one, described, table, count, seed)
        width = float(np.quantile(scores, _COVERED)) if len(scores) else _STUDENT
        found.append(Learned(process=Process(one, described), error=error, width=width))
    return min(found, key=lambda one: np.nan_to_num(one.error))


def choose(sources: npt.ArrayLike, features: npt.ArrayLike | None, count: int, seed: int = 0) -> Indices:
    """Choose the networks to measure on a new device: those that leave the others least uncertain.

    One after another, each the one after whose measurement the mean variance of all the others is least (I-optimal).

    Args:
        sources: `(n, d)` natural logarithms of ms, NaN where not measured.
        features: `(n, f)`, or None.
        count: How many.
        seed: Draws the candidates where there are more than can be weighed against each other.

    Raises:
        PlanError: More networks asked for than there are, or tables that `learn` would refuse.
    """
    table, described = _checked_tables(sources, features)
    _check_count(count, len(table))
    process = Process(tabulate(table, described)[0], described)
    return _most_telling(process, np.arange(len(table)), count, seed)


def _most_telling(process: Process, among: Indices, count: int, seed: int) -> Indices:
    """Networks of `among` after whose measurement the mean variance of all of `among` is least, found greedily."""
    among = np.sort(np.random.default_rng(seed).permutation(among)[: max(_MOST_CANDIDATES, count)])
    covariance, noise = process.uncertainty(among)
    picked: list[int] = []
    for _ in range(count):
        gain = (covariance**2).sum(axis=0) / (np.diag(covariance) + noise)
        gain[picked] = -np.inf
        best = int(np.argmax(gain))
        picked.append(best)
        column = covariance[:, best]
        covariance = covariance - np.outer(column, column) / (column[best] + noise)
    return np.asarray(among[picked], np.intp)


def _trials(table: Table, features: Floats | None, log_ms: Floats, count: int, seed: int) -> tuple[float, Floats]:
    """Treat sources as new: the mean over them of the median |log error|, and all errors in deviations."""
    devices = table.smooth.shape[1]
    rng = np.random.default_rng(seed)
    errors, scores = [], []
    for device in rng.permutation(devices)[:_LEARN_DEVICES] if devices > 1 else ():
        process = Process(table.without(device), features)
        rows = np.flatnonzero(~np.isnan(log_ms[:, device]))
        for _ in range(_DRAWS if len(rows) > count else 0):
            order = rng.permutation(rows)
            chosen, asked = order[:count], order[count : count + _LEARN_ROWS]
            predicted, deviation = process.predict(chosen, np.exp(log_ms[chosen, device]), asked)
            off = np.abs(predicted - log_ms[asked, device])
            errors.append(np.median(off))
            scores.append(off / deviation)
    return float(np.mean(errors)) if errors else np.nan, np.concatenate(scores) if scores else np.zeros(0)


def _check_count(count: int, networks: int) -> None:
    if not 1 <= count <= networks:
        allowed = f"1 to {networks}, as many as there are networks"
        raise PlanError(four_parts("cannot choose so many networks", given=count, allowed=allowed, do="ask for fewer"))


def _checked_tables(sources: npt.ArrayLike, features: npt.ArrayLike | None) -> tuple[Floats, Floats | None]:
    """The sources and the features, standardised, if a prediction can be made from them."""
    table = np.asarray(sources, np.float64)
    if table.ndim != 2 or not table.shape[1] or np.isinf(table).any() or np.isnan(table).all(axis=0).any():
        given = f"shape {table.shape}, {int(np.isinf(table).sum())} infinite"
        allowed = "logarithms of ms, one row a network, one column a device that measured at least one of them"
        raise PlanError(
            four_parts("no table of other devices", given=given, allowed=allowed, do="leave the others out")
        )
    seen = np.asarray(~np.isnan(table).all(axis=1), np.bool_)
    if features is None:
        if not seen.all():
            given, do = f"{int((~seen).sum())} without", "leave those networks out or give features"
            allowed = "networks that at least one device measured, where there are no features"
            raise PlanError(four_parts("networks about which nothing is known", given=given, allowed=allowed, do=do))
        return table, None
    numbers = np.asarray(features, np.float64)
    if numbers.ndim != 2 or len(numbers) != len(table) or not np.isfinite(numbers).all():
        given = f"shape {numbers.shape} beside {len(table)} networks, {int((~np.isfinite(numbers)).sum())} not finite"
        allowed = "one row of finite numbers for each network"
        raise PlanError(four_parts("features that do not fit", given=given, allowed=allowed, do="fill or drop columns"))
    return table, standardised(numbers, seen)


def _checked_measurements(chosen: npt.ArrayLike, measured_ms: npt.ArrayLike, networks: int) -> tuple[Indices, Floats]:
    """The measurements, if they are latencies of different networks of the table."""
    at, ms = np.asarray(chosen), np.asarray(measured_ms, np.float64)
    if at.ndim != 1 or at.shape != ms.shape or len(at) < _LEAST_MEASURED or len(np.unique(at)) < len(at):
        given, allowed = f"{at.size} networks, {ms.size} latencies", "as many of both, different networks, at least two"
        raise PlanError(four_parts("measurements that do not fit", given=given, allowed=allowed, do="measure more"))
    if not np.issubdtype(at.dtype, np.integer) or at.min() < 0 or at.max() >= networks:
        given, allowed = f"{at.min()} to {at.max()}", f"whole numbers from 0 to {networks - 1}"
        raise PlanError(
            four_parts("no network of the table", given=given, allowed=allowed, do="give rows of the table")
        )
    if not (np.isfinite(ms).all() and (ms > 0).all()):
        given, allowed = f"{ms.min()} to {ms.max()} ms", "finite latencies above 0 ms"
        raise PlanError(four_parts("no latency", given=given, allowed=allowed, do="leave failed measurements out"))
    return at.astype(np.intp), ms
