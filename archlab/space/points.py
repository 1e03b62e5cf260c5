"""From a point to a network and back, how many there are, and how one is drawn."""

import contextlib
import dataclasses
import functools
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeAlias

from archlab.errors import SpecError, four_parts, unknown_name
from archlab.families import FAMILIES, Family, Published, all_published
from archlab.families.knobs import Scalar
from archlab.families.refit import Refit
from archlab.space.axis import Axis
from archlab.space.counting import count_points
from archlab.spec import ArchSpec

__all__ = ["Point", "SearchSpace"]

Point: TypeAlias = dict[str, Scalar]

_KINDS_SAMPLE = 256


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """A family and the axes that vary it, in an order in which conditions look back only.

    With `refit`, all its networks, the published ones among them, are fitted to small images.
    """

    name: str
    family: str
    axes: tuple[Axis, ...]
    title: str = ""
    refit: Refit | None = None

    def at(self, refit: Refit) -> "SearchSpace":
        """The same networks for small images: the resolution is theirs, and no choice any more.

        Raises:
            SpecError: If the family has no network for such images.
        """
        side = refit.full_side
        others = [axis for axis in self.axes if axis.sets != "resolution"]
        axes = (Axis(name="resolution", choices=(side,), help="side that the whole stem would need"), *others)
        space = dataclasses.replace(self, axes=axes, refit=refit)
        for point in space.extremes():
            space.decode(point)
        return space

    @property
    def _family(self) -> Family:
        return FAMILIES[self.family]

    @functools.cached_property
    def _by_name(self) -> dict[str, Axis]:
        return {axis.name: axis for axis in self.axes}

    def walk(self, choose: Callable[[Axis], Scalar]) -> Point:
        """Build a point: go through the axes in order and ask `choose` for a value of each active one."""
        point: Point = {}
        settings: dict[str, Scalar] = {}
        for axis in self.axes:
            if axis.is_active(settings):
                point[axis.name] = settings[axis.sets] = choose(axis)
        return point

    def active(self, point: Mapping[str, Scalar]) -> tuple[Axis, ...]:
        """The axes that what `point` holds brings into play; a point may be partial."""
        settings: dict[str, Scalar] = {}
        found = []
        for axis in self.axes:
            if axis.is_active(settings):
                found.append(axis)
                if axis.name in point:
                    settings[axis.sets] = point[axis.name]
        return tuple(found)

    def sample(self, rng: random.Random) -> Point:
        """Draw a point: uniform over the choices of each active axis, one axis after the other."""
        return self.walk(lambda axis: rng.choice(axis.choices))

    def extremes(self) -> tuple[Point, Point]:
        """The points of all first and all last choices: about the cheapest and the costliest network."""
        return self.walk(lambda axis: axis.choices[0]), self.walk(lambda axis: axis.choices[-1])

    def decode(self, point: Mapping[str, Scalar]) -> ArchSpec:
        """Turn a point into its network.

        Raises:
            UnknownNameError: For an axis that the space does not have.
            SpecError: For a missing or inactive axis, a value that is no choice, or a point no network can have.
        """
        settings: dict[str, Scalar] = {}
        used = 0
        for axis in self.axes:
            if axis.is_active(settings):
                if axis.name not in point or point[axis.name] not in axis.choices:
                    raise self._refused(axis, point.get(axis.name, "nothing"))
                settings[axis.sets] = point[axis.name]
                used += 1
        if used != len(point):
            raise self._stray(point)
        made = self._family.make(**settings)
        return made if self.refit is None else self.refit.of(made)

    def _refused(self, axis: Axis, value: Scalar) -> SpecError:
        return SpecError(
            four_parts(
                f"this is no point of the space {self.name}",
                given=f"{axis.name} = {value!r}",
                allowed=_listed(axis.choices),
                do=f"choose {axis.name} among these",
            )
        )

    def _stray(self, point: Mapping[str, Scalar]) -> Exception:
        active = {axis.name for axis in self.active(point)}
        stray = next(str(name) for name in point if name not in active)
        if stray not in self._by_name:
            return unknown_name(f"axis of the space {self.name}", stray, self._by_name)
        conditions = (self._by_name[stray].when or {}).items()
        return SpecError(
            four_parts(
                f"the axis {stray} has no effect here",
                given=f"{stray} = {point[stray]!r}",
                allowed="only where " + " and ".join(f"{knob} is {_listed(values)}" for knob, values in conditions),
                do=f"leave {stray} out of the point",
            )
        )

    def encode(self, spec: ArchSpec) -> Point:
        """Turn a network into its point: the inverse of `decode`.

        Raises:
            SpecError: If the network does not lie in the space.
        """
        if self.refit is not None:
            spec = self.refit.undo(spec, classes=int(self._family.axes["classes"].default))
        knobs = self._family.axes_of(spec)
        point: Point = {}
        settings: dict[str, Scalar] = {}
        for axis in self.axes:
            if axis.is_active(settings):
                value = knobs.get(axis.sets, "nothing")
                if value not in axis.choices:
                    raise self._refused(axis, value)
                point[axis.name] = settings[axis.sets] = axis.choices[axis.choices.index(value)]
        others = [name for name in knobs if name not in settings and knobs[name] != self._family.axes[name].default]
        if others and self._family.make(**settings) != spec:
            raise SpecError(
                four_parts(
                    f"this network is no point of the space {self.name}",
                    given=", ".join(f"{name} = {knobs[name]!r}" for name in others),
                    allowed=", ".join(f"{name} = {self._family.axes[name].default!r}" for name in others),
                    do="add axes to the space, or choose another one",
                )
            )
        return point

    def contains(self, spec: ArchSpec) -> bool:
        """Whether some point of the space gives `spec`."""
        try:
            self.encode(spec)
        except SpecError:
            return False
        return True

    @functools.cached_property
    def size(self) -> int:
        """The exact number of points, conditions included."""
        return count_points(self.axes)

    @functools.cached_property
    def kinds(self) -> frozenset[str]:
        """The block kinds (entries left out) of the space's networks, as met in a fixed sample."""
        rng = random.Random(0)
        specs = [self.decode(self.sample(rng)) for _ in range(_KINDS_SAMPLE)]
        return frozenset(block.kind for spec in specs for stage in spec.stages for block in stage.blocks)

    def published(self) -> tuple[Published, ...]:
        """The published networks that lie in the space."""
        return tuple(row for row in self._fitted(all_published()) if self.contains(row.spec))

    def baselines(self) -> tuple[Published, ...]:
        """All published networks of every family that has one made of the space's blocks alone."""
        rows: list[Published] = []
        for family in FAMILIES.values():
            if any(_kinds(row.spec) <= self.kinds for row in family.published):
                rows += self._fitted(family.published)
        return tuple(rows)

    def _fitted(self, rows: Iterable[Published]) -> Iterator[Published]:
        """Published networks as this space has them; without those that such images have no room for."""
        for row in rows:
            fitted = row if self.refit is None else row.at(self.refit)
            with contextlib.suppress(SpecError):
                fitted.spec  # noqa: B018 - laid out here, so that an impossible one is met here
                yield fitted


def _kinds(spec: ArchSpec) -> frozenset[str]:
    return frozenset(block.kind for stage in spec.stages for block in stage.blocks)


def _listed(values: tuple[Scalar, ...]) -> str:
    return ", ".join(str(value) for value in values)
