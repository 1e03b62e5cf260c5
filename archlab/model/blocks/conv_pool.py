"""The stem of ResNet: a strided convolution with norm and activation, then a maximum over 3×3 at stride 2.

Source: ResNet (arXiv 1512.03385), table 1.

Legend of the shape suffixes: B batch, C channels, H and W rows and columns.
"""

from torch import Tensor, nn

from archlab.model.block import Block, Problem
from archlab.model.channels import Channels, Draw, Labels, conv_norm
from archlab.model.layers import ConvNorm
from archlab.spec import BlockSpec

__all__ = ["ConvPool"]


class ConvPool(Block):
    """max 3×3 of act(BN(k×k convolution)); the pooling has stride 2, the convolution the rest."""

    roles = frozenset({"entry"})
    needs = frozenset({"kernels", "norm", "act"})

    def __init__(self, spec: BlockSpec, in_width: int, in_side: int) -> None:
        super().__init__()
        assert spec.kernels is not None
        self.layer = ConvNorm(
            in_width, spec.width, spec.kernels[0], stride=spec.stride // 2, act=spec.act, eps=spec.eps
        )
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)

    @classmethod
    def problem(cls, spec: BlockSpec, in_width: int, in_side: int) -> Problem | None:
        """The pooling takes a factor of two."""
        if spec.stride % 2 == 0:
            return None
        return Problem(
            "the pooling of the stem has stride 2", f"stride {spec.stride}", "even strides", "choose stride 2 or 4"
        )

    @classmethod
    def out_side(cls, spec: BlockSpec, in_side: int) -> int:
        """Side after the convolution, halved."""
        side = (in_side - 1) // max(1, spec.stride // 2) + 1
        return (side - 1) // 2 + 1

    @classmethod
    def channels(cls, spec: BlockSpec, x: Labels, y: Labels, draw: Draw) -> Channels:
        """Name the map it writes."""
        return Channels(tensors=conv_norm("layer", y, x))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Change width and side."""
        y_BCHW: Tensor = self.pool(self.layer(x_BCHW))
        return y_BCHW
