"""From a suggestion to a network that was never tried: ask again, change one axis, then draw at random.

Samplers repeat themselves on discrete spaces. Asking again keeps the sampler's own distribution; changing one axis
stays near what it thinks good; a random point is the last resort before the space must be called exhausted.
"""

import random
from collections.abc import Callable, Mapping
from typing import Any

from archlab.families.knobs import Scalar
from archlab.space import Axis, Point, SearchSpace

__all__ = ["PointReader", "UnseenSampler", "pick"]

_ASKS, _CHANGES, _DRAWS = 4, 24, 100


class PointReader:
    """Turns a sampler's answers into points of a space.

    A flat sampler wants every axis in every trial: it is asked for all of them, and points are filled up for it.
    """

    def __init__(self, space: SearchSpace, *, is_flat: bool) -> None:
        self._space, self._is_flat = space, is_flat

    def read(self, suggest: Callable[[Axis], Scalar]) -> Point:
        """Ask for the axes and give the point of those that are active."""
        if not self._is_flat:
            return self._space.walk(suggest)
        values = {axis.name: suggest(axis) for axis in self._space.axes}
        return self._space.walk(lambda axis: values[axis.name])

    def filled(self, point: Point) -> Point:
        """For a flat sampler, the point with the first choice for every axis that is not active."""
        if not self._is_flat:
            return point
        return {axis.name: point.get(axis.name, axis.choices[0]) for axis in self._space.axes}


def pick(
    space: SearchSpace,
    suggest: Callable[[], Point],
    is_known: Callable[[Point], bool],
    rng: random.Random,
) -> Point:
    """Give a point whose network is not known, as near to the sampler's suggestion as can be.

    Args:
        space: The search space.
        suggest: Asks the sampler for a point; may be called several times.
        is_known: Tells whether the network of a point was tried before.
        rng: Source of the changes and random points.

    Returns:
        A point; a known one only where no unknown one was found.
    """
    point = first = suggest()
    for _ in range(_ASKS):
        if not is_known(point):
            return point
        point = suggest()
    for _ in range(_CHANGES):
        changed = _changed(space, first, rng)
        if not is_known(changed):
            return changed
    for _ in range(_DRAWS):
        drawn = space.sample(rng)
        if not is_known(drawn):
            return drawn
    return first


class UnseenSampler:
    """A sampler for Optuna that hands out whole points as `choose` makes them of another sampler's suggestions.

    Args:
        inner: The sampler that is asked.
        space: The search space.
        choices: Optuna's distribution of each axis.
        choose: Makes a point, given a function that asks the inner sampler for one.
    """

    def __init__(
        self,
        inner: Any,
        space: SearchSpace,
        choices: Mapping[str, Any],
        choose: Callable[[Callable[[], Point]], Point],
    ) -> None:
        self._inner, self._space, self._choices, self._choose = inner, space, choices, choose
        self._relative: Mapping[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        """All else is the inner sampler's business."""
        return getattr(self._inner, name)

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
        """All axes; what the inner sampler sees together is kept for it."""
        self._relative = self._inner.infer_relative_search_space(study, trial)
        return dict(self._choices)

    def sample_relative(self, study: Any, trial: Any, search_space: Mapping[str, Any]) -> Point:
        """A whole point."""

        def suggest() -> Point:
            given = self._inner.sample_relative(study, trial, self._relative)

            def choose(axis: Axis) -> Any:
                if axis.name in given:
                    return given[axis.name]
                return self._inner.sample_independent(study, trial, axis.name, self._choices[axis.name])

            return self._space.walk(choose)

        return self._choose(suggest)


def _changed(space: SearchSpace, point: Point, rng: random.Random) -> Point:
    """Another choice on one axis; axes that become active get a random choice."""
    open_axes = [axis for axis in space.axes if axis.name in point and len(axis.choices) > 1]
    if not open_axes:
        return point
    target = rng.choice(open_axes)
    value = rng.choice([choice for choice in target.choices if choice != point[target.name]])

    def choose(axis: Axis) -> Any:
        if axis.name == target.name:
            return value
        return point[axis.name] if axis.name in point else rng.choice(axis.choices)

    return space.walk(choose)
