import random
from typing import Any

import pytest

from archlab import space
from archlab.cost.count import CostReport, count
from archlab.cost.trace import trace
from archlab.families import published
from archlab.study.grow import AIM, grown, is_late, room
from archlab.study.plan import StudyPlan
from archlab.study.record import Evaluation, Record

PLAN = StudyPlan(budget_ms=10.0, device="cpu", space="edgenext", trials=10)
SPACE = space.load("edgenext")
SPEC = published("edgenext_x_small").spec


def cost(spec: Any) -> CostReport:
    return count(trace(spec))


def record(upper_ms: float, **changes: Any) -> Record:
    evaluation = Evaluation(
        values={"latency_ms": upper_ms - 0.1, "score": 1.0},
        sources={"latency_ms": "measured:ort@cpu", "score": "proxy:x"},
        intervals={"latency_ms": (upper_ms - 0.2, upper_ms)},
        macs=cost(SPEC).macs,
        params=cost(SPEC).params,
    )
    fields: dict[str, Any] = {
        "number": 0, "state": "complete", "digest": SPEC.digest, "spec": SPEC, "point": None, "origin": "sampled",
        "evaluation": evaluation, "violations": {"latency_ms": upper_ms - 10.0}, "seconds": 6.0, "seed": 0,
    }  # fmt: skip
    return Record(**(fields | changes))


def test_room_is_what_the_best_leaves_unused() -> None:
    assert room([record(7.0)], PLAN)
    assert not room([record(9.8)], PLAN)
    assert not room([], PLAN)
    assert not room([record(11.0)], PLAN)  # nothing keeps the budget: there is nothing to grow


def test_it_is_late_after_two_fifths() -> None:
    assert not is_late([record(7.0)] * 3, PLAN)
    assert is_late([record(7.0)] * 4, PLAN)
    by_time = StudyPlan(budget_ms=10.0, device="cpu", minutes=1.0)
    assert not is_late([record(7.0)] * 3, by_time)
    assert is_late([record(7.0)] * 4, by_time)  # 24 of 60 s


def test_a_grown_network_fills_the_budget_by_its_multiply_adds() -> None:
    found = grown(SPACE, [record(7.0)], PLAN, cost, random.Random(0))
    assert found is not None
    point, parent = found
    child = SPACE.decode(point)
    assert parent == SPEC.digest
    assert child.digest != SPEC.digest
    assert AIM[0] * 10.0 <= 7.0 * cost(child).macs / cost(SPEC).macs <= AIM[1] * 10.0


@pytest.mark.parametrize("seed", range(8))
def test_a_grown_network_is_larger_in_multiply_adds_and_no_smaller_in_parameters(seed: int) -> None:
    found = grown(SPACE, [record(9.6)], PLAN, cost, random.Random(seed))
    assert found is not None
    child = cost(SPACE.decode(found[0]))
    assert child.macs > cost(SPEC).macs
    assert child.params >= cost(SPEC).params


def test_nothing_grows_from_nothing() -> None:
    assert grown(SPACE, [], PLAN, cost, random.Random(0)) is None
    assert grown(SPACE, [record(11.0)], PLAN, cost, random.Random(0)) is None


def test_a_network_tried_before_is_not_grown_again(monkeypatch: pytest.MonkeyPatch) -> None:
    point, _ = grown(SPACE, [record(7.0)], PLAN, cost, random.Random(0)) or ({}, "")
    child = SPACE.decode(point)
    tried = record(12.0, digest=child.digest, spec=child)
    again = grown(SPACE, [record(7.0), tried], PLAN, cost, random.Random(0))
    assert again is None or SPACE.decode(again[0]).digest != child.digest
