"""One convolution with norm and activation: the first layer of EfficientViT (MIT).

Source: EfficientViT (arXiv 2205.14756), reference implementation.

Legend of the shape suffixes: B batch, C channels, H and W rows and columns.
"""

from torch import Tensor

from archlab.model.block import Block
from archlab.model.channels import Channels, Draw, Labels, conv_norm
from archlab.model.layers import ConvNorm
from archlab.spec import BlockSpec

__all__ = ["Conv"]


class Conv(Block):
    """act(norm(k×k convolution)): without a bias before `bn`, with one before `ln`."""

    roles = frozenset({"entry"})
    needs = frozenset({"kernels", "norm", "act"})
    norms = ("bn", "ln")

    def __init__(self, spec: BlockSpec, in_width: int, in_side: int) -> None:
        super().__init__()
        assert spec.kernels is not None
        self.layer = ConvNorm(
            in_width, spec.width, spec.kernels[0], stride=spec.stride, norm=spec.norm, act=spec.act, eps=spec.eps
        )

    @classmethod
    def channels(cls, spec: BlockSpec, x: Labels, y: Labels, draw: Draw) -> Channels:
        """Name the map it writes."""
        return Channels(tensors=conv_norm("layer", y, x))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Change width and side."""
        y_BCHW: Tensor = self.layer(x_BCHW)
        return y_BCHW
