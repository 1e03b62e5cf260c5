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
        self.has_skip = True
        assert spec.kernels is not None
        self.dw = ConvNorm(in_width, in_width, spec.kernels[0], depthwise=True, eps=spec.eps, starts_at_zero=True)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Add the branch."""
        y_BCHW: Tensor = self.dw(x_BCHW)
        return x_BCHW + y_BCHW if self.has_skip else y_BCHW

    def fold(self) -> None:
        """Fold the skip into the convolution, whose BatchNorm is folded: the identity is a one in the middle."""
        if self.has_skip:
            kernel = self.dw.conv.kernel_size[0]
            self.dw.conv.weight[:, :, kernel // 2, kernel // 2] += 1
            self.has_skip = False
