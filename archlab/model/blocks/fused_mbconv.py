"""Inverted bottleneck with one full convolution, as a residual branch or as a stage's entry.

Source: EfficientNetV2 (arXiv 2104.00298) fig. 2.

Legend of the shape suffixes: B batch, C channels, H and W rows and columns.
"""

from torch import Tensor

from archlab.model.block import Block
from archlab.model.channels import Channels, Draw, Labels, conv_norm
from archlab.model.layers import ConvNorm
from archlab.spec import BlockSpec

__all__ = ["FusedMBConv"]


class FusedMBConv(Block):
    """k×k→hidden, BN, act, pw→width, BN; at stride 1 the input is added."""

    roles = frozenset({"entry", "block"})
    needs = frozenset({"hidden", "kernels", "norm", "act"})

    def __init__(self, spec: BlockSpec, in_width: int, in_side: int) -> None:
        super().__init__()
        assert spec.hidden is not None
        assert spec.kernels is not None
        self.has_skip = spec.stride == 1
        self.spatial_conv = ConvNorm(
            in_width, spec.hidden, spec.kernels[0], stride=spec.stride, act=spec.act, eps=spec.eps
        )
        self.point_conv = ConvNorm(spec.hidden, spec.width, eps=spec.eps)

    @classmethod
    def channels(cls, spec: BlockSpec, x: Labels, y: Labels, draw: Draw) -> Channels:
        """Name both maps and the inner width."""
        assert spec.hidden is not None
        hidden = draw("ffn", spec.hidden)
        tensors = {**conv_norm("spatial_conv", hidden, x), **conv_norm("point_conv", y, hidden)}
        return Channels(tensors=tensors, fields={"hidden": (hidden,)})

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Add the branch, or change width and side."""
        y_BCHW: Tensor = self.point_conv(self.spatial_conv(x_BCHW))
        return x_BCHW + y_BCHW if self.has_skip else y_BCHW
