"""A network for large images, fitted to the small ones that it is trained on, and checked."""

from archlab.families.refit import Refit
from archlab.model.check import check
from archlab.spec import ArchSpec

__all__ = ["at_low_resolution"]


def at_low_resolution(spec: ArchSpec, side: int, *, stem_divisor: int = 1, classes: int | None = None) -> ArchSpec:
    """Fit a network to small images; see `Refit`.

    Args:
        spec: A network at its own resolution.
        side: Of the small images, in pixels.
        stem_divisor: By what the stride of the first layer is divided; a power of two.
        classes: Of the data; None keeps the network's. A backbone without a head gets the plain one: pool, then linear.

    Raises:
        SpecError: If the first layer cannot cut so little, or the network is impossible at that side.
    """
    small = Refit(resolution=side, stem_divisor=stem_divisor, classes=classes).of(spec)
    check(small)
    return small
