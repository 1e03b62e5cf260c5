"""Overlapping patch embedding: 3×3 convolutions of stride 2, one per halving.

Source: EfficientViT (arXiv 2305.07027) §3.3; LeViT (arXiv 2104.01136).

Legend of the shape suffixes: B batch, C channels, H and W rows and columns.
"""

import functools

from torch import Tensor, nn

from archlab.model.block import Block, Problem
from archlab.model.channels import Axes, Channels, Draw, Follower, Labels, conv_norm
from archlab.model.layers import ConvNorm
from archlab.spec import BlockSpec

__all__ = ["OverlapStem"]


class OverlapStem(Block):
    """log2(stride) convolutions of stride 2, each with its norm; the width doubles up to `width`; act between them."""

    roles = frozenset({"entry"})
    needs = frozenset({"kernels", "norm", "act"})
    norms = ("bn", "ln")
    has_many_kernels = True

    def __init__(self, spec: BlockSpec, in_width: int, in_side: int) -> None:
        super().__init__()
        assert spec.kernels is not None
        count = len(spec.kernels)
        widths = [in_width] + [spec.width >> (count - 1 - i) for i in range(count)]
        self.convs = nn.Sequential(
            *(
                ConvNorm(
                    widths[i],
                    widths[i + 1],
                    kernel,
                    stride=2,
                    norm=spec.norm,
                    act=spec.act if i < count - 1 else None,
                    eps=spec.eps,
                )
                for i, kernel in enumerate(spec.kernels)
            )
        )

    @classmethod
    def problem(cls, spec: BlockSpec, in_width: int, in_side: int) -> Problem | None:
        """Each convolution halves the side and doubles the width."""
        count = len(spec.kernels or ())
        if spec.stride != 2**count:
            return Problem(
                "stride and number of stem convolutions disagree",
                f"stride {spec.stride} with {count} kernels",
                "stride 2 to the power of the number of kernels",
                "give one kernel per halving, e.g. stride 16 with kernels [3, 3, 3, 3]",
            )
        if spec.width % 2 ** (count - 1):
            return Problem(
                "the stem's width cannot be halved that often",
                f"width {spec.width} with {count} convolutions",
                f"multiples of {2 ** (count - 1)}",
                "choose another width",
            )
        return None

    @classmethod
    def out_side(cls, spec: BlockSpec, in_side: int) -> int:
        """Side after as many halvings, each rounded up."""
        return -(-in_side // spec.stride)

    @classmethod
    def channels(cls, spec: BlockSpec, x: Labels, y: Labels, draw: Draw) -> Channels:
        """Name the map; the widths before it are halves of its own."""
        count = len(spec.kernels or ())
        inner = [draw("follower", spec.width >> (count - 1 - i)) for i in range(count - 1)]
        tensors: dict[str, tuple[Axes, ...]] = {}
        for i, (rows, columns) in enumerate(zip([*inner, y], [x, *inner], strict=True)):
            tensors |= conv_norm(f"convs.{i}", rows, columns)
        shifts = range(count - 1, 0, -1)
        halves = tuple(
            Follower(labels=labels, leader=y, size=functools.partial(_half, shift=shift))
            for labels, shift in zip(inner, shifts, strict=True)
        )
        return Channels(tensors=tensors, followers=halves, multiple=1 << (count - 1))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Change width and side."""
        y_BCHW: Tensor = self.convs(x_BCHW)
        return y_BCHW


def _half(width: int, shift: int) -> int:
    return width >> shift
