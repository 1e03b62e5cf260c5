"""What moves beside the latency, and which words that makes."""

import importlib
from typing import Any

import pytest
from torch import nn

from archlab.analysis import ANALYSES, Conditions, Subject
from archlab.analysis.sensitivity import Cost, cost, why
from archlab.cost.count import count
from archlab.cost.trace import trace
from archlab.device.catalog import RunSpec, device, run_for
from archlab.device.comparison import Comparison
from archlab.errors import PlanError
from archlab.families import published

ROOM: Any = importlib.import_module("archlab.analysis.sensitivity")  # the package has a function of that name
BASE = Cost(macs=100, params=10, traffic=1000, quiet=100, kernels=50)


def changed(**fields: float) -> Cost:
    return Cost(**{**{name: getattr(BASE, name) for name in Cost.__slots__}, **fields})


def subject(name: str = "edgenext_xx_small") -> Subject:
    row = published(name)
    return Subject(name=name, module=nn.Identity(), resolution=256, spec=row.spec, family=row.family)


def test_where_both_move_alike_there_is_nothing_to_explain() -> None:
    assert why(0.2, "slower", BASE, changed(macs=120)) == ""
    assert why(0.001, "level", BASE, changed(macs=102)) == ""


def test_a_latency_that_moves_alone_goes_with_what_moves_the_same_way() -> None:
    said = why(-0.3, "faster", BASE, changed(kernels=40, traffic=1100, quiet=50))
    assert said == "MACs +0.0 %: it goes with kernels -20.0 %, traffic of kernels without MACs -50.0 %"


def test_a_latency_that_moves_against_the_macs_is_explained_too() -> None:
    assert why(0.1, "slower", BASE, changed(macs=90, kernels=60)) == "MACs -10.0 %: it goes with kernels +20.0 %"


def test_nothing_is_made_up_where_no_count_moves() -> None:
    said = why(0.1, "slower", BASE, BASE)
    assert said.startswith("MACs +0.0 %: kernels +0.0 %, memory traffic +0.0 %")
    assert said.endswith("do not say so; kernels of the same size take another time (another function or shape)")


def test_macs_that_move_alone() -> None:
    said = why(0.0, "level", BASE, changed(macs=70, traffic=950))
    assert said == "MACs -30.0 %, but kernels +0.0 %, memory traffic -5.0 %, traffic of kernels without MACs +0.0 %"


def test_costs_are_those_of_the_counter() -> None:
    spec = published("edgenext_xx_small").spec
    found, report = cost(spec, RunSpec(runtime="torch")), count(trace(spec))
    assert (found.macs, found.params) == (report.macs, report.params)
    assert found.kernels > cost(spec, RunSpec(runtime="trtexec")).kernels


def test_estimated_changes() -> None:
    place = device("orin")
    conditions = Conditions(place=place, run=run_for(place), knobs=("norm", "position"), proxy="params")
    found = ANALYSES["sensitivity"].run(subject(), conditions)
    rows: Any = found.rows.set_index(["knob", "place"])
    assert list(found.rows.ms_change.abs()) == sorted(found.rows.ms_change.abs(), reverse=True)
    norm: Any = rows.loc[("norm", "network")]
    assert (norm.before, norm.after, norm.verdict) == ("ln", "bn", "faster")
    assert (norm.macs_change, norm.score_source, norm.source) == (0, "proxy:params", "estimated:roofline@orin")
    assert norm.kernels_change < 0
    assert norm.why.startswith("MACs +0.0 %: it goes with kernels -")
    assert found.rows.low.isna().all()
    assert ("position", "stage 1") in rows.index
    assert found.sentence.startswith("Of 4 changes to edgenext_xx_small, norm ln → bn (-")
    assert "measured" not in found.sentence
    assert found.plot().axes[0].get_xlabel() == "change of the MACs (%)"


@pytest.mark.parametrize(
    ("ratio", "ends", "verdict"),
    [
        (1.2, (1.1, 1.3), "slower"),
        (0.9, (0.85, 0.95), "faster"),
        (1.05, (0.99, 1.1), "level"),
        (1.004, (1.001, 1.007), "level"),
    ],
)
def test_measured_changes_are_pairs(
    ratio: float, ends: tuple[float, float], verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[RunSpec] = []

    def compared(a: object, b: object, place: object, run: RunSpec) -> Comparison:
        asked.append(run)
        return Comparison(ratio=ratio, ci95=ends, a_ms=2 * ratio, b_ms=2.0, pairs=30)

    monkeypatch.setattr(ROOM, "compare", compared)
    monkeypatch.setattr(ROOM, "workload", lambda *_: object())
    place = device("cpu")
    conditions = Conditions(place=place, run=run_for(place, runtime="torch"), knobs=("norm",), proxy="params")
    (row,) = ANALYSES["sensitivity"].run(subject(), conditions).rows.to_dict("records")
    assert row["ms_change"] == pytest.approx(ratio - 1)
    assert (row["low"], row["high"]) == pytest.approx((ends[0] - 1, ends[1] - 1))
    assert (row["verdict"], row["source"], row["ms"]) == (verdict, "measured:torch@cpu", 2 * ratio)
    assert asked[0].runtime == "torch"


def test_a_network_without_a_spec() -> None:
    place = device("orin")
    foreign = Subject(name="mine", module=nn.Identity(), resolution=32)
    with pytest.raises(
        PlanError, match="sensitivity changes the spec of a network, and mine has none; given: Identity"
    ):
        ANALYSES["sensitivity"].run(foreign, Conditions(place=place, run=run_for(place)))


def test_knobs_that_the_network_does_not_have() -> None:
    place = device("orin")
    with pytest.raises(
        PlanError, match="convnext_atto has none of these knobs; given: splits; allowed: knobs that its"
    ):
        ANALYSES["sensitivity"].run(
            subject("convnext_atto"), Conditions(place=place, run=run_for(place), knobs=("splits",))
        )
