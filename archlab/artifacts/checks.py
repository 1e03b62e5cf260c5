"""The rules by which claims are judged: equal values, the same order, a difference, no gain, a range."""

import dataclasses
import itertools
import math
from collections.abc import Sequence

from archlab.artifacts.rows import NEEDS_COMPUTE, Row
from archlab.artifacts.verdict import IN_SIGN, NOT_REPRODUCED, REPRODUCED, Finding, missing, pick

__all__ = ["Equal", "InRange", "Larger", "NotLarger", "SameOrder", "is_below"]

_ENOUGH_RUNS = 3
_MOSTLY = 0.75


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Equal:
    """Our values are the paper's, within `within` of it or half a unit of its last printed digit; texts are the same.

    In sign only where not all are, but all pairs of three or more numbers stand in the paper's order.
    """

    claim: str
    metric: str
    within: float = 0.02
    settings: tuple[str, ...] = ()

    def judge(self, rows: Sequence[Row]) -> Finding:
        """Compare row by row; rows without a value of the paper do not count."""
        used = [row for row in pick(rows, self.metric, self.settings) if row.paper is not None]
        gap = missing(self.claim, used)
        if gap is not None:
            return gap
        off = [row for row in used if not self._is_equal(row)]
        how = f"within {self.within:.0%} or the last digit" if _is_number(used[0].paper) else "the same"
        detail = f"{self.metric}: {len(used) - len(off)} of {len(used)} {how}"
        if not off:
            return Finding(claim=self.claim, verdict=REPRODUCED, detail=detail)
        worst = max(off, key=_distance)
        detail += f", furthest {worst.setting}: {_text(worst.ours)} for {_text(worst.paper)}"
        numbers = [row for row in used if _is_number(row.paper) and _is_number(row.ours)]
        right, pairs = _concordant(numbers, 0.0)
        is_ordered = len(numbers) == len(used) >= 3 and right == pairs
        return Finding(claim=self.claim, verdict=IN_SIGN if is_ordered else NOT_REPRODUCED, detail=detail)

    def _is_equal(self, row: Row) -> bool:
        if not (_is_number(row.paper) and _is_number(row.ours)):
            return row.paper == row.ours
        return abs(_number(row.ours) - _number(row.paper)) <= max(row.rounding, self.within * abs(_number(row.paper)))


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SameOrder:
    """Pairs that lie more than `apart` from each other in the paper have the same order here.

    Reproduced when all have, in sign only when three quarters have. Where our intervals overlap a pair has no order.
    """

    claim: str
    metric: str
    apart: float = 0.05
    settings: tuple[str, ...] = ()

    def judge(self, rows: Sequence[Row]) -> Finding:
        """Count the pairs in order."""
        used = [row for row in pick(rows, self.metric, self.settings) if row.paper is not None]
        gap = missing(self.claim, used)
        if gap is not None:
            return gap
        right, pairs = _concordant(used, self.apart)
        detail = f"{self.metric}: {right} of {pairs} pairs in the paper's order"
        if pairs and right == pairs:
            verdict = REPRODUCED
        else:
            verdict = IN_SIGN if pairs and right >= _MOSTLY * pairs else NOT_REPRODUCED
        if verdict == REPRODUCED and any(row.is_small_scale for row in used):
            verdict = IN_SIGN
        return Finding(claim=self.claim, verdict=verdict, detail=detail)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Larger:
    """The metric of `more` is larger than that of `less`, in the paper by `by` (None: no size is confirmed).

    The sign counts where the 95 % interval of our difference excludes zero. The size counts at the paper's scale, where
    `by` is known and ours is within half of it or within the interval. A difference that is not told from zero is not
    reproduced, unless fewer than three seeds stand behind it: then it needs compute, as does a value of one seed.
    """

    claim: str
    metric: str
    more: str
    less: str
    by: float | None = None

    def judge(self, rows: Sequence[Row]) -> Finding:
        """Take the difference."""
        more, less = pick(rows, self.metric, (self.more, self.less))
        gap = missing(self.claim, (more, less))
        if gap is not None:
            return gap
        found, half = _difference(more, less)
        detail = _told(found, half, more, less)
        if half is None:
            return Finding(claim=self.claim, verdict=NEEDS_COMPUTE, detail=f"{detail}, of one seed")
        if abs(found) <= half:
            verdict = NOT_REPRODUCED if _has_enough(more, less) else NEEDS_COMPUTE
            return Finding(claim=self.claim, verdict=verdict, detail=f"{detail}, not told from zero")
        if found < 0:
            return Finding(claim=self.claim, verdict=NOT_REPRODUCED, detail=detail)
        is_small = more.is_small_scale or less.is_small_scale
        is_size = self.by is not None and abs(found - self.by) <= max(half, 0.5 * abs(self.by))
        return Finding(claim=self.claim, verdict=REPRODUCED if is_size and not is_small else IN_SIGN, detail=detail)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class NotLarger:
    """The metric of `changed` is not larger than that of `than`: the change does not help.

    Not reproduced where the interval of our difference lies above zero; a gain within the interval counts as none when
    three seeds or more stand behind it, and needs compute before. At small scale in sign only.
    """

    claim: str
    metric: str
    changed: str
    than: str

    def judge(self, rows: Sequence[Row]) -> Finding:
        """Take the difference."""
        changed, than = pick(rows, self.metric, (self.changed, self.than))
        gap = missing(self.claim, (changed, than))
        if gap is not None:
            return gap
        found, half = _difference(changed, than)
        detail = _told(found, half, changed, than)
        if half is None:
            return Finding(claim=self.claim, verdict=NEEDS_COMPUTE, detail=f"{detail}, of one seed")
        if found > half:
            return Finding(claim=self.claim, verdict=NOT_REPRODUCED, detail=detail)
        if found > 0 and not _has_enough(changed, than):
            return Finding(claim=self.claim, verdict=NEEDS_COMPUTE, detail=f"{detail}, not told from zero")
        is_small = changed.is_small_scale or than.is_small_scale
        return Finding(claim=self.claim, verdict=IN_SIGN if is_small else REPRODUCED, detail=detail)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class InRange:
    """Every value of ours lies in the paper's range; in sign only where all lie above `neutral` at least."""

    claim: str
    metric: str
    low: float
    high: float
    neutral: float = 1.0
    settings: tuple[str, ...] = ()

    def judge(self, rows: Sequence[Row]) -> Finding:
        """Look at the smallest and the largest."""
        used = pick(rows, self.metric, self.settings)
        gap = missing(self.claim, used)
        if gap is not None:
            return gap
        values = [_number(row.ours) for row in used]
        detail = f"{self.metric}: {min(values):.3g} to {max(values):.3g}, the paper's {self.low:g} to {self.high:g}"
        is_in = self.low <= min(values) and max(values) <= self.high
        verdict = REPRODUCED if is_in else IN_SIGN if min(values) > self.neutral else NOT_REPRODUCED
        return Finding(claim=self.claim, verdict=verdict, detail=detail)


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


def _difference(more: Row, less: Row) -> tuple[float, float | None]:
    """The difference of two rows and half of its interval, None where a row is of one seed."""
    halves = _half(more), _half(less)
    found = _number(more.ours) - _number(less.ours)
    if halves[0] is None or halves[1] is None:
        return found, None
    return found, math.hypot(halves[0], halves[1])


def _told(found: float, half: float | None, more: Row, less: Row) -> str:
    spread = "" if not half else f" ± {half:.2g}"
    return f"{more.metric}: {more.setting} − {less.setting} = {found:+.3g}{spread} {more.unit}".rstrip()


def _has_enough(*rows: Row) -> bool:
    return all(row.runs is None or row.runs >= _ENOUGH_RUNS for row in rows)
