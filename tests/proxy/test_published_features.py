"""The row of numbers, counted by hand on a tiny network."""

import math

import pytest
import torch
from torch import Tensor, nn

from archlab.cost.trace import trace
from archlab.families import published
from archlab.proxy.published_features import NAMES, described


class Tiny(nn.Module):
    """A stem to half the side, a gated residual depthwise block, a strided layer, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.mix = nn.Conv2d(8, 8, 5, padding=2, groups=8, bias=False)
        self.gate = nn.Conv2d(8, 8, 1)
        self.down = nn.Conv2d(8, 16, 1, stride=2, bias=False)
        self.head = nn.Linear(16, 10)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BCHW = torch.relu(self.norm(self.stem(x_BCHW)))
        gate_BC11 = torch.sigmoid(self.gate(x_BCHW.mean((2, 3), keepdim=True)))
        x_BCHW = x_BCHW + self.mix(x_BCHW) * gate_BC11
        return self.head(nn.functional.gelu(self.down(x_BCHW)).mean((2, 3)))


@pytest.fixture(scope="module")
def tiny() -> dict[str, float]:
    return dict(zip(NAMES, described(trace(Tiny().eval(), resolution=16)), strict=True))


STEM, MIX, DOWN = 3 * 8 * 16 * 64, 8 * 25 * 64, 8 * 16 * 16
MACS = STEM + MIX + DOWN
WRITTEN = 8 * 64 + 8 * 64 + 16 * 16
PARAMS = 3 * 8 * 16 + 16 + 8 * 25 + (64 + 8) + 128 + 170
BODY = PARAMS - 170


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("log_macs", math.log(MACS)),
        ("log_params", math.log(PARAMS)),
        ("log_body", math.log(BODY)),
        ("log_written", math.log(WRITTEN)),
        ("log_side", math.log(16)),
        ("log_depth", math.log(1 + 3)),
        ("log_layers", math.log(1 + 3)),
        ("log_residuals", math.log(1 + 1)),
        ("log_spatial", math.log(1 + 2)),
        ("log_tokens_last", math.log(16)),
        ("log_head_inputs", math.log(1 + 16)),
        ("head_share", 170 / PARAMS),
        ("single_share", 72 / BODY),
        ("params_1", (384 + 200) / BODY),
        ("params_2", 128 / BODY),
        ("share_dense", STEM / MACS),
        ("share_depthwise", MIX / MACS),
        ("share_pointwise", DOWN / MACS),
        ("share_grouped", 0),
        ("share_attention", 0),
        ("elems_relu", 512 / WRITTEN),
        ("elems_gelu", 256 / WRITTEN),
        ("elems_activation", 768 / WRITTEN),
        ("elems_batch", 512 / WRITTEN),
        ("elems_layer", 0),
        ("elems_scaled", 0),
        ("norms", 1 / 3),
        ("gates", 1 / 3),
        ("residuals", 1 / 3),
        ("kernel", (4 + 5) / 2),
        ("log_reach", math.log(1 + 3 * 2 / 16 + 4 * 2 / 16)),
        ("stem_kernel", 4),
        ("stem_stride", 2),
        ("log_stem_width", math.log(9)),
        ("level_of_macs", (STEM + MIX + 2 * DOWN) / MACS),
        ("level_of_layers", (1 + 1 + 2) / 3),
        ("macs_2", DOWN / MACS),
        ("written_2", 256 / WRITTEN),
        ("log_layers_1", math.log(3)),
        ("log_width_2", math.log(17)),
        ("log_width_3", 0),
        ("log_stream", math.log(9)),
        ("log_expansion", math.log(16 / 8)),
    ],
)
def test_by_hand(tiny: dict[str, float], name: str, expected: float) -> None:
    assert tiny[name] == pytest.approx(expected)


def test_tokens_have_the_side_of_their_square() -> None:
    """DeiT-tiny: 197 tokens of 16-pixel patches are level 4, 12 layers of attention, a twelfth of the depth each."""
    found = dict(zip(NAMES, described(trace(published("deit_tiny_patch16_224").spec)), strict=True))
    assert found["log_layers_4"] == pytest.approx(math.log(1 + 1 + 12 * 4))
    assert found["level_of_macs"] == pytest.approx(4)
    assert found["has_attention"] == 1
    assert found["log_width_5"] == 0
    # 12 layers of q·k and weights·v: 2 · 197² · 192 each
    macs = 12 * 2 * 197**2 * 192
    assert found["share_attention"] * math.exp(found["log_macs"]) == pytest.approx(macs, rel=1e-9)


class Scaled(nn.Module):
    """A residual branch, multiplied by one parameter per channel, then by another map."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(3, 8, 3, padding=1)
        self.scale = nn.Parameter(torch.ones(8, 1, 1))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BCHW = self.mix(x_BCHW) * self.scale
        return x_BCHW * torch.relu(x_BCHW)


def test_products_with_a_parameter_and_with_a_map() -> None:
    found = dict(zip(NAMES, described(trace(Scaled(), resolution=8)), strict=True))
    assert (found["elems_scaled"], found["elems_multiplied"]) == (1, 1)


def test_names_are_distinct_and_numbers_finite() -> None:
    numbers = described(trace(published("efficientvit_m0").spec))
    assert len(set(NAMES)) == len(NAMES) == len(numbers)
    assert all(math.isfinite(value) for value in numbers)
