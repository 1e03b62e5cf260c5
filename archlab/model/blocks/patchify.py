"""Cut the input into patches: one convolution whose kernel is its stride, then a norm.

Source: A ConvNet for the 2020s (arXiv 2201.03545) §2.2.

Legend of the shape suffixes: B batch, C channels, H and W rows and columns.
"""

from torch import Tensor

from archlab.model.block import Block, Problem
from archlab.model.layers import ConvNorm
from archlab.spec import BlockSpec

__all__ = ["Patchify"]


class Patchify(Block):
    """norm(k×k convolution of stride k): with a bias before `ln`, without one before `bn`."""

    roles = frozenset({"entry"})
    needs = frozenset({"kernels", "norm"})
    norms = ("bn", "ln")
    has_odd_kernels = False
    foreign = dict.fromkeys(("timm", "official"), (("patches.conv", "0"), ("patches.norm", "1")))

    def __init__(self, spec: BlockSpec, in_width: int, in_side: int) -> None:
        super().__init__()
        assert spec.norm is not None
        self.patches = ConvNorm(
            in_width, spec.width, spec.stride, stride=spec.stride, norm=spec.norm, eps=spec.eps, padding=0
        )

    @classmethod
    def problem(cls, spec: BlockSpec, in_width: int, in_side: int) -> Problem | None:
        """Patches must tile the map."""
        return patches_problem(spec, in_side)

    @classmethod
    def out_side(cls, spec: BlockSpec, in_side: int) -> int:
        """Number of patches per row."""
        return in_side // spec.stride

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Change width and side."""
        y_BCHW: Tensor = self.patches(x_BCHW)
        return y_BCHW


def patches_problem(spec: BlockSpec, in_side: int) -> Problem | None:
    """Say why patches of the spec's kernel do not tile a map of `in_side`."""
    if spec.kernels != (spec.stride,):
        return Problem(
            "patches overlap or leave gaps",
            f"kernels {spec.kernels} at stride {spec.stride}",
            "one kernel, equal to the stride",
            f"set kernels to [{spec.stride}]",
        )
    if in_side % spec.stride:
        return Problem(
            f"a map of side {in_side} does not divide into patches",
            f"patches of {spec.stride}",
            f"sides that {spec.stride} divides",
            "choose a resolution that the strides divide, often a multiple of 32",
        )
    return None
