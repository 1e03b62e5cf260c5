"""The artifacts that measure, with times made by hand; and what they say where nothing is measured."""

from collections.abc import Callable, Sequence

import pytest
import torch

from archlab.artifacts import ARTIFACTS
from archlab.artifacts.artifact import reproduce
from archlab.artifacts.bench import NO_DEVICE, Bench, of_spec
from archlab.artifacts.mit_fig4 import WIDTH, attention
from archlab.artifacts.verdict import IN_SIGN, NEEDS_MEANS, NOT_REPRODUCED, REPRODUCED
from archlab.device.catalog import DEVICES, Device, RunSpec
from archlab.device.runtime import Workload
from archlab.device.turns import Turn
from archlab.errors import DeviceError, DeviceUnreachable
from archlab.families import published

CPU = DEVICES["cpu"]


class Timer:
    """Takes for each network the ms that `ms_of` says of its place; remembers the runs."""

    def __init__(self, ms_of: Callable[[int, RunSpec], float]) -> None:
        self.ms_of = ms_of
        self.runs: list[RunSpec] = []

    def __call__(self, works: Sequence[Workload], device: Device, run: RunSpec) -> list[Turn]:
        self.runs.append(run)
        return [_turn(self.ms_of(i, run)) for i in range(len(works))]


def _turn(ms: float, quality: str = "ok") -> Turn:
    return Turn(median_ms=ms, ci95_ms=(0.99 * ms, 1.01 * ms), n=50, quality=quality)


@pytest.fixture(autouse=True)
def unwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks are not exported: the timer by hand never looks at them."""
    from archlab.artifacts import bench

    monkeypatch.setattr(bench.Net, "workload", lambda net, run: None)


def test_nothing_is_measured_without_a_device() -> None:
    nets = {"a": of_spec(published("edgenext_xx_small").spec)}
    assert Bench().times(nets) == {"a": {"lack": NO_DEVICE}}
    outcome = reproduce(ARTIFACTS["edgenext_table3"], Bench())
    assert (outcome.verdict, outcome.because) == (NEEDS_MEANS, "no device was named to measure on")


def test_a_time_has_its_source_and_its_quality() -> None:
    bench = Bench(device=CPU, options={"threads": 2}, timer=lambda works, device, run: [_turn(3.0, "noisy")])
    fields = bench.times({"a": of_spec(published("edgenext_xx_small").spec)}, batch=4)["a"]
    assert fields["ours"] == 3.0
    assert fields["ours_ci95"] == pytest.approx((2.97, 3.03))
    assert fields["ours_source"] == "measured:ort@cpu, noisy"


def test_edgenext_table3_judges_the_order() -> None:
    """In the order EdgeNeXt XXS XS S, MobileViT XXS XS S: the Nano's own times, and the opposite."""
    papers = [19.3, 31.6, 48.8, 21.0, 35.1, 53.0]
    bench = Bench(device=CPU, timer=Timer(lambda i, run: papers[i]))
    outcome = reproduce(ARTIFACTS["edgenext_table3"], bench)
    verdicts = [finding.verdict for finding in outcome.findings]
    assert verdicts == [IN_SIGN] * 3 + [REPRODUCED, IN_SIGN]
    slow = Bench(device=CPU, timer=Timer(lambda i, run: 60.0 - papers[i]))
    assert reproduce(ARTIFACTS["edgenext_table3"], slow).verdict == NOT_REPRODUCED
    row = next(row for row in outcome.rows if row.metric == "latency (paper: A100)")
    assert (row.setting, row.paper, row.unit, row.ours) == ("EdgeNeXt-XXS", 0.142, "ms", 19.3)


