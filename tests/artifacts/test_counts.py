"""The artifacts that only count, against numbers that were counted elsewhere."""

import pytest
import torch

from archlab.artifacts import ARTIFACTS
from archlab.artifacts.artifact import Outcome, reproduce
from archlab.artifacts.bench import Bench
from archlab.artifacts.mit_table1 import SETTINGS, cost, network
from archlab.artifacts.rows import Row
from archlab.artifacts.verdict import IN_SIGN, NEEDS_MEANS, REPRODUCED

MILLIONS = {"EdgeNeXt-XXS": 1.327216, "EdgeNeXt-XS": 2.336804, "EdgeNeXt-S": 5.586832, "EdgeNeXt-B": 18.511292}
GIGA = {"EdgeNeXt-XXS": 0.2579, "EdgeNeXt-XS": 0.5332, "EdgeNeXt-S": 1.2532, "EdgeNeXt-S@224": 0.9596}
MOBILEVIT_GIGA = {"MobileViT-XXS": 0.4074, "MobileViT-XS": 1.0259, "MobileViT-S": 2.0008}
MIT_GIGA = {"EfficientViT-B1 r256": 0.6769, "EfficientViT-L2 r384": 20.3988, "EfficientViT-L3 r288": 45.5724}
"""Convolutions and products, counted by fvcore on the authors' or timm's networks."""


def run(name: str) -> tuple[Outcome, dict[tuple[str, str], Row]]:
    outcome = reproduce(ARTIFACTS[name], Bench())
    return outcome, {(row.setting, row.metric): row for row in outcome.rows}


def test_edgenext_table1() -> None:
    outcome, rows = run("edgenext_table1")
    assert rows["EdgeNeXt-S", "widths"].ours == rows["EdgeNeXt-S", "widths"].paper == "48/96/160/304"
    assert rows["EdgeNeXt-XXS", "SDTA encoders"].ours == "0/1/1/1"
    assert outcome.verdict == REPRODUCED


def test_edgenext_table2() -> None:
    outcome, rows = run("edgenext_table2")
    for setting, millions in MILLIONS.items():
        assert rows[setting, "params"].ours == pytest.approx(millions, abs=1e-6)
    for setting, giga in (GIGA | MOBILEVIT_GIGA).items():
        assert rows[setting, "macs"].ours == pytest.approx(giga, abs=5e-5)
    assert {finding.verdict for finding in outcome.findings[:3]} == {REPRODUCED}
    assert outcome.verdict == IN_SIGN, "MobileViT's printed multiply-adds are another count"


def test_without_timm_the_rows_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from archlab.artifacts import bench
    from archlab.errors import PlanError

    def refuse(name: str) -> None:
        raise PlanError("timm is not installed; given: no module 'timm'; allowed: all else; install it")

    monkeypatch.setattr(bench.timm_gate, "create", refuse)
    outcome, rows = run("edgenext_table2")
    assert rows["MobileViT-S", "macs"].ours is None
    assert outcome.verdict == NEEDS_MEANS
    assert "timm for mobilevit_xs: timm is not installed" in outcome.because


def test_mit_table2() -> None:
    outcome, rows = run("mit_table2")
    assert len(rows) == 40
    for setting, giga in MIT_GIGA.items():
        assert rows[setting, "macs"].ours == pytest.approx(giga, abs=5e-5)
    assert outcome.verdict == REPRODUCED


def test_mit_table1_has_equal_multiply_adds() -> None:
    outcome, rows = run("mit_table1")
    both = rows["both", "macs"].ours
    assert both == pytest.approx(4.39, abs=0.005)
    assert rows["both", "params"].ours == pytest.approx(0.707, abs=0.0005)
    for setting in SETTINGS:
        assert rows[setting, "macs"].ours == pytest.approx(both, rel=0.005)
        assert rows[setting, "mIoU"].ours is None
    assert (outcome.verdict, outcome.because) == (NEEDS_MEANS, "Cityscapes, for the mIoU")


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_segmentation_networks_run(setting: str) -> None:
    module = network(setting).eval()
    kernels = [len(part.aggreg) for part in module.modules() if type(part).__name__ == "LinearAttention"]
    assert kernels == {"both": [1] * 4, "global attention only": [0] * 4}.get(setting, [])
    with torch.no_grad():
        assert module(torch.empty(1, 3, 128, 256, device="meta")).shape == (1, 19, 16, 32)
    assert cost(setting).params == sum(p.numel() for p in module.parameters())
