"""EfficientViT-MIT, Table 1: multi-scale learning and global attention, alone and together, at equal multiply-adds.

The networks are B0 with its segmentation head on images of 1024×2048, rescaled in width to the same multiply-adds. The
paper does not say how a part is left out; here, in every module of the last two stages:

- both: the attention as published, its tokens aggregated by one 5×5 depthwise scale;
- global attention only: the same without the aggregated scale;
- multi-scale only: the 1×1, the 5×5 depthwise on three times the width, the 1×1 back, without the attention between;
- neither: the attention's branch is left out.

The mIoU needs Cityscapes.

Source: arXiv 2205.14756, Table 1; the head is that of the authors' repository.

Legend of the shape suffixes: B batch, C channels, H and W rows and columns.
"""

import dataclasses
import functools
import math

from torch import Tensor, nn
from torch.nn import functional

from archlab.artifacts.artifact import Artifact
from archlab.artifacts.bench import Bench
from archlab.artifacts.checks import Equal, Larger
from archlab.artifacts.paper import beside, numbers
from archlab.artifacts.rows import NEEDS_MEANS, Lack, Row, counted
from archlab.cost.count import CostReport, count
from archlab.cost.trace import trace_module
from archlab.families import efficientvit_mit
from archlab.families.knobs import Scalar
from archlab.model.blocks.mbconv import MBConv
from archlab.model.blocks.msla import LinearAttention
from archlab.model.build import Backbone, build
from archlab.model.layers import Conv2d, ConvNorm
from archlab.spec import ArchSpec, BlockSpec

__all__ = ["ARTIFACT", "SETTINGS", "SegmentationNet", "cost", "network"]

_PAPER = "EfficientViT-MIT"
_ITEM = "Table 1 component ablation (Cityscapes, 0.7M params, 4.4G MACs)"
_NEITHER, _SCALES, _GLOBAL, _BOTH = (
    "neither multi-scale nor global attention",
    "multi-scale only",
    "global attention only",
    "both",
)
SETTINGS: dict[str, tuple[int, ...]] = {
    _NEITHER: (10, 18, 36, 76, 152),
    _SCALES: (8, 17, 32, 64, 128),
    _GLOBAL: (8, 17, 34, 68, 136),
    _BOTH: (8, 16, 32, 64, 128),
}
"""Setting → the widths of the stages that give it the multiply-adds of the published network."""

_SIDES = (1024, 2048)
_HEAD_WIDTH, _CLASSES = 32, 19
_MIXED = (3, 4)
_NO_DATA = Lack(verdict=NEEDS_MEANS, what="Cityscapes, for the mIoU")


class SegmentationNet(nn.Module):
    """A backbone and the head of B0 on Cityscapes: stages 2 to 4 to one width, added, an MBConv, widened, classified.

    The coarser maps are enlarged bicubically. The answer has an eighth of the input's side.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        wide = 4 * _HEAD_WIDTH
        mbconv = BlockSpec(kind="mbconv", width=_HEAD_WIDTH, hidden=wide, kernels=(3,), norm="bn", act="hardswish")
        self.ins = nn.ModuleList(ConvNorm(info.width, _HEAD_WIDTH) for info in backbone.feature_info[2:])
        self.mix = MBConv(mbconv, _HEAD_WIDTH, _SIDES[0] // 8)
        self.widen = ConvNorm(_HEAD_WIDTH, wide, act="hardswish")
        self.classify = Conv2d(wide, _CLASSES, 1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Give one map per class."""
        maps = [into(map_BCHW) for into, map_BCHW in zip(self.ins, self.backbone(x_BCHW)[2:], strict=True)]
        side = maps[0].shape[-2:]
        y_BCHW = maps[0]
        for coarse_BCHW in maps[1:]:
            y_BCHW = y_BCHW + functional.interpolate(coarse_BCHW, size=side, mode="bicubic")
        classes_BCHW: Tensor = self.classify(self.widen(self.mix(y_BCHW)))
        return classes_BCHW


def network(setting: str) -> SegmentationNet:
    """Build the network of a key of `SETTINGS` on the meta device."""
    spec = _spec(setting, SETTINGS[setting])
    backbone = build(spec, device="meta", features_only=True)
    if setting == _GLOBAL:
        for i in _MIXED:
            blocks = backbone.get_submodule(f"stages.{i}.blocks")
            for j, block in enumerate(spec.stages[i].blocks):
                if block.kind == "msla":
                    single = LinearAttention(dataclasses.replace(block, kernels=()), block.width, 1)
                    blocks.register_module(str(j), single)
    return SegmentationNet(backbone).to("meta")


def _spec(setting: str, widths: tuple[int, ...]) -> ArchSpec:
    """The backbone, on a square of the side that every window and patch fits; heads keep their number."""
    unit = math.gcd(*widths)
    axes: dict[str, Scalar] = {
        "width": unit,
        "growth": "-".join(str(width // unit) for width in widths),
        **{f"depth_{i}": depth for i, depth in enumerate((1, 1, 1, 2, 2))},
        "resolution": _SIDES[0],
        "classes": 0,
    }
    if setting in (_GLOBAL, _BOTH):
        return efficientvit_mit.make(**axes, key_dim_3=widths[3] // 4, key_dim_4=widths[4] // 8)
    plain = efficientvit_mit.make(**axes, mixer_3="none", mixer_4="none")
    return plain if setting == _NEITHER else _with_scales(plain)


def _with_scales(plain: ArchSpec) -> ArchSpec:
    """Put the multi-scale convolution before every local block of the last two stages."""
    stages = list(plain.stages)
    for i in _MIXED:
        local = stages[i].blocks[0]
        scale = dataclasses.replace(local, hidden=3 * local.width, kernels=(5,))
        stages[i] = dataclasses.replace(stages[i], blocks=(scale, local) * stages[i].depth)
    return plain.replace(stages=tuple(stages))


@functools.cache
def cost(setting: str) -> CostReport:
    """Count the network of a setting on one image of 1024×2048."""
    return count(trace_module(network(setting), (1, 3, *_SIDES)))


def compute(bench: Bench) -> tuple[Row, ...]:
    """Build and count the four networks."""
    rows = []
    for setting, widths in SETTINGS.items():
        source = f"counted at {_SIDES[0]}×{_SIDES[1]}, widths {'/'.join(map(str, widths))}"
        costs = counted(cost(setting), source)
        rows += [beside(_PAPER, "Table 1", setting, metric, **fields) for metric, fields in costs.items()]
        rows.append(beside(_PAPER, _ITEM, setting, "mIoU", lack=_NO_DATA))
    return tuple(rows)


def _gain(more: str, less: str) -> Larger:
    printed = numbers(_PAPER, _ITEM, "mIoU")
    by = printed[more] - printed[less]
    return Larger(claim=f"{more} gains {by:.1f} points of mIoU over {less}", metric="mIoU", more=more, less=less, by=by)


ARTIFACT = Artifact(
    name="mit_table1",
    source="EfficientViT-MIT (arXiv 2205.14756), Table 1: multi-scale learning and global attention at equal MACs",
    needs="Cityscapes for the mIoU",
    compute=compute,
    checks=(
        Equal(claim="the four networks have the same multiply-adds, 4.4 G", metric="macs"),
        Equal(claim="the published network has 0.7 M parameters", metric="params"),
        _gain(_SCALES, _NEITHER),
        _gain(_GLOBAL, _NEITHER),
        _gain(_BOTH, _SCALES),
        _gain(_BOTH, _GLOBAL),
    ),
)
