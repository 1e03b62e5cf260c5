"""The rules by which claims are judged: equal values, the same order, a difference, no gain, a range."""

import dataclasses
import itertools
import math
from collections.abc import Sequence

from archlab.artifacts.rows import NEEDS_COMPUTE, Row
from archlab.artifacts.verdict import IN_SIGN, NOT_REPRODUCED, REPRODUCED, Check, by_count, pick

__all__ = ["Equal", "InRange", "Larger", "NotLarger", "SameOrder", "is_below"]

_ENOUGH_RUNS = 3


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Equal(Check):
    """Our values are the paper's, within `within` of it or half a unit of its last printed digit; texts are the same.

    In sign only where not all are, but all pairs of three or more numbers stand in the paper's order.
    """

    metric: str
    within: float = 0.02
    settings: tuple[str, ...] = ()

    def used(self, rows: Sequence[Row]) -> list[Row]:
        """Rows without a value of the paper do not count."""
        return _printed(rows, self.metric, self.settings)

    def weigh(self, used: Sequence[Row]) -> tuple[str, str]:
        """Compare row by row."""
        off = [row for row in used if not self._is_equal(row)]
        how = f"within {self.within:.0%} or the last digit" if _is_number(used[0].paper) else "the same"
        detail = f"{self.metric}: {len(used) - len(off)} of {len(used)} {how}"
        if not off:
            return REPRODUCED, detail
        worst = max(off, key=_distance)
        detail += f", furthest {worst.setting}: {_text(worst.ours)} for {_text(worst.paper)}"
        numbers = [row for row in used if _is_number(row.paper) and _is_number(row.ours)]
        right, pairs = _concordant(numbers, 0.0)
        is_ordered = len(numbers) == len(used) >= 3 and 0 < pairs == right
        return IN_SIGN if is_ordered else NOT_REPRODUCED, detail

    def _is_equal(self, row: Row) -> bool:
        if not (_is_number(row.paper) and _is_number(row.ours)):
            return row.paper == row.ours
        return abs(_number(row.ours) - _number(row.paper)) <= max(row.rounding, self.within * abs(_number(row.paper)))


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SameOrder(Check):
    """Pairs that lie more than `apart` from each other in the paper have the same order here.

    Reproduced when all have, in sign only when three quarters have. Where our intervals overlap a pair has no order.
    """

    metric: str
    apart: float = 0.05
    settings: tuple[str, ...] = ()

    def used(self, rows: Sequence[Row]) -> list[Row]:
        """Rows without a value of the paper do not count."""
        return _printed(rows, self.metric, self.settings)

    def weigh(self, used: Sequence[Row]) -> tuple[str, str]:
        """Count the pairs in order."""
        right, pairs = _concordant(used, self.apart)
        return by_count(right, pairs), f"{self.metric}: {right} of {pairs} pairs in the paper's order"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Larger(Check):
    """The metric of `more` is larger than that of `less`, in the paper by `by` (None: no size is confirmed).

    The sign counts where the 95 % interval of our difference excludes zero. The size counts where `by` is known and
    ours is within half of it or within the interval. A difference that is not told from zero is not reproduced, unless
    fewer than three seeds stand behind it: then it needs compute, as does a value of one seed without an interval.
    """

    metric: str
    more: str
    less: str
    by: float | None = None

    def used(self, rows: Sequence[Row]) -> list[Row]:
        """The two rows."""
        return pick(rows, self.metric, (self.more, self.less))

    def weigh(self, used: Sequence[Row]) -> tuple[str, str]:
        """Take the difference."""
        found, half, detail = _difference(*used)
        if half is None:
            return NEEDS_COMPUTE, f"{detail}, of one seed"
        if abs(found) <= half:
            return NOT_REPRODUCED if _has_enough(used) else NEEDS_COMPUTE, f"{detail}, not told from zero"
        if found < 0:
            return NOT_REPRODUCED, detail
        is_size = self.by is not None and abs(found - self.by) <= max(half, 0.5 * abs(self.by))
        return REPRODUCED if is_size else IN_SIGN, detail


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class NotLarger(Check):
    """The metric of `changed` is not larger than that of `than`: the change does not help.

    Not reproduced where the interval of our difference lies above zero; a gain within the interval counts as none when
    three seeds or more stand behind it, and needs compute before.
    """

    metric: str
    changed: str
    than: str

    def used(self, rows: Sequence[Row]) -> list[Row]:
        """The two rows."""
        return pick(rows, self.metric, (self.changed, self.than))

    def weigh(self, used: Sequence[Row]) -> tuple[str, str]:
        """Take the difference."""
        found, half, detail = _difference(*used)
        if half is None:
            return NEEDS_COMPUTE, f"{detail}, of one seed"
        if found > half:
            return NOT_REPRODUCED, detail
        if found > 0 and not _has_enough(used):
            return NEEDS_COMPUTE, f"{detail}, not told from zero"
        return REPRODUCED, detail


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class InRange(Check):
    """Every value of ours lies in the paper's range; in sign only where all lie above `neutral` at least."""

    metric: str
    low: float
    high: float
    neutral: float = 1.0
    settings: tuple[str, ...] = ()

    def used(self, rows: Sequence[Row]) -> list[Row]:
        """The rows of the settings, of all where none is named."""
        return pick(rows, self.metric, self.settings)

    def weigh(self, used: Sequence[Row]) -> tuple[str, str]:
        """Look at the smallest and the largest."""
        values = [_number(row.ours) for row in used]
        detail = f"{self.metric}: {min(values):.3g} to {max(values):.3g}, the paper's {self.low:g} to {self.high:g}"
        is_in = self.low <= min(values) and max(values) <= self.high
        return REPRODUCED if is_in else IN_SIGN if min(values) > self.neutral else NOT_REPRODUCED, detail


