"""EfficientViT (MSRA), Table 2: parameters, multiply-adds and throughput of M0 to M5.

The paper's throughputs are of a V100 and of one thread of a Xeon E5-2690 v4. Ours are of the device at hand, so only
their order can be the paper's: that of the V100, where all six are printed, and of ONNX Runtime on the Xeon, where two
are confirmed.

Source: arXiv 2305.07027, Table 2; M4 under ONNX Runtime is in Table 6.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from archlab.artifacts.artifact import Artifact
from archlab.artifacts.bench import Bench, of_spec
from archlab.artifacts.checks import Equal, SameOrder
from archlab.artifacts.paper import beside
from archlab.artifacts.rows import Row, counted
from archlab.artifacts.throughput import throughputs
from archlab.families import efficientvit_msra, published

__all__ = ["ARTIFACT"]

_PAPER = "EfficientViT-MSRA"
_V100 = "throughput beside a V100's"
_XEON = "throughput beside a Xeon's"
_PRINTED = {
    _V100: "throughput NVIDIA V100, PyTorch (BN fused, jit traced), amp fp16, batch 2048",
    _XEON: "throughput Intel Xeon E5-2690 v4 (1 thread), ONNX Runtime, fp32, batch 16",
}
_SIZES = {f"EfficientViT-M{size}": published(f"efficientvit_m{size}").spec for size in range(6)}
_LARGE = efficientvit_msra.make(**{**published("efficientvit_m5").axes, "resolution": 384, "window": 12})
_SPECS = _SIZES | {"EfficientViT-M5 r384": _LARGE}


def compute(bench: Bench) -> tuple[Row, ...]:
    """Counts of seven networks, throughputs of six."""
    nets = {setting: of_spec(spec) for setting, spec in _SPECS.items()}
    rows: list[Row] = []
    for setting, net in nets.items():
        costs = counted(net.costs(), "counted")
        rows += [beside(_PAPER, "networks", setting, metric, **fields) for metric, fields in costs.items()]
    found = throughputs(bench, {setting: nets[setting] for setting in _SIZES})
    return (*rows, *_speed_rows(found, _V100), *_speed_rows(found, _XEON))


def _speed_rows(found: Mapping[str, dict[str, Any]], metric: str) -> list[Row]:
    printed = _PRINTED[metric]
    rows = [beside(_PAPER, "latencies", setting, printed, **fields) for setting, fields in found.items()]
    return [dataclasses.replace(row, metric=metric, unit="img/s", note=f"paper: {printed}") for row in rows]


ARTIFACT = Artifact(
    name="msra_table2",
    source="EfficientViT-MSRA (arXiv 2305.07027), Table 2: parameters, multiply-adds and throughput of M0 to M5",
    needs="a device to measure the throughputs on",
    compute=compute,
    checks=(
        Equal(claim="the parameters are the printed ones", metric="params", within=0.01),
        Equal(claim="the multiply-adds are the printed ones", metric="macs", within=0.01),
        SameOrder(claim="the throughputs of M0 to M5 have the order that they have on a V100", metric=_V100),
        SameOrder(claim="M0 is faster than M4, as under ONNX Runtime on a Xeon", metric=_XEON),
    ),
)
