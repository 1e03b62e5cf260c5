"""Does the device stay what it was? One model is measured again and again through a study, and tells two things.

How far the machine drifts: where a reading lies more than 3 % from the middle of those before, it waits for calm and
reads once more; what is still off marks the networks measured since, and is drift, not spread. And how far two
measurements of one network lie apart, at other moments and in other processes: far more than the interval within one
measurement says. A latency's interval in a study is therefore the one that holds the median of a *second* measurement,
and that is the interval which must lie within the budget.
"""

import dataclasses
import json
import math
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from archlab.files import append_line

__all__ = [
    "ANCHOR",
    "DRIFT_SHARE",
    "EVERY",
    "PRIOR_SHARE",
    "Anchor",
    "Reading",
    "read",
    "repeat_interval",
    "spread_share",
    "steady_ms",
    "usual_ms",
]

ANCHOR = "edgenext_xx_small"
EVERY = 20
"""The anchor is measured before the first network, after so many, and at the end."""

DRIFT_SHARE = 0.03
PRIOR_SHARE = 0.015
"""How far two measurements lie apart as a share (standard deviation), before the anchor tells."""

_PRIOR_WEIGHT = 4.0
_SIGMAS = 2.0
_COOL_DOWN_S = 5.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """One measurement of the anchor after so many networks; `drift` is its distance from those before, as a share."""

    after: int
    ms: float
    drift: float

    @property
    def is_steady(self) -> bool:
        """True where the window before it can be trusted."""
        return abs(self.drift) <= DRIFT_SHARE


class Anchor:
    """Reads the anchor when it is due and keeps the readings in a file, one JSON line each.

    Args:
        path: The file; what it holds from an earlier run counts.
        measure: Measures the anchor, in ms; None where nothing is measured.
        told: Is told the spread after every reading.
        sleep: Waits so many seconds.
    """

    def __init__(
        self,
        path: Path,
        measure: Callable[[], float | None],
        told: Callable[[float], object],
        *,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._path, self._measure, self._told, self._sleep = path, measure, told, sleep
        self.readings = list(read(path))
        if self.readings:
            told(self.spread)

    @property
    def spread(self) -> float:
        """Standard deviation between measurements of one network, as a share."""
        return spread_share(steady_ms(self.readings))

    def check(self, after: int, *, is_end: bool = False, is_due: bool = False) -> None:
        """Measure the anchor if it is due after so many networks; at the end it is due unless just measured."""
        last = self.readings[-1].after if self.readings else None
        if not is_due and last is not None and after - last < (1 if is_end else EVERY):
            return
        ms = self._calm_ms()
        if ms is None:
            return
        found = Reading(after=after, ms=ms, drift=self._drift(ms))
        self.readings.append(found)
        append_line(self._path, json.dumps(dataclasses.asdict(found)))
        self._told(self.spread)

    def _calm_ms(self) -> float | None:
        """Measure; a reading that drifts gets a second chance after a while, and the nearer of the two counts."""
        ms = self._measure()
        if ms is None or abs(self._drift(ms)) <= DRIFT_SHARE:
            return ms
        self._sleep(_COOL_DOWN_S)
        again = self._measure()
        return ms if again is None else min(ms, again, key=lambda x: abs(self._drift(x)))

    def _drift(self, ms: float) -> float:
        before = [reading.ms for reading in self.readings]
        return ms / statistics.median(before) - 1 if before else 0.0


def steady_ms(readings: Sequence[Reading]) -> list[float]:
    """The times of the readings that mark no drift, in ms."""
    return [reading.ms for reading in readings if reading.is_steady]


def usual_ms(readings: Sequence[Reading]) -> float | None:
    """What the anchor takes on this device when it is calm, in ms: the median of the steady readings."""
    return statistics.median(steady_ms(readings)) if readings else None


def spread_share(times_ms: Sequence[float]) -> float:
    """Estimate the spread between measurements, as a share: the prior, or more where the anchor says so.

    The prior counts as much as four deviations of the logarithms (a scaled inverse chi-square). It is never gone
    below: larger networks need more of the caches and the memory than the anchor, and vary more.
    """
    if len(times_ms) < 2:
        return PRIOR_SHARE
    logs = [math.log(ms) for ms in times_ms]
    middle = statistics.fmean(logs)
    squares = _PRIOR_WEIGHT * PRIOR_SHARE**2 + sum((x - middle) ** 2 for x in logs)
    return max(PRIOR_SHARE, math.sqrt(squares / (_PRIOR_WEIGHT + len(logs) - 1)))


def repeat_interval(ms: float, ci95_ms: tuple[float, float], spread: float, *, times: int = 1) -> tuple[float, float]:
    """Bound the median of one more measurement, in ms: about 95 times of 100 it lies within.

    Args:
        ms: Mean of the medians measured so far.
        ci95_ms: The interval of the median within one measurement.
        spread: Standard deviation between measurements, as a share.
        times: How often it was measured.
    """
    within = (ci95_ms[1] - ci95_ms[0]) / 2
    between = _SIGMAS * spread * ms * math.sqrt(1 + 1 / times)
    half = math.hypot(within, between)
    return ms - half, ms + half


def read(path: Path) -> tuple[Reading, ...]:
    """Give the readings of earlier runs; a line that a kill cut off is passed over."""
    if not path.exists():
        return ()
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row: dict[str, Any] = json.loads(line)
            found.append(Reading(after=int(row["after"]), ms=float(row["ms"]), drift=float(row["drift"])))
        except (ValueError, KeyError, TypeError):
            continue
    return tuple(found)
