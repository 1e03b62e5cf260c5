"""One thing that a space varies."""

import dataclasses
from collections.abc import Mapping

from archlab.families.knobs import Scalar

__all__ = ["Axis"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Axis:
    """One thing a space varies.

    `choices` are JSON scalars, listed from cheap to costly where there is such an order. The axis sets the family's
    knob `knob` (None: the one of its own name). It is active only where every knob that `when` names was set, by an
    earlier axis, to one of the listed values.
    """

    name: str
    choices: tuple[Scalar, ...]
    knob: str | None = None
    when: Mapping[str, tuple[Scalar, ...]] | None = None
    help: str = ""

    @property
    def sets(self) -> str:
        """The family's knob that this axis sets."""
        return self.knob or self.name

    def is_active(self, settings: Mapping[str, Scalar]) -> bool:
        """Whether the knobs set so far bring the axis into play."""
        if self.when:
            for knob, allowed in self.when.items():
                if settings.get(knob) not in allowed:
                    return False
        return True
