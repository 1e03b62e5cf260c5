"""What came out of a search: the front over distinct networks, the best under budget, the published ones beside it."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from archlab.pareto import nondominated
from archlab.study.objective import OBJECTIVES
from archlab.study.plan import StudyPlan
from archlab.study.record import Record

__all__ = ["Progress", "StudyResult", "best", "distinct", "front", "progress", "row", "summarise"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class StudyResult:
    """The answer of a search, with the keys of ``archlab search --json``.

    `trials` counts networks told, `unique` distinct ones among them, `feasible` distinct ones that meet the budget;
    `best` is the digest of the feasible network with the highest score, None if there is none; `is_finished` is False
    after an interrupt.
    """

    study: str
    out: str
    device: str
    budget_ms: float
    trials: int
    feasible: int
    unique: int
    failed: int
    skipped: int
    seconds: float
    best: str | None
    front: tuple[dict[str, Any], ...]
    baselines: tuple[dict[str, Any], ...]
    is_finished: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts and lists, ready for JSON."""
        return dataclasses.asdict(self) | {"front": list(self.front), "baselines": list(self.baselines)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a search is: `trials` is None where only minutes count; `left_s` None while nothing can be said."""

    phase: str
    done: int
    trials: int | None
    feasible: int
    failed: int
    skipped: int
    seconds: float
    left_s: float | None
    best: Record | None
    last: Record | None


def distinct(records: Sequence[Record]) -> list[Record]:
    """The first record of every network, in order."""
    seen: dict[str, Record] = {}
    for record in records:
        if record.digest is not None and record.digest not in seen:
            seen[record.digest] = record
    return list(seen.values())


def front(records: Sequence[Record], objectives: Sequence[str]) -> list[Record]:
    """The distinct feasible networks that no other dominates, fastest first; ties stay, all of them."""
    feasible = [record for record in distinct(records) if record.is_feasible]
    values = np.array([[_value(record, name) for name in objectives] for record in feasible], dtype=float)
    mask = nondominated(values.reshape(len(feasible), len(objectives)), _directions(objectives))
    chosen = [record for record, keep in zip(feasible, mask, strict=True) if keep]
    return sorted(chosen, key=lambda record: (_value(record, "latency_ms"), record.number))


def best(records: Sequence[Record]) -> Record | None:
    """The feasible network with the highest score; of equals the faster, then the earlier one."""
    feasible = [record for record in distinct(records) if record.is_feasible]
    return max(feasible, key=lambda r: (_value(r, "score"), -_value(r, "latency_ms"), -r.number), default=None)


def row(record: Record) -> dict[str, Any]:
    """The line of a network in ``front`` and in ``run.json``."""
    evaluation = record.evaluation
    assert evaluation is not None
    ends = evaluation.intervals.get("latency_ms")
    return {
        "digest": record.digest,
        "score": evaluation.values.get("score"),
        "latency_ms": evaluation.values.get("latency_ms"),
        "latency_interval": None if ends is None else list(ends),
        "latency_source": evaluation.sources.get("latency_ms"),
        "macs": evaluation.macs,
        "params": evaluation.params,
        "number": record.number,
        "origin": record.origin,
    }


def summarise(
    plan: StudyPlan,
    out: Path,
    records: Sequence[Record],
    *,
    seconds: float,
    baselines: Sequence[dict[str, Any]],
    is_finished: bool,
) -> StudyResult:
    """Put the answer together from the records; the records are the truth, nothing is remembered beside them."""
    networks = distinct(records)
    winner = best(records)
    return StudyResult(
        study=out.name,
        out=str(out),
        device=plan.device,
        budget_ms=plan.budget_ms,
        trials=len(records),
        feasible=sum(record.is_feasible for record in networks),
        unique=len(networks),
        failed=sum(record.state == "failed" for record in records),
        skipped=sum(record.state == "skipped" for record in records),
        seconds=round(seconds, 3),
        best=None if winner is None else winner.digest,
        front=tuple(row(record) for record in front(records, plan.objectives)),
        baselines=tuple(baselines),
        is_finished=is_finished,
    )


def progress(plan: StudyPlan, records: Sequence[Record], *, seconds: float, session: int, phase: str) -> Progress:
    """Tell how far a search is.

    Args:
        plan: What was asked.
        records: Everything so far.
        seconds: Wall time of this run.
        session: How many of the records this run made; the time left is judged by their pace.
        phase: What is going on, in one word.
    """
    spent = sum(record.seconds for record in records)
    left = []
    if plan.trials is not None and session > 0:
        left.append(max(plan.trials - len(records), 0) * seconds / session)
    if plan.minutes is not None:
        left.append(max(plan.minutes * 60 - spent, 0.0))
    return Progress(
        phase=phase,
        done=len(records),
        trials=plan.trials,
        feasible=sum(record.is_feasible for record in distinct(records)),
        failed=sum(record.state == "failed" for record in records),
        skipped=sum(record.state == "skipped" for record in records),
        seconds=seconds,
        left_s=min(left, default=None),
        best=best(records),
        last=records[-1] if records else None,
    )


def _value(record: Record, name: str) -> float:
    assert record.evaluation is not None
    return record.evaluation.values[name]


def _directions(objectives: Sequence[str]) -> tuple[bool, ...]:
    return tuple(OBJECTIVES[name].is_maximised for name in objectives)
