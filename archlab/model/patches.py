"""Entries that cut the map into patches: a convolution whose kernel is its stride. What they have in common."""

from typing import ClassVar

from archlab.model.block import Block, Problem
from archlab.spec import BlockSpec

__all__ = ["PatchEntry"]


class PatchEntry(Block):
    """An entry of patches: which specs it takes, and the side of its output."""

    roles = frozenset({"entry"})
    needs = frozenset({"kernels", "norm"})
    norms: ClassVar[tuple[str, ...]] = ("bn", "ln")
    has_odd_kernels = False

    @classmethod
    def problem(cls, spec: BlockSpec, in_width: int, in_side: int) -> Problem | None:
        """Patches must tile the map."""
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

    @classmethod
    def out_side(cls, spec: BlockSpec, in_side: int) -> int:
        """Number of patches per row."""
        return in_side // spec.stride