def _printed(rows: Sequence[Row], metric: str, settings: Sequence[str]) -> list[Row]:
    """The rows of a metric that have a value of the paper."""
    return [row for row in pick(rows, metric, settings) if row.paper is not None]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _number(value: object) -> float:
    assert isinstance(value, int | float), f"{value!r} is no number"
    return float(value)


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _distance(row: Row) -> float:
    if not (_is_number(row.paper) and _is_number(row.ours)):
        return math.inf
    return abs(_number(row.ours) / _number(row.paper) - 1) if row.paper else math.inf


def _concordant(rows: Sequence[Row], apart: float) -> tuple[int, int]:
    """Pairs in the paper's order, and pairs that have one there."""
    right = pairs = 0
    for a, b in itertools.combinations(rows, 2):
        low, high = sorted((a, b), key=lambda row: _number(row.paper))
        if _number(high.paper) - _number(low.paper) <= apart * abs(_number(low.paper)):
            continue
        pairs += 1
        right += is_below(low, high)
    return right, pairs


def is_below(low: Row, high: Row) -> bool:
    """Whether our value of `low` lies below that of `high`, with all of its interval where it has one."""
    ends = (low.ours_ci95 or (low.ours,) * 2)[1], (high.ours_ci95 or (high.ours,) * 2)[0]
    return _number(ends[0]) < _number(ends[1])


def _half(row: Row) -> float | None:
    """Half the interval's width; exact values have none, one seed has no interval."""
    if row.ours_ci95 is not None:
        return (row.ours_ci95[1] - row.ours_ci95[0]) / 2
    return None if row.runs is not None else 0.0


def _difference(more: Row, less: Row) -> tuple[float, float | None, str]:
    """The difference of two rows, half of its interval (None where a row is of one seed without one), both in words."""
    halves = _half(more), _half(less)
    found = _number(more.ours) - _number(less.ours)
    half = None if halves[0] is None or halves[1] is None else math.hypot(halves[0], halves[1])
    spread = f" ± {half:.2g}" if half else ""
    return found, half, f"{more.metric}: {more.setting} − {less.setting} = {found:+.3g}{spread} {more.unit}".rstrip()


def _has_enough(rows: Sequence[Row]) -> bool:
    return all(row.runs is None or row.runs >= _ENOUGH_RUNS for row in rows)
