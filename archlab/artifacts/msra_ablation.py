"""What EfficientViT-MSRA's Table 6 and Fig. 7 share: variants of M4 at 224 px, and of a small one for the accuracy.

Costs and throughputs are those of the real networks. Accuracies are of M0's widths and depths at 32 px, with a stem of
stride 4 in place of 16, so that 8×8, 4×4 and 2×2 positions are left to attend to: they can tell a direction, never
ImageNet's percentages.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from archlab.artifacts.bench import Bench, of_spec
from archlab.artifacts.paper import beside
from archlab.artifacts.rows import NEEDS_MEANS, Lack, Row, counted
from archlab.artifacts.throughput import throughputs
from archlab.families import cells, published
from archlab.families.efficientvit_msra import ablated
from archlab.families.knobs import Scalar
from archlab.spec import ArchSpec

__all__ = ["BESIDE_V100", "ONNX", "PAPER", "TOP1", "V100", "real", "rows_of", "small"]

PAPER = "EfficientViT-MSRA"
TOP1 = "top1"
ONNX, V100, BESIDE_V100 = "ONNX CPU throughput", "V100 throughput", "throughput beside a V100's"
_NO_GPU = Lack(verdict=NEEDS_MEANS, what="a GPU")
_SMALL: dict[str, Scalar] = {
    **published("efficientvit_m0").axes,
    "resolution": 32,
    "classes": 10,
    "window": 8,
}
_STEM_STRIDE = 4


def real(row: int = 1, **knobs: Scalar) -> ArchSpec:
    """One row of Table 6 on M4 at 224 px, with some knobs turned."""
    return ablated(row, **{**published("efficientvit_m4").axes, **knobs})


def small(row: int = 1, **knobs: Scalar) -> ArchSpec:
    """The same row and knobs on the small network, for ten classes of 32 px images."""
    spec = ablated(row, **{**_SMALL, **knobs})
    first = spec.stages[0]
    entry = cells.overlap(first.width, stride=_STEM_STRIDE, act=first.entry.act or "", norm=first.entry.norm or "")
    return spec.replace(stages=(dataclasses.replace(first, entry=entry), *spec.stages[1:]))


def rows_of(
    bench: Bench, item: str, specs: Mapping[str, ArchSpec], trained: Mapping[str, ArchSpec], speeds: Sequence[str]
) -> tuple[Row, ...]:
    """Parameters, multiply-adds, throughputs and accuracy of each setting, beside the paper's where it prints them.

    Args:
        bench: What there is to compute with.
        item: Name of the table or figure among the paper's values.
        specs: Setting → the real network.
        trained: Setting → the small network.
        speeds: `ONNX` and `V100` stand beside a throughput of that kind of device, `BESIDE_V100` the paper's V100
            beside whatever there is.
    """
    nets = {setting: of_spec(spec) for setting, spec in specs.items()}
    found = throughputs(bench, nets)
    rows = []
    for setting, net in nets.items():
        costs = counted(net.costs(), "counted at 224 px")
        rows += [
            *(Row(setting=setting, metric=metric, **fields) for metric, fields in costs.items()),
            *(_speed(bench, item, setting, speed, found[setting]) for speed in speeds),
            beside(PAPER, item, setting, TOP1, **bench.score(trained[setting])),
        ]
    return tuple(rows)


def _speed(bench: Bench, item: str, setting: str, metric: str, fields: Mapping[str, Any]) -> Row:
    is_cpu = bench.device is not None and bench.device.kind == "cpu"
    if metric == V100 and is_cpu:
        fields = {"lack": _NO_GPU}
    row = beside(PAPER, item, setting, V100 if metric == BESIDE_V100 else metric, **fields)
    return dataclasses.replace(row, metric=metric, unit="img/s")
