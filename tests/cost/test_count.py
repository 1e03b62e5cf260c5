"""Sums over a trace whose parts are known by hand."""

import torch
from torch import Tensor, nn

from archlab.cost.count import CostLine, CostReport, count
from archlab.cost.rows import stage_of
from archlab.cost.trace import trace_module


class Staged(nn.Module):
    """Two stages and a head, and a parameter that nothing reads."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList([nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()), nn.Sequential(nn.Conv2d(4, 4, 1))])
        self.head = nn.Linear(4, 5)
        self.stages[1].register_parameter("idle", nn.Parameter(torch.zeros(7)))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        for stage in self.stages:
            x_BCHW = stage(x_BCHW)
        logits: Tensor = self.head(x_BCHW.mean((2, 3)))
        return logits


def report(bytes_per_elem: int = 4) -> CostReport:
    return count(trace_module(Staged(), (2, 3, 8, 8)), bytes_per_elem)


CONV_1 = CostLine(
    name="stages.0", kind="stage", calls=2, params=16, macs=2 * 64 * 12, activation_elems=2 * 512,
    traffic_bytes=4 * ((384 + 16 + 512) + (512 + 512)),
)  # fmt: skip
CONV_2 = CostLine(
    name="stages.1", kind="stage", calls=1, params=20 + 7, macs=2 * 64 * 16, activation_elems=512,
    traffic_bytes=4 * (512 + 20 + 512),
)  # fmt: skip
MEAN = CostLine(name="", kind="stage", calls=1, params=0, macs=0, activation_elems=8, traffic_bytes=4 * (512 + 8))
HEAD = CostLine(
    name="head", kind="stage", calls=1, params=25, macs=2 * 20, activation_elems=10, traffic_bytes=4 * (25 + 8 + 10)
)


def test_stages_by_hand() -> None:
    assert report().by_stage() == (CONV_1, CONV_2, MEAN, HEAD)


def test_totals_by_hand() -> None:
    whole, lines = report(), (CONV_1, CONV_2, MEAN, HEAD)
    assert whole.params == 16 + 20 + 7 + 25
    assert whole.macs == 2 * 64 * 12 + 2 * 64 * 16 + 40
    assert whole.activation_elems == sum(line.activation_elems for line in lines)
    assert whole.traffic_bytes == sum(line.traffic_bytes for line in lines)


def test_every_split_adds_up_to_the_whole() -> None:
    whole = report()
    for lines in (whole.by_op(), whole.by_module(), whole.by_module(1), whole.by_stage()):
        for field in ("params", "macs", "activation_elems", "traffic_bytes"):
            assert sum(getattr(line, field) for line in lines) == getattr(whole, field)


def test_operators_come_with_the_most_macs_first_and_unread_parameters_last() -> None:
    lines = report().by_op()
    assert [(line.name, line.kind, line.calls) for line in lines] == [
        ("convolution", "conv", 2),
        ("addmm", "linear", 1),
        ("relu", "activation", 1),
        ("mean", "reduce", 1),
        ("unread", "unread", 0),
    ]
    assert [line.params for line in lines] == [36, 25, 0, 0, 7]


def test_modules_to_a_depth() -> None:
    assert [line.name for line in report().by_module()] == [
        "stages.0.0",
        "stages.0.1",
        "stages.1.0",
        "",
        "head",
        "stages.1",
    ]
    assert [line.name for line in report().by_module(1)] == ["stages", "", "head"]
    assert [line.name for line in report().by_module(2)] == ["stages.0", "stages.1", "", "head"]


def test_half_precision_halves_the_traffic_only() -> None:
    full, half = report(), report(2)
    assert half.traffic_bytes * 2 == full.traffic_bytes
    assert (half.macs, half.params, half.activation_elems) == (full.macs, full.params, full.activation_elems)


def test_stage_of_a_path() -> None:
    assert [stage_of(path) for path in ("stages.1.blocks.0.mlp", "stages.0", "head.fc", "stages", "")] == [
        "stages.1",
        "stages.0",
        "head",
        "stages",
        "",
    ]
