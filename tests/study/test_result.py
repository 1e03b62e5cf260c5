"""Fronts, bests and progress worked out by hand."""

from pathlib import Path
from typing import Any

import pytest

from archlab.families import all_published
from archlab.study.plan import StudyPlan
from archlab.study.record import Evaluation, Record
from archlab.study.result import best, distinct, front, progress, summarise

SPECS = [row.spec for row in all_published()[:6]]
PLAN = StudyPlan(budget_ms=10.0, device="orin", trials=10)


def record(number: int, score: float, latency: float, *, spec: int | None = None, **changes: Any) -> Record:
    arch = SPECS[number if spec is None else spec]
    evaluation = Evaluation(
        values={"score": score, "latency_ms": latency},
        sources={"score": "proxy:x", "latency_ms": "estimated:x@orin"},
        intervals={"latency_ms": (latency - 1, latency + 1)},
        macs=1,
        params=2,
    )
    base = Record(
        number=number, state="complete", digest=arch.digest, spec=arch, point={}, origin="sampled",
        evaluation=evaluation, violations={"latency_ms": latency + 1 - 10}, seconds=2.0, seed=0,
    )  # fmt: skip
    return base.replace(**changes)


RECORDS = [
    record(0, 5.0, 4.0),  # on the front
    record(1, 6.0, 6.0),  # on the front, and the best
    record(2, 5.0, 5.0),  # beaten by 0
    record(3, 9.0, 9.5),  # over the budget at its upper end
    record(4, 6.0, 6.0),  # a tie with 1
    record(5, 5.0, 4.0, spec=0, origin="repeat of 0"),
]


def test_the_front_holds_distinct_feasible_networks_and_ties() -> None:
    assert [r.number for r in front(RECORDS, ("score", "latency_ms"))] == [0, 1, 4]


def test_a_third_objective_widens_the_front() -> None:
    extra = [r.replace(evaluation=Evaluation(
        values={**r.evaluation.values, "params": float(10 - r.number)}, sources=r.evaluation.sources
    )) for r in RECORDS[:3] if r.evaluation is not None]  # fmt: skip
    assert [r.number for r in front(extra, ("score", "latency_ms", "params"))] == [0, 2, 1]


def test_the_best_of_equals_is_the_faster_then_the_earlier() -> None:
    winner = best(RECORDS)
    assert winner is not None
    assert winner.number == 1
    assert best([*RECORDS, record(5, 6.0, 5.5)]) == record(5, 6.0, 5.5)
    assert best([RECORDS[3]]) is None
    assert front([RECORDS[3]], ("score", "latency_ms")) == []


def test_counts(tmp_path: Path) -> None:
    failed = RECORDS[2].replace(state="failed", evaluation=None, violations={})
    result = summarise(
        PLAN, tmp_path / "study", [*RECORDS[:2], failed, *RECORDS[3:]], seconds=1.23456, baselines=[], is_finished=True
    )
    assert (result.trials, result.unique, result.feasible, result.failed, result.skipped) == (6, 5, 3, 1, 0)
    assert result.best == SPECS[1].digest
    assert set(result.to_dict()) >= {
        "study", "out", "device", "budget_ms", "trials", "feasible", "unique", "seconds", "best", "front", "baselines",
    }  # fmt: skip
    assert set(result.front[0]) >= {"digest", "score", "latency_ms", "latency_source", "macs", "params"}


def test_distinct_keeps_the_first() -> None:
    assert [r.number for r in distinct(RECORDS)] == [0, 1, 2, 3, 4]


def test_the_time_left_follows_the_pace_of_this_run() -> None:
    """Six of ten are done, three of them in this run's 12 s: four more take 16 s."""
    told = progress(PLAN, RECORDS, seconds=12.0, session=3, phase="search")
    assert told.left_s == pytest.approx(16.0)
    assert (told.done, told.feasible, told.best) == (6, 4, RECORDS[1])
    assert progress(PLAN, RECORDS, seconds=1.0, session=0, phase="search").left_s is None
    timed = PLAN.replace(trials=None, minutes=0.5)
    assert progress(timed, RECORDS, seconds=1.0, session=0, phase="search").left_s == pytest.approx(30 - 12)
