"""Patch merging of Swin: neighbours side by side in the channels, a norm over all of them, a linear layer.

Source: Swin Transformer (arXiv 2103.14030) §3.1, reference implementation.

Legend of the shape suffixes: B batch, C channels, H and W rows and columns, k stride, r and c rows and columns after
the merging, D = k·k·C.
"""

from torch import Tensor
from torch.nn import functional

from archlab.model.block import Block
from archlab.model.channels import Channels, Draw, Labels, dense, norm
from archlab.model.layers import LayerNorm, Linear
from archlab.spec import BlockSpec

__all__ = ["SwinMerge"]


class SwinMerge(Block):
    """Linear without bias of LN of k×k neighbours; zeros below and to the right where k does not divide the side.

    The neighbours of a square lie in the channels column by column, as in the reference.
    """

    roles = frozenset({"entry"})
    needs = frozenset({"norm"})
    norms = ("ln",)

    def __init__(self, spec: BlockSpec, in_width: int, in_side: int) -> None:
        super().__init__()
        self.stride = spec.stride
        self.norm = LayerNorm(spec.stride**2 * in_width, spec.eps)
        self.reduction = Linear(spec.stride**2 * in_width, spec.width, bias=False)

    @classmethod
    def channels(cls, spec: BlockSpec, x: Labels, y: Labels, draw: Draw) -> Channels:
        """Name the map it writes, and the one it reads once per neighbour."""
        neighbours = x * spec.stride**2
        return Channels(tensors={**norm("norm", neighbours), **dense("reduction", y, neighbours)})

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Change width and side."""
        k = self.stride
        down, right = -x_BCHW.shape[2] % k, -x_BCHW.shape[3] % k
        if down or right:
            x_BCHW = functional.pad(x_BCHW, (0, right, 0, down))
        x_BCrkck = x_BCHW.unflatten(3, (-1, k)).unflatten(2, (-1, k))
        x_BrcD = x_BCrkck.permute(0, 2, 4, 5, 3, 1).flatten(3)
        y_BrcC: Tensor = self.reduction(self.norm(x_BrcD))
        return y_BrcC.permute(0, 3, 1, 2)
