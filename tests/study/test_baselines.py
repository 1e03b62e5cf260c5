"""The published models beside a search."""

import dataclasses
from typing import Any

import pytest

from archlab import space
from archlab.errors import DeviceError
from archlab.families import published
from archlab.families.refit import Refit
from archlab.study.baselines import compare
from archlab.study.plan import StudyPlan
from archlab.study.record import Evaluation, Record

PLAN = StudyPlan(budget_ms=5.0, device="orin", space="edgenext")


def evaluation(latency: float) -> Evaluation:
    return Evaluation(
        values={"score": 1.0, "latency_ms": latency},
        sources={"score": "proxy:x", "latency_ms": "estimated:x@orin"},
        intervals={"latency_ms": (latency - 1, latency + 1)},
    )


class Judge:
    def __init__(self) -> None:
        self.asked: list[tuple[str, float]] = []

    def baseline(self, spec: Any, limit_ms: float) -> Evaluation:
        self.asked.append((spec.digest, limit_ms))
        if spec == published("edgenext_base").spec:
            raise DeviceError("it fell over\nbadly")
        if spec == published("convnext_xlarge").spec:
            return Evaluation(values={"score": 2.0}, sources={"score": "proxy:x"}, skipped="not timed: too slow")
        return evaluation(7.0)


def test_every_family_of_the_space_smallest_first() -> None:
    judge = Judge()
    xxs = published("edgenext_xx_small").spec
    known = Record(
        number=4, state="complete", digest=xxs.digest, spec=xxs, point={}, origin="sampled", evaluation=evaluation(3.0),
        violations={}, seconds=0.0, seed=0,
    )  # fmt: skip
    rows = {row["model"]: row for row in compare(PLAN, space.load("edgenext"), judge, [known])}
    assert {row["family"] for row in rows.values()} == {"edgenext", "convnext"}
    assert list(rows) == sorted(rows, key=lambda name: (rows[name]["macs"], name))
    assert rows["edgenext_xx_small"]["latency_ms"] == 3.0  # taken over
    assert xxs.digest not in {digest for digest, _ in judge.asked}
    assert rows["edgenext_xx_small"]["top1"] == published("edgenext_xx_small").top1
    assert rows["edgenext_small"]["latency_interval"] == [6.0, 8.0]
    assert rows["edgenext_small"]["latency_source"] == "estimated:x@orin"
    assert {limit for _, limit in judge.asked} == {50.0}


def test_what_failed_or_was_not_timed_says_why() -> None:
    rows = {row["model"]: row for row in compare(PLAN, space.load("edgenext"), Judge(), [])}
    assert (rows["edgenext_base"]["latency_ms"], rows["edgenext_base"]["note"]) == (None, "it fell over badly")
    assert rows["convnext_xlarge"]["score"] == 2.0
    assert rows["convnext_xlarge"]["latency_ms"] is None
    assert rows["convnext_xlarge"]["note"] == "not timed: too slow"


@pytest.mark.parametrize("name", ["convnext", "efficientvit_mit"])
def test_families_follow_the_blocks(name: str) -> None:
    plan = PLAN.replace(space=name)
    families = {row["family"] for row in compare(plan, space.load(name), Judge(), [])}
    assert name in families
    assert "efficientvit_msra" not in families


def test_models_fitted_to_small_images_have_the_costs_of_those() -> None:
    refit = Refit(resolution=32, stem_divisor=2, classes=10)

    class Small(Judge):
        def baseline(self, spec: Any, limit_ms: float) -> Evaluation:
            return dataclasses.replace(super().baseline(spec, limit_ms), macs=16, params=3)

    rows = [*compare(PLAN, space.load("edgenext").at(refit), Small(), [])]
    assert {(row["resolution"], row["macs"], row["params"]) for row in rows} == {(32, 16, 3)}
    assert {row["digest"] for row in rows if row["model"] == "edgenext_small"} == {
        refit.of(published("edgenext_small").spec).digest
    }
