"""EfficientViT-MSRA's tables and figures: golden counts, the paper's rows, rules on times made by hand."""

import dataclasses
from collections.abc import Sequence

import pandas as pd
import pytest

from archlab.analysis import Conditions, Finding, Subject
from archlab.artifacts import ARTIFACTS, memory, msra_fig2
from archlab.artifacts.artifact import Outcome, reproduce
from archlab.artifacts.bench import Bench
from archlab.artifacts.checks import Larger
from archlab.artifacts.msra_ablation import ONNX, real, small
from archlab.artifacts.msra_table1 import shape_of
from archlab.artifacts.msra_table6 import SETTINGS
from archlab.artifacts.rows import Row
from archlab.artifacts.throughput import per_second, times_as_fast
from archlab.artifacts.verdict import IN_SIGN, NEEDS_MEANS, NOT_REPRODUCED, REPRODUCED
from archlab.device.catalog import Device, RunSpec, device
from archlab.device.runtime import Workload
from archlab.device.turns import Turn
from archlab.errors import DeviceUnreachable
from archlab.families import published
from archlab.model.build import build, check


def timed(name: str, times_ms: Sequence[float]) -> Outcome:
    """Run an artifact again with times made by hand, in the order in which it asks."""
    left = list(times_ms)

    def timer(works: Sequence[Workload], place: Device, run: RunSpec) -> list[Turn]:
        taken = [left.pop(0) for _ in works]
        return [Turn(median_ms=ms, ci95_ms=(0.999 * ms, 1.001 * ms), n=30, quality="ok") for ms in taken]

    return reproduce(ARTIFACTS[name], Bench(device=device("cpu"), timer=timer))


def row_of(rows: Sequence[Row], setting: str, metric: str) -> Row:
    (row,) = [row for row in rows if (row.setting, row.metric) == (setting, metric)]
    return row


def verdicts(outcome: Outcome) -> dict[str, str]:
    return {finding.claim: finding.verdict for finding in outcome.findings}


def test_the_architectures_are_the_papers() -> None:
    outcome = reproduce(ARTIFACTS["msra_table1"], Bench())
    assert outcome.verdict == REPRODUCED
    assert len(outcome.rows) == 18
    assert list(shape_of(published("efficientvit_m5").spec).values()) == ["192/288/384", "1/3/4", "3/3/4"]


def test_counts_are_the_printed_ones() -> None:
    """Golden: instantiated on the authors' code, M0 2,349,436 and 79.2 M, M5 at 384 px 12,475,232 and 1485.5 M."""
    rows = reproduce(ARTIFACTS["msra_table2"], Bench()).rows
    assert row_of(rows, "EfficientViT-M0", "params").ours == pytest.approx(2.349436)
    assert row_of(rows, "EfficientViT-M0", "macs").ours == pytest.approx(0.0792, abs=5e-5)
    assert row_of(rows, "EfficientViT-M5 r384", "params").ours == pytest.approx(12.475232)
    assert row_of(rows, "EfficientViT-M5 r384", "macs").ours == pytest.approx(1.4855, abs=5e-5)
    assert row_of(rows, "EfficientViT-M5", "throughput beside a V100's").paper == 10621.0


@pytest.mark.slow
def test_the_order_of_throughputs_is_judged() -> None:
    """M0 to M5 of growing times are in the V100's order; two neighbours exchanged leave 13 of 14 pairs of it."""
    rising = verdicts(timed("msra_table2", [10, 20, 30, 40, 50, 60]))
    mixed = verdicts(timed("msra_table2", [10, 30, 20, 40, 50, 60]))
    (claim,) = [claim for claim in rising if "V100" in claim]
    assert rising[claim] == REPRODUCED
    assert mixed[claim] == IN_SIGN


def test_images_a_second_out_of_milliseconds() -> None:
    """16 images in 100 ms are 160 a second; the interval's ends change places."""
    fields = per_second({"ours": 100.0, "ours_ci95": (80.0, 128.0), "ours_source": "measured:ort@cpu"}, 16)
    assert fields["ours"] == pytest.approx(160)
    assert fields["ours_ci95"] == pytest.approx((125, 200))
    assert fields["ours_source"] == "measured:ort@cpu, batch 16"


def test_times_as_fast_as_another() -> None:
    """8 ms (7.9 to 8.2) over 2 ms (1.9 to 2.1); a mark on either time stays."""
    slow = {"ours": 8.0, "ours_ci95": (7.9, 8.2), "ours_source": "measured:ort@cpu, noisy"}
    fast = {"ours": 2.0, "ours_ci95": (1.9, 2.1), "ours_source": "measured:ort@cpu"}
    found = times_as_fast(slow, fast)
    assert (found["ours"], found["ours_ci95"]) == (4.0, pytest.approx((7.9 / 2.1, 8.2 / 1.9)))
    assert found["ours_source"] == "measured:ort@cpu, noisy"
    assert times_as_fast(slow, {"lack": "no device"}) == {"lack": "no device"}


