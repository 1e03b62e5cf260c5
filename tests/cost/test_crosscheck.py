"""Three counters on the same networks: where they agree, and the gaps that are known."""

import logging
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archlab.cost.crosscheck import FVCORE_GAPS, Tally, compare
from archlab.families import published
from archlab.model.build import build

SOME = [
    "edgenext_xx_small",
    "convnext_atto",
    "efficientvit_b0",
    pytest.param("efficientvit_m0", marks=pytest.mark.slow),
    pytest.param("edgenext_small_bn_hs", marks=pytest.mark.slow),
]


class Fused(nn.Module):
    """One fused attention layer on 28×28 tokens of width 96."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(96, 288)
        self.proj = nn.Linear(96, 96)

    def forward(self, x_BNC: Tensor) -> Tensor:
        q, k, v = self.qkv(x_BNC).reshape(1, 784, 3, 4, 24).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(1, 784, 96)
        out: Tensor = self.proj(mixed)
        return out


def by_group(module: nn.Module, *shape: int) -> dict[str, Tally]:
    return {line.group: line for line in compare(module, shape)}


@pytest.mark.parametrize("name", SOME)
def test_all_three_agree_on_convolutions_and_products(name: str) -> None:
    row = published(name)
    lines = by_group(build(row.spec, device="meta"), 1, 3, row.resolution, row.resolution)
    for group in ("convolution", "product"):
        assert lines[group].ours == lines[group].fvcore == lines[group].torch > 0
    assert lines["convolution"].ours + lines["product"].ours == row.macs
    assert set(lines) - {"convolution", "product"} <= set(FVCORE_GAPS)
    assert all(lines[group].ours == lines[group].torch == 0 for group in set(lines) & {"norm", "pool"})


@pytest.mark.parametrize(("norm", "times"), [(nn.BatchNorm2d(8), 2), (nn.GroupNorm(2, 8), 5)])
def test_fvcore_counts_norms_and_pooling(norm: nn.Module, times: int) -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 1), norm, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(8))
    lines = by_group(module, 2, 3, 6, 6)
    elems = 2 * 8 * 36
    assert lines["norm"] == Tally(group="norm", ours=0, fvcore=times * elems + 5 * 16, torch=0)
    assert lines["pool"] == Tally(group="pool", ours=0, fvcore=elems, torch=0)
    assert lines["convolution"] == Tally(group="convolution", ours=3 * elems, fvcore=3 * elems, torch=3 * elems)


def test_fvcore_loses_fused_attention() -> None:
    linear = 784 * 96 * 288 + 784 * 96 * 96
    (line,) = compare(Fused(), (1, 784, 96))
    assert line == Tally(group="product", ours=146_915_328, fvcore=linear, torch=146_915_328)
    assert line.ours - line.fvcore == 2 * 784 * 784 * 96


def test_gaps_are_stated_in_words() -> None:
    assert set(FVCORE_GAPS) == {"norm", "pool", "product"}
    assert all("we count" in words for words in FVCORE_GAPS.values())


def test_comparing_is_quiet_and_leaves_the_module_alone(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Hardswish())
    before = [p.clone() for p in module.parameters()]
    level = logging.getLogger("fvcore").level
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compare(module, (1, 3, 8, 8))
    assert module.training
    assert all(torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))
    assert logging.getLogger("fvcore").level == level
    assert not caplog.records
    assert capsys.readouterr().out == ""
