"""EdgeNeXt, Table 3: latency of EdgeNeXt beside MobileViT, published on a Jetson Nano and an A100.

Ours are measured on the device at hand, batch 1, all networks in turns; what is compared with the paper is the order,
not the milliseconds. The A100's are printed in µs per image at batch 256.

Source: arXiv 2206.10589, Table 3 (table image in the authors' repository).
"""

import dataclasses

from archlab.artifacts.artifact import Artifact
from archlab.artifacts.bench import Bench, Net, of_spec, of_timm
from archlab.artifacts.checks import Larger, SameOrder
from archlab.artifacts.edgenext_table2 import MAIN, MOBILEVIT
from archlab.artifacts.paper import beside
from archlab.artifacts.rows import Lack, Row
from archlab.families import published

__all__ = ["ARTIFACT"]

_NANO, _A100 = "latency (paper: Jetson Nano)", "latency (paper: A100)"
_PRINTED = {
    _NANO: "latency Jetson Nano, TensorRT, fp16, batch 1",
    _A100: "latency per image NVIDIA A100, PyTorch 1.8.1, fp32 (not stated), batch 256",
}


def compute(bench: Bench) -> tuple[Row, ...]:
    """Measure the six networks in turns."""
    nets: dict[str, Net | Lack] = {setting: of_spec(published(name).spec) for setting, name in MAIN.items()}
    nets |= {setting: of_timm(name, 256) for setting, name in MOBILEVIT.items()}
    times = bench.times({setting: net for setting, net in nets.items() if isinstance(net, Net)})
    rows = []
    for metric, printed in _PRINTED.items():
        for setting, net in nets.items():
            ours = {"lack": net} if isinstance(net, Lack) else times[setting]
            row = beside("EdgeNeXt", "latencies", setting, printed, **ours)
            rows.append(dataclasses.replace(_in_ms(row), metric=metric, note=printed.removeprefix("latency ")))
    return tuple(rows)


def _in_ms(row: Row) -> Row:
    if row.unit != "us/img":
        return row
    assert isinstance(row.paper, float)
    return dataclasses.replace(row, unit="ms", paper=row.paper / 1e3, rounding=row.rounding / 1e3)


ARTIFACT = Artifact(
    name="edgenext_table3",
    source="EdgeNeXt (arXiv 2206.10589), Table 3: latency of EdgeNeXt and MobileViT, here their order",
    needs="a device to measure on, and timm for the rows of MobileViT",
    compute=compute,
    checks=(
        *(
            Larger(claim=f"{size} is faster than {other}", metric=_NANO, more=other, less=size)
            for size, other in zip(MAIN, MOBILEVIT, strict=True)
        ),
        SameOrder(claim="the order of the latencies is the Nano's", metric=_NANO),
        SameOrder(claim="the order of the latencies is the A100's", metric=_A100),
    ),
)
