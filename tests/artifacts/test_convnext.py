"""ConvNeXt's table and roadmap: FLOPs against formulas written out here, and what is not judged."""

from collections.abc import Mapping
from typing import Any

import pytest

from archlab.artifacts import ARTIFACTS
from archlab.artifacts.artifact import Outcome, reproduce
from archlab.artifacts.bench import Bench, Net
from archlab.artifacts.checks import Equal, Larger
from archlab.artifacts.verdict import REPRODUCED
from archlab.model.check import check

DEPTHS = {"t": ((3, 4, 6, 3), (3, 3, 9, 3)), "b": ((3, 24, 36, 3), (3, 3, 27, 3))}
WIDTHS = {"t": (64, 64, 96), "b": (64, 84, 128)}
NAMES = {"t": "ResNet-50 regime", "b": "ResNet-200 regime"}


@pytest.fixture(scope="module")
def roadmap() -> Outcome:
    return reproduce(ARTIFACTS["convnext_roadmap"], Bench())


def bottlenecks(depths: tuple[int, ...], width: int, *, patches: bool, depthwise: bool) -> int:
    """1×1 to the width, k = 3 with the stride, 1×1 to four times it; a projection in each stage's first block."""
    macs = 56 * 56 * 16 * 3 * width if patches else 112 * 112 * 49 * 3 * width
    ins, side = width, 56
    for i, depth in enumerate(depths):
        for b in range(depth):
            inner, out = width << i, 4 * (width << i)
            low = side // 2 if i and not b else side
            macs += side * side * ins * inner + low * low * (9 * inner * (1 if depthwise else inner) + inner * out)
            macs += 0 if b else low * low * ins * out
            ins, side = out, low
    return macs + ins * 1000


def inverted(depths: tuple[int, ...], width: int, *, kernel: int = 3, is_first: bool = False) -> int:
    """1×1 to four times the outgoing width, k×k, 1×1 back; with `is_first` the k×k before both, on the way in."""
    macs, ins, side = 56 * 56 * 16 * 3 * width, width, 56
    for i, depth in enumerate(depths):
        for b in range(depth):
            out, low = width << i, side // 2 if i and not b else side
            if is_first:
                macs += low * low * (kernel**2 * ins + 4 * out * ins + 4 * out * out)
            else:
                macs += side * side * ins * 4 * out + low * low * (kernel**2 * 4 * out + 4 * out * out)
            macs += low * low * ins * out if ins != out else 0
            ins, side = out, low
    return macs + ins * 1000


def flops(outcome: Outcome, regime: str) -> list[float]:
    """Ours by step, in G."""
    rows = [row for row in outcome.rows if row.metric == "FLOPs" and row.setting.startswith(NAMES[regime])]
    return [float(row.ours or 0) for row in rows]


@pytest.mark.parametrize("regime", ["t", "b"])
def test_steps_count_as_their_formulas(roadmap: Outcome, regime: str) -> None:
    (old, new), (start, middle, last) = DEPTHS[regime], WIDTHS[regime]
    wanted: Mapping[int, int] = {
        1: bottlenecks(old, start, patches=False, depthwise=False),
        3: bottlenecks(new, middle, patches=True, depthwise=False),
        4: bottlenecks(new, middle, patches=True, depthwise=True),
        5: bottlenecks(new, last, patches=True, depthwise=True),
        6: inverted(new, last),
        7: inverted(new, last, is_first=True),
        8: inverted(new, last, kernel=5, is_first=True),
        11: inverted(new, last, kernel=11, is_first=True),
        15: inverted(new, last, kernel=7, is_first=True),
    }
    ours = flops(roadmap, regime)
    assert len(ours) == 17
    assert {step: round(ours[step] * 1e9) for step in wanted} == dict(wanted)


def test_every_printed_step_but_one_is_ours(roadmap: Outcome) -> None:
    """The swap of norms, 4.46 G as printed, stays at the 4.15 G of the step before and is judged by no claim."""
    judged = [finding for finding in roadmap.findings if "FLOPs" in finding.claim]
    assert [finding.verdict for finding in judged] == [REPRODUCED, REPRODUCED]
    (swap,) = [r for r in roadmap.rows if (r.metric, r.setting) == ("FLOPs", "ResNet-50 regime: BN->LN")]
    assert (swap.paper, round(float(swap.ours or 0), 2)) == (4.46, 4.15)
    assert swap.note.startswith("not judged")
    (equal, _) = [rule for rule in ARTIFACTS["convnext_roadmap"].checks if isinstance(rule, Equal)]
    assert len(equal.settings) == 16
    assert swap.setting not in equal.settings
    assert round(flops(roadmap, "t")[16], 2) == 4.46


def test_accuracy_claims_are_the_printed_differences() -> None:
    """Table 10: 79.51 with patches, 78.28 depthwise; 80.62 with GELU, 81.27 with fewer activations."""
    claims = {rule.claim: rule for rule in ARTIFACTS["convnext_roadmap"].checks if isinstance(rule, Larger)}
    assert claims["ResNet-50 regime: depthwise 3x3 convolution costs accuracy"].by == pytest.approx(1.23)
    assert claims["ResNet-50 regime: fewer activations gains accuracy"].by == pytest.approx(0.65)
    assert all(rule.by is not None and rule.by >= 0.5 for rule in claims.values())


def test_small_networks_build() -> None:
    for spec in ARTIFACTS["convnext_roadmap"].small.values():
        check(spec)
        assert (spec.resolution, spec.classes) == (64, 50)


def test_sizes_of_table_1() -> None:
    """ConvNeXt-XL has 350,196,968 parameters and 60.92 G at 224 px, as instantiated on the authors' code."""
    outcome = reproduce(ARTIFACTS["convnext_table1"], Bench())
    ours = {(row.setting, row.metric): row.ours for row in outcome.rows}
    assert ours["ConvNeXt-XL 224 22K", "params"] == pytest.approx(350.196968)
    assert ours["ConvNeXt-XL 224 22K", "FLOPs"] == pytest.approx(60.921, abs=5e-4)
    assert [finding.verdict for finding in outcome.findings][:2] == [REPRODUCED, REPRODUCED]


def test_large_networks_are_timed_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """34 steps are 32 networks, since a recipe changes none; six of them are held ready at once."""
    asked: list[int] = []

    def times(self: Bench, nets: Mapping[str, Net], **options: Any) -> dict[str, dict[str, Any]]:
        asked.append(len(nets))
        return {name: {"ours": 1.0, "ours_source": "by hand"} for name in nets}

    monkeypatch.setattr(Bench, "times", times)
    outcome = reproduce(ARTIFACTS["convnext_roadmap"], Bench())
    assert (max(asked), sum(asked)) == (6, 32)
    assert [row.ours for row in outcome.rows if row.metric == "latency"] == [1.0] * 34
