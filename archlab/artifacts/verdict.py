"""Which verdict do rows give? Every claim is judged by a stated rule; the artifact's verdict follows from its claims.

A claim gets one of five words:

- reproduced: our values say what the paper says, within the rule's tolerance;
- reproduced in sign only: the direction or the order is the paper's, the size is not, or is not comparable. What was
  trained at small scale reaches this word at most;
- not reproduced: the direction is another one, or our values do not tell it from zero;
- needs data or a device we do not have; needs compute: a value of ours is missing, for the reason that its row gives.

The artifact has the first word of `RANK` that one of its claims has: a contradiction weighs most, then what is missing.
"""

import abc
import dataclasses
from collections.abc import Sequence

from archlab.artifacts.rows import NEEDS_COMPUTE, NEEDS_MEANS, Row

__all__ = [
    "IN_SIGN",
    "NOT_REPRODUCED",
    "RANK",
    "REPRODUCED",
    "Check",
    "Finding",
    "because",
    "by_count",
    "missing",
    "overall",
    "pick",
]

REPRODUCED = "reproduced"
IN_SIGN = "reproduced in sign only"
NOT_REPRODUCED = "not reproduced"

RANK = (NOT_REPRODUCED, NEEDS_MEANS, NEEDS_COMPUTE, IN_SIGN, REPRODUCED)
"""The five words; the first that a claim has is the artifact's."""
_MOSTLY = 0.75


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A judged claim: its sentence, its verdict, and the numbers that gave it."""

    claim: str
    verdict: str
    detail: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Check(abc.ABC):
    """A claim of the paper in one sentence, and the rule that judges it."""

    claim: str

    def judge(self, rows: Sequence[Row]) -> Finding:
        """Apply the rule to the artifact's rows; where one of its rows has no value of ours, that is the finding."""
        used = self.used(rows)
        assert used, f"no row to judge by: {self.claim}"
        gap = missing(self.claim, used)
        if gap is not None:
            return gap
        verdict, detail = self.weigh(used)
        if verdict == REPRODUCED and any(row.is_small_scale for row in used):
            verdict = IN_SIGN
        return Finding(claim=self.claim, verdict=verdict, detail=detail)

    @abc.abstractmethod
    def used(self, rows: Sequence[Row]) -> list[Row]:
        """The rows that the claim is about."""

    @abc.abstractmethod
    def weigh(self, used: Sequence[Row]) -> tuple[str, str]:
        """The rule on rows that all have a value of ours: the verdict, and the numbers that gave it."""


def by_count(right: int, of: int) -> str:
    """Reproduced when all are right, in sign only when three quarters are."""
    assert of, "a claim that nothing can contradict"
    return REPRODUCED if right == of else IN_SIGN if right >= _MOSTLY * of else NOT_REPRODUCED


def overall(findings: Sequence[Finding]) -> str:
    """The artifact's verdict: the first word of `RANK` among its findings."""
    assert findings, "an artifact makes a claim"
    words = {finding.verdict for finding in findings}
    return next(word for word in RANK if word in words)


def because(findings: Sequence[Finding]) -> str:
    """The details of the findings that decided, each once."""
    word = overall(findings)
    return "; ".join(dict.fromkeys(finding.detail for finding in findings if finding.verdict == word))


def pick(rows: Sequence[Row], metric: str, settings: Sequence[str] = ()) -> list[Row]:
    """The rows of a metric, all of them or those of some settings in their order.

    Raises:
        KeyError: If a setting has no such row.
    """
    found = {row.setting: row for row in rows if row.metric == metric}
    return [found[setting] for setting in settings] if settings else list(found.values())


def missing(claim: str, rows: Sequence[Row]) -> Finding | None:
    """The finding for rows without a value of ours, None where all have one; what means lack outweighs compute."""
    lacks = [row.lack for row in rows if row.ours is None]
    if not lacks:
        return None
    known = [lack for lack in lacks if lack is not None]
    assert len(known) == len(lacks), "a row without our value says why"
    verdict = next(word for word in RANK if word in {lack.verdict for lack in known})
    what = dict.fromkeys(lack.what for lack in known if lack.verdict == verdict)
    return Finding(claim=claim, verdict=verdict, detail=", ".join(what))