def test_edgenext_fig3_measures_on_every_runtime_that_is_there() -> None:
    def timer(works: Sequence[Workload], device: Device, run: RunSpec) -> list[Turn]:
        if run.runtime == "openvino":
            raise DeviceError("OpenVINO is not installed; given: x; allowed: y; do z")
        return [_turn(2.0 if i % 2 == 0 else 1.0) for i in range(len(works))]

    outcome = reproduce(ARTIFACTS["edgenext_fig3"], Bench(device=CPU, timer=timer))
    lack = next(row.lack for row in outcome.rows if row.metric == "latency, openvino")
    assert lack is not None
    assert lack.what == "the runtime openvino: OpenVINO is not installed"
    faster = outcome.findings[0]
    assert faster.verdict == REPRODUCED
    assert "9 of 9 pairs of size and runtime (ort, torch, torch_compiled)" in faster.detail


@pytest.mark.parametrize(("runtime", "alone"), [("ort", 0), ("torch_compiled", 2)])
def test_compiled_networks_run_one_after_the_other(runtime: str, alone: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch keeps one compiled network at a time: a second one would drop the first in the middle of the turns."""
    from archlab.artifacts import bench

    seen: list[str] = []
    monkeypatch.setattr(bench, "in_turns", lambda works, device, run: seen.append("turns") or [_turn(1.0)] * len(works))
    monkeypatch.setattr(bench, "_alone", lambda work, device, run: seen.append("alone") or _turn(1.0))
    net = of_spec(published("edgenext_xx_small").spec)
    found = Bench(device=CPU).times({"a": net, "b": net}, runtime=runtime)
    assert [fields["ours"] for fields in found.values()] == [1.0, 1.0]
    assert seen.count("alone") == alone


def test_edgenext_fig3_on_one_runtime() -> None:
    timer = Timer(lambda i, run: 1.0 if i % 2 == 0 else 2.0)
    bench = Bench(device=CPU, options={"runtime": "torch"}, timer=timer)
    assert reproduce(ARTIFACTS["edgenext_fig3"], bench).findings[0].verdict == NOT_REPRODUCED
    assert [run.runtime for run in timer.runs] == ["torch"]


def test_a_device_that_is_not_there_is_refused() -> None:
    def timer(works: Sequence[Workload], device: Device, run: RunSpec) -> list[Turn]:
        raise DeviceUnreachable("nothing answers")

    with pytest.raises(DeviceUnreachable):
        reproduce(ARTIFACTS["edgenext_fig3"], Bench(device=CPU, timer=timer))


def test_mit_fig4_divides_softmax_by_linear() -> None:
    outcome = reproduce(
        ARTIFACTS["mit_fig4"], Bench(device=CPU, timer=Timer(lambda i, run: 4.0 if i % 2 == 0 else 1.0))
    )
    ratios = [row for row in outcome.rows if row.metric == "speed-up"]
    assert {row.ours for row in ratios} == {4.0}
    assert ratios[0].ours_ci95 == pytest.approx((3.96 / 1.01, 4.04 / 0.99))
    assert outcome.verdict == REPRODUCED
    (whole,) = (row for row in outcome.rows if row.metric == "speed-up range")
    assert (whole.paper, whole.ours) == ("3.3-4.5", "4.0-4.0")


def test_the_two_attentions_take_equal_multiply_adds_where_the_artifact_says_so() -> None:
    """By hand: 4·C² N of the 1×1 convolutions, and 2·N²·C for softmax, 2·N·(d + 1)·C for linear attention."""
    rows = {(r.setting, r.metric): r.ours for r in reproduce(ARTIFACTS["mit_fig4"], Bench()).rows}
    for side, dim in ((14, 16), (32, 16), (8, 64)):
        n = side * side
        name = f"map {side}×{side}" if dim == 16 else f"map {side}×{side}, heads of {dim}"
        assert rows[name, "softmax macs"] == (4 * WIDTH**2 * n + 2 * n * n * WIDTH) / 1e6
        assert rows[name, "ReLU linear macs"] == (4 * WIDTH**2 * n + 2 * n * (dim + 1) * WIDTH) / 1e6


@pytest.mark.parametrize("kind", ["softmax", "ReLU linear"])
def test_the_attentions_keep_the_map(kind: str) -> None:
    assert attention(kind, 6, 32)(torch.rand(1, WIDTH, 6, 6)).shape == (1, WIDTH, 6, 6)
