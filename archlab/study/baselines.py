"""The published models beside a search: scored and timed with the same settings, in the search or out of its space.

What the search has evaluated already is taken over. On a measured device a model that its multiply-adds put absurdly
far over the budget is not timed; its latency is null and the reason stands beside it.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from archlab.errors import ArchlabError, DeviceChanged, DeviceUnreachable
from archlab.families import Published
from archlab.space import SearchSpace
from archlab.spec import ArchSpec
from archlab.study.plan import StudyPlan
from archlab.study.record import Evaluation, Record

__all__ = ["HOPELESS_FACTOR", "Judge", "compare"]

HOPELESS_FACTOR = 10.0
"""A model slower than this many budgets is not timed on a measured device."""


class Judge(Protocol):
    """Evaluates a published model."""

    def baseline(self, spec: ArchSpec, limit_ms: float) -> Evaluation:
        """Score and time a model, but leave out a latency that would be a multiple of `limit_ms`, with the reason."""


def compare(plan: StudyPlan, space: SearchSpace, judge: Judge, records: Sequence[Record]) -> Iterator[dict[str, Any]]:
    """Yield a row per published model of every family whose blocks the space uses, smallest first.

    Args:
        plan: What was asked.
        space: The space; it knows which families share its blocks.
        judge: Scores and times a model.
        records: The search so far; complete networks are taken over.
    """
    known = {r.digest: r.evaluation for r in records if r.state == "complete" and r.evaluation is not None}
    for row in sorted(space.baselines(), key=lambda row: (row.macs, row.name)):
        spec = row.spec
        evaluation = known.get(spec.digest)
        error = None
        if evaluation is None:
            try:
                evaluation = judge.baseline(spec, HOPELESS_FACTOR * plan.budget_ms)
            except (DeviceUnreachable, DeviceChanged):
                raise
            except (ArchlabError, RuntimeError) as trouble:
                error = " ".join(str(trouble).split())[:300]
        yield _row(row, spec, evaluation, error)


def _row(row: Published, spec: ArchSpec, evaluation: Evaluation | None, error: str | None) -> dict[str, Any]:
    values = {} if evaluation is None else evaluation.values
    ends = None if evaluation is None else evaluation.intervals.get("latency_ms")
    return {
        "model": row.name,
        "family": row.family,
        "digest": spec.digest,
        "resolution": spec.resolution,
        "score": values.get("score"),
        "latency_ms": values.get("latency_ms"),
        "latency_interval": None if ends is None else list(ends),
        "latency_source": None if evaluation is None else evaluation.sources.get("latency_ms"),
        "top1": row.top1,
        "macs": (evaluation and evaluation.macs) or row.macs,
        "params": (evaluation and evaluation.params) or row.params,
        "note": error or (None if evaluation is None else evaluation.skipped),
    }
