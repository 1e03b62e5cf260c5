"""ConvNeXt, Table 1: parameters, multiply-adds and throughput of its sizes, beside Swin and DeiT.

Rows of one network that differ only in what it was trained on differ in accuracy alone, which takes ImageNet: they are
counted once. Throughputs are of networks up to B at 224 px, one image at a time on a CPU; the paper's are of a V100, so
only their order can be the paper's.

Source: arXiv 2201.03545, Table 1.
"""

import dataclasses

from archlab.artifacts.artifact import Artifact
from archlab.artifacts.bench import Bench, of_spec
from archlab.artifacts.checks import Equal, SameOrder
from archlab.artifacts.paper import beside
from archlab.artifacts.rows import Row, counted
from archlab.artifacts.throughput import per_second
from archlab.families import published
from archlab.spec import ArchSpec

__all__ = ["ARTIFACT"]

_PAPER, _ITEM = "ConvNeXt", "Table 1"
_PARAMS, _FLOPS, _V100, _SPEED = "params", "FLOPs", "V100 throughput", "throughput beside a V100's"
_NETWORKS = {
    "DeiT-S 224 1K": ("deit_small_patch16_224", 224),
    "DeiT-B 224 1K": ("deit_base_patch16_224", 224),
    "Swin-T 224 1K": ("swin_tiny_patch4_window7_224", 224),
    "ConvNeXt-T 224 1K": ("convnext_tiny", 224),
    "Swin-S 224 1K": ("swin_small_patch4_window7_224", 224),
    "ConvNeXt-S 224 1K": ("convnext_small", 224),
    "Swin-B 224 1K": ("swin_base_patch4_window7_224", 224),
    "ConvNeXt-B 224 1K": ("convnext_base", 224),
    "ConvNeXt-B 384 1K": ("convnext_base", 384),
    "ConvNeXt-L 224 1K": ("convnext_large", 224),
    "ConvNeXt-L 384 1K": ("convnext_large", 384),
    "ConvNeXt-T 384 22K": ("convnext_tiny", 384),
    "ConvNeXt-S 384 22K": ("convnext_small", 384),
    "ConvNeXt-XL 224 22K": ("convnext_xlarge", 224),
    "ConvNeXt-XL 384 22K": ("convnext_xlarge", 384),
}
_TIMED = tuple(setting for setting in _NETWORKS if setting.endswith(("S 224 1K", "T 224 1K", "B 224 1K")))


def compute(bench: Bench) -> tuple[Row, ...]:
    """Count every network, time those up to B."""
    nets = {setting: of_spec(_spec(*named)) for setting, named in _NETWORKS.items()}
    rows: list[Row] = []
    for setting, net in nets.items():
        costs = counted(net.costs(), "counted as multiply-adds")
        rows.append(beside(_PAPER, _ITEM, setting, _PARAMS, **costs["params"]))
        rows.append(beside(_PAPER, _ITEM, setting, _FLOPS, **costs["macs"]))
    for setting, fields in bench.times({setting: nets[setting] for setting in _TIMED}).items():
        row = beside(_PAPER, _ITEM, setting, _V100, **per_second(fields, 1))
        rows.append(dataclasses.replace(row, metric=_SPEED))
    return tuple(rows)


def _spec(name: str, side: int) -> ArchSpec:
    return published(name).spec.replace(resolution=side)


ARTIFACT = Artifact(
    name="convnext_table1",
    source="ConvNeXt (arXiv 2201.03545), Table 1: parameters, FLOPs and throughput, beside Swin and DeiT",
    needs="a device to measure the throughputs on",
    compute=compute,
    checks=(
        Equal(claim="the parameters are the printed ones", metric=_PARAMS, within=0.01),
        Equal(claim="the FLOPs are the printed ones", metric=_FLOPS, within=0.01),
        SameOrder(claim="the throughputs have the order that they have on a V100", metric=_SPEED, apart=0.02),
    ),
)
