"""Downsampling between stages: a norm, then one convolution whose kernel is its stride.

Source: A ConvNet for the 2020s (arXiv 2201.03545) §2.6, separate downsampling layers.

Legend of the shape suffixes: B batch, C channels, H and W rows and columns.
"""

from torch import Tensor, nn

from archlab.model.channels import Channels, Draw, Labels, dense, norm
from archlab.model.folding import fold_norm_into_next
from archlab.model.layers import BatchNorm2d, Conv2d, norm_2d
from archlab.model.patches import PatchEntry
from archlab.spec import BlockSpec

__all__ = ["NormPatch"]


class NormPatch(PatchEntry):
    """k×k convolution of stride k of the normalised map: with a bias after `ln`, without one after `bn`."""

    def __init__(self, spec: BlockSpec, in_width: int, in_side: int) -> None:
        super().__init__()
        assert spec.norm is not None
        self.norm = norm_2d(spec.norm, in_width, spec.eps)
        self.conv = Conv2d(in_width, spec.width, spec.stride, stride=spec.stride, bias=spec.norm == "ln")

    @classmethod
    def channels(cls, spec: BlockSpec, x: Labels, y: Labels, draw: Draw) -> Channels:
        """Name both maps."""
        return Channels(tensors={**norm("norm", x), **dense("conv", y, x)})

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Change width and side."""
        y_BCHW: Tensor = self.conv(self.norm(x_BCHW))
        return y_BCHW

    def fold(self) -> None:
        """Fold a BatchNorm into the convolution, which pads nothing."""
        if isinstance(self.norm, BatchNorm2d):
            fold_norm_into_next(self.norm, self.conv)
            self.norm = nn.Identity()
