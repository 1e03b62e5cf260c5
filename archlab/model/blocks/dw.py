"""A depthwise convolution as a residual branch: the token interaction of EfficientViT (MSRA).

Source: EfficientViT (arXiv 2305.07027) §3.1.

Legend of the shape suffixes: B batch, C channels, H and W rows and columns.
"""

from torch import Tensor, nn

from archlab.model.block import Block
from archlab.model.channels import Channels, Draw, Labels, conv_norm, norm
from archlab.model.layers import ConvNorm, LayerNorm2d
from archlab.spec import BlockSpec

__all__ = ["Depthwise"]


class Depthwise(Block):
    """bn: x + BN(dw k×k(x)), the BatchNorm starts at weight 0; ln: x + dw k×k(LN(x)).

    The reference starts it at 1 in the four layers around a subsampling; a spec does not tell them apart.
    """

    roles = frozenset({"block"})
    needs = frozenset({"kernels", "norm"})
    norms = ("bn", "ln")

    def __init__(self, spec: BlockSpec, in_width: int, in_side: int) -> None:
        super().__init__()
        self.has_skip = True
        assert spec.kernels is not None
        inner = "bn" if spec.norm == "bn" else None
        self.norm: nn.Module = nn.Identity() if inner else LayerNorm2d(in_width, spec.eps)
        self.dw = ConvNorm(
            in_width, in_width, spec.kernels[0], depthwise=True, norm=inner, eps=spec.eps, starts_at_zero=True
        )

    @classmethod
    def channels(cls, spec: BlockSpec, x: Labels, y: Labels, draw: Draw) -> Channels:
        """Name the map."""
        return Channels(tensors={**norm("norm", x), **conv_norm("dw", x)})

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Add the branch."""
        y_BCHW: Tensor = self.dw(self.norm(x_BCHW))
        return x_BCHW + y_BCHW if self.has_skip else y_BCHW

    def fold(self) -> None:
        """Fold the skip into the convolution, whose BatchNorm is folded: the identity is a one in the middle.

        A LayerNorm before the convolution keeps the skip beside it.
        """
        if self.has_skip and not isinstance(self.norm, LayerNorm2d):
            kernel = self.dw.conv.kernel_size[0]
            self.dw.conv.weight[:, :, kernel // 2, kernel // 2] += 1
            self.has_skip = False
