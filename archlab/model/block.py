"""What every kind of block says about itself, so that checking, building, and folding need no special cases.

A block is a pure function of (BlockSpec, width of its input, side of its input map). A kind is a final class below
`Block`; joining the table `BLOCKS` is all it takes to be checked, built, counted and tested.
"""

from typing import ClassVar, NamedTuple

from torch import nn

from archlab.model.channels import Channels, Draw, Labels
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
    has_shortcut: ClassVar[bool] = False
    """Whether it keeps a skip as an entry too, and may then leave the side as it is."""
    makes_tokens: ClassVar[bool] = False
    """Whether its output is a sequence, the class token first, as a map of one column."""
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
    def takes_tokens(cls, spec: BlockSpec) -> bool:
        """Whether the layer works on a sequence with a class token as well as on a map."""
        return False

    @classmethod
    def fixes_side(cls, spec: BlockSpec) -> bool:
        """Whether the layer takes maps of the side that it was built for only."""
        return False

    @classmethod
    def channels(cls, spec: BlockSpec, x: Labels, y: Labels, draw: Draw) -> Channels | None:
        """Name the channels along the tensors, so that some can be pruned.

        Args:
            spec: The layer.
            x: Labels of the map it reads; empty for the image.
            y: Labels of the map it writes, `x` itself for a residual branch.
            draw: Hands out labels of inner widths.

        Returns:
            What it says of them; None here: nothing is known, so both maps keep their width.
        """
        return None
