"""Two full convolutions as a residual branch: the stem blocks of EfficientViT (MIT), L sizes.

Source: EfficientViT (arXiv 2205.14756), reference implementation.

Legend of the shape suffixes: B batch, C channels, H and W rows and columns.
"""

from torch import Tensor

from archlab.model.block import Block
from archlab.model.channels import Channels, Draw, Labels, conv_norm
from archlab.model.layers import ConvNorm
from archlab.spec import BlockSpec

__all__ = ["ResConv"]


class ResConv(Block):
    """x + BN(k×k(act(BN(k×k(x))))) with `hidden` channels between (None: the width)."""

    roles = frozenset({"block"})
    needs = frozenset({"kernels", "norm", "act"})
    allows = frozenset({"hidden"})

    def __init__(self, spec: BlockSpec, in_width: int, in_side: int) -> None:
        super().__init__()
        assert spec.kernels is not None
        hidden = in_width if spec.hidden is None else spec.hidden
        self.conv1 = ConvNorm(in_width, hidden, spec.kernels[0], act=spec.act, eps=spec.eps)
        self.conv2 = ConvNorm(hidden, in_width, spec.kernels[0], eps=spec.eps)

    @classmethod
    def channels(cls, spec: BlockSpec, x: Labels, y: Labels, draw: Draw) -> Channels:
        """Name the map and the inner width."""
        hidden = draw("ffn", len(x) if spec.hidden is None else spec.hidden)
        tensors = {**conv_norm("conv1", hidden, x), **conv_norm("conv2", x, hidden)}
        return Channels(tensors=tensors, fields={"hidden": (hidden,)})

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Add the branch."""
        y_BCHW: Tensor = self.conv2(self.conv1(x_BCHW))
        return x_BCHW + y_BCHW
