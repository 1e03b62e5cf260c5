"""A depthwise convolution as a residual branch: the token interaction of EfficientViT (MSRA).

Source: EfficientViT (arXiv 2305.07027) §3.1.

Legend of the shape suffixes: B batch, C channels, H and W rows and columns.
"""

from torch import Tensor

from archlab.model.block import Block
from archlab.model.layers import ConvNorm
from archlab.spec import BlockSpec

__all__ = ["Depthwise"]


class Depthwise(Block):
    """x + BN(dw k×k(x)); the BatchNorm starts at weight 0.

    The reference starts it at 1 in the four layers around a subsampling; a spec does not tell them apart.
    """

    roles = frozenset({"block"})
    needs = frozenset({"kernels", "norm"})

    def __init__(self, spec: BlockSpec, in_width: int, in_side: int) -> None:
        super().__init__()
        assert spec.kernels is not None
        self.dw = ConvNorm(in_width, in_width, spec.kernels[0], depthwise=True, eps=spec.eps, starts_at_zero=True)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Add the branch."""
        y_BCHW: Tensor = self.dw(x_BCHW)
        return x_BCHW + y_BCHW
