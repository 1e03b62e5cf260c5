"""Cut the input into patches: one convolution whose kernel is its stride, then a norm.

Source: A ConvNet for the 2020s (arXiv 2201.03545) §2.2.

Legend of the shape suffixes: B batch, C channels, H and W rows and columns.
"""

from torch import Tensor

from archlab.model.channels import Channels, Draw, Labels, conv_norm
from archlab.model.layers import ConvNorm
from archlab.model.patches import PatchEntry
from archlab.spec import BlockSpec

__all__ = ["Patchify"]


class Patchify(PatchEntry):
    """norm(k×k convolution of stride k): with a bias before `ln`, without one before `bn`."""

    def __init__(self, spec: BlockSpec, in_width: int, in_side: int) -> None:
        super().__init__()
        assert spec.norm is not None
        self.patches = ConvNorm(
            in_width, spec.width, spec.stride, stride=spec.stride, norm=spec.norm, eps=spec.eps, padding=0
        )

    @classmethod
    def channels(cls, spec: BlockSpec, x: Labels, y: Labels, draw: Draw) -> Channels:
        """Name the map it writes."""
        return Channels(tensors=conv_norm("patches", y, x))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Change width and side."""
        y_BCHW: Tensor = self.patches(x_BCHW)
        return y_BCHW
