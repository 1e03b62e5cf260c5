"""How many points does a space have? Exactly, without listing them.

Axis by axis; all that later axes need to know about the choices so far is how many of their conditions still wait.
Partial points that agree in that are counted together. A condition that was not met leaves its axis out for good.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from archlab.families.knobs import Scalar
from archlab.space.axis import Axis

__all__ = ["count_points"]

_Waiting = tuple[tuple[int, int], ...]
"""Index of a later axis, number of its conditions that wait; axes that are out are left out."""


def count_points(axes: Sequence[Axis]) -> int:
    """Count the points of `axes`, conditions included."""
    start = tuple((j, len(axis.when)) for j, axis in enumerate(axes) if axis.when)
    states: Counter[_Waiting] = Counter({start: 1})
    for i in range(len(axes)):
        after: Counter[_Waiting] = Counter()
        for waiting, count in states.items():
            for rest, times in _branches(axes, i, waiting):
                after[rest] += count * times
        states = after
    return sum(states.values())


def _branches(axes: Sequence[Axis], i: int, waiting: _Waiting) -> Iterator[tuple[_Waiting, int]]:
    rest = tuple(pair for pair in waiting if pair[0] != i)
    if axes[i].when and (i, 0) not in waiting:
        yield rest, 1
    elif not any(axes[i].sets in (axes[j].when or {}) for j, _ in rest):
        yield rest, len(axes[i].choices)
    else:
        for choice in axes[i].choices:
            yield tuple(_told(axes, rest, axes[i].sets, choice)), 1


def _told(axes: Sequence[Axis], waiting: _Waiting, knob: str, value: Scalar) -> Iterator[tuple[int, int]]:
    for j, conditions in waiting:
        allowed = (axes[j].when or {}).get(knob)
        if allowed is None:
            yield j, conditions
        elif value in allowed:
            yield j, conditions - 1
