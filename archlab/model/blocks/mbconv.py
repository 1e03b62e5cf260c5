"""Inverted bottleneck, as a residual branch or as a stage's entry.

Sources: MobileNetV2 (arXiv 1801.04381); EfficientViT (arXiv 2205.14756), reference implementation, for `bn_last`.

Legend of the shape suffixes: B batch, C channels, H and W rows and columns.
"""

from torch import Tensor

from archlab.model.block import Block
from archlab.model.channels import Channels, Draw, Labels, conv_norm
from archlab.model.layers import ConvNorm
from archlab.spec import BlockSpec

__all__ = ["MBConv"]


class MBConv(Block):
    """pw→hidden, act, dw k×k, act, pw→width; at stride 1 the input is added.

    Norm `bn`: a BatchNorm after each convolution. `bn_last`: the first two have a bias instead.
    """

    roles = frozenset({"entry", "block"})
    needs = frozenset({"hidden", "kernels", "norm", "act"})
    norms = ("bn", "bn_last")

    def __init__(self, spec: BlockSpec, in_width: int, in_side: int) -> None:
        super().__init__()
        assert spec.hidden is not None
        assert spec.kernels is not None
        self.has_skip = spec.stride == 1
        norm = "bn" if spec.norm == "bn" else None
        self.inverted_conv = ConvNorm(in_width, spec.hidden, norm=norm, act=spec.act, eps=spec.eps)
        self.depth_conv = ConvNorm(
            spec.hidden,
            spec.hidden,
            spec.kernels[0],
            stride=spec.stride,
            depthwise=True,
            norm=norm,
            act=spec.act,
            eps=spec.eps,
        )
        self.point_conv = ConvNorm(spec.hidden, spec.width, eps=spec.eps)

    @classmethod
    def channels(cls, spec: BlockSpec, x: Labels, y: Labels, draw: Draw) -> Channels:
        """Name both maps and the inner width."""
        assert spec.hidden is not None
        hidden = draw("ffn", spec.hidden)
        tensors = {**conv_norm("inverted_conv", hidden, x), **conv_norm("depth_conv", hidden)}
        tensors |= conv_norm("point_conv", y, hidden)
        return Channels(tensors=tensors, fields={"hidden": (hidden,)})

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Add the branch, or change width and side."""
        y_BCHW: Tensor = self.point_conv(self.depth_conv(self.inverted_conv(x_BCHW)))
        return x_BCHW + y_BCHW if self.has_skip else y_BCHW
