"""What may a family be asked for? Named knobs with a default, a range and a meaning; anything else is refused.

A knob's value is a JSON scalar, so that a search space, a sampler and a record can hold it; a list of whole numbers
is written with hyphens ("1-1-3-1"). A knob per stage ends with the stage's index, counted as in the spec: `width_0`.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import TypeAlias

from archlab.errors import SpecError, four_parts, unknown_name

__all__ = ["Knob", "Scalar", "Values", "quotient", "scaled", "staged"]

Scalar: TypeAlias = bool | int | float | str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Knob:
    """One thing that a family lets you turn.

    The type of `default` is the type of the knob. A text is one of `words` or, where `parts` is set, that many whole
    numbers joined by hyphens (-1: one or more); `low` and `high` bound numbers and parts.
    """

    default: Scalar
    help: str
    words: tuple[str, ...] = ()
    parts: int = 0
    low: float = 1
    high: float = 4096

    @property
    def allowed(self) -> str:
        """The values in words, for messages and tables."""
        if self.words:
            return ", ".join(self.words)
        bounds = f"{self.low:g} to {self.high:g}"
        if self.parts:
            count = "one or more" if self.parts < 0 else f"{self.parts}"
            return f"{count} whole numbers from {bounds} joined by hyphens, as in {str(self.default)!r}"
        return f"a {'whole number' if isinstance(self.default, int) else 'number'} from {bounds}"

    def accepts(self, value: object) -> bool:
        """Whether `value` has the type and lies in the range; knobs that must fit together are checked by `make`."""
        if isinstance(value, bool):
            return False
        if isinstance(self.default, str):
            return isinstance(value, str) and self._accepts_text(value)
        if isinstance(self.default, float):
            return isinstance(value, int | float) and self.low <= value <= self.high
        return isinstance(value, int) and self.low <= value <= self.high

    def _accepts_text(self, text: str) -> bool:
        if self.words:
            return text in self.words
        parts = text.split("-")
        if len(text) > 64 or (self.parts > 0 and len(parts) != self.parts):
            return False
        return all(p.isascii() and p.isdigit() and p == str(int(p)) and self.low <= int(p) <= self.high for p in parts)


class Values:
    """The checked values of one call of `make`: what was given, and the defaults of the rest."""

    def __init__(self, family: str, knobs: Mapping[str, Knob], given: Mapping[str, Scalar]) -> None:
        """Check every given value.

        Raises:
            UnknownNameError: For a name that is no knob of the family.
            SpecError: For a value of the wrong type or out of range.
        """
        for name, value in given.items():
            knob = knobs.get(name)
            if knob is None:
                raise unknown_name(f"knob of {family}", name, knobs)
            if not knob.accepts(value):
                raise SpecError(
                    four_parts(
                        f"{family} cannot take this {name}",
                        given=_short(value),
                        allowed=knob.allowed,
                        do=f"change {name}",
                    )
                )
        self._knobs = knobs
        self._given = given

    def _get(self, name: str) -> Scalar:
        return self._given[name] if name in self._given else self._knobs[name].default

    def whole(self, name: str) -> int:
        """A whole number."""
        return int(self._get(name))

    def number(self, name: str) -> float:
        """A number."""
        return float(self._get(name))

    def word(self, name: str) -> str:
        """A text."""
        return str(self._get(name))

    def parts(self, name: str) -> tuple[int, ...]:
        """The whole numbers of a hyphened text."""
        return tuple(int(part) for part in self.word(name).split("-"))

    def primitive(self, name: str, unit: str) -> tuple[int, ...]:
        """The parts of a ratio whose unit is the knob `unit`, so that every network is written in one way.

        Raises:
            SpecError: If the parts have a common divisor.
        """
        parts = self.parts(name)
        if math.gcd(*parts) != 1:
            raise SpecError(
                four_parts(
                    f"{name} is not in lowest terms",
                    given=self.word(name),
                    allowed="parts without a common divisor",
                    do=f"divide the parts of {name} and multiply {unit}",
                )
            )
        return parts


def staged(name: str, defaults: tuple[Scalar, ...], help: str, first: int = 0, **limits: object) -> dict[str, Knob]:
    """One knob per stage, `name_0`, `name_1`, …, from the stage `first` on."""
    template = Knob(default=defaults[0], help=help)
    return {
        f"{name}_{i}": dataclasses.replace(template, default=default, help=f"stage {i}: {help}", **limits)  # type: ignore[arg-type]
        for i, default in enumerate(defaults, first)
    }


def scaled(width: int, ratio: float, what: str) -> int:
    """`width` times `ratio`, which must come out whole.

    Raises:
        SpecError: If it does not.
    """
    product = width * ratio
    if product != int(product) or product < 1:
        raise SpecError(
            four_parts(
                f"{what} is no whole number of channels",
                given=f"{ratio:g} times {width}",
                allowed="a ratio that gives a whole number of at least 1",
                do="change the ratio or the width",
            )
        )
    return int(product)


def quotient(width: int, parts: int, what: str) -> int:
    """`width` over `parts`, which must divide it.

    Raises:
        SpecError: If it does not.
    """
    if width % parts:
        raise SpecError(
            four_parts(
                f"{what} do not divide the width",
                given=f"{parts} in {width} channels",
                allowed=f"divisors of {width}",
                do=f"change the width or the {what}",
            )
        )
    return width // parts


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:39] + "…"
