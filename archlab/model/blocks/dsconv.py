"""Depthwise-separable convolution as a residual branch: the stem blocks of EfficientViT (MIT), B sizes.

Source: EfficientViT (arXiv 2205.14756), reference implementation.

Legend of the shape suffixes: B batch, C channels, H and W rows and columns.
"""

from torch import Tensor

from archlab.model.block import Block
from archlab.model.channels import Channels, Draw, Labels, conv_norm
from archlab.model.layers import ConvNorm
from archlab.spec import BlockSpec

__all__ = ["DSConv"]


class DSConv(Block):
    """x + BN(pw(act(BN(dw k×k(x)))))."""

    roles = frozenset({"block"})
    needs = frozenset({"kernels", "norm", "act"})

    def __init__(self, spec: BlockSpec, in_width: int, in_side: int) -> None:
        super().__init__()
        assert spec.kernels is not None
        self.depth_conv = ConvNorm(in_width, in_width, spec.kernels[0], depthwise=True, act=spec.act, eps=spec.eps)
        self.point_conv = ConvNorm(in_width, in_width, eps=spec.eps)

    @classmethod
    def channels(cls, spec: BlockSpec, x: Labels, y: Labels, draw: Draw) -> Channels:
        """Name the map."""
        return Channels(tensors={**conv_norm("depth_conv", x), **conv_norm("point_conv", x, x)})

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Add the branch."""
        y_BCHW: Tensor = self.point_conv(self.depth_conv(x_BCHW))
        return x_BCHW + y_BCHW
