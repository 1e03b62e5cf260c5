"""How is a network read back into knobs? The pieces that every `axes_of` needs.

Reading is loose and then proven: the knobs that were read must give exactly the network they were read from.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping

from archlab.errors import SpecError, four_parts
from archlab.families.knobs import Scalar
from archlab.spec import ArchSpec

__all__ = ["Ratio", "not_of", "ratio_of", "verified"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ratio:
    """Whole numbers in lowest terms, and the number that multiplies them."""

    unit: int
    text: str


def ratio_of(numbers: tuple[int, ...]) -> Ratio:
    """Divide by the greatest common divisor; the numbers must not all be zero."""
    unit = math.gcd(*numbers)
    return Ratio(unit=unit, text="-".join(str(n // unit) for n in numbers))


def not_of(family: str, spec: ArchSpec) -> SpecError:
    """The error for a network of another family."""
    kinds = sorted({block.kind for _, block in spec.layers()})
    return SpecError(
        four_parts(
            f"this network is no point of the family {family}",
            given=f"{len(spec.stages)} stages of {', '.join(kinds)}",
            allowed=f"what the knobs of {family} can give",
            do="use the spec as it is, or choose a family or space that has these blocks",
        )
    )


def verified(
    family: str, spec: ArchSpec, make: Callable[..., ArchSpec], axes: Mapping[str, Scalar]
) -> dict[str, Scalar]:
    """Return `axes` if they give `spec` back.

    Raises:
        SpecError: If they do not: the network is not of this family.
    """
    try:
        again = make(**axes)
    except SpecError:
        raise not_of(family, spec) from None
    if again != spec:
        raise not_of(family, spec)
    return dict(axes)