def test_rows_of_table_6() -> None:
    """Eleven settings; without trained networks and a device everything but the counts lacks."""
    outcome = reproduce(ARTIFACTS["msra_table6"], Bench())
    assert list(SETTINGS) == list(range(1, 12))
    assert row_of(outcome.rows, SETTINGS[11], ONNX).paper == 87.5
    assert row_of(outcome.rows, SETTINGS[1], "macs").ours == pytest.approx(0.299308544)
    assert {row.lack is None for row in outcome.rows if row.metric in ("params", "macs")} == {True}
    assert not {finding.verdict for finding in outcome.findings} & {REPRODUCED, IN_SIGN, NOT_REPRODUCED}


@pytest.mark.slow
def test_speeds_of_table_6_are_judged_by_their_sign() -> None:
    """Row 7 a little slower than row 1 as printed, row 5 faster against the paper; 11 rows, row 1 at 100 ms."""
    found = verdicts(timed("msra_table6", [100, 90, 90, 90, 95, 99, 105, 90, 99, 104, 120]))
    speeds = {claim[:3].strip(): verdict for claim, verdict in found.items() if "ONNX Runtime on a CPU" in claim}
    assert speeds == {"#5": NOT_REPRODUCED, "#7": IN_SIGN, "#10": IN_SIGN, "#11": IN_SIGN}


def test_small_networks_build() -> None:
    """The stem leaves 8×8 positions; every network of the artifacts is one that can be built."""
    assert small().strides == (4, 8, 16)
    assert small().resolution == 32
    assert [stage.entry.kind for stage in small(10).stages] == [stage.entry.kind for stage in real().stages]
    for name in ("msra_table6", "msra_fig7", "msra_fig3"):
        for spec in ARTIFACTS[name].small.values():
            check(spec)
    assert build(small(), device="meta").spec == small()


def test_widths_of_fig_7() -> None:
    """M4's last stage: 384 channels, 4 heads; 0.4 of 96 rounds to 38 and 1.2 to 115."""
    specs = {setting: spec.stages[2] for setting, spec in ARTIFACTS["msra_fig7"].small.items()}
    assert len(specs) == 10
    dims = [next(b.value_dim for b in specs[f"V dim ratio {r}"].blocks if b.heads) for r in ("0.4", "1.0", "1.2")]
    assert dims == [round(48 * 0.4), None, round(48 * 1.2)]


def test_the_memory_bound_share_is_the_analysis_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """0.15 (0.14 to 0.16) are 15 % (14 to 16), whichever kind a row is of."""
    whole = {"memory_share": 0.15, "memory_low": 0.14, "memory_high": 0.16, "source": "measured:torch@cpu"}
    asked: list[Conditions] = []

    def analysed(subject: Subject, conditions: Conditions) -> Finding:
        asked.append(conditions)
        rows = pd.DataFrame([{"kind": "conv", **whole}, {"kind": "norm", **whole}])
        return Finding(name="memory_bound", model=subject.name, rows=rows, sentence="", draw=lambda: None)

    monkeypatch.setattr(memory, "memory_bound", analysed)
    bench = Bench(device=device("cpu"), options={"threads": 1, "runtime": "ort"})
    found = memory.memory_share(bench, "m0", published("efficientvit_m0").spec, "torch")
    assert (found["ours"], found["ours_ci95"]) == (pytest.approx(15.0), pytest.approx((14.0, 16.0)))
    assert found["ours_source"] == "measured:torch@cpu"
    assert (asked[0].run.runtime, asked[0].run.threads) == ("torch", 1)


@pytest.mark.parametrize("name", ["msra_fig2", "msra_table2"])
def test_an_estimate_is_no_measurement(name: str) -> None:
    """A share of an estimated device has no interval: taken for exact, it would judge the claims."""
    with pytest.raises(DeviceUnreachable, match="device 'orin' cannot be measured"):
        reproduce(ARTIFACTS[name], Bench(device=device("orin")))


def test_without_pytorch_no_other_runtime_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    fused = {"ours": 20.0, "ours_ci95": (19.0, 21.0), "ours_source": "measured:trtexec@board"}
    monkeypatch.setattr(msra_fig2, "memory_share", lambda *_: fused)
    board = dataclasses.replace(device("cpu"), name="board", backends=("trtexec",))
    outcome = reproduce(ARTIFACTS["msra_fig2"], Bench(device=board))
    assert {row.ours for row in outcome.rows if row.metric.endswith("PyTorch")} == {None}
    assert {row.ours for row in outcome.rows if row.metric.endswith("fused")} == {20.0}
    assert (outcome.verdict, outcome.because) == (NEEDS_MEANS, "a device that runs PyTorch without compilation")


def test_claims_of_fig_3_are_the_figures() -> None:
    """Swin-T-1.5x: 75.9 at 20 %, 65.6 without attention, 71.9 at one half, 64.6 of attention alone."""
    claims = {claim.claim: claim for claim in ARTIFACTS["msra_fig3"].checks if isinstance(claim, Larger)}
    assert len(claims) == 12
    sizes = [claims[f"Swin-T-1.5x: 20% of attention is better than {share}"].by for share in ("0%", "50%", "100%")]
    assert sizes == pytest.approx([10.3, 4.0, 11.3])
