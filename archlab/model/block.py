"""What every kind of block says about itself, so that checking, building, and folding need no special cases.

A block is a pure function of (BlockSpec, width of its input, side of its input map). A kind is a final class below
`Block`; joining the table `BLOCKS` is all it takes to be checked, built, counted and tested.
"""

from typing import ClassVar, NamedTuple

from torch import nn

from archlab.spec import BlockSpec

__all__ = ["Block", "Problem"]


class Problem(NamedTuple):
    """Why a spec is impossible: the four parts of the message, without the place."""

    wrong: str
    given: object
    allowed: str
    do: str


class Block(nn.Module):
    """One residual branch x + f(x), or the entry layer of a stage."""

    roles: ClassVar[frozenset[str]]
    """`entry`, `block` or both."""
    needs: ClassVar[frozenset[str]]
    """Fields of the spec that must be set."""
    allows: ClassVar[frozenset[str]] = frozenset()
    """Fields that may be set besides `needs`, `eps` and those of every block."""
    norms: ClassVar[tuple[str, ...]] = ("bn",)
    """Words that `norm` may be."""
    positions: ClassVar[tuple[str, ...]] = ()
    """Words that `position` may be."""
    per_head: ClassVar[frozenset[str]] = frozenset()
    """Fields that may hold one number per head."""
    has_many_kernels: ClassVar[bool] = False
    """Whether `kernels` may hold several sides."""
    has_odd_kernels: ClassVar[bool] = True
    """Whether a kernel needs a middle."""
    relates_positions: ClassVar[bool] = False
    """Whether it forms a map of all positions of a window by all."""

    @classmethod
    def problem(cls, spec: BlockSpec, in_width: int, in_side: int) -> Problem | None:
        """Say why this spec cannot be built here, beyond what is checked for every kind."""
        return None

    @classmethod
    def out_side(cls, spec: BlockSpec, in_side: int) -> int:
        """Side of the output map, here that of odd kernels with half of them as padding."""
        return (in_side - 1) // spec.stride + 1

    @classmethod
    def fixes_side(cls, spec: BlockSpec) -> bool:
        """Whether the layer takes maps of the side that it was built for only."""
        return False
